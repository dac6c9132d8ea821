"""Few ways through the world that show all there is to show of a machine, for tests of whatever carries it out.

The states that verification went through are a tree of shortest ways. What one step shows is looked for from each of
them; then ways are laid from one such step to the next, down the tree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from codegen.model import Spec
from codegen.verify.explorer import Explored, explore
from codegen.verify.free import free_world
from codegen.verify.items import KINDS, Item, items, left_with_timer, shown
from codegen.verify.machine import Part, Taken
from codegen.verify.trace import Trace, Tracer
from codegen.verify.world import State, Step, Take, World

LONGEST = 80
"""Steps after which a path is not led on to further items."""
_AT_MOST = 200_000
_NOT_TO_BE_PLAYED = ("commit", "request")

Way = list[tuple[Step, State]]


class Missing(NamedTuple):
    """An item that no path shows."""

    name: str
    file: str
    line: int


@dataclass(frozen=True)
class Coverage:
    """The paths of one machine. `counts` says for each kind of item how many there are and how many are covered."""

    machine: str
    counts: dict[str, tuple[int, int]]
    only_free: int
    """How many items are covered in a free environment only."""
    passing: int
    """How many items are not counted, because the machine never rests in their phase."""
    paths: tuple[Trace, ...]
    missing: tuple[Missing, ...]

    @property
    def complete(self) -> bool:
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data for a script."""
        return {
            "paths": len(self.paths),
            "items": {kind: {"of": of, "covered": covered} for kind, (of, covered) in self.counts.items()},
            "only_free": self.only_free,
            "passing": self.passing,
            "missing": [one._asdict() for one in self.missing],
        }

    def __str__(self) -> str:
        total, covered = (sum(one) for one in zip(*self.counts.values(), strict=True))
        parts = ", ".join(f"{of:,} {KINDS[kind]}" for kind, (of, _) in self.counts.items())
        free = f"; {self.only_free:,} items only in a free environment" if self.only_free else ""
        free += f"; not counted: {self.passing:,} in phases that are only passed through" if self.passing else ""
        return (
            f"{self.machine}: {covered:,} of {total:,} items covered by {len(self.paths):,} paths, "
            f"{sum(len(path.steps) for path in self.paths):,} steps ({parts}{free})"
        )


def cover(spec: Spec, venue: Spec | None, world: World, explored: Explored[State, Step]) -> Coverage:
    """Paths for everything there is to show of `spec`, taken from all that was `explored` of its `world`."""
    machine = world.machine.machine
    wanted = items(machine)
    finder = _Finder(world, explored, {item.name for item in wanted})
    ways = finder.ways()
    left = {item.name for item in wanted} - finder.covered
    alone = free_world(spec)
    freely = _everything(alone)
    outer = _Finder(alone, freely, left)
    free_ways = outer.ways()
    tracer = Tracer(spec, venue, world)
    paths = [tracer.path(way, covers, True) for way, covers in _told(ways, world, finder.wanted)]
    tracer = Tracer(spec, venue, alone)
    paths += [tracer.path(way, covers, False) for way, covers in _told(free_ways, alone, outer.wanted)]
    covered = finder.covered | outer.covered
    # With any event at any time and any answer of any guard the machine rests in these phases, and in no others.
    rests = {alone.machine.phases[state.inner.phase] for state in freely.states} if freely.complete else set()
    passing = {one.name for one in wanted if one.phase and one.phase not in rests and freely.complete} - covered
    wanted = [one for one in wanted if one.name not in passing]
    return Coverage(
        spec.machine,
        _counts(wanted, covered),
        len(outer.covered),
        len(passing),
        tuple(paths),
        tuple(
            Missing(item.name, spec.source.name, spec.source.key(item.path).line)
            for item in wanted
            if item.name not in covered
        ),
    )


def _everything(world: World) -> Explored[State, Step]:
    return explore(world.initial, world.next, lambda state, number: True, lambda known: known > _AT_MOST)


class _Shot(NamedTuple):
    """A step that shows something: from the state of this number into `after`."""

    number: int
    step: Step
    after: State
    names: frozenset[str]


class _Finder:
    """Finds ways that show what is `wanted`; `covered` says what they show."""

    def __init__(self, world: World, explored: Explored[State, Step], wanted: set[str]) -> None:
        self.wanted = wanted
        self.covered: set[str] = set()
        self._world = world.in_every_way()
        self._phases = world.machine.phases
        self._machine = world.machine.machine
        self._tree = explored
        self._numbers = {state: number for number, state in enumerate(explored.states)}
        self._depth = [0] * len(explored.states)
        self._barred = bytearray(len(explored.states))
        for number, step in enumerate(explored.steps):
            if step is not None:
                parent = explored.parents[number]
                self._depth[number] = self._depth[parent] + 1
                self._barred[number] = self._barred[parent] or not _can_be_played(step)
        self._still: dict[int, list[_Shot]] = defaultdict(list)
        """The steps that lead nowhere else, by the state in which they happen."""

    def ways(self) -> list[Way]:
        shots = self._shots()
        below: dict[int, list[_Shot]] = defaultdict(list)
        for shot in shots:
            if self._numbers.get(shot.after) == shot.number:
                self._still[shot.number].append(shot)
            for place in self._tree.trace(shot.number):
                below[place].append(shot)
        made = []
        for first in sorted(shots, key=lambda shot: -self._depth[shot.number]):
            if first.names <= self.covered:
                continue
            way: Way = []
            at, shot = 0, first
            while True:
                self._go(way, at, shot)
                reached = self._numbers.get(shot.after)
                if reached is None or len(way) >= LONGEST:
                    break
                at = reached
                further = [one for one in below[at] if not one.names <= self.covered]
                if not further:
                    break
                shot = min(further, key=lambda one: self._depth[one.number])
            made.append(way)
        return self._needed(made)

    def _shots(self) -> list[_Shot]:
        shots = []
        found: set[str] = set()
        for number, state in enumerate(self._tree.states):
            if self._barred[number]:
                continue
            for step, after in self._world.news(state):
                names = frozenset(self._shown(state, step)) - found
                if names and _can_be_played(step):
                    found |= names
                    shots.append(_Shot(number, step, after, names))
        return shots

    def _go(self, way: Way, start: int, shot: _Shot) -> None:
        """Down the tree from `start` to the shot, taking up on the way what can be shown without leaving it."""
        places = []
        place = shot.number
        while place != start:
            places.append(place)
            place = self._tree.parents[place]
        self._stand(way, start)
        for place in reversed(places):
            step = self._tree.steps[place]
            assert step is not None
            self._take(way, self._tree.states[self._tree.parents[place]], step, self._tree.states[place])
            self._stand(way, place)
        if not shot.names <= self.covered:
            self._take(way, self._tree.states[shot.number], shot.step, shot.after)

    def _stand(self, way: Way, number: int) -> None:
        for shot in self._still[number]:
            if len(way) < LONGEST and not shot.names <= self.covered:
                self._take(way, self._tree.states[number], shot.step, shot.after)

    def _take(self, way: Way, before: State, step: Step, after: State) -> None:
        way.append((step, after))
        self.covered.update(self._shown(before, step))
        if left_with_timer(before, step):
            phase = self._phases[before.inner.phase]
            late = f"stale:{phase}"
            if late in self.wanted and late not in self.covered:
                self.covered.add(late)
                way.append((self._too_late(phase, after), after))

    def _too_late(self, phase: str, state: State) -> Step:
        timeout = self._world.spec.phases[phase].timeout
        assert timeout is not None
        part = Part(timeout.raises, "ignored", state.inner.phase, state.inner.phase)
        take = Take(timeout.raises, False, Taken("ignored", state.inner, parts=(part,)))
        return Step("stale", timeout.raises, told=phase, takes=(take,))

    def _shown(self, before: State, step: Step) -> Iterator[str]:
        return (name for name in shown(self._machine, self._phases, before, step) if name in self.wanted)

    def _needed(self, ways: list[Way]) -> list[Way]:
        """Without those that add nothing to the others; the shortest are let go first."""
        shows = [frozenset(names(way, self._world)) & self.wanted for way in ways]
        often = Counter(name for one in shows for name in one)
        kept = set(range(len(ways)))
        for number in sorted(kept, key=lambda number: (len(ways[number]), -number)):
            if all(often[name] > 1 for name in shows[number]):
                kept.remove(number)
                often.subtract(shows[number])
        return [way for number, way in enumerate(ways) if number in kept]


def names(way: Way, world: World) -> Iterator[str]:
    """What the way shows, in order."""
    before = world.initial
    for step, after in way:
        yield from shown(world.machine.machine, world.machine.phases, before, step)
        before = after


def _told(ways: Iterable[Way], world: World, wanted: set[str]) -> Iterator[tuple[Way, list[str]]]:
    """Each way with what it is the first to show."""
    told: set[str] = set()
    for way in ways:
        covers = [name for name in dict.fromkeys(names(way, world)) if name in wanted and name not in told]
        told.update(covers)
        yield way, covers


def _can_be_played(step: Step) -> bool:
    return not any(take.taken.fails in _NOT_TO_BE_PLAYED for take in step.takes)


def _counts(wanted: list[Item], covered: set[str]) -> dict[str, tuple[int, int]]:
    counts = {}
    for kind in KINDS:
        of = [item.name for item in wanted if item.name.startswith(f"{kind}:")]
        if of:
            counts[kind] = (len(of), sum(name in covered for name in of))
    return counts
