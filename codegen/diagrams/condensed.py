"""What the map of a machine shows: every phase, or, where that would be a thicket, groups as closed boxes.

A large machine is drawn with all its groups closed. They are then opened one by one, from the outside in and the
smallest first, as long as the map keeps to MOST_EDGES. Phases outside all groups count as a group of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.diagrams.edges import HISTORY, MapEdge, map_edges
from codegen.diagrams.style import EdgeKind
from codegen.model import Machine

MOST_EDGES = 100
OUTSIDE = "phases-outside-groups"


@dataclass(frozen=True, slots=True)
class MapView:
    """`edges` join phases, groups and boxes. `closed` is what is drawn as one box, with its number of phases."""

    edges: tuple[MapEdge, ...]
    closed: dict[str, int]
    box: dict[str, str]
    """Where each phase is drawn: in itself, or in a closed box."""


def map_view(machine: Machine) -> MapView:
    """The whole map, or one condensed to at most MOST_EDGES edges."""
    edges = map_edges(machine)
    if len(edges) <= MOST_EDGES:
        return MapView(edges, {}, {phase: phase for phase in machine.spec.phases})
    chains = _chains(machine)
    opened: set[str] = set()
    for name in _outside_in(machine, chains):
        if set(chains.get(name, ())) <= opened and _count(edges, chains, opened | {name}) <= MOST_EDGES:
            opened.add(name)
    box = {phase: _box(chains, phase, opened) for phase in machine.spec.phases}
    sizes = Counter(box.values())
    closed = {name: sizes[name] for name in sizes if name not in machine.spec.phases}
    return MapView(_merged(edges, chains, opened), closed, box)


def _chains(machine: Machine) -> dict[str, tuple[str, ...]]:
    """The groups around every phase, group and history, from the outermost in."""
    chains = {phase: tuple(reversed(groups)) or (OUTSIDE,) for phase, groups in machine.phase_groups.items()}
    parents = {child: parent for parent, group in machine.spec.groups.items() for child in group.groups}
    for name in machine.spec.groups:
        chain: tuple[str, ...] = ()
        outer = parents.get(name)
        while outer is not None:
            chain = (outer, *chain)
            outer = parents.get(outer)
        chains[name], chains[f"{name}{HISTORY}"] = chain, (*chain, name)
    return chains


def _outside_in(machine: Machine, chains: dict[str, tuple[str, ...]]) -> list[str]:
    sizes = {name: len(phases) for name, phases in machine.group_phases.items()}
    groups = sorted(machine.spec.groups, key=lambda name: (len(chains[name]), sizes[name]))
    return [OUTSIDE, *groups]


def _box(chains: dict[str, tuple[str, ...]], name: str, opened: set[str]) -> str:
    return next((group for group in chains.get(name, ()) if group not in opened), name)


def _count(edges: Sequence[MapEdge], chains: dict[str, tuple[str, ...]], opened: set[str]) -> int:
    box = {name: _box(chains, name, opened) for edge in edges for name in (edge.tail, edge.head)}
    return len({(box[edge.tail], box[edge.head]) for edge in edges if box[edge.tail] != box[edge.head]})


def _merged(edges: Sequence[MapEdge], chains: dict[str, tuple[str, ...]], opened: set[str]) -> tuple[MapEdge, ...]:
    """The edges between boxes. What stays within a closed box is not drawn."""
    together: dict[tuple[str, str], list[MapEdge]] = {}
    for edge in edges:
        tail, head = _box(chains, edge.tail, opened), _box(chains, edge.head, opened)
        if tail != head or tail == edge.tail:
            together.setdefault((tail, head), []).append(edge)
    return tuple(
        replace(
            group[0],
            tail=tail,
            head=head,
            kind=_kind({edge.kind for edge in group}),
            events=tuple(dict.fromkeys(event for edge in group for event in edge.events)),
            pairs=tuple(dict.fromkeys(pair for edge in group for pair in edge.pairs)),
            branches=tuple(branch for edge in group for branch in edge.branches),
        )
        for (tail, head), group in together.items()
    )


def _kind(kinds: set[EdgeKind]) -> EdgeKind:
    if EdgeKind.HAPPY in kinds:
        return EdgeKind.HAPPY
    return kinds.pop() if len(kinds) == 1 else EdgeKind.PLAIN
