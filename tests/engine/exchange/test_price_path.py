from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_world import BAR, START, path_of

from engine.exchange.gateway import Side
from engine.exchange.price_path import PricePath
from engine.market_data.candles import Candle, Series


@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ((100, 110, 90, 105, 1), (100, 90, 110, 105)),
        ((100, 110, 90, 100, 1), (100, 90, 110, 100)),
        ((100, 110, 90, 95, 1), (100, 110, 90, 95)),
    ],
)
def test_a_bar_visits_the_low_first_unless_it_falls(shape: tuple[int, ...], corners: tuple[int, ...]) -> None:
    path = path_of(shape)
    third = BAR // 3
    assert [path.price_at(START + n * third) for n in range(3)] == list(corners[:3])
    middle = START + third + third // 2
    assert path.price_at(middle) == Fraction(corners[1] + corners[2], 2)
    last = path.price_at(START + BAR - 1)
    assert last is not None
    assert abs(last - corners[3]) < Fraction(1, 100)


def test_there_is_no_price_where_bars_are_missing_but_a_last_one() -> None:
    path = path_of((100, 110, 90, 105, 1), None, (50, 50, 50, 50, 1))
    assert path.price_at(START - 1) is None
    assert path.last_price(START - 1) is None
    assert path.price_at(START + BAR) is None
    assert path.last_price(START + BAR) == 105
    assert path.price_at(START + 2 * BAR) == 50
    assert path.price_at(START + 3 * BAR) is None


def test_the_first_reach_is_rounded_up_to_the_millisecond() -> None:
    # From 100 to 90 in 20,000 ms: 99.9999 lies at 0.2 ms, 95 at 10,000 ms exactly.
    path = path_of((100, 100, 90, 100, 1))
    assert path.first_reach(Side.BUY, Decimal("99.9999"), START) == START + 1
    assert path.first_reach(Side.BUY, Decimal(95), START) == START + 10_000
    assert path.first_reach(Side.BUY, Decimal(95), START + 10_001) == START + 10_001
    assert path.first_reach(Side.SELL, Decimal(95), START + 10_001) == START + 30_000
    assert path.first_reach(Side.BUY, Decimal("89.9"), START) is None


def test_a_gap_is_jumped_over() -> None:
    path = path_of((100, 100, 100, 100, 1), None, (80, 80, 80, 80, 1))
    assert path.first_reach(Side.BUY, Decimal(90), START) == START + 2 * BAR
    assert path.first_reach(Side.BUY, None, START + BAR) == START + 2 * BAR
    assert path.first_reach(Side.SELL, Decimal(100), START + BAR) is None


prices = st.integers(1, 12).map(Decimal)


@st.composite
def paths(draw: st.DrawFn) -> tuple[PricePath, int]:
    length, candles, at = draw(st.integers(3, 20)), [], 0
    for _ in range(draw(st.integers(1, 5))):
        at += length * draw(st.integers(0, 2))
        low, one, other, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
        opened, closed = draw(st.permutations([one, other]))
        candles.append(Candle(at, opened, high, low, closed, Decimal(1), length))
        at += length
    return PricePath(Series("X", length, tuple(candles))), at


@given(paths(), st.sampled_from(Side), prices | st.none(), st.integers(0, 80))
def test_the_first_reach_is_what_looking_at_every_millisecond_finds(
    path_and_end: tuple[PricePath, int], side: Side, limit: Decimal | None, start: int
) -> None:
    path, end = path_and_end

    def tradable(instant: int) -> bool:
        price = path.price_at(instant)
        if price is None or limit is None:
            return price is not None
        return price <= limit if side is Side.BUY else price >= limit

    expected = next((instant for instant in range(start, end) if tradable(instant)), None)
    assert path.first_reach(side, limit, start) == expected
