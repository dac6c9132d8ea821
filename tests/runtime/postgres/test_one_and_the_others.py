"""What befalls one account, or one message, leaves the others alone."""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from random import Random
from threading import Event
from typing import Any

import psycopg
import pytest
from postgres_accounts import hold
from postgres_server import PostgresServer
from runtime_world import Hands, lab, to

from runtime.clock import SystemClock
from runtime.events import Outcome
from runtime.postgres.connection import Address, Database, connect
from runtime.postgres.inbox import InboxFeed
from runtime.postgres.lease import Lease
from runtime.postgres.leases import PostgresLeases, register
from runtime.postgres.line import Line
from runtime.postgres.store import PostgresStore
from runtime.store import Commit
from runtime.store_contract import commit_of
from runtime.worker import Worker

TTL = 2_000


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def with_leases(url: str, *accounts: str, then: Callable[[PostgresLeases, list[Lease]], Awaitable[None]]) -> None:
    """Do something with these accounts, which one worker holds."""

    async def do() -> None:
        address = Address(url)
        line, leases = Line(address, "test", 5_000), PostgresLeases(address, f"holder of {accounts}", TTL)
        await register(line, accounts)
        await line.close()
        try:
            await then(leases, await leases.take(accounts))
        finally:
            await leases.close()

    asyncio.run(do())


def test_a_slow_commit_on_one_account_costs_no_other_its_lease_nor_its_commits(url: str) -> None:
    async def then(leases: PostgresLeases, held: list[Lease]) -> None:
        with psycopg.connect(url) as slow:
            slow.execute("SELECT FROM accounts WHERE account = 'slow' FOR NO KEY UPDATE")
            renewing = asyncio.create_task(leases.renew(held, set()))
            for lease in held:
                if lease.account != "slow":
                    store = await asyncio.to_thread(PostgresStore, database, lease.account, lease)
                    await asyncio.to_thread(store.commit, [commit_of("A")])
            assert await renewing == {"before": True, "slow": False, "too": True, "zuletzt": True}
        assert await leases.renew(held, set()) == {"before": True, "slow": True, "too": True, "zuletzt": True}

    database = Database(url, "stores")
    try:
        with_leases(url, "before", "slow", "too", "zuletzt", then=then)
    finally:
        database.close()


def test_an_account_that_never_stops_committing_is_renewed(url: str) -> None:
    async def then(leases: PostgresLeases, held: list[Lease]) -> None:
        stopping = Event()

        def commit_on() -> int:
            store = PostgresStore(database, "busy", held[0])
            version = 0
            while not stopping.is_set():
                store.commit([commit_of("A", expected=version)])
                version += 1
            return version

        with ThreadPoolExecutor(1) as threads:
            committing = threads.submit(commit_on)
            try:
                for _ in range(50):
                    assert await leases.renew(held, set()) == {"busy": True}
            finally:
                stopping.set()
            assert committing.result(30) > 10

    database = Database(url, "stores")
    try:
        with_leases(url, "busy", then=then)
    finally:
        database.close()


def log_event(data: Any, event: Any, ctx: Any) -> None:
    data.log.append(event.event)


def test_who_died_before_the_servers_clock_was_set_back_is_not_waited_for(url: str) -> None:
    async def then(leases: PostgresLeases, held: list[Lease]) -> None:
        await leases.renew(held, {"before"})
        with psycopg.connect(url) as later:
            later.execute("UPDATE workers SET seen_at = seen_at + interval '1 hour'")
            later.execute("UPDATE accounts SET expires_at = expires_at + interval '1 hour'")
        other = PostgresLeases(Address(url), "other", TTL)
        try:
            census = await other.census()
            assert leases.worker not in census.workers
            assert "dead" not in census.holders
            assert [lease.account for lease in await other.take(["dead"])] == ["dead"]
        finally:
            await other.close()

    with_leases(url, "dead", then=then)


class Desk:
    """An account with one instance, and what it takes to hand messages to it."""

    def __init__(self, url: str, account: str) -> None:
        self.url, self.account = url, account
        self.address = Address(url)
        self.database = Database(url, account)
        self.lease = hold(self.database, account)
        self.store = PostgresStore(self.database, account, self.lease)
        machine = lab(
            {"A": {"GO": to(None, do=("log",)), "FILL": to(None, do=("log",)), "TROUBLE": to(None, do=("log",))}},
            actions={"log": log_event},
        )
        self.handled: list[str] = []
        self.committed = asyncio.Event()
        self.worker = Worker(
            machine,
            self.store,
            SystemClock(),
            Hands({}).handlers_for(machine),
            on_commit=self._on_commit,
        )

    def _on_commit(self, commit: Commit) -> None:
        self.handled += [row.event for row in commit.audit if row.outcome is Outcome.HANDLED]
        self.committed.set()

    async def start(self) -> None:
        await self.worker.start()
        await self.worker.create("x")

    def send(self, event: str, count: int = 1, payload: str = "{}") -> None:
        with connect(self.address, "sender") as connection, connection.pipeline():
            for _ in range(count):
                connection.execute(
                    "INSERT INTO inbox (account, instance, event, payload, at) VALUES (%s, 'x', %s, %s, 0)",
                    (self.account, event, payload.encode()),
                )

    async def has(self, *events: str) -> None:
        """Wait until exactly this has been handled."""
        async with asyncio.timeout(20):
            while tuple(self.handled) != events:
                self.committed.clear()
                await self.committed.wait()

    async def close(self) -> None:
        await self.worker.stop()
        self.database.close()


@asynccontextmanager
async def desks(url: str, *accounts: str) -> AsyncIterator[list[Desk]]:
    """Accounts to which one process hands their messages; nothing handles them yet."""
    made = [Desk(url, account) for account in accounts]
    feed = InboxFeed(Address(url), "test", SystemClock(), lambda *_: None, poll=20)
    feeding = asyncio.create_task(feed.run())
    with ExitStack() as attached:
        for one in made:
            await one.start()
            attached.enter_context(feed.attached(one.lease, one.worker))
        yield made
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    for one in made:
        await one.close()


def test_a_flood_of_messages_for_an_account_that_is_stuck_keeps_no_other_from_its_own(url: str) -> None:
    async def do() -> None:
        async with desks(url, "flooded", "quiet") as (flooded, quiet):
            flooded.send("GO", 1_200)
            quiet.send("FILL")
            running = asyncio.create_task(quiet.worker.run(asyncio.Event()))
            await quiet.has("FILL")
            running.cancel()
            running = asyncio.create_task(flooded.worker.run(asyncio.Event()))
            await flooded.has(*["GO"] * 1_200)
            running.cancel()

    asyncio.run(do())


def test_an_event_that_no_row_can_hold_fails_alone(url: str) -> None:
    """Its name is longer than what an index takes; with it in the inbox, the account could never be run again."""

    async def do() -> None:
        name = "".join(Random(1).choices(string.ascii_letters, k=5_000))
        async with desks(url, "poisoned") as (desk,):
            desk.send("GO")
            desk.send("FILL", payload=f'{{"order":"{name}"}}')
            desk.send("GO")
            running = asyncio.create_task(desk.worker.run(asyncio.Event()))
            await desk.has("GO", "TROUBLE", "GO")
            running.cancel()
            failed = [row for row in desk.store.audit("x") if row.outcome is Outcome.FAILED]
            assert [row.event for row in failed] == ["FILL"]
            assert "index row size" in failed[0].reason
            assert desk.database.execute("read", "SELECT message FROM inbox WHERE account = 'poisoned'") == []

    asyncio.run(do())
