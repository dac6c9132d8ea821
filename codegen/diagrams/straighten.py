"""Takes the last bends out of the happy path.

The renderer aligns the phases of the path exactly, but may bend an edge between two of them by a few points to make
room for labels beside it. A laid-out map is DOT with coordinates; an edge of the path that begins and ends at the same
x becomes a straight line in it, and its label moves along.
"""

from __future__ import annotations

import re

# How far (points) a bend may reach and still be one; a longer way around is meant.
BEND = 12.0

_EDGE = re.compile(r"\[[^\[\]]*?class=happy[^\[\]]*?\];")
_CURVE = re.compile(r'pos="e,([\d.,]+) ([\d., \\\n-]+)"')
_LABEL = re.compile(r'lp="([\d.-]+),([\d.-]+)"')


def straighten(laid_out: str) -> str:
    """The same map, its happy path straight."""
    return _EDGE.sub(lambda edge: _straight(edge[0]), laid_out.replace("\\\n", ""))


def _straight(attributes: str) -> str:
    curve = _CURVE.search(attributes)
    if curve is None:
        return attributes
    tip_x, tip_y = (float(number) for number in curve[1].split(","))
    points = [tuple(map(float, point.split(","))) for point in curve[2].split()]
    start_x, start_y = points[0]
    bend = max((x - start_x for x, _ in points), key=abs)
    if abs(tip_x - start_x) > 1 or abs(bend) > BEND or bend == 0:
        return attributes
    end_y = points[-1][1]
    third = (end_y - start_y) / 3
    line = [(start_x, start_y + third * step) for step in range(4)]
    drawn = " ".join(f"{x:g},{y:.5g}" for x, y in line)
    attributes = attributes.replace(curve[0], f'pos="e,{start_x:g},{tip_y:g} {drawn}"')
    return _LABEL.sub(lambda label: f'lp="{float(label[1]) - bend:g},{label[2]}"', attributes)
