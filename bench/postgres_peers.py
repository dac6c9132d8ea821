"""The cycle of transitions on other durable runtimes in PostgreSQL, each as its documentation has it.

`python -m bench.postgres_peers NAME URL ORDERS`, in the peers' venv, prints transitions made and seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from eventsourcing.domain import Aggregate, event

from bench.cycle import INITIAL, STEPS, WentAstray

Made = tuple[int, float]


def harel(url: str, orders: int) -> Made:
    """Events are published before; a worker takes them, `orders` in flight, and records every step."""
    return asyncio.run(_harel(url, orders))


async def _harel(url: str, orders: int) -> Made:
    from harel import Event, definition_from_dsl
    from harel.engine.aio.distributed import AsyncDistributedRunner
    from harel.engine.aio_store import AsyncPostgresStore
    from harel.engine.aio_transport import AsyncPostgresTransport

    from bench.dispatch_peers import harel_source

    prefix = f"h{uuid4().hex[:12]}"
    store = await AsyncPostgresStore.from_dsn(url, prefix=prefix)
    transport = await AsyncPostgresTransport.from_dsn(url, prefix=prefix)
    definition = definition_from_dsl(harel_source(), "trade")
    runner = AsyncDistributedRunner(store, transport, {definition.id: definition}, trace=True)
    worker = runner.worker(concurrency=orders)
    names = [f"order-{number:03}" for number in range(orders)]
    for name in names:
        await runner.create(definition.id, execution_id=name)
    await _until_done(store, worker, names, 0)
    for _, kind, _ in STEPS:
        for name in names:
            await runner.send(name, Event(kind=kind))
    started = time.perf_counter()
    await _until_done(store, worker, names, len(STEPS))
    taken = time.perf_counter() - started
    await store.close()
    await transport.close()
    return orders * len(STEPS), taken


async def _until_done(store: Any, worker: Any, names: list[str], count: int) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    for name in names:
        # One look at a time: it is on the database that is measured.
        while (order := await store.load(name)).active_path != INITIAL or order.context["count"] != count:
            if running.done():
                raise WentAstray("harel's worker has ended")
            await asyncio.sleep(0.02)
    stop.set()
    await running


def harel_durable(url: str, orders: int) -> Made:
    """One after the other, each committed by the caller."""
    from harel import DurableRunner, Event, definition_from_dsl
    from harel.engine.store import PostgresStore

    from bench.dispatch_peers import harel_source

    definition = definition_from_dsl(harel_source(), "trade")
    store = PostgresStore.from_dsn(url, prefix=f"d{uuid4().hex[:12]}")
    runner = DurableRunner(store, {definition.id: definition}, execution="inline")
    names = [runner.create(definition.id).id for _ in range(orders)]
    started = time.perf_counter()
    for _, kind, _ in STEPS:
        for name in names:
            order = runner.process(name, Event(kind=kind))
    taken = time.perf_counter() - started
    if order.context["count"] != len(STEPS):
        raise WentAstray(f"harel made {order.context['count']} steps")
    return orders * len(STEPS), taken


class _Order(Aggregate):
    @event("Opened")
    def __init__(self) -> None:
        self.phase, self.count = INITIAL, 0

    @event("Moved")
    def move(self, what: str, to: str) -> None:
        if self.count >= 0:
            self.count += 1
            self.phase = to


def eventsourcing(url: str, orders: int) -> Made:
    """One stored event for each step, saved by the caller."""
    from eventsourcing.application import Application

    at = urlsplit(url)
    app: Any = Application(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": at.path[1:],
            "POSTGRES_HOST": at.hostname,
            "POSTGRES_PORT": str(at.port),
            "POSTGRES_USER": at.username,
            "POSTGRES_PASSWORD": "none",
        }
    )
    kept = [_Order() for _ in range(orders)]
    app.save(*kept)
    started = time.perf_counter()
    for _, what, to in STEPS:
        for order in kept:
            order.move(what, to)
            app.save(order)
    taken = time.perf_counter() - started
    app.close()
    if any(order.phase != INITIAL or order.count != len(STEPS) for order in kept):
        raise WentAstray(f"eventsourcing ends in {[order.phase for order in kept]}")
    return orders * len(STEPS), taken


PEERS: dict[str, Callable[[str, int], Made]] = {
    "harel": harel,
    "harel-durable": harel_durable,
    "eventsourcing": eventsourcing,
}

if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
