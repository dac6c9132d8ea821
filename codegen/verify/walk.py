"""A walk through the world, step by step: where one is, what can happen next, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.model import Spec
from codegen.verify.conditions import Asker, Claim
from codegen.verify.result import TraceStep
from codegen.verify.story import Storyteller
from codegen.verify.trace import Trace, Tracer
from codegen.verify.world import ADRIFT, EARLIER, LOOKING_ADRIFT, Pending, State, Step, World

GROUPS = {
    "from outside": ("outside",),
    "timer": ("timer",),
    "requests and answers": ("request", "answer", "unknown", "unsent", "expired"),
    "reports": ("report",),
    "at the venue": ("venue",),
    "the process": ("crash", "failure"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can happen next."""

    group: str
    told: TraceStep
    requested: tuple[str, ...]
    """The effects that it asks for."""
    answers: tuple[str, ...]
    """What the guards say that are asked on the way."""
    breaks: tuple[Claim, ...]
    """The claims that hold before it and not after it."""
    step: Step
    after: State


@dataclass(frozen=True, slots=True)
class Place:
    """Where the walk is, in words."""

    phase: str
    summary: str
    facts: tuple[str, ...]
    timer: str
    deferred: tuple[str, ...]
    orders: tuple[str, ...]
    requests: tuple[str, ...]
    broken: tuple[Claim, ...]


class Walk:
    """Args:
    spec: the machine, without findings.
    venue: the machine of its venue.
    under_way: how many requests are followed at once.
    """

    def __init__(self, spec: Spec, venue: Spec | None, under_way: int) -> None:
        self._spec = spec
        self._world = World(spec, venue, under_way)
        self._stories = Storyteller(spec, venue, self._world)
        self._tracer = Tracer(spec, venue, self._world)
        self._claims = Asker(spec, venue, self._world).claims()
        self._way: list[tuple[Step, State]] = []

    @property
    def machine(self) -> str:
        return self._spec.machine

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self._way)

    @property
    def _state(self) -> State:
        return self._way[-1][1] if self._way else self._world.initial

    def place(self) -> Place:
        """Where the walk is."""
        state = self._state
        phase = self._world.machine.phases[state.inner.phase]
        facts = zip(self._world.machine.fact_names, state.inner.facts, strict=True)
        return Place(
            phase,
            self._spec.phases[phase].summary,
            tuple(f"{name} {self._spec.facts[name][value]}" for name, value in facts),
            self._timer(phase, state),
            tuple(waiting.event for waiting in state.deferred),
            tuple(self._stories.orders(state).split("; ")) if any(state.orders) else (),
            tuple(self._request(one) for one in state.pending),
            self._broken(state),
        )

    def choices(self) -> tuple[list[Choice], list[str]]:
        """What can happen next, by groups; and the events that would change nothing. Ways that lead to the same are
        one choice."""
        state = self._state
        known = {claim.name for claim in self._broken(state)}
        found: dict[object, Choice] = {}
        idle: dict[str, None] = {}
        for step, after, _ in self._world.next(state):
            if after == state:
                idle[step.event] = None
                continue
            key = (step.kind, after) if step.kind == "failure" else (step.kind, step.event, step.effect, after)
            if key not in found:
                (told,) = self._stories.tell([(step, after)], state)
                breaks = tuple(claim for claim in self._broken(after) if claim.name not in known)
                group = next(name for name, kinds in GROUPS.items() if step.kind in kinds)
                found[key] = Choice(group, told, _requested(step), _answers(step), breaks, step, after)
        places = list(GROUPS)
        return sorted(found.values(), key=lambda one: places.index(one.group)), list(idle)

    def take(self, choice: Choice) -> None:
        """Go on."""
        self._way.append((choice.step, choice.after))

    def back(self) -> bool:
        """Take the last step back; False when there is none."""
        if not self._way:
            return False
        self._way.pop()
        return True

    def trace(self) -> Trace:
        """The walk so far, as data that can be played again. A claim that is broken at its end is what it is about."""
        told = self._stories.tell(self._way, self._world.initial)
        broken = next(iter(self._broken(self._state)), None)
        words = [(one.actor, one.words) for one in told]
        trace = self._tracer.counterexample(self._way, words, "", broken.loss if broken is not None else "", "")
        return replace(trace, claim=broken.name if broken is not None else None)

    def _broken(self, state: State) -> tuple[Claim, ...]:
        return tuple(claim for claim in self._claims if claim.broken(state))

    def _timer(self, phase: str, state: State) -> str:
        timeout = self._spec.phases[phase].timeout
        if timeout is None:
            return ""
        if not state.timer:
            return f"{timeout.raises} fires no more"
        return f"{timeout.raises} after {self._spec.config[timeout.after].default}"

    def _request(self, pending: Pending) -> str:
        effect, stage = self._world.effect(pending), self._world.stage(pending)
        if pending[1] >= 0:
            which = "previous" if pending[1] % 2 == EARLIER else "present"
            effect += f" ({which} {self._world.sides[pending[1] // 2]} order)"
        if isinstance(stage, tuple):
            said = {"about": "on its way", "told": "answer on its way"}.get(stage[0])
            return f"{effect}: {said or (f'answer `{stage[1]}` on its way' if stage[1] else 'done, no answer')}"
        if stage == ADRIFT:
            return f"{effect}: may still arrive, nobody waits for an answer"
        if stage == LOOKING_ADRIFT:
            return f"{effect}: to be looked up, and may still arrive"
        return f"{effect}: {'to be looked up' if stage else 'on its way'}"


def _answers(step: Step) -> tuple[str, ...]:
    parts = [part for take in step.takes for part in take.taken.parts]
    return tuple(dict.fromkeys(name if holds else f"not {name}" for part in parts for name, holds in part.answers))


def _requested(step: Step) -> tuple[str, ...]:
    return tuple(
        effect
        for take in step.takes
        if take.taken.how != "failed"
        for part in take.taken.parts
        for effect in part.requests
    )
