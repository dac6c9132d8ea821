"""The walk through a machine: choices by number, the way back, a trace of it, and what is said of a wrong word."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from phasewright_process import phasewright
from rich.console import Console

from codegen import commands
from codegen.verify.walk import Walk
from codegen.walking import Walking

SPECS = Path(__file__).parents[2] / "spec"

Steps = list[str]
TO_POSITION = [
    "WARMUP_COMPLETED comes",
    "SLOT_AVAILABLE comes",
    "arrives as SIGNAL_DETECTED.*-> PLACE_BUY",
    "submit_buy .* reaches the venue, whose answer `accepted`.*OPEN",
    "arrives as BUY_ORDER_PLACED.*-> WAIT_FILL",
    "All that was left of the order is filled",
    "reports of the present .*-> POSITION",
]


def words(walk: Walk) -> list[str]:
    return [f"{one.told.words} {one.told.orders} -> {one.told.phase_after}" for one in walk.choices()[0]]


def numbers(walk: Walk, *ways: str) -> list[str]:
    """What to type to go these ways; the walk is left where it was."""
    typed = []
    for way in ways:
        found = [n for n, text in enumerate(words(walk)) if re.search(way, text)]
        assert found, (way, words(walk))
        typed.append(str(found[0] + 1))
        walk.take(walk.choices()[0][found[0]])
    for _ in ways:
        assert walk.back()
    return typed


@pytest.fixture
def trading() -> Walk:
    return commands.walk(SPECS, "trading", 2)


@pytest.fixture
def said() -> Callable[..., str]:
    """What a terminal of 80 columns shows when these lines are typed."""

    def run(walk: Walk, *lines: str, height: int | None = None) -> str:
        out = io.StringIO()
        console = Console(file=out, width=80, height=height, force_terminal=height is not None, color_system=None)
        Walking(walk, console, io.StringIO("".join(f"{line}\n" for line in lines))).run()
        # A path is one word, to be copied.
        assert not [line for line in out.getvalue().splitlines() if len(line) > 80 and "/" not in line]
        return out.getvalue()

    return run


def test_a_walk_to_a_position_by_numbers_piped_in(trading: Walk, tmp_path: Path) -> None:
    import subprocess
    import sys

    typed = numbers(trading, *TO_POSITION)
    done = subprocess.run(
        [sys.executable, "-m", "phasewright", "simulate", "trading", "--spec", SPECS, "--requests", "2"],
        input="\n".join([*typed, "s walk.json", ""]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "trading, step 7" in done.stdout
    last = done.stdout.rpartition("trading, step 7")[2]
    assert "\nPOSITION  " in last
    assert "holding some" in last
    assert "timer     POSITION_TIMEOUT after 14d" in last
    trace = json.loads((tmp_path / "walk.json").read_text())
    assert (trace["trace"], trace["machine"], trace["claim"]) == (1, "trading", None)
    assert len(trace["steps"]) == 7
    assert trace["steps"][-1]["after"]["phase"] == "POSITION"


def test_a_choice_says_what_it_would_do(trading: Walk, said: Callable[..., str]) -> None:
    told = " ".join(said(trading, *numbers(trading, *TO_POSITION[:2])).split())
    assert "arrives as SIGNAL_DETECTED: The strategy wants to buy. -> PLACE_BUY; if " in told
    assert "asks submit_buy; entry order not there yet; ENTRY_EVAL/SIGNAL_DETECTED/1 (" in told
    assert "requests evaluate_entry: on its way" in told
    assert "requests and answers" in told
    assert "without effect: WARMUP_COMPLETED, SLOT_AVAILABLE" in told


def test_back_leads_to_where_the_walk_was(trading: Walk, said: Callable[..., str]) -> None:
    before = words(trading)
    told = said(trading, *numbers(trading, *TO_POSITION[:2]), "b", "b", "b")
    assert "This is the beginning" in told
    assert trading.steps == 0
    assert words(trading) == before


def test_wrong_words_change_nothing(trading: Walk, said: Callable[..., str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text("[1, 2]")
    told = said(trading, "0", "99", "-1", "x\x1b[2J", "s", f"s {tmp_path}/no/where.json", f"s {mine}", "/nonsense", "?")
    told = " ".join(told.split())
    assert told.count("There is no choice") == 2
    assert told.count("is neither a number nor a command") == 2
    assert "\x1b[2J" not in told
    assert "Name the file" in told
    assert "cannot be written" in told
    assert "holds no trace; it stays as it is" in told
    assert "No choice speaks of `nonsense`" in told
    assert "back by one step" in told
    assert mine.read_text() == "[1, 2]"
    assert trading.steps == 0


def test_a_screen_at_a_time_and_only_what_is_asked_for(trading: Walk, said: Callable[..., str]) -> None:
    way = numbers(trading, *TO_POSITION[:4])
    first = said(trading, *way, height=24).rpartition("trading, step 4")[2]
    assert re.search(r"m: \d+ more", first)
    assert len(first.splitlines()) <= 24
    for _ in range(4):
        trading.back()
    every = said(trading, *way, *["m"] * 9, height=24).rpartition("trading, step 4")[2]
    shown = [int(number) for number in re.findall(r"^ *(\d+)  ", every, re.MULTILINE)]
    assert set(shown) == set(range(1, len(trading.choices()[0]) + 1))
    only = said(trading, "/crash").rpartition("\nnumber, b back")[0].rpartition("number, b back")[2]
    assert len(re.findall(r"^ *(\d+)  ", only, re.MULTILINE)) == 1


def test_ways_to_the_same_are_one_choice(trading: Walk) -> None:
    for way in (0, 0, 0, 1, 0):
        choices, idle = trading.choices()
        shown = [(one.step.kind, one.step.event, one.step.effect, one.after) for one in choices]
        assert len(set(shown)) == len(shown)
        assert all(one.after != trading._state for one in choices)
        assert len(set(idle)) == len(idle)
        trading.take(choices[way])


def test_a_broken_claim_is_said_before_and_after(tmp_path: Path, said: Callable[..., str]) -> None:
    for path in SPECS.glob("*.yaml"):
        text = path.read_text()
        if path.stem == "trading":
            old = "BUY_ORDER_TIMEOUT: {to: CANCEL_BUY}"
            assert text.count(old) == 1
            text = text.replace(old, "BUY_ORDER_TIMEOUT: {to: IDLE, do: [release_reservation]}")
        (tmp_path / path.name).write_text(text)
    walk = commands.walk(tmp_path, "trading", 2)
    way = numbers(walk, *TO_POSITION[:5], "fires BUY_ORDER_TIMEOUT.*-> IDLE")
    told = " ".join(said(walk, *way, f"s {tmp_path}/walk.json").split())
    before, _, after = told.rpartition("trading, step 6")
    assert "breaks no_forgotten_buy_order: A buy order is live" in before
    assert "BROKEN: no_forgotten_buy_order. A buy order is live" in after
    trace = json.loads((tmp_path / "walk.json").read_text())
    assert trace["claim"] == "no_forgotten_buy_order"
    assert trace["loss"].startswith("A buy order is live")


def test_other_machines_and_one_that_is_not_there(tmp_path: Path, said: Callable[..., str]) -> None:
    crossing = commands.walk(SPECS, "crossing")
    assert "crossing, step 1" in said(crossing, "1", "q", "1")
    assert crossing.steps == 1
    done = phasewright("simulate", "lift", "--spec", SPECS, cwd=tmp_path)
    assert done.status == 1
    assert "there is no machine `lift`" in done.err
