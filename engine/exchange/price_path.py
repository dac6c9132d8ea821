"""What the market did between a bar's open and its close, as the paper exchange plays it.

A bar says four prices and no order. The convention: a bar that closes at or above its open went open, low, high,
close; one that closes below went open, high, low, close. The price moves in three straight lines that meet at the
thirds of the bar. A bar covers [opened_at, opened_at + length); where bars are missing the market is halted: there is
no price, and nothing trades.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import TYPE_CHECKING

from engine.exchange.gateway import Side

if TYPE_CHECKING:
    from engine.market_data.candles import Candle, Series


class PricePath:
    """The price of one symbol at every millisecond of a recorded series. Prices in quote currency, exact."""

    def __init__(self, series: Series) -> None:
        self._candles = series.candles
        self._openings = [candle.opened_at for candle in series.candles]

    def bar_at(self, instant: int) -> Candle | None:
        """The bar that covers `instant`, or None while the market is halted."""
        index = bisect_right(self._openings, instant) - 1
        if index < 0 or instant >= self._candles[index].closed_at:
            return None
        return self._candles[index]

    def price_at(self, instant: int) -> Fraction | None:
        """The price at `instant`, or None while the market is halted."""
        bar = self.bar_at(instant)
        return None if bar is None else _price_in(bar, instant)

    def last_price(self, instant: int) -> Fraction | None:
        """The price at `instant`; while the market is halted the last close; None before the first bar."""
        index = bisect_right(self._openings, instant) - 1
        if index < 0:
            return None
        bar = self._candles[index]
        return _price_in(bar, instant) if instant < bar.closed_at else Fraction(bar.close)

    def first_reach(self, side: Side, limit: Decimal | None, start: int) -> int | None:
        """The first instant from `start` on at which a `side` order at `limit` could trade, or None if never.

        A buy can trade where the price is at or below its limit, a sell where it is at or above; an order without a
        limit wherever there is a price.
        """
        index = max(bisect_right(self._openings, start) - 1, 0)
        bars = self._candles[index : index + 2] if limit is None else self._touching(index, side, limit)
        for bar in bars:
            begin = max(start, bar.opened_at)
            if begin >= bar.closed_at:
                continue
            reached = begin if limit is None else _first_reach_in(bar, side, limit, begin)
            if reached is not None:
                return reached
        return None

    def _touching(self, index: int, side: Side, limit: Decimal) -> tuple[Candle, ...]:
        """The bar at `index` and the next one whose range holds `limit`: the first reach lies in one of them."""
        candles = self._candles
        first, found = candles[index : index + 1], index + 1
        if side is Side.BUY:
            while found < len(candles) and candles[found].low > limit:
                found += 1
        else:
            while found < len(candles) and candles[found].high < limit:
                found += 1
        return first + candles[found : found + 1]


def _corners(bar: Candle) -> tuple[tuple[int, Decimal], ...]:
    at, length = bar.opened_at, bar.length
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    return ((at, bar.open), (at + length // 3, first), (at + length * 2 // 3, second), (at + length, bar.close))


def _price_in(bar: Candle, instant: int) -> Fraction:
    (begin, left), (end, right) = next(leg for leg in pairwise(_corners(bar)) if instant < leg[1][0])
    (here, there), scale = _scaled(left, right)
    return Fraction(here * (end - begin) + (there - here) * (instant - begin), scale * (end - begin))


def _first_reach_in(bar: Candle, side: Side, limit: Decimal, start: int) -> int | None:
    corners = _corners(bar)
    (*levels, goal), _ = _scaled(*(price for _, price in corners), limit)
    if side is Side.SELL:
        # A sell is a buy in the mirror: with every price negated, "at or above" becomes "at or below".
        levels, goal = [-level for level in levels], -goal
    for ((begin, _), here), ((end, _), there) in pairwise(zip(corners, levels, strict=True)):
        first = max(begin, start)
        if end <= first:
            continue
        if here * (end - begin) + (there - here) * (first - begin) <= goal * (end - begin):
            return first
        if there < here:
            reached = begin - (goal - here) * (end - begin) // (here - there)
            if reached < end:
                return reached
    return None


def _scaled(*prices: Decimal) -> tuple[list[int], int]:
    """The prices as whole numbers of a unit that they have in common, and how many of those make 1."""
    ratios = [price.as_integer_ratio() for price in prices]
    scale = lcm(*(denominator for _, denominator in ratios))
    return [numerator * (scale // denominator) for numerator, denominator in ratios], scale
