"""The same order job for other durable runtimes, each as its documentation has it. Runs in the peers' venv."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid5

from dbos import DBOS, DBOSConfig
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from harel import DurableRunner, Event, SqliteStore, definition_from_dsl

from bench.cycle import WentAstray
from bench.dispatch_ours import Work
from bench.dispatch_peers import harel_source
from bench.durable_ours import BATCH, LAST, ORDER, fresh_folder, in_batches, names, steps

VERSIONS = {name: version(name) for name in ("dbos", "eventsourcing", "harel", "msgspec")}


# -- harel: one commit per event; state, outbox, timers and the events seen go into it -------------------------------


def _harel(orders: int) -> Work:
    definition = definition_from_dsl(harel_source(), "trade")
    runner = DurableRunner(SqliteStore(fresh_folder() / "harel.db"), {definition.id: definition}, execution="inline")
    for name in names(orders):
        runner.create(definition.id, execution_id=name)
    events = [(ctx.instance, Event(kind=ctx.event)) for ctx in steps(orders)]

    def work() -> None:
        for name, one in events:
            order = runner.process(name, one)
            if order.context["count"] == len(ORDER) and order.active_path != LAST:
                raise WentAstray(f"harel left {name} in {order.active_path}")
        if order.context["count"] != len(ORDER):
            raise WentAstray(f"harel left {name} after {order.context['count']} steps")

    return work


# -- eventsourcing: one stored event per step --------------------------------------------------------------------------


class _Order(Aggregate):
    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name, self.phase, self.count = name, ORDER[0][0], 0

    @staticmethod
    def create_id(name: str) -> UUID:
        return uuid5(UUID(int=0), name)

    @event("Moved")
    def move(self, what: str, to: str) -> None:
        if self.count >= 0:
            self.count += 1
            self.phase = to


def _eventsourcing(orders: int, *, batch: int) -> Work:
    path = fresh_folder() / "eventsourcing.db"
    app: Any = Application({"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})
    kept = {name: _Order(name) for name in names(orders)}
    app.save(*kept.values())
    targets = {(number, what): to for number, (_, what, to) in enumerate(ORDER)}

    def work() -> None:
        for group in in_batches(steps(orders), batch):
            moved = [kept[ctx.instance] for ctx in group]
            for order, ctx in zip(moved, group, strict=True):
                order.move(ctx.event, targets[ctx.payload.trade, ctx.event])  # type: ignore[attr-defined]
            app.save(*moved)
        app.close()
        db = sqlite3.connect(path)
        stored = db.execute("SELECT count(*) FROM stored_events").fetchone()[0]
        db.close()
        if stored != orders * (len(ORDER) + 1) or any(order.phase != LAST for order in kept.values()):
            raise WentAstray(f"eventsourcing has stored {stored} events")

    return work


# -- dbos: a workflow of six steps, each recorded when it is done ------------------------------------------------------

_done: dict[str, int] = {}


@DBOS.step()
def _step(name: str, number: int) -> str:
    if _done.get(name, 0) >= 0:
        _done[name] = _done.get(name, 0) + 1
    return ORDER[number][2]


@DBOS.workflow()
def _order(name: str) -> str:
    phase = ORDER[0][0]
    for number in range(len(ORDER)):
        phase = _step(name, number)
    return phase


def launch_dbos() -> Callable[[], None]:
    """Start dbos on a database of its own; returns what ends it."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
    os.environ.setdefault("DBOS__APPVERSION", "bench")
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{fresh_folder() / 'dbos.db'}",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    DBOS(config=config)
    DBOS.launch()
    return DBOS.destroy


def _dbos(orders: int) -> Work:
    def work() -> None:
        for name in names(orders):
            if _order(name) != LAST:
                raise WentAstray(f"dbos left {name}")

    return work


PEERS: dict[str, tuple[Callable[[int], Work], int]] = {
    "harel": (_harel, 1),
    "eventsourcing": (lambda orders: _eventsourcing(orders, batch=1), 1),
    f"eventsourcing, {BATCH} in a transaction": (lambda orders: _eventsourcing(orders, batch=BATCH), 1),
    "dbos": (_dbos, 10),
}
"""What does the job, and by how much fewer orders are enough for it."""

DURABILITY = {
    "harel": "WAL, synchronous=FULL",
    "eventsourcing": "WAL, synchronous=FULL",
    "dbos": "rollback journal, synchronous=FULL",
}
