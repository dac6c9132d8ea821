from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.report.figures import RoundTrip, RunFigures, SummaryRow, falls, monthly_profit, summarise
from engine.report.thinning import outline


def trip(symbol, closed, realised, fees="1") -> RoundTrip:
    at = int(datetime.fromisoformat(closed).replace(tzinfo=UTC).timestamp() * 1000)
    one = Decimal(1)
    return RoundTrip(symbol, at - 1, at, one, one, one, Decimal(realised), Decimal(fees), "take_profit")


TRIPS = (
    trip("BTC/USD", "2017-12-31 23:59:59", "10"),
    trip("BTC/USD", "2018-03-01", "-4", "0.5"),
    trip("ETH/USD", "2018-03-31", "0"),
    trip("BTC/USD", "2018-02-01", "-8"),
)


def figures(trips=TRIPS, equity=()) -> RunFigures:
    return RunFigures(
        title="", quote="USD", symbols=("BTC/USD", "ETH/USD", "XRP/USD"), equity=equity, round_trips=trips, candles={}
    )


def test_summary_by_symbol_and_in_total():
    third, quarter = Decimal(1) / 3, Decimal("0.25")
    assert summarise(figures()) == [
        SummaryRow("BTC/USD", 3, third, Decimal(-2), Decimal("2.5"), Decimal(12)),
        SummaryRow("ETH/USD", 1, Decimal(0), Decimal(0), Decimal(1), Decimal(0)),
        SummaryRow("XRP/USD", 0, None, Decimal(0), Decimal(0), Decimal(0)),
        SummaryRow("Total", 4, quarter, Decimal(-2), Decimal("3.5"), Decimal(12)),
    ]


def test_the_total_drawdown_is_that_of_the_equity():
    equity = [(at, Decimal(value)) for at, value in enumerate((100, 120, 90, 130, 105))]
    assert summarise(figures(equity=equity))[-1].max_drawdown == Decimal(30)


def test_a_loss_in_the_first_trade_is_a_drawdown():
    assert summarise(figures([trip("BTC/USD", "2018-01-01", "-5")]))[0].max_drawdown == Decimal(5)


def test_a_trade_of_a_symbol_that_was_not_announced_is_not_dropped():
    rows = summarise(figures([trip("LTC/USD", "2018-01-01", "7")]))
    assert [(row.symbol, row.realised) for row in rows[-2:]] == [("LTC/USD", 7), ("Total", 7)]


def test_profit_by_month_of_closing_with_empty_months():
    assert monthly_profit(TRIPS) == {"2017-12": 10, "2018-01": 0, "2018-02": -8, "2018-03": -4}
    assert monthly_profit([]) == {}


def test_falls_from_the_highest_so_far():
    assert falls(map(Decimal, (3, 5, 4, 1, 6, 2))) == [0, 0, 1, 4, 0, 4]


@given(st.lists(st.integers(0, 1000).map(Decimal), min_size=1, max_size=300), st.integers(4, 50))
def test_an_outline_keeps_the_ends_and_the_extremes_within_its_limit(values, limit):
    keep = outline(values, limit)
    assert len(keep) <= limit
    assert keep == sorted(set(keep))
    assert (keep[0], keep[-1]) == (0, len(values) - 1)
    kept = [values[i] for i in keep]
    assert (min(kept), max(kept)) == (min(values), max(values))
