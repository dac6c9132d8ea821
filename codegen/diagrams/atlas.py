"""The sheets of a machine that is too large for one map: what each closed box of the map holds.

A sheet shows the phases of one box, and of the rest of the machine the boxes that they are tied to, as the map above it
shows them. Groups within it stay closed where it would be a thicket, and have sheets of their own; phases that are too
many even so are cut, in the order of the file, into few parts of equal size that can each be drawn.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from codegen.diagrams.condensed import MOST_EDGES, MOST_PHASES, OUTSIDE, MapView, box_of, condensed
from codegen.diagrams.edges import HISTORY, MapEdge, Row, Ways, bundled


@dataclass(frozen=True, slots=True)
class Sheet:
    """`view` says what is drawn of `phases`, and `near` what of the rest, each with its number of phases."""

    name: str
    phases: tuple[str, ...]
    """All of them, also those in closed boxes, in the order of the file."""
    view: MapView
    near: dict[str, int]
    parts: dict[str, tuple[str, ...]]
    """Those of its closed boxes that are parts of it, with their phases."""
    part_of: str = ""
    """The box that it is a part of."""


def atlas(drawn: Ways, view: MapView) -> tuple[Sheet, ...]:
    """A sheet for each closed box of the map and of the sheets themselves, each followed by those within it."""
    maker = _Maker(drawn)
    outside = tuple(phase for phase in drawn.machine.spec.phases if not drawn.machine.phase_groups[phase])
    maker.sizes[OUTSIDE] = len(outside)
    sheets = (
        maker.sheets(name, outside if name == OUTSIDE else drawn.machine.group_phases[name], ChainMap(view.box))
        for name in view.closed
    )
    return tuple(sheet for each in sheets for sheet in each)


@dataclass(slots=True)
class _Maker:
    drawn: Ways
    at_phase: dict[str, list[int]] = field(default_factory=dict)
    """The rows that leave or reach each phase, by their place among all."""
    to_history: dict[str, list[int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, row in enumerate(self.drawn.rows):
            if row.target.endswith(HISTORY):
                self.to_history.setdefault(row.target.removesuffix(HISTORY), []).append(place)
            for phase in dict.fromkeys((row.phase, row.target)):
                self.at_phase.setdefault(phase, []).append(place)
        self.sizes |= {name: len(phases) for name, phases in self.drawn.machine.group_phases.items()}

    def sheets(
        self, name: str, phases: tuple[str, ...], outer: ChainMap[str, str], part_of: str = ""
    ) -> Iterator[Sheet]:
        """The sheet of a box, and those of the boxes that are closed on it. `outer` is where everything is drawn on the
        map above."""
        around = {phase: self._within(name, phase) for phase in phases}
        inner = list(dict.fromkeys(group for phase in phases for group in reversed(around[phase][1:])))
        for group in inner:
            around[group] = self._within(name, group)
            around[f"{group}{HISTORY}"] = (f"{group}{HISTORY}", *around[group])
        ends = _Ends(name, frozenset(phases), frozenset(inner), frozenset(self.drawn.around[phases[0]]), outer)
        rows = self._rows(phases, inner)
        for row in rows:
            for end in ends(row):
                around.setdefault(end, (end,))
        edges = bundled(self.drawn, rows, around, ends)
        holders = {each: tuple(reversed(chain[1:])) for each, chain in around.items()}
        inside = [*phases, *(f"{group}{HISTORY}" for group in inner)]
        direct = [phase for phase in phases if not holders[phase]]
        parts = {} if part_of else _parts(name, direct, edges, holders)
        self.sizes |= {part: len(members) for part, members in parts.items()}
        holders |= {phase: (part,) for part, members in parts.items() for phase in members}
        view = self._view(edges, holders, inner, inside)
        known = {*inside, *inner, *parts, name, f"{name}{HISTORY}"}
        near = dict.fromkeys(end for edge in view.edges for end in (edge.tail, edge.head) if end not in known)
        yield Sheet(name, phases, view, {each: self.sizes.get(each, 0) for each in near}, parts, part_of)
        below = outer.new_child(view.box)
        for group in view.closed:
            if group in parts:
                yield from self.sheets(group, parts[group], below, name)
            else:
                yield from self.sheets(group, self.drawn.machine.group_phases[group], below)

    def _view(
        self,
        edges: Sequence[MapEdge],
        holders: Mapping[str, tuple[str, ...]],
        inner: Sequence[str],
        inside: Sequence[str],
    ) -> MapView:
        """What is drawn of the edges. Groups are opened as far as can be, parts are not."""
        groups = sorted(inner, key=lambda group: (len(holders[group]), self.sizes[group]))
        seen = Counter(holders[phase][-1:] for phase in inside if phase in self.drawn.machine.spec.phases)
        own = {group[0]: count for group, count in seen.items() if group}
        return condensed(edges, holders, groups, own, inside, self.sizes, seen[()])

    def _within(self, name: str, inner: str) -> tuple[str, ...]:
        """A phase or group, and the groups between it and the box; none of those are within a part."""
        chain = self.drawn.around[inner]
        return chain[: chain.index(name)] if name in chain else chain[:1]

    def _rows(self, phases: Sequence[str], inner: Sequence[str]) -> list[Row]:
        places = {place for phase in phases for place in self.at_phase.get(phase, ())}
        for group in {*self.drawn.around[phases[0]][1:], *inner}:
            places.update(self.to_history.get(group, ()))
        return [self.drawn.rows[place] for place in sorted(places)]


@dataclass(frozen=True, slots=True)
class _Ends:
    """Between which names a row is drawn on a sheet."""

    name: str
    phases: frozenset[str]
    inner: frozenset[str]
    enclosing: frozenset[str]
    outer: Mapping[str, str]

    def __call__(self, row: Row) -> tuple[str, str]:
        inside = row.phase in self.phases
        return self._tail(row) if inside else self.outer[row.phase], self._head(row.target, inside)

    def _tail(self, row: Row) -> str:
        """What a group around the box says, or an event's `otherwise`, is drawn from the border."""
        return (row.shared if row.shared in self.inner else self.name) if row.shared else row.phase

    def _head(self, target: str, inside: bool) -> str:
        group = target.removesuffix(HISTORY)
        if target in self.phases or group in self.inner or group == self.name:
            return target
        if group in self.enclosing and target != group:
            return target if inside else self.name
        return self.outer[target]


def _parts(
    name: str, phases: Sequence[str], edges: Iterable[MapEdge], holders: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The phases in few parts of equal size that can be drawn; none where they can be drawn together."""
    closed: set[str] = set()
    pairs = {(box_of(holders, edge.tail, closed), box_of(holders, edge.head, closed)) for edge in edges}
    count = max(1, -(-len(phases) // MOST_PHASES))
    while True:
        cuts = [len(phases) * cut // count for cut in range(count + 1)]
        parts = [tuple(phases[start:end]) for start, end in pairwise(cuts)]
        if count >= len(phases) or _most_edges(name, parts, pairs) <= MOST_EDGES:
            return {f"{name}-{number}": part for number, part in enumerate(parts, 1)} if count > 1 else {}
        count = min(len(phases), count + 1 + count // 4)


def _most_edges(name: str, parts: Sequence[Sequence[str]], pairs: Iterable[tuple[str, str]]) -> int:
    """How many edges the fullest of the parts has, where the others are drawn as one box each."""
    part_of = {phase: number for number, part in enumerate(parts) for phase in part}
    drawn: list[set[tuple[str | int, str | int]]] = [set() for _ in parts]
    of_all = 0
    for tail, head in pairs:
        if tail in part_of or head in part_of:
            for number in {part_of[end] for end in (tail, head) if end in part_of}:
                ends = [end if part_of.get(end, number) == number else part_of[end] for end in (tail, head)]
                drawn[number].add((ends[0], ends[1]))
        elif name in (tail, head):
            of_all += 1
    return of_all + max(map(len, drawn))
