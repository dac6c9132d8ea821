"""The way of a story on the map of the machine: the edges taken, numbered by their steps, and the rest faded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from codegen.diagrams.condensed import map_view
from codegen.diagrams.style import COLOURS, INK, SVG_FONTS, EdgeKind
from codegen.model import Machine
from codegen.verify.result import TraceStep

SVG = "http://www.w3.org/2000/svg"
FADED = "0.22"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_ASIDE = 5.0
"""How far left of its edge a badge is, since the labels are to the right."""
_APART = 17.0
"""How far apart the middles of two badges have to be."""

Point = tuple[float, float]


def path_on_map(machine: Machine, drawn: str, steps: Sequence[TraceStep]) -> str:
    """`drawn`, the map of `machine` as SVG, with the way of `steps` on it.

    A step within a phase takes no edge, and has no number here; neither has one within a group that is drawn closed.
    """
    root = ET.fromstring(drawn)
    box = map_view(machine).box
    visited = {box[phase] for step in steps for phase in (step.phase_before, step.phase_after)}
    badges: list[Point] = []
    drawing = next(root.iter(f"{{{SVG}}}g"))
    for group in list(root.iter(f"{{{SVG}}}g")):
        kind, name = group.get("class", "").partition(" ")[0], group.get("id", "")
        if kind == "edge":
            _edge(drawing, group, steps, badges)
        elif kind == "node" and name.removeprefix("phase-").removeprefix("group-") not in visited:
            group.set("opacity", "0.4")
    if steps:
        start, end = box[steps[0].phase_before], box[steps[-1].phase_after]
        _flag(drawing, start, "start", INK, before=True)
        _flag(drawing, end, "end", COLOURS[EdgeKind.ERROR], before=False)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode")


def _edge(drawing: ET.Element, group: ET.Element, steps: Sequence[TraceStep], badges: list[Point]) -> None:
    branches = set(group.get("data-branches", "").split())
    taken = [number for number, step in enumerate(steps, 1) if any(row.id in branches for row in step.rows)]
    path = next(group.iter(f"{{{SVG}}}path"), None)
    if not taken or path is None:
        group.set("opacity", FADED)
        return
    group.set("class", f"{group.get('class')} taken")
    path.set("stroke-width", "2.6")
    text = ", ".join(map(str, taken))
    place = _free(list(_along(path.get("d", ""))), badges)
    badges.append(place)
    _pill(drawing, place, text, INK, "badge")


def _along(path: str) -> Iterator[Point]:
    """Points along a path of Bézier curves, the middle ones first."""
    numbers = [float(number) for number in _NUMBER.findall(path)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    found: list[Point] = []
    for start in range(0, len(points) - 3, 3):
        a, b, c, d = points[start : start + 4]
        for tenth in range(10):
            t = tenth / 10
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            x, y = (sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) for axis in (0, 1))
            found.append((x - _ASIDE, y))
    middle = len(found) / 2
    yield from sorted(found, key=lambda point: abs(found.index(point) - middle))


def _free(places: Sequence[Point], badges: Sequence[Point]) -> Point:
    """The first of the places that is clear of the badges; the first when none is."""
    clear = (place for place in places if all((place[0] - x) ** 2 + (place[1] - y) ** 2 > _APART**2 for x, y in badges))
    return next(clear, places[0])


def _flag(drawing: ET.Element, box: str, text: str, colour: str, *, before: bool) -> None:
    """Marks a phase at its left or right upper corner."""
    for group in list(drawing.iter(f"{{{SVG}}}g")):
        if group.get("id") in (f"phase-{box}", f"group-{box}") and group.get("class") == "node":
            shape = next(one for one in group.iter() if one.get("d") or one.get("points"))
            numbers = [float(number) for number in _NUMBER.findall(shape.get("d") or shape.get("points") or "")]
            xs, top = numbers[::2], min(numbers[1::2])
            shape.set("stroke", colour)
            shape.set("stroke-width", "2.6")
            _pill(drawing, (min(xs) - 6 if before else max(xs) + 6, top), text, colour, "flag")


def _pill(drawing: ET.Element, place: Point, text: str, colour: str, name: str) -> None:
    width = max(14.0, 5.2 * len(text) + 7)
    x, y = place
    group = ET.SubElement(drawing, f"{{{SVG}}}g", {"class": name})
    ET.SubElement(
        group,
        f"{{{SVG}}}rect",
        {"x": f"{x - width / 2:.1f}", "y": f"{y - 7:.1f}", "width": f"{width:.1f}", "height": "14", "rx": "7"}
        | {"fill": colour, "stroke": "#ffffff", "stroke-width": "1"},
    )
    ET.SubElement(
        group,
        f"{{{SVG}}}text",
        {"x": f"{x:.1f}", "y": f"{y + 3.2:.1f}", "text-anchor": "middle", "fill": "#ffffff"}
        | {"font-family": SVG_FONTS, "font-size": "9", "font-weight": "bold"},
    ).text = text
