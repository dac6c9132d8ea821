"""One event, one commit: deduplicate, look up, guard, act on the instance in memory, and say what must be written.

Nothing here does I/O, reads a clock or creates a task. Whatever goes wrong, the instance and the portfolio are what
they were before the event.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, MutableMapping
from typing import Any

import msgspec

from runtime.context import Context
from runtime.definition import Defer, Ignore, Reject
from runtime.effects import Intent
from runtime.errors import DispatchError, readable
from runtime.events import EventContext, Outcome, Receipt
from runtime.idempotency import SeenEvents
from runtime.machine import DeferredEvent, Machine, Snapshot, Timer
from runtime.naming import given
from runtime.portfolio import Portfolio, PortfolioChange
from runtime.store import AuditRow, Commit

MAX_RAISED = 64
"""Internal events that one event may lead to. The linter forbids cycles; this stops the one that it could not see."""

_HANDLED = Outcome.HANDLED
_ANSWERED = (Outcome.HANDLED, Outcome.DEFERRED, Outcome.IGNORED)
"""What is not tried again when it is delivered again."""

_encode = msgspec.json.Encoder().encode


class Instance:
    """One instance in memory. `checkpoint` is its snapshot after the latest event, in the bytes that are stored;
    `version` 0 means that nothing of it is stored yet."""

    __slots__ = ("checkpoint", "machine", "name", "snapshot", "version")

    def __init__(self, name: str, machine: Machine, snapshot: Snapshot[Any], version: int) -> None:
        self.name = name
        self.machine = machine
        self.snapshot = snapshot
        self.version = version
        self.checkpoint = machine.encode(snapshot)

    @property
    def phase(self) -> str:
        return self.snapshot.phase

    @property
    def data(self) -> Any:
        return self.snapshot.data

    def restore(self, checkpoint: bytes, version: int) -> None:
        """Go back to a snapshot taken earlier."""
        self.snapshot = self.machine.decode(checkpoint)
        self.checkpoint = checkpoint
        self.version = version


class Dispatcher:
    """Carries out events against instances in memory.

    Args:
        portfolio: the account that all instances share.
        seen: the events that were answered lately.
        open_attempts: the current attempt of every intent that has no outcome yet, by intent id. Kept up to date here.
        namespace: distinguishes the intents of this store from those of any other.
    """

    def __init__(
        self, portfolio: Portfolio, seen: SeenEvents, open_attempts: MutableMapping[str, int], namespace: str
    ) -> None:
        self.portfolio = portfolio
        self.seen = seen
        self.open_attempts = open_attempts
        self.namespace = namespace

    def process(self, instance: Instance, ctx: EventContext, now: int) -> tuple[Receipt, list[Commit]]:
        """Carry out `ctx`, and whatever waited for the change of phase that it makes.

        `now` is in milliseconds since the epoch (UTC). Returns the receipt of `ctx`, and the commits that must be
        written, in order, before the outside may see anything of it.
        """
        identity, snapshot = _identity(instance, ctx), instance.snapshot
        if identity:
            first = self.seen.get(instance.name, identity, now)
            if snapshot.deferred and (first is None or first.outcome not in _ANSWERED):
                first = self._waits(instance, identity)
            if first is not None and first.outcome in _ANSWERED:
                return msgspec.structs.replace(first, outcome=Outcome.DUPLICATE, first=first.outcome), []
        generation = snapshot.generation
        commits: list[Commit] = []
        receipt = self._step(instance, ctx, identity, now, commits)
        snapshot = instance.snapshot
        if snapshot.deferred and snapshot.generation != generation:
            self._offer_deferred(instance, now, commits)
        return receipt, commits

    def refuse(self, instance: Instance, ctx: EventContext, now: int, error: Exception) -> tuple[Receipt, list[Commit]]:
        """What is written of an event whose own commit contradicts the store: the evidence, and the error event."""
        generation = instance.snapshot.generation
        commits: list[Commit] = []
        receipt = self._fail(instance, ctx, _identity(instance, ctx), now, error, self._finish(ctx), commits)
        if instance.snapshot.generation != generation:
            self._offer_deferred(instance, now, commits)
        return receipt, commits

    def create(self, instance: Instance, now: int) -> Commit:
        """The commit that makes a new instance durable, with the effects that its initial phase asks for."""
        step = self._begin(instance, now)
        for effect in instance.machine.definition.phases[instance.phase].entry_request:
            step.ask(effect)
        instance.version, instance.checkpoint = 1, instance.machine.encode(instance.snapshot)
        self._open(step.requested)
        return step.commit(0, ())

    def _step(
        self,
        instance: Instance,
        ctx: EventContext,
        identity: str,
        now: int,
        commits: list[Commit],
        offered: int | None = None,
    ) -> Receipt:
        """One event on the instance in memory, all or nothing; a failure becomes the machine's error event.

        `offered` is the event's place among the deferred ones, which it leaves.
        """
        machine, name, snapshot = instance.machine, instance.name, instance.snapshot
        version, checkpoint, phase = instance.version, instance.checkpoint, snapshot.phase
        stale = ""
        finished: tuple[tuple[str, int, str], ...] = ()
        change: PortfolioChange | None = None
        step = _Step(machine.config, name, now, instance, self.namespace, self.portfolio)
        if ctx.intent is not None or ctx.generation is not None:
            finished = self._finish(ctx)
            stale = self._stale(instance, ctx, finished)
        try:
            if stale:
                row = step.record(ctx, identity, Outcome.IGNORED, reason=stale)
            else:
                if ctx.generation is not None:
                    step.stop_timer()
                if offered is not None:
                    step.drop_deferred(offered)
                row = step.apply(ctx, identity)
            rows = (row, *step.carry_on(ctx.event)) if step.raised else (row,)
            written = None
            if step.changed or row.outcome is _HANDLED:
                written = instance.checkpoint = machine.encode(snapshot)
                instance.version = version + 1
            step._account = None
            if step._transaction is not None:
                change = step.settle()
        except BaseException as error:
            step.abandon()
            instance.restore(checkpoint, version)
            if not isinstance(error, Exception):
                raise
            failure = error
        else:
            if step.requested:
                self._open(step.requested)
            outcome, after = row.outcome, instance.version
            receipt = Receipt(outcome, ctx.event, name, phase, snapshot.phase, after, row.reason)
            identities: tuple[tuple[str, Receipt], ...] = ()
            if identity and (offered is not None or outcome in _ANSWERED):
                identities = ((identity, receipt),)
                self.seen.record(name, identity, receipt, now)
            commits.append(
                Commit(
                    name,
                    machine.name,
                    machine.digest,
                    now,
                    version,
                    after,
                    snapshot.phase,
                    written,
                    rows,
                    identities,
                    step.requested,
                    finished,
                    change,
                )
            )
            return receipt
        return self._fail(instance, ctx, identity, now, failure, finished, commits, offered)

    def _begin(self, instance: Instance, now: int) -> _Step:
        return _Step(instance.machine.config, instance.name, now, instance, self.namespace, self.portfolio)

    def _offer_deferred(self, instance: Instance, now: int, commits: list[Commit]) -> None:
        """Offer the waiting events again, in the order of their arrival, from the start after each change of phase."""
        machine = instance.machine
        generation, place = instance.snapshot.generation, 0
        left = len(instance.snapshot.deferred) + MAX_RAISED
        while place < len(instance.snapshot.deferred):
            waiting = instance.snapshot.deferred[place]
            if isinstance(machine.definition.table[instance.phase][waiting.event], Defer):
                place += 1
                continue
            payload = msgspec.json.decode(waiting.payload, type=machine.definition.events[waiting.event].payload)
            ctx = EventContext(waiting.event, instance.name, waiting.at, payload)
            if left == 0:
                error = DispatchError("events that wait lead to events that wait, without end: a cycle")
                self._fail(instance, ctx, waiting.identity, now, error, (), commits, offered=place)
                return
            left -= 1
            self._step(instance, ctx, waiting.identity, now, commits, offered=place)
            if instance.snapshot.generation != generation:
                generation, place = instance.snapshot.generation, 0

    def _fail(
        self,
        instance: Instance,
        ctx: EventContext,
        identity: str,
        now: int,
        error: Exception,
        finished: tuple[tuple[str, int, str], ...],
        commits: list[Commit],
        offered: int | None = None,
    ) -> Receipt:
        """Record the evidence of an event that changed nothing, and raise the machine's error event in its place."""
        version, phase, timer = instance.version, instance.phase, instance.snapshot.timer
        reason = readable(f"{type(error).__name__}: {error}")
        evidence = readable("".join(traceback.format_exception(error)))
        step = self._begin(instance, now)
        row = step.record(ctx, identity, Outcome.FAILED, reason=reason, error=evidence)
        if offered is not None:
            step.drop_deferred(offered)
        if timer is not None and timer.generation == ctx.generation:
            step.stop_timer()
        if step.changed:
            instance.checkpoint = instance.machine.encode(instance.snapshot)
            instance.version += 1
        receipt = Receipt(Outcome.FAILED, ctx.event, instance.name, phase, phase, instance.version, reason)
        identities: tuple[tuple[str, Receipt], ...] = ()
        if identity and offered is not None:
            identities = ((identity, receipt),)
            self.seen.record(instance.name, identity, receipt, now)
        commits.append(step.commit(version, (row,), identities, finished))
        definition = instance.machine.definition
        if ctx.event != definition.error_event:
            error_ctx = EventContext(
                definition.error_event, instance.name, now, definition.make_error(reason, ctx.event)
            )
            self._step(instance, error_ctx, "", now, commits)
        return receipt

    def _waits(self, instance: Instance, identity: str) -> Receipt | None:
        """The receipt of an event that waits still, however long ago it came."""
        for waiting in instance.snapshot.deferred:
            if waiting.identity == identity:
                phase, version = instance.phase, instance.version
                return Receipt(Outcome.DEFERRED, waiting.event, instance.name, phase, phase, version)
        return None

    def _open(self, requested: Iterable[Intent]) -> None:
        for intent in requested:
            self.open_attempts[intent.intent_id] = intent.attempt

    def _finish(self, ctx: EventContext) -> tuple[tuple[str, int, str], ...]:
        """What the store must close: the attempt that this event answers, if it is the one that is open."""
        if ctx.intent is None or self.open_attempts.get(ctx.intent) != ctx.attempt:
            return ()
        del self.open_attempts[ctx.intent]
        return ((ctx.intent, ctx.attempt, ctx.event),)

    def _stale(self, instance: Instance, ctx: EventContext, finished: tuple[tuple[str, int, str], ...]) -> str:
        """Why the event comes too late to count; empty when it does not."""
        if ctx.intent is not None and not finished:
            return f"it answers attempt {ctx.attempt} of intent {ctx.intent}, which is not open"
        snapshot = instance.snapshot
        if ctx.generation is not None and (snapshot.timer is None or snapshot.timer.generation != ctx.generation):
            return f"its timer belongs to visit {ctx.generation} of a phase; this is visit {snapshot.generation}"
        return ""


class _Step(Context[Any], eq=False, gc=False):
    """The work on one event, until it is a commit or is thrown away. Handlers see the surroundings that it is."""

    changed: bool = False
    """Whether the snapshot is another one, although the event was not handled."""
    requested: tuple[Intent, ...] = ()
    raised: tuple[str, ...] = ()

    def apply(self, ctx: EventContext, identity: str) -> AuditRow:
        """One event, without those that it raises. Any exception means: throw all of it away."""
        instance = self._of
        snapshot, machine = instance.snapshot, instance.machine
        phase, data, payload = snapshot.phase, snapshot.data, ctx.payload
        for bound in machine.branches[phase][ctx.event]:
            for guard, wanted in bound.guards:
                answer = guard(data, payload, self)
                if answer is not wanted:
                    if answer is not True and answer is not False:
                        raise DispatchError(f"a guard of {bound.branch.id} answered {answer!r}, neither True nor False")
                    break
            else:
                break
        else:
            return self._without_branch(ctx, identity)
        branch, target = bound.branch, bound.target
        if target is None:
            if branch.ignored is not None:
                return self.record(ctx, identity, Outcome.IGNORED, branch=branch.id, reason=branch.ignored)
            target = machine.history_target(phase, branch, snapshot.history)
        for action in target.do:
            action(data, payload, self)
        if not bound.internal:
            for group in target.leaves:
                snapshot.history[group] = phase
            snapshot.phase = target.phase
            snapshot.generation = generation = snapshot.generation + 1
            snapshot.entered_at = self.now
            timeout = target.timeout
            if timeout is None:
                snapshot.timer = None
            elif target.lasts is None:
                snapshot.timer = machine.timer_for(timeout, snapshot, self.now)
            else:
                snapshot.timer = Timer(timeout.raises, self.now + target.lasts, generation)
        requested = tuple([f"{effect}/{self.ask(effect)}" for effect in target.request]) if target.request else ()
        if target.raises:
            self.raised += target.raises
        return AuditRow(
            instance.name,
            instance.version,
            self.now,
            ctx.event,
            identity,
            _HANDLED,
            phase,
            snapshot.phase,
            branch.id,
            target.names,
            requested,
            _evidence(payload),
            "",
            "",
            machine.digest,
        )

    def carry_on(self, first: str) -> list[AuditRow]:
        """The internal events that were raised, and those that they raise."""
        instance = self._of
        rows: list[AuditRow] = []
        while self.raised:
            if len(rows) == MAX_RAISED:
                raise DispatchError(
                    f"{first} led to more than {MAX_RAISED} internal events, the last {self.raised[0]}: a cycle"
                )
            event, self.raised = self.raised[0], self.raised[1:]
            payload = instance.machine.definition.events[event].payload()
            row = self.apply(EventContext(event, instance.name, self.now, payload), "")
            if row.outcome is Outcome.REJECTED:
                raise DispatchError(f"{event}, raised after {first}, is rejected in {instance.phase}: {row.reason}")
            rows.append(row)
        return rows

    def _without_branch(self, ctx: EventContext, identity: str) -> AuditRow:
        instance = self._of
        cell = instance.machine.definition.table[instance.phase][ctx.event]
        if isinstance(cell, tuple):
            raise DispatchError(f"no row of {instance.phase}/{ctx.event} applies, and there is no else")
        if isinstance(cell, Ignore):
            return self.record(ctx, identity, Outcome.IGNORED, reason=cell.reason)
        if isinstance(cell, Reject):
            return self.record(ctx, identity, Outcome.REJECTED, reason=cell.reason)
        waiting = DeferredEvent(ctx.event, ctx.at, identity, msgspec.Raw(_encode(ctx.payload)))
        instance.snapshot.deferred.append(waiting)
        self.changed = True
        return self.record(ctx, identity, Outcome.DEFERRED)

    def ask(self, effect: str) -> str:
        """Request an effect; returns the id of the intent.

        Raises:
            msgspec.ValidationError: a datum that the effect needs is None.
        """
        instance = self._of
        definition = instance.machine.definition.effects[effect]
        data, now = instance.snapshot.data, self.now
        asked = self.intent_id(effect)
        request = _encode({name: getattr(data, name) for name in definition.request.__struct_fields__})
        window = 0 if definition.window is None else getattr(self.config, definition.window)
        number, generation = self._numbers.pop(effect), instance.snapshot.generation
        intent = Intent(asked, instance.name, effect, number, request, generation, now, 1, now, now + window)
        intent.decode(definition.request)
        self.requested += (intent,)
        return asked

    def drop_deferred(self, place: int) -> None:
        """Take an event out of the waiting ones."""
        del self._of.snapshot.deferred[place]
        self.changed = True

    def stop_timer(self) -> None:
        """The timer has done its work."""
        self._of.snapshot.timer = None
        self.changed = True

    def record(
        self, ctx: EventContext, identity: str, outcome: Outcome, *, branch: str = "", reason: str = "", error: str = ""
    ) -> AuditRow:
        """What became of an event that led nowhere."""
        instance, payload = self._of, _evidence(ctx.payload)
        digest, phase = instance.machine.digest, instance.phase
        delivery = (instance.name, instance.version, self.now, ctx.event, identity)
        return AuditRow(*delivery, outcome, phase, phase, branch, (), (), payload, reason, error, digest)

    def settle(self) -> PortfolioChange | None:
        """Make what was staged the account's."""
        transaction = self.portfolio
        if transaction.is_open:
            transaction.commit()
        return transaction.change or None

    def abandon(self) -> None:
        """Drop what was staged."""
        self._account, transaction = None, self._transaction
        if transaction is not None and transaction.is_open:
            transaction.rollback()

    def commit(
        self,
        expected_version: int,
        rows: tuple[AuditRow, ...],
        identities: tuple[tuple[str, Receipt], ...] = (),
        finished: tuple[tuple[str, int, str], ...] = (),
        portfolio: PortfolioChange | None = None,
    ) -> Commit:
        """What must be written."""
        instance = self._of
        machine, version = instance.machine, instance.version
        return Commit(
            instance.name,
            machine.name,
            machine.digest,
            self.now,
            expected_version,
            version,
            instance.snapshot.phase,
            None if version == expected_version else instance.checkpoint,
            rows,
            identities,
            self.requested,
            finished,
            portfolio,
        )


def _identity(instance: Instance, ctx: EventContext) -> str:
    """What names this delivery; empty when nothing does."""
    if ctx.id is not None:
        return given(ctx.id)
    if ctx.intent is not None:
        return f"{ctx.intent}/{ctx.attempt}"
    if ctx.generation is not None:
        return f"timer/{ctx.generation}"
    return instance.machine.identities[ctx.event](ctx.payload)


def _evidence(payload: msgspec.Struct) -> bytes:
    """The payload as JSON; what no JSON can hold is the evidence itself, as text."""
    try:
        return _encode(payload)
    except (TypeError, ValueError):
        return _encode(readable(repr(payload)))
