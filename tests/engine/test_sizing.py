"""How much to buy, and what can be sold: by example and by property."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trading_world import BTC

from engine.exchange.gateway import Market
from engine.sizing import SizingRules, can_sell, plan_entry, round_to, sellable

RULES = SizingRules(stop_pct=Decimal(5))


def money(low: str, high: str, places: int = 8) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


markets = st.builds(
    lambda step, tick, amount, notional, fee, in_base: msgspec.structs.replace(
        BTC,
        amount_step=Decimal(1).scaleb(step),
        price_tick=Decimal(1).scaleb(tick),
        min_amount=amount,
        min_notional=notional,
        maker_fee=fee,
        taker_fee=fee * 2,
        fee_in_base=in_base,
    ),
    st.integers(-8, 0),
    st.integers(-6, 0),
    money("0", "1", 3),
    money("0", "50", 2),
    money("0", "0.005", 4),
    st.booleans(),
)
rules = st.builds(SizingRules, stop_pct=money("0.1", "50", 1), max_notional=st.none() | money("1", "5000", 2))


@pytest.mark.parametrize(
    ("value", "step", "down", "up"),
    [
        ("1.2345", "0.01", "1.23", "1.24"),
        ("1.23", "0.01", "1.23", "1.23"),
        ("0.009", "0.01", "0", "0.01"),
        ("7", "5", "5", "10"),
    ],
)
def test_rounding_to_a_step(value: str, step: str, down: str, up: str) -> None:
    assert round_to(Decimal(value), Decimal(step)) == Decimal(down)
    assert round_to(Decimal(value), Decimal(step), ROUND_UP) == Decimal(up)


def test_the_whole_budget_is_spent_fee_included() -> None:
    plan = plan_entry(BTC, RULES, Decimal(1_001), 1, Decimal(100))
    assert plan is not None
    assert (plan.amount, plan.price, plan.reserved) == (10, 100, 1_001)


def test_the_price_is_rounded_down_to_the_tick_and_the_cost_up() -> None:
    plan = plan_entry(BTC, RULES, Decimal(1_000), 1, Decimal("33.39"))
    assert plan is not None
    assert plan.price == Decimal("33.3")
    assert plan.reserved == Decimal("999.999")
    assert plan.amount == Decimal("30.000")


def test_no_trade_is_larger_than_allowed() -> None:
    limited = SizingRules(stop_pct=Decimal(5), max_notional=Decimal("500.5"))
    plan = plan_entry(BTC, limited, Decimal(10_000), 1, Decimal(100))
    assert plan is not None
    assert plan.amount == 5


@pytest.mark.parametrize(
    ("market", "cash", "slots", "price"),
    [
        (BTC, "1000", 0, "100"),
        (BTC, "1000", 1, "0"),
        (BTC, "1000", 1, "0.09"),
        (BTC, "0", 1, "100"),
        (BTC, "-5", 1, "100"),
        (BTC, "9.99", 1, "100"),
        (msgspec.structs.replace(BTC, min_amount=Decimal(11)), "1001", 1, "100"),
    ],
    ids=[
        "no slot",
        "no price",
        "a price below the tick",
        "no cash",
        "a debt",
        "below the notional",
        "below the amount",
    ],
)
def test_what_the_exchange_would_refuse_is_not_planned(market: Market, cash: str, slots: int, price: str) -> None:
    assert plan_entry(market, RULES, Decimal(cash), slots, Decimal(price)) is None


def test_an_entry_that_could_not_be_left_at_the_stop_is_refused() -> None:
    at_stop = msgspec.structs.replace(BTC, min_notional=Decimal(950))
    assert plan_entry(at_stop, RULES, Decimal(1_001), 1, Decimal(100)) is not None
    above = msgspec.structs.replace(BTC, min_notional=Decimal("950.01"))
    assert plan_entry(above, RULES, Decimal(1_001), 1, Decimal(100)) is None


def test_an_entry_whose_fee_in_base_would_leave_too_little_is_refused() -> None:
    in_quote = msgspec.structs.replace(BTC, min_amount=Decimal(10))
    assert plan_entry(in_quote, RULES, Decimal(1_001), 1, Decimal(100)) is not None
    assert (
        plan_entry(msgspec.structs.replace(in_quote, fee_in_base=True), RULES, Decimal(1_001), 1, Decimal(100)) is None
    )


@settings(deadline=None)
@given(markets, rules, money("0", "100000"), st.integers(0, 5), money("0", "90000"))
def test_a_plan_can_always_be_paid_and_always_be_left(
    market: Market, sizing: SizingRules, cash: Decimal, slots: int, price: Decimal
) -> None:
    plan = plan_entry(market, sizing, cash, slots, price)
    if plan is None:
        return
    fee = max(market.maker_fee, market.taker_fee)
    cost = plan.amount * plan.price * (1 + fee)
    assert cost <= plan.reserved <= cost + Decimal("0.00000001")
    assert plan.reserved <= cash / slots + Decimal("0.00000001")
    assert plan.price <= price
    assert plan.price % market.price_tick == 0
    assert plan.amount % market.amount_step == 0
    assert plan.amount >= market.min_amount
    assert plan.amount * plan.price >= market.min_notional
    left = plan.amount * (1 - fee) if market.fee_in_base else plan.amount
    assert can_sell(market, left, plan.price * (1 - sizing.stop_pct / 100))
    if sizing.max_notional is not None:
        assert plan.amount * plan.price <= sizing.max_notional


@settings(deadline=None)
@given(markets, money("0", "1000"), money("0.00001", "90000"))
def test_what_is_sellable_is_whole_steps_and_no_more_than_is_held(
    market: Market, held: Decimal, price: Decimal
) -> None:
    amount = sellable(market, held)
    assert 0 <= held - amount < market.amount_step
    assert amount % market.amount_step == 0
    if can_sell(market, held, price):
        assert amount >= market.min_amount
        assert amount * price >= market.min_notional
        assert amount > 0
