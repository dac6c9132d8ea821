"""Each operator makes the mistakes that it says, each once, and names the place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codegen.loading import Loaded
from codegen.mutation.campaign import sampled
from codegen.mutation.mutants import mutants
from codegen.mutation.operators import OPERATORS

EXPECTED = {
    "timeout-dropped": ["RISING/timeout"],
    "timeout-raises-another": [],
    "timeout-lost-by-restart": ["RISING/timeout"],
    "row-retargeted": [
        "BELOW/CALLED/1 BELOW",
        "BELOW/CALLED/1 ABOVE",
        "RISING/ARRIVED/1 BELOW",
        "RISING/ARRIVED/1 RISING",
        "ABOVE/FAILED/1 ABOVE",
        "ABOVE/FAILED/1 RISING",
        "BELOW/CALLED/1 alone BELOW",
        "BELOW/CALLED/1 alone ABOVE",
        "ABOVE/CALLED/1 alone BELOW",
        "ABOVE/CALLED/1 alone ABOVE",
    ],
    "answer-presumed": [],
    "row-made-internal": ["BELOW/CALLED/1", "RISING/ARRIVED/1", "ABOVE/FAILED/1"],
    "guard-dropped": ["BELOW/CALLED/1 loaded"],
    "guard-negated": ["BELOW/CALLED/1 loaded"],
    "branches-swapped": [],
    # Without its only branch the cell would be its `otherwise`, as if it were not there; that is made below.
    "branch-dropped": ["BELOW/CALLED otherwise"],
    "cell-dropped": [
        "otherwise/ARRIVED",
        "otherwise/FAILED",
        "RISING/ARRIVED",
        "ABOVE/FAILED",
        "BELOW/CALLED alone",
        "ABOVE/CALLED alone",
    ],
    # Of the others the event's own `otherwise` is to ignore it, so to ignore them is to drop them.
    "cell-ignored": ["RISING/ARRIVED"],
    "action-dropped": ["RISING/ARRIVED/1 ring"],
    "request-dropped": [],
    "raise-dropped": [],
    "deferral-dropped": ["RISING/CALLED", "RISING/CALLED reject"],
    "reject-to-ignore": ["otherwise/ARRIVED"],
    # To reject CALLED is what the branches that fall back on it do without their `otherwise`.
    "ignore-to-reject": ["otherwise/FAILED"],
    "class-weakened": [],
    "after-dropped": [],
    "outcome-remapped": [],
}


def made(loaded: Loaded, operator: str) -> list[str]:
    return [one.key.removeprefix(f"{operator} ") for one in mutants(loaded) if one.operator == operator]


@pytest.mark.parametrize("operator", [one.id for one in OPERATORS])
def test_an_operator_makes_exactly_its_mistakes(lift: Loaded, operator: str) -> None:
    assert made(lift, operator) == EXPECTED[operator]


def test_a_mutant_says_where_and_what(lift: Loaded) -> None:
    found = {one.key: one for one in mutants(lift)}
    mutant = found["row-retargeted RISING/ARRIVED/1 BELOW"]
    assert mutant.words == "RISING/ARRIVED/1: leads to BELOW instead of ABOVE"
    line = lift.lines[mutant.line - 1]
    assert line[mutant.column - 1 :] == "{to: ABOVE, do: [ring]}"
    assert mutant.spec.phases["RISING"].on["ARRIVED"].branches[0].to == "BELOW"


def test_what_is_written_once_changes_wherever_it_is_used(lift: Loaded) -> None:
    found = {one.key: one for one in mutants(lift)}

    def targets(key: str) -> list[str | None]:
        phases = found[key].spec.phases
        return [phases[name].on["CALLED"].branches[0].to for name in ("BELOW", "ABOVE")]

    assert targets("row-retargeted BELOW/CALLED/1 ABOVE") == ["ABOVE", "ABOVE"]
    assert targets("row-retargeted BELOW/CALLED/1 alone ABOVE") == ["ABOVE", "RISING"]
    assert targets("row-retargeted ABOVE/CALLED/1 alone ABOVE") == ["RISING", "ABOVE"]
    use = found["row-retargeted ABOVE/CALLED/1 alone ABOVE"]
    assert lift.lines[use.line - 1].strip() == "CALLED: *call"


def test_the_original_is_left_as_it_was(lift: Loaded) -> None:
    before = repr(lift.document and lift.document.data)
    for mutant in mutants(lift):
        assert mutant.loaded.document is not lift.document
    assert repr(lift.document and lift.document.data) == before


def test_effects_lose_their_safety_and_their_answers(shop: Callable[[], tuple[Loaded, Loaded]]) -> None:
    bot, _ = shop()
    assert made(bot, "class-weakened") == ["effects.send"]
    assert made(bot, "after-dropped") == ["effects.ask send"]
    assert made(bot, "outcome-remapped") == [
        "effects.send accepted LOST",
        "effects.send unknown PLACED",
        "effects.ask open DONE",
        "effects.ask over PLACED",
        "effects.ask absent PLACED",
    ]


def test_dangerous_is_what_touches_an_order(shop: Callable[[], tuple[Loaded, Loaded]]) -> None:
    bot, _ = shop()
    danger = {one.key: one.danger for one in mutants(bot)}
    assert danger["class-weakened effects.send"] == "a request about an order"
    assert danger["request-dropped OPEN/entry ask"] == "a request about an order"
    assert danger["row-retargeted SENDING/PLACED/1 IDLE"] == "the news of an order"
    assert danger["row-retargeted SENDING/LATE/1 IDLE"] == "a phase that waits for an answer about an order"
    assert danger["reject-to-ignore otherwise/LATE"] == ""


def test_a_machine_without_orders_has_no_danger(lift: Loaded) -> None:
    assert not any(one.danger for one in mutants(lift))


def test_a_change_of_rows_that_nothing_provokes_is_no_change(lift: Loaded) -> None:
    provoked = {"BELOW/CALLED/1", "BELOW/CALLED/2", "ABOVE/CALLED/2", "RISING/ARRIVED/1"}
    unprovoked = {one.key: one.unprovoked for one in mutants(lift, provoked=provoked)}
    assert unprovoked["row-retargeted ABOVE/FAILED/1 RISING"]
    assert unprovoked["row-retargeted ABOVE/CALLED/1 alone BELOW"]
    assert not unprovoked["row-retargeted BELOW/CALLED/1 ABOVE"]  # one of its uses is provoked
    assert not unprovoked["action-dropped RISING/ARRIVED/1 ring"]
    # These decide which row is taken, or more than a row.
    assert not unprovoked["guard-negated BELOW/CALLED/1 loaded"]
    assert not unprovoked["cell-dropped ABOVE/FAILED"]
    assert not any(one.unprovoked for one in mutants(lift))


def test_a_sample_is_the_same_for_the_same_seed(lift: Loaded) -> None:
    every = tuple(mutants(lift))
    keys = [one.key for one in sampled(every, 9, 1)]
    assert keys == [one.key for one in sampled(every, 9, 1)]
    assert len(keys) == 9
    assert keys != [one.key for one in sampled(every, 9, 2)]
    assert keys == [one.key for one in every if one.key in keys]
    assert sampled(every, 1_000, 1) == every
