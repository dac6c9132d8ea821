"""Mistakes in the trading machine that would lose money or double an order, each caught by the claim that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.loading import Loaded, load
from codegen.mutation.judge import Judge, verdict
from codegen.mutation.mutants import Mutant, mutants
from codegen.mutation.operators import OPERATORS

SPECS = Path(__file__).parents[3] / "spec"

DANGEROUS = {
    "class-weakened effects.submit_sell": "no_forgotten_sell_order",
    "answer-presumed WAIT_FILL/BUY_ORDER_TIMEOUT/1 COOLDOWN": "no_forgotten_buy_order",
    "row-retargeted BUY_UNKNOWN/RESOLVE_DUE/1 IDLE": "no_forgotten_reservation",
    "action-dropped WAIT_FILL/BUY_ORDER_FILLED/1 book_fills": "every_fill_booked",
}


@pytest.fixture(scope="module")
def trading() -> Loaded:
    return load(SPECS / "trading.yaml")


def mutant(trading: Loaded, key: str) -> Mutant:
    """Made by its operator alone: all of them take a while."""
    operator = next(one for one in OPERATORS if one.id == key.split()[0])
    return next(one for one in mutants(trading, [operator]) if one.key == key)


@pytest.mark.parametrize("key", DANGEROUS)
def test_the_checker_catches_it(trading: Loaded, key: str) -> None:
    made = mutant(trading, key)
    assert trading.spec is not None
    judge = Judge(trading.spec, load(SPECS / "venue.yaml").spec, None, requests=1)
    found = verdict(judge.judge(made, {}))
    assert made.danger
    assert found.stage == "verify"
    assert found.by == DANGEROUS[key]
