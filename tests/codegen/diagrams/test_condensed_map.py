"""The map of a machine with too many edges: groups as boxes, opened as far as the map stays readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codegen.diagrams import render
from codegen.diagrams.condensed import MOST_EDGES, OUTSIDE, map_view
from codegen.diagrams.edges import map_edges
from codegen.diagrams.renderer import RendererError, draw, draw_svgs
from codegen.flatten import flatten
from codegen.loading import load
from codegen.model import Machine

PER_GROUP = 12


def large_machine(folder: Path, groups: int, outside: int = 0) -> Machine:
    """Groups in each of which every phase leads to every other; the last phase of each leads to the next group."""
    phases, grouped = [], []
    for group in range(groups):
        members = [f"G{group}P{place}" for place in range(PER_GROUP)]
        grouped.append(f"  g{group}: {{summary: Part {group}., phases: [{', '.join(members)}]}}\n")
        for place, name in enumerate(members):
            to = [other for other in members if other != name]
            to += [f"G{(group + 1) % groups}P0"] if place == PER_GROUP - 1 else []
            phases.append(_phase(name, to))
    loose = [f"LOOSE{place}" for place in range(outside)]
    phases += [_phase(name, [other for other in loose if other != name] or ["G0P0"]) for name in loose]
    spec = folder / "large.yaml"
    spec.write_text(
        "machine: large\nversion: 1\nsummary: Large.\ninitial: G0P0\nerror_event: FAILED\n"
        "config:\n  pause: {type: duration, default: 1s, summary: A pause.}\nevents:\n"
        + "".join(f"  E{number}: {{summary: An event., otherwise: {{ignore: Not here.}}}}\n" for number in range(40))
        + "  FAILED: {summary: Failed., payload: {error: str, failed_event: str}}\n"
        "phases:\n" + "".join(phases) + "  BROKEN: {summary: Broken., waits_for: A person., on: {E0: {to: G0P0}}}\n"
        "groups:\n"
        + "".join(grouped)
        + f"  all: {{summary: All., groups: [{', '.join(f'g{group}' for group in range(groups))}],"
        " on: {FAILED: {to: BROKEN}}}\n",
        encoding="utf-8",
    )
    loaded = load(spec)
    assert loaded.spec is not None, loaded.troubles
    return flatten(loaded.spec)


def _phase(name: str, to: list[str]) -> str:
    rows = ", ".join(f"E{number}: {{to: {target}}}" for number, target in enumerate(to))
    return f"  {name}: {{summary: A phase., waits_for: Anything., on: {{{rows}}}}}\n"


def test_a_small_machine_is_drawn_whole(machine: Machine) -> None:
    view = map_view(machine)
    assert view.edges == map_edges(machine)
    assert not view.closed


def test_groups_are_closed_until_the_map_can_be_read(tmp_path: Path) -> None:
    machine = large_machine(tmp_path, 6)
    view = map_view(machine)
    assert len(map_edges(machine)) > 6 * PER_GROUP * (PER_GROUP - 1)
    assert set(view.closed) == {f"g{group}" for group in range(6)}
    assert set(view.closed.values()) == {PER_GROUP}
    assert {(f"g{group}", f"g{(group + 1) % 6}") for group in range(6)} <= {(e.tail, e.head) for e in view.edges}
    assert len(view.edges) <= MOST_EDGES


def test_every_branch_between_two_boxes_is_behind_exactly_one_edge(tmp_path: Path) -> None:
    machine = large_machine(tmp_path, 6)
    view = map_view(machine)
    between = [
        branch.id
        for phase, _, _, branch in machine.rows()
        if branch.to is not None and view.box[phase] != view.box[branch.to]
    ]
    assert sorted(branch for edge in view.edges for branch in edge.branches) == sorted(between)


def test_phases_outside_all_groups_share_a_box_when_they_are_too_many(tmp_path: Path) -> None:
    view = map_view(large_machine(tmp_path, 2, outside=20))
    assert view.closed[OUTSIDE] == 21
    assert view.box["LOOSE3"] == view.box["BROKEN"] == OUTSIDE


def test_what_is_drawn_of_a_large_machine_is_its_boxes(tmp_path: Path) -> None:
    machine = large_machine(tmp_path, 3, outside=20)
    files = render(machine)
    shown = set(re.findall(r'<g id="([^"]+)"', files["machine.svg"]))
    assert {f"group-{name}" for name in ("g0", "g1", "g2", "all", OUTSIDE)} <= shown
    assert "phase-G0P0" not in shown
    assert f"{PER_GROUP} phases" in files["machine.svg"]
    assert f'state "g0, {PER_GROUP} phases" as s_g0' in files["machine.mmd"]
    named = set(re.findall(r"as (s_\w+)", files["machine.mmd"]))
    used = set(re.findall(r"(s_\w+) -->|--> (s_\w+)", files["machine.mmd"]))
    assert {name for pair in used for name in pair if name} <= named
    assert {f"groups/{name}.svg" for name in ("g0", "g1", "g2", OUTSIDE)} <= set(files)


def test_many_graphs_are_drawn_as_each_alone_and_in_their_order() -> None:
    sources = [f"digraph g{number} {{ a{number} -> b }}\n" for number in range(25)]
    assert draw_svgs(sources) == [draw(source, "svg") for source in sources]


def test_of_many_graphs_the_one_that_cannot_be_drawn_is_named() -> None:
    sources = [f"digraph g{number} {{ a -> b }}\n" for number in range(12)]
    sources[3] = "digraph g3 { a -> \n"
    with pytest.raises(RendererError, match="could not draw digraph g3"):
        draw_svgs(sources)
