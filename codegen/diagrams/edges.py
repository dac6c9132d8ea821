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

from collections.abc import Iterable
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
class _Row:
    phase: str
    tail: str
    target: str
    event: str
    branch: str


def map_edges(machine: Machine) -> tuple[MapEdge, ...]:
    """Every edge of the map, the happy path first, then in the order of the file."""
    steps = happy_steps(machine)
    bundles: dict[tuple[str, str], list[_Row]] = {}
    for row in _rows(machine):
        pair = (row.tail, row.target)
        bundles.setdefault(pair if pair in steps else _bundle(machine, *pair), []).append(row)
    errors = error_phases(machine)
    edges = [_edge(machine, rows, steps, errors) for rows in bundles.values()]
    return tuple(sorted(edges, key=lambda edge: edge.kind is not EdgeKind.HAPPY))


def _rows(machine: Machine) -> list[_Row]:
    rows: list[_Row] = []
    loose: dict[str, list[int]] = {}
    own: set[tuple[str, str]] = set()
    for phase, event, cell, branch in machine.rows():
        if not branch.leaves:
            continue
        target = branch.to if branch.to is not None else f"{branch.history}{HISTORY}"
        tail = phase
        if from_event(machine, phase, event, cell, cell.branches.index(branch)):
            if not machine.phase_groups[phase] and phase != target:
                loose.setdefault(target, []).append(len(rows))
        elif cell.origin.kind == "group" and cell.origin.name in around(machine, target):
            tail = cell.origin.name
        else:
            own.add((phase, target))
        rows.append(_Row(phase, tail, target, event, branch.id))
    for place, row in enumerate(rows):
        if (row.phase, row.target) in own:
            rows[place] = replace(row, tail=row.phase)
    for target, places in loose.items():
        unowned = [place for place in places if (rows[place].phase, target) not in own]
        if len({rows[place].phase for place in unowned}) > FEW:
            for place in unowned:
                rows[place] = replace(rows[place], tail=ANY_PHASE)
    return rows


def around(machine: Machine, name: str) -> tuple[str, ...]:
    """A phase, a group or a group's history, and the groups that hold it, from the innermost out."""
    if name in machine.phase_groups:
        return (name, *machine.phase_groups[name])
    if name.endswith(HISTORY):
        return (name, *around(machine, name.removesuffix(HISTORY)))
    outer = [parent for parent, group in machine.spec.groups.items() if name in group.groups]
    return (name, *(around(machine, outer[0]) if outer else ()))


def inside(machine: Machine, name: str, group: str) -> bool:
    """Whether a phase or a group's history lies within the group."""
    return name in machine.group_phases[group] or name == f"{group}{HISTORY}"


def _bundle(machine: Machine, tail: str, target: str) -> tuple[str, str]:
    tails, targets = around(machine, tail), around(machine, target)
    apart_tails = [name for name in tails if name not in targets]
    apart_targets = [name for name in targets if name not in tails]
    return (apart_tails or [tail])[-1], (apart_targets or [target])[-1]


def _cover(machine: Machine, names: Iterable[str]) -> str:
    """The smallest phase or group that holds all the names."""
    chains = [around(machine, name) for name in dict.fromkeys(names)]
    return next(name for name in chains[0] if all(name in chain for chain in chains))


def _edge(machine: Machine, rows: list[_Row], steps: frozenset[tuple[str, str]], errors: frozenset[str]) -> MapEdge:
    pairs = tuple(dict.fromkeys((row.tail, row.target) for row in rows))
    if pairs[0] in steps:
        kind = EdgeKind.HAPPY
    elif all(target in errors for _, target in pairs):
        kind = EdgeKind.ERROR
    elif all(raises_timeout(machine, row.phase, row.event) for row in rows):
        kind = EdgeKind.TIMEOUT
    else:
        kind = EdgeKind.PLAIN
    return MapEdge(
        tail=_cover(machine, (tail for tail, _ in pairs)),
        head=_cover(machine, (target for _, target in pairs)),
        kind=kind,
        events=tuple(dict.fromkeys(row.event for row in rows)),
        pairs=pairs,
        branches=tuple(row.branch for row in rows),
    )
