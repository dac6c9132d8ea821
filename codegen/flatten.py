"""From shared rows to one cell per phase and event: the phase's own row, else the innermost group's that has one, else
the event's `otherwise`."""

from __future__ import annotations

from codegen.model import Branch, Cell, CellSpec, Machine, Origin, Path, Spec


def flatten(spec: Spec) -> Machine:
    """The machine that the spec describes. A cell that nothing decides is left out, and so is whatever names a phase,
    event or group that is not declared; lint reports both."""
    around = groups_around(spec)
    # A cell without branches is the same in every phase, and there can be very many of them.
    plain = {
        event: Cell(declared.otherwise.kind, Origin("event", event), reason=declared.otherwise.reason)
        for event, declared in spec.events.items()
        if declared.otherwise is not None and declared.otherwise.kind != "branches"
    }
    cells: dict[str, dict[str, Cell]] = {}
    for name, phase in spec.phases.items():
        decided: dict[str, Cell] = {}
        origin = Origin("phase", name)
        for event, written in phase.on.items():
            if event in spec.events:
                decided[event] = _cell(name, event, written, origin, spec)
        for group in around[name]:
            origin = Origin("group", group)
            for event, written in spec.groups[group].on.items():
                if event in spec.events and event not in decided:
                    decided[event] = _cell(name, event, written, origin, spec)
        for event, declared in spec.events.items():
            if event in decided or declared.otherwise is None:
                continue
            decided[event] = plain.get(event) or _cell(name, event, declared.otherwise, Origin("event", event), spec)
        cells[name] = decided
    return Machine(spec=spec, cells=cells, phase_groups=around)


def groups_around(spec: Spec) -> dict[str, tuple[str, ...]]:
    """The groups around each phase, innermost first. Of two groups that claim the same phase or group the first in the
    file counts, and a cycle ends where it would close."""
    parent: dict[str, str] = {}
    of_phase: dict[str, str] = {}
    for name, group in spec.groups.items():
        for inner in group.groups:
            if inner in spec.groups:
                parent.setdefault(inner, name)
        for phase in group.phases:
            of_phase.setdefault(phase, name)
    chains: dict[str, tuple[str, ...]] = {}
    for phase in spec.phases:
        chain: dict[str, None] = {}
        group_name = of_phase.get(phase)
        while group_name is not None and group_name not in chain:
            chain[group_name] = None
            group_name = parent.get(group_name)
        chains[phase] = tuple(chain)
    return chains


def _cell(phase: str, event: str, written: CellSpec, origin: Origin, spec: Spec) -> Cell:
    if written.kind != "branches":
        return Cell(written.kind, origin, reason=written.reason)
    branches = list(written.branches)
    otherwise = spec.events[event].otherwise
    if written.falls_back and otherwise is not None:
        if otherwise.kind == "branches":
            branches += otherwise.branches
        elif otherwise.kind == "ignore":
            branches.append(Branch(ignored=otherwise.reason))
    numbered = (
        branch.model_copy(update={"id": f"{phase}/{event}/{number}"}) for number, branch in enumerate(branches, start=1)
    )
    return Cell("branches", origin, branches=tuple(numbered))


def branch_path(machine: Machine, phase: str, event: str, index: int) -> Path:
    """Where the branch at `index` of a flattened cell is written: in the phase, a group, or the event's `otherwise`."""
    origin = machine.cells[phase][event].origin
    spec = machine.spec
    otherwise: Path = ("events", event, "otherwise")
    default = spec.events[event].otherwise
    if origin.kind == "event":
        assert default is not None
        return (*otherwise, *default.branch_path(index))
    owner = spec.phases[origin.name] if origin.kind == "phase" else spec.groups[origin.name]
    cell = owner.on[event]
    if index >= len(cell.branches):
        return (*otherwise, *(default.branch_path(index - len(cell.branches)) if default else ()))
    return (f"{origin.kind}s", origin.name, "on", event, *cell.branch_path(index))
