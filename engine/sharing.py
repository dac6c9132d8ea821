"""A process that shares accounts with others: its part of the database, and a live bot for each account it holds."""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import chain, repeat
from random import Random
from typing import TypeVar

import msgspec

from engine.ccxt_exchange import CcxtMarket
from engine.live_account import Account, Mode, check_account, decode_account, mark
from engine.live_bot import Plan, open_bot
from engine.live_notices import Notice, Tell, What, clause
from engine.live_run import LiveRun
from engine.stores import ACCOUNT
from runtime.clock import Clock, SystemClock
from runtime.errors import StoreAwayError, StoreError, StoreIntegrityError
from runtime.node import News, Node, NodeSettings, RunAccount, Tenure, Turn
from runtime.postgres import inbox, leases
from runtime.postgres.connection import Database
from runtime.postgres.hints import follow_hints
from runtime.postgres.inbox import InboxFeed
from runtime.postgres.leases import PostgresLeases, register
from runtime.postgres.line import Line
from runtime.postgres.store import PostgresStore

AnswerT = TypeVar("AnswerT")
Prepare = Callable[[LiveRun], Awaitable[object]]

_PAUSES = (500, 1_000, 2_000, 5_000)
"""Pauses (ms) between two tries to reach a database that is away, the last one for ever."""

_WHAT = {
    Turn.TAKEN: What.NOTE,
    Turn.HANDED_OVER: What.NOTE,
    Turn.WAITING: What.NOTE,
    Turn.LOST: What.TROUBLE,
    Turn.TROUBLE: What.TROUBLE,
    Turn.WELL_AGAIN: What.WELL_AGAIN,
}


def worker_name(name: str | None) -> str:
    """A name that no other process has: `name`, by default the machine's, and what makes it unique."""
    return f"{name or socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Sharing:
    """What a process needs of the database that it shares: a few connections, whatever the number of accounts.

    Args:
        ttl: milliseconds that a lease lasts. All processes should have the same.
    """

    def __init__(self, database: Database, worker: str, ttl: int, tell: Tell) -> None:
        self.database = database
        self.worker = worker
        self._ttl = ttl
        self._tell = tell
        self._clock = SystemClock()
        self._markets: dict[tuple[str, Mode, str], CcxtMarket] = {}
        self._line = Line(database.address, f"{worker} accounts", patience=10_000)
        self._listening = Line(database.address, f"{worker} hints", patience=10_000)
        self._leases = PostgresLeases(database.address, worker, ttl)
        self._feed = InboxFeed(database.address, worker, self._clock, self._told_of_message)

    async def beyond(self, accounts: Iterable[str]) -> list[str]:
        """The database's accounts that are none of these, as far as it answers."""
        query = "SELECT account FROM accounts WHERE account <> ALL (%s) ORDER BY account"
        try:
            return [account for (account,) in await self._line.execute("read the accounts", query, [list(accounts)])]
        except StoreAwayError:
            return []

    async def hold(
        self,
        accounts: Sequence[str],
        run_account: RunAccount,
        stopping: asyncio.Event,
        *,
        gives_up: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        """Hold a fair share of the accounts until `stopping` is set."""

        async def registered() -> bool:
            await register(self._line, accounts)
            return True

        if not await patiently(registered, self._clock, self._tell, stopping):
            return
        settings = NodeSettings(ttl=self._ttl)
        node = Node(self._leases, accounts, run_account, self._clock, Random(), self._told, settings, gives_up=gives_up)
        listeners = {leases.CHANNEL: lambda _: node.look(), inbox.CHANNEL: self._feed.hint}
        helpers = [
            asyncio.create_task(follow_hints(self._listening, self._clock, listeners)),
            asyncio.create_task(self._feed.run()),
        ]
        work = asyncio.create_task(node.run(stopping))
        try:
            await asyncio.wait((work, *helpers), return_when=asyncio.FIRST_COMPLETED)
            stopping.set()
            await work
        finally:
            for task in helpers:
                task.cancel()
            ended = await asyncio.gather(*helpers, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def run_bot(self, plan: Plan, tenure: Tenure, prepare: Prepare) -> list[tuple[str, str]]:
        """Trade on an account until its tenure ends. Returns the orders that may be live at the exchange then.

        Raises:
            StoreFencedError: the account is another worker's by now.
            PhasewrightError: it cannot be traded, or not any longer.
        """
        account = tenure.lease.account
        place = f"{self.database.address}, account {account}"
        await self._refuse_known_key(account, plan.account)
        store = await asyncio.to_thread(PostgresStore, self.database, account, tenure.lease, patience=self._ttl / 1000)
        try:
            await asyncio.to_thread(check_account, store, place, plan.account, new_key=plan.options.new_key)
            bot = open_bot(plan, store, self.tell_of(account), tenure.may_act, self._market(plan.account))
        except BaseException:
            store.close()
            raise
        try:
            if not await _before(tenure.stopping, prepare(bot)):
                return []
            try:
                await asyncio.to_thread(mark, store, plan.account)
            except StoreIntegrityError:  # another account has been marked so since it was asked for
                await self._refuse_known_key(account, plan.account)
                raise
            opening = plan.opening(f"phasewright status --db {self.database.address} --account {account}")
            self.tell_of(account)(Notice(bot.clock.now(), What.STARTED, "", "", opening))
            await bot.start()
            with self._feed.attached(tenure.lease, bot.worker):
                await bot.run(tenure.stopping, tenure.may_act)
            return bot.live_orders()
        finally:
            await bot.close()

    def _market(self, account: Account) -> CcxtMarket:
        place = account.exchange, account.mode, account.url
        if place not in self._markets:
            sandbox = account.mode is Mode.SANDBOX
            self._markets[place] = CcxtMarket(account.exchange, self._clock, sandbox=sandbox, url=account.url or None)
        return self._markets[place]

    async def _refuse_known_key(self, account: str, mine: Account) -> None:
        rows = await self._line.execute(
            "read whose accounts these are",
            "SELECT account, value FROM labels WHERE key = %s AND account <> %s",
            (ACCOUNT, account),
        )
        for other, label in rows:
            known = decode_account(label)
            if (known.exchange, known.mode, known.key) == (mine.exchange, mine.mode, mine.key):
                raise StoreError(
                    f"account {account} has the API key of account {other}. Two sets of books for one purse would take "
                    "each other's trades for losses. Give each the key of an exchange account of its own."
                )

    def tell_of(self, account: str) -> Tell:
        """Takes what there is to tell of one account."""
        return lambda notice: self._tell(msgspec.structs.replace(notice, account=account))

    def _told(self, news: News) -> None:
        self.tell_of(news.account)(Notice(self._clock.now(), _WHAT[news.what], "", "", news.text))

    def _told_of_message(self, account: str, symbol: str, text: str) -> None:
        self.tell_of(account)(Notice(self._clock.now(), What.TROUBLE, symbol, "", text))

    async def close(self) -> None:
        """Let every connection go."""
        for market in self._markets.values():
            await market.close()
        await self._leases.close()
        await self._line.close()
        await asyncio.to_thread(self.database.close)


@asynccontextmanager
async def sharing(
    url: str, name: str | None, ttl: int, tell: Tell, stopping: asyncio.Event, *, connections: int
) -> AsyncIterator[Sharing | None]:
    """Share the database at `url` with other processes. One that does not answer is waited for; None when told to stop
    before it did.

    Raises:
        StoreError: it refuses this user, or has other tables than this program knows.
    """
    worker = worker_name(name)
    # It takes seconds, in which no lease would be renewed if it were done for the first account.
    importlib.import_module("ccxt.pro")

    async def reach() -> Database:
        return await asyncio.to_thread(Database, url, worker, connections=connections)

    database = await patiently(reach, SystemClock(), tell, stopping)
    if database is None:
        yield None
        return
    shared = Sharing(database, worker, ttl, tell)
    try:
        yield shared
    finally:
        await shared.close()


async def patiently(
    ask: Callable[[], Awaitable[AnswerT]], clock: Clock, tell: Tell, stopping: asyncio.Event
) -> AnswerT | None:
    """What `ask` returns, asked again as long as the database is away; None when told to stop before it answered."""
    told = ""
    for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
        try:
            answer = await ask()
        except StoreAwayError as error:
            if str(error) != told:
                told = str(error)
                text = f"{clause(told)}. Waiting for it; nothing is traded from here meanwhile (Ctrl-C ends)"
                tell(Notice(clock.now(), What.TROUBLE, "", "", text))
            if not await _before(stopping, clock.sleep_until(clock.now() + pause)):
                return None
        else:
            if told:
                tell(Notice(clock.now(), What.WELL_AGAIN, "", "", "the database answers"))
            return answer
    raise AssertionError


async def _before(stopping: asyncio.Event, work: Awaitable[object]) -> bool:
    """Whether `work` is done before `stopping` is set; if not, it is interrupted."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return not stopping.is_set()
    finally:
        stop.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
