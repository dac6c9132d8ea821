"""A spec that does not hold leaves drawings and traces; one that holds leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from phasewright_process import phasewright

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
    timeout: {after: warm_up, raises: WARM, on_restore: drop}
    on:
      PRESSED: {ignore: It is about to be light.}
      WARM: {to: ON}
  ON:
    summary: It is light.
    waits_for: Somebody who wants to sleep.
    on:
      PRESSED: {to: OFF}
      FAILED: {to: OFF}
properties:
  - {recoverable: ON, loss: It stays <dark> & cold.}
"""
HOLDS = LAMP.replace("on_restore: drop", "on_restore: keep_deadline")
CLAIM = "lamp-recoverable-on"


def line_of(words: str) -> int:
    return next(number for number, line in enumerate(LAMP.splitlines(), 1) if words in line)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "spec").mkdir()
    path = tmp_path / "spec" / "lamp.yaml"
    path.write_text(LAMP)
    return path


def test_a_broken_claim_is_drawn_and_can_be_played(spec: Path, tmp_path: Path) -> None:
    done = phasewright("verify", cwd=tmp_path)
    assert done.status == 1
    story, _, _ = done.out.partition("\n\nspec/lamp.yaml:1")
    assert story.splitlines()[-2:] == [
        f"  drawing: counterexamples/{CLAIM}.html",
        f"  replay: phasewright simulate --trace counterexamples/{CLAIM}.json",
    ]
    trace = json.loads((tmp_path / "counterexamples" / f"{CLAIM}.json").read_text())
    assert (trace["trace"], trace["machine"], trace["claim"]) == (1, "lamp", "recoverable: ON")
    assert [step["kind"] for step in trace["steps"]] == ["outside", "crash"]
    assert trace["spec"]["lamp.yaml"] == LAMP
    page = (tmp_path / "counterexamples" / f"{CLAIM}.html").read_text()
    assert "It stays &lt;dark&gt; &amp; cold." in page
    assert f"spec/lamp.yaml:{line_of('recoverable')}" in page
    assert f"OFF/PRESSED/1 (spec/lamp.yaml:{line_of('to: WARMING')})" in page
    assert "crash, restart" in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    drawings = page.split("<svg")[1:]
    assert len(drawings) == 2
    for drawing in drawings:
        ET.fromstring(f"<svg{drawing.partition('</svg>')[0]}</svg>")


def test_an_earlier_run_is_replaced_and_nothing_else(spec: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawn here"
    done = phasewright("verify", "--json", "--counterexamples", folder, cwd=tmp_path)
    (lamp,) = done.json
    named = [one[kind] for one in lamp["broken"] for kind in ("drawing", "trace")]
    assert sorted(named) == sorted(map(str, folder.iterdir()))
    notes = [folder / "lamp-notes.html", folder / "lamp-notes.json", folder / "lamp2-claim.json"]
    for note, text in zip(notes, ("<p>mine", "{}", '{\n  "trace": 1,\n  "machine": "lamp2",'), strict=True):
        note.write_text(text)
    spec.write_text(HOLDS)
    done = phasewright("verify", "--counterexamples", folder, cwd=tmp_path)
    assert done.status == 0, done
    assert sorted(folder.iterdir()) == notes


def test_what_holds_or_has_no_step_leaves_no_folder(spec: Path, tmp_path: Path) -> None:
    never = "  - {reachable: OFF and ON, loss: It is never dark and light at once.}\n"
    spec.write_text(HOLDS)
    assert phasewright("verify", cwd=tmp_path).status == 0
    spec.write_text(HOLDS + never)
    done = phasewright("verify", "--json", cwd=tmp_path)
    assert done.status == 1
    (broken,) = done.json[0]["broken"]
    assert (broken["drawing"], broken["trace"], broken["steps"]) == (None, None, [])
    assert not (tmp_path / "counterexamples").exists()


def test_a_folder_that_cannot_be_written_costs_the_drawing_and_not_the_story(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = phasewright("verify", "--counterexamples", "taken", cwd=tmp_path)
    assert done.status == 1
    assert "loss: It stays <dark> & cold." in done.out
    assert "drawing:" not in done.out
    assert done.err.count("error: ") == 1
    assert "taken" in done.err
    assert "name another folder with --counterexamples" in done.err
    assert (tmp_path / "taken").read_text() == "a file"
