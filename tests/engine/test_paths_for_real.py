"""What the checker believes of the bot, held against the bot: generated paths and random walks through the checker's
world, each step played with the real code, database, ledger and paper exchange."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from full_paths import as_trace, checker, completed, generated_paths

from codegen.verify.replay import free_guards
from engine.rehearsal.rehearsal import WITHDRAWN, Rehearsal, Stage
from engine.rehearsal.trace import Trace

NOT_PLAYED: dict[int, str] = {}
"""Paths that no real exchange and no arithmetic provokes, by number, each with the reason."""
WALKS, LENGTH = 24, 40
HOPELESS = ("ERROR", "RECOVERING")
OFTEN = {"answer": 8.0, "request": 6.0, "outside": 4.0, "venue": 3.0, "timer": 2.0, "report": 2.0}


@cache
def stage() -> Stage:
    return Stage(free_guards(checker().spec))


def differences(trace: Trace, folder: Path, *, in_file: bool = False) -> list[str]:
    folder.mkdir()
    outcome = Rehearsal(trace, folder, stage(), in_file=in_file).play()
    return [str(one) for one in outcome.divergences]


def test_every_generated_path_happens_as_told(tmp_path: Path) -> None:
    played = 0
    for path in generated_paths():
        if path["path"] in NOT_PLAYED:
            continue
        trace = completed(path)
        assert trace is not None, f"path {path['path']} is not one of the checker's"
        assert differences(trace, tmp_path / str(path["path"])) == [], f"path {path['path']}"
        played += 1
    assert played + len(NOT_PLAYED) == len(generated_paths())
    assert played > 100


def test_random_walks_happen_as_told(tmp_path: Path) -> None:
    """But for what a restart no longer sends again once the phase that asked for it was left: the checker lets it."""
    withdrawn, steps = 0, 0
    for number in range(WALKS):
        trace = walk(random.Random(number), LENGTH)
        found = differences(trace, tmp_path / str(number), in_file=number % 4 == 0)
        if found and WITHDRAWN in found[0]:
            withdrawn += 1
        else:
            assert found == [], f"walk {number}"
        steps += len(trace.steps)
    assert withdrawn <= WALKS / 8
    assert steps == WALKS * LENGTH


def walk(chance: random.Random, length: int) -> Trace:
    """Steps at random, but seldom into an error, and rather such as change something."""
    _, world, tracer = checker(every_step=True)
    state, steps = world.initial, []
    phases = world.machine.phases
    for _ in range(length):
        choices = [(step, after) for step, after, _ in world.in_every_way().next(state)]
        kinds = [step.kind for step, _ in choices]
        weights = [
            OFTEN.get(step.kind, 1.0)
            / kinds.count(step.kind)
            * (0.02 if phases[after.inner.phase] in HOPELESS else 1)
            * (0.1 if after == state else 1)
            for step, after in choices
        ]
        ((step, state),) = chance.choices(choices, weights)
        steps.append(tracer.step(step, state))
    return as_trace(steps)


@pytest.mark.parametrize("defect", ["a report books nothing", "a late report reopens a trade", "any order will do"])
def test_a_defect_of_the_bot_is_seen(defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.actions import TradingActions
    from engine.guards import TradingGuards

    if defect == "a report books nothing":
        monkeypatch.setattr(TradingActions, "book_fills", lambda self, data, event, ctx: None)
    elif defect == "any order will do":
        monkeypatch.setattr(TradingGuards, "entry_order_event", lambda self, data, event, ctx: True)
    else:
        plain = TradingActions._book

        def reopens(self, data, side, client_order_id, fill, ctx):  # type: ignore[no-untyped-def]
            plain(self, data, side, client_order_id, fill, ctx)
            data.opened_at = data.opened_at or fill.at

        monkeypatch.setattr(TradingActions, "_book", reopens)
    stage.cache_clear()
    try:
        assert any(
            differences(trace, tmp_path / str(path["path"]))
            for path in generated_paths()
            if (trace := completed(path)) is not None
        )
    finally:
        stage.cache_clear()
