"""What a connection to an exchange can do: one request, one observation. Nothing is retried, nothing is decided here.

Every instant is in milliseconds since the epoch (UTC). `timestamp` and `at` are by the exchange's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, Side


class Ask(StrEnum):
    """What was asked for. The same failure means another thing for a create than for a read."""

    CREATE = "create"
    CANCEL = "cancel"
    ORDER = "order"
    READ = "read"


class Cause(StrEnum):
    """How far a request came that brought no usable answer."""

    LOCAL = "not sent"
    """It was never begun: what it should say cannot be said on this exchange."""
    NOT_CONNECTED = "not connected"
    """No connection was made (DNS, refused, TLS), so that no byte of it left."""
    ANSWERED = "answered"
    """The exchange, or something on the way to it, answered with a refusal: see `status` and `code`."""
    TIMEOUT = "timeout"
    RESET = "reset"
    """The connection ended before the answer was complete, or the answer cannot be decoded."""
    UNREADABLE = "unreadable"
    """The answer was complete, with a status of success, but it does not say what it should."""
    ABSENT = "absent"
    """The lists that would show the order were read completely, and do not show it."""


def utc(instant: int) -> str:
    """An instant for people, to the second."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Failed(msgspec.Struct, frozen=True):
    """A request without a usable answer, as observed. Holds no secret.

    `error` is the class of the exception, `status` that of HTTP, `code` the exchange's own; `retry_after` (ms) is the
    pause that the exchange asked for.
    """

    cause: Cause
    error: str = ""
    status: int | None = None
    code: str | None = None
    message: str = ""
    retry_after: int | None = None

    def __str__(self) -> str:
        told = [self.error, f"HTTP {self.status}" if self.status else "", f"code {self.code}" if self.code else ""]
        details = ", ".join(part for part in told if part)
        text = f"{self.cause.value} ({details})" if details else self.cause.value
        return f"{text}: {self.message.rstrip('. ')}" if self.message else text


class WireOrder(msgspec.Struct, frozen=True):
    """What a reply says of an order; None for whatever it does not say.

    `status` is ccxt's word (open, closed, canceled, expired, rejected), or the exchange's own where ccxt has none.
    """

    exchange_order_id: str | None
    client_order_id: str | None
    symbol: str | None = None
    side: Side | None = None
    status: str | None = None
    amount: Decimal | None = None
    filled: Decimal | None = None
    updated_at: int | None = None


Reply = WireOrder | Failed


class Ticker(msgspec.Struct, frozen=True):
    """What a market shows at the moment, in quote currency; None for whatever it does not."""

    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None


class Wire(Protocol):
    """One account on one exchange. No method raises for what an exchange, or the way to it, can do."""

    name: str
    max_window: int | None
    """The longest time in ms that a create can stay valid; None where requests do not expire."""

    async def server_time(self) -> int | Failed:
        """The exchange's clock, never ahead of it."""
        ...

    async def markets(self) -> Mapping[str, Market] | Failed:
        """The rules of every symbol on the spot market."""
        ...

    async def balances(self) -> Mapping[str, Decimal] | Failed:
        """Free plus locked, by currency; what is zero may be missing."""
        ...

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        """Send the order once. The bytes carry `timestamp` and `window`: the exchange refuses them once its clock has
        passed timestamp + window."""
        ...

    async def cancel(self, symbol: str, client_order_id: str) -> Reply: ...

    async def order(self, symbol: str, client_order_id: str) -> Reply:
        """Look the order up by our id."""
        ...

    async def trades(self, symbol: str, exchange_order_id: str) -> Sequence[ExchangeTrade] | Failed:
        """Every trade of the order, each once, however many pages it takes."""
        ...

    async def open_orders(self, symbol: str) -> Sequence[WireOrder] | Failed:
        """Every open order of the account on `symbol`, ours or not."""
        ...

    async def close(self) -> None: ...
