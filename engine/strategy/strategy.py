"""What the engine asks of a strategy. A strategy decides from bars alone; it knows no orders and no exchange.

One instance serves one symbol. It keeps nothing on disk: after a restart it is fed the bars again and must then answer
as before. Prices are in quote currency, instants in milliseconds since the epoch (UTC).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from engine.market_data.candles import Candle


class ExitReason(StrEnum):
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    POSITION_TIMEOUT = "position_timeout"


class EntrySignal(msgspec.Struct, frozen=True):
    """Buy at `limit_price` or better. `reason` is for people."""

    limit_price: Decimal
    reason: str


class ExitSignal(msgspec.Struct, frozen=True):
    """Sell the whole position. `limit_price` is the latest close, `detail` is for people."""

    reason: ExitReason
    limit_price: Decimal
    detail: str


class PositionView(msgspec.Struct, frozen=True):
    """A position as a strategy sees it: average entry price, quantity in base currency, opened when, and now."""

    entry_price: Decimal
    qty: Decimal
    opened_at: int
    now: int


class Strategy(Protocol):
    """When to buy and when to sell one symbol.

    `entry` depends on the last `warm_up` bars only, `exit` on the position and the bars that closed after it was
    opened: to rebuild the state, feed both.
    """

    name: str
    warm_up: int
    """How many bars must have been observed before `entry` can answer."""

    @property
    def ready(self) -> bool:
        """Whether `warm_up` bars have been observed."""
        ...

    def observe(self, candle: Candle) -> None:
        """Take the next complete bar, as long as the ones before.

        Raises:
            ValueError: it is not newer than the last one.
        """
        ...

    def entry(self) -> EntrySignal | None:
        """Whether to buy on the latest bar."""
        ...

    def exit(self, position: PositionView) -> ExitSignal | None:
        """Whether to sell on the latest bar, or because of the hour."""
        ...

    def explain(self, position: PositionView | None) -> str:
        """What the latest bar shows, what would have to be seen to act, and what follows. For people, also where
        `exit`, or without a position `entry`, answers None."""
        ...
