"""A story as a drawing: every step is there, nothing is out of the picture, and only what was taken stands out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from codegen.commands import _sound, verify
from codegen.counterexamples.happenings import Happening, Lane, happenings
from codegen.counterexamples.mermaid import mermaid_sequence
from codegen.counterexamples.path import path_on_map
from codegen.counterexamples.sequence import WIDTH, sequence
from codegen.diagrams import machine_svg
from codegen.model import Machine
from codegen.verify.result import Broken, Row, TraceStep

SVG = "{http://www.w3.org/2000/svg}"
SPECS = Path(__file__).parents[3] / "spec"
LATE_FILL = (
    "      BUY_ORDER_PARTIAL: *entry_partial\n      BUY_ORDER_FILLED: *entry_filled\n",
    "      BUY_ORDER_PARTIAL: {ignore: Too late.}\n      BUY_ORDER_FILLED: {ignore: Too late.}\n",
)


def step(kind: str, event: str = "", effect: str = "", **other: object) -> TraceStep:
    values: dict[str, object] = {
        "actor": "venue" if kind in ("request", "answer", "report", "venue") else "process",
        "words": "",
        "order": "the present entry order" if effect.startswith("submit") else "",
        "told": "",
        "phase_before": "PLACE_BUY",
        "phase_after": "PLACE_BUY",
        "rows": (),
        "became": "",
        "orders": "",
    }
    return TraceStep(kind=kind, event=event, effect=effect, **(values | other))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def machines() -> dict[str, Machine]:
    return {machine.spec.machine: machine for machine in _sound([SPECS])[0]}


@pytest.fixture
def told(machines: dict[str, Machine]) -> Callable[..., list[Happening]]:
    def tell(*steps: TraceStep) -> list[Happening]:
        return happenings(machines["trading"], machines["venue"].spec, steps)

    return tell


@pytest.fixture(scope="module")
def late_fill(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    folder = tmp_path_factory.mktemp("late_fill")
    for path in SPECS.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(text.replace(*LATE_FILL), encoding="utf-8")
    ((broken,),) = (result.broken for result in verify(folder, ["trading"], 2))
    return broken


def drawn(machines: dict[str, Machine], broken: Broken, name: str = "trading") -> ET.Element:
    shown = happenings(machines[name], machines["venue"].spec, broken.steps)
    return ET.fromstring(sequence(machines[name], shown, broken.steps[0].phase_before, broken.loss, broken.ending))


def test_every_step_of_a_story_is_drawn_in_order(machines: dict[str, Machine], late_fill: Broken) -> None:
    root = drawn(machines, late_fill)
    text = [" ".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    numbers = [int(one) for one in text if one.isdigit()]
    assert numbers == list(range(1, len(late_fill.steps) + 1))
    heights = [float(circle.get("cy", "")) for circle in root.iter(f"{SVG}circle")]
    assert heights == sorted(heights)
    phases = ["".join(one.itertext()) for one in root.iter(f"{SVG}g") if one.get("class") == "phase"]
    entered = [one.phase_after for one in late_fill.steps if one.phase_after != one.phase_before]
    assert [phase.strip() for phase in phases] == [late_fill.steps[0].phase_before, *entered]
    (loss,) = (one for one in root.iter(f"{SVG}g") if one.get("class") == "loss")
    assert late_fill.loss in " ".join(loss.itertext())
    assert any("ignored: Too late." in one for one in text)


def test_nothing_is_out_of_the_picture(machines: dict[str, Machine], late_fill: Broken) -> None:
    root = drawn(machines, late_fill)
    assert int(root.get("width", "")) <= WIDTH <= 900
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    boxes = [
        tuple(float(box.get(name, "")) for name in ("x", "y", "width", "height"))
        for box in root.iter(f"{SVG}rect")
        if box.get("class", "").startswith("box")
    ]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    apart = sorted(boxes, key=lambda box: box[1])
    for number, (x, y, w, _) in enumerate(apart):
        for other_x, other_y, other_w, other_h in apart[:number]:
            beside = x >= other_x + other_w or other_x >= x + w
            assert beside or y >= other_y + other_h, "two boxes overlap"


def test_a_request_and_its_answer_go_between_machine_and_venue(told: Callable[..., list[Happening]]) -> None:
    asked, answered = told(
        step("request", effect="submit_buy", told="accepted"),
        step("answer", "BUY_ORDER_PLACED", "submit_buy", told="accepted", phase_after="WAIT_FILL"),
    )
    assert (asked.tail, asked.head, asked.lost) == (Lane.BOT, Lane.VENUE, False)
    assert (answered.tail, answered.head, answered.title) == (Lane.VENUE, Lane.BOT, "BUY_ORDER_PLACED")
    assert answered.phase == "WAIT_FILL"


def test_a_crash_breaks_the_line_and_loses_the_answer_under_way(
    machines: dict[str, Machine], told: Callable[..., list[Happening]]
) -> None:
    _, lost, crash = told(step("request", effect="submit_buy", told="accepted"), step("crash"))
    assert (lost.tail, lost.head, lost.lost, lost.step, lost.first) == (Lane.VENUE, Lane.BOT, True, 2, True)
    assert (crash.shape, crash.title, crash.first) == ("break", "crash, restart", False)
    root = ET.fromstring(sequence(machines["trading"], [lost, crash], "PLACE_BUY", "Gone."))
    assert len([one for one in root.iter(f"{SVG}path") if one.get("class") == "break"]) == 2
    assert len([one for one in root.iter(f"{SVG}path") if one.get("class") == "cross"]) == 1
    # Between the two ragged edges nothing of the machine is alive.
    (box,) = (one for one in root.iter(f"{SVG}rect") if "crash" in one.get("class", ""))
    middle = float(box.get("y", "")) + float(box.get("height", "")) / 2
    centre = float(box.get("x", "")) + float(box.get("width", "")) / 2
    pieces = [
        one for one in root.iter(f"{SVG}line") if one.get("class") == "lane" and float(one.get("x1", "")) == centre
    ]
    assert len(pieces) == 2
    assert not any(float(one.get("y1", "")) < middle < float(one.get("y2", "")) for one in pieces)


def test_what_is_lost_is_the_answer_if_there_was_one_else_the_request(told: Callable[..., list[Happening]]) -> None:
    unknown = step("unknown", "ORDER_OUTCOME_UNKNOWN", "submit_buy", phase_after="BUY_UNKNOWN")
    _, lost, note = told(step("request", effect="submit_buy", told="accepted"), unknown)
    assert (lost.tail, lost.head, lost.lost) == (Lane.VENUE, Lane.BOT, True)
    assert (note.shape, note.phase) == ("note", "BUY_UNKNOWN")
    lost, _ = told(unknown)
    assert (lost.tail, lost.head, lost.lost) == (Lane.BOT, Lane.VENUE, True)


def test_a_row_to_its_own_phase_shows_the_phase_anew(told: Callable[..., list[Happening]]) -> None:
    where = {"phase_before": "BUY_UNKNOWN", "phase_after": "BUY_UNKNOWN"}
    (again,) = told(step("timer", "RESOLVE_DUE", rows=(Row("BUY_UNKNOWN/RESOLVE_DUE/1", "trading.yaml", 1),), **where))
    assert again.phase == "BUY_UNKNOWN"
    row = Row("RECOVERING/BUY_ORDER_PARTIAL/1", "trading.yaml", 1)
    (within,) = told(step("report", "BUY_ORDER_PARTIAL", rows=(row,), **where))
    assert within.phase == ""


def test_hostile_texts_stay_texts(machines: dict[str, Machine], told: Callable[..., list[Happening]]) -> None:
    shown = told(step("outside", "WARMUP_COMPLETED", became="ignored: <b>&\"';#\u0007</b>"))
    svg = sequence(machines["trading"], shown, "WARMUP", "</svg><script>alert(1)</script>" * 9)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "<b>&" in "".join(root.itertext())
    text = mermaid_sequence(machines["trading"], shown, "WARMUP", "a; b #c")
    assert ";" not in text
    assert "#" not in text


def test_mermaid_tells_the_same_steps(machines: dict[str, Machine], late_fill: Broken) -> None:
    shown = happenings(machines["trading"], machines["venue"].spec, late_fill.steps)
    text = mermaid_sequence(machines["trading"], shown, "WARMUP", late_fill.loss)
    assert text.startswith("sequenceDiagram\n")
    for number in range(1, len(late_fill.steps) + 1):
        assert f": {number}. " in text
    assert "bot->>venue: 4. submit_buy" in text


def test_the_edges_that_stand_out_are_those_that_were_taken(machines: dict[str, Machine], late_fill: Broken) -> None:
    svg = machine_svg(machines["trading"], "").partition("?>")[2]
    root = ET.fromstring(path_on_map(machines["trading"], svg, late_fill.steps))
    rows = {row.id for one in late_fill.steps for row in one.rows}
    edges = [one for one in root.iter(f"{SVG}g") if one.get("class", "").startswith("edge")]
    taken = [one for one in edges if "taken" in one.get("class", "").split()]
    assert {id(one) for one in edges if rows & set(one.get("data-branches", "").split())} == {id(one) for one in taken}
    assert all(one.get("opacity") for one in edges if one not in taken)
    badges = [int("".join(one.itertext())) for one in root.iter(f"{SVG}g") if one.get("class") == "badge"]
    assert sorted(badges) == [n for n, one in enumerate(late_fill.steps, 1) if one.phase_before != one.phase_after]
    flags = ["".join(one.itertext()) for one in root.iter(f"{SVG}g") if one.get("class") == "flag"]
    assert flags == ["start", "end"]


def test_a_machine_without_a_venue_has_two_lines(machines: dict[str, Machine]) -> None:
    walk = step("outside", "BUTTON", phase_before="GO", phase_after="SLOW")
    shown = [Happening(1, "arrow", Lane.OUTSIDE, Lane.BOT, walk.event, "Pressed.", first=True)]
    root = ET.fromstring(sequence(machines["crossing"], shown, "CARS_GO", "A car hits somebody."))
    heads = ["".join(one.itertext()).strip() for one in root.iter(f"{SVG}g") if one.get("class") == "head"]
    assert heads == ["outside", "crossing"]
