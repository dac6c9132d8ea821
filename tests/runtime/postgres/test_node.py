"""Processes that share accounts, as nodes of one event loop: each with its own connections to a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from random import Random

import msgspec
import pytest
from postgres_server import PostgresServer  # type: ignore[import-not-found]

from runtime.clock import SystemClock
from runtime.errors import ConfigError, StoreFencedError
from runtime.node import News, Node, NodeSettings, Tenure, Turn
from runtime.postgres.connection import Address
from runtime.postgres.hints import follow_hints
from runtime.postgres.lease import Lease
from runtime.postgres.leases import CHANNEL, PostgresLeases, accept_failover, register
from runtime.postgres.line import Line

TTL = 1_000
SETTINGS = NodeSettings(ttl=TTL, pace=50, retry=200, retry_most=400, patience=2_000)
_names = count(1)


class CountedLeases(PostgresLeases):
    """Remembers how many accounts were taken at a time."""

    def __init__(self, address: Address, worker: str, ttl: int) -> None:
        super().__init__(address, worker, ttl)
        self.taken: list[int] = []

    async def take(self, accounts: Sequence[str]) -> list[Lease]:
        taken = await super().take(accounts)
        self.taken.append(len(taken))
        return taken


class Member:
    """A node, and what it does with its accounts: nothing, until it is told to stop."""

    def __init__(
        self, url: str, accounts: Iterable[str], settings: NodeSettings, gives_up: Callable[[Exception], bool]
    ) -> None:
        self.name = f"w{next(_names)}"
        self.running: dict[str, Tenure] = {}
        self.news: list[News] = []
        self.fails: dict[str, Exception] = {}
        self.stubborn = self.hasty = False
        self.stopping = asyncio.Event()
        clock = SystemClock()
        self.line = Line(Address(url), f"{self.name} hints", 5_000)
        self.leases = CountedLeases(Address(url), self.name, settings.ttl)
        self.node = Node(
            self.leases,
            list(accounts),
            self._run,
            clock,
            Random(self.name),
            self.news.append,
            settings,
            gives_up=gives_up,
        )
        self._hints = asyncio.create_task(follow_hints(self.line, clock, {CHANNEL: lambda _: self.node.look()}))
        self.task = asyncio.create_task(self.node.run(self.stopping))

    async def _run(self, tenure: Tenure) -> None:
        account = tenure.lease.account
        if account in self.fails:
            raise self.fails[account]
        if self.hasty:
            return
        self.running[account] = tenure
        try:
            await tenure.stopping.wait()
            if self.stubborn:
                await asyncio.Event().wait()
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
    """Nodes on a database of their own. All that is begun in a test is in one event loop."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.url = str(server.new_database())
        self.members: list[Member] = []

    async def add(
        self,
        accounts: Iterable[str],
        settings: NodeSettings = SETTINGS,
        gives_up: Callable[[Exception], bool] = lambda _: False,
    ) -> Member:
        member = Member(self.url, accounts, settings, gives_up)
        self.members.append(member)
        return member

    async def register(self, *accounts: str) -> None:
        line = Line(Address(self.url), "test", 5_000)
        await register(line, accounts)
        await line.close()

    async def accept_failover(self) -> list[str]:
        line = Line(Address(self.url), "test", 5_000)
        try:
            return await accept_failover(line)
        finally:
            await line.close()

    async def execute(self, query: str) -> list[tuple[object, ...]]:
        line = Line(Address(self.url), "test", 5_000)
        try:
            return await line.execute("ask", query)
        finally:
            await line.close()

    async def until_row(self, query: str) -> None:
        async with asyncio.timeout(10):
            while not await self.execute(query):
                pass


def with_accounts(*accounts: str) -> Callable[[Callable[[Cluster], Awaitable[None]]], Callable[[PostgresServer], None]]:
    """Play a test on a cluster whose database has these accounts, and stop the nodes that are left at its end."""

    def played(play: Callable[[Cluster], Awaitable[None]]) -> Callable[[PostgresServer], None]:
        async def on(made: Cluster) -> None:
            try:
                await made.register(*accounts)
                await play(made)
            finally:
                await asyncio.gather(*(member.stop() for member in made.members if not member.task.done()))

        def test(postgres: PostgresServer) -> None:
            asyncio.run(on(Cluster(postgres)))

        test.__doc__ = play.__doc__
        return test

    return played


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def loads(*members: Member) -> list[int]:
    return [len(member.running) for member in members]


ACCOUNTS = [f"a{number}" for number in range(7)]
MANY = [f"a{number:02}" for number in range(24)]


@with_accounts(*ACCOUNTS)
async def test_two_share_evenly_a_third_joins_and_both_leave(made: Cluster) -> None:
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


@with_accounts("good", "bad")
async def test_an_account_that_cannot_be_run_is_tried_again_and_keeps_nobody_else_waiting(made: Cluster) -> None:
    member = await made.add(["good", "bad"])
    member.fails["bad"] = ConfigError("there are no keys")
    await until(lambda: len(member.told(Turn.TROUBLE, "bad")) >= 3)
    assert "there are no keys" in member.told(Turn.TROUBLE)[0]
    assert member.told(Turn.TAKEN, "good") == ["taken, epoch 1"]
    other = await made.add(["good", "bad"])
    await until(lambda: list(other.running) == ["bad"])
    member.fails.clear()


@with_accounts("a")
async def test_an_account_that_ends_by_itself_is_not_taken_again_at_once(made: Cluster) -> None:
    member = await made.add(["a"])
    member.hasty = True
    await until(lambda: member.told(Turn.TROUBLE, "a"))
    assert "it ended and was not told to" in member.told(Turn.TROUBLE, "a")[0]
    member.hasty = False
    await until(lambda: loads(member) == [1])


@with_accounts("solo", "other")
async def test_a_node_may_give_up_with_what_an_account_failed_with(made: Cluster) -> None:
    member = await made.add(["solo", "other"], gives_up=lambda error: isinstance(error, ConfigError))
    member.fails["solo"] = ConfigError("there are no keys")
    with pytest.raises(ConfigError, match="no keys"):
        await member.task
    assert len(member.told(Turn.TAKEN, "solo")) == 1
    assert await made.execute("SELECT account FROM accounts WHERE holder IS NOT NULL") == []
    assert await made.execute("SELECT worker FROM workers") == []


@with_accounts("a", "b", "c")
async def test_who_loses_one_account_goes_on_with_the_others(made: Cluster) -> None:
    member = await made.add(["a", "b", "c"])
    await until(lambda: loads(member) == [3])
    lost = member.running["b"]
    kept = {account: member.running[account] for account in ("a", "c")}
    await made.execute("UPDATE accounts SET epoch = epoch + 1, holder = 'thief' WHERE account = 'b'")
    await until(lambda: member.told(Turn.LOST))
    assert not lost.may_act()
    assert [one.account for one in member.news if one.what is Turn.LOST] == ["b"]
    assert member.running == kept
    await until(lambda: "b" in member.running)
    assert member.running["b"].lease.epoch == 3, "taken again once the thief's lease ran out"


@with_accounts("a")
async def test_what_finds_itself_fenced_is_lost_and_not_a_failure(made: Cluster) -> None:
    member = await made.add(["a"])
    member.fails["a"] = StoreFencedError("another worker has it")
    await until(lambda: member.told(Turn.LOST, "a"))
    assert member.told(Turn.TROUBLE) == []
    member.fails.clear()


@with_accounts("a")
async def test_an_account_that_does_not_stop_is_interrupted(made: Cluster) -> None:
    member = await made.add(["a"])
    member.stubborn = True
    await until(lambda: loads(member) == [1])
    await member.stop()
    assert member.told(Turn.HANDED_OVER, "a")
    assert await made.execute("SELECT holder FROM accounts") == [(None,)]
    assert await made.execute("SELECT worker FROM workers") == []


@with_accounts("a", "b", "c", "d")
async def test_workers_that_serve_different_accounts_leave_nothing_unheld(made: Cluster) -> None:
    one = await made.add(["a", "b", "c"])
    two = await made.add(["c", "d"])
    await until(lambda: loads(one, two) == [2, 2])
    assert set(one.running) == {"a", "b"}


@with_accounts("a", "b")
async def test_a_database_with_another_history_is_not_traded_in_until_somebody_says_so(made: Cluster) -> None:
    member = await made.add(["a", "b"])
    await until(lambda: loads(member) == [2])
    await made.execute("UPDATE accounts SET timeline = 'before' WHERE account = 'a'")
    await until(lambda: member.told(Turn.LOST, "a"))
    await until(lambda: member.told(Turn.TROUBLE, "a"))
    assert "accept-failover" in member.told(Turn.TROUBLE, "a")[0]
    expired = "SELECT 1 FROM accounts WHERE account = 'a' AND expires_at < clock_timestamp() - interval '0.5 s'"
    await made.until_row(expired)
    assert list(member.running) == ["b"], "however long its lease has run out"
    assert await made.accept_failover() == ["a"]
    await until(lambda: loads(member) == [2])


@with_accounts("a")
async def test_a_promoted_standby_is_another_history(made: Cluster) -> None:
    def fail_over() -> None:
        made.server.stop()
        (made.server.folder / "data" / "standby.signal").touch()
        made.server.start()
        made.server.execute("SELECT pg_promote()")

    member = await made.add(["a"])
    await until(lambda: loads(member) == [1])
    tenure = member.running["a"]
    await asyncio.to_thread(fail_over)
    await until(lambda: any("accept-failover" in text for text in member.told(Turn.TROUBLE, "a")))
    assert not tenure.may_act()
    assert loads(member) == [0]
    assert await made.accept_failover() == ["a"]
    assert await made.accept_failover() == []
    await until(lambda: loads(member) == [1])


@with_accounts("a")
async def test_a_database_that_goes_away_is_waited_for(made: Cluster) -> None:
    member = await made.add(["a"])
    await until(lambda: loads(member) == [1])
    tenure = member.running["a"]
    made.server.kill()
    try:
        await until(lambda: not tenure.may_act())
        assert len(member.told(Turn.TROUBLE)) >= 1
    finally:
        await asyncio.to_thread(made.server.start)
    await until(lambda: member.told(Turn.WELL_AGAIN))
    await until(lambda: loads(member) == [1] and next(iter(member.running.values())).may_act())


@with_accounts(*MANY)
async def test_many_accounts_are_begun_and_handed_over_at_a_pace(made: Cluster) -> None:
    slow = msgspec.structs.replace(SETTINGS, pace=3)
    one = await made.add(MANY, slow)
    await until(lambda: loads(one) == [24])
    assert max(one.leases.taken) == 3
    two = await made.add(MANY, slow)
    await until(lambda: loads(one, two) == [12, 12])
    assert len(one.told(Turn.HANDED_OVER)) == 12
    assert max(two.leases.taken) <= 3
    assert two.told(Turn.HANDED_OVER) == []
