"""Findings as a person and as a script see them."""

from __future__ import annotations

import json
from dataclasses import replace

from codegen.findings import Finding, Severity, has_errors, in_order, render_findings

FINDING = Finding(
    file="spec/door.yaml",
    line=12,
    column=9,
    code="PW111",
    severity=Severity.ERROR,
    what="unknown phase `OPENED`",
    why="The row would lead nowhere.",
    fix="did you mean `OPEN`?",
    source_line="    to: OPENED",
)


def test_a_finding_shows_its_line_with_a_caret_under_the_place() -> None:
    assert render_findings([FINDING]) == (
        "spec/door.yaml:12:9: error PW111: unknown phase `OPENED`\n"
        "  12 |     to: OPENED\n"
        "     |         ^\n"
        "  why: The row would lead nowhere.\n"
        "  fix: did you mean `OPEN`?"
    )


def test_a_finding_without_a_line_shows_none() -> None:
    assert "|" not in replace(FINDING, source_line="").details()


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "x" * 500 + "HERE" + "y" * 500
    shown, caret = replace(FINDING, source_line=line, column=501).details().splitlines()[:2]
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith("HERE")


def test_nothing_in_a_spec_can_steer_the_terminal() -> None:
    nasty = "\x1b]0;owned\x07\x1b[31m\u202e\r"
    text = render_findings([replace(FINDING, what=nasty, fix=nasty, source_line=f"\t{nasty} OPENED", file=nasty)])
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_script_gets_plain_data() -> None:
    assert json.loads(json.dumps(FINDING.to_dict())) == {
        "file": "spec/door.yaml",
        "line": 12,
        "column": 9,
        "code": "PW111",
        "severity": "error",
        "what": "unknown phase `OPENED`",
        "why": "The row would lead nowhere.",
        "fix": "did you mean `OPEN`?",
    }


def test_findings_stand_in_the_order_of_the_files_each_once() -> None:
    later = replace(FINDING, line=100)
    other = replace(FINDING, file="spec/a.yaml", line=200)
    assert in_order([later, FINDING, other, FINDING]) == [other, FINDING, later]


def test_only_errors_stop_the_generator() -> None:
    assert has_errors([FINDING])
    assert not has_errors([replace(FINDING, severity=Severity.WARNING)])
