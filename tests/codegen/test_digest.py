"""The digest of meaning follows what a machine does, the digest of presentation all that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.digest import digest, presentation_digest
from codegen.flatten import flatten
from codegen.loading import load


def digests(spec_dir: Path, text: str) -> tuple[str, str]:
    path = spec_dir / "door.yaml"
    path.write_text(text)
    spec = load(path).spec
    assert spec is not None
    machine = flatten(spec)
    return digest(machine), presentation_digest(machine)


TEXTS_ONLY = {
    "summary": ("The door is open.", "The door stands open."),
    "reason": ("The door is busy.", "Somebody else is at the door."),
    "waits_for": ("Somebody with a badge.", "A visitor."),
    "environment": ("env: HOLD_SECS", "env: DOOR_HOLD_SECS"),
    "happy path": ("[CLOSED, OPENING, OPEN, CLOSED]", "[CLOSED, OPENING]"),
    "version": ("version: 1", "version: 2"),
    "limits": ("min: 1, max: 9", "min: 1, max: 8"),
}
MEANING = {
    "target": ("HELD: {to: CLOSED}", "HELD: {to: BROKEN}"),
    "guard": ("not expired", "expired"),
    "action": ("do: [count_visit]", "do: [note_badge]"),
    "ignored": ("BADGE_SHOWN: defer", "BADGE_SHOWN: {ignore: Not now.}"),
    "timeout": ("after: hold", "after: patience"),
    "restore": ("keep_deadline, since", "restart, since"),
    "default": ("default: 5s", "default: 6s"),
    "outcome": ("stuck: DOOR_STUCK", "jammed: DOOR_STUCK"),
    "class": ("class: at_most_once", "class: idempotent"),
    "retry": ("factor: 2", "factor: 3"),
    "data": ("type: int, summary: How often the door", "type: decimal, summary: How often the door"),
    "payload": ("shown_at: instant}", "shown_at: int}"),
    "identity": ("identity: [shown_at]", "identity: []"),
    "history": ("history: true", "history: false"),
    "initial": ("initial: CLOSED", "initial: OPENING"),
}


@pytest.mark.parametrize("change", TEXTS_ONLY)
def test_a_change_of_texts_changes_the_presentation_only(change: str, spec_dir: Path, door: str) -> None:
    before, after = digests(spec_dir, door), digests(spec_dir, door.replace(*TEXTS_ONLY[change]))
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("change", MEANING)
def test_a_change_of_meaning_changes_both(change: str, spec_dir: Path, door: str) -> None:
    before, after = digests(spec_dir, door), digests(spec_dir, door.replace(*MEANING[change]))
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_row_means_the_same_in_a_group_and_in_each_of_its_phases(spec_dir: Path, door: str) -> None:
    shared = "    on:\n      FAILED: {to: BROKEN, do: [note_failure]}\n"
    row = "      FAILED: {to: BROKEN, do: [note_failure]}\n"
    written_out = door.replace(shared, "")
    for own in ("      HELD: {to: CLOSED}\n", "      BADGE_SHOWN: defer\n", "      BADGE_SHOWN:\n"):
        assert written_out.count(own) == 1
        written_out = written_out.replace(own, row + own)
    assert digests(spec_dir, door)[0] == digests(spec_dir, written_out)[0]


def test_the_order_and_the_layout_of_the_file_do_not_count(spec_dir: Path, door: str) -> None:
    guards = door[door.index("guards:") : door.index("actions:")]
    moved = door.replace(guards, "").replace("phases:\n", guards + "\n# A comment.\nphases:\n", 1)
    assert digests(spec_dir, door)[0] == digests(spec_dir, moved)[0]
