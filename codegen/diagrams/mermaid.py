"""The map as a Mermaid state diagram, for places that draw Mermaid but show no SVG, such as a pull request's text."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.diagrams import style
from codegen.diagrams.condensed import OUTSIDE, MapView
from codegen.diagrams.edges import ANY_PHASE, HISTORY, MapEdge, error_phases, inside
from codegen.diagrams.style import EdgeKind
from codegen.model import Machine


def mermaid(machine: Machine, view: MapView) -> str:
    """The text of machine.mmd, without the note that it is generated. Its names are identifiers, which need no
    escaping; each has a prefix, because words such as `end` and `state` are Mermaid's own."""
    edges = view.edges
    lines = ["stateDiagram-v2"]
    inner = {name for group in machine.spec.groups.values() for name in group.groups}
    for name in machine.spec.groups:
        if name not in inner:
            lines += _group(machine, name, view, depth=1)
    outside = [phase for phase, groups in machine.phase_groups.items() if not groups]
    lines += [_state(phase, 1) for phase in outside if view.box[phase] == phase]
    if OUTSIDE in view.closed:
        lines.append(_closed(OUTSIDE, "other phases", view, 1))
    if any(edge.tail == ANY_PHASE for edge in edges):
        lines.append(f'    state "any phase" as {_id(ANY_PHASE)}')
    lines.append(f"    [*] --> {_id(view.box[machine.spec.initial])}")
    for edge in edges:
        first, *more = edge.events
        label = f"{first} +{len(more)}" if more else first
        lines.append(f"    {_tail(machine, edge)} --> {_id(edge.head)} : {label}")
    finals = [view.box[name] for name, phase in machine.spec.phases.items() if phase.final]
    lines += [f"    {_id(name)} --> [*]" for name in dict.fromkeys(finals)]
    lines += _classes(machine, view)
    return "\n".join(lines) + "\n"


def _group(machine: Machine, name: str, view: MapView, depth: int) -> Iterator[str]:
    if name in view.closed:
        yield _closed(name, name, view, depth)
        return
    indent, edges = "    " * depth, view.edges
    yield f'{indent}state "{name}" as {_id(name)} {{'
    if any(edge.head == f"{name}{HISTORY}" for edge in edges):
        yield f'{indent}    state "H" as {_id(f"{name}{HISTORY}")}'
    if any(edge.tail == name and inside(machine, edge.head, name) for edge in edges):
        yield f'{indent}    state "any of {name}" as {_id(f"{name}-{ANY_PHASE}")}'
    group = machine.spec.groups[name]
    for phase in group.phases:
        yield _state(phase, depth + 1)
    for child in group.groups:
        yield from _group(machine, child, view, depth + 1)
    yield f"{indent}}}"


def _closed(name: str, title: str, view: MapView, depth: int) -> str:
    return f'{"    " * depth}state "{title}, {view.closed[name]} phases" as {_id(name)}'


def _state(phase: str, depth: int) -> str:
    return f'{"    " * depth}state "{phase}" as {_id(phase)}'


def _tail(machine: Machine, edge: MapEdge) -> str:
    if edge.tail in machine.spec.groups and inside(machine, edge.head, edge.tail):
        return _id(f"{edge.tail}-{ANY_PHASE}")
    return _id(edge.tail)


def _id(name: str) -> str:
    return f"s_{name.replace('-', '_')}"


def _classes(machine: Machine, view: MapView) -> Iterator[str]:
    happy, error = style.COLOURS[EdgeKind.HAPPY], style.COLOURS[EdgeKind.ERROR]
    paths = {
        f"happy stroke:{happy},stroke-width:2px": tuple(dict.fromkeys(machine.spec.happy_path)),
        f"error stroke:{error},fill:{style.ERROR_FILL},color:{style.INK}": tuple(sorted(error_phases(machine))),
    }
    for definition, names in paths.items():
        phases = dict.fromkeys(view.box[name] for name in names)
        if phases:
            yield f"    classDef {definition}"
            yield f"    class {','.join(_id(phase) for phase in phases)} {definition.split()[0]}"
