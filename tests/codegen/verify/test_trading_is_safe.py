"""The project's own machines hold what they claim; each way to lose money that is written into them is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen.verify.result import Verified

Verify = Callable[..., Verified]
GENERATED = Path(__file__).parents[3] / "generated"

# Two requests at once are enough for every loss below, and take a quarter of the time of three.
FEW = 2

EDITS = {
    "a timeout that goes to IDLE without a cancel": (
        (("BUY_ORDER_TIMEOUT: {to: CANCEL_BUY}", "BUY_ORDER_TIMEOUT: {to: IDLE, do: [release_reservation]}"),),
        "no_forgotten_buy_order",
        "A buy order is live and nobody looks after it",
    ),
    "a cancel that ignores a late fill": (
        (
            (
                "      BUY_ORDER_PARTIAL: *entry_partial\n      BUY_ORDER_FILLED: *entry_filled\n",
                "      BUY_ORDER_PARTIAL: {ignore: Too late.}\n      BUY_ORDER_FILLED: {ignore: Too late.}\n",
            ),
        ),
        "no_fill_let_go",
        "The exchange reports a fill that is not in the books",
    ),
    "an unknown outcome sent to IDLE": (
        (
            (
                "        - {if: entry_order_event, to: BUY_UNKNOWN, do: [mark_entry_unknown]}\n        - otherwise\n"
                "      PLACEMENT_TIMEOUT",
                "        - {if: entry_order_event, to: IDLE, do: [release_reservation]}\n        - otherwise\n"
                "      PLACEMENT_TIMEOUT",
            ),
        ),
        "no_forgotten_buy_order",
        "A buy order is live and nobody looks after it",
    ),
    "a retry of submit_buy on an unknown outcome": (
        (
            (
                "        - {if: entry_order_event, to: BUY_UNKNOWN, do: [mark_entry_unknown]}\n        - otherwise\n"
                "      PLACEMENT_TIMEOUT",
                "        - {if: entry_order_event, to: PLACE_BUY, do: [mark_entry_unknown]}\n        - otherwise\n"
                "      PLACEMENT_TIMEOUT",
            ),
        ),
        "bought_once",
        "One buy order was sent twice and filled twice",
    ),
    "a recovery that resets to IDLE without asking the exchange": (
        (
            ("    entry: {request: [reconcile]}\n", ""),
            ("RECOVERY_TIMEOUT: {to: ERROR}", "RECOVERY_TIMEOUT: {to: IDLE, do: [release_reservation]}"),
        ),
        "no_forgotten_buy_order",
        "A buy order is live and nobody looks after it",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_dangerous_edit_gives_a_story_of_the_loss(verified: Verify, edit: str) -> None:
    changes, claim, loss = EDITS[edit]
    result = verified("trading", *changes, under_way=FEW)
    broken = {one.name: one for one in result.broken}
    assert claim in broken
    story = broken[claim]
    assert story.loss.startswith(loss)
    assert story.steps[0].phase_before == "WARMUP"
    assert all(one.phase_after == other.phase_before for one, other in zip(story.steps, story.steps[1:], strict=False))
    assert {row.file.rsplit("/", 1)[1] for step in story.steps for row in step.rows} == {"trading.yaml"}


def test_trading_holds_against_the_venue_and_its_paths_are_what_is_generated(verified: Verify, tmp_path: Path) -> None:
    result = verified("trading", out_dir=tmp_path / "out")
    assert result.broken == ()
    assert result.complete
    assert result.states > 50_000
    assert result.seconds < 60
    assert "no_fill_let_go" in result.claims
    assert result.good
    found, generated = (
        json.loads((folder / "trading" / "paths.json").read_text(encoding="utf-8"))
        for folder in (tmp_path / "out", GENERATED)
    )
    assert found["coverage"] == generated["coverage"]
    assert found["paths"] == generated["paths"], "run `make verify`; if that changes nothing, it depends on chance"
    print(f"{result.states:,} states in {result.seconds:.1f} s")


def test_the_other_machines_hold(verified: Verify) -> None:
    for machine in ("crossing", "venue"):
        assert verified(machine).holds
