import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from engine.report.diagram import NEVER, Edge, annotate_svg, edges_taken

NS = {"s": "http://www.w3.org/2000/svg"}
DOT = """digraph t { node [shape=box]
  A -> B [id="edge-A-GO", label="GO", color="#2457a6"]
  B -> C [id="edge-B-ON", color="#2457a6"]
  C -> A [id="edge-C-BACK", label="<BACK> & \\"on\\"", color="#c2261d"]
  B -> B [id="edge-B-B", label="AGAIN", color="#2457a6"]
  start -> A
}"""


@pytest.fixture(scope="module")
def svg() -> str:
    renderer = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
    assert renderer is not None
    return subprocess.run([renderer, "-Tsvg"], input=DOT, capture_output=True, text=True, check=True).stdout


COUNTS = {"edge-A-GO": 1, "edge-B-ON": 10, "edge-C-BACK": 12_345, "edge-of-an-internal-row": 3}


def edge(svg: str, name: str) -> ET.Element:
    found = ET.fromstring(svg).find(f".//s:g[@id='{name}']", NS)
    assert found is not None
    return found


def path_of(svg: str, name: str) -> ET.Element:
    path = edge(svg, name).find("s:path", NS)
    assert path is not None
    return path


def texts(svg: str, name: str) -> list[str]:
    return ["".join(text.itertext()) for text in [*edge(svg, name).findall("s:text", NS), *beside(svg, name)]]


def beside(svg: str, name: str) -> list[ET.Element]:
    return ET.fromstring(svg).findall(f".//s:text[@data-edge='{name}']", NS)


def test_the_count_stands_on_the_edge(svg):
    drawn = annotate_svg(svg, COUNTS)
    assert texts(drawn, "edge-A-GO") == ["GO×1"]
    assert texts(drawn, "edge-B-ON") == ["×10"], "an edge without a label gets one"
    assert texts(drawn, "edge-C-BACK") == ['<BACK> & "on"×12,345']
    parts = list(ET.fromstring(drawn).iter())
    last = max(place for place, part in enumerate(parts) if part.tag.endswith("}path"))
    counted = {part.get("data-edge") for part in parts[last:]}
    assert counted >= {"edge-A-GO", "edge-B-ON", "edge-C-BACK"}, "no edge is drawn across a count"


def test_the_width_grows_with_the_logarithm_of_the_count(svg):
    drawn = annotate_svg(svg, COUNTS | {"edge-A-GO": 1, "edge-B-B": 10**9})
    widths = [path_of(drawn, f"edge-{name}").get("stroke-width") for name in ("A-GO", "B-ON", "C-BACK", "B-B")]
    assert widths == ["1.20", "2.10", "4.88", "6.00"]


def test_an_edge_that_was_never_taken_is_grey_and_the_others_keep_their_colour(svg):
    drawn = annotate_svg(svg, COUNTS)
    never = edge(drawn, "edge-B-B")
    assert texts(drawn, "edge-B-B") == ["AGAIN"]
    assert {part.get("stroke") for part in never.iter() if part.get("stroke")} == {NEVER}
    assert {part.get("fill") for part in never.iter() if part.get("fill")} == {"none", NEVER}
    assert path_of(drawn, "edge-C-BACK").get("stroke") == "#c2261d"


def test_what_is_no_edge_of_the_machine_stays_as_it_is(svg):
    before = next(g for g in ET.fromstring(svg).iter() if g.findtext("s:title", "", NS) == "start->A")
    after = next(
        g for g in ET.fromstring(annotate_svg(svg, COUNTS)).iter() if g.findtext("s:title", "", NS) == "start->A"
    )
    assert [part.attrib for part in after.iter()] == [part.attrib for part in before.iter()]


def test_the_result_can_be_put_into_html(svg):
    drawn = annotate_svg(svg, COUNTS)
    assert drawn.startswith("<svg ")
    assert "ns0:" not in drawn
    assert "<!DOCTYPE" not in drawn


def test_whatever_is_not_drawing_is_left_out():
    hostile = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="steal()">'
        "<script>steal()</script><style>@import 'http://x'</style><image href='http://x/y.png'/>"
        '<foreignObject><b xmlns="http://www.w3.org/1999/xhtml">x</b></foreignObject>'
        '<a xlink:href="javascript:steal()" href="https://example.org"><text onclick="steal()">kept</text></a></svg>'
    )
    drawn = annotate_svg(hostile, {})
    assert "steal" not in drawn
    assert "http://x" not in drawn
    assert "foreignObject" not in drawn
    assert '<a href="https://example.org"><text>kept</text></a>' in drawn


def test_edges_by_count(svg):
    assert edges_taken(svg, COUNTS) == [
        Edge("C", "A", '<BACK> & "on"', 12_345),
        Edge("B", "C", "", 10),
        Edge("A", "B", "GO", 1),
        Edge("B", "B", "AGAIN", 0),
    ]


@pytest.mark.parametrize("text", ["", "<svg", "<html/>", "digraph {}"])
def test_what_is_no_svg_is_refused(text):
    with pytest.raises(ValueError, match="the diagram is not an SVG"):
        annotate_svg(text, {})
