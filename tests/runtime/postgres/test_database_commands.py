"""The commands that look after a database, and what they and every other command say of one that cannot be used."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest
from postgres_accounts import hold
from postgres_server import PostgresServer
from typer.testing import CliRunner

from phasewright import app
from runtime.errors import StoreError
from runtime.postgres.connection import Address, Database
from runtime.postgres.lease import Lease
from runtime.postgres.sole import SoleStore
from runtime.postgres.store import PostgresStore
from runtime.store_contract import commit_of, prepare

SECRET = "p@ss/word:%1"


def said(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def test_an_empty_database_gets_its_tables_by_the_command_that_its_refusal_names(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE commands")
    url = postgres.url("commands")
    assert "phasewright db upgrade URL" in said("status", "--db", url, status=1)
    assert "phasewright db upgrade URL" in said("db", "status", url, status=1)
    assert "of revision 0001 now (before: none)" in said("db", "upgrade", url)
    assert "of revision 0001 already" in said("db", "upgrade", url)
    assert "tables of revision 0001" in said("db", "status", url)
    assert "has no account yet" in said("status", "--db", url, status=1)
    assert "No account waits" in said("db", "accept-failover", url)


def test_a_server_that_may_forget_commits_is_named(postgres: PostgresServer, database_url: str) -> None:
    assert "Without a synchronous standby" in said("db", "status", database_url)
    lax = f"{database_url}?options=-c%20synchronous_commit%3Doff"
    assert "synchronous_commit is off" in said("db", "status", lax, status=1)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"database": "nowhere"}, "Create it first"),
        ({"user": "nobody"}, "Create it first"),
        ({"user": "locked:wrong"}, "Check user and password"),
        ({"user": "locked"}, "Check user and password"),
    ],
    ids=["no database", "no role", "wrong password", "no password"],
)
def test_what_keeps_from_connecting_is_said(postgres: PostgresServer, change: dict[str, str], advice: str) -> None:
    url = postgres.url(**change)
    for command in (("db", "status", url), ("db", "upgrade", url), ("status", "--db", url)):
        output = said(*command, status=1)
        assert advice in output
        assert "wrong" not in output.replace("wrong password", "")


def test_a_server_that_is_not_there(postgres: PostgresServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://owner:{SECRET.replace('@', '%40').replace('/', '%2F').replace('%1', '%251')}@127.0.0.1"
        output = said("status", "--db", f"{url}:{free.getsockname()[1]}/bots", status=1)
    assert "Connection refused. Check that the server runs" in " ".join(output.split())
    assert "postgresql://owner@127.0.0.1" in output
    assert "word" not in output


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://owner:{SECRET}@127.0.0.1:5432/bots",
        "postgresql://owner:pass@word@127.0.0.1/bots",
        "postgresql://owner:pass/word@127.0.0.1/bots",
        "postgresql://127.0.0.1:word/bots",
        "postgresql://127.0.0.1/bots?password=word&nonsense=1",
    ],
)
def test_a_url_that_is_not_understood_is_not_repeated(url: str) -> None:
    output = said("status", "--db", url, status=1)
    assert "percent-encoded" in output
    assert "word" not in output.replace("a password", "").replace("PGPASSWORD", "").replace("the password", "")


def test_a_password_that_is_right_is_shown_nowhere(postgres: PostgresServer) -> None:
    url = postgres.url("nowhere", user="locked:locked")
    assert str(Address(url)) == postgres.url("nowhere", user="locked")


def test_a_standby_and_a_read_only_user_are_refused_before_anything_is_done(
    postgres: PostgresServer, database_url: str
) -> None:
    (postgres.folder / "data" / "standby.signal").touch()
    postgres.kill()
    postgres.start()
    try:
        with pytest.raises(StoreError, match="this server is a standby"):
            Database(database_url, "test")
        assert "It takes no writes" in said("db", "status", database_url, status=1)
        assert "takes no writes" in said("db", "upgrade", postgres.url("postgres"), status=1)
        Database(database_url, "test", read_only=True).close()
    finally:
        (postgres.folder / "data" / "standby.signal").unlink()
        postgres.kill()
        postgres.start()
    with pytest.raises(StoreError, match="read-only for this user"):
        Database(f"{database_url}?options=-c%20default_transaction_read_only%3Don", "test")


def test_a_user_without_rights_is_told_where_they_are_listed(postgres: PostgresServer, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("INSERT INTO accounts (account, namespace) VALUES ('a', 'n')")
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO locked")
    url = database_url.replace("owner@", "locked:locked@")
    database = Database(url, "test")
    try:
        store = PostgresStore(database, "a", Lease("a", "w", 1))
        with pytest.raises(StoreError, match=r"docs/postgresql\.md"):
            store.commit([commit_of("A")])
    finally:
        database.close()


def test_the_rights_in_the_docs_are_enough_for_a_bot_and_for_the_owner(postgres: PostgresServer) -> None:
    page = (Path(__file__).parents[3] / "docs" / "postgresql.md").read_text(encoding="utf-8")
    grants = page[page.index("    GRANT") : page.index("    SQL\n")]
    for role in ("bots_owner", "bot"):
        postgres.execute(f"CREATE ROLE {role} LOGIN")
    postgres.execute("CREATE DATABASE bots OWNER bots_owner")
    said("db", "upgrade", postgres.url("bots", user="bots_owner"))
    with psycopg.connect(postgres.url("bots", user="bots_owner"), autocommit=True) as owner:
        owner.execute(grants)
    url = postgres.url("bots", user="bot")
    store = SoleStore(url, "a", "worker", "namespace")
    prepare(store)
    store.set_label("key", "value")
    store.forget_identities(1 << 50)
    store.close()
    assert "BTC/USD" in said("status", "--db", url)
    assert "insufficient" not in said("accounts", "--db", url)
    assert "No account waits" in said("db", "accept-failover", url)
    assert "docs/postgresql.md" in said("db", "upgrade", url.replace("/bots", "/postgres"), status=1)


def test_an_account_that_no_worker_serves_is_marked(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    with psycopg.connect(url) as owner:
        owner.execute("INSERT INTO accounts (account, namespace) VALUES ('kept', 'n'), ('left', 'm'), ('lost', 'o')")
        owner.execute(
            "INSERT INTO workers (worker, started_at, seen_at, serves) VALUES ('w', now(), now(), '{kept}'), "
            "('dead', now(), now() - interval '1 hour', '{lost}')"
        )
    shown = said("accounts", "--db", url)
    assert "kept nobody 0" in shown
    assert "left nobody serves it 0" in shown
    assert "lost nobody serves it 0" in shown


def test_old_rows_of_one_of_several_accounts_are_archived(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    database = Database(url, "test")
    for account in ("other", "ours"):
        store = PostgresStore(database, account, hold(database, account))
        store.commit([commit_of("A", at=1_000), commit_of("B", at=2_000)])
    file = str(tmp_path / "old.parquet")
    archive = ("archive", "--db", url, "--before", "2020-01-01", "--to", file)
    assert "other, ours. Say with --account which one you mean" in said(*archive, status=1)
    assert f"Audit rows moved to {file}: 1 (" in said(*archive, "--account", "ours")
    assert "handled" in said("audit", "A", "--archive", file)
    assert "ours has no audit rows from before 2020-01-01" in said(
        "archive", "--db", url, "--account", "ours", "--before", "2020-01-01", "--to", f"{file}.2"
    )
    database.close()
