"""Fills of an order, accumulated in whatever order and however often they are reported."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from trading_world import BTC, START, TradingWorld, state, trade

from engine.exchange.gateway import ExchangeTrade, OrderState, OrderStatus, Side
from engine.fills import accumulate_fill, average_price, filled_qty, fills_of, is_fully_filled, trade_fill
from engine.order_events import event_for
from generated.trading import (
    BuyOrderCanceled,
    BuyOrderFilled,
    BuyOrderPartial,
    BuyOrderPlaced,
    BuyOrderRejected,
    Fill,
    OrderContext,
    Phase,
    SellOrderFilled,
)


def order(amount: object = 10, side: Side = Side.BUY) -> OrderContext:
    return OrderContext(client_order_id="c", side=side, amount=Decimal(str(amount)), planned_at=START, status="open")


def fill(trade_id: str, qty: object, price: object = 100) -> Fill:
    return Fill(
        trade_id=trade_id, qty=Decimal(str(qty)), price=Decimal(str(price)), fee=Decimal(0), fee_currency="", at=START
    )


def test_each_fill_counts_once() -> None:
    found = order()
    assert accumulate_fill(found, fill("1", 4))
    assert accumulate_fill(found, fill("2", 5))
    assert not accumulate_fill(found, fill("1", 4))
    assert filled_qty(found.fills) == 9
    assert not is_fully_filled(found)
    accumulate_fill(found, fill("3", 1))
    assert is_fully_filled(found)


def test_the_average_is_weighted_by_quantity() -> None:
    assert average_price([fill("1", 1, 100), fill("2", 3, 104)]) == 103
    assert average_price([]) == 0


def test_what_the_exchange_shows_becomes_an_event() -> None:
    some = trade("1", 4)
    expected = {
        (OrderStatus.OPEN, ()): BuyOrderPlaced,
        (OrderStatus.OPEN, (some,)): BuyOrderPartial,
        (OrderStatus.FILLED, (some,)): BuyOrderFilled,
        (OrderStatus.CANCELED, (some,)): BuyOrderCanceled,
        (OrderStatus.CANCELED, ()): BuyOrderCanceled,
        (OrderStatus.REJECTED, ()): BuyOrderRejected,
    }
    for (status, trades), kind in expected.items():
        assert type(event_for(state(order(), status, *trades))) is kind
    sold = event_for(state(order(side=Side.SELL), OrderStatus.FILLED, trade("1", 4, 90), trade("2", 6, 100)))
    assert isinstance(sold, SellOrderFilled)
    assert (sold.filled_qty, sold.avg_price, len(sold.fills)) == (10, 96, 2)


def test_a_trade_keeps_all_its_figures_on_the_way_into_the_ledger() -> None:
    (found,) = fills_of(state(order(), OrderStatus.OPEN, trade("7", "0.1", "99.9", "0.0001", "BTC")))
    booked = trade_fill(BTC, Side.BUY, "c", "r", found)
    assert (booked.entry_id, booked.qty, booked.price) == ("BTC/USD:7", Decimal("0.1"), Decimal("99.9"))
    assert (booked.fee, booked.fee_currency, booked.at) == (Decimal("0.0001"), "BTC", START)
    assert (booked.base, booked.quote, booked.side, booked.round_trip) == ("BTC", "USD", "buy", "r")


parts = st.lists(st.integers(1, 4_000), min_size=1, max_size=5).filter(lambda steps: sum(steps) <= 10_000)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[ExchangeTrade], list[int]]:
    """The trades of one order, and which of its reports (each with the first n trades) arrive, in which order."""
    steps = draw(parts)
    trades = [trade(str(n), Decimal(step) / 1000, 100 - n, Decimal(step) / 10_000) for n, step in enumerate(steps)]
    reports = draw(st.lists(st.integers(1, len(trades)), max_size=8))
    return trades, reports


@settings(deadline=None, max_examples=60)
@given(deliveries())
def test_the_position_is_the_sum_of_the_trades_whatever_arrives_when(
    case: tuple[list[ExchangeTrade], list[int]],
) -> None:
    trades, reports = case
    with TradingWorld() as world:
        world.bar()

        def shown(count: int) -> OrderState:
            whole = sum((one.qty for one in trades), Decimal(0)) == world.entry.amount
            last = OrderStatus.FILLED if whole else OrderStatus.CANCELED
            return state(world.entry, last if count == len(trades) else OrderStatus.OPEN, *trades[:count])

        for count in [*reports, len(trades)]:
            world.send(event_for(shown(count)))
        assert world.phase in (Phase.POSITION, Phase.COOLDOWN), world.data.last_error
        bought = sum((one.qty for one in trades), Decimal(0))
        assert world.position + world.dust == bought == filled_qty(world.entry.fills)
        assert world.worker.portfolio.verify() == ()
