"""A worker process that shares accounts, small enough to be started, stopped and killed by the dozen.

Its machine places an order for each GO. The exchange is a table beside the bot's. Like the worst of the real ones it
forgets the ids of what it has filled, so that whatever comes in time is carried out once more; what comes after its
deadline is refused.

    python sharing_process.py URL ACCOUNT[,ACCOUNT...] [MOMENT:SIGNAL]

It tells each change as a line on standard output, and sends itself the signal when the moment first comes: `commit`
(the one that answers a message), `send` (before an order leaves), `sent` (after it was carried out).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from runtime_world import Done, Hands, LabConfig, effect, lab, to  # type: ignore[import-not-found]

from runtime.clock import SystemClock
from runtime.definition import EffectClass, OnRestore, PhaseDefinition, Timeout
from runtime.effects import Claim
from runtime.machine import Machine
from runtime.node import News, Node, NodeSettings, Tenure
from runtime.postgres import inbox, leases
from runtime.postgres.connection import Address, Database
from runtime.postgres.hints import follow_hints
from runtime.postgres.inbox import InboxFeed
from runtime.postgres.leases import PostgresLeases, register
from runtime.postgres.line import Line
from runtime.postgres.store import PostgresStore
from runtime.store import Commit
from runtime.worker import Worker

TTL = 1_000
SETTINGS = NodeSettings(ttl=TTL, pace=50, retry=200, retry_most=400, patience=2_000)
GRACE = 300
"""Milliseconds after its deadline at which an order that is not shown will never come."""

EXCHANGE = """
CREATE TABLE IF NOT EXISTS orders (id text, attempt bigint, pid int, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS late (id text, attempt bigint, pid int);
"""


def log_note(data: Any, event: Any, ctx: Any) -> None:
    data.log.append(event.note)


def make_machine() -> Machine:
    """In A, a GO asks for one order; DONE says what became of it. BACK starts a timer of a second in B."""
    return lab(
        {
            "A": {
                "GO": to(None, request=("place",), do=("note",)),
                "DONE": to(None, do=("note",)),
                "BACK": to("B"),
            },
            "B": {"TICK": to("A", do=("ticked",))},
        },
        phases={"B": PhaseDefinition(timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE))},
        actions={"note": log_note},
        effects={"place": effect(EffectClass.AT_MOST_ONCE)},
        config=LabConfig(window=2_000),
    )


class Moments:
    def __init__(self, text: str) -> None:
        self._moment, _, name = text.partition(":")
        self._signal = getattr(signal, name) if name else None

    def reach(self, moment: str) -> None:
        if moment == self._moment and self._signal is not None:
            self._moment = ""
            os.kill(os.getpid(), self._signal)


class Exchange:
    """Carries out whatever comes before its deadline, however often."""

    def __init__(self, url: str, moments: Moments, clock: SystemClock) -> None:
        self._url = url
        self._moments = moments
        self._clock = clock

    async def place(self, request: Any, claim: Claim) -> Done:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            self._moments.reach("send")
            cursor = await connection.execute(
                "WITH came AS (SELECT %s AS id, %s AS attempt, %s AS pid, "
                "    extract(epoch FROM clock_timestamp()) * 1000 < %s AS in_time), "
                "late AS (INSERT INTO late SELECT id, attempt, pid FROM came WHERE NOT in_time) "
                "INSERT INTO orders SELECT id, attempt, pid FROM came WHERE in_time",
                (claim.intent_id, claim.attempt, os.getpid(), claim.deadline),
            )
            if cursor.rowcount:
                self._moments.reach("sent")
                return Done(note="carried out")
        return Done(note="refused: too late")

    async def recover_place(self, request: Any, claim: Claim) -> Done | None:
        await self._clock.sleep_until(claim.deadline + GRACE)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            cursor = await connection.execute("SELECT 1 FROM orders WHERE id = %s", (claim.intent_id,))
            return Done(note="found") if await cursor.fetchone() else None


async def main(url: str, accounts: list[str], moments: Moments) -> None:
    name = f"p{os.getpid()}"
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    clock = SystemClock()
    database = Database(url, name, connections=2)
    address = Address(url)
    line, hints = Line(address, name, 5_000), Line(address, name, 5_000)
    await register(line, accounts)
    feed = InboxFeed(address, name, clock, lambda *told: say("message", *told), poll=200)
    owned = PostgresLeases(address, name, TTL)

    async def run_account(tenure: Tenure) -> None:
        account = tenure.lease.account
        exchange = Exchange(url, moments, clock)
        hands = Hands({"place": exchange.place, "recover_place": exchange.recover_place})
        machine = make_machine()

        def on_commit(commit: Commit) -> None:
            if commit.answered:
                moments.reach("commit")

        store = await asyncio.to_thread(PostgresStore, database, account, tenure.lease, patience=TTL / 1000)
        worker = Worker(machine, store, clock, hands.handlers_for(machine), on_commit=on_commit)
        try:
            await worker.start()
            if "x" not in worker.instances:
                await worker.create("x")
            say("runs", account, str(tenure.lease.epoch))
            with feed.attached(tenure.lease, worker):
                await worker.run(tenure.stopping)
        finally:
            await worker.stop()

    def told(news: News) -> None:
        say(news.what.value, news.account, news.text)

    node = Node(owned, accounts, run_account, clock, Random(), told, SETTINGS)
    listeners = {leases.CHANNEL: lambda _: node.look(), inbox.CHANNEL: feed.hint}
    helpers = [asyncio.create_task(follow_hints(hints, clock, listeners)), asyncio.create_task(feed.run())]
    try:
        await node.run(stopping)
    finally:
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await owned.close()
        await line.close()
        database.close()


def say(*parts: str) -> None:
    print("\t".join(parts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2].split(","), Moments(sys.argv[3] if len(sys.argv) > 3 else "")))
