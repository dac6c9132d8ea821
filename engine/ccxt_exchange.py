"""A real exchange as a live bot sees it: orders by the claim protocol, bars and clock, all through one ccxt client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import HISTORY_PAGE, CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import GatewayError
from engine.exchange.history import Execution, History
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_feed import LiveOrders, OrderFeed
from engine.exchange.server_clock import ServerClock, monotonic
from engine.exchange.wire import Failed, Ticker
from engine.market_data.candles import Candle
from runtime.clock import Clock
from runtime.errors import ConfigError


class CcxtExchange:
    """`LiveExchange` over ccxt.

    Args:
        url: the address of a venue on loopback, in place of the exchange's own.
        may_send: as `ClaimedGateway` takes it.
    """

    def __init__(
        self,
        name: str,
        credentials: Credentials,
        clock: Clock,
        *,
        sandbox: bool,
        url: str | None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        exchange = exchange_named(name)
        self.name = name
        self._client: Any = open_client(exchange, credentials, sandbox=sandbox, endpoint=url, now=clock.now)
        self._wire = CcxtWire(exchange, self._client, credentials)
        self._clock = clock
        self._has_history = exchange.history
        self._histories: dict[str, History] = {}
        self.gateway = ClaimedGateway(self._wire, clock, may_send=may_send)
        self._server_clock = ServerClock(self.gateway.server_time, clock, monotonic, 0)

    @property
    def key_refusal(self) -> str:
        return self.gateway.key_refusal

    async def rights(self) -> KeyRights:
        return await self.gateway.read(self._wire.rights, "what the key may do")

    async def clock_offset(self) -> int:
        self._server_clock.forget()
        measured = await self._server_clock.offset()
        if isinstance(measured, Failed):
            raise GatewayError(f"{self.name}'s clock cannot be read: {measured}")
        return (measured.low + measured.high) // 2

    async def free(self, currency: str) -> Decimal:
        shown = await self.gateway.read(self._wire.free, "the free balance")
        return shown.get(currency, Decimal(0))

    async def candles(self, symbol: str, length: int, since: int) -> Sequence[Candle]:
        timeframe = self._timeframe(length)
        return await self.gateway.read(
            lambda: self._wire.candles(symbol, timeframe, length, since), f"the bars of {symbol}"
        )

    def _timeframe(self, length: int) -> str:
        for timeframe in self._client.timeframes:
            if self._client.parse_timeframe(timeframe) * 1_000 == length:
                return str(timeframe)
        known = ", ".join(self._client.timeframes)
        raise ConfigError(f"TIMEFRAME: {self.name} has no bars of {length // 1000} s; it has {known}.")

    async def ticker(self, symbol: str) -> Ticker:
        """What the market of `symbol` shows at the moment. Raises GatewayError."""
        return await self.gateway.read(lambda: self._wire.ticker(symbol), f"the ticker of {symbol}")

    async def news(self, symbol: str, since: int) -> Sequence[Execution] | None:
        if not self._has_history:
            return None
        history = self._histories.setdefault(symbol, History(self._wire, symbol, since, HISTORY_PAGE))
        return await self.gateway.read(history.news, f"the trades of {symbol}")

    async def watch(self, live_orders: LiveOrders) -> None:
        changes = self._changes if self._wire.has_stream else None
        await OrderFeed(self.gateway, self._clock, live_orders, changes).run()

    async def _changes(self) -> Sequence[str] | Failed:
        # A stream is not begun either while the exchange wants a pause.
        await self._clock.sleep_until(self.gateway.paused_until)
        return await self._wire.changed_orders()

    async def close(self) -> None:
        await self._wire.close()
