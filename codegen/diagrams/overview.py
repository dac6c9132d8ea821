"""The map: every phase of a machine, or of a large one every group, on one page, for orientation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from graphviz import Digraph

from codegen.diagrams import shapes, style
from codegen.diagrams.condensed import OUTSIDE, MapView
from codegen.diagrams.edges import ANY_PHASE, HISTORY, MapEdge, error_phases, inside
from codegen.diagrams.rows import column, rows
from codegen.diagrams.style import EdgeKind
from codegen.model import Machine


def overview(machine: Machine, view: MapView) -> Digraph:
    """The map as DOT."""
    edges = view.edges
    # Rows and columns are for maps that show every phase.
    places = {} if view.closed else rows(machine, edges)
    marked = _Marked(error_phases(machine), frozenset(machine.spec.happy_path))
    borders = any({edge.tail, edge.head} & machine.spec.groups.keys() for edge in edges)
    graph = shapes.new_graph(machine.spec.machine, machine.spec.summary, shapes.legend(view, borders=borders))
    shapes.start(graph)
    inner = {name for group in machine.spec.groups.values() for name in group.groups}
    for name in machine.spec.groups:
        if name not in inner:
            _group(graph, machine, name, view, marked)
    for phase, groups in machine.phase_groups.items():
        if not groups and view.box[phase] == phase:
            shapes.phase(graph, machine, phase, *marked)
    if OUTSIDE in view.closed:
        _closed(graph, machine, OUTSIDE, view)
    if any(edge.tail == ANY_PHASE for edge in edges):
        shapes.pill(graph, ANY_PHASE, "any phase")
    _ranks(graph, machine, places)
    graph.edge(shapes.START, view.box[machine.spec.initial], weight="100", color=style.INK)
    for edge in edges:
        _edge(graph, machine, edge, places, view)
    if not view.closed:
        _keep_labels_inside(graph, machine, edges, places)
    return graph


class _Marked(NamedTuple):
    errors: frozenset[str]
    happy: frozenset[str]


def _group(graph: Digraph, machine: Machine, name: str, view: MapView, marked: _Marked, depth: int = 0) -> None:
    if name in view.closed:
        _closed(graph, machine, name, view)
    else:
        graph.subgraph(_cluster(machine, name, view, marked, depth))


def _closed(graph: Digraph, machine: Machine, name: str, view: MapView) -> None:
    group = machine.spec.groups.get(name)
    title, tooltip = (name, group.summary) if group else ("other phases", "The phases outside all groups")
    shapes.closed_box(graph, name, title, view.closed[name], tooltip)


def _cluster(machine: Machine, name: str, view: MapView, marked: _Marked, depth: int) -> Digraph:
    group = machine.spec.groups[name]
    edges = view.edges
    cluster = shapes.new_cluster(name, name, group.summary, depth)
    if any(edge.head == f"{name}{HISTORY}" for edge in edges):
        shapes.history(cluster, f"{name}{HISTORY}", name)
    if any(edge.tail == name and inside(machine, edge.head, name) for edge in edges):
        shapes.pill(cluster, f"{name}{HISTORY}{ANY_PHASE}", f"any of {name}")
    for phase in group.phases:
        shapes.phase(cluster, machine, phase, *marked)
    for child in group.groups:
        _group(cluster, machine, child, view, marked, depth + 1)
    return cluster


def _ranks(graph: Digraph, machine: Machine, places: dict[str, int]) -> None:
    for row in range(len(column(machine))):
        beside = [phase for phase, place in places.items() if place == row]
        if len(beside) > 1:
            with graph.subgraph(graph_attr={"rank": "same"}) as line:
                for phase in beside:
                    line.node(phase)


def _edge(graph: Digraph, machine: Machine, edge: MapEdge, places: dict[str, int], view: MapView) -> None:
    attributes = shapes.edge_attributes(edge)
    tail, head = edge.tail, edge.head
    if tail in machine.group_phases and tail not in view.closed:
        if inside(machine, head, tail):
            tail = f"{tail}{HISTORY}{ANY_PHASE}"
        else:
            attributes["ltail"] = f"cluster_{tail}"
            tail = view.box[_nearest(machine, tail, head, places)]
    if head in machine.group_phases and head not in view.closed:
        attributes["lhead"] = f"cluster_{head}"
        head = view.box[_nearest(machine, head, edge.tail, places)]
    path = () if view.closed else column(machine)
    loose = tail not in places or head not in places
    if edge.kind is EdgeKind.HAPPY and view.closed:
        attributes["weight"] = "10"
    elif edge.kind is EdgeKind.HAPPY and path.index(head) > path.index(tail):
        attributes |= {"weight": "1000", "tailport": "s", "headport": "n"}
    elif edge.kind is EdgeKind.HAPPY:
        # A label in the middle of the way back would lie across the borders of groups.
        attributes |= {"constraint": "false", "weight": "0", "labeldistance": "6", "labelangle": "-16"}
        attributes["taillabel"] = attributes.pop("label").strip()
    elif path and places.get(tail) == places.get(head, -1) and tail != head and {tail, head} & set(path):
        attributes["weight"] = "1"
        # A label inside a row would take room from the happy path's labels above it.
        attributes["xlabel"] = attributes.pop("label")
        if head in path:
            # The renderer puts the tail of an edge within a row to the left; the happy path is to stay there.
            tail, head = head, tail
            swapped = {"ltail": "lhead", "lhead": "ltail"}
            attributes = {swapped.get(name, name): value for name, value in attributes.items()} | {"dir": "back"}
    elif path and (tail == head or not loose):
        attributes |= {"constraint": "false", "weight": "0"}
    graph.edge(tail, head, **attributes)


def _keep_labels_inside(graph: Digraph, machine: Machine, edges: Sequence[MapEdge], places: dict[str, int]) -> None:
    """Without a second edge between two rows of a group, the renderer puts the label of the happy path's step outside
    the group and bends the step around it. These edges are not seen; more of them than needed disturb the rows."""
    path = column(machine)
    drawn = {
        frozenset((places.get(tail), places.get(head)))
        for edge in edges
        if edge.kind is not EdgeKind.HAPPY
        for tail, head in edge.pairs
        if {tail, head} <= set(places) and _share_group(machine, tail, head)
    }
    for row, (tail, head) in enumerate(pairwise(path)):
        if frozenset((row, row + 1)) in drawn or not _share_group(machine, tail, head):
            continue
        below = [
            phase
            for phase, place in places.items()
            if place == row + 1 and phase != head and _share_group(machine, phase, head)
        ]
        above = [
            phase
            for phase, place in places.items()
            if place == row and phase != tail and _share_group(machine, phase, tail)
        ]
        if below:
            graph.edge(tail, below[0], style="invis", weight="0")
        elif above:
            graph.edge(above[0], head, style="invis", weight="0")
        else:
            graph.edge(tail, head, style="invis", weight="0", label=" ")


def _share_group(machine: Machine, phase: str, other: str) -> bool:
    return machine.phase_groups[phase][:1] == machine.phase_groups[other][:1] != ()


def _nearest(machine: Machine, group: str, other: str, places: dict[str, int]) -> str:
    """The phase of a group from which an edge at its border looks shortest: nearest in rows, better beside the path."""
    row = places.get(other, 0)
    if other in machine.group_phases:
        rows_of_other = [places[phase] for phase in machine.group_phases[other] if phase in places]
        row = sum(rows_of_other) // len(rows_of_other) if rows_of_other else 0
    path = column(machine)
    return min(machine.group_phases[group], key=lambda phase: (abs(places.get(phase, row + 999) - row), phase in path))
