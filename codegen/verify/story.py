"""A way through the world in words: who did what, and which rows of the spec were taken."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.flatten import branch_path
from codegen.model import Machine, Spec
from codegen.verify.result import Actor, Row, TraceStep
from codegen.verify.world import EARLIER, LONG_AGO, NOW, Order, State, Step, World

_ACTORS: dict[str, Actor] = {
    "outside": "outside",
    "timer": "bot",
    "request": "venue",
    "answer": "venue",
    "report": "venue",
    "unknown": "process",
    "unsent": "process",
    "expired": "venue",
    "venue": "venue",
    "crash": "process",
    "failure": "process",
}
_WHICH = {NOW: "the present", EARLIER: "the previous", LONG_AGO: "a long finished"}


class Storyteller:
    """Tells steps of `world`, which is about `spec` and its `venue`."""

    def __init__(self, spec: Spec, venue: Spec | None, world: World) -> None:
        self._spec = spec
        self._venue = venue
        self._world = world

    def tell(self, way: Sequence[tuple[Step, State]], initial: State) -> tuple[TraceStep, ...]:
        """The steps from `initial` on, each with the state that it leads to."""
        told = []
        before = initial
        for step, after in way:
            orders = self.orders(after) if after.orders != before.orders else ""
            told.append(
                TraceStep(
                    self._actor(step),
                    step.kind,
                    self._words(step, before, after),
                    step.event,
                    step.effect,
                    self._order(step),
                    step.told or "",
                    self._phase(before),
                    self._phase(after),
                    tuple(_row(self._world.machine.machine, row) for row in step.rows),
                    self._became(step, before),
                    orders,
                )
            )
            before = after
        return tuple(told)

    def _actor(self, step: Step) -> Actor:
        asked = self._spec.venue.look_up_all if self._spec.venue is not None else {}
        if step.side >= 0 or step.kind not in ("answer", "report"):
            return _ACTORS[step.kind]
        told = {self._spec.effects[effect].outcomes[outcome] for effect, outcome in asked.items()}
        return "venue" if step.event in told else "outside"

    def _became(self, step: Step, before: State) -> str:
        if step.kind in ("request", "venue", "expired", "crash"):
            return ""
        machine = self._world.machine.machine
        event = self._spec.error_event if step.kind == "failure" else step.event
        cell = machine.cells[self._phase(before)][event]
        if cell.kind == "branches":
            taken = next((branch for branch in cell.branches if branch.id in step.rows[:1]), None)
            return f"ignored: {taken.ignored}" if taken is not None and taken.ignored is not None else ""
        if cell.kind == "defer":
            return "deferred"
        return f"{'ignored' if cell.kind == 'ignore' else 'rejected'}: {cell.reason}"

    def _words(self, step: Step, before: State, after: State) -> str:
        order = self._order(step)
        about = f" for {order}" if order else ""
        summary = self._summary(step.event)
        match step.kind:
            case "outside":
                return f"{step.event} comes from outside: {summary}"
            case "timer":
                return f"The timer of {self._phase(before)} fires {step.event}: {summary}"
            case "request" if step.event == "look_up":
                found = "it is not there, so it is sent again" if self._asked_again(after, step) else f"{step.told}"
                return f"Since the process died, {order} of {step.effect} is looked up: {found}."
            case "request" if step.side < 0:
                return f"The request {step.effect} reaches the venue, whose answer sets out."
            case "request" if step.told is None:
                return f"The request {step.effect}{about} reaches the venue, and no answer to it is awaited."
            case "request":
                return f"The request {step.effect}{about} reaches the venue, whose answer `{step.told}` sets out."
            case "answer":
                return f"The answer `{step.told}` to {step.effect}{about} arrives as {step.event}: {summary}"
            case "unknown":
                return f"No answer to {step.effect}{about} comes; {step.event}: {summary}"
            case "unsent":
                return f"The request {step.effect}{about} provably never left and is given up; {step.event}: {summary}"
            case "expired":
                return f"What was sent for {step.effect}{about} can no longer arrive."
            case "venue":
                assert self._venue is not None
                return f"At the venue, {order}: {self._venue.events[step.event].summary}"
            case "report":
                if not order:
                    return f"An answer to an earlier question arrives late as {step.event}: {summary}"
                fills = self._fills(step.fills) if step.event in self._world.carriers else ""
                return f"The venue reports of {order}{fills}, as {step.event}: {summary}"
            case "crash":
                return "The process crashes and is started again; what it waited to hear is lost, and asked again."
            case "failure":
                lost = f"The answer `{step.told}` to {step.effect}{about} arrives, but a" if step.effect else "A"
                return f"{lost} handler fails, and {self._spec.error_event} comes instead."
        raise AssertionError(step.kind)

    def _asked_again(self, after: State, step: Step) -> bool:
        return any(self._world.effect(one) == step.effect and self._world.stage(one) == 0 for one in after.pending)

    def _order(self, step: Step) -> str:
        if step.side < 0 or step.which not in _WHICH:
            return ""
        return f"{_WHICH[step.which]} {self._world.sides[step.side]} order"

    def _fills(self, fills: int) -> str:
        assert self._world.life is not None
        return f" (filled: {self._world.life.fill_names[fills]})"

    def _summary(self, event: str) -> str:
        return self._spec.events[event].summary if event in self._spec.events else ""

    def _phase(self, state: State) -> str:
        return self._world.machine.phases[state.inner.phase]

    def orders(self, state: State) -> str:
        """Every order that is followed, with where it is at the venue and how much of it is filled and booked."""
        told = []
        for place, order in enumerate(state.orders):
            if order is not None:
                which = "" if place % 2 == NOW else "previous "
                told.append(f"{which}{self._world.sides[place // 2]} order {self._state(order)}")
        return "; ".join(told)

    def _state(self, order: Order) -> str:
        life = self._world.life
        assert life is not None
        if order[0] == 0:
            return "not there yet"
        phase, fills, booked = life.phase_names[life.phase[order[0]]], life.fills[order[0]], order[1]
        if not fills and not booked:
            return phase
        return f"{phase}, filled {life.fill_names[fills]}, booked {life.fill_names[booked]}"


def _row(machine: Machine, branch: str) -> Row:
    phase, event, number = branch.split("/")
    source = machine.spec.source
    position = source.value(branch_path(machine, phase, event, int(number) - 1))
    return Row(branch, source.name, position.line)
