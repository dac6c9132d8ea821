"""The main job: the recorded market, 175,005 bars, traded by the drop-buy rule. How many bars a second?

Ours does it as `phasewright run` does: every transition goes through the machine into the database (SQLite, WAL,
synchronous=FULL), against an exchange with books of its own. The peers keep nothing. Every run is a process of its own;
the rounds are interleaved, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from bench.measuring import ratio
from bench.peers import ROOT, peers_environment, peers_python

_ROUNDS = 5
_CI_BARS = 7_000
"""Bars of each symbol: the first months, of which nearly all of the gain and a third of the trades are made."""
_DIFFERENCES = {
    "ours": "limit buys at the close, good for 30 s; partial fills, latencies, faults and a cooldown; exact decimals",
    "ours, in memory": "the same, with nothing kept",
    "backtesting.py": "an account per symbol with a fifth of the cash, hence no limit of three; a buy is good for one "
    "bar, a sale is at the next open; floats, no latency, no partial fills, nothing kept",
    "backtesting.py, hasty": "the same, with all that the bars decide worked out before the run",
    "nautilus_trader": "one account, three trades at most; a buy is good for one bar, a sale is at market; no latency, "
    "nothing kept",
    "plain loop": "the rule on floats in one function, filled at the close: no orders, no exchange, nothing kept",
}


def measure(scale: str) -> dict[str, Any]:
    """At "full" the peers on all bars, five rounds; at "ci" a slice, against a loop in plain Python."""
    with tempfile.TemporaryDirectory(prefix="phasewright-bench-") as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(_job()))
        hasty = Path(folder) / "hasty.json"
        hasty.write_text(json.dumps({**_job(), "hasty": True}))
        if scale == "ci":
            bars = ["--bars", str(_CI_BARS)]
            found = _rounds({"ours": _ours("disk", *bars), "plain loop": _ours("plain", *bars)}, 2)
            durable, plain = _speeds(found["ours"]), _speeds(found["plain loop"])
            value = median(ours / loop for ours, loop in zip(durable, plain, strict=True))
            why = "bars per second of CPU, all transitions durable, as a part of what a bare loop over floats does"
            return {"rows": _rows(found), "ratios": {"ours / plain loop": ratio(value, why, at_least=0.018)}}
        found = _rounds(
            {
                "ours": _ours("disk"),
                "ours, in memory": _ours("memory"),
                "backtesting.py": _peer("bench.main_job_backtesting", job),
                "backtesting.py, hasty": _peer("bench.main_job_backtesting", hasty),
                "nautilus_trader": _peer("bench.main_job_nautilus", job),
                "plain loop": _ours("plain"),
            },
            _ROUNDS,
        )
        ratios = {}
        for peer in ("backtesting.py", "nautilus_trader"):
            value = median(a / b for a, b in zip(_speeds(found["ours"]), _speeds(found[peer]), strict=True))
            why = "bars per second of CPU, ours with every transition durable, theirs with nothing kept"
            ratios[f"ours / {peer}"] = ratio(value, why, at_least=1)
        return {"rows": _rows(found), "ratios": ratios}


def _job() -> dict[str, Any]:
    """The rule and its data, for whoever does not know ours."""
    from engine.market_data.recorded import PACKAGE
    from engine.settings import Settings

    settings, files = Settings(), metadata.distribution(PACKAGE).files or ()
    numbers = ("drop_pct", "take_profit_pct", "stop_loss_pct", "trailing_activate_pct", "trailing_pct", "fee_pct")
    return {
        "files": {
            file.stem: str(file.locate()) for file in files if file.parent.name == "data" and file.suffix == ".csv"
        },
        "lookback": settings.lookback,
        "max_hold": settings.max_hold,
        "slots": settings.max_slots,
        "cash": float(settings.start_cash),
        **{name: float(getattr(settings, name)) for name in numbers},
    }


def _ours(*how: str) -> Callable[[], dict[str, Any]]:
    return lambda: _result([sys.executable, "-m", "bench.main_job", "--one", *how], dict(os.environ))


def _peer(module: str, job: Path) -> Callable[[], dict[str, Any]]:
    python, environment = str(peers_python()), peers_environment()
    return lambda: _result([python, "-m", module, str(job)], environment)


def _result(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "process_s": time.perf_counter() - begun}


def _rounds(cases: Mapping[str, Callable[[], dict[str, Any]]], rounds: int) -> dict[str, list[dict[str, Any]]]:
    names = list(cases)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(cases[name]())
    return found


def _speeds(runs: list[dict[str, Any]]) -> list[float]:
    return [run["bars"] / run["trade_cpu_s"] for run in runs]


def _rows(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Bars a second for the charts, by the wall and by the processor; then for each what it did, and the seconds that
    it took to read the data, to trade it, and in all."""
    charted, told = [], []
    for name, runs in found.items():
        speeds = {
            "Bars a second": median(run["bars"] / run["trade_s"] for run in runs),
            "Bars a second of processor time": median(_speeds(runs)),
        }
        for group, value in speeds.items():
            bar = {"case": name, "value": round(value), "unit": "bars per second", "group": group}
            charted.append({**bar, "ours": name.startswith("ours")})
        row: dict[str, Any] = {"name": name, "bars": runs[0]["bars"]}
        for key in ("trade_cpu_s", "trade_s", "load_s", "process_s"):
            row[key] = round(median(run[key] for run in runs), 3)
        row |= {key: runs[0][key] for key in ("trades", "end_equity", "transitions") if key in runs[0]}
        told.append({**row, "differs": _DIFFERENCES[name]})
    return [*charted, *told]


# --- one run, in a process of its own ---------------------------------------------------------------------------------


def _one(how: str, bars: int | None) -> dict[str, Any]:
    from engine.market_data.recorded import recorded_market

    begun = time.perf_counter()
    series = recorded_market()
    if bars is not None:
        import msgspec

        series = {name: msgspec.structs.replace(one, candles=one.candles[:bars]) for name, one in series.items()}
    loaded, cpu = time.perf_counter(), time.process_time()
    if how == "plain":
        found = _plain(series, _job())
    else:
        with tempfile.TemporaryDirectory(prefix="phasewright-bench-", dir=ROOT) as folder:
            found = asyncio.run(_trade(series, Path(folder), keep=how == "disk"))
    found["load_s"] = loaded - begun
    found["trade_s"] = found.pop("done") - loaded
    found["trade_cpu_s"] = found.pop("cpu") - cpu
    return {"bars": sum(len(one.candles) for one in series.values()), **found}


async def _trade(series: Any, folder: Path, *, keep: bool) -> dict[str, Any]:
    from engine.books import closed_round_trips
    from engine.recorded_run import RecordedRun
    from engine.settings import Settings
    from generated.trading import Config

    run = RecordedRun(series, Settings(), Config(), folder / "bot.db" if keep else None, folder / "exchange.db")
    await run.start()
    await run.run()
    done, cpu = time.perf_counter(), time.process_time()
    held = run.exchange.balances(run.clock.now())
    closes = {name.partition("/")[0]: one.candles[-1].close for name, one in series.items()}
    worth = sum(amount * closes.get(currency, 1) for currency, amount in held.items())
    found = {
        "trades": len(closed_round_trips(run.store.journal())),
        "end_equity": round(float(worth), 2),
        "transitions": len(run.store.audit()),
        "done": done,
        "cpu": cpu,
    }
    await run.close()
    return found


def _plain(series: Any, job: dict[str, Any]) -> dict[str, Any]:
    """The rule without a bot: what any of these does beyond this is what it is for."""
    columns = [
        ([float(candle.close) for candle in one.candles], [candle.opened_at for candle in one.candles])
        for one in series.values()
    ]
    trades, equity = 0, 0.0
    drop, stop = 1 - job["drop_pct"] / 100, 1 - job["stop_loss_pct"] / 100
    target, arm, trail = (
        1 + job["take_profit_pct"] / 100,
        1 + job["trailing_activate_pct"] / 100,
        1 - job["trailing_pct"] / 100,
    )
    for closes, times in columns:
        cash, entry, peak, opened, before = job["cash"] / len(columns), 0.0, 0.0, 0, False
        for place, close in enumerate(closes):
            dropped = close <= max(closes[max(place + 1 - job["lookback"], 0) : place + 1]) * drop
            if entry:
                peak = max(peak, close)
                over = (
                    close <= entry * stop or close >= entry * target or (peak >= entry * arm and close <= peak * trail)
                )
                if over or times[place] - opened >= job["max_hold"]:
                    cash *= close / entry * (1 - job["fee_pct"] / 100) ** 2
                    trades, entry = trades + 1, 0.0
            elif dropped and not before and place >= job["lookback"]:
                entry, peak, opened = close, close, times[place]
            before = dropped
        equity += cash
    return {"trades": trades, "end_equity": round(equity, 2), "done": time.perf_counter(), "cpu": time.process_time()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main_job", description=__doc__)
    parser.add_argument("--scale", choices=("ci", "full"), default="full")
    parser.add_argument(
        "--one", choices=("disk", "memory", "plain"), help="one run of ours, here; what `measure` calls"
    )
    parser.add_argument("--bars", type=int, help="with --one: only so many bars of each symbol")
    wishes = parser.parse_args()
    if wishes.one:
        print(json.dumps(_one(wishes.one, wishes.bars)))
    else:
        print(json.dumps(measure(wishes.scale), indent=1))


if __name__ == "__main__":
    main()
