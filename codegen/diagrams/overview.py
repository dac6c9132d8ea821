"""The map: every phase of a machine, or of a large one every group, on one page, for orientation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from graphviz import Digraph

from codegen.diagrams import style
from codegen.diagrams.condensed import OUTSIDE, MapView, map_view
from codegen.diagrams.edges import ANY_PHASE, HISTORY, MapEdge, error_phases, inside
from codegen.diagrams.rows import column, rows
from codegen.diagrams.style import EdgeKind, escaped, font, plain
from codegen.model import Machine

START = "start of the machine"


def overview(machine: Machine) -> Digraph:
    """The map as DOT."""
    view = map_view(machine)
    edges = view.edges
    # Rows and columns are for maps that show every phase.
    places = {} if view.closed else rows(machine, edges)
    errors = error_phases(machine)
    graph = Digraph(
        machine.spec.machine,
        graph_attr={
            "rankdir": "TB",
            "newrank": "true",
            "compound": "true",
            "nodesep": "0.5",
            "ranksep": "0.3",
            "pad": "0.1",
            "bgcolor": style.PAPER,
            "fontname": style.FONT,
            "fontsize": "9",
            "tooltip": plain(machine.spec.summary),
            "label": _legend(machine, view),
            "labelloc": "b",
            "labeljust": "l",
        },
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "color": style.COLOURS[EdgeKind.PLAIN],
            "fillcolor": style.PHASE_FILL,
            "fontname": style.FONT,
            "fontsize": "10",
            "fontcolor": style.INK,
            "margin": "0.12,0.05",
            "height": "0.3",
        },
        edge_attr={"fontname": style.FONT, "fontsize": "8", "fontcolor": style.FAINT, "arrowsize": "0.65"},
    )
    graph.node(START, label="", shape="circle", width="0.14", height="0.14", fillcolor=style.INK, color=style.INK)
    inner = {name for group in machine.spec.groups.values() for name in group.groups}
    for name in machine.spec.groups:
        if name not in inner:
            _group(graph, machine, name, view, errors)
    for phase, groups in machine.phase_groups.items():
        if not groups and view.box[phase] == phase:
            _phase(graph, machine, phase, errors)
    if OUTSIDE in view.closed:
        _closed(graph, machine, OUTSIDE, view)
    if any(edge.tail == ANY_PHASE for edge in edges):
        _pill(graph, ANY_PHASE, "any phase")
    _ranks(graph, machine, places)
    graph.edge(START, view.box[machine.spec.initial], weight="100", color=style.INK)
    for edge in edges:
        _edge(graph, machine, edge, places, view)
    if not view.closed:
        _keep_labelsinside(graph, machine, edges, places)
    return graph


def _group(graph: Digraph, machine: Machine, name: str, view: MapView, errors: frozenset[str], depth: int = 0) -> None:
    if name in view.closed:
        _closed(graph, machine, name, view)
    else:
        graph.subgraph(_cluster(machine, name, view, errors, depth))


def _closed(graph: Digraph, machine: Machine, name: str, view: MapView) -> None:
    """A group as one box."""
    group = machine.spec.groups.get(name)
    lines = [
        f"<b>{escaped(name if group else 'other phases')}</b>",
        font(f"{view.closed[name]} phases", 8, style.FAINT),
    ]
    graph.node(
        name,
        id=f"group-{name}",
        label=f"<{'<br/>'.join(lines)}>",
        tooltip=plain(group.summary if group else "The phases outside all groups"),
        shape="folder",
        style="filled",
        fillcolor=style.GROUP_FILLS[1],
    )


def _cluster(machine: Machine, name: str, view: MapView, errors: frozenset[str], depth: int = 0) -> Digraph:
    group = machine.spec.groups[name]
    edges = view.edges
    cluster = Digraph(
        f"cluster_{name}",
        graph_attr={
            "id": f"group-{name}",
            "label": f"<<b>{escaped(name)}</b>>",
            "labeljust": "l",
            "labelloc": "t",
            "style": "rounded",
            "margin": "10",
            "color": style.RULE,
            "fontcolor": style.FAINT,
            "bgcolor": style.GROUP_FILLS[min(depth, len(style.GROUP_FILLS) - 1)],
            "tooltip": plain(group.summary),
        },
    )
    if any(edge.head == f"{name}{HISTORY}" for edge in edges):
        cluster.node(
            f"{name}{HISTORY}",
            label="H",
            shape="circle",
            width="0.24",
            height="0.24",
            fixedsize="true",
            fontsize="9",
            tooltip=plain(f"Where {name} was left"),
        )
    if any(edge.tail == name and inside(machine, edge.head, name) for edge in edges):
        _pill(cluster, f"{name}{HISTORY}{ANY_PHASE}", f"any of {name}")
    for phase in group.phases:
        _phase(cluster, machine, phase, errors)
    for child in group.groups:
        _group(cluster, machine, child, view, errors, depth + 1)
    return cluster


def _pill(graph: Digraph, name: str, text: str) -> None:
    graph.node(
        name,
        label=escaped(text),
        style="rounded,dashed",
        fontsize="8",
        height="0.2",
        margin="0.06,0.02",
        color=style.COLOURS[EdgeKind.PLAIN],
    )


def _phase(graph: Digraph, machine: Machine, name: str, errors: frozenset[str]) -> None:
    phase = machine.spec.phases[name]
    lines = [f"<b>{escaped(name)}</b>"]
    if phase.timeout:
        knob = machine.spec.config[phase.timeout.after]
        lines.append(font(f"timer {escaped(str(knob.default))}", 8, style.COLOURS[EdgeKind.TIMEOUT]))
    elif phase.waits_for is not None:
        lines.append(font("may wait", 8, style.FAINT))
    elif phase.final:
        lines.append(font("end", 8, style.FAINT))
    attributes = {"id": f"phase-{name}", "label": f"<{'<br/>'.join(lines)}>", "tooltip": plain(phase.summary)}
    if name in machine.spec.happy_path:
        attributes |= {"color": style.COLOURS[EdgeKind.HAPPY], "penwidth": "1.6", "group": "happy path"}
    if name in errors:
        attributes |= {"color": style.COLOURS[EdgeKind.ERROR], "fillcolor": style.ERROR_FILL}
    if phase.final:
        attributes |= {"peripheries": "2"}
    graph.node(name, **attributes)


def _ranks(graph: Digraph, machine: Machine, places: dict[str, int]) -> None:
    for row in range(len(column(machine))):
        beside = [phase for phase, place in places.items() if place == row]
        if len(beside) > 1:
            with graph.subgraph(graph_attr={"rank": "same"}) as line:
                for phase in beside:
                    line.node(phase)


def _edge(graph: Digraph, machine: Machine, edge: MapEdge, places: dict[str, int], view: MapView) -> None:
    attributes = {"id": edge.id, "tooltip": _tooltip(edge), "label": _label(edge), **style.edge_style(edge.kind)}
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


def _keep_labelsinside(graph: Digraph, machine: Machine, edges: Sequence[MapEdge], places: dict[str, int]) -> None:
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


LEGEND = {
    EdgeKind.HAPPY: "happy path",
    EdgeKind.PLAIN: "other",
    EdgeKind.TIMEOUT: "timer",
    EdgeKind.ERROR: "to the error phase",
}


def _legend(machine: Machine, view: MapView) -> str:
    edges = view.edges
    kinds = {edge.kind for edge in edges}
    cells = []
    for kind, text in LEGEND.items():
        if kind in kinds:
            stroke = style.STROKES[kind]
            dashed = ' style="dashed"' if "style" in stroke else ""
            width = 2 if kind is EdgeKind.HAPPY else 1
            line = f'<td width="24" border="{width}" sides="b" color="{style.COLOURS[kind]}"{dashed}></td>'
            cells += [
                f'<td><table border="0" cellborder="0" cellspacing="0" cellpadding="0"><tr>{line}</tr>'
                f'<tr><td height="4"></td></tr></table></td>',
                f"<td>{font(text, 8, style.FAINT)}</td>",
                '<td width="8"></td>',
            ]
    if any({edge.tail, edge.head} & set(machine.spec.groups) for edge in edges):
        text = "An edge at the border of a group stands for several of its phases."
        cells.append(f"<td>{font(text, 8, style.FAINT)}</td>")
    if view.closed:
        text = "A folder is a group whose phases would be too many for one map."
        cells.append(f"<td>{font(text, 8, style.FAINT)}</td>")
    return f'<<table border="0" cellborder="0" cellspacing="2" cellpadding="1"><tr>{"".join(cells)}</tr></table>>'


def _label(edge: MapEdge) -> str:
    first, *more = edge.events
    text = f"{first} +{len(more)}" if more else first
    return f"  {text}" if edge.kind is EdgeKind.HAPPY else " "


def _tooltip(edge: MapEdge) -> str:
    tails = ", ".join(dict.fromkeys(tail for tail, _ in edge.pairs))
    heads = ", ".join(dict.fromkeys(head for _, head in edge.pairs))
    return plain(f"{tails}\nto {heads}\non {', '.join(edge.events)}")
