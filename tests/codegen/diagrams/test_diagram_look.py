"""What makes the diagrams readable: the happy path straight, kinds of edges apart, a page's width."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from codegen.diagrams import render
from codegen.model import Machine

PAGE = 1000  # CSS pixels; the SVG's points are 4/3 of one


@pytest.fixture(scope="module")
def edges(machine: Machine, files: dict[str, str]) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(files["machine.svg"])
    return {str(element.get("id")): element for element in root.iter() if element.get("data-branches") is not None}


def path_of(element: ElementTree.Element) -> ElementTree.Element:
    return next(child for child in element.iter() if child.tag.endswith("path"))


def test_the_happy_path_is_one_straight_line_down(machine: Machine, edges: dict[str, ElementTree.Element]) -> None:
    column = list(dict.fromkeys(machine.spec.happy_path))
    across, down = [], []
    for tail, head in pairwise(column):
        points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", path_of(edges[f"edge-{tail}-{head}"]).get("d", ""))
        across += [float(x) for x, _ in points]
        down.append(float(points[0][1]))
    assert max(across) - min(across) < 0.5
    assert down == sorted(down)


def test_kinds_of_edges_differ_in_stroke_and_not_in_colour_alone(edges: dict[str, ElementTree.Element]) -> None:
    strokes = {}
    for element in edges.values():
        path = path_of(element)
        kind = element.get("class", "").split()[-1]
        strokes.setdefault(kind, set()).add((path.get("stroke-width"), path.get("stroke-dasharray")))
    assert {"happy", "error", "timeout", "plain"} == set(strokes)
    assert all(len(each) == 1 for each in strokes.values())
    assert len({stroke for each in strokes.values() for stroke in each}) == len(strokes)


def test_the_map_draws_a_handful_of_error_edges(machine: Machine, edges: dict[str, ElementTree.Element]) -> None:
    errors = [name for name, element in edges.items() if element.get("class") == "edge error"]
    assert 1 <= len(errors) <= 5


def test_every_diagram_fits_a_page(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith(".svg"):
            width = float(ElementTree.fromstring(text).get("width", "").removesuffix("pt")) * 4 / 3
            assert width <= PAGE, path


def test_no_text_is_smaller_than_eight_points(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith(".svg"):
            assert min(float(size) for size in re.findall(r'font-size="([\d.]+)"', text)) >= 8, path


def test_a_machine_without_a_happy_path_or_groups_is_drawn_too(ferry: Machine) -> None:
    spec = ferry.spec.model_copy(update={"happy_path": ()})
    bare = Machine(spec, ferry.cells, ferry.phase_groups)
    assert "edge-DOCKED-LOADING" in render(bare)["machine.svg"]
