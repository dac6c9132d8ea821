"""The bot against an adversarial exchange, in one process and virtual time: thousands of schedules of crashes, lost
replies, late bytes and wrong clocks, each decided by its seed.

`make simulate-faults` plays as many as it is told, and says what they held. A seed that breaks something is printed
with the command that tells its story.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest
from hazards import FAULTS
from protocol_mutants import MUTANTS
from simulate import caught, play_share, replay
from simulated_run import BotProcess, Protocol, play, uncollected
from simulated_whole_bot import WholeBotProcess

from engine.exchange.gateway import OrderStatus

SEEDS = 20_000
CHUNKS = 40
WITHIN = 1_000
"""The seeds among which every mutant must be caught."""

WHOLE_SEEDS = 80


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_bought_twice_lost_or_forgotten(chunk: int) -> None:
    each = SEEDS // CHUNKS
    tally = play_share((1 + chunk * each, each, BotProcess))
    assert not tally.broken, "\n".join(tally.broken)
    assert tally.lifecycles > each, "hardly anything was traded: the runs show nothing"
    assert not set(FAULTS) - set(tally.faults), "a kind of fault did not happen"
    assert {"BUY_UNKNOWN", "SELL_UNKNOWN", "CANCEL_BUY", "CANCEL_SELL", "DUST", "ERROR", "RECOVERING"} <= tally.phases


@pytest.mark.parametrize("chunk", range(2))
def test_nor_by_the_whole_bot_with_its_feed_and_its_reconciliation(chunk: int) -> None:
    each = WHOLE_SEEDS // 2
    tally = play_share((1 + chunk * each, each, WholeBotProcess))
    assert not tally.broken, "\n".join(tally.broken)


def test_nothing_of_a_bot_that_was_killed_waits_for_the_collector_of_garbage() -> None:
    """Which would end it whenever it likes, and complain of each coroutine whose `finally` waits."""
    with uncollected():
        before = len(_waiting())
        lives = sum(play(seed, process=WholeBotProcess).lives for seed in range(1, 6))
        assert lives > 10
        assert len(_waiting()) == before


def _waiting() -> list[CoroutineType[Any, Any, Any]]:
    return [one for one in gc.get_objects() if isinstance(one, CoroutineType) and one.cr_frame is not None]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_protocol_is_caught(name: str) -> None:
    with uncollected():
        found = caught(name, WITHIN)
    assert found is not None, f"'{name}' went unnoticed through {WITHIN} seeds"
    print(f"'{name}' is caught at seed {found[0]}: {found[1]}\n{replay(found[0], name)}")


def test_an_order_that_is_rejected_after_it_was_accepted_only_ends() -> None:
    """It was taken for a refusal of the request. The acceptance that came after it contradicted that, and a cancel that
    found it had no outcome for it; both stopped the symbol."""
    rejected = 0
    for seed in range(1, 25):
        run = play(seed, Protocol(hazards={"rejected_later": 0.5, "report_lost": 0.3, "reply_late": 0.3}))
        assert not run.broken, f"seed {seed}: {run.broken[:5]}"
        rejected += sum(order.final is OrderStatus.REJECTED for order in run.exchange.orders)
    assert rejected > 10


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    stories = (play(seed, keep_timeline=True) for seed in range(1, 100))
    here = next(run for run in stories if run.lives > 3 and run.lifecycles > 3)
    assert play(here.seed, keep_timeline=True).digest() == here.digest()
    told = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("simulate.py")), "--seed", str(here.seed)],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert here.digest() in told.stdout
