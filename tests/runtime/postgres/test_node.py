"""Processes that share accounts, as nodes of one event loop: each with its own connections to a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from random import Random

import pytest
from postgres_server import PostgresServer  # type: ignore[import-not-found]

from runtime.clock import SystemClock
from runtime.node import News, Node, NodeSettings, Tenure, Turn
from runtime.postgres.connection import Address
from runtime.postgres.hints import follow_hints
from runtime.postgres.leases import CHANNEL, PostgresLeases, register
from runtime.postgres.line import Line

TTL = 1_000
SETTINGS = NodeSettings(ttl=TTL, pace=50, retry=200, retry_most=400, patience=2_000)
_names = count(1)


class Member:
    """A node, and what it does with its accounts: nothing, until it is told to stop."""

    def __init__(self, url: str, accounts: Iterable[str], settings: NodeSettings = SETTINGS) -> None:
        self.name = f"w{next(_names)}"
        self.running: dict[str, Tenure] = {}
        self.news: list[News] = []
        self.fails: dict[str, Exception] = {}
        self.stopping = asyncio.Event()
        clock = SystemClock()
        self.line = Line(Address(url), f"{self.name} hints", 5_000)
        self.leases = PostgresLeases(Address(url), self.name, settings.ttl)
        self.node = Node(self.leases, list(accounts), self._run, clock, Random(self.name), self.news.append, settings)
        self._hints = asyncio.create_task(follow_hints(self.line, clock, {CHANNEL: lambda _: self.node.look()}))
        self.task = asyncio.create_task(self.node.run(self.stopping))

    async def _run(self, tenure: Tenure) -> None:
        account = tenure.lease.account
        if account in self.fails:
            raise self.fails[account]
        self.running[account] = tenure
        try:
            await tenure.stopping.wait()
        finally:
            del self.running[account]

    def told(self, what: Turn, account: str = "") -> list[str]:
        return [one.text for one in self.news if one.what is what and account in ("", one.account)]

    async def stop(self) -> None:
        self.stopping.set()
        await self.task
        await self._close()

    async def _close(self) -> None:
        self._hints.cancel()
        await asyncio.gather(self._hints, self.task, return_exceptions=True)
        await self.leases.close()


class Cluster:
    def __init__(self, url: str) -> None:
        self.url = url
        self.members: list[Member] = []

    async def add(self, accounts: Iterable[str], settings: NodeSettings = SETTINGS) -> Member:
        member = Member(self.url, accounts, settings)
        self.members.append(member)
        return member

    async def register(self, *accounts: str) -> None:
        line = Line(Address(self.url), "test", 5_000)
        await register(line, accounts)
        await line.close()

    async def execute(self, query: str) -> list[tuple[object, ...]]:
        line = Line(Address(self.url), "test", 5_000)
        try:
            return await line.execute("ask", query)
        finally:
            await line.close()


@asynccontextmanager
async def cluster(url: str) -> AsyncIterator[Cluster]:
    made = Cluster(url)
    try:
        yield made
    finally:
        await asyncio.gather(*(member.stop() for member in made.members if not member.task.done()))


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def loads(*members: Member) -> list[int]:
    return [len(member.running) for member in members]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return str(postgres.new_database())


ACCOUNTS = [f"a{number}" for number in range(7)]


def test_two_share_evenly_a_third_joins_and_both_leave(url: str) -> None:
    async def main() -> None:
        async with cluster(url) as made:
            await made.register(*ACCOUNTS)
            one = await made.add(ACCOUNTS)
            await until(lambda: loads(one) == [7])
            two = await made.add(ACCOUNTS)
            await until(lambda: sorted(loads(one, two)) == [3, 4])
            assert not one.running.keys() & two.running.keys()
            stayed = set(one.running)
            three = await made.add(ACCOUNTS)
            await until(lambda: sorted(loads(one, two, three)) == [2, 2, 3])
            assert set(one.running) <= stayed, "nothing moves without need"

            loop = asyncio.get_running_loop()
            began = loop.time()
            await two.stop()
            await until(lambda: sorted(loads(one, three)) == [3, 4])
            assert loop.time() - began < TTL / 1000, "handed over, not run out"
            await one.stop()
            await until(lambda: loads(three) == [7])
            epochs = dict(await made.execute("SELECT account, epoch FROM accounts"))
            assert all(tenure.lease.epoch == epochs[account] for account, tenure in three.running.items())

    asyncio.run(main())
