"""Live prices: bars for every minute of the past and the future, known in advance, and movable by hand.

A bar is a pure function of the seed, the symbol and the minute, so that a venue that is killed and started again goes
on at the same price, however long it was away. Prices wander between half and twice the symbol's base price.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

import msgspec

from engine.exchange.price_path import PricePath
from engine.market_data.candles import Candle, Series

MINUTE = 60_000
HOUR = 60 * MINUTE
BEHIND = 2 * HOUR
AHEAD = 4 * HOUR
_DEPTHS = ((1, 0.0004), (6, 0.001), (37, 0.003), (241, 0.012), (1_511, 0.04), (10_007, 0.12))
"""Minutes between the points of each layer of the walk, and how far it moves the logarithm of the price."""

BarSource = Callable[[int], Candle | None]
"""The bar that covers an instant, None where the market is halted."""


class Turn(msgspec.Struct, frozen=True):
    """From `since` on the market follows its bars, stands at `price`, or is halted."""

    since: int
    price: Decimal | None = None
    halted: bool = False


def wandering(seed: int, symbol: str, base: Decimal, tick: Decimal, turnover: Decimal) -> BarSource:
    """Bars around `base` (quote currency), `turnover` of quote currency a minute."""

    @lru_cache(4_096)
    def point(gap: int, cell: int) -> float:
        return _unit(seed, symbol, str(gap), cell) * 2 - 1

    def smooth(minute: int, gap: int) -> float:
        """Between -1 and 1, in a straight line from one multiple of `gap` to the next."""
        cell, offset = divmod(minute, gap)
        left, right = point(gap, cell), point(gap, cell + 1)
        return left + (right - left) * offset / gap

    @lru_cache(4_096)
    def price_at(minute: int) -> float:
        drift = sum(depth * smooth(minute, gap) for gap, depth in _DEPTHS)
        return float(base) * math.exp(drift)

    def on_tick(price: float) -> Decimal:
        ticks = (Decimal(price) / tick).quantize(Decimal(1), ROUND_HALF_EVEN)
        return max(ticks, Decimal(1)) * tick

    @lru_cache(4_096)
    def bar_of(minute: int) -> Candle:
        left, right = price_at(minute), price_at(minute + 1)
        up, down, size = (_unit(seed, symbol, name, minute) for name in ("up", "down", "size"))
        prices = left, max(left, right) * (1 + up * 0.0005), min(left, right) * (1 - down * 0.0005), right
        opened, high, low, closed = map(on_tick, prices)
        volume = (turnover * Decimal(0.5 + size) / closed).quantize(Decimal("0.00001"))
        return Candle(minute * MINUTE, opened, high, low, closed, volume, MINUTE)

    return lambda instant: bar_of(instant // MINUTE)


def replayed(series: Series, starts_at: int) -> BarSource:
    """The bars of `series` over and over, the first of them at `starts_at` or a little before."""
    first, length = series.candles[0].opened_at, series.length
    span = series.candles[-1].opened_at - first + length
    by_opening = {candle.opened_at: candle for candle in series.candles}
    begin = starts_at - starts_at % length

    def bar(instant: int) -> Candle | None:
        opened_at = instant - instant % length
        found = by_opening.get(first + (opened_at - begin) % span)
        return None if found is None else msgspec.structs.replace(found, opened_at=opened_at)

    return bar


class LivePrices(PricePath):
    """The bars around the present. `keep_up` must be called as time passes; open orders are to be asked anew after
    each change, as `PaperExchange.prices_changed` does."""

    def __init__(self, symbol: str, source: BarSource, length: int, now: int, turns: tuple[Turn, ...] = ()) -> None:
        self._symbol = symbol
        self._source = source
        self._length = length
        self._turns = turns
        self._rebuild(now)

    @property
    def good_until(self) -> int:
        """When `keep_up` is to be called next."""
        return self._until - AHEAD + HOUR

    def keep_up(self, now: int) -> bool:
        """Know the bars of the next hours again; True when there are new ones."""
        if now < self.good_until:
            return False
        self._rebuild(now)
        return True

    def turn(self, turn: Turn) -> None:
        """Change what the market does from `turn.since` on. What was before stays as it was."""
        self._turns = (*(known for known in self._turns if known.since < turn.since), turn)
        self._rebuild(turn.since)

    def bars(self, begin: int, end: int) -> list[Candle]:
        """The bars that open within [begin, end), with the turns of the market in them."""
        found: list[Candle] = []
        opened_at = begin - begin % self._length
        while opened_at < end:
            found += self._pieces(opened_at)
            opened_at += self._length
        return [bar for bar in found if begin <= bar.opened_at < end]

    def _rebuild(self, now: int) -> None:
        begin = now - now % self._length - BEHIND
        self._until = now - now % self._length + max(AHEAD, 2 * self._length)
        bars = [piece for at in range(begin, self._until, self._length) for piece in self._pieces(at)]
        super().__init__(Series(self._symbol, self._length, tuple(bars)))

    def _pieces(self, opened_at: int) -> list[Candle]:
        """What the turns make of the bar: pieces of it, each under one of them."""
        closed_at = opened_at + self._length
        before = [turn for turn in self._turns if turn.since <= opened_at]
        within = [turn for turn in self._turns if opened_at < turn.since < closed_at]
        bar = self._source(opened_at)
        turns = [*(before[-1:] or [Turn(opened_at)]), *within]
        pieces = []
        for turn, end in zip(turns, [*(turn.since for turn in within), closed_at], strict=True):
            begin = max(opened_at, turn.since)
            if turn.halted or (bar is None and turn.price is None):
                continue
            if turn.price is not None:
                volume = bar.volume if bar is not None else Decimal(1)
                price = turn.price
                pieces.append(Candle(begin, price, price, price, price, volume, end - begin))
            elif bar is not None:
                pieces.append(msgspec.structs.replace(bar, opened_at=begin, length=end - begin))
        return pieces


def _unit(seed: int, symbol: str, name: str, place: int) -> float:
    digest = hashlib.blake2b(repr((seed, symbol, name, place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
