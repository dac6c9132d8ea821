"""A spec that was explored, so that one which differs from it in few places need not be explored from the start.

What follows from a state depends only on the phases that its steps come through. Where none of them differs, the steps
of the other spec lead where those of the first one did.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from codegen.model import Machine, Spec
from codegen.verify.explorer import Explored, explore
from codegen.verify.world import Next, State, Step, World


class Baseline:
    """Args: as those of `World`. The spec must hold: every state is explored."""

    def __init__(self, spec: Spec, venue: Spec | None, under_way: int) -> None:
        self._world = World(spec, venue, under_way)
        self._spec, self._venue, self._under_way = spec, venue, under_way
        self._asks: list[int] = []
        """For each state the phases, as bits, in which its steps ask what becomes of an event."""
        self._enters: list[int] = []
        """For each state the phases, as bits, that its steps enter, and that they ask in."""
        phases = self._world.machine.phases
        self._bits = {name: 1 << place for place, name in enumerate(phases)}
        self._raising = _raising(self._world.machine.machine)
        self._explored = explore(self._world.initial, self._noting, lambda state, number: True, lambda known: False)
        self._numbers = {state: number for number, state in enumerate(self._explored.states)}

    def _noting(self, state: State) -> Iterator[Next]:
        asks, enters = 1 << state.inner.phase, 0
        for step, after, counts in self._world.next(state):
            enters |= 1 << after.inner.phase
            for take in step.takes:
                reached = 1 << take.taken.inner.phase
                enters |= reached
                # What waits, and what is raised, is asked about in the phase that is reached.
                asks |= reached if state.deferred or after.deferred else reached & self._raising
                for row in take.taken.rows:
                    asks |= self._bits[row.split("/", 1)[0]]
            yield step, after, counts
        self._asks.append(asks)
        self._enters.append(enters | asks)

    def world_of(self, spec: Spec) -> World | None:
        """A world of `spec` in which states are written as here; None when the specs differ in more than their rows,
        entries, exits and timeouts."""
        if _frame(spec) != _frame(self._spec):
            return None
        return World(spec, self._venue, self._under_way, like=self._world)

    def explore(
        self, world: World, goes_on: Callable[[State, int], bool], enough: Callable[[int], bool]
    ) -> Explored[State, Step]:
        """As `explore`, of a `world_of` another spec."""
        changed, entered = self._changed(world.machine.machine)
        places: dict[int, int] = {}
        """Where a state of the first spec is among those that were found."""
        numbers: dict[State, int] = {}
        found: Explored[State, Step] = Explored([], [], [])
        origins: list[int] = []
        closed: set[int] = set()

        def place_of(state: State | None, origin: int, parent: int, step: Step | None) -> int:
            place = places.get(origin) if state is None else numbers.get(state)
            if place is None:
                place = len(found.states)
                if state is None:
                    state = self._explored.states[origin]
                    places[origin] = place
                else:
                    numbers[state] = place
                found.states.append(state)
                found.parents.append(parent)
                found.steps.append(step)
                origins.append(origin)
                # The states of the first spec break no claim.
                if origin < 0 and not goes_on(state, place):
                    closed.add(place)
            return place

        def known(state: State) -> tuple[State | None, int]:
            origin = self._numbers.get(state)
            return (state, -1) if origin is None else (None, origin)

        place_of(*known(world.initial), 0, None)
        place = 0
        while place < len(found.states):
            if enough(len(found.states)):
                found.complete = False
                break
            ways: dict[int, None] = {}
            origin = origins[place]
            if place in closed:
                pass
            elif origin >= 0 and not (self._asks[origin] & changed or self._enters[origin] & entered):
                for to, counts in self._explored.following(origin):
                    ways[8 * place_of(None, to, place, None) + counts] = None
            else:
                state = found.states[place]
                for step, after, counts in world.next(state):
                    number = place_of(*known(after), place, step)
                    if number != place:
                        ways[8 * number + counts] = None
            if not ways and place not in closed:
                found.dead_ends.append(place)
            found.ways.append(array("Q", ways))
            place += 1
        found.ways += [array("Q")] * (len(found.states) - len(found.ways))
        return found

    def _changed(self, machine: Machine) -> tuple[int, int]:
        """The phases that differ, as bits, and those that differ for whoever enters them."""
        first = self._world.machine.machine
        changed = [name for name in self._bits if _within(first, name) != _within(machine, name)]
        entered = [name for name in changed if _at_entry(first, name) != _at_entry(machine, name)]
        raising = _raising(machine) & ~self._raising
        return sum(self._bits[name] for name in changed), sum(self._bits[name] for name in entered) | raising


def _frame(spec: Spec) -> list[object]:
    """All that counts of a spec besides what happens in its phases."""
    return [
        list(spec.phases),
        spec.initial,
        spec.error_event,
        {phase.timeout.raises for phase in spec.phases.values() if phase.timeout is not None},
        [(name, event.source, list(event.payload)) for name, event in spec.events.items()],
        spec.guards,
        spec.actions,
        spec.facts,
        spec.effects,
        [(group.phases, group.groups, group.history) for group in spec.groups.values()],
        spec.venue,
        spec.invariants,
        spec.properties,
    ]


def _within(machine: Machine, name: str) -> list[object]:
    phase = machine.spec.phases[name]
    return [machine.cells[name], phase.entry, phase.exit, phase.timeout, phase.final]


def _at_entry(machine: Machine, name: str) -> list[object]:
    phase = machine.spec.phases[name]
    return [phase.entry, phase.timeout]


def _raising(machine: Machine) -> int:
    """The phases, as bits, in which something may be raised."""
    found = 0
    for place, name in enumerate(machine.spec.phases):
        if machine.spec.phases[name].entry.raises:
            found |= 1 << place
        for cell in machine.cells[name].values():
            for branch in cell.branches:
                if branch.raises:
                    found |= 1 << (place if branch.to is None else list(machine.spec.phases).index(branch.to))
    return found
