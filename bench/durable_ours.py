"""Six steps of each order made durable: by hand in SQLite, and by us."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.cycle import STEPS, WentAstray
from bench.dispatch_ours import Report, Work, cycle_machine, dispatcher
from bench.peers import ROOT
from runtime.clock import SystemClock
from runtime.dispatch import Instance
from runtime.events import EventContext
from runtime.sqlite_store import SqliteStore
from runtime.store import Commit
from runtime.worker import Worker

ORDER = STEPS[:6]
BATCH = 100
IN_FLIGHT = 32
LAST = ORDER[-1][2]
ItemT = TypeVar("ItemT")


def fresh_folder() -> Path:
    """An empty folder on the disk that holds the project: what is measured is its fsync."""
    var = ROOT / "var" / "bench"
    var.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=var))


def names(orders: int) -> list[str]:
    return [f"ORDER-{number:04}" for number in range(orders)]


def steps(orders: int) -> list[EventContext]:
    """The first step of every order, then the second of each, and so on."""
    return [
        EventContext(event, name, 1000 * number, Report(order_id=name, trade=number))
        for number, (_, event, _) in enumerate(ORDER)
        for name in names(orders)
    ]


def in_batches(items: list[ItemT], size: int) -> Iterator[list[ItemT]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def check_rows(path: Path, orders: int) -> None:
    """Raise WentAstray unless the database says that all of it happened."""
    db = sqlite3.connect(path)
    counts = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("instances", "identities")]
    counts.append(db.execute("SELECT count(*) FROM audit WHERE event != ''").fetchone()[0])
    done = db.execute("SELECT count(*) FROM instances WHERE phase = ?", (LAST,)).fetchone()[0]
    db.close()
    wanted = [orders, orders * len(ORDER), orders * len(ORDER), orders]
    if [*counts, done] != wanted:
        raise WentAstray(f"{path} has {[*counts, done]} rows, not {wanted}")


# -- by hand -------------------------------------------------------------------------------------------------------

_UPDATE = (
    "UPDATE instances SET machine = ?, digest = ?, version = ?, phase = ?, updated_at = ?, snapshot = ? "
    "WHERE instance = ? AND version = ?"
)
_AUDIT = "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_IDENTITY = "INSERT INTO identities VALUES (?, ?, ?, ?)"


def by_hand(orders: int, *, batch: int) -> Work:
    """The same rows in the same tables, all values worked out beforehand, each order's version checked."""
    path = fresh_folder() / "orders.db"
    instances = _created(path, orders)
    process = dispatcher().process
    rows = []
    for ctx in steps(orders):
        _, (commit,) = process(instances[ctx.instance], ctx, ctx.at)
        rows.append(_values(commit))

    def work() -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")
        if batch == 1:
            for update, audit, identity in rows:
                db.execute("BEGIN IMMEDIATE")
                if db.execute(_UPDATE, update).rowcount != 1:
                    raise WentAstray(f"{update[-2:]} is not there")
                db.execute(_AUDIT, audit)
                db.execute(_IDENTITY, identity)
                db.execute("COMMIT")
        else:
            for group in in_batches(rows, batch):
                db.execute("BEGIN IMMEDIATE")
                if db.executemany(_UPDATE, [update for update, _, _ in group]).rowcount != len(group):
                    raise WentAstray("a version is not there")
                db.executemany(_AUDIT, [audit for _, audit, _ in group])
                db.executemany(_IDENTITY, [identity for _, _, identity in group])
                db.execute("COMMIT")
        db.close()
        check_rows(path, orders)

    return work


def _values(commit: Commit) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    (row,), ((identity, receipt),) = commit.audit, commit.identities
    values = [" ".join(value) if isinstance(value, tuple) else value for value in msgspec.structs.astuple(row)]
    update = (commit.machine, commit.digest, commit.version, commit.phase, commit.at, commit.snapshot)
    return (
        (*update, commit.instance, commit.expected_version),
        tuple(values),
        (commit.instance, identity, commit.at, msgspec.json.encode(receipt)),
    )


# -- ours ----------------------------------------------------------------------------------------------------------


def _created(path: Path, orders: int) -> dict[str, Instance]:
    """A store with every order in its first phase."""
    machine, process = cycle_machine(), dispatcher()
    instances = {name: Instance(name, machine, machine.new_snapshot(0), 0) for name in names(orders)}
    store = SqliteStore(path)
    store.commit([process.create(instance, 0) for instance in instances.values()])
    store.close()
    return instances


def ours(orders: int, *, batch: int) -> Work:
    """Dispatched and committed by the store, `batch` events in a transaction."""
    path = fresh_folder() / "orders.db"
    instances = _created(path, orders)
    store, process = SqliteStore(path), dispatcher().process
    events = steps(orders)

    def work() -> None:
        for group in in_batches(events, batch):
            commits: list[Commit] = []
            for ctx in group:
                commits += process(instances[ctx.instance], ctx, ctx.at)[1]
            store.commit(commits)
        store.close()
        check_rows(path, orders)

    return work


class _NoEffects:
    pass


def through_the_worker(orders: int, *, in_flight: int) -> Work:
    """Sent to a worker by as many tasks as may be in flight, each waiting for its receipt before it sends the next."""
    path = fresh_folder() / "orders.db"
    _created(path, orders)
    waiting = [[ctx for ctx in steps(orders) if ctx.instance == name] for name in names(orders)]

    async def carry_out() -> None:
        worker = Worker(cycle_machine(), SqliteStore(path), SystemClock(), _NoEffects())
        await worker.start()
        stopping = asyncio.Event()
        running = asyncio.create_task(worker.run(stopping))

        async def client() -> None:
            while waiting:
                for ctx in waiting.pop():
                    await worker.post(ctx)

        await asyncio.gather(*(client() for _ in range(in_flight)))
        stopping.set()
        await running
        await worker.stop()

    def work() -> None:
        asyncio.run(carry_out())
        check_rows(path, orders)

    return work


CASES: dict[str, Callable[[int], Work]] = {
    "sqlite3 by hand": lambda orders: by_hand(orders, batch=1),
    "phasewright": lambda orders: ours(orders, batch=1),
    "phasewright's worker, 1 in flight": lambda orders: through_the_worker(orders, in_flight=1),
    f"sqlite3 by hand, {BATCH} in a transaction": lambda orders: by_hand(orders, batch=BATCH),
    f"phasewright, {BATCH} in a transaction": lambda orders: ours(orders, batch=BATCH),
    f"phasewright's worker, {IN_FLIGHT} in flight": lambda orders: through_the_worker(orders, in_flight=IN_FLIGHT),
}
