"""What `phasewright exchanges` tells."""

from __future__ import annotations

from pathlib import Path

from phasewright_process import phasewright


def test_it_tells_where_real_money_is_traded_and_why_nowhere_else(tmp_path: Path) -> None:
    done = phasewright("exchanges", cwd=tmp_path, env={"COLUMNS": "80"})
    assert done.status == 0
    rows = {line.split()[0]: line.split()[1] for line in done.out.splitlines() if " yes " in line or " no " in line}
    assert {rows[name] for name in ("binance", "okx", "bybit", "kraken")} == {"yes"}
    assert rows["coinbase"] == "no"
    assert "- coinbase: an order cannot be looked up by our id" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_it_tells_the_same_to_scripts(tmp_path: Path) -> None:
    told = {one["name"]: one for one in phasewright("exchanges", "--json", cwd=tmp_path).json}
    assert told["okx"]["sent_as"] == "clOrdId"
    assert told["okx"]["refused"] == ""
    assert "28 characters" in told["gate"]["refused"]
