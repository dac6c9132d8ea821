"""What the commands show of a database, to people and to scripts."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from phasewright_process import COMMAND, Traded, environment, phasewright

from engine import commands
from engine.recorded_run import RecordedRun
from engine.settings import Settings
from generated.trading import Config, ErrorOccurred
from runtime.grouped_store import GroupedSqliteStore

SYMBOLS = ["BTC/USD", "ETH/USD"]


def test_status_shows_every_symbol_and_the_account(traded: Traded) -> None:
    done = phasewright("status", "--db", "bot.db", cwd=traded.folder)
    assert done.status == 0
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == SYMBOLS
    assert "slots taken" in done.out
    found = phasewright("status", "--db", "bot.db", "--json", cwd=traded.folder).json
    assert [one["symbol"] for one in found["symbols"]] == SYMBOLS
    assert found["faults"] == []
    assert Decimal(found["cash"]["USD"]) > 0


def test_trades_are_listed_oldest_first_and_by_symbol(traded: Traded) -> None:
    trades = phasewright("trades", "--db", "bot.db", "--json", cwd=traded.folder).json
    assert len(trades) > 2
    assert [trade["closed_at"] for trade in trades] == sorted(trade["closed_at"] for trade in trades)
    done = phasewright("trades", "--db", "bot.db", cwd=traded.folder)
    realised = sum(Decimal(trade["realised"]) for trade in trades)
    assert done.out.splitlines()[-1] == f"{len(trades)} trades, {realised:+,.2f} realised"
    only = phasewright("trades", "BTC/USD", "--db", "bot.db", "--json", cwd=traded.folder).json
    assert only == [trade for trade in trades if trade["symbol"] == "BTC/USD"]


def test_the_audit_tells_what_happened_why_and_with_what(traded: Traded) -> None:
    rows = phasewright("audit", "BTC/USD", "--db", "bot.db", "--last", "30", "--json", cwd=traded.folder).json
    assert len(rows) == 30
    filled = next(row for row in rows if row["event"] == "BUY_ORDER_FILLED" and row["outcome"] == "handled")
    assert filled["payload"]["fills"][0].keys() >= {"trade_id", "qty", "price", "fee"}
    assert "book_fills" in filled["actions"]
    done = phasewright("audit", "BTC/USD", "--db", "bot.db", "--last", "30", cwd=traded.folder)
    assert f"    row     {filled['branch']}\n" in done.out
    assert f"fill: trade_id {filled['payload']['fills'][0]['trade_id']}, qty " in done.out
    assert "    asked   submit_buy/" in done.out


def test_a_report_can_be_written_again(traded: Traded, tmp_path: Path) -> None:
    page = tmp_path / "again.html"
    done = phasewright("report", "--db", "bot.db", "--data", "market", "--out", page, cwd=traded.folder)
    assert (done.status, done.out) == (0, f"Report: {page}\n")
    assert page.read_bytes() == (traded.folder / "bot.html").read_bytes()


@pytest.mark.parametrize("command", ["status", "trades", "audit"])
def test_off_a_terminal_there_are_no_escape_codes_and_tables_fit(command: str, traded: Traded) -> None:
    symbol = ["BTC/USD"] if command == "audit" else []
    done = phasewright(command, *symbol, "--db", "bot.db", cwd=traded.folder)
    assert "\x1b" not in done.out + done.err
    if command != "audit":
        assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(no_color: str, coloured: bool, traded: Traded) -> None:
    ours, theirs = pty.openpty()
    wanted = {"TERM": "xterm-256color", "COLUMNS": "80"} | ({"NO_COLOR": no_color} if no_color else {})
    with subprocess.Popen(
        [*COMMAND, "trades", "--db", "bot.db"], cwd=traded.folder, env=environment(**wanted), stdout=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[32m" in shown) is coloured, "a gain is green"
    assert b"realised" in shown


def test_whoever_reads_only_the_beginning_sees_no_complaint(traded: Traded) -> None:
    with subprocess.Popen(
        [*COMMAND, "audit", "BTC/USD", "--db", "bot.db", "--last", "10000"],
        cwd=traded.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_recover_brings_a_symbol_out_of_error(traded: Traded, tmp_path: Path) -> None:
    database = traded.copied(tmp_path) / "bot.db"

    async def fail() -> None:
        bot = RecordedRun(
            commands.load_market(traded.market),
            Settings.from_environment({}),
            Config(),
            database,
            commands.exchange_database(database),
        )
        await bot.start()
        await bot.worker.send("BTC/USD", ErrorOccurred(error="a cosmic ray", failed_event="SLOT_AVAILABLE"))
        assert isinstance(bot.store, GroupedSqliteStore)
        bot.store.flush()
        await bot.close()

    asyncio.run(fail())
    stopped = phasewright("status", "--db", "bot.db", cwd=tmp_path).out
    assert "BTC/USD  ERROR" in stopped
    assert "BTC/USD: SLOT_AVAILABLE: a cosmic ray" in stopped
    done = phasewright("recover", "BTC/USD", "--db", "bot.db", "--data", traded.market, "--json", cwd=tmp_path)
    assert done.status == 0
    assert (done.json["symbol"], done.json["phase_from"], done.json["note"]) == ("BTC/USD", "ERROR", "")
    assert done.json["phase_to"] in ("POSITION", "COOLDOWN")
    assert "ERROR" not in {symbol.phase for symbol in commands.status(database).symbols}
