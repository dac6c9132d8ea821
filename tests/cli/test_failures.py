"""Each mistake gets one clear message, status 1, no traceback, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from phasewright_process import Done, Traded, phasewright, write_bars

from runtime.sqlite_store import SqliteStore

Refused = Callable[[Done], str]


def _replace(line: int, column: int, value: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        cells = lines[line].split(",")
        cells[column] = value
        return [*lines[:line], ",".join(cells), *lines[line + 1 :]]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_replace(40, 4, "NaN"), "line 41: a price or volume is empty or not a number"),
        (_replace(40, 0, "noon"), "line 41: 'noon' is not a time"),
        (lambda lines: [lines[0], *reversed(lines[1:])], "the file is sorted newest first"),
        (lambda lines: [*lines[:40], lines[39], *lines[40:]], "line 41: the stamp of the bar before is there again"),
        (lambda lines: lines[:1], "the file holds no bars"),
    ],
    ids=["nan", "stamp", "unsorted", "duplicate", "empty"],
)
def test_bars_that_cannot_be_trusted(
    change: Callable[[list[str]], list[str]], said: str, traded: Traded, tmp_path: Path, refused: Refused
) -> None:
    lines = (traded.market / "BTC_USD.csv").read_text().splitlines()
    (tmp_path / "BTC_USD.csv").write_text("\n".join(change(lines)) + "\n")
    message = refused(phasewright("run", "--db", "bot.db", "--data", "BTC_USD.csv", cwd=tmp_path))
    assert message.startswith("error: BTC_USD.csv")
    assert said in message
    assert "Why it matters: " in message
    assert "What to do: " in message
    assert [path.name for path in tmp_path.iterdir()] == ["BTC_USD.csv"]


def test_missing_bars_are_traded_around(traded: Traded, tmp_path: Path) -> None:
    lines = (traded.market / "BTC_USD.csv").read_text().splitlines(keepends=True)
    (tmp_path / "BTC_USD.csv").write_text("".join(lines[:100] + lines[140:]))
    done = phasewright("run", "--db", "bot.db", "--data", "BTC_USD.csv", cwd=tmp_path)
    assert done.status == 0
    assert "360 bars" in done.out


def test_data_that_is_not_there(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("buy low")
    for data, said in (
        ("nowhere", "there is no such file or folder"),
        ("empty", "the folder holds no file of candles (.csv, .feather, .parquet)"),
        ("notes.txt", "neither a file of candles (.csv, .feather, .parquet) nor a folder of them"),
    ):
        assert f"error: {data}: {said}" in refused(phasewright("run", "--db", "b.db", "--data", data, cwd=tmp_path))


def test_a_hostile_file_name_becomes_a_plain_symbol_or_is_refused(tmp_path: Path, refused: Refused) -> None:
    market = tmp_path / "market"
    market.mkdir()
    write_bars(market / "<!--.csv", 60, seed=1, swing=0.05, price=100.0)
    assert "the file's name does not tell its market" in refused(
        phasewright("run", "--db", "bot.db", "--data", "market", cwd=tmp_path)
    )
    (market / "<!--.csv").rename(market / "[red]<img src=x>SCRIPT_USD.csv")
    done = phasewright("run", "--db", "bot.db", "--data", "market", cwd=tmp_path)
    assert done.status == 0
    assert "\nSCRIPT/USD " in done.out
    assert "<img src" not in (tmp_path / "bot.html").read_text()


def test_settings_that_cannot_be_used_are_all_named(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    wrong = {"MAX_SLOTS": "0", "START_CASH": "plenty", "BUY_FILL_TIMEOUT_SECS": "-1"}
    message = refused(phasewright("run", "--db", "bot.db", "--data", traded.market, cwd=tmp_path, env=wrong))
    assert "MAX_SLOTS='0': it must be at least 1." in message
    assert "START_CASH='plenty': it must be a number, such as 0.25." in message
    done = phasewright("run", cwd=tmp_path, env={"BUY_FILL_TIMEOUT_SECS": "-1"})
    assert "BUY_FILL_TIMEOUT_SECS='-1': it must be longer than 0." in refused(done)
    done = phasewright("run", cwd=tmp_path, env={"DROP_BUY_DROP_PCT": "120"})
    assert "drop_pct is 120: a price cannot fall by 100 % or more" in refused(done)
    assert not list(tmp_path.iterdir()), "a run that did not start leaves nothing behind"


def test_a_run_that_never_began_binds_nobody_to_its_settings(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    command = ("run", "--db", "bot.db", "--data", traded.market)
    done = phasewright(*command, cwd=tmp_path, env={"PAPER_FAULTS": "wild"})
    assert "PAPER_FAULTS is 'wild'; choose one of calm, realistic, hostile." in refused(done)
    assert phasewright(*command, cwd=tmp_path).status == 0


def test_other_settings_do_not_mix_with_a_run_that_has_begun(traded: Traded, refused: Refused) -> None:
    before = traded.database.read_bytes()
    done = phasewright(*("run", "--db", "bot.db", "--data", "market"), cwd=traded.folder, env={"TAKE_PROFIT_PCT": "9"})
    assert "this database belongs to a run with other data or settings" in refused(done)
    assert traded.database.read_bytes() == before


@pytest.mark.parametrize("command", ["status", "trades", "report", "audit", "recover"])
def test_a_database_that_is_not_there(command: str, traded: Traded, tmp_path: Path, refused: Refused) -> None:
    options = {
        "audit": ["BTC/USD"],
        "recover": ["BTC/USD", "--data", traded.market],
        "report": ["--data", traded.market],
    }
    done = phasewright(command, *options.get(command, []), "--db", "none.db", cwd=tmp_path)
    assert "none.db: there is no such database. Start one with `phasewright run" in refused(done)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["audit", "trades", "recover"])
def test_a_symbol_that_is_not_there(command: str, traded: Traded, refused: Refused) -> None:
    data = ["--data", traded.market] if command == "recover" else []
    done = phasewright(command, "btc-<usd>", "--db", "bot.db", *data, cwd=traded.folder)
    assert "there is no symbol 'btc-<usd>'. It has BTC/USD, ETH/USD." in refused(done)


def test_a_symbol_that_needs_no_recovery(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    folder = traded.copied(tmp_path)
    done = phasewright("recover", "BTC/USD", "--db", "bot.db", "--data", traded.market, cwd=folder)
    assert "The symbol is not in ERROR; there is nothing to recover." in refused(done)


def test_a_database_in_use_can_be_looked_at_but_not_run_or_deleted(
    traded: Traded, tmp_path: Path, refused: Refused
) -> None:
    shutil.copy(traded.database, tmp_path)
    store = SqliteStore(tmp_path / "bot.db")
    try:
        for options in ([], ["--fresh"]):
            done = phasewright("run", "--db", "bot.db", "--data", traded.market, *options, cwd=tmp_path)
            assert "bot.db: another process is using this database" in refused(done)
        assert phasewright("status", "--db", "bot.db", cwd=tmp_path).status == 0
    finally:
        store.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE recipes (title)")
    database.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def _truncate(path: Path) -> None:
    os.truncate(path, 20_000)


def _scribble(path: Path) -> None:
    path.write_text("not a database at all, and longer than the hundred bytes of SQLite's own header, surely so\n" * 3)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_foreign, "this is a database of another program"),
        (_newer, "the database has schema version 99"),
        (_truncate, "The file is damaged or not a database. Keep a copy"),
        (_scribble, "The file is damaged or not a database. Keep a copy"),
    ],
    ids=["foreign", "newer", "truncated", "text"],
)
def test_a_file_that_is_no_database_of_ours_is_refused_and_left_alone(
    spoil: Callable[[Path], None], said: str, traded: Traded, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "bot.db"
    if spoil is not _foreign:
        shutil.copy(traded.database, path)
    spoil(path)
    before = path.read_bytes()
    for command in (["status"], ["run", "--fresh", "--data", traded.market]):
        assert said in refused(phasewright(*command, "--db", "bot.db", cwd=tmp_path))
        assert path.read_bytes() == before


def test_the_books_of_the_paper_exchange_are_missed(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    shutil.copy(traded.database, tmp_path)
    done = phasewright("run", "--db", "bot.db", "--data", traded.market, cwd=tmp_path)
    assert "bot.exchange.db: the paper exchange's books are missing" in refused(done)


def test_books_that_are_none_of_the_paper_exchange(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    _scribble(books := tmp_path / "bot.exchange.db")
    before = books.read_bytes()
    done = phasewright("run", "--db", "bot.db", "--data", traded.market, cwd=tmp_path)
    assert "bot.exchange.db: this is not a paper exchange's file" in refused(done)
    assert books.read_bytes() == before


def test_a_place_that_cannot_be_written(traded: Traded, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").touch()
    done = phasewright("run", "--db", "file/bot.db", "--data", traded.market, cwd=tmp_path)
    assert "Choose another place with --db." in refused(done)


def test_a_report_on_other_data_than_the_run_had(traded: Traded, refused: Refused) -> None:
    done = phasewright("report", "--db", "bot.db", "--data", "market/ETH_USD.csv", cwd=traded.folder)
    assert "the database has traded BTC/USD, of which the data has no bars" in refused(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit"],
        ["run", "--dat", "x"],
        ["trade"],
        ["trade", "--symbol", "BTC/USDT", "--db", "."],
        ["status", "--db", "."],
        ["why", "BTC/USD", "--at", "yesterday"],
        ["audit", "BTC/USD", "--last", "99999999999999999999"],
    ],
)
def test_a_command_called_wrongly_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = phasewright(*arguments, cwd=tmp_path)
    assert done.status == 2
    assert "phasewright" in done.err
    assert "Value error" not in done.err
