from __future__ import annotations

import signal
import sqlite3
import subprocess
from pathlib import Path

import msgspec
from phasewright_process import COMMAND, Traded, environment, phasewright, write_market

from engine import commands


def books(folder: Path, database: str = "bot.db") -> object:
    """The account and the trades, to the last digit."""
    return commands.status(folder / database), commands.trades(folder / database, None)


def test_a_run_ends_with_a_table_and_a_report(traded: Traded) -> None:
    out = traded.done.out
    assert "2024-01-01 to 2024-01-09 (UTC), 800 bars, amounts in USD" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("BTC/USD", "ETH/USD", "Total"))]
    assert [row[0] for row in rows] == ["BTC/USD", "ETH/USD", "Total"]
    assert int(rows[0][1]) + int(rows[1][1]) == int(rows[2][1]) > 2
    assert "Equity at the end: " in out
    assert "real fills are worse" in " ".join(out.split())
    assert out.endswith("Report: bot.html\n")
    assert (traded.folder / "bot.html").read_text().startswith("<!doctype html>")
    assert "100 %  2024-01-09  800 of 800 bars\n" in traded.done.err


def test_a_second_run_says_where_it_goes_on_and_comes_to_the_same(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    before = books(folder)
    again = phasewright("run", "--db", "bot.db", "--data", traded.market, cwd=folder)
    assert again.status == 0
    assert again.out == traded.done.out
    assert again.err.startswith("Going on from 2024-01-0")
    assert books(folder) == before


def test_as_json_a_run_gives_summary_account_and_report(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    found = phasewright("run", "--db", "bot.db", "--data", traded.market, "--json", cwd=folder).json
    account = commands.status(folder / "bot.db")
    trades = commands.trades(folder / "bot.db", None)
    assert found["account"] == msgspec.json.decode(msgspec.json.encode(account))
    assert found["summary"][-1]["symbol"] == "Total"
    assert found["summary"][-1]["trades"] == len(trades)
    assert isinstance(found["summary"][-1]["realised"], str)
    assert found["quarantined"] == []
    assert found["report"] == "bot.html"


def test_fresh_forgets_the_run_and_trades_it_again(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    other = phasewright("run", "--db", "bot.db", "--data", traded.market, "--fresh", cwd=folder, env={"MAX_SLOTS": "1"})
    assert other.status == 0
    assert "Going on" not in other.err
    assert "at most 1 trades at once" in other.out
    assert books(folder) != books(traded.folder)


def test_what_makes_fresh_fail_deletes_nothing(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    before = (folder / "bot.db").read_bytes()
    for data, env in (("nowhere", {}), (str(traded.market), {"PAPER_FAULTS": "wild"})):
        done = phasewright("run", "--fresh", "--db", "bot.db", "--data", data, cwd=folder, env=env)
        assert done.status == 1
    assert (folder / "bot.db").read_bytes() == before


def test_without_snapshots_nothing_is_kept_and_nothing_is_touched(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    before = (folder / "bot.db").read_bytes()
    done = phasewright(
        *("run", "--fresh", "--db", "bot.db", "--data", traded.market, "--report", "page.html"),
        cwd=folder,
        env={"FSM_SNAPSHOT_ENABLED": "false", "START_CASH": "500"},
    )
    assert done.status == 0
    assert "Started with 500 USD" in done.out
    assert (folder / "bot.db").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir() if "bot" not in path.name) == ["page.html"]


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on_to_the_same_books(tmp_path: Path) -> None:
    write_market(tmp_path / "market", 1_500)
    command = ("run", "--db", "bot.db", "--data", "market")
    with subprocess.Popen(
        [*COMMAND, *command], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(" 10 %")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("\nInterrupted. Everything committed is on disk; run the same command to go on.\n")
    assert "Traceback" not in err
    assert not (tmp_path / "bot.html").exists()

    resumed = phasewright(*command, cwd=tmp_path)
    whole = phasewright("run", "--db", "whole.db", "--data", "market", cwd=tmp_path)
    assert resumed.status == whole.status == 0
    assert resumed.out == whole.out.replace("whole.html", "bot.html")
    assert books(tmp_path) == books(tmp_path, "whole.db")


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(traded: Traded, tmp_path: Path) -> None:
    command = ("run", "--db", "bot.db", "--data", traded.market)
    full = phasewright(*command, cwd=tmp_path, file_size=220_000)
    assert full.status == 1
    assert full.out == ""
    assert full.err.count("error: ") == 1
    assert "free space and start again" in full.err
    with sqlite3.connect(tmp_path / "bot.db") as database:
        assert database.execute("SELECT count(*) FROM audit").fetchone() > (0,)
    assert phasewright(*command, cwd=tmp_path).out == traded.done.out
    assert books(tmp_path) == books(traded.folder)


def test_a_report_that_cannot_be_written_costs_nothing_but_the_report(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    done = phasewright("run", "--db", "bot.db", "--data", traded.market, "--report", "bot.db/page.html", cwd=folder)
    assert done.status == 1
    assert done.out.startswith(traded.done.out.partition("\n\nReport:")[0])
    assert "the report cannot be written" in done.err
    full = phasewright("report", "--db", "bot.db", "--data", traded.market, cwd=folder, file_size=100_000)
    assert full.status == 1
    assert "bot.html: the report cannot be written: File too large" in full.err
    assert not [path for path in folder.iterdir() if "html" in path.name]


def test_the_knobs_of_the_machine_may_change_between_two_runs(traded: Traded, tmp_path: Path) -> None:
    folder = traded.copied(tmp_path)
    done = phasewright(
        "run", "--db", "bot.db", "--data", traded.market, cwd=folder, env={"BUY_FILL_TIMEOUT_SECS": "90"}
    )
    assert done.status == 0
