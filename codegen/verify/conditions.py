"""What a spec claims, as questions about a state of the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from codegen.expressions import understand
from codegen.model import Path, Property, Spec
from codegen.scope import scope
from codegen.verify.world import ANSWERS, OUTSIDE, TIMERS, State, World

Question = Callable[[State], bool]
NO_FILL_LET_GO = "no_fill_let_go"
NO_EVENT_WAITS = "no_event_waits_for_ever"
NO_DEAD_END = "no_dead_end"
ASSUMED = {"answers": ANSWERS, "timers": TIMERS, "outside": OUTSIDE}
"""What a property may take to happen in the end."""


class Claim(NamedTuple):
    """A condition that no state may break. `path` leads to it in the spec; it is empty for what always holds."""

    name: str
    broken: Question
    loss: str
    path: Path


class Asker:
    """Answers conditions about states, remembering what was answered before."""

    def __init__(self, spec: Spec, venue: Spec | None, world: World) -> None:
        self._spec = spec
        self._scope = scope(spec, venue, "state")
        self._world = world

    def question(self, text: str) -> Question:
        """Whether the condition holds in a state."""
        holds = understand(text, self._scope).holds
        remembered: dict[Any, bool] = {}
        facts = self._world.machine.fact_names

        def ask(state: State) -> bool:
            key = (state.inner.phase, state.inner.facts, state.orders)
            answer = remembered.get(key)
            if answer is None:
                env: dict[str, Any] = {"phase": state.inner.phase, **dict(zip(facts, state.inner.facts, strict=True))}
                env["count"], env["unbooked"] = self._count(state), self._unbooked(state)
                answer = remembered[key] = bool(holds(env))
            return answer

        return ask

    def claims(self) -> list[Claim]:
        """What must hold in every state: the invariants, what never happens, and that no fill is let go."""
        found = [
            Claim(name, _opposite(self.question(invariant.that)), invariant.loss, ("invariants", name))
            for name, invariant in self._spec.invariants.items()
        ]
        for number, declared in enumerate(self._spec.properties):
            if declared.never is not None:
                question = self.question(declared.never)
                found.append(Claim(property_name(declared), question, declared.loss, ("properties", number)))
        if self._world.life is not None:
            loss = "The exchange reports a fill that is not in the books, and the machine lets the report go."
            found.append(Claim(NO_FILL_LET_GO, lambda state: state.lost, loss, ()))
        return found

    def _count(self, state: State) -> Callable[[int, int], int]:
        life = self._world.life
        assert life is not None or not state.orders

        def count(side: int, word: int) -> int:
            assert life is not None
            orders = state.orders[2 * side : 2 * side + 2]
            return sum(order is not None and life.phase[order[0]] in life.counted[word] for order in orders)

        return count

    def _unbooked(self, state: State) -> Callable[[int], int]:
        life = self._world.life

        def unbooked(side: int) -> int:
            assert life is not None
            orders = state.orders[2 * side : 2 * side + 2]
            return sum(order is not None and life.fills[order[0]] > order[1] for order in orders)

        return unbooked


def claim_names(spec: Spec, venue: Spec | None) -> list[str]:
    """Everything that is looked at, in words: first what is about single states, then what is about the way."""
    names = [*spec.invariants, *(property_name(one) for one in spec.properties if one.never is not None)]
    if spec.venue is not None and venue is not None:
        names.append(NO_FILL_LET_GO)
    names += [property_name(one) for one in spec.properties if one.never is None]
    return [*names, NO_EVENT_WAITS, NO_DEAD_END]


def property_name(declared: Property) -> str:
    """A property in the words of the spec."""
    if declared.never is not None:
        return f"never {declared.never}"
    if declared.reachable is not None:
        return f"reachable: {declared.reachable}"
    if declared.recoverable is not None:
        return f"recoverable: {declared.recoverable}"
    assert declared.leads_to is not None
    assumed = ", ".join(declared.leads_to.assuming or tuple(ASSUMED))
    return f"{declared.leads_to.source} leads to {declared.leads_to.to}, assuming {assumed}"


def _opposite(question: Question) -> Question:
    return lambda state: not question(state)
