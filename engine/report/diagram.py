"""Draws on a state diagram how often each of its edges was taken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import log10
from xml.etree import ElementTree as ET

import msgspec

SVG = "http://www.w3.org/2000/svg"
NEVER = "#b9c0c9"
COUNT = "#0b3d91"

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_NO_DRAWING = {"script", "style", "foreignObject", "iframe", "animate", "set", "use", "image"}
# A white rim keeps the digits readable where they cross a line.
_RIM = {"stroke": "white", "stroke-width": "3", "paint-order": "stroke"}


class Edge(msgspec.Struct, frozen=True):
    """An edge of the diagram: from which phase to which, what it is labelled with, and how often it was taken."""

    source: str
    target: str
    label: str
    count: int


def annotate_svg(svg: str, counts: Mapping[str, int]) -> str:
    """The SVG of graphviz with each edge as wide as it was often taken (by its logarithm), its count on it as "×123",
    and edges that were never taken in grey. `counts` is by the id of the edge ("edge-..."); ids that are not drawn are
    passed over. Scripts, and everything else that is not drawing, are left out.

    Raises:
        ValueError: the text is not an SVG.
    """
    root = _parse(svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    for edge_id, group in list(_edges(root)):
        count = counts.get(edge_id, 0)
        if count:
            _widen(group, count)
            label = _label(group, f"×{count:,}")
            if label is not None:
                # After every edge, so that none is drawn across it.
                if label in parents:
                    parents[label].remove(label)
                label.set("data-edge", edge_id)
                parents[group].append(label)
        else:
            _grey(group)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode")


def edges_taken(svg: str, counts: Mapping[str, int]) -> list[Edge]:
    """Every edge of the SVG with its count, the most taken first.

    Raises:
        ValueError: the text is not an SVG.
    """
    edges = []
    for edge_id, group in _edges(_parse(svg)):
        source, _, target = group.findtext(f"{{{SVG}}}title", "").partition("->")
        label = " ".join("".join(text.itertext()).strip() for text in group.iter(f"{{{SVG}}}text"))
        edges.append(Edge(source, target, label, counts.get(edge_id, 0)))
    return sorted(edges, key=lambda edge: (-edge.count, edge.source, edge.label, edge.target))


def _parse(svg: str) -> ET.Element:
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise ValueError(f"the diagram is not an SVG: {error}") from error
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError(f"the diagram is not an SVG: its root is {root.tag!r}")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in _NO_DRAWING:
                parent.remove(child)
        for name, value in list(parent.attrib.items()):
            plain = name.rpartition("}")[2].lower()
            if plain.startswith("on") or (plain == "href" and not value.startswith(("#", "https:", "http:"))):
                del parent.attrib[name]
    return root


def _edges(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    for group in root.iter(f"{{{SVG}}}g"):
        edge_id = group.get("id", "")
        if "edge" in group.get("class", "").split() and edge_id.startswith("edge-"):
            yield edge_id, group


def _widen(group: ET.Element, count: int) -> None:
    for path in group.iter(f"{{{SVG}}}path"):
        path.set("stroke-width", f"{min(1.2 + 0.9 * log10(count), 6):.2f}")


def _grey(group: ET.Element) -> None:
    for part in group.iter():
        if part.get("stroke", "none") != "none":
            part.set("stroke", NEVER)
        if part.tag == f"{{{SVG}}}text" or part.get("fill", "none") != "none":
            part.set("fill", NEVER)


def _label(group: ET.Element, count: str) -> ET.Element | None:
    """The edge's label with the count beneath it; where there is none, a text of its own, not yet in the drawing."""
    texts = list(group.iter(f"{{{SVG}}}text"))
    if texts:
        # On a line of its own: graphviz kept no room for it beside the label.
        line = {"x": texts[-1].get("x", "0"), "dy": "1.1em", "font-weight": "bold", "fill": COUNT}
        ET.SubElement(texts[-1], f"{{{SVG}}}tspan", line | _RIM).text = count
        return texts[-1]
    path = group.find(f".//{{{SVG}}}path")
    numbers = _NUMBER.findall(path.get("d", "")) if path is not None else []
    if len(numbers) < 2:
        return None
    middle = len(numbers) // 4 * 2
    place = {"x": numbers[middle], "y": numbers[middle + 1], "dx": "4", "fill": COUNT}
    font = {"font-family": "Arial, sans-serif", "font-size": "10", "font-weight": "bold"}
    text = ET.Element(f"{{{SVG}}}text", place | font | _RIM)
    text.text = count
    return text
