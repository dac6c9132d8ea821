"""A sheet as DOT: one box of the map opened, and around it what it is tied to, in grey."""

from __future__ import annotations

from graphviz import Digraph

from codegen.diagrams import shapes, style
from codegen.diagrams.atlas import Sheet
from codegen.diagrams.condensed import OUTSIDE
from codegen.diagrams.edges import ANY_PHASE, HISTORY, MapEdge, Ways
from codegen.diagrams.style import EdgeKind
from codegen.model import Machine


def title_of(name: str) -> str:
    """How a box is called in pictures and on pages: a group, the phases outside all groups, or a part of either."""
    whole, _, number = (name, "", "") if name == OUTSIDE else name.rpartition("-")
    if number.isdigit():
        return f"{title_of(whole)}, part {number}"
    return "other phases" if name == OUTSIDE else name


def sheet_diagram(drawn: Ways, sheet: Sheet) -> Digraph:
    """The sheet as DOT."""
    return _Drawing(drawn, sheet).graph()


class _Drawing:
    def __init__(self, drawn: Ways, sheet: Sheet) -> None:
        self.drawn, self.machine, self.sheet, self.view = drawn, drawn.machine, sheet, sheet.view
        self.happy = frozenset(self.machine.spec.happy_path)
        self.ends = {end for edge in self.view.edges for end in (edge.tail, edge.head)}
        near = sheet.near
        self.tails = {edge.tail: f"from {edge.tail}" for edge in self.view.edges if edge.tail in near}
        self.heads = {edge.head: f"to {edge.head}" for edge in self.view.edges if edge.head in near}
        self.opened: dict[str, list[str]] = {}
        """The groups whose borders are drawn, each with the nodes in it."""

    def graph(self) -> Digraph:
        sheet, machine = self.sheet, self.machine
        shown = self._boxes()
        borders = any(end in self.opened for end in self.ends)
        name = f"{machine.spec.machine} {sheet.name}"
        graph = shapes.new_graph(name, summary_of(machine, sheet.name), shapes.legend(self.view, borders=borders))
        # What leads in stands above and what is led to below; one box for both would pull every edge around the sheet.
        for edges, rank in ((self.tails, "source"), (self.heads, "sink")):
            with graph.subgraph(graph_attr={"rank": rank}) as row:
                for near, phases in sheet.near.items():
                    if near in edges:
                        self._near(row, near, phases, edges[near])
        graph.subgraph(self._cluster(sheet.name, 0, shown))
        if machine.spec.initial in self.view.box:
            shapes.start(graph)
            graph.edge(shapes.START, self.view.box[machine.spec.initial], weight="100", color=style.INK)
        for edge in self.view.edges:
            self._edge(graph, edge)
        return graph

    def _boxes(self) -> dict[str, list[str]]:
        """The nodes and groups that are drawn directly in each border, in the order of the file."""
        shown: dict[str, dict[str, None]] = {self.sheet.name: {}}
        for phase in self.sheet.phases:
            box = self.view.box[phase]
            chain = self.drawn.around.get(box, (box,))
            within = chain[: chain.index(self.sheet.name)] if self.sheet.name in chain else chain[:1]
            for inner, outer in zip(within, (*within[1:], self.sheet.name), strict=True):
                shown.setdefault(outer, {})[inner] = None
            for group in (*within[1:], self.sheet.name):
                self.opened.setdefault(group, []).append(box)
        return {outer: list(inner) for outer, inner in shown.items()}

    def _cluster(self, name: str, depth: int, shown: dict[str, list[str]]) -> Digraph:
        cluster = shapes.new_cluster(name, title_of(name), summary_of(self.machine, name), depth)
        if f"{name}{HISTORY}" in self.ends and f"{name}{HISTORY}" not in self.sheet.near:
            shapes.history(cluster, f"{name}{HISTORY}", name)
        if any(edge.tail == name and self._is_in(edge.head, name) for edge in self.view.edges):
            shapes.pill(cluster, _any_of(name), f"any of {title_of(name)}")
        for inner in shown[name]:
            if inner in shown:
                cluster.subgraph(self._cluster(inner, depth + 1, shown))
            elif inner in self.view.closed:
                self._closed(cluster, inner, self.view.closed[inner])
            else:
                shapes.phase(cluster, self.machine, inner, self.drawn.errors, self.happy)
        return cluster

    def _near(self, graph: Digraph, name: str, phases: int, node: str) -> None:
        if name.endswith(HISTORY):
            shapes.pill(graph, node, f"{name.removesuffix(HISTORY)}, where it was left")
        elif name in self.machine.spec.phases:
            shapes.phase(graph, self.machine, name, self.drawn.errors, frozenset(), node=node)
        else:
            self._closed(graph, name, phases, node)

    def _closed(self, graph: Digraph, name: str, phases: int, node: str = "") -> None:
        members = self.sheet.parts.get(name)
        tooltip = f"{members[0]} to {members[-1]}" if members else summary_of(self.machine, name)
        shapes.closed_box(graph, name, title_of(name), phases, tooltip, node)

    def _is_in(self, node: str, group: str) -> bool:
        return node in self.opened[group] or node == f"{group}{HISTORY}" or group in self.drawn.around.get(node, ())

    def _edge(self, graph: Digraph, edge: MapEdge) -> None:
        attributes = shapes.edge_attributes(edge)
        tail, head = edge.tail, edge.head
        if tail in self.opened:
            if self._is_in(head, tail):
                tail = _any_of(tail)
            else:
                attributes["ltail"] = f"cluster_{tail}"
                tail = self.opened[tail][-1]
        if head in self.opened:
            attributes["lhead"] = f"cluster_{head}"
            head = self.opened[head][0]
        if edge.kind is EdgeKind.HAPPY:
            attributes["weight"] = "10"
        graph.edge(self.tails.get(tail, tail), self.heads.get(head, head), **attributes)


def _any_of(group: str) -> str:
    return f"{group}{HISTORY}{ANY_PHASE}"


def summary_of(machine: Machine, name: str) -> str:
    """What a box is: the summary of its group."""
    group = machine.spec.groups.get(name)
    if group is not None:
        return group.summary
    return "The phases outside all groups." if name == OUTSIDE else f"A part of {title_of(name.rpartition('-')[0])}."
