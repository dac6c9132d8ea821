"""Who decides what an event does in a phase: the phase, then its groups from the inside out, then the event."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.flatten import flatten
from codegen.loading import load
from codegen.model import Machine

SPEC = """
machine: nest
version: 1
summary: Groups in groups.
initial: A
error_event: FAILED
events:
  FAILED: {summary: Something failed., payload: {error: str, failed_event: str}, otherwise: {to: D}}
  ONE: {summary: One., otherwise: {ignore: Not now.}}
  TWO: {summary: Two., otherwise: [{if: ready, ignore: Ready.}, {to: D}]}
  THREE: {summary: Three., otherwise: {reject: Never.}}
guards:
  ready: {summary: It is ready.}
  urgent: {summary: It is urgent.}
phases:
  A: {summary: A., waits_for: x, on: {ONE: {to: B}, TWO: [{if: urgent, to: C}, otherwise]}}
  B: {summary: B., waits_for: x, on: {ONE: [{if: urgent, to: C}, otherwise]}}
  C: {summary: C., waits_for: x}
  D: {summary: D., waits_for: x, on: {ONE: defer}}
groups:
  outer: {summary: Outer., phases: [C], groups: [inner], on: {ONE: {to: A}, THREE: {to: A}}}
  inner: {summary: Inner., phases: [A, B], on: {ONE: {to: C}, FAILED: {to: C}}}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    path = tmp_path / "nest.yaml"
    path.write_text(SPEC)
    spec = load(path).spec
    assert spec is not None
    return flatten(spec)


@pytest.mark.parametrize(
    ("phase", "event", "decided_by", "leads_to"),
    [
        ("A", "ONE", "phase A", "B"),
        ("C", "ONE", "group outer", "A"),
        ("A", "FAILED", "group inner", "C"),
        ("C", "FAILED", "event FAILED", "D"),
        ("B", "THREE", "group outer", "A"),
    ],
)
def test_the_most_specific_row_wins(machine: Machine, phase: str, event: str, decided_by: str, leads_to: str) -> None:
    cell = machine.cells[phase][event]
    assert f"{cell.origin.kind} {cell.origin.name}" == decided_by
    assert [branch.to for branch in cell.branches] == [leads_to]


def test_every_pair_of_phase_and_event_has_a_cell(machine: Machine) -> None:
    assert {phase: set(cells) for phase, cells in machine.cells.items()} == {
        phase: set(machine.spec.events) for phase in machine.spec.phases
    }


def test_groups_are_listed_from_the_inside_out(machine: Machine) -> None:
    assert machine.phase_groups == {"A": ("inner", "outer"), "B": ("inner", "outer"), "C": ("outer",), "D": ()}
    assert machine.group_phases == {"outer": ("A", "B", "C"), "inner": ("A", "B")}


def test_the_word_otherwise_continues_with_the_branches_of_the_event(machine: Machine) -> None:
    branches = machine.cells["A"]["TWO"].branches
    assert [(branch.id, branch.guards, branch.to, branch.ignored) for branch in branches] == [
        ("A/TWO/1", (("urgent", True),), "C", None),
        ("A/TWO/2", (("ready", True),), None, "Ready."),
        ("A/TWO/3", (), "D", None),
    ]


def test_the_word_otherwise_takes_over_the_reason_to_ignore(machine: Machine) -> None:
    """The group's row is not asked: `otherwise` is the event's."""
    branches = machine.cells["B"]["ONE"].branches
    assert [(branch.to, branch.ignored) for branch in branches] == [("C", None), (None, "Not now.")]


def test_cells_without_branches_keep_their_kind_and_reason(machine: Machine) -> None:
    assert machine.cells["D"]["ONE"].kind == "defer"
    assert (machine.cells["D"]["THREE"].kind, machine.cells["D"]["THREE"].reason) == ("reject", "Never.")
