"""The job that every dispatcher is given: one trade of the trading machine's happy path, twelve events long, with the
same guard and the same action at every step."""

from __future__ import annotations

STEPS = (
    ("IDLE", "SLOT_AVAILABLE", "ENTRY_EVAL"),
    ("ENTRY_EVAL", "SIGNAL_DETECTED", "PLACE_BUY"),
    ("PLACE_BUY", "BUY_ORDER_PLACED", "WAIT_FILL"),
    ("WAIT_FILL", "BUY_ORDER_FILLED", "POSITION"),
    ("POSITION", "EXIT_CHECK_DUE", "EXIT_EVAL"),
    ("EXIT_EVAL", "NO_EXIT", "POSITION"),
    ("POSITION", "EXIT_CHECK_DUE", "EXIT_EVAL"),
    ("EXIT_EVAL", "TAKE_PROFIT_HIT", "PLACE_SELL"),
    ("PLACE_SELL", "SELL_ORDER_PLACED", "WAIT_SELL_FILL"),
    ("WAIT_SELL_FILL", "SELL_ORDER_FILLED", "POST_TRADE"),
    ("POST_TRADE", "TRADE_CLOSED", "COOLDOWN"),
    ("COOLDOWN", "COOLDOWN_OVER", "IDLE"),
)
"""Phase, event, next phase."""

INITIAL = STEPS[0][0]
EVENTS = tuple(event for _, event, _ in STEPS)
ROWS = tuple(dict.fromkeys(STEPS))
"""Each row of the table once; one of them is taken twice."""
PHASES = tuple(dict.fromkeys(phase for phase, _, _ in STEPS))

TIMED = ("ENTRY_EVAL", "PLACE_BUY", "WAIT_FILL", "POSITION", "EXIT_EVAL", "PLACE_SELL", "WAIT_SELL_FILL", "COOLDOWN")
"""The phases that have a timeout in the trading machine."""


class WentAstray(Exception):  # noqa: N818
    """A dispatcher did not do the job: its time says nothing."""


def check(who: str, phase: object, count: int | None, cycles: int) -> None:
    """Raise WentAstray unless `cycles` trades brought it back to the start, with every action carried out (None: it
    has none)."""
    wanted = None if count is None else cycles * len(STEPS)
    if phase != INITIAL or count != wanted:
        raise WentAstray(f"{who} is in {phase} after {count} actions, not in {INITIAL} after {wanted}")
