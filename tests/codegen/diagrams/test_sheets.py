"""What is drawn of a machine that is too large for one map: every row on a sheet, and no sheet a thicket."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import pytest

from codegen.diagrams import render
from codegen.flatten import flatten
from codegen.loading import load
from codegen.model import Machine

# The benchmarks are no installed package.
sys.path.append(str(Path(__file__).parents[3]))
from bench.codegen_size import make_spec

PHASES = 140


def large(folder: Path, kind: str) -> Machine:
    """A machine of stages in areas, of the same phases in one group, or in none."""
    text = make_spec("large", PHASES).text
    members = re.findall(r"^  ([A-Z0-9_]+):\n    summary: Step", text, re.MULTILINE)
    if kind != "stages in areas":
        text = re.sub(r"^  [a-z]+_\d+: \{summary: .*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"    groups: \[area_[^\]]*\]", f"    phases: [{', '.join(members)}]", text)
    if kind == "no groups":
        text = text[: text.index("groups:\n")].replace(
            "RESUMED: {to: {history: running}}", f"RESUMED: {{to: {members[0]}}}"
        )
        text = re.sub(
            r"(  FAILED: \{summary: Something failed\., payload: \{error: str, failed_event: str\})\}",
            r"\1, otherwise: [{to: BROKEN, do: [note_fault]}]}",
            text,
        )
    (folder / "large.yaml").write_text(text, encoding="utf-8")
    loaded = load(folder / "large.yaml")
    assert loaded.spec is not None, loaded.troubles
    return flatten(loaded.spec)


@pytest.fixture(scope="module", params=["stages in areas", "one group", "no groups"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return large(tmp_path_factory.mktemp("large"), request.param)


@pytest.fixture(scope="module")
def files(machine: Machine) -> dict[str, str]:
    return render(machine)


def edges(svg: str) -> list[tuple[str, list[str]]]:
    """Each edge of a picture, with the branches behind it."""
    elements = ElementTree.fromstring(svg).iter()
    return [
        (e.get("id", ""), e.get("data-branches", "").split()) for e in elements if "edge" in e.get("class", "").split()
    ]


def drawn_phases(svg: str) -> set[str]:
    """The phases that are drawn themselves, and not as what is near."""
    ids = {element.get("id", "") for element in ElementTree.fromstring(svg).iter()}
    return {id_.removeprefix("phase-") for id_ in ids if re.fullmatch(r"phase-[A-Z0-9_]+", id_)}


def pictures(files: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.endswith(".svg")}


def test_no_picture_has_more_than_a_hundred_edges_or_phases(files: dict[str, str]) -> None:
    assert len(pictures(files)) > PHASES // 40
    for path, svg in pictures(files).items():
        named = [id_ for id_, _ in edges(svg) if id_.startswith("edge-")]
        assert len(named) <= 100, path
        assert len(named) == len(set(named)), path
        assert len(drawn_phases(svg)) <= 100, path


def test_every_phase_is_drawn_once_and_all_that_leads_out_of_it_with_it(
    machine: Machine, files: dict[str, str]
) -> None:
    leaving = Counter(branch.id for *_, branch in machine.rows() if branch.leaves)
    seen: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    for svg in pictures(files).values():
        here = drawn_phases(svg)
        phases.update(here)
        seen.update(branch for _, behind in edges(svg) for branch in behind if branch.split("/")[0] in here)
    assert phases == Counter(list(machine.spec.phases))
    assert seen == leaving


def test_all_that_leads_into_a_phase_is_drawn_with_it(machine: Machine, files: dict[str, str]) -> None:
    reaching = {(branch.id, branch.to) for *_, branch in machine.rows() if branch.to is not None}
    for path, svg in pictures(files).items():
        here = drawn_phases(svg)
        behind = {branch for _, branches in edges(svg) for branch in branches}
        assert {branch for branch, target in reaching if target in here} <= behind, path


def test_each_phase_has_its_rows_on_one_page_and_every_link_leads_somewhere(
    machine: Machine, files: dict[str, str]
) -> None:
    markdown = {path: text for path, text in files.items() if path.endswith(".md")}
    sections = Counter(
        name.replace("\\", "") for text in markdown.values() for name in re.findall(r"^### (.*)$", text, re.MULTILINE)
    )
    assert sections == Counter(list(machine.spec.phases))
    for path, text in markdown.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            parts: list[str] = []
            for part in (PurePosixPath(path).parent / file if file else PurePosixPath(path)).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            found = files["/".join(parts)]
            assert not anchor or re.search(rf"^### {anchor}$", found.replace("\\", ""), re.MULTILINE | re.IGNORECASE)


def test_every_sheet_is_listed_on_the_page(files: dict[str, str]) -> None:
    listed = {link for text in files.values() for link in re.findall(r"\]\((?:groups/)?([a-z0-9_-]+)\.md\)", text)}
    sheets = {PurePosixPath(path).stem for path in files if path.startswith("groups/")}
    assert sheets <= listed


def test_a_large_machine_has_no_diagram_of_each_phase(files: dict[str, str]) -> None:
    assert not any(path.startswith("phases/") for path in files)
    assert not any("phases/" in text for path, text in files.items() if path.endswith(".md"))
