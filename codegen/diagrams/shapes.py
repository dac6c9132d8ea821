"""What the map and the sheets of a machine are made of."""

from __future__ import annotations

from collections.abc import Iterable

from graphviz import Digraph

from codegen.diagrams import style
from codegen.diagrams.condensed import MapView
from codegen.diagrams.edges import MapEdge
from codegen.diagrams.style import EdgeKind, escaped, font, plain
from codegen.model import Machine

START = "start of the machine"
_MOST_NAMES = 50

LEGEND = {
    EdgeKind.HAPPY: "happy path",
    EdgeKind.PLAIN: "other",
    EdgeKind.TIMEOUT: "timer",
    EdgeKind.ERROR: "to the error phase",
}


def new_graph(name: str, tooltip: str, legend: str) -> Digraph:
    """An empty diagram with its legend."""
    return Digraph(
        name,
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
            "tooltip": plain(tooltip),
            "label": legend,
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


def start(graph: Digraph) -> None:
    """The dot from which the initial phase is entered."""
    graph.node(START, label="", shape="circle", width="0.14", height="0.14", fillcolor=style.INK, color=style.INK)


def new_cluster(name: str, title: str, tooltip: str, depth: int) -> Digraph:
    """A border with nothing in it yet."""
    return Digraph(
        f"cluster_{name}",
        graph_attr={
            "id": f"group-{name}",
            "label": f"<<b>{escaped(title)}</b>>",
            "labeljust": "l",
            "labelloc": "t",
            "style": "rounded",
            "margin": "10",
            "color": style.RULE,
            "fontcolor": style.FAINT,
            "bgcolor": style.GROUP_FILLS[min(depth, len(style.GROUP_FILLS) - 1)],
            "tooltip": plain(tooltip),
        },
    )


def phase(
    graph: Digraph, machine: Machine, name: str, errors: frozenset[str], happy: frozenset[str], *, node: str = ""
) -> None:
    """A phase, with what it waits for. `errors` and `happy` are the phases that stand out; `node` is what it is called
    where it is drawn more than once."""
    declared = machine.spec.phases[name]
    lines = [f"<b>{escaped(name)}</b>"]
    if declared.timeout:
        knob = machine.spec.config[declared.timeout.after]
        lines.append(font(f"timer {escaped(str(knob.default))}", 8, style.COLOURS[EdgeKind.TIMEOUT]))
    elif declared.waits_for is not None:
        lines.append(font("may wait", 8, style.FAINT))
    elif declared.final:
        lines.append(font("end", 8, style.FAINT))
    attributes = {
        "id": _id("phase", name, node),
        "label": f"<{'<br/>'.join(lines)}>",
        "tooltip": plain(declared.summary),
    }
    if name in happy:
        attributes |= {"color": style.COLOURS[EdgeKind.HAPPY], "penwidth": "1.6", "group": "happy path"}
    if name in errors:
        attributes |= {"color": style.COLOURS[EdgeKind.ERROR], "fillcolor": style.ERROR_FILL}
    if declared.final:
        attributes |= {"peripheries": "2"}
    graph.node(node or name, **attributes)


def _id(kind: str, name: str, node: str) -> str:
    return f"{kind}-{node.replace(' ', '-') or name}"


def closed_box(graph: Digraph, name: str, title: str, phases: int, tooltip: str, node: str = "") -> None:
    """A group, or a part of one, that is not drawn in full here."""
    lines = [f"<b>{escaped(title)}</b>", font(f"{phases} phases", 8, style.FAINT)]
    graph.node(
        node or name,
        id=_id("group", name, node),
        label=f"<{'<br/>'.join(lines)}>",
        tooltip=plain(tooltip),
        shape="folder",
        style="filled",
        fillcolor=style.GROUP_FILLS[1],
    )


def history(graph: Digraph, name: str, group: str) -> None:
    """Where a group is entered again."""
    graph.node(
        name,
        label="H",
        shape="circle",
        width="0.24",
        height="0.24",
        fixedsize="true",
        fontsize="9",
        tooltip=plain(f"Where {group} was left"),
    )


def pill(graph: Digraph, name: str, text: str) -> None:
    """Where an edge begins that stands for any of several phases."""
    graph.node(
        name,
        label=escaped(text),
        style="rounded,dashed",
        fontsize="8",
        height="0.2",
        margin="0.06,0.02",
        color=style.COLOURS[EdgeKind.PLAIN],
    )


def edge_attributes(edge: MapEdge) -> dict[str, str]:
    """How an edge looks, and what it is called. Its label has room for a count."""
    first, *more = edge.events
    text = f"{first} +{len(more)}" if more else first
    label = f"  {text}" if edge.kind is EdgeKind.HAPPY else " "
    return {"id": edge.id, "tooltip": _tooltip(edge), "label": label, **style.edge_style(edge.kind)}


def _tooltip(edge: MapEdge) -> str:
    tails = _some(dict.fromkeys(tail for tail, _ in edge.pairs))
    heads = _some(dict.fromkeys(head for _, head in edge.pairs))
    return plain(f"{tails}\nto {heads}\non {_some(edge.events)}")


def _some(names: Iterable[str]) -> str:
    """The names, as many as anybody reads."""
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(listed[:_MOST_NAMES]) + more


def legend(view: MapView, *, borders: bool) -> str:
    """What the strokes and shapes of a diagram mean. `borders`: whether edges begin or end at the border of a group."""
    kinds = {edge.kind for edge in view.edges}
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
    notes = []
    if borders:
        notes.append("An edge at the border of a group stands for several of its phases.")
    if view.closed:
        notes.append("A folder is a group whose phases would be too many for one map.")
    if view.left_out:
        notes.append(f"{view.left_out} more edges, of the fewest rows, are only on the maps of the groups.")
    cells += [f"<td>{font(text, 8, style.FAINT)}</td>" for text in notes]
    return f'<<table border="0" cellborder="0" cellspacing="2" cellpadding="1"><tr>{"".join(cells)}</tr></table>>'
