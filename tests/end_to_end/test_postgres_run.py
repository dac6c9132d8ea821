"""A recorded run whose account is in PostgreSQL: the same trades as in a file, killed or not, and never two at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_market import Variant, bars_of, on_record, open_run, run_to_the_end, write_market
from typer.testing import CliRunner

from engine.recorded_run import RecordedRun
from engine.stores import SharedPlace, start_anew
from generated.trading import Config
from phasewright import app
from runtime.errors import StoreError, StoreFencedError
from runtime.postgres.connection import Database

VARIANT = Variant()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("postgres-run") / "market"
    write_market(folder, bars=90)
    return folder


@pytest.fixture(scope="module")
def expected(market: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a run in a file comes to."""

    async def play() -> dict[str, object]:
        run = open_run(market, VARIANT, tmp_path_factory.mktemp("file"))
        try:
            await run_to_the_end(run)
            return on_record(run)
        finally:
            await run.close()

    return asyncio.run(play())


def open_shared(url: str, account: str, market: Path, folder: Path) -> RecordedRun:
    place = SharedPlace(url, account, folder)
    return RecordedRun(bars_of(market), VARIANT.settings, Config(), place, folder / f"{account}.exchange.db")


def test_a_run_in_postgresql_comes_to_the_same_entry_by_entry(
    database_url: str, market: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    async def play() -> dict[str, object]:
        run = open_shared(database_url, "whole", market, tmp_path)
        try:
            await run_to_the_end(run)
            return on_record(run)
        finally:
            await run.close()

    found = asyncio.run(play())
    assert len(found["journal"]) > 10  # type: ignore[arg-type]
    for part, value in expected.items():
        assert found[part] == value, part


def test_a_run_whose_lease_is_taken_writes_nothing_more_and_goes_on_later(
    database_url: str, market: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    async def play() -> dict[str, object]:
        run = open_shared(database_url, "taken", market, tmp_path)
        await run.start()
        database = Database(database_url, "other", connections=1)
        database.execute("take", "UPDATE accounts SET epoch = epoch + 1, holder = 'other' WHERE account = 'taken'")
        written = database.execute("read", "SELECT count(*) FROM audit WHERE account = 'taken'")
        with pytest.raises(StoreFencedError, match="held by other"):
            await run.run()
        await run.close()
        assert database.execute("read", "SELECT count(*) FROM audit WHERE account = 'taken'") == written
        with pytest.raises(StoreError, match="other is using this account"):
            open_shared(database_url, "taken", market, tmp_path)
        database.execute("give", "UPDATE accounts SET holder = NULL WHERE account = 'taken'")
        database.close()
        run = open_shared(database_url, "taken", market, tmp_path)
        try:
            await run_to_the_end(run)
            return on_record(run)
        finally:
            await run.close()

    assert asyncio.run(play())["journal"] == expected["journal"]


def test_a_killed_run_goes_on_from_any_computer_that_has_the_exchanges_books(
    database_url: str, market: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    """Killed twice in the middle; each time another process takes the account when its lease has run out."""
    program = (
        "import asyncio, os, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from test_postgres_run import open_shared\n"
        "from runtime.postgres.store import PostgresStore\n"
        "left = [int(sys.argv[4])]\n"
        "commit = PostgresStore.commit\n"
        "def counted(store, commits):\n"
        "    commit(store, commits)\n"
        "    left[0] -= 1\n"
        "    if not left[0]:\n"
        "        os.kill(os.getpid(), 9)\n"
        "PostgresStore.commit = counted\n"
        "async def play():\n"
        "    run = open_shared(sys.argv[1], 'killed', Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "    await run.start()\n"
        "    await run.run()\n"
        "asyncio.run(play())\n"
    )
    database = Database(database_url, "clock", connections=1)
    for commits in (9, 50):
        done = subprocess.run(
            [sys.executable, "-c", program, database_url, market, tmp_path, str(commits)],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -9, done.stderr
        with pytest.raises(StoreError, match="is using this account"):
            open_shared(database_url, "killed", market, tmp_path)
        database.execute("pass time", "UPDATE accounts SET expires_at = clock_timestamp() WHERE account = 'killed'")
    database.close()

    async def play() -> dict[str, object]:
        run = open_shared(database_url, "killed", market, tmp_path)
        try:
            await run_to_the_end(run)
            return on_record(run)
        finally:
            await run.close()

    found = asyncio.run(play())
    for part in ("journal", "orders", "trades"):
        assert found[part] == expected[part], part


def test_another_run_is_refused_until_the_account_is_made_new(database_url: str, market: Path, tmp_path: Path) -> None:
    async def play(seed: int) -> str:
        place = SharedPlace(database_url, "other run", tmp_path)
        settings = Variant(seed=seed).settings
        run = RecordedRun(bars_of(market), settings, Config(), place, tmp_path / "other run.exchange.db")
        try:
            await run.start()
            return run.store.namespace
        finally:
            await run.close()

    first = asyncio.run(play(1))
    with pytest.raises(StoreError, match="other data or settings"):
        asyncio.run(play(2))
    start_anew(SharedPlace(database_url, "other run", tmp_path), "recorded-new")
    with pytest.raises(StoreError, match="other data or settings"):
        asyncio.run(play(1))
    start_anew(SharedPlace(database_url, "other run", tmp_path), first)
    assert asyncio.run(play(1)) == first


def test_the_commands_take_a_url_and_tell_what_they_tell_of_a_file(
    database_url: str, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def phasewright(*arguments: object, status: int = 0) -> str:
        done = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "120"})
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.stderr

    shared = ("--db", database_url, "--account", "cli")
    in_file = json.loads(phasewright("run", "--db", "bot.db", "--data", market, "--json"))
    in_shared = json.loads(phasewright("run", *shared, "--data", market, "--json"))
    assert in_shared | {"report": ""} == in_file | {"report": ""}
    assert (tmp_path / in_shared["report"]).name == "cli.html"
    for command in (["status"], ["trades"], ["audit", "BTC/USD", "--last", "5"]):
        assert phasewright(*command, *shared, "--json") == phasewright(*command, "--db", "bot.db", "--json")
    phasewright("report", *shared, "--data", market, "--out", "shared.html")
    assert (tmp_path / "shared.html").stat().st_size > 10_000
    assert "--account" in phasewright("status", "--db", database_url, status=1)
    assert "there is no account 'nobody'" in phasewright("status", *shared[:3], "nobody", status=1)
    assert "give its URL with --db" in phasewright("status", "--account", "cli", status=1)
