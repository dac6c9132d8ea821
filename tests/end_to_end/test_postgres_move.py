"""A bot's database moves from its file into PostgreSQL, whole or not at all, and only one of the two can be used."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import psycopg
import pytest
from small_market import Variant, bars_of, on_record, open_run, run_to_the_end, write_market
from typer.testing import CliRunner

from engine.recorded_run import RecordedRun
from engine.stores import SharedPlace
from generated.trading import Config
from phasewright import app
from runtime.errors import StoreError
from runtime.postgres.connection import Database
from runtime.postgres.moving import move
from runtime.postgres.store import PostgresStore
from runtime.sqlite_store import SqliteStore
from runtime.store_contract import everything, prepare

VARIANT = Variant(group=16)


def test_a_run_that_moves_in_the_middle_ends_as_one_that_stays(database_url: str, tmp_path: Path) -> None:
    write_market(tmp_path / "market", bars=90)

    async def play(run: RecordedRun) -> dict[str, object]:
        try:
            await run_to_the_end(run)
            return on_record(run)
        finally:
            await run.close()

    async def play_half() -> None:
        run = open_run(tmp_path / "market", VARIANT, tmp_path / "moving")
        await run.start()

        def stop(progress: object) -> None:
            if len(run.store.journal()) > 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await run.run(stop)
        await run.close()

    whole = asyncio.run(play(open_run(tmp_path / "market", VARIANT, tmp_path / "staying")))
    asyncio.run(play_half())
    database = tmp_path / "moving" / "bot.db"
    said = CliRunner().invoke(app, ["db", "move", str(database), database_url, "--account", "moved"]).stdout
    assert "journal entries and 3 symbols are in account moved now" in " ".join(said.split())
    with pytest.raises(StoreError, match=r"was moved to postgresql://.*, account moved"):
        open_run(tmp_path / "market", VARIANT, tmp_path / "moving")
    place = SharedPlace(database_url, "moved", tmp_path)
    market = bars_of(tmp_path / "market")
    run = RecordedRun(market, VARIANT.settings, Config(), place, tmp_path / "moving" / "exchange.db")
    assert len(run.store.journal()) > 6
    found = asyncio.run(play(run))
    for part in ("journal", "balances", "orders", "trades"):
        assert found[part] == whole[part], part


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bot.db"
    store = SqliteStore(path)
    prepare(store)
    store.set_label("key", "value\0")
    store.close()
    return path


def test_everything_arrives_and_a_second_move_finds_it_done(database_url: str, file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path / "copy.db")
    before = SqliteStore(tmp_path / "copy.db")
    first = move(file, database_url, "all")
    database = Database(database_url, "test")
    after = PostgresStore(database, "all")
    assert everything(after) == everything(before)
    assert (after.namespace, after.label("key")) == (before.namespace, before.label("key"))
    database.close()
    assert move(file, database_url, "all") == first
    with pytest.raises(StoreError, match="was moved to"):
        move(file, database_url, "elsewhere")
    with pytest.raises(StoreError, match="another process"):
        move(tmp_path / "copy.db", database_url, "copy")
    before.close()
    with pytest.raises(StoreError, match="an account of this name"):
        move(tmp_path / "copy.db", database_url, "all")
    SqliteStore(tmp_path / "copy.db").close()
    with pytest.raises(StoreError, match="no such database"):
        move(tmp_path / "nothing.db", database_url, "nothing")
    assert not (tmp_path / "nothing.db").exists()


def test_what_postgresql_refuses_leaves_the_file_as_it_was(database_url: str, file: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE reservations ADD CONSTRAINT nothing CHECK (slots = 0) NOT VALID")
        with pytest.raises(StoreError, match="move the account"):
            move(file, database_url, "refused")
        owner.execute("ALTER TABLE reservations DROP CONSTRAINT nothing")
    SqliteStore(file).close()
    assert move(file, database_url, "refused").instances == 1


def test_a_move_that_was_interrupted_before_its_commit_is_done_again(
    database_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_away = SqliteStore.move_away

    def interrupted(store: SqliteStore, to: str) -> None:
        move_away(store, to)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "move_away", interrupted)
        with pytest.raises(KeyboardInterrupt):
            move(file, database_url, "again")
    with pytest.raises(StoreError, match="takes it up again"):
        SqliteStore(file)
    assert move(file, database_url, "again").instances == 1
