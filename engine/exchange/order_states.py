"""From what an exchange shows of an order to a report that may be booked: only when the trades add up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from engine.exchange.gateway import ExchangeTrade, OrderState, OrderStatus
from engine.exchange.wire import Cause, Failed, WireOrder

_FINAL = {
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.CANCELED,
    # An order that is shown was accepted; that its engine threw it out afterwards ends it as a cancel does. As a
    # refusal it would contradict the answer to the request, which may come later.
    "rejected": OrderStatus.CANCELED,
}


def order_state(symbol: str, order: WireOrder, trades: Sequence[ExchangeTrade]) -> OrderState | Failed:
    """The order as a report, or Failed when the reply lacks what a report needs, or its trades do not sum to it.

    A status that ccxt has no word for arrives as the exchange's own. It counts as open: an order is final only by a
    word that says so.
    """
    if order.exchange_order_id is None or order.side is None or order.amount is None or order.filled is None:
        return Failed(Cause.UNREADABLE, message=f"the answer lacks the order's id, side, amount or filled: {order}")
    by_id = {trade.trade_id: trade for trade in trades}
    total = sum((trade.qty for trade in by_id.values()), Decimal(0))
    if total != order.filled:
        return Failed(
            Cause.UNREADABLE,
            message=f"the order has filled {order.filled}, its trades sum to {total}; not all is shown",
        )
    status = _FINAL.get(order.status or "", OrderStatus.OPEN)
    if status is OrderStatus.FILLED and order.filled != order.amount:
        status = OrderStatus.CANCELED
    return OrderState(
        client_order_id=order.client_order_id or "",
        exchange_order_id=order.exchange_order_id,
        symbol=symbol,
        side=order.side,
        status=status,
        amount=order.amount,
        filled=order.filled,
        trades=tuple(sorted(by_id.values(), key=lambda trade: (trade.at, trade.trade_id))),
        updated_at=order.updated_at or max((trade.at for trade in trades), default=0),
    )
