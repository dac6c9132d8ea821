"""Which phases of the map stand side by side.

The happy path is a column, one phase below the other. A phase beside the path stands next to the phase of its own
group that it is most closely tied to; phases outside the groups of the path are left to the renderer, below a first
one that stands a third of the way down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from codegen.diagrams.edges import MapEdge
from codegen.model import Machine


def column(machine: Machine) -> tuple[str, ...]:
    """The happy path, each phase once."""
    return tuple(dict.fromkeys(machine.spec.happy_path))


def rows(machine: Machine, edges: Sequence[MapEdge]) -> dict[str, int]:
    """The row of each phase that has one, from 0."""
    path = column(machine)
    placed = {phase: row for row, phase in enumerate(path)}
    taken: Counter[int] = Counter()
    pairs = [pair for edge in edges for pair in edge.pairs]
    for phase in machine.spec.phases:
        if phase in placed:
            continue
        beside = _rows_of_group(machine, phase, path)
        if not beside:
            continue
        tied = [row for row in beside if (path[row], phase) in pairs] or [
            row for row in beside if (phase, path[row]) in pairs
        ]
        row = min(tied or beside, key=lambda row: (taken[row], row))
        placed[phase] = row
        taken[row] += 1
    loose = [phase for phase in machine.spec.phases if phase not in placed]
    if path and loose:
        placed[loose[0]] = len(path) // 3
    return placed


def _rows_of_group(machine: Machine, phase: str, path: Sequence[str]) -> list[int]:
    for group in machine.phase_groups[phase]:
        beside = [row for row, other in enumerate(path) if group in machine.phase_groups[other]]
        if beside:
            return beside
    return []
