"""One phase with everything that leads into it and out of it, as data for its focus diagram.

Rows that differ only in their event are one row with several events. Every branch of the phase's own cells is in
exactly one row of `leaving`, `staying` or `ignored`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.diagrams.edges import error_phases, from_event, happy_steps, raises_timeout
from codegen.diagrams.style import EdgeKind
from codegen.model import Branch, Cell, CellKind, Machine, Origin


@dataclass(frozen=True, slots=True)
class FocusRow:
    """What one or more events do under the same guards."""

    events: tuple[str, ...]
    order: str
    """Which branch of how many this is, such as 2/3; empty for the only one."""
    conditions: tuple[str, ...]
    do: tuple[str, ...]
    request: tuple[str, ...]
    raises: tuple[str, ...]
    target: str | None
    history: str | None
    ignored: bool
    is_timer: bool
    kind: EdgeKind
    origin: Origin
    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Phases from which the same rows lead into the phase in focus."""

    title: str
    phases: tuple[str, ...]
    rows: tuple[FocusRow, ...]


@dataclass(frozen=True, slots=True)
class Focus:
    phase: str
    sources: tuple[Source, ...]
    leaving: tuple[FocusRow, ...]
    staying: tuple[FocusRow, ...]
    ignored: tuple[FocusRow, ...]
    undone: dict[CellKind, tuple[str, ...]]
    """The events whose whole cell is defer, ignore or reject."""


def focuses(machine: Machine, only: Collection[str] = ()) -> dict[str, Focus]:
    """Each phase of the machine in focus, or only some."""
    steps, errors = happy_steps(machine), error_phases(machine)
    rows = {phase: list(_rows(machine, phase, steps, errors)) for phase in machine.spec.phases}
    arriving: dict[str, dict[str, list[FocusRow]]] = {phase: {} for phase in machine.spec.phases}
    for phase, its_rows in rows.items():
        for row in its_rows:
            targets = machine.group_phases[row.history] if row.history is not None else (row.target,)
            for target in targets:
                if target is not None and target != phase:
                    arriving[target].setdefault(phase, []).append(row)
    return {phase: _focus(machine, phase, rows[phase], arriving[phase]) for phase in only or machine.spec.phases}


def _focus(machine: Machine, phase: str, own: Iterable[FocusRow], arriving: Mapping[str, Sequence[FocusRow]]) -> Focus:
    rows = _merged(own)
    leaving = [row for row in rows if row.target is not None or row.history is not None]
    # The happy path first and errors last; rows to one target together, so that no arrows cross.
    ranked = sorted(leaving, key=lambda row: (row.kind is EdgeKind.ERROR, row.kind is not EdgeKind.HAPPY))
    targets = list(dict.fromkeys((row.target, row.history) for row in ranked))
    leaving.sort(key=lambda row: targets.index((row.target, row.history)))
    kinds: tuple[CellKind, ...] = ("defer", "ignore", "reject")
    cells = machine.cells[phase]
    return Focus(
        phase=phase,
        sources=tuple(_sources(arriving)),
        leaving=tuple(leaving),
        staying=tuple(row for row in rows if row not in leaving and not row.ignored),
        ignored=tuple(row for row in rows if row.ignored),
        undone={kind: tuple(event for event, cell in cells.items() if cell.kind == kind) for kind in kinds},
    )


def _rows(
    machine: Machine, phase: str, steps: frozenset[tuple[str, str]], errors: frozenset[str]
) -> Iterator[FocusRow]:
    for event, cell in machine.cells[phase].items():
        for index, branch in enumerate(cell.branches):
            is_timer = raises_timeout(machine, phase, event)
            targets = machine.targets(branch)
            if branch.to is not None and (phase, branch.to) in steps:
                kind = EdgeKind.HAPPY
            elif targets and set(targets) <= errors:
                kind = EdgeKind.ERROR
            else:
                kind = EdgeKind.TIMEOUT if is_timer else EdgeKind.PLAIN
            by_event = from_event(machine, phase, event, cell, index)
            # What an event does otherwise, and what is ignored, reads the same however much was tried before.
            ordered = len(cell.branches) > 1 and not by_event and branch.ignored is None
            yield FocusRow(
                events=(event,),
                order=f"{index + 1}/{len(cell.branches)}" if ordered else "",
                conditions=_conditions(branch, first=index == 0),
                do=branch.do,
                request=branch.request,
                raises=branch.raises,
                target=branch.to,
                history=branch.history,
                ignored=branch.ignored is not None,
                is_timer=is_timer,
                kind=kind,
                origin=_origin(phase, cell, branch, by_event=by_event),
                branches=(branch.id,),
            )


def _origin(phase: str, cell: Cell, branch: Branch, *, by_event: bool) -> Origin:
    if branch.ignored is not None:
        return Origin("phase", phase)
    return Origin("event", "") if by_event else cell.origin


def _conditions(branch: Branch, *, first: bool) -> tuple[str, ...]:
    if not branch.guards:
        return () if first else ("else",)
    return tuple(guard if expected else f"not {guard}" for guard, expected in branch.guards)


def _merged(rows: Iterable[FocusRow]) -> list[FocusRow]:
    """The rows, those that differ only in their event drawn together, in the order of their first ones."""
    together: dict[FocusRow, list[FocusRow]] = {}
    for row in rows:
        together.setdefault(replace(row, events=(), branches=()), []).append(row)
    return [
        replace(
            key,
            events=tuple(dict.fromkeys(event for row in group for event in row.events)),
            branches=tuple(branch for row in group for branch in row.branches),
        )
        for key, group in together.items()
    ]


def _sources(arriving: Mapping[str, Sequence[FocusRow]]) -> Iterator[Source]:
    own: dict[tuple[FocusRow, ...], list[str]] = {}
    shared: dict[Origin, list[tuple[str, FocusRow]]] = {}
    kept: dict[tuple[FocusRow, ...], tuple[FocusRow, ...]] = {}
    for phase, rows in arriving.items():
        mine = tuple(_merged(row for row in rows if row.origin.kind == "phase"))
        if mine:
            # Phases with the same rows share a card, whatever their branches are called.
            key = tuple(replace(row, branches=(), origin=Origin("phase", "")) for row in mine)
            own.setdefault(key, []).append(phase)
            kept.setdefault(key, mine)
        for row in rows:
            if row.origin.kind != "phase":
                # A step of the happy path is so for one phase, not for all that share the row.
                kind = EdgeKind.ERROR if row.kind is EdgeKind.ERROR else EdgeKind.PLAIN
                shared.setdefault(row.origin, []).append((phase, replace(row, kind=kind, is_timer=False)))
    for key, phases in own.items():
        yield Source(title=", ".join(phases), phases=tuple(phases), rows=kept[key])
    for origin, entries in shared.items():
        phases = list(dict.fromkeys(phase for phase, _ in entries))
        title = f"any phase of {origin.name}" if origin.kind == "group" else "any phase without a row of its own"
        yield Source(title=title, phases=tuple(phases), rows=tuple(_merged(row for _, row in entries)))
