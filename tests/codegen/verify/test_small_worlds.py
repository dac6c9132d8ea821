"""Worlds small enough to be counted by hand."""

from __future__ import annotations

from pathlib import Path

from codegen.commands import verify
from codegen.verify.result import Verified
from codegen.verify.text import render_verified

LAMP = """\
machine: lamp
version: 1
summary: A lamp that warms up.
initial: OFF
error_event: FAILED

config:
  warm_up: {type: duration, default: 5s, summary: How long it warms up.}

events:
  PRESSED: {summary: Somebody presses the switch.}
  WARM: {summary: The lamp is warm., otherwise: {reject: Only a timer can raise this.}}
  FAILED: {summary: Something fails., payload: {error: str, failed_event: str}, otherwise: {ignore: It stays as it is.}}

phases:
  OFF:
    summary: It is dark.
    waits_for: Somebody who wants light.
    on:
      PRESSED: {to: WARMING}
  WARMING:
    summary: It warms up.
    timeout: {after: warm_up, raises: WARM, on_restore: keep_deadline}
    on:
      PRESSED: defer
      WARM: {to: ON}
  ON:
    summary: It is light.
    waits_for: Somebody who wants to sleep.
    on:
      PRESSED: {to: OFF}
      FAILED: {to: OFF}

properties:
  - {recoverable: ON, loss: It stays dark.}
  - {never: WARMING, loss: It warms up.}
"""
HARMLESS = "  - {never: WARMING, loss: It warms up.}\n"


def result(folder: Path, *changes: tuple[str, str]) -> Verified:
    text = LAMP
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "lamp.yaml").write_text(text, encoding="utf-8")
    (found,) = verify(folder)
    return found


def test_every_state_is_found_once(tmp_path: Path) -> None:
    # OFF; WARMING with an empty inbox and with one press in it; ON.
    found = result(tmp_path, (HARMLESS, ""))
    assert found.holds
    assert found.states == 4


def test_what_is_asked_of_the_world_is_part_of_the_state(tmp_path: Path) -> None:
    effect = (
        "\neffects:\n  glow: {summary: Glow., class: idempotent, outcomes: {done: GLOWING}}\n\nphases:\n",
        "  GLOWING: {summary: It glows., otherwise: {ignore: One can see it.}}\n",
    )
    found = result(
        tmp_path,
        (HARMLESS, ""),
        ("\nphases:\n", effect[0]),
        ("  FAILED: {summary", f"{effect[1]}  FAILED: {{summary"),
        ("    timeout: {after", "    entry: {request: [glow]}\n    timeout: {after"),
    )
    # WARMING twice as often: before and after the answer.
    assert found.states == 6


def test_a_crash_that_drops_the_timer_is_the_end(tmp_path: Path) -> None:
    found = result(tmp_path, (HARMLESS, ""), ("on_restore: keep_deadline", "on_restore: drop"))
    assert found.states == 6
    (broken, waiting, standing) = found.broken
    assert broken.name == "recoverable: ON"
    assert (broken.file.rsplit("/", 1)[1], broken.line) == ("lamp.yaml", 35)
    assert [(step.actor, step.phase_after) for step in broken.steps] == [("outside", "WARMING"), ("process", "WARMING")]
    assert waiting.name == "no_event_waits_for_ever"
    assert len(waiting.steps) == 3
    assert standing.loss == "The machine stands still in WARMING, and nothing can move it."


def test_the_story_is_a_shortest_one_and_names_the_rows(tmp_path: Path) -> None:
    found = result(tmp_path)
    (broken,) = found.broken
    assert broken.name == "never WARMING"
    assert broken.loss == "It warms up."
    (step,) = broken.steps
    assert (step.event, step.phase_before, step.phase_after) == ("PRESSED", "OFF", "WARMING")
    (row,) = step.rows
    assert (row.id, row.line) == ("OFF/PRESSED/1", 20)


def test_the_text_says_what_was_found(tmp_path: Path) -> None:
    assert render_verified(result(tmp_path, (HARMLESS, ""))).startswith("lamp: holds. 3 claims, 4 states in ")
    told = render_verified(result(tmp_path))
    assert "never WARMING\n  loss: It warms up.\n  1. [outside] PRESSED comes from outside: Somebody presses" in told
    assert "       OFF -> WARMING; OFF/PRESSED/1 (" in " ".join(told.split("\n"))
