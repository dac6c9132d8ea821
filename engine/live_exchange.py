"""What a live bot asks of its exchange besides orders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from engine.exchange.gateway import Gateway, OrderState
from engine.exchange.history import Execution
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_feed import LiveOrders
from engine.market_data.candles import Candle

_ASK_AGAIN = (2_000, 5_000, 15_000, 30_000, 60_000)
"""Pauses (ms) between two tries to read something, the last one for ever."""


def ask_again_after(failures: int) -> int:
    """How long (milliseconds) to wait before an exchange is asked again that gave no answer, after so many tries that
    failed before this one."""
    return _ASK_AGAIN[min(failures, len(_ASK_AGAIN) - 1)]


class LiveExchange(Protocol):
    """One account on one exchange, reached over a network. Every read raises GatewayError when it gets no answer."""

    name: str

    @property
    def gateway(self) -> Gateway:
        """Its orders and balances."""
        ...

    @property
    def key_refusal(self) -> str:
        """Why the exchange refused an order for our key or its permissions; empty while it did not."""
        ...

    async def rights(self) -> KeyRights:
        """What the key may do, as far as the exchange says so."""
        ...

    async def clock_offset(self) -> int:
        """How many milliseconds the exchange's clock is ahead of ours, as far as a round trip can tell."""
        ...

    async def free(self, currency: str) -> Decimal:
        """What of the account's `currency` no order locks."""
        ...

    async def candles(self, symbol: str, length: int, since: int, now: int) -> Sequence[Candle]:
        """Bars of `length` ms that opened at `since` or later, oldest first, at least one page of them; what closes
        after `now`, the present by the exchange's clock, may still be open."""
        ...

    async def news(self, symbol: str, since: int) -> Sequence[Execution] | None:
        """What the account, whoever acted on it, traded on `symbol` since the last call that came to its end; the first
        begins at `since` (ms by the exchange's clock). None where the exchange's past cannot be read completely."""
        ...

    async def open_orders(self, symbols: Collection[str]) -> Mapping[str, Sequence[OrderState]] | None:
        """The open orders of each of `symbols`, ours or not, by one question; None where the gateway had better be
        asked for each. A symbol is left out if one of its orders could not be read."""
        ...

    async def watch(self, live_orders: LiveOrders) -> None:
        """Hand every change of an order to the gateway's listeners, until cancelled."""
        ...

    async def close(self) -> None: ...
