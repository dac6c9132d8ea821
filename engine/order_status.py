"""What the machine knows of an order of its own. The words of the exchange, and three that only we can say."""

from __future__ import annotations

from engine.exchange.gateway import OrderStatus
from generated.trading import OrderContext

PLANNED = "planned"
UNKNOWN = "unknown"
ABSENT = "absent"

_ACKNOWLEDGED = {OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED}


def is_acknowledged(order: OrderContext | None) -> bool:
    """Whether the exchange is known to have, or to have had, the order."""
    return order is not None and (order.status in _ACKNOWLEDGED or bool(order.fills))


def is_settled(order: OrderContext) -> bool:
    """Whether nothing more can happen to the order."""
    return order.status in {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, ABSENT}
