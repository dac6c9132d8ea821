"""What an answer's numbers must be before anything is booked by them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.exchange.ccxt_replies import Unreadable, candle, exact, exchange_trade, ticker, wire_order
from engine.exchange.gateway import ExchangeTrade
from engine.exchange.wire import Ticker

TRADE = {
    "id": "77",
    "timestamp": 1_700_000_000_000,
    "amount": "0.50",
    "price": "30000.10",
    "fee": {"cost": "0.0005", "currency": "BTC"},
}


@pytest.mark.parametrize(
    ("shown", "number"),
    [("1.50", "1.5"), ("1e-07", "0.0000001"), ("-3", "-3"), (7, "7"), (".5", "0.5"), ("5.", "5"), ("100", "100")],
)
def test_numbers_are_what_their_texts_say(shown: Any, number: str) -> None:
    assert str(exact(shown)) == str(Decimal(number)) or exact(shown) == Decimal(number)


@pytest.mark.parametrize(
    "shown",
    [
        *(True, False, 0.1, None, [], "", "NaN", "Infinity", "1_000", " 1", "1\n", "٣", "0x1", "1e999", "1e-99"),
        *("9" * 70, Decimal("1e1000000"), Decimal("NaN"), Decimal(1).scaleb(-80)),
    ],
    ids=repr,
)
def test_what_is_no_number_of_an_exchange_is_not_taken_for_one(shown: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        exact(shown)
    assert len(str(refused.value)) < 300


def test_a_trade_is_read_exactly() -> None:
    number = Decimal
    assert exchange_trade(TRADE) == ExchangeTrade(
        "77", number("0.5"), number("30000.1"), number("0.0005"), "BTC", 1_700_000_000_000
    )
    rebate = TRADE | {"fee": {"cost": "-0.01", "currency": "USDT"}}
    assert exchange_trade(rebate).fee == number("-0.01")


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": "0"},
        {"price": "-30000"},
        {"price": True},
        {"price": None},
        {"amount": "0"},
        {"amount": "-0.5"},
        {"amount": "1e30"},
        {"amount": "1e-45"},
        {"price": "1e500"},
        {"fee": {"cost": "1e40", "currency": "BTC"}},
        {"fee": {"cost": True, "currency": "BTC"}},
        {"fee": {"cost": "0.1", "currency": None}},
        {"fee": None},
        {"timestamp": None},
        {"timestamp": 0},
        {"timestamp": True},
        {"timestamp": "1700000000000"},
        {"id": ""},
    ],
    ids=repr,
)
def test_a_trade_that_cannot_be_true_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        exchange_trade(TRADE | wrong)


def test_the_evidence_names_the_trade_and_its_numbers() -> None:
    with pytest.raises(Unreadable, match=r"above zero, but trade 77 of '0\.50' at '-5', fee '0\.0005' BTC"):
        exchange_trade(TRADE | {"price": "-5"})


@pytest.mark.parametrize("place", [1, 2, 3, 4])
def test_a_bar_without_a_price_is_not_judged_by(place: int) -> None:
    row: list[Any] = [1_700_000_000_000, "10", "11", "9", "10", "0"]
    assert candle(row, 60_000).close == 10
    row[place] = "0"
    with pytest.raises(Unreadable, match="prices above zero"):
        candle(row, 60_000)


def test_an_order_cannot_have_filled_less_than_nothing() -> None:
    with pytest.raises(Unreadable, match="filled amount, but -1"):
        wire_order({"id": "1", "filled": "-1"})


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ({"last": "30000.10", "bid": "30000", "ask": "30001"}, ("30000.1", "30000", "30001")),
        ({"last": "0.00000012", "bid": "0", "ask": None}, ("0.00000012", None, None)),
    ],
)
def test_a_ticker_is_read_exactly(shown: dict[str, Any], read: tuple[str | None, ...]) -> None:
    assert ticker(shown) == Ticker(*(None if price is None else Decimal(price) for price in read))


@pytest.mark.parametrize("shown", [{}, {"last": None, "bid": "0"}, {"last": "-1"}, {"bid": 0.1}])
def test_a_ticker_without_a_price_says_nothing(shown: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        ticker(shown)
