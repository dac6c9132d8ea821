"""Which order a path means: the present one of its side, the one before, or one that is long over."""

from __future__ import annotations

from collections.abc import Mapping

from engine.rehearsal.trace import After
from generated.trading import DEFINITION, OrderContext
from runtime.definition import EffectClass

FILLS = {"none": 0, "some": 1, "all": 2}


class FollowedOrders:
    """The client order ids of the orders that the checker follows; kept as the checker does when an order gives way."""

    def __init__(self) -> None:
        self.sides: dict[str, str] = {}
        """The side of every order of ours that there ever was."""
        self.names: dict[tuple[str, str], str] = {}
        """By side and word, `present` or `previous`."""
        self.finished: dict[str, str] = {}
        """By side, one that is no longer followed."""

    def name(self, side: str, which: str) -> str | None:
        """The order that is meant; None when there is none."""
        return self.finished.get(side) if which == "finished" else self.names.get((side, which))

    def step(self, orders: Mapping[str, OrderContext | None], before: After, after: After) -> None:
        """Take over the machine's `orders` after a step."""
        for side, order in orders.items():
            now = "" if order is None else order.client_order_id
            if now:
                self.sides.setdefault(now, side)
            if now != self.names.get((side, "present"), ""):
                self._replace(side, now, before)
            if after.order(side, "previous") is None and (earlier := self.names.pop((side, "previous"), "")):
                self.finished[side] = earlier

    def _replace(self, side: str, now: str, before: After) -> None:
        was, earlier = (self.names.get((side, which), "") for which in ("present", "previous"))
        if was and (not earlier or _is_kept(side, before)):
            if earlier:
                self.finished[side] = earlier
            self.names[side, "previous"] = was
        elif was:
            self.finished[side] = was
        self.names.pop((side, "present"), None)
        if now:
            self.names[side, "present"] = now


def _is_kept(side: str, before: After) -> bool:
    """Whether the order that is replaced was not over yet."""
    order = before.order(side, "present")
    if order is None:
        return False
    creating = any(
        one.side == side and one.which == "present" and one.stage != "answered"
        for one in before.pending
        if DEFINITION.effects[one.effect].effect_class is EffectClass.AT_MOST_ONCE
    )
    return creating or order.phase in ("HIDDEN", "OPEN") or FILLS[order.fills] > FILLS[order.booked]
