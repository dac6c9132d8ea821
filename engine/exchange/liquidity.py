"""How much the paper exchange lets us trade, and when a resting order's next fill comes.

A bar's volume is spread evenly over its time. The bar is cut into slices, and in each of them all our orders on the
symbol together may take `participation` of the slice's volume, in whole amount steps; the fraction of a step that a
slice leaves over counts towards the next one of the same bar. What was not taken in a slice is gone.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from engine.exchange.gateway import Side
from engine.exchange.price_path import PricePath

if TYPE_CHECKING:
    from engine.market_data.candles import Candle

NOTHING = Decimal(0)


class Slice(msgspec.Struct, frozen=True):
    """The part of a bar in which `instant` lies, up to but not including `ends_at`; `volume` in base currency."""

    ends_at: int
    volume: Decimal


class Liquidity:
    """What can be traded of one symbol: `participation` of the volume (0 to 1), slice by slice of `slice_ms`."""

    def __init__(self, path: PricePath, participation: Decimal, slice_ms: int, amount_step: Decimal) -> None:
        self._path = path
        self._steps = Fraction(participation) / Fraction(amount_step)
        self._slice_ms = slice_ms
        self._step = amount_step
        self.used_slice = 0
        self.used = NOTHING

    def left_at(self, bar: Candle, instant: int) -> tuple[Slice, Decimal]:
        """The slice of `instant`, and what is left of its volume."""
        begin = (instant - bar.opened_at) // self._slice_ms * self._slice_ms
        end = min(begin + self._slice_ms, bar.length)
        per_bar, parts = self._steps_of(bar)
        volume = (per_bar * end // (parts * bar.length) - per_bar * begin // (parts * bar.length)) * self._step
        ends_at = bar.opened_at + end
        return Slice(ends_at, volume), volume - (self.used if self.used_slice == ends_at else NOTHING)

    def _steps_of(self, bar: Candle) -> tuple[int, int]:
        """How many amount steps of the whole bar we may take: numerator and denominator."""
        volume, unit = bar.volume.as_integer_ratio()
        return volume * self._steps.numerator, unit * self._steps.denominator

    def take(self, ends_at: int, qty: Decimal) -> None:
        """Use up `qty` of the slice that ends at `ends_at`."""
        self.used = (self.used if self.used_slice == ends_at else NOTHING) + qty
        self.used_slice = ends_at

    def next_fill(self, side: Side, limit: Decimal | None, start: int) -> int | None:
        """The first instant from `start` on with a price within the limit and volume left; None if never."""
        instant = self._path.first_reach(side, limit, start)
        while instant is not None:
            bar = self._path.bar_at(instant)
            assert bar is not None
            per_bar, parts = self._steps_of(bar)
            if per_bar < parts:
                instant = self._path.first_reach(side, limit, bar.closed_at)
                continue
            piece, left = self.left_at(bar, instant)
            if left > 0:
                return instant
            instant = self._path.first_reach(side, limit, piece.ends_at)
        return None
