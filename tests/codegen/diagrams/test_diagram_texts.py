"""Texts of a spec are shown as they are, and cannot become anything else."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from codegen.model import Machine

DRAWN = {"svg", "g", "title", "a", "polygon", "polyline", "path", "ellipse", "text"}
HREF = "{http://www.w3.org/1999/xlink}href"


def test_no_text_becomes_an_element_a_link_or_a_script(ferry_files: dict[str, str]) -> None:
    for path, text in ferry_files.items():
        if path.endswith(".svg"):
            for element in ElementTree.fromstring(text).iter():
                assert element.tag.rpartition("}")[2] in DRAWN, path
                assert not {name for name in element.keys() if name.startswith("on") or name == HREF}, path  # noqa: SIM118


def shown(svg: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())


def test_the_svg_shows_texts_as_they_are(ferry_files: dict[str, str]) -> None:
    assert "<<b>people</b>> board & pay 5 € — naïve 日本" in shown(ferry_files["phases/LOADING.svg"])
    docked = shown(ferry_files["phases/DOCKED.svg"])
    assert "</text></svg><script>alert(1)</script> # heading" in docked
    assert 'A crowd <at> the "gate"; `none` | may come\\' in docked


def test_tooltips_show_texts_as_they_are(ferry_files: dict[str, str]) -> None:
    root = ElementTree.fromstring(ferry_files["machine.svg"])
    titles = [element.get("{http://www.w3.org/1999/xlink}title") for element in root.iter()]
    assert (
        "A ferry: <script>alert(1)</script> ]]> --> ⧵N ⧵G \" ' & &#45; {} | ` *bold* [x](javascript:alert(1)) $x$"
        in titles
    )
    assert "</text></svg><script>alert(1)</script> # heading" in [" ".join(str(title).split()) for title in titles]


def test_no_control_or_direction_character_is_written(ferry_files: dict[str, str]) -> None:
    for path, text in ferry_files.items():
        assert not re.findall(r"[^\x20-\x7e\n\t -퟿-﷿ﷰ-�]", text), path
        assert "\u202e" not in text, path


def test_markdown_holds_no_html_but_its_own(ferry_files: dict[str, str]) -> None:
    page = ferry_files["README.md"]
    tags = set(re.findall(r"<(?!!--)[^>]*>", re.sub(r"`[^`\n]*`", "", page)))
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>"}


def test_markdown_tables_keep_their_columns(ferry_files: dict[str, str]) -> None:
    width = 0
    for line in ferry_files["README.md"].splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        columns = len(re.findall(r"(?<!\\)\|", line))
        width = width or columns
        assert columns == width, line


def test_markdown_escapes_what_would_be_markup(ferry_files: dict[str, str]) -> None:
    page = ferry_files["README.md"]
    assert r"\*bold\* \[x\](javascript:alert(1)) \$x\$" in page
    assert r"A crowd &lt;at&gt; the \"gate\"; \`none\` \| may come\\" in page.replace('"gate"', r"\"gate\"")
    assert "\n# heading" not in page


def test_mermaid_and_the_comment_lines_hold_no_text_of_the_spec(ferry: Machine, ferry_files: dict[str, str]) -> None:
    for summary in (ferry.spec.summary, *(phase.summary for phase in ferry.spec.phases.values())):
        assert summary.split("\n")[0] not in re.sub(r"-->", "", ferry_files["machine.mmd"]) or summary == ">"
    assert ferry_files["machine.mmd"].startswith("%% Generated from diagrams/hostile.yaml; do not edit.")
