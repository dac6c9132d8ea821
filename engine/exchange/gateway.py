"""What the engine asks of an exchange. Adding an exchange is one file that implements `Gateway`.

Amounts are in the base currency, prices in the quote currency, instants in milliseconds since the epoch (UTC).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from runtime.errors import PhasewrightError


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    LIMIT = "limit"
    MARKET = "market"


class OrderStatus(StrEnum):
    """An order as the exchange sees it; all but OPEN are final."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"


class Market(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rules of one symbol. Steps and minima are inclusive; fees are fractions (0.001 is 0.1 %)."""

    symbol: str
    base: str
    quote: str
    amount_step: Decimal
    price_tick: Decimal
    min_amount: Decimal
    min_notional: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    fee_in_base: bool
    """True: a buy pays its fee in the base currency, which reduces what can be sold. Sells pay in quote."""
    halted: bool = False
    """Not traded at present: halted, or delisted."""


class OrderRequest(msgspec.Struct, frozen=True):
    """An order to be sent. `price` is the limit in quote currency, None for a market order."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    price: Decimal | None


class Stamp(msgspec.Struct, frozen=True):
    """What a request carries of the claim under which it is sent.

    `claimed_at` is the timestamp that goes on the wire, however late the bytes leave; after `deadline` the exchange
    refuses them. Both in milliseconds since the epoch. `attempt` counts from 1.
    """

    attempt: int
    claimed_at: int
    deadline: int


class ExchangeTrade(msgspec.Struct, frozen=True):
    """One execution. `trade_id` is unique per exchange and symbol; `fee` is in `fee_currency`."""

    trade_id: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    at: int


class OrderState(msgspec.Struct, frozen=True):
    """An order as the exchange reports it. The quantities of `trades` sum to `filled`: a gateway withholds a report
    until they do."""

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: Side
    status: OrderStatus
    amount: Decimal
    filled: Decimal
    trades: tuple[ExchangeTrade, ...]
    updated_at: int


class Accepted(msgspec.Struct, frozen=True):
    """The exchange has the order, by its own word: an id, and our client order id echoed back."""

    client_order_id: str
    exchange_order_id: str
    at: int


class Rejected(msgspec.Struct, frozen=True):
    """The exchange refused the request with a code that is known to mean so."""

    reason: str


class Unsent(msgspec.Struct, frozen=True):
    """Proven to have done nothing, for a reason that is not the order's: it never left, or the exchange refused it
    unread (a stale timestamp, too many requests). It may be sent again, under another claim."""

    reason: str


class Unknown(msgspec.Struct, frozen=True):
    """Everything else: the request may or may not have been carried out."""

    reason: str


class Absent(msgspec.Struct, frozen=True):
    """Proven: the exchange does not have this order and can no longer come to have it from the claim asked about."""


class Canceled(msgspec.Struct, frozen=True):
    """The order is final and its last state is known: canceled, or filled before the cancel arrived."""

    order: OrderState


SubmitOutcome = Accepted | Rejected | Unsent | Unknown
ResumeOutcome = SubmitOutcome | Absent
RecoverOutcome = Accepted | Rejected | Unknown | Absent
CancelOutcome = Canceled | Absent | Unsent | Unknown


class GatewayError(PhasewrightError):
    """The exchange cannot be read, or not be used as it is configured."""


class KeyRefusedError(GatewayError):
    """The exchange refuses our key, or what we ask for is beyond its permissions. Asking again changes nothing."""


class Gateway(Protocol):
    """One account on one exchange."""

    name: str

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        """Call `listener` with every change of an order of this account: at least once, perhaps late, twice, or out of
        order. Called in the event loop's thread."""
        ...

    async def markets(self) -> Mapping[str, Market]:
        """The rules of every symbol, by symbol. Raises GatewayError."""
        ...

    async def balances(self) -> Mapping[str, Decimal]:
        """Free plus locked, by currency. Raises GatewayError."""
        ...

    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome:
        """Send the order once, stamped with the claim. Never retries, never raises for what an exchange can answer."""
        ...

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        """The answer to a request whose sender has died, as far as it can still be had.

        Absent only where the request provably was not sent, so that it may be sent now; without a way to know, Unknown.
        """
        ...

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        """Find out what became of a request that got no answer.

        Waits until a request stamped with the claim can no longer be accepted, then looks the client order id up.
        """
        ...

    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome:
        """Cancel, and return the order's final state. Safe to repeat. A refusal because the order is already final is
        `Canceled` with that final state."""
        ...

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        """The order now; None when the exchange shows no such order (which alone proves nothing)."""
        ...

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        """Every open order of this account on `symbol`, ours or not. Raises GatewayError."""
        ...
