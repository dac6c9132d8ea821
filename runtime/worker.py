"""The one way of an event: inbox, dispatch, one commit for the group, then its effects; their outcomes are events.

All instances of a worker share one account, one store and one thread of control. Commits are written in a thread of
their own, so the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from runtime.clock import Clock, VirtualClock
from runtime.dispatch import Dispatcher, Instance
from runtime.effects import Claim, Intent
from runtime.errors import DispatchError, StoreError, StoreIntegrityError
from runtime.events import EventContext, Receipt
from runtime.idempotency import SeenEvents
from runtime.machine import Machine
from runtime.outbox import Outbox
from runtime.portfolio import Portfolio
from runtime.restore import Quarantined, restore
from runtime.store import Commit, Store

ResultT = TypeVar("ResultT")
Delivery = tuple[EventContext, "asyncio.Future[Receipt]"]

WITHDRAWN = "WITHDRAWN"
"""The outcome of an intent that did nothing and was no longer wanted; no event tells of it."""

_STALE_TIMERS = 64
"""Entries of timers that no longer run, beyond which they are swept out."""


class Restart(msgspec.Struct, frozen=True):
    """What a start found: instances that go on, instances set aside, and how many effects were under way."""

    restored: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]
    open_intents: int


class Worker:
    """Runs every instance of one machine on one account.

    Args:
        effects: implements the machine's effect protocol.
        slots: how many instances may hold a position or an order at once.
        identity_expiry: milliseconds for which a repeated event is recognised.
        on_commit: is shown every commit once it is durable, to tell people of it; it must not raise or wait.
    """

    def __init__(
        self,
        machine: Machine,
        store: Store,
        clock: Clock,
        effects: object,
        *,
        slots: int = 1,
        identity_expiry: int = 300_000,
        on_commit: Callable[[Commit], None] | None = None,
    ) -> None:
        self.machine = machine
        self.clock = clock
        self.instances: dict[str, Instance] = {}
        self.quarantined: dict[str, Quarantined] = {}
        self.portfolio = Portfolio(slots)
        self._store = store
        self._on_commit = on_commit
        self._seen = SeenEvents(identity_expiry)
        self._open_attempts: dict[str, int] = {}
        self._dispatcher = Dispatcher(self.portfolio, self._seen, self._open_attempts, store.namespace)
        self._outbox = Outbox(
            machine, effects, clock, self._is_wanted, self._claim, self._withdraw, self._deliver, self._give_up
        )
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._inbox: list[Delivery] = []
        self._timers: list[tuple[int, str, int]] = []
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._armed: dict[str, tuple[int, int]] = {}
        self._failure: Exception | None = None
        self._stopped = False
        self._pruned_at = 0

    # -- starting and stopping -------------------------------------------------------------------------------------

    async def start(self) -> Restart:
        """Load everything, set aside what cannot be understood, and go on with the effects that were under way.

        Raises:
            StoreError: the database cannot be read.
            LedgerMismatch: the books in it do not add up.
        """
        state = await self._in_writer(self._store.load)
        now = self.clock.now()
        # Years of trades take seconds to add up, and other accounts may be waiting for this loop.
        slots = self.portfolio.slots
        self.portfolio = await self._in_writer(
            lambda: Portfolio.load(slots, state.entries, state.reservations, state.balances)
        )
        self._dispatcher.portfolio = self.portfolio
        for instance, identity, at, receipt in state.identities:
            self._seen.record(instance, identity, receipt, at)
        for stored in state.instances:
            found = restore(self.machine, stored, now)
            if isinstance(found, Quarantined):
                self.quarantined[stored.instance] = found
            else:
                self.instances[stored.instance] = found
                self._set_timer(found)
        mine = [intent for intent in state.open_intents if intent.instance in self.instances]
        for intent in mine:
            self._open_attempts[intent.intent_id] = intent.attempt
            self._outbox.start(intent, recovering=True)
        return Restart(tuple(self.instances), tuple(self.quarantined.values()), len(mine))

    async def stop(self) -> None:
        """Finish the commit that is being written, abandon the inbox (nobody was told that it was handled) and the
        running effects (the outbox keeps them), and close the store."""
        if self._stopped:
            return
        self._stopped = True
        async with self._turn:
            self._give_up(DispatchError("the worker is stopped"))
        await self._outbox.stop()
        await self._in_writer(self._store.close)
        self._writer.shutdown()

    async def create(self, name: str) -> Instance:
        """A new instance in the machine's initial phase, durable when this returns.

        Raises:
            DispatchError: there is one of this name, or the name is empty.
            StoreError: it could not be written; the worker must be stopped.
        """
        return await self._whole(self._create(name))

    async def _create(self, name: str) -> Instance:
        async with self._turn:
            self._require_working()
            if not name:
                raise DispatchError("an instance needs a name")
            if name in self.instances or name in self.quarantined:
                raise DispatchError(f"{name} exists already; an instance is created once and then restored")
            now = self.clock.now()
            instance = Instance(name, self.machine, self.machine.new_snapshot(now), 0)
            commit = self._dispatcher.create(instance, now)
            await self._write([commit], _Before(self))
            self.instances[name] = instance
            self._release([commit])
            return instance

    async def deposit(self, reference: str, currency: str, amount: Decimal) -> bool:
        """Bring `amount` of `currency` into the account's cash. False when `reference` was deposited before.

        Raises:
            ValueError, LedgerMismatch: it cannot be booked.
            StoreError: it could not be written; the worker must be stopped.
        """
        return await self._whole(self._deposit(reference, currency, amount))

    async def _deposit(self, reference: str, currency: str, amount: Decimal) -> bool:
        async with self._turn:
            self._require_working()
            now = self.clock.now()
            with self.portfolio.begin("", now) as transaction:
                new = transaction.deposit(reference, currency, amount)
            if new:
                commit = self._bare_commit(now)
                commit.portfolio = transaction.change
                await self._write([commit], _Before(self))
            return new

    # -- events ----------------------------------------------------------------------------------------------------

    def post(self, ctx: EventContext) -> asyncio.Future[Receipt]:
        """Put an event into the inbox; the future has its receipt once it is committed.

        Raises:
            DispatchError: there is no such instance or event, the payload is not of the event's type, or the worker is
                stopped.
            StoreError: an earlier group could not be written.
        """
        self._require_working()
        if ctx.instance in self.quarantined:
            found = self.quarantined[ctx.instance]
            raise DispatchError(f"{ctx.instance} is in quarantine: {found.reason}. {found.way_out}")
        if ctx.instance not in self.instances:
            raise DispatchError(f"there is no instance {ctx.instance!r}; create it first")
        event = self.machine.definition.events.get(ctx.event)
        if event is None or type(ctx.payload) is not event.payload:
            wanted = (
                f"an event of machine '{self.machine.definition.name}'" if event is None else event.payload.__name__
            )
            raise DispatchError(f"{ctx.instance}: {ctx.event} with {ctx.payload!r} is not {wanted}")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._inbox.append((ctx, future))
        self._wake.set()
        return future

    async def send(self, instance: str, payload: Any, *, at: int | None = None, id: str | None = None) -> Receipt:
        """Handle the event that `payload` is, as `process` does. `at` (milliseconds) is by default the clock's now."""
        return await self.process(
            EventContext(payload.event, instance, self.clock.now() if at is None else at, payload, id)
        )

    async def process(self, ctx: EventContext) -> Receipt:
        """Handle one event and return its receipt once it is committed. Raises as `post` and `pump`."""
        future = self.post(ctx)
        while not future.done():
            await self.pump()
        return future.result()

    async def pump(self) -> bool:
        """Handle what is in the inbox as one group with one commit. False when there was nothing.

        Whoever waits here may be cancelled: a group once begun is carried through.

        Raises:
            StoreError: the group could not be written. Nothing of it happened; the worker must be stopped.
        """
        if not self._inbox and not self._turn.locked():
            self._require_working()
            return False
        if not self._store.waits:
            return await self._pump()  # nothing in it waits but for its turn: it cannot be left half done
        return await self._whole(self._pump())

    async def _pump(self) -> bool:
        async with self._turn:
            self._require_working()
            group, self._inbox = self._inbox, []
            # By instance, so that a restarted run decides contests for slots and cash as an uninterrupted one does.
            group.sort(key=lambda delivery: delivery[0].instance)
            if group:
                await self._handle(group)
                await self._prune()
            return bool(group)

    @property
    def idle(self) -> bool:
        """Whether nothing can happen before virtual time moves on.

        Raises:
            TypeError: the clock is not virtual.
            StoreError: something could not be written; the worker must be stopped.
        """
        if not isinstance(self.clock, VirtualClock):
            raise TypeError("only virtual time stands still; with a real clock use `run`")
        self._require_working()
        return not (self._inbox or self._effects_are_awake() or self._turn.locked())

    async def settle(self) -> None:
        """Handle events until nothing can happen before virtual time moves on.

        Raises:
            StoreError: as `pump`.
            TypeError: the clock is not virtual.
        """
        while not self.idle:
            # A group holds every outcome of its instant; each turn lets the effects go on.
            while self._effects_are_awake():  # noqa: ASYNC110
                await asyncio.sleep(0)
            await self.pump()

    def _effects_are_awake(self) -> bool:
        """Whether effects are on their way to an outcome at this instant of virtual time."""
        running = self._outbox.running
        return running > 0 and isinstance(self.clock, VirtualClock) and running > self.clock.sleeping

    async def run(self, stopping: asyncio.Event) -> None:
        """Handle events and fire timers as they come, until `stopping` is set. Raises as `pump`."""
        stop = asyncio.create_task(self._wake_when(stopping))
        alarm, rings_at = stop, None
        try:
            while not stopping.is_set():
                self._wake.clear()
                self.fire_timers()
                if await self.pump():
                    continue
                due_at = self.next_timer_at()
                if due_at is not None and (due_at != rings_at or alarm.done()):
                    if alarm is not stop:
                        alarm.cancel()
                    alarm, rings_at = asyncio.create_task(self._wake_at(due_at)), due_at
                await self._wake.wait()
        finally:
            stop.cancel()
            alarm.cancel()

    async def _wake_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._wake.set()

    async def _wake_at(self, instant: int) -> None:
        await self.clock.sleep_until(instant)
        self._wake.set()

    def next_timer_at(self) -> int | None:
        """When the next timer is due (milliseconds), or None."""
        while self._timers and not self._is_current(*self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def fire_timers(self) -> int:
        """Post the event of every timer that is due. Returns how many."""
        fired = 0
        now = self.clock.now()
        while (due_at := self.next_timer_at()) is not None and due_at <= now:
            _, name, generation = heapq.heappop(self._timers)
            timer = self.instances[name].snapshot.timer
            assert timer is not None
            payload = self.machine.definition.events[timer.event].payload()
            self.post(EventContext(timer.event, name, due_at, payload, generation=generation))
            fired += 1
        return fired

    async def intent(self, intent_id: str) -> Intent | None:
        """An intent with its latest claim, from the store."""
        return await self._in_writer(lambda: self._store.intent(intent_id))

    # -- the commit ------------------------------------------------------------------------------------------------

    async def _handle(self, group: Sequence[Delivery]) -> None:
        now = self.clock.now()
        before = _Before(self)
        commits: list[Commit] = []
        receipts: list[Receipt] = []
        try:
            for ctx, _ in group:
                instance = self.instances[ctx.instance]
                before.keep(instance)
                receipt, made = self._dispatcher.process(instance, ctx, now)
                receipts.append(receipt)
                commits += self._answered(ctx, made, now)
        except BaseException as error:
            # A handler's failure is a receipt; this is a defect. The store is right, memory may not be.
            self._give_up(error, group)
            raise
        try:
            await self._write(commits, before, group)
        except StoreIntegrityError as error:
            await self._handle_one_by_one(group, error)
            return
        self._release(commits)
        for (_, future), receipt in zip(group, receipts, strict=True):
            if not future.done():
                future.set_result(receipt)

    async def _handle_one_by_one(self, group: Sequence[Delivery], error: StoreIntegrityError) -> None:
        """One of the group contradicts the store. Alone, that one becomes its instance's error event."""
        if len(group) > 1:
            for place, delivery in enumerate(group):
                try:
                    await self._handle([delivery])
                except BaseException as fatal:
                    self._give_up(fatal, group[place:])
                    raise
            return
        ctx, future = group[0]
        instance, now, before = self.instances[ctx.instance], self.clock.now(), _Before(self)
        before.keep(instance)
        receipt, commits = self._dispatcher.refuse(instance, ctx, now, error)
        commits = self._answered(ctx, commits, now)
        try:
            await self._write(commits, before, group)
        except StoreIntegrityError as again:
            self._give_up(again, group)
            raise
        self._release(commits)
        if not future.done():
            future.set_result(receipt)

    def _answered(self, ctx: EventContext, commits: list[Commit], now: int) -> list[Commit]:
        """The commits of an event, one of which takes the message that brought it out of the inbox."""
        if ctx.message is None:
            return commits
        if not commits:
            commits = [self._bare_commit(now)]
        commits[0].answered = (*commits[0].answered, ctx.message)
        return commits

    def _bare_commit(self, now: int) -> Commit:
        """One that is about no instance."""
        definition = self.machine.definition
        return Commit("", definition.name, definition.digest, now, 0, 0, "", None, [], [], [], [], None)

    async def _write(self, commits: list[Commit], before: _Before, group: Iterable[Delivery] = ()) -> None:
        """Write the commits, or take them back in memory. The worker goes on only after a StoreIntegrityError."""
        if not commits:
            return
        try:
            await self._in_writer(lambda: self._store.commit(commits))
        except BaseException as error:
            before.restore(commits)
            if not isinstance(error, StoreIntegrityError):
                self._give_up(error, group)
            raise

    def _release(self, commits: list[Commit]) -> None:
        """What the outside may see, now that it is durable."""
        for commit in commits:
            for intent in commit.requested:
                self._outbox.start(intent)
            if commit.snapshot is not None:
                self._set_timer(self.instances[commit.instance])
            if self._on_commit is not None:
                self._on_commit(commit)

    async def _prune(self) -> None:
        now = self.clock.now()
        if now - self._pruned_at <= self._seen.expiry:
            return
        self._pruned_at = now
        try:
            await self._in_writer(lambda: self._store.forget_identities(now - self._seen.expiry))
        except StoreError as error:
            self._give_up(error)
            raise

    async def _claim(self, claim: Claim) -> None:
        await self._in_writer(lambda: self._store.claim(claim))
        self._open_attempts[claim.intent_id] = claim.attempt

    def _is_wanted(self, intent: Intent) -> bool:
        return self.instances[intent.instance].snapshot.generation == intent.generation

    async def _withdraw(self, claim: Claim) -> None:
        async with self._turn:
            self._require_working()
            commit = self._bare_commit(self.clock.now())
            commit.finished = [(claim.intent_id, claim.attempt, WITHDRAWN)]
            await self._write([commit], _Before(self))
            self._open_attempts.pop(claim.intent_id, None)

    def _deliver(self, ctx: EventContext) -> None:
        """Take an effect's outcome, unless all work has ended; the outbox in the store then still has the effect."""
        if self._failure is None:
            self.post(ctx)

    def _require_working(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _give_up(self, error: BaseException, group: Iterable[Delivery] = ()) -> None:
        """Nothing more is handled: whoever waits for a receipt, or asks for one from now on, is told why."""
        if self._failure is None:
            self._failure = (
                error if isinstance(error, Exception) else StoreError("a commit was interrupted; start the bot again")
            )
        waiting, self._inbox = [*group, *self._inbox], []
        for _, future in waiting:
            if not future.done():
                future.set_exception(self._failure)
                future.exception()  # whoever posted and does not wait needs no warning: `pump` raises
        self._wake.set()

    def _set_timer(self, instance: Instance) -> None:
        timer = instance.snapshot.timer
        if timer is None or self._armed.get(instance.name) == (timer.due_at, timer.generation):
            return
        self._armed[instance.name] = (timer.due_at, timer.generation)
        if len(self._timers) > 2 * len(self.instances) + _STALE_TIMERS:
            self._timers = [entry for entry in self._timers if self._is_current(*entry)]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (timer.due_at, instance.name, timer.generation))
        self._wake.set()

    def _is_current(self, due_at: int, name: str, generation: int) -> bool:
        timer = self.instances[name].snapshot.timer
        return timer is not None and timer.generation == generation and timer.due_at == due_at

    async def _in_writer(self, call: Callable[[], ResultT]) -> ResultT:
        if not self._store.waits:
            return call()
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    @staticmethod
    async def _whole(work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Carry `work` through even if whoever waits for it is cancelled."""
        return await asyncio.shield(asyncio.create_task(work))


class _Before:
    """What a group of events found in memory, to go back to when it cannot be written."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._instances: dict[str, tuple[bytes, int]] = {}

    def keep(self, instance: Instance) -> None:
        self._instances.setdefault(instance.name, (instance.checkpoint, instance.version))

    def restore(self, commits: Sequence[Commit]) -> None:
        worker = self._worker
        for commit in reversed(commits):
            if commit.portfolio:
                worker.portfolio.undo(commit.portfolio)
            # Only a waiting event had an older receipt; it waits again, and is known by that.
            for identity, _ in commit.identities:
                worker._seen.forget(commit.instance, identity)
            for intent in commit.requested:
                worker._open_attempts.pop(intent.intent_id, None)
            for intent_id, attempt, _ in commit.finished:
                worker._open_attempts[intent_id] = attempt
        for name, (checkpoint, version) in self._instances.items():
            worker.instances[name].restore(checkpoint, version)
