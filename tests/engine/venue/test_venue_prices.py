"""Prices that are the same before and after a restart, and can be moved by hand."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from venue_world import NOW

from engine.exchange.gateway import Side
from engine.market_data.candles import Candle, Series
from engine.venue.prices import HOUR, MINUTE, LivePrices, Turn, replayed, wandering

TICK = Decimal("0.01")


def walk(seed: int = 1, now: int = NOW, turns: tuple[Turn, ...] = ()) -> LivePrices:
    source = wandering(seed, "BTC/USDT", Decimal(60_000), TICK, Decimal(1_000_000))
    return LivePrices("BTC/USDT", source, MINUTE, now, turns)


def test_the_price_is_a_matter_of_seed_and_time_alone() -> None:
    early, late = walk(now=NOW), walk(now=NOW + HOUR)
    for at in range(NOW, NOW + 3 * HOUR, 7 * MINUTE + 13):
        assert early.price_at(at) == late.price_at(at)
    assert walk(2).price_at(NOW) != early.price_at(NOW)


def test_bars_join_and_stay_near_the_base() -> None:
    bars = walk().bars(NOW - 48 * HOUR, NOW)
    assert len(bars) == 48 * 60
    assert all(one.close == other.open and one.closed_at == other.opened_at for one, other in pairwise(bars))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(bar.low > 30_000 and bar.high < 120_000 for bar in bars)
    assert all(price % TICK == 0 for bar in bars for price in (bar.open, bar.high, bar.low, bar.close))
    assert len({bar.close for bar in bars}) > 1_000


def test_new_bars_are_known_in_time() -> None:
    prices = walk()
    for at in range(NOW, NOW + 30 * HOUR, 10 * MINUTE):
        prices.keep_up(at)
        assert prices.price_at(at + HOUR) is not None
    prices.keep_up(NOW + 30 * HOUR)
    assert not prices.keep_up(NOW + 30 * HOUR), "they are known already"


def test_a_turn_changes_what_follows_and_nothing_before() -> None:
    prices, plain = walk(), walk()
    ten = 10 * MINUTE
    since = NOW + 5 * MINUTE + 123
    prices.turn(Turn(since, Decimal(50_000)))
    prices.turn(Turn(since + ten, halted=True))
    prices.turn(Turn(since + 2 * ten))
    assert prices.price_at(since - 6 * MINUTE) == plain.price_at(since - 6 * MINUTE)
    assert prices.price_at(since) == prices.price_at(since + ten - 1) == 50_000
    assert prices.price_at(since + ten) is None
    assert prices.last_price(since + ten + 1) == 50_000
    assert prices.price_at(since + 3 * ten) == plain.price_at(since + 3 * ten)
    assert prices.first_reach(Side.BUY, Decimal(50_000), NOW) == since
    turns = (Turn(since, Decimal(50_000)), Turn(since + ten, halted=True))
    assert walk(now=NOW + 2 * ten, turns=turns).price_at(NOW + 2 * ten) is None, "known again after a restart"


def test_candles_are_replayed_from_the_start_over_and_over() -> None:
    half_hour = 30 * MINUTE
    opened = (0, half_hour, 3 * half_hour)  # the third is missing
    candles = tuple(
        Candle(1_500_000 * half_hour + at, *(Decimal(value) for value in (10 + n, 20, 5, 11 + n, 100)), half_hour)
        for n, at in enumerate(opened)
    )
    starts_at = NOW + 17
    prices = LivePrices("BTC/USDT", replayed(Series("BTC/USDT", half_hour, candles), starts_at), half_hour, starts_at)
    first = NOW - NOW % half_hour
    found = [(bar.opened_at - first) // half_hour for bar in prices.bars(first, first + 8 * half_hour)]
    assert found == [0, 1, 3, 4, 5, 7]
    assert [prices.bars(first + n * half_hour, first + n * half_hour + 1)[0].open for n in (0, 1, 3, 4)] == [
        10,
        11,
        12,
        10,
    ]
    assert prices.price_at(first + 2 * half_hour) is None
