"""One path, played on a machine in the real runtime, from a store that it may find empty.

After each commit everything is compared: the outcome, the row, the phase, the actions in order, the effects that were
asked for, the events that wait, the timer. A crash is a worker that is dropped as it is, and its store opened again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, cast

import msgspec

from runtime.clock import VirtualClock
from runtime.definition import EffectClass, MachineDefinition, OnRestore
from runtime.effects import Intent
from runtime.errors import PhasewrightError, StoreError
from runtime.events import EventContext, Outcome
from runtime.machine import Machine, Timer
from runtime.rehearsal.script import Hands, RehearsedError, Script, Take
from runtime.rehearsal.values import complete, made_up
from runtime.store import Commit, Store
from runtime.worker import Worker

NAME = "rehearsed"
START = 1_700_000_000_000
_ANSWERED = ("handled", "ignored", "deferred")
_ANSWERS = ("answer", "unknown", "unsent")
_ELSEWHERE = ("request", "expired", "venue")
"""Steps that are not the machine's."""


class Crashes(Enum):
    """Where the process dies: nowhere; at each commit before it, and then after it before anything leaves; or after
    each commit with its effects under way."""

    NEVER = 0
    AROUND = 1
    UNDER_WAY = 2


class DifferenceError(PhasewrightError):
    """The machine did something else than the path says."""


@dataclass
class Played:
    """What a path has shown, by the names of the items that it covers."""

    shown: set[str] = field(default_factory=set)
    commits: int = 0
    crashes: int = 0


class Stage:
    """A machine with handlers that do as a path says."""

    def __init__(self, definition: MachineDefinition) -> None:
        self.script = Script()
        self.definition = replace(definition, data=complete(definition.data, START))
        self.machine = Machine(
            self.definition,
            self.script.guards(definition.guards),
            self.script.actions(definition.actions),
            definition.config(),
        )

    async def play(
        self,
        path: Mapping[str, Any],
        open_store: Callable[[], Store],
        crashes: Crashes = Crashes.NEVER,
        crash_at: AbstractSet[str] | None = None,
    ) -> Played:
        """Play `path` and compare.

        Args:
            path: one of a machine's `paths.json`, or any trace.
            open_store: opens the store that the machine runs on; called again after every crash. Empty at first.
            crash_at: crash only at commits that take one of these rows. None: at every commit.

        Raises:
            DifferenceError: what happened is not what the path says.
        """
        rehearsal = _Rehearsal(self, path, open_store, crashes, crash_at)
        await rehearsal.play()
        return rehearsal.played


async def play(
    definition: MachineDefinition,
    path: Mapping[str, Any],
    open_store: Callable[[], Store],
    crashes: Crashes = Crashes.NEVER,
    crash_at: AbstractSet[str] | None = None,
) -> Played:
    """Play one path on a stage of its own; see `Stage.play`."""
    return await Stage(definition).play(path, open_store, crashes, crash_at)


class _MortalStore:
    """The store, and what was written to it; it can be told to die with the process, before or after a commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits: list[Commit] = []
        """What was written since somebody last emptied this."""
        self.dies = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, commits: Sequence[Commit]) -> None:
        if self.dies == "before":
            raise StoreError("the process died before the commit")
        self._store.commit(commits)
        self.commits += commits
        if self.dies == "after":
            raise StoreError("the process died after the commit")


class _Rehearsal:
    def __init__(
        self,
        stage: Stage,
        path: Mapping[str, Any],
        open_store: Callable[[], Store],
        crashes: Crashes,
        crash_at: AbstractSet[str] | None,
    ) -> None:
        self.played = Played()
        self._definition = stage.definition
        self._machine = stage.machine
        self._script = stage.script
        self._script.phase = lambda: self._phase
        self._path = path
        self._open_store = open_store
        self._crashes = crashes
        self._crash_at = crash_at
        self._clock = VirtualClock(START)
        self._hands = Hands()
        self._open_intents: dict[str, Intent] = {}
        """The effects that have no outcome yet."""
        self._visits: dict[str, int] = {}
        """The latest visit of each phase that has a timer."""
        self._dropped = -1
        """The visit of a phase whose timer a restart has dropped."""
        self._number = 0
        self._place = 0
        self._step: Mapping[str, Any] = {}

    @property
    def _phase(self) -> str:
        return self._worker.instances[NAME].snapshot.phase

    async def play(self) -> None:
        self._open()
        await self._worker.start()
        await self._worker.create(NAME)
        self._count_intents(self._store.commits)
        self._note_visit()
        await self._see_calls()
        for place, step in enumerate(self._path["steps"], start=1):
            self._place, self._step = place, step
            if self._step["kind"] in _ELSEWHERE:
                await self._look_up()
            elif self._step["kind"] == "crash":
                await self._crash()
            else:
                await self._happen()
            self._compare_state()
        await self._hands.die()
        self._store.close()

    # -- one step --------------------------------------------------------------------------------------------------

    async def _happen(self) -> None:
        takes = self._step.get("takes", ())
        rows = [row for take in takes if take["outcome"] == "handled" for row in take.get("rows", ())]
        here = bool(rows) and (self._crash_at is None or not self._crash_at.isdisjoint(rows))
        waiting, phase = [one.event for one in self._instance.deferred], self._phase
        event = self._made_event()
        if here and self._crashes is Crashes.AROUND:
            await self._die_at_commit("before", event)
            self.played.shown.update(f"crash-before:{row}" for row in rows)
            commits = await self._die_at_commit("after", event)
            self._compare_commits(commits, takes)
            self._compare_state()
            await self._repeat(event, takes)
            self.played.shown.update(f"crash-after:{row}" for row in rows)
        else:
            commits = await self._deliver(event, takes)
            self._compare_commits(commits, takes)
        self._note_shown(commits, waiting, phase)
        self.played.commits += len(commits)
        self._count_intents(commits)
        await self._see_calls()
        if here and self._crashes is Crashes.UNDER_WAY and any(commit.requested for commit in commits):
            self._compare_state()
            await self._crash()
            asking = {row.branch for commit in commits for row in commit.audit if row.requested}
            self.played.shown.update(f"crash-sent:{row}" for row in asking)

    async def _deliver(self, event: EventContext | None, takes: Sequence[Take]) -> list[Commit]:
        """Let the step happen; its commits."""
        self._script.begin(takes)
        self._store.commits.clear()
        kind = self._step["kind"]
        if kind in _ANSWERS or (kind == "failure" and self._step.get("effect")):
            self._answer()
        elif kind == "timer":
            self._fire()
        else:
            assert event is not None
            self._worker.post(event)
        for _ in range(100):
            if await self._worker.pump():
                break
            await asyncio.sleep(0)
        return list(self._store.commits)

    def _made_event(self) -> EventContext | None:
        """The event of the step, unless a timer or an effect brings it; the same one for each delivery."""
        kind, name = self._step["kind"], self._step.get("event", "")
        if kind == "timer" or kind in _ANSWERS or (kind == "failure" and self._step.get("effect")):
            return None
        event = EventContext(name, NAME, self._clock.now(), self._payload(name))
        if kind == "stale":
            phase = self._step["told"]
            if phase not in self._visits:
                raise self._difference("stale timer", f"{phase} had one", "it never had")
            event.generation = self._visits[phase]
        elif not self._definition.events[name].identity:
            event.id = f"delivery-{self._number}"
        return event

    def _payload(self, event: str) -> msgspec.Struct:
        self._number += 1
        made: msgspec.Struct = made_up(self._definition.events[event].payload, event.lower(), START + self._number)
        return made

    def _answer(self) -> None:
        effect = self._step["effect"]
        call = self._hands.latest(effect)
        if call is None:
            raise self._difference("effects under way", effect, self._calls())
        if self._step["kind"] == "failure":
            call.answer.set_exception(RehearsedError(f"{effect} fails, as the path says"))
        else:
            call.answer.set_result(self._payload(self._step["event"]))

    def _fire(self) -> None:
        due = self._worker.next_timer_at()
        if due is None and self._instance.generation == self._dropped:
            # It would have fired, had the process not died here in between.
            event = self._step["event"]
            self._worker.post(EventContext(event, NAME, self._clock.now(), self._payload(event)))
            return
        if due is None:
            raise self._difference("timer", self._step["event"], None)
        self._clock.advance_to(max(due, self._clock.now()))
        self._worker.fire_timers()

    async def _look_up(self) -> None:
        """A look-up that proves that nothing was done lets the effect be tried again."""
        effect = self._step.get("effect", "")
        if self._step.get("event") != "look_up" or self._step.get("told") in self._definition.effects[effect].outcomes:
            return
        call = self._hands.latest(effect)
        if call is None:
            raise self._difference("effects under way", effect, self._calls())
        if not call.recovers:
            return
        open_calls = len(self._hands.calls)
        call.answer.set_result(None)
        await asyncio.sleep(0)
        await self._hands.called(open_calls)
        again = self._hands.latest(effect)
        if again is None or again.recovers or again.claim.attempt != call.claim.attempt + 1:
            raise self._difference("effects under way", f"{effect}, attempt {call.claim.attempt + 1}", self._calls())

    async def _repeat(self, event: EventContext | None, takes: Sequence[Take]) -> None:
        """The sender of an event got no receipt and sends it again: it is known."""
        if event is None or takes[0]["outcome"] not in _ANSWERED:
            return
        receipt = await self._worker.process(event)
        if receipt.outcome is not Outcome.DUPLICATE:
            raise self._difference("outcome of the same event again", "duplicate", str(receipt.outcome))

    # -- crashes ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._store = _MortalStore(self._open_store())
        self._worker = Worker(
            self._machine,
            cast(Store, self._store),
            self._clock,
            self._hands.handlers(self._definition.effect_handlers),
        )

    async def _crash(self) -> None:
        """The process dies and is started again."""
        await self._hands.die()
        self._store.close()  # as the end of the process would; nothing is written
        self._open()
        restart = await self._worker.start()
        self.played.crashes += 1
        if restart.quarantined or NAME not in self._worker.instances:
            raise self._difference("restart", "the instance goes on", str(restart.quarantined))
        timeout = self._definition.phases[self._phase].timeout
        if timeout is not None and timeout.on_restore is OnRestore.DROP:
            self._dropped = self._instance.generation
        self._open_intents = {intent.intent_id: intent for intent in self._store.load().open_intents}
        await self._see_calls(recovering=True)

    async def _die_at_commit(self, when: str, event: EventContext | None) -> list[Commit]:
        before = self._machine.decode(self._worker.instances[NAME].checkpoint)
        self._store.dies = when
        try:
            commits = await self._deliver(event, self._step.get("takes", ()))
        except StoreError:
            commits = list(self._store.commits)
        else:
            raise self._difference(f"death {when} the commit", "a commit", f"{len(commits)} commits")
        await self._crash()
        if when == "before":
            # The timer is treated as its phase says; nothing else may change.
            timeout = self._definition.phases[before.phase].timeout
            if timeout is not None and timeout.on_restore is not OnRestore.KEEP_DEADLINE:
                before.timer = self._instance.timer
            for name in before.__struct_fields__:
                self._same(
                    f"{name} after a death before the commit", getattr(before, name), getattr(self._instance, name)
                )
        return commits

    async def _see_calls(self, recovering: bool = False) -> None:
        """Every effect that has no outcome yet is under way; after a crash, looked up where it must not come twice."""
        intents = list(self._open_intents.values())
        if not await self._hands.called(len(intents)):
            raise self._difference("effects under way", [one.effect for one in intents], self._calls())
        if not recovering:
            return
        for intent in intents:
            once = self._definition.effects[intent.effect].effect_class is EffectClass.AT_MOST_ONCE
            call = next((one for one in self._hands.calls if one.claim == intent.claim), None)
            if call is None or call.recovers is not once:
                wanted = f"{'recover_' if once else ''}{intent.effect}, attempt {intent.attempt}"
                raise self._difference("effect after a restart", wanted, self._calls())

    def _count_intents(self, commits: list[Commit]) -> None:
        for commit in commits:
            self._open_intents.update({intent.intent_id: intent for intent in commit.requested})
            for intent_id, _, _ in commit.finished:
                self._open_intents.pop(intent_id, None)

    def _calls(self) -> list[str]:
        return [f"{'recover_' if one.recovers else ''}{one.effect}" for one in self._hands.calls]

    # -- comparing -------------------------------------------------------------------------------------------------

    @property
    def _instance(self) -> Any:
        return self._worker.instances[NAME].snapshot

    def _compare_state(self) -> None:
        after, snapshot = self._step.get("after", {}), self._instance
        self._same("phase", after["phase"], snapshot.phase)
        self._same("deferred events", list(after.get("deferred", ())), [one.event for one in snapshot.deferred])
        expected = after.get("timer", False) and snapshot.generation != self._dropped
        self._same("timer", "runs" if expected else "does not run", _runs(snapshot.timer))
        self._note_visit()

    def _note_visit(self) -> None:
        if self._definition.phases[self._phase].timeout is not None:
            self._visits[self._phase] = self._instance.generation

    def _compare_commits(self, commits: list[Commit], takes: Sequence[Take]) -> None:
        self._same("commits", [take["event"] for take in takes], [commit.audit[0].event for commit in commits])
        for commit, take in zip(commits, takes, strict=True):
            self._compare(commit, take)
        if not self._script.failed:
            ran = [name for take in takes for name in take.get("actions", ())]
            self._same("actions that ran", ran, self._script.done)
        self._same("guards not asked", [], self._script.unasked())

    def _compare(self, commit: Commit, take: Take) -> None:
        first, last = commit.audit[0], commit.audit[-1]
        self._same("outcome", take["outcome"], first.outcome.value, first.reason)
        self._same("rows", list(take.get("rows", ())), [row.branch for row in commit.audit if row.branch])
        self._same("phase before", take["from"], first.phase_from)
        self._same("phase after", take["to"], last.phase_to)
        self._same("raised", list(take.get("raised", ())), [row.event for row in commit.audit[1:]])
        self._same("actions", list(take.get("actions", ())), [name for row in commit.audit for name in row.actions])
        self._same("effects", list(take.get("requested", ())), list(_requested(commit)))

    def _same(self, what: str, expected: object, found: object, why: str = "") -> None:
        if expected != found:
            raise self._difference(what, expected, found, why)

    def _difference(self, what: str, expected: object, found: object, why: str = "") -> DifferenceError:
        path, step = self._path.get("path", "?"), self._step.get("event") or self._step.get("kind", "start")
        return DifferenceError(
            f"{self._definition.name}, path {path}, step {self._place} ({step}), {self._crashes.name}: {what}\n"
            f"  expected: {expected}\n  found:    {found}" + (f"\n  {why}" if why else "")
        )

    def _note_shown(self, commits: list[Commit], waiting: list[str], phase: str) -> None:
        shown, kind = self.played.shown, self._step["kind"]
        if kind == "stale":
            shown.add(f"stale:{self._step['told']}")
            return
        if kind == "timer" and commits[0].audit[0].outcome is not Outcome.FAILED:
            shown.add(f"timeout:{phase}")
        shown.update(f"{what.replace(' ', '-error:', 1)}" for what in self._script.failed)
        if not self._script.failed:
            shown.update(f"guard:{cell} {name}={str(answer).lower()}" for cell, name, answer in self._script.asked)
        for number, commit in enumerate(commits):
            first = commit.audit[0]
            if first.outcome is Outcome.FAILED:
                continue
            shown.update(
                f"row:{row.branch}" if row.branch else f"cell:{row.phase_from}/{row.event}" for row in commit.audit
            )
            if number and first.event in waiting and first.outcome in (Outcome.HANDLED, Outcome.IGNORED):
                shown.add(f"taken-later:{phase}/{first.event}")


def _requested(commit: Commit) -> Iterator[str]:
    for row in commit.audit:
        for effect in row.requested:
            yield effect.partition("/")[0]


def _runs(timer: Timer | None) -> str:
    return "does not run" if timer is None else "runs"
