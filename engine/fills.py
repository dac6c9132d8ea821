"""Fills of an order: accumulated once each, summed exactly. Quantities in base, prices in quote currency."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

from msgspec import convert

from engine.exchange.gateway import Market, OrderState, Side
from generated.trading import Fill, OrderContext
from runtime.ledger import TradeFill

_AVERAGE = Context(prec=28)
_ZERO = Decimal(0)


def accumulate_fill(order: OrderContext, fill: Fill) -> bool:
    """Add `fill` to `order`. False, and nothing changes, when its trade is there already."""
    if any(known.trade_id == fill.trade_id for known in order.fills):
        return False
    order.fills.append(fill)
    return True


def filled_qty(fills: Iterable[Fill]) -> Decimal:
    """The sum of the quantities."""
    qty = _ZERO
    for fill in fills:
        qty += fill.qty
    return qty


def average_price(fills: Iterable[Fill]) -> Decimal:
    """The average price, weighted by quantity, to 28 digits; zero without fills."""
    qty = cost = _ZERO
    for fill in fills:
        qty += fill.qty
        cost += fill.qty * fill.price
    return _AVERAGE.divide(cost, qty) if qty else _ZERO


def is_fully_filled(order: OrderContext) -> bool:
    """Whether the fills make up the whole amount."""
    return filled_qty(order.fills) >= order.amount


def fills_of(state: OrderState) -> list[Fill]:
    """The exchange's trades as the machine's fills."""
    return [convert(trade, Fill, from_attributes=True) for trade in state.trades]


def trade_fill(market: Market, side: Side, client_order_id: str, round_trip: str, fill: Fill) -> TradeFill:
    """A fill in the form in which the ledger books it."""
    return TradeFill(
        trade_id=fill.trade_id,
        symbol=market.symbol,
        side=side,
        base=market.base,
        quote=market.quote,
        qty=fill.qty,
        price=fill.price,
        at=fill.at,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        client_order_id=client_order_id,
        round_trip=round_trip,
    )
