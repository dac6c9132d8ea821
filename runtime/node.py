"""One process of many that share accounts: it says that it is alive, takes its share of the accounts, renews what it
holds, hands over what is beyond its share, and lets go of what it has lost.

A lease keeps two workers from an account only as far as clocks and networks allow; it is the database that refuses
whatever a worker without a lease wants to write. Nothing here knows what is done with an account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from enum import StrEnum
from random import Random
from typing import Protocol

import msgspec

from runtime.assignment import assign
from runtime.clock import Clock
from runtime.errors import PhasewrightError, StoreError, StoreFencedError
from runtime.postgres.lease import Lease


class Census(msgspec.Struct, frozen=True):
    """Who is alive and who holds what, as the database has it at one instant.

    `workers` has the accounts that each worker which is alive can serve now; `holders` the worker of each account whose
    lease has not run out. `strayed` are accounts that nobody may take, because the database is another one than they
    were last held in.
    """

    workers: Mapping[str, Set[str]]
    holders: Mapping[str, str]
    strayed: Set[str] = frozenset()


class Leases(Protocol):
    """The leases of one worker. Every method may raise StoreError: the database gives no answer."""

    worker: str

    async def renew(self, held: Sequence[Lease], serves: Set[str]) -> Mapping[str, bool]:
        """Say that the worker is alive and can serve these accounts, and renew what it holds. Returns the accounts that
        are still its own; with False, those whose leases are as old as they were, because a commit takes so long."""
        ...

    async def census(self) -> Census:
        """Who is alive, and who holds what."""
        ...

    async def take(self, accounts: Sequence[str]) -> list[Lease]:
        """Take those that nobody holds."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give one up, and let the others know. What is another's by now is left alone."""
        ...

    async def leave(self) -> None:
        """Say that the worker takes part no more."""
        ...


class Tenure:
    """An account while this process holds it."""

    def __init__(self, lease: Lease, clock: Clock, until: int) -> None:
        self.lease = lease
        self.stopping = asyncio.Event()
        self._clock = clock
        self._until = until

    def may_act(self) -> bool:
        """Whether the lease is certainly alive, as far as this process can tell without asking: it counts from before
        the database was asked to renew it."""
        return self._clock.now() < self._until

    def renewed(self, until: int) -> None:
        self._until = until

    def lost(self) -> None:
        self._until = 0
        self.stopping.set()


class Turn(StrEnum):
    """What a node tells of."""

    TAKEN = "taken"
    HANDED_OVER = "handed over"
    LOST = "lost"
    TROUBLE = "trouble"
    WAITING = "waiting"
    WELL_AGAIN = "well again"


class News(msgspec.Struct, frozen=True):
    """What became of an account, or of all of them when `account` is empty."""

    what: Turn
    account: str
    text: str


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in milliseconds.

    `ttl` is after how long without a word from its worker an account is another's. `pace` is how many accounts are
    begun, and how many handed over, in one turn. After a failure an account is left alone for `retry`, then twice as
    long, up to `retry_most`. `patience` is how long an account that was told to stop may take before it is
    interrupted.
    """

    ttl: int = 15_000
    pace: int = 4
    retry: int = 2_000
    retry_most: int = 60_000
    patience: int = 10_000


RunAccount = Callable[[Tenure], Awaitable[None]]


class _Held:
    def __init__(self, tenure: Tenure) -> None:
        self.tenure = tenure
        self.task: asyncio.Task[None]
        self.ending: asyncio.Task[None] | None = None
        self.interrupted = False


class Node:
    """Runs accounts as long as it holds them.

    Args:
        accounts: those that this process can serve.
        run_account: does the work of an account until `stopping` of its tenure is set, and has let go of everything
            when it returns. It raises StoreFencedError when it finds that the account is another's.
        clock: must not be set while the node runs.
        random: spreads what many processes would else do at the same instant.
        tell: is told what happens; it must not wait.
        gives_up: whether a failure of an account is the end of the node; by default it is told, and the account tried
            again later, by this worker or another.
    """

    def __init__(
        self,
        leases: Leases,
        accounts: Sequence[str],
        run_account: RunAccount,
        clock: Clock,
        random: Random,
        tell: Callable[[News], None],
        settings: NodeSettings = NodeSettings(),  # noqa: B008
        *,
        gives_up: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self.settings = settings
        self._leases = leases
        self._accounts = frozenset(accounts)
        self._run_account = run_account
        self._clock = clock
        self._random = random
        self._tell = tell
        self._gives_up = gives_up
        self._held: dict[str, _Held] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._due = asyncio.Event()
        self._fatal: Exception | None = None

    @property
    def holds(self) -> set[str]:
        """The accounts that it holds at present."""
        return set(self._held)

    def look(self) -> None:
        """Take the next turn now: something has changed."""
        self._due.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Hold accounts until `stopping` is set, then hand all of them over.

        Raises:
            Exception: what an account failed with, if `gives_up` says so.
        """
        stop = asyncio.create_task(self._look_when(stopping))
        try:
            while not stopping.is_set() and self._fatal is None:
                self._due.clear()
                pause = await self._turn()
                await self._wait(pause)
        finally:
            stop.cancel()
            await self._leave()
        if self._fatal is not None:
            raise self._fatal

    async def _look_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.look()

    async def _wait(self, milliseconds: int) -> None:
        waits = [
            asyncio.ensure_future(self._due.wait()),
            asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + milliseconds)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    # -- a turn ----------------------------------------------------------------------------------------------------

    async def _turn(self) -> int:
        """Renew, and take and hand over what the share asks for. Returns after how many milliseconds to come again."""
        try:
            more = await self._renew_and_share()
        except StoreError as error:
            self._told_once("database", Turn.TROUBLE, "", str(error))
            return self._about(self.settings.ttl // 12)
        self._well("database", "the database answers again")
        return self._about(self.settings.ttl // (30 if more else 3))

    def _about(self, milliseconds: int) -> int:
        return max(1, int(milliseconds * self._random.uniform(0.7, 1.0)))

    async def _renew_and_share(self) -> bool:
        """Whether there is more to do than one turn may."""
        serves = self._serves()
        await self._renew(serves)
        census = await self._leases.census()
        self._tell_strayed(census)
        target = assign(census.workers, census.holders)
        mine = {account for account, worker in target.items() if worker == self._leases.worker}
        beyond = sorted(
            account
            for account, held in self._held.items()
            if account in target and account not in mine and not held.tenure.stopping.is_set()
        )
        for account in beyond[: self.settings.pace]:
            self._end(self._held[account])
        # Asked for anew: an account may have failed while the database was asked.
        wanted = sorted(mine & self._serves() - self._held.keys()) if self._fatal is None else []
        self._random.shuffle(wanted)
        await self._take(wanted[: self.settings.pace])
        self._tell_waiting(census)
        return len(beyond) > self.settings.pace or len(wanted) > self.settings.pace

    def _serves(self) -> set[str]:
        now = self._clock.now()
        return {account for account in self._accounts if self._not_before.get(account, 0) <= now}

    async def _renew(self, serves: Set[str]) -> None:
        asked_at = self._clock.now()
        held = dict(self._held)
        still = await self._leases.renew([one.tenure.lease for one in held.values()], serves)
        for account, one in held.items():
            if account in still:
                if still[account]:
                    one.tenure.renewed(asked_at + self.settings.ttl)
            elif self._held.get(account) is one:
                one.tenure.lost()
                self._end(one)

    async def _take(self, accounts: Sequence[str]) -> None:
        if not accounts:
            return
        asked_at = self._clock.now()
        for lease in await self._leases.take(accounts):
            tenure = Tenure(lease, self._clock, asked_at + self.settings.ttl)
            held = self._held[lease.account] = _Held(tenure)
            held.task = asyncio.create_task(self._hold(held), name=f"account {lease.account}")

    # -- one account -----------------------------------------------------------------------------------------------

    async def _hold(self, held: _Held) -> None:
        tenure, account = held.tenure, held.tenure.lease.account
        began = self._clock.now()
        self._tell(News(Turn.TAKEN, account, f"taken, epoch {tenure.lease.epoch}"))
        self._told.pop("waiting", None)
        failure: Exception | None = None
        try:
            await self._run_account(tenure)
            if not tenure.stopping.is_set():
                failure = RuntimeError("it ended and was not told to")
        except asyncio.CancelledError:
            if not held.interrupted:
                raise
        except Exception as error:
            failure = error
        if self._clock.now() - began > self.settings.retry_most:
            self._failures.pop(account, None)
        try:
            await self._give_back(tenure, failure)
        finally:
            del self._held[account]
            self.look()

    async def _give_back(self, tenure: Tenure, failure: Exception | None) -> None:
        account = tenure.lease.account
        if isinstance(failure, StoreFencedError) or (failure is None and not tenure.may_act()):
            why = str(failure) if failure is not None else "its lease ran out"
            self._tell(News(Turn.LOST, account, f"another worker has it, or may have it: {why}"))
            return
        if failure is not None:
            self._failed(account, failure)
        with suppress(StoreError):  # it runs out by itself then
            await self._leases.release(tenure.lease)
        if failure is None:
            self._tell(News(Turn.HANDED_OVER, account, "handed over"))

    def _failed(self, account: str, failure: Exception) -> None:
        if self._gives_up(failure):
            self._fatal = failure
            return
        times = self._failures[account] = self._failures.get(account, 0) + 1
        pause = self._about(min(self.settings.retry << min(times - 1, 20), self.settings.retry_most))
        self._not_before[account] = self._clock.now() + pause
        text = str(failure) if isinstance(failure, PhasewrightError) else f"this is a defect: {failure!r}"
        self._tell(
            News(Turn.TROUBLE, account, f"{text} Tried again in {pause / 1000:.0f} s, here or by another worker.")
        )

    def _end(self, held: _Held) -> asyncio.Task[None]:
        """Tell an account to stop. The task is done when it has, and has been given back."""
        held.tenure.stopping.set()
        if held.ending is None:
            held.ending = asyncio.create_task(self._ended(held))
        return held.ending

    async def _ended(self, held: _Held) -> None:
        """Wait until an account has stopped; if it does not for long, interrupt it."""
        alarm = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + self.settings.patience))
        await asyncio.wait((held.task, alarm), return_when=asyncio.FIRST_COMPLETED)
        alarm.cancel()
        if not held.task.done():
            held.interrupted = True
            held.task.cancel()
            await asyncio.wait((held.task,))

    async def _leave(self) -> None:
        with suppress(StoreError):
            await self._leases.leave()
        # Until the last one has stopped the others must live on: to stop, a commit may have to be finished.
        ending = asyncio.gather(*(self._end(held) for held in list(self._held.values())))
        while not ending.done():
            alarm = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + self.settings.ttl // 3))
            await asyncio.wait((ending, alarm), return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
            if not ending.done():
                with suppress(StoreError):
                    await self._renew(frozenset())
                    await self._leases.leave()  # renewing said that it lives
        await ending

    # -- telling ---------------------------------------------------------------------------------------------------

    def _tell_strayed(self, census: Census) -> None:
        for account in sorted(self._accounts & census.strayed):
            self._told_once(
                f"strayed {account}",
                Turn.TROUBLE,
                account,
                "the database is another one than it was last held in: a replica that was promoted, or a restored "
                "backup. It may have forgotten orders that were sent. Compare the account with its exchange "
                "(`phasewright reconcile`), then say so: `phasewright db accept-failover URL`. Until then nobody "
                "trades on it",
            )

    def _tell_waiting(self, census: Census) -> None:
        """A process that holds nothing, because others hold all that it could, is a standby."""
        others = {account: census.holders[account] for account in sorted(self._accounts & census.holders.keys())}
        if self._held or others.keys() != self._accounts or self._leases.worker in others.values():
            return
        if len(others) == 1:
            ((account, holder),) = others.items()
            self._told_once("waiting", Turn.WAITING, account, f"held by {holder}; waiting to take it over")
        else:
            text = f"others hold all {len(others)} accounts; waiting for a share of them"
            self._told_once("waiting", Turn.WAITING, "", text)

    def _told_once(self, key: str, what: Turn, account: str, text: str) -> None:
        if self._told.get(key) != text:
            self._told[key] = text
            self._tell(News(what, account, text))

    def _well(self, key: str, text: str) -> None:
        if self._told.pop(key, None) is not None:
            self._tell(News(Turn.WELL_AGAIN, "", text))
