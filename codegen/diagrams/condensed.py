"""What the map of a machine shows: every phase, or, where that would be a thicket, groups as closed boxes.

A large machine is drawn with all its groups closed. They are then opened one by one, from the outside in and the
smallest first, as long as the map keeps to MOST_EDGES and MOST_PHASES. Phases outside all groups count as a group of
their own. A map of fewer than FEWEST_BOXES says nothing, so there a group of groups is opened in any case; where closed
groups then have more than MOST_EDGES edges between them, those that stand for the most rows are drawn. What each box
holds, and all that leads into it and out of it, is drawn on a sheet of its own (`atlas`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.diagrams.edges import HISTORY, Around, MapEdge, Ways, bundled, ways
from codegen.diagrams.style import EdgeKind
from codegen.model import Machine

MOST_EDGES = 100
MOST_PHASES = 100
FEWEST_BOXES = 10
OUTSIDE = "phases-outside-groups"


@dataclass(frozen=True, slots=True)
class MapView:
    """`edges` join phases, groups and boxes. `closed` is what is drawn as one box, with its number of phases."""

    edges: tuple[MapEdge, ...]
    closed: dict[str, int]
    box: dict[str, str]
    """Where each phase and each group's history is drawn: in itself, or in a closed box."""
    left_out: int = 0
    """How many edges there are besides."""


def map_view(machine: Machine) -> MapView:
    """The whole map, or one condensed to at most MOST_EDGES edges."""
    return view_of(ways(machine))


def view_of(drawn: Ways) -> MapView:
    """As `map_view`, for who needs the ways as well."""
    edges = bundled(drawn, drawn.rows, drawn.around, lambda row: (row.tail, row.target))
    phases = drawn.machine.spec.phases
    names = [*phases, *(f"{group}{HISTORY}" for group in drawn.machine.spec.groups)]
    if len(edges) <= MOST_EDGES and len(phases) <= MOST_PHASES:
        return MapView(edges, {}, {name: name for name in names})
    holders = {name: _holders(drawn, name) for name in drawn.around}
    sizes = Counter(holder for phase in phases for holder in holders[phase])
    groups = sorted(drawn.machine.spec.groups, key=lambda name: (len(holders[name]), sizes[name]))
    own = Counter(holders[phase][-1] for phase in phases)
    return condensed(edges, holders, [OUTSIDE, *groups], own, names, sizes)


def condensed(
    edges: Sequence[MapEdge],
    holders: Around,
    groups: Sequence[str],
    own: Mapping[str, int],
    names: Sequence[str],
    sizes: Mapping[str, int],
    phases: int = 0,
) -> MapView:
    """The edges between boxes, of which as many are opened as can be.

    Args:
        holders: what is around each name, from the outermost in.
        groups: what may be opened, in the order in which that is tried.
        own: how many phases come to be seen when one is opened, besides those of the groups in it.
        names: what is asked for in the view's `box`.
        sizes: how many phases each group holds in all.
        phases: how many are seen while every group is closed.
    """
    opened = _opened(edges, holders, groups, own, phases)
    box = {name: box_of(holders, name, opened) for name in names}
    shown = {holder: sizes[holder] for name, holder in box.items() if holder != name and sizes[holder]}
    merged, left_out = _most_telling(_merged(edges, holders, opened), shown)
    return MapView(merged, shown, box, left_out)


def box_of(holders: Around, name: str, opened: set[str]) -> str:
    """Where a name is drawn: in the outermost closed group that holds it, or as itself."""
    return next((group for group in holders.get(name, ()) if group not in opened), name)


def _most_telling(edges: tuple[MapEdge, ...], closed: Collection[str]) -> tuple[tuple[MapEdge, ...], int]:
    """At most MOST_EDGES of the edges, in the order in which they came, and how many others there are: the happy path,
    what no sheet of a closed box would show, and what stands for the most rows."""
    if len(edges) <= MOST_EDGES:
        return edges, 0

    def rank(at: int) -> tuple[bool, bool, int]:
        edge = edges[at]
        return edge.kind is not EdgeKind.HAPPY, edge.tail in closed or edge.head in closed, -len(edge.branches)

    kept = sorted(sorted(range(len(edges)), key=rank)[:MOST_EDGES])
    return tuple(edges[at] for at in kept), len(edges) - MOST_EDGES


def _holders(drawn: Ways, name: str) -> tuple[str, ...]:
    """The groups around a name, from the outermost in. A phase outside all groups is in OUTSIDE."""
    chain = tuple(reversed(drawn.around[name][1:]))
    return chain or ((OUTSIDE,) if name in drawn.machine.spec.phases else ())


def _opened(
    edges: Sequence[MapEdge], holders: Around, groups: Sequence[str], own: Mapping[str, int], phases: int
) -> set[str]:
    """Every edge is looked at once for each group around its ends, however many groups there are."""
    touching: defaultdict[str, list[MapEdge]] = defaultdict(list)
    for edge in edges:
        for group in dict.fromkeys((*holders.get(edge.tail, ()), *holders.get(edge.head, ()))):
            touching[group].append(edge)
    held = Counter(holders.get(group, ())[-1:] for group in groups)
    boxes = held[()] + phases
    opened: set[str] = set()
    drawn: Counter[tuple[str, str]] = Counter()

    def count(some: Sequence[MapEdge], by: int) -> None:
        for edge in some:
            pair = box_of(holders, edge.tail, opened), box_of(holders, edge.head, opened)
            if pair[0] != pair[1]:
                drawn[pair] += by
                if not drawn[pair]:
                    del drawn[pair]

    count(edges, 1)
    for group in groups:
        if not set(holders.get(group, ())) <= opened:
            continue
        count(touching[group], -1)
        opened.add(group)
        count(touching[group], 1)
        seen = own.get(group, 0)
        if (len(drawn) <= MOST_EDGES and phases + seen <= MOST_PHASES) or (boxes < FEWEST_BOXES and not seen):
            phases += seen
            boxes += seen + held[(group,)] - 1
            continue
        count(touching[group], -1)
        opened.discard(group)
        count(touching[group], 1)
    return opened


def _merged(edges: Sequence[MapEdge], holders: Around, opened: set[str]) -> tuple[MapEdge, ...]:
    """The edges between boxes. What stays within a closed box is not drawn."""
    together: dict[tuple[str, str], list[MapEdge]] = {}
    for edge in edges:
        tail, head = box_of(holders, edge.tail, opened), box_of(holders, edge.head, opened)
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
