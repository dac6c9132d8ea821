"""One event, one commit: deduplicate, look up, guard, act on the instance in memory, and say what must be written.

Nothing here does I/O, reads a clock or creates a task. Whatever goes wrong, the instance and the portfolio are what
they were before the event.
"""

from __future__ import annotations

import traceback
from collections.abc import MutableMapping
from typing import Any

import msgspec

from runtime.context import Context
from runtime.definition import Defer, Ignore, Reject
from runtime.effects import Intent, intent_id
from runtime.errors import DispatchError, readable
from runtime.events import EventContext, Outcome, Receipt
from runtime.idempotency import SeenEvents
from runtime.machine import BoundBranch, BoundTarget, DeferredEvent, Machine, Snapshot
from runtime.portfolio import Portfolio, PortfolioTransaction
from runtime.store import AuditRow, Commit

MAX_RAISED = 64
"""Internal events that one event may lead to. The linter forbids cycles; this stops the one that it could not see."""

_ANSWERED = (Outcome.HANDLED, Outcome.DEFERRED, Outcome.IGNORED)
"""What is not tried again when it is delivered again."""

_encode = msgspec.json.encode


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
        identity = self._identity(instance, ctx)
        if identity and (first := self._first_answer(instance, identity, now)):
            return msgspec.structs.replace(first, outcome=Outcome.DUPLICATE, first=first.outcome), []
        generation = instance.snapshot.generation
        commits: list[Commit] = []
        receipt = self._step(instance, ctx, identity, now, commits)
        if instance.snapshot.generation != generation:
            self._offer_deferred(instance, now, commits)
        return receipt, commits

    def refuse(self, instance: Instance, ctx: EventContext, now: int, error: Exception) -> tuple[Receipt, list[Commit]]:
        """What is written of an event whose own commit contradicts the store: the evidence, and the error event."""
        generation = instance.snapshot.generation
        commits: list[Commit] = []
        receipt = self._fail(instance, ctx, self._identity(instance, ctx), now, error, self._finish(ctx), commits)
        if instance.snapshot.generation != generation:
            self._offer_deferred(instance, now, commits)
        return receipt, commits

    def create(self, instance: Instance, now: int) -> Commit:
        """The commit that makes a new instance durable, with the effects that its initial phase asks for."""
        step = _Step(self, instance, now)
        for effect in instance.machine.definition.phases[instance.phase].entry_request:
            step.ask(effect)
        instance.version, instance.checkpoint = 1, instance.machine.encode(instance.snapshot)
        self._open(step.requested)
        return step.commit(expected_version=0, snapshot=instance.checkpoint)

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
        version, checkpoint, phase = instance.version, instance.checkpoint, instance.phase
        finished = self._finish(ctx)
        stale = self._stale(instance, ctx, finished)
        step = _Step(self, instance, now)
        failure: Exception | None = None
        try:
            with self.portfolio.begin(instance.name, now) as transaction:
                outcome, reason = step.carry_out(ctx, identity, transaction, offered, stale)
                if step.changed:
                    instance.checkpoint = instance.machine.encode(instance.snapshot)
                    instance.version += 1
        except BaseException as error:
            instance.restore(checkpoint, version)
            if not isinstance(error, Exception):
                raise
            failure = error
        if failure is not None:
            return self._fail(instance, ctx, identity, now, failure, finished, commits, offered)
        self._open(step.requested)
        receipt = Receipt(outcome, ctx.event, instance.name, phase, instance.phase, instance.version, reason)
        commit = step.commit(version, instance.checkpoint if step.changed else None, finished=finished)
        commit.portfolio = transaction.change or None
        if outcome in _ANSWERED or offered is not None:
            self._remember(commit, identity, receipt)
        commits.append(commit)
        return receipt

    def _offer_deferred(self, instance: Instance, now: int, commits: list[Commit]) -> None:
        """Offer the waiting events again, in the order of their arrival, from the start after each change of phase."""
        machine = instance.machine
        generation, place = instance.snapshot.generation, 0
        left = len(instance.snapshot.deferred) + MAX_RAISED
        while place < len(instance.snapshot.deferred):
            waiting = instance.snapshot.deferred[place]
            if isinstance(machine.table[instance.phase][waiting.event], Defer):
                place += 1
                continue
            payload = msgspec.json.decode(waiting.payload, type=machine.definition.events[waiting.event].payload)
            ctx = EventContext(waiting.event, instance.name, waiting.at, payload)
            if left == 0:
                error = DispatchError("events that wait lead to events that wait, without end: a cycle")
                self._fail(instance, ctx, waiting.identity, now, error, [], commits, offered=place)
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
        finished: list[tuple[str, int, str]],
        commits: list[Commit],
        offered: int | None = None,
    ) -> Receipt:
        """Record the evidence of an event that changed nothing, and raise the machine's error event in its place."""
        version, phase, timer = instance.version, instance.phase, instance.snapshot.timer
        reason = readable(f"{type(error).__name__}: {error}")
        evidence = readable("".join(traceback.format_exception(error)))
        step = _Step(self, instance, now)
        step.record(ctx, identity, Outcome.FAILED, phase, reason=reason, error=evidence)
        if offered is not None:
            step.drop_deferred(offered)
        if timer is not None and timer.generation == ctx.generation:
            step.stop_timer()
        if step.changed:
            instance.checkpoint = instance.machine.encode(instance.snapshot)
            instance.version += 1
        receipt = Receipt(Outcome.FAILED, ctx.event, instance.name, phase, phase, instance.version, reason)
        commit = step.commit(version, instance.checkpoint if step.changed else None, finished=finished)
        if offered is not None:
            self._remember(commit, identity, receipt)
        commits.append(commit)
        definition = instance.machine.definition
        if ctx.event != definition.error_event:
            error_ctx = EventContext(
                definition.error_event, instance.name, now, definition.make_error(reason, ctx.event)
            )
            self._step(instance, error_ctx, "", now, commits)
        return receipt

    def _first_answer(self, instance: Instance, identity: str, now: int) -> Receipt | None:
        """The receipt of the first delivery, if a further one must not be tried."""
        first = self.seen.get(instance.name, identity, now)
        if first is not None and first.outcome in _ANSWERED:
            return first
        for waiting in instance.snapshot.deferred:
            if waiting.identity == identity:
                phase, version = instance.phase, instance.version
                return Receipt(Outcome.DEFERRED, waiting.event, instance.name, phase, phase, version)
        return None

    def _remember(self, commit: Commit, identity: str, receipt: Receipt) -> None:
        if identity:
            commit.identities.append((identity, receipt))
            self.seen.record(commit.instance, identity, receipt, commit.at)

    def _identity(self, instance: Instance, ctx: EventContext) -> str:
        if ctx.id is not None:
            return ctx.id
        if ctx.intent is not None:
            return f"{ctx.intent}/{ctx.attempt}"
        if ctx.generation is not None:
            return f"timer/{ctx.generation}"
        fields = instance.machine.definition.events[ctx.event].identity
        if fields is None:
            return ""
        return "/".join([ctx.event, *(str(getattr(ctx.payload, name)) for name in fields)])

    def _open(self, requested: list[Intent]) -> None:
        for intent in requested:
            self.open_attempts[intent.intent_id] = intent.attempt

    def _finish(self, ctx: EventContext) -> list[tuple[str, int, str]]:
        """What the store must close: the attempt that this event answers, if it is the one that is open."""
        if ctx.intent is None or self.open_attempts.get(ctx.intent) != ctx.attempt:
            return []
        del self.open_attempts[ctx.intent]
        return [(ctx.intent, ctx.attempt, ctx.event)]

    def _stale(self, instance: Instance, ctx: EventContext, finished: list[tuple[str, int, str]]) -> str:
        """Why the event comes too late to count; empty when it does not."""
        if ctx.intent is not None and not finished:
            return f"it answers attempt {ctx.attempt} of intent {ctx.intent}, which is not open"
        snapshot = instance.snapshot
        if ctx.generation is not None and (snapshot.timer is None or snapshot.timer.generation != ctx.generation):
            return f"its timer belongs to visit {ctx.generation} of a phase; this is visit {snapshot.generation}"
        return ""


class _Step:
    """The work on one event, until it is a commit or is thrown away."""

    def __init__(self, dispatcher: Dispatcher, instance: Instance, now: int) -> None:
        self.requested: list[Intent] = []
        self.changed = False
        self._namespace = dispatcher.namespace
        self._instance = instance
        self._now = now
        self._rows: list[AuditRow] = []
        self._numbers: dict[str, int] = {}

    def carry_out(
        self,
        ctx: EventContext,
        identity: str,
        transaction: PortfolioTransaction,
        offered: int | None,
        stale: str,
    ) -> tuple[Outcome, str]:
        """Apply the event and the internal events that it raises. Any exception means: throw all of it away."""
        instance = self._instance
        snapshot = instance.snapshot
        if stale:
            self.record(ctx, identity, Outcome.IGNORED, snapshot.phase, reason=stale)
            return Outcome.IGNORED, stale
        if ctx.generation is not None:
            self.stop_timer()
        if offered is not None:
            self.drop_deferred(offered)
        context = Context(instance.machine.config, instance.name, self._now, transaction, self._intent_id)
        raised: list[str] = []
        outcome, reason = self._apply(ctx, identity, context, raised)
        count = 0
        while raised:
            count += 1
            if count > MAX_RAISED:
                raise DispatchError(
                    f"{ctx.event} led to more than {MAX_RAISED} internal events, the last {raised[0]}: a cycle"
                )
            event = raised.pop(0)
            payload = instance.machine.definition.events[event].payload()
            internal = EventContext(event, instance.name, self._now, payload)
            answer, why = self._apply(internal, "", context, raised)
            if answer is Outcome.REJECTED:
                raise DispatchError(f"{event}, raised after {ctx.event}, is rejected in {snapshot.phase}: {why}")
        return outcome, reason

    def _apply(self, ctx: EventContext, identity: str, context: Context[Any], raised: list[str]) -> tuple[Outcome, str]:
        snapshot = self._instance.snapshot
        phase = snapshot.phase
        cell = self._instance.machine.table[phase][ctx.event]
        if not isinstance(cell, tuple):
            return self._without_branch(ctx, identity, cell)
        bound = self._choose(cell, ctx, context)
        branch = bound.branch
        if branch.ignored is not None:
            self.record(ctx, identity, Outcome.IGNORED, phase, branch=branch.id, reason=branch.ignored)
            return Outcome.IGNORED, branch.ignored
        target = bound.target or self._instance.machine.history_target(phase, branch, snapshot.history)
        for action in target.do:
            action(snapshot.data, ctx.payload, context)
        if not bound.internal:
            self._enter(target, phase)
        requested = [f"{effect}/{self.ask(effect)}" for effect in target.request]
        raised.extend(target.raises)
        self.changed = True
        self.record(
            ctx, identity, Outcome.HANDLED, phase, branch=branch.id, actions=target.names, requested=tuple(requested)
        )
        return Outcome.HANDLED, ""

    def _without_branch(self, ctx: EventContext, identity: str, cell: Defer | Ignore | Reject) -> tuple[Outcome, str]:
        snapshot = self._instance.snapshot
        if isinstance(cell, Defer):
            snapshot.deferred.append(DeferredEvent(ctx.event, ctx.at, identity, msgspec.Raw(_encode(ctx.payload))))
            self.changed = True
            self.record(ctx, identity, Outcome.DEFERRED, snapshot.phase)
            return Outcome.DEFERRED, ""
        outcome = Outcome.IGNORED if isinstance(cell, Ignore) else Outcome.REJECTED
        self.record(ctx, identity, outcome, snapshot.phase, reason=cell.reason)
        return outcome, cell.reason

    def _choose(self, cell: tuple[BoundBranch, ...], ctx: EventContext, context: Context[Any]) -> BoundBranch:
        data, payload = self._instance.snapshot.data, ctx.payload
        for bound in cell:
            for guard, wanted in bound.guards:
                answer = guard(data, payload, context)
                if answer is not True and answer is not False:
                    raise DispatchError(f"a guard of {bound.branch.id} answered {answer!r}, neither True nor False")
                if answer is not wanted:
                    break
            else:
                return bound
        raise DispatchError(f"no row of {self._instance.phase}/{ctx.event} applies, and there is no else")

    def _enter(self, target: BoundTarget, source: str) -> None:
        snapshot = self._instance.snapshot
        machine = self._instance.machine
        for group in target.leaves:
            if group not in machine.definition.phases[target.phase].groups:
                snapshot.history[group] = source
        snapshot.phase = target.phase
        snapshot.generation += 1
        snapshot.entered_at = self._now
        snapshot.timer = machine.timer_for(target.timeout, snapshot, self._now)

    def ask(self, effect: str) -> str:
        """Request an effect; returns the id of the intent.

        Raises:
            msgspec.ValidationError: a datum that the effect needs is None.
        """
        definition = self._instance.machine.definition.effects[effect]
        data = self._instance.snapshot.data
        asked = self._intent_id(effect)
        request = _encode({name: getattr(data, name) for name in definition.request.__struct_fields__})
        window = 0 if definition.window is None else getattr(self._instance.machine.config, definition.window)
        number, now = self._numbers.pop(effect), self._now
        generation = self._instance.snapshot.generation
        intent = Intent(asked, self._instance.name, effect, number, request, generation, now, 1, now, now + window)
        intent.decode(definition.request)
        self.requested.append(intent)
        return asked

    def _intent_id(self, effect: str) -> str:
        if effect not in self._numbers:
            self._instance.snapshot.intents += 1
            self._numbers[effect] = self._instance.snapshot.intents
        return intent_id(self._namespace, self._instance.name, effect, self._numbers[effect])

    def drop_deferred(self, place: int) -> None:
        """Take an event out of the waiting ones."""
        del self._instance.snapshot.deferred[place]
        self.changed = True

    def stop_timer(self) -> None:
        """The timer has done its work."""
        self._instance.snapshot.timer = None
        self.changed = True

    def record(
        self,
        ctx: EventContext,
        identity: str,
        outcome: Outcome,
        phase_from: str,
        *,
        branch: str = "",
        actions: tuple[str, ...] = (),
        requested: tuple[str, ...] = (),
        reason: str = "",
        error: str = "",
    ) -> None:
        """Write down what became of an event."""
        instance = self._instance
        self._rows.append(
            AuditRow(
                instance=instance.name,
                version=instance.version,
                at=self._now,
                event=ctx.event,
                identity=identity,
                outcome=outcome,
                phase_from=phase_from,
                phase_to=instance.phase,
                branch=branch,
                actions=actions,
                requested=requested,
                payload=_evidence(ctx.payload),
                reason=reason,
                error=error,
                digest=instance.machine.definition.digest,
            )
        )

    def commit(
        self, expected_version: int, snapshot: bytes | None, finished: list[tuple[str, int, str]] | None = None
    ) -> Commit:
        """What must be written."""
        instance = self._instance
        return Commit(
            instance=instance.name,
            machine=instance.machine.definition.name,
            digest=instance.machine.definition.digest,
            at=self._now,
            expected_version=expected_version,
            version=expected_version if snapshot is None else instance.version,
            phase=instance.phase,
            snapshot=snapshot,
            audit=self._rows,
            identities=[],
            requested=self.requested,
            finished=finished or [],
            portfolio=None,
        )


def _evidence(payload: msgspec.Struct) -> bytes:
    """The payload as JSON; what no JSON can hold is the evidence itself, as text."""
    try:
        return _encode(payload)
    except (TypeError, ValueError):
        return _encode(readable(repr(payload)))
