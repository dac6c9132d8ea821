"""How state scales: memory, start and recovery by the number of instances, overdue timers, and the database by the
number of its audit rows. Each is measured at three sizes, in a process of its own: `python -m bench.scale`."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.measuring import ratio
from engine.actions import TradingActions
from engine.audit_archive import archive_audit
from engine.guards import TradingGuards
from engine.market_data.candles import Series
from engine.market_data.recorded import recorded_market
from engine.recorded_run import RecordedRun
from engine.settings import Settings
from engine.sizing import SizingRules
from generated.trading import DEFINITION, Config
from runtime.clock import VirtualClock
from runtime.events import EventContext
from runtime.machine import Machine, Timer
from runtime.sqlite_store import SqliteStore
from runtime.store import Commit
from runtime.worker import Worker

BARS = 6_000
"""Bars of the recorded market that the real snapshots and audit rows come from."""
SIZES = {"full": (10_000, 30_000, 100_000), "ci": (300, 1_000, 3_000)}
TIMERS = {"full": (1_000, 3_000, 10_000), "ci": (100, 300, 1_000)}
AUDIT_ROWS = {"full": (100_000, 1_000_000, 10_000_000), "ci": (10_000, 30_000, 100_000)}
PER_COMMIT = 500


def measure(scale: str) -> dict[str, Any]:
    """Three sizes of each; the ratios say that nothing grows faster than what it counts."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="phasewright-scale-") as name:
        folder = Path(name)
        seed = folder / "seed.db"
        asyncio.run(_trade(seed))
        for size, timers in zip(SIZES[scale], TIMERS[scale], strict=True):
            database = folder / f"instances-{size}.db"
            _fill_with_instances(database, seed, size, timers)
            rows.append({"what": "instances", "size": size, "timers": timers, **_in_child("start", database)})
            database.unlink()
        for size in AUDIT_ROWS[scale]:
            database = folder / f"audit-{size}.db"
            _fill_with_audit(database, seed, size)
            rows.append({"what": "audit rows", "size": size, **_in_child("audit", database)})
            database.unlink()
    return {"rows": rows, "ratios": _ratios(rows)}


def _ratios(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    few, _, many = (row for row in rows if row["what"] == "instances")
    short, _, long = (row for row in rows if row["what"] == "audit rows")

    def growth(name: str, per: str = "size") -> float:
        return float((many[name] / many[per]) / (few[name] / few[per]))

    return {
        "memory per instance": ratio(
            growth("memory_bytes"), "bytes each at the largest size over the smallest", at_most=1.5
        ),
        "start per instance": ratio(growth("start_s"), "seconds each at the largest size over the smallest", at_most=2),
        "overdue timer": ratio(
            growth("fire_s", "timers"), "seconds each at the largest size over the smallest", at_most=2
        ),
        "bytes per audit row": ratio(
            (long["database_bytes"] / long["size"]) / (short["database_bytes"] / short["size"]),
            "at the largest size over the smallest",
            at_most=1.3,
        ),
        "commit beside a long audit": ratio(
            long["commit_s"] / short["commit_s"], "one commit at the largest size over the smallest", at_most=3
        ),
    }


def _in_child(what: str, database: Path) -> dict[str, Any]:
    """Measured in a process that has done nothing else, so that its memory is that of the state."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", "--child", what, str(database)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# -- databases to measure on -------------------------------------------------------------------------------------------


async def _trade(database: Path) -> None:
    """A real bot's database, for real snapshots and rows."""
    market = recorded_market()
    short = {name: Series(one.symbol, one.length, one.candles[:BARS]) for name, one in sorted(market.items())[:2]}
    bot = RecordedRun(short, Settings(), Config(), database, database.with_name("seed.exchange.db"))
    await bot.start()
    await bot.run()
    await bot.close()


def _fill_with_instances(database: Path, seed: Path, size: int, timers: int) -> None:
    """Copies of the real snapshots under other names; the timers of the first ones are overdue."""
    source = SqliteStore(seed, read_only=True)
    found = source.load().instances
    source.close()
    store = SqliteStore(database, durable=False)
    machine = _machine()
    commits: list[Commit] = []
    over = DEFINITION.phases["COOLDOWN"].timeout
    assert over is not None
    for number in range(size):
        stored = found[number % len(found)]
        snapshot = machine.decode(stored.snapshot)
        if number < timers:
            snapshot.phase, snapshot.timer = "COOLDOWN", Timer(over.raises, 1, snapshot.generation)
        elif snapshot.timer is not None:
            snapshot.timer = Timer(snapshot.timer.event, 2**52, snapshot.generation)
        commits.append(
            Commit(
                instance=f"S{number:06}/USD",
                machine=stored.machine,
                digest=stored.digest,
                at=stored.updated_at,
                expected_version=0,
                version=1,
                phase=snapshot.phase,
                snapshot=msgspec.json.encode(snapshot),
                audit=[],
                identities=[],
                requested=[],
                finished=[],
                portfolio=None,
            )
        )
        if len(commits) == PER_COMMIT:
            store.commit(commits)
            commits = []
    store.commit(commits)
    store.close()


def _fill_with_audit(database: Path, seed: Path, size: int) -> None:
    """The real database, with its rows over and over, each a second later than the one before."""
    for suffix in ("", "-wal"):
        if (part := seed.with_name(seed.name + suffix)).exists():
            database.with_name(database.name + suffix).write_bytes(part.read_bytes())
    with sqlite3.connect(database, isolation_level=None) as db:
        db.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(name for _, name, *_ in db.execute("PRAGMA table_info(audit)") if name not in ("seq", "at"))
        (rows, latest) = db.execute("SELECT count(*), max(at) FROM audit").fetchone()
        step = rows
        while rows < size:
            count = min(step, size - rows)
            db.execute(
                f"INSERT INTO audit (seq, at, {columns}) SELECT NULL, ? + 1000 * row_number() OVER (), {columns} "
                "FROM audit WHERE seq <= ? ORDER BY seq LIMIT ?",
                (latest, step, count),
            )
            rows, latest = rows + count, latest + 1000 * count
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _machine() -> Machine:
    rules = SizingRules(stop_pct=Settings().stop_loss_pct)
    return Machine(DEFINITION, TradingGuards({}, rules), TradingActions({}, rules), Config())


# -- what is measured in a child ---------------------------------------------------------------------------------------


class Nobody:
    """Carries out nothing: no instance here asks for anything."""

    async def nothing(self, request: Any, claim: Any) -> Any:
        await asyncio.Event().wait()

    evaluate_entry = evaluate_exit = submit_buy = submit_sell = cancel_buy = cancel_sell = nothing
    recover_submit_buy = recover_submit_sell = resolve_buy = resolve_sell = reconcile = nothing


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def _start(database: Path, size: int) -> dict[str, Any]:
    machine = _machine()
    memory, began = _resident(), time.perf_counter()
    store = SqliteStore(database)
    worker = Worker(machine, store, VirtualClock(1_700_000_000_000), Nobody(), slots=10**6)
    restart = await worker.start()
    started, held = time.perf_counter(), _resident() - memory
    fired = 0
    while count := worker.fire_timers():
        fired += count
        while await worker.pump():
            pass
    fire_s = time.perf_counter() - started
    assert not restart.quarantined
    await worker.stop()
    return {
        "start_s": started - began,
        "memory_bytes": held,
        "fired": fired,
        "fire_s": fire_s,
        "database_bytes": size,
    }


async def _audit(database: Path, size: int) -> dict[str, Any]:
    began = time.perf_counter()
    store = SqliteStore(database)
    opened = time.perf_counter()
    worker = Worker(_machine(), store, VirtualClock(1_700_000_000_000), Nobody(), slots=10**6)
    await worker.start()
    started = time.perf_counter()
    symbol = next(iter(worker.instances))
    store.audit(symbol, 20)
    looked = time.perf_counter()
    payload = DEFINITION.events["SLOT_AVAILABLE"].payload
    times = []
    for number in range(50):
        once = time.perf_counter()
        await worker.process(EventContext("SLOT_AVAILABLE", symbol, 0, payload(bar_at=number)))
        times.append(time.perf_counter() - once)
    await worker.stop()
    with sqlite3.connect(database) as db:
        (middle,) = db.execute(
            "SELECT at FROM audit ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) * 9 / 10 FROM audit)"
        ).fetchone()
    archive = database.with_suffix(".parquet")
    moving = time.perf_counter()
    moved = archive_audit(database, middle, archive)
    moved_s = time.perf_counter() - moving
    archive.unlink()
    assert moved is not None
    return {
        "database_bytes": size,
        "open_s": opened - began,
        "start_s": started - opened,
        "look_s": looked - started,
        "commit_s": sorted(times)[len(times) // 2],
        "archived_rows": moved.rows,
        "archive_bytes": moved.bytes,
        "archive_s": moved_s,
    }


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        what, database = sys.argv[2], Path(sys.argv[3])
        print(json.dumps(asyncio.run({"start": _start, "audit": _audit}[what](database, database.stat().st_size))))
    else:
        print(json.dumps(measure(os.environ.get("SCALE", "ci")), indent=1))


if __name__ == "__main__":
    main()
