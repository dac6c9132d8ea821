"""A way through the world with everything that is needed to play it again: for counterexamples and for test paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codegen.digest import digest
from codegen.model import Spec
from codegen.scope import ORDERS
from codegen.verify.world import (
    ADRIFT,
    ASKED,
    EARLIER,
    LONG_AGO,
    LOOKING,
    LOOKING_ADRIFT,
    NOW,
    Order,
    Pending,
    State,
    Step,
    Take,
    World,
)

FORMAT = 1
_WHICH = {NOW: "present", EARLIER: "previous", LONG_AGO: "finished"}
_STAGES = {ASKED: "asked", ADRIFT: "adrift", LOOKING: "looking", LOOKING_ADRIFT: "looking"}


@dataclass(frozen=True)
class Trace:
    """A way through the world as plain data.

    `claim`, `loss` and `ending` are those of a counterexample. `covers` names what a test path shows, and
    `with_exchange` says whether a consistent exchange provokes it. `spec` has the text of each file by its name.
    """

    machine: str
    digest: str
    steps: tuple[dict[str, Any], ...]
    claim: str | None = None
    loss: str = ""
    ending: str = ""
    covers: tuple[str, ...] = ()
    with_exchange: bool = True
    spec: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a script."""
        return {
            "trace": FORMAT,
            "machine": self.machine,
            "digest": self.digest,
            "claim": self.claim,
            "loss": self.loss,
            "ending": self.ending,
            "covers": list(self.covers),
            "with_exchange": self.with_exchange,
            "spec": dict(self.spec),
            "steps": list(self.steps),
        }


class Tracer:
    """Makes traces of ways through `world`, which is about `spec` and its `venue`."""

    def __init__(self, spec: Spec, venue: Spec | None, world: World) -> None:
        self._world = world
        self._machine = spec.machine
        self._digest = digest(world.machine.machine)
        files = [spec] if venue is None else [spec, venue]
        self._texts = {one.source.name.rsplit("/", 1)[-1]: one.source.text for one in files}

    def counterexample(
        self, way: Sequence[tuple[Step, State]], words: Sequence[tuple[str, str]], claim: str, loss: str, ending: str
    ) -> Trace:
        """What breaks `claim`; `words` says of each step whose it is, and tells it."""
        told = zip(self.steps(way), words, strict=True)
        steps = tuple({**step, "actor": actor, "words": text} for step, (actor, text) in told)
        return Trace(self._machine, self._digest, steps, claim, loss, ending, spec=self._texts)

    def path(self, way: Sequence[tuple[Step, State]], covers: Sequence[str], with_exchange: bool) -> Trace:
        """A way that shows all that it `covers`."""
        return Trace(
            self._machine, self._digest, tuple(self.steps(way)), covers=tuple(covers), with_exchange=with_exchange
        )

    def steps(self, way: Sequence[tuple[Step, State]]) -> list[dict[str, Any]]:
        """Each step with the state that it leads to."""
        return [self.step(step, after) for step, after in way]

    def step(self, step: Step, after: State) -> dict[str, Any]:
        """One step, and the state that it leads to."""
        return {
            "kind": step.kind,
            "event": step.event,
            "effect": step.effect,
            "side": self._world.sides[step.side] if step.side >= 0 else "",
            "which": _WHICH.get(step.which, ""),
            "fills": self._fills(step.fills) if step.event in self._world.carriers else "",
            "told": step.told,
            "answer": [
                {"side": side, "order": ORDERS[order], "fills": self._fills(fills), "live": live}
                for side, (order, fills, live) in zip(self._world.sides, step.answer, strict=False)
            ],
            "venue_rows": list(step.venue_rows),
            "takes": [self.take(take) for take in step.takes],
            "after": self.after(after),
        }

    def take(self, take: Take) -> dict[str, Any]:
        """One commit."""
        taken, phases = take.taken, self._world.machine.phases
        done = taken.parts if taken.how != "failed" else ()
        told: dict[str, Any] = {
            "event": take.event,
            "outcome": taken.how,
            "offered": take.offered,
            "from": phases[taken.parts[0].phase],
            "to": phases[done[-1].to if done else taken.parts[0].phase],
            "rows": [part.row for part in done if part.row],
            "guards": [
                {"cell": f"{phases[part.phase]}/{part.event}", "answers": dict(part.answers)}
                for part in taken.parts
                if part.row or part.answers
            ],
            "raised": [part.event for part in done[1:]],
            "requested": [effect for part in done for effect in part.requests],
            "actions": [action for part in done for action in part.actions],
        }
        if taken.how == "failed":
            told["fails"] = taken.fails
            told["fails_at"] = f"{phases[taken.parts[-1].phase]}/{taken.parts[-1].event}"
        return told

    def after(self, state: State) -> dict[str, Any]:
        """What is there in a state."""
        machine = self._world.machine
        facts = zip(machine.fact_names, state.inner.facts, strict=True)
        return {
            "phase": machine.phases[state.inner.phase],
            "facts": {name: self._world.spec.facts[name][value] for name, value in facts},
            "timer": state.timer,
            "deferred": [waiting.event for waiting in state.deferred],
            "orders": {
                side: {
                    word: self._order(state.orders[2 * number + which])
                    for which, word in ((NOW, "present"), (EARLIER, "previous"))
                }
                for number, side in enumerate(self._world.sides)
            },
            "pending": [self._pending(one) for one in state.pending],
        }

    def _order(self, order: Order | None) -> dict[str, Any] | None:
        life = self._world.life
        if order is None or life is None:
            return None
        return {
            "phase": life.phase_names[life.phase[order[0]]],
            "fills": self._fills(life.fills[order[0]]),
            "booked": self._fills(order[1]),
        }

    def _pending(self, pending: Pending) -> dict[str, Any]:
        stage = self._world.stage(pending)
        place = pending[1]
        return {
            "effect": self._world.effect(pending),
            "side": self._world.sides[place // 2] if place >= 0 else "",
            "which": _WHICH[place % 2] if place >= 0 else "",
            "stage": ("asked" if stage[0] == "about" else "answered") if isinstance(stage, tuple) else _STAGES[stage],
        }

    def _fills(self, fills: int) -> str:
        return self._world.life.fill_names[fills] if self._world.life is not None else ""
