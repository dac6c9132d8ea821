"""The edges of the map: few enough to be followed with a finger.

A row from phase A to phase B belongs to the bundle of the outermost group that holds A but not B, and the outermost
group that holds B but not A. A bundle is one edge, drawn between the smallest phases or groups that cover its rows;
the steps of the happy path are bundles of their own. So the sixteen rows that lead from a group to ERROR are one edge
from the group's border.

The SVG names every edge `edge-<FROM>-<TO>` and lists the branches it stands for, each as PHASE/EVENT/n, in its
attribute `data-branches`. Every branch that leaves a phase is in exactly one such list, which is what to count by.
FROM and TO are phases or groups; re-entering a group by its history leads to `<group>-history`, and `any-phase` is
where an `otherwise` of many phases outside all groups is drawn from. Without the lists, the edge of a branch is the
first that exists when FROM is tried as the phase, its groups from the innermost out and `any-phase`, and for each of
them TO as the target and its groups from the innermost out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from codegen.diagrams.style import EdgeKind
from codegen.model import Cell, Machine

HISTORY = "-history"
ANY_PHASE = "any-phase"
# From how many phases outside all groups an event's `otherwise` may be drawn one by one.
FEW = 2


@dataclass(frozen=True, slots=True)
class MapEdge:
    """One edge of the map. `tail` and `head` are names of phases or groups, or a group's history."""

    tail: str
    head: str
    kind: EdgeKind
    events: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """The (phase, target) pairs it stands for."""
    branches: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"edge-{self.tail}-{self.head}"


def happy_steps(machine: Machine) -> frozenset[tuple[str, str]]:
    path = machine.spec.happy_path
    return frozenset(pairwise(path))


def error_phases(machine: Machine) -> frozenset[str]:
    """Where the error event leads from the phases that do not handle it themselves."""
    event = machine.spec.error_event
    return frozenset(
        branch.to
        for phase, raised, cell, branch in machine.rows()
        if raised == event and cell.origin.kind != "phase" and branch.to not in (None, phase)
        if branch.to is not None
    )


def raises_timeout(machine: Machine, phase: str, event: str) -> bool:
    """Whether the event is the phase's own timer."""
    timeout = machine.spec.phases[phase].timeout
    return timeout is not None and timeout.raises == event


def from_event(machine: Machine, phase: str, event: str, cell: Cell, index: int) -> bool:
    """Whether the branch at `index` comes from the event's `otherwise`: the whole cell, or the end of a list."""
    if cell.origin.kind == "event":
        return True
    spec = machine.spec
    owner = spec.phases[phase] if cell.origin.kind == "phase" else spec.groups[cell.origin.name]
    written = owner.on[event]
    return written.falls_back and index >= len(written.branches)


@dataclass(frozen=True, slots=True)
class Row:
    """A branch that leaves its phase. `target` is a phase or a group's history."""

    phase: str
    tail: str
    """Where the whole map draws it from: the phase, the group whose row it is if it holds the target, or ANY_PHASE."""
    shared: str
    """The group whose row it is, or ANY_PHASE for an `otherwise`; empty when the phase has a row there of its own."""
    target: str
    event: str
    branch: str


Around = Mapping[str, tuple[str, ...]]
"""Each name, and the groups that hold it, from the innermost out."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What every map of a machine is drawn from, worked out once."""

    machine: Machine
    rows: tuple[Row, ...]
    around: Around
    steps: frozenset[tuple[str, str]]
    errors: frozenset[str]


def ways(machine: Machine) -> Ways:
    """The rows of the machine that lead somewhere, and what is asked of each."""
    around = surroundings(machine)
    return Ways(machine, tuple(_rows(machine, around)), around, happy_steps(machine), error_phases(machine))


def map_edges(machine: Machine) -> tuple[MapEdge, ...]:
    """Every edge of the map, the happy path first, then in the order of the file."""
    drawn = ways(machine)
    return bundled(drawn, drawn.rows, drawn.around, lambda row: (row.tail, row.target))


def bundled(
    drawn: Ways, rows: Iterable[Row], around: Around, ends: Callable[[Row], tuple[str, str]]
) -> tuple[MapEdge, ...]:
    """The edges of a map on which `ends` says between which names a row is drawn, and `around` what is around those."""
    bundles: dict[tuple[str, str], list[tuple[Row, str, str]]] = {}
    for row in rows:
        pair = tail, head = ends(row)
        if (row.tail, row.target) not in drawn.steps:
            pair = _bundle(around[tail], around[head])
        bundles.setdefault(pair, []).append((row, tail, head))
    edges = [_edge(drawn, each, around) for each in bundles.values()]
    return tuple(sorted(edges, key=lambda edge: edge.kind is not EdgeKind.HAPPY))


def _rows(machine: Machine, around: Around) -> list[Row]:
    rows: list[Row] = []
    loose: dict[str, list[int]] = {}
    own: set[tuple[str, str]] = set()
    written: set[tuple[str, str]] = set()
    for phase, event, cell, branch in machine.rows():
        if not branch.leaves:
            continue
        target = branch.to if branch.to is not None else f"{branch.history}{HISTORY}"
        tail, shared = phase, ""
        if from_event(machine, phase, event, cell, cell.branches.index(branch)):
            shared = ANY_PHASE
            if not machine.phase_groups[phase] and phase != target:
                loose.setdefault(target, []).append(len(rows))
        elif cell.origin.kind == "group":
            shared = cell.origin.name
            if shared in around[target]:
                tail = shared
            else:
                own.add((phase, target))
        else:
            own.add((phase, target))
            written.add((phase, target))
        rows.append(Row(phase, tail, shared, target, event, branch.id))
    for place, row in enumerate(rows):
        if (row.phase, row.target) in own:
            shared = "" if (row.phase, row.target) in written else row.shared
            rows[place] = replace(row, tail=row.phase, shared=shared)
    for target, places in loose.items():
        unowned = [place for place in places if (rows[place].phase, target) not in own]
        if len({rows[place].phase for place in unowned}) > FEW:
            for place in unowned:
                rows[place] = replace(rows[place], tail=ANY_PHASE)
    return rows


def surroundings(machine: Machine) -> dict[str, tuple[str, ...]]:
    """Each phase, group and group's history, and the groups that hold it, from the innermost out."""
    parents = {child: parent for parent, group in machine.spec.groups.items() for child in group.groups}
    around = {phase: (phase, *groups) for phase, groups in machine.phase_groups.items()}
    around[ANY_PHASE] = (ANY_PHASE,)
    for name in machine.spec.groups:
        chain = [name]
        while chain[-1] in parents:
            chain.append(parents[chain[-1]])
        around[name] = tuple(chain)
        around[f"{name}{HISTORY}"] = (f"{name}{HISTORY}", *chain)
    return around


def inside(machine: Machine, name: str, group: str) -> bool:
    """Whether a phase or a group's history lies within the group."""
    return name in machine.group_phases[group] or name == f"{group}{HISTORY}"


def _bundle(tails: tuple[str, ...], heads: tuple[str, ...]) -> tuple[str, str]:
    apart_tails = [name for name in tails if name not in heads]
    apart_heads = [name for name in heads if name not in tails]
    return (apart_tails or tails[:1])[-1], (apart_heads or heads[:1])[-1]


def _cover(around: Around, names: Iterable[str]) -> str:
    """The smallest name that holds all the names, which have one around them."""
    chains = [around[name] for name in dict.fromkeys(names)]
    return next(name for name in chains[0] if all(name in chain for chain in chains))


def _edge(drawn: Ways, rows: list[tuple[Row, str, str]], around: Around) -> MapEdge:
    pairs = tuple(dict.fromkeys((row.tail, row.target) for row, _, _ in rows))
    if any(pair in drawn.steps for pair in pairs):
        kind = EdgeKind.HAPPY
    elif all(target in drawn.errors for _, target in pairs):
        kind = EdgeKind.ERROR
    elif all(raises_timeout(drawn.machine, row.phase, row.event) for row, _, _ in rows):
        kind = EdgeKind.TIMEOUT
    else:
        kind = EdgeKind.PLAIN
    return MapEdge(
        tail=_cover(around, (tail for _, tail, _ in rows)),
        head=_cover(around, (head for _, _, head in rows)),
        kind=kind,
        events=tuple(dict.fromkeys(row.event for row, _, _ in rows)),
        pairs=pairs,
        branches=tuple(row.branch for row, _, _ in rows),
    )
