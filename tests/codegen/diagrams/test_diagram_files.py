"""Which files there are, and that nothing of the machine is missing in them or drawn twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from codegen.diagrams import RendererError, render, write_png
from codegen.diagrams.focus import focuses
from codegen.model import Machine

ANY = "any-phase"


def edges(svg: str) -> dict[str, list[str]]:
    """The branches behind each edge of a diagram that says which they are."""
    listed = {}
    for element in ElementTree.fromstring(svg).iter():
        branches = element.get("data-branches")
        if branches is not None:
            listed[str(element.get("id"))] = branches.split()
    return listed


def ids(svg: str) -> list[str]:
    return [element.get("id", "") for element in ElementTree.fromstring(svg).iter() if element.get("id")]


def test_there_is_a_map_a_page_and_a_focus_diagram_per_phase(machine: Machine, files: dict[str, str]) -> None:
    phases = {f"phases/{phase}.{kind}" for phase in machine.spec.phases for kind in ("dot", "svg")}
    assert set(files) == {"machine.dot", "machine.svg", "machine.mmd", "README.md"} | phases


def test_every_file_names_its_source_in_its_first_two_lines(machine: Machine, files: dict[str, str]) -> None:
    for path, text in files.items():
        head = "\n".join(text.splitlines()[:2])
        assert machine.spec.source.name in head, path
        assert "do not edit" in head, path
        assert text.endswith("\n"), path


def test_every_svg_is_well_formed_and_its_ids_are_unique(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith(".svg"):
            assert Counter(ids(text)).most_common(1)[0][1] == 1, path


def test_the_map_shows_every_phase_and_group(machine: Machine, files: dict[str, str]) -> None:
    shown = set(ids(files["machine.svg"]))
    assert {f"phase-{phase}" for phase in machine.spec.phases} <= shown
    assert {f"group-{group}" for group in machine.spec.groups} <= shown


def test_every_branch_that_leaves_is_behind_exactly_one_edge_of_the_map(
    machine: Machine, files: dict[str, str]
) -> None:
    behind = Counter(branch for branches in edges(files["machine.svg"]).values() for branch in branches)
    assert behind == Counter(branch.id for *_, branch in machine.rows() if branch.leaves)


def test_every_edge_of_the_map_has_a_title_and_a_label_to_write_counts_to(files: dict[str, str]) -> None:
    root = ElementTree.fromstring(files["machine.svg"])
    for element in root.iter():
        if element.get("data-branches") is not None:
            assert any(child.tag.endswith("text") for child in element.iter()), element.get("id")
            title = next(child.text for child in element.iter() if child.tag.endswith("title"))
            assert f"edge-{str(title).replace('->', '-')}" == element.get("id")


def test_the_edge_of_a_branch_is_found_by_phase_and_target_too(machine: Machine, files: dict[str, str]) -> None:
    outer = {child: name for name, group in machine.spec.groups.items() for child in group.groups}

    def around(name: str) -> list[str]:
        chain = [name, *machine.phase_groups.get(name, ())]
        while chain[-1] in outer:
            chain.append(outer[chain[-1]])
        return chain

    drawn = edges(files["machine.svg"])
    for phase, _event, _cell, branch in machine.rows():
        if branch.to is not None:
            targets = around(branch.to)
        elif branch.history is not None:
            targets = [f"{branch.history}-history", *around(branch.history)]
        else:
            continue
        candidates = [f"edge-{tail}-{head}" for tail in [*around(phase), ANY] for head in targets]
        assert branch.id in drawn[next(name for name in candidates if name in drawn)]


def test_every_branch_is_in_exactly_one_place_of_its_phases_focus_diagram(
    machine: Machine, files: dict[str, str]
) -> None:
    for phase, view in focuses(machine).items():
        places = [branch for branches in edges(files[f"phases/{phase}.svg"]).values() for branch in branches]
        places += [branch for row in (*view.staying, *view.ignored) for branch in row.branches]
        branches = [branch.id for cell in machine.cells[phase].values() for branch in cell.branches]
        assert sorted(places) == sorted(branches)


def test_a_focus_diagram_names_every_event_and_every_phase_it_can_come_from(
    machine: Machine, files: dict[str, str]
) -> None:
    for phase, view in focuses(machine).items():
        text = "".join(ElementTree.fromstring(files[f"phases/{phase}.svg"]).itertext())
        assert set(machine.spec.events) <= set(re.findall(r"[A-Z][A-Z0-9_]+", text))
        sources = {name for source in view.sources for name in source.phases}
        assert sources == {
            other for other, _, _, branch in machine.rows() if phase in machine.targets(branch) and other != phase
        }


def test_the_page_has_every_row(machine: Machine, files: dict[str, str]) -> None:
    sections = re.split(r"^### ", files["README.md"], flags=re.MULTILINE)[1:]
    assert len(sections) == len(machine.spec.phases)
    for phase, section in zip(machine.spec.phases, sections, strict=True):
        assert section.splitlines()[0].replace("\\", "") == phase
        rows = re.findall(r"^\| `([A-Z0-9_]+)`", section.split("\n## ")[0], flags=re.MULTILINE)
        expected = [event for event, cell in machine.cells[phase].items() for _ in cell.branches or (cell,)]
        assert sorted(rows) == sorted(expected)


def test_the_mermaid_map_declares_what_its_edges_name(machine: Machine, files: dict[str, str]) -> None:
    text = files["machine.mmd"]
    assert text.splitlines()[1] == "stateDiagram-v2"
    declared = re.findall(r'state "[^"]*" as (s_\w+)', text)
    assert Counter(declared).most_common(1)[0][1] == 1
    pairs = re.findall(r"^    (\S+) --> (\S+)(?: : |$)", text, flags=re.MULTILINE)
    assert {name for pair in pairs for name in pair} - {"[*]"} <= set(declared)
    assert Counter(pairs).most_common(1)[0][1] == 1
    assert len(re.findall(" : ", text)) == len(edges(files["machine.svg"]))
    assert text.count("{") == text.count("}")


def test_an_otherwise_of_many_phases_outside_groups_is_drawn_once(ferry_files: dict[str, str]) -> None:
    drawn = edges(ferry_files["machine.svg"])
    assert drawn[f"edge-{ANY}-WRECK"] == ["ANCHORED/ARRIVED/2", "TOWED/ARRIVED/2", "GONE/ARRIVED/2"]


def test_a_row_of_a_group_to_one_of_its_own_phases_is_drawn_from_the_group(ferry_files: dict[str, str]) -> None:
    assert edges(ferry_files["machine.svg"])["edge-moving-DOCKED"]


def test_the_same_bytes_in_another_process_and_environment(tmp_path: Path, ferry_files: dict[str, str]) -> None:
    script = (
        "import sys; from pathlib import Path; from hashlib import sha256\n"
        "from codegen.diagrams import render; from codegen.flatten import flatten; from codegen.loading import load\n"
        "files = render(flatten(load(Path(sys.argv[1])).spec))\n"
        "print(sha256(repr(sorted(files.items())).encode()).hexdigest())\n"
    )
    spec = Path(__file__).parent / "hostile.yaml"
    digests = set()
    for seed, zone in (("1", "UTC"), ("77", "Asia/Tokyo")):
        environment = {"PYTHONHASHSEED": seed, "TZ": zone, "HOME": str(tmp_path), "LC_ALL": "C", "PATH": os.defpath}
        run = subprocess.run(
            [sys.executable, "-c", script, str(spec)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stderr == ""
        digests.add(run.stdout)
    assert len(digests) == 1


def test_the_files_do_not_depend_on_the_renderers_version(files: dict[str, str]) -> None:
    for path, text in files.items():
        assert "graphviz" not in text.lower(), path


def test_every_diagram_is_written_as_png(tmp_path: Path, ferry: Machine) -> None:
    folder = tmp_path / "new" / "folder"
    written = write_png(ferry, folder)
    assert {path.name for path in written} == {f"{name}.png" for name in ("machine", *ferry.spec.phases)}
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG\r\n"), path


def test_a_missing_renderer_is_said_with_what_to_do(
    tmp_path: Path, ferry: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RendererError, match=r"`graphviz-pure` is neither in .* nor on PATH.*make install"):
        render(ferry)
