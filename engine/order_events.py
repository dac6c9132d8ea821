"""From what an exchange says of an order to the machine's events."""

from __future__ import annotations

from engine.exchange.gateway import OrderState, OrderStatus, Side
from engine.fills import average_price, filled_qty, fills_of
from generated.trading import (
    BuyOrderCanceled,
    BuyOrderFilled,
    BuyOrderPartial,
    BuyOrderPlaced,
    BuyOrderRejected,
    OrderReport,
    SellOrderCanceled,
    SellOrderFilled,
    SellOrderPartial,
    SellOrderPlaced,
    SellOrderRejected,
)

Placed = BuyOrderPlaced | SellOrderPlaced
Rejected = BuyOrderRejected | SellOrderRejected
Progress = BuyOrderPartial | BuyOrderFilled | BuyOrderCanceled | SellOrderPartial | SellOrderFilled | SellOrderCanceled

_PROGRESS: dict[tuple[Side, OrderStatus], type[Progress]] = {
    (Side.BUY, OrderStatus.OPEN): BuyOrderPartial,
    (Side.BUY, OrderStatus.FILLED): BuyOrderFilled,
    (Side.BUY, OrderStatus.CANCELED): BuyOrderCanceled,
    (Side.SELL, OrderStatus.OPEN): SellOrderPartial,
    (Side.SELL, OrderStatus.FILLED): SellOrderFilled,
    (Side.SELL, OrderStatus.CANCELED): SellOrderCanceled,
}


def event_for(state: OrderState) -> Placed | Rejected | Progress:
    """The event that reports `state`: placed, rejected, filled in part or whole, or canceled."""
    buying = state.side is Side.BUY
    if state.status is OrderStatus.REJECTED:
        reason = "the exchange shows the order as rejected"
        return (BuyOrderRejected if buying else SellOrderRejected)(client_order_id=state.client_order_id, reason=reason)
    if state.status is OrderStatus.OPEN and not state.filled:
        placed = BuyOrderPlaced if buying else SellOrderPlaced
        return placed(client_order_id=state.client_order_id, exchange_order_id=state.exchange_order_id)
    fills = fills_of(state)
    return _PROGRESS[state.side, state.status](
        client_order_id=state.client_order_id,
        filled_qty=filled_qty(fills),
        avg_price=average_price(fills),
        fills=fills,
    )


def report_for(state: OrderState) -> OrderReport:
    """What a reconciliation takes over."""
    return OrderReport(client_order_id=state.client_order_id, status=state.status, fills=fills_of(state))
