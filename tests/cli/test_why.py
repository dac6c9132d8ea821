"""What `why` says of a bar: the same that the run saw, whether something happened there or not."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasewright_process import Traded, phasewright

HALF_HOUR = 1_800_000


def asked(traded: Traded, instant: int, **values: str) -> Any:
    at = datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    options = ("--at", at, "--db", "bot.db", "--data", "market", "--json")
    return phasewright("why", "BTC/USD", *options, cwd=traded.folder, env=values)


def test_every_exit_is_explained_and_so_is_the_bar_before_it(traded: Traded) -> None:
    rows = phasewright("audit", "BTC/USD", "--db", "bot.db", "--last", "100000", "--json", cwd=traded.folder).json
    exits = [row for row in rows if row["event"] == "EXIT_CHECK_DUE"][:3]
    assert exits
    for row in exits:
        found = asked(traded, row["at"]).json
        assert (found["bar_at"], found["phase"]) == (row["at"], "POSITION")
        assert ": sell (" in found["saw"]
        assert "EXIT_CHECK_DUE" in [one["event"] for one in found["rows"]]
        before = asked(traded, row["at"] - HALF_HOUR).json
        assert before["phase"] != "POSITION" or before["saw"].endswith(": hold")


def test_a_bar_without_a_row_says_what_was_missing(traded: Traded) -> None:
    rows = phasewright("audit", "BTC/USD", "--db", "bot.db", "--last", "100000", "--json", cwd=traded.folder).json
    entry = next(row["at"] for row in rows if row["event"] == "SLOT_AVAILABLE")
    assert asked(traded, entry).json["saw"].endswith(": buy")
    quiet = asked(traded, entry - HALF_HOUR).json
    assert (quiet["phase"], quiet["rows"]) == ("IDLE", [])
    assert quiet["saw"].endswith("; buys at 6 %: wait")


def test_other_settings_or_a_time_before_the_data_are_refused(traded: Traded) -> None:
    at = phasewright("audit", "BTC/USD", "--db", "bot.db", "--json", cwd=traded.folder).json[0]["at"]
    other = asked(traded, at, DROP_BUY_DROP_PCT="5")
    assert (other.status, other.out) == (1, "")
    assert "other data or settings" in other.err
    early = asked(traded, 0)
    assert early.status == 1
    assert "no bar had closed by then" in early.err


def test_an_instant_may_be_written_in_any_zone_and_nonsense_is_refused(traded: Traded) -> None:
    def at(text: str) -> Any:
        options = ("--at", text, "--db", "bot.db", "--data", "market", "--json")
        return phasewright("why", "BTC/USD", *options, cwd=traded.folder, env={})

    found = {at(text).json["bar_at"] for text in ("2024-01-05T10:00", "2024-01-05 10:00:00Z", "2024-01-05T12:00+02:00")}
    assert len(found) == 1
    for text in ("yesterday", "9999-12-31T23:59-05:00"):
        refused = at(text)
        assert refused.status == 2
        told = " ".join(refused.err.split())
        assert f"'{text}' is no day or time: write 2019-01-31, or 2019-01-31T14:30 (UTC)" in told


def test_a_bar_after_the_last_event_says_that_nothing_is_known_of_it(traded: Traded) -> None:
    rows = phasewright("audit", "BTC/USD", "--db", "bot.db", "--last", "100000", "--json", cwd=traded.folder).json
    assert asked(traded, rows[0]["at"]).json["latest"] is None
    done = phasewright(
        "why", "BTC/USD", "--at", "2100-01-01", "--db", "bot.db", "--data", "market", cwd=traded.folder, env={}
    )
    assert (done.status, done.err) == (0, "")
    assert "the run's last event was at 2024-" in done.out
    assert "had not come to this bar yet" in done.out


def test_what_was_archived_is_missed_and_not_made_up(traded: Traded, tmp_path: Path) -> None:
    database = tmp_path / "bot.db"
    shutil.copy(traded.folder / "bot.db", database)
    there = ("--db", str(database))
    first = phasewright("audit", "BTC/USD", *there, "--last", "100000", "--json", cwd=traded.folder).json[0]["at"]
    archive = tmp_path / "old.parquet"
    done = phasewright("archive", *there, "--to", str(archive), "--before", "2100-01-01", cwd=traded.folder)
    assert done.status == 0
    at = datetime.fromtimestamp(first / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    lost = phasewright("why", "BTC/USD", "--at", at, *there, "--data", "market", cwd=traded.folder)
    assert (lost.status, lost.out) == (1, "")
    assert "older audit rows were archived" in lost.err
    page = tmp_path / "report.html"
    phasewright("report", *there, "--data", "market", "--out", str(page), cwd=traded.folder)
    assert "Old audit rows were archived" in page.read_text()
    whole = tmp_path / "whole.html"
    phasewright("report", "--db", "bot.db", "--data", "market", "--out", str(whole), cwd=traded.folder)
    assert "Old audit rows were archived" not in whole.read_text()
    shown = [phasewright("audit", symbol, *there, cwd=traded.folder).out for symbol in ("BTC/USD", "ETH/USD")]
    assert any("no audit rows of" in out and "--archive FILE" in out for out in shown)
    missing = phasewright("audit", "NONE/USD", "--archive", str(archive), cwd=traded.folder)
    assert missing.out == f"{archive} has no audit rows of NONE/USD.\n"
