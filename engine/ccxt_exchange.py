"""A real exchange as a live bot sees it: orders by the claim protocol, bars and clock, all through one ccxt client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_replies import exact
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import GatewayError
from engine.exchange.order_feed import LiveOrders, OrderFeed
from engine.exchange.server_clock import ServerClock, monotonic
from engine.exchange.wire import Failed
from engine.market_data.candles import Candle
from runtime.clock import Clock
from runtime.errors import ConfigError

AnswerT = TypeVar("AnswerT")

_BARS = 500
_LONGEST_MESSAGE = 200


class CcxtExchange:
    """`LiveExchange` over ccxt.

    Args:
        url: the address of a venue on loopback, in place of the exchange's own.
    """

    def __init__(self, name: str, credentials: Credentials, clock: Clock, *, sandbox: bool, url: str | None) -> None:
        exchange = exchange_named(name)
        self.name = name
        self._client: Any = open_client(exchange, credentials, sandbox=sandbox, endpoint=url)
        self._wire = CcxtWire(exchange, self._client, credentials)
        self._clock = clock
        self._credentials = credentials
        self.gateway = ClaimedGateway(self._wire, clock)
        self._server_clock = ServerClock(self._wire.server_time, clock, monotonic, 0)

    @property
    def key_refusal(self) -> str:
        return self.gateway.key_refusal

    async def clock_offset(self) -> int:
        self._server_clock.forget()
        measured = await self._server_clock.offset()
        if isinstance(measured, Failed):
            raise GatewayError(f"{self.name}'s clock cannot be read: {measured}")
        return (measured.low + measured.high) // 2

    async def free(self, currency: str) -> Decimal:
        async def ask() -> Decimal:
            shown = await self._client.fetch_balance()
            return exact(shown["free"].get(currency) or 0)

        return await self._answered("the free balance", ask)

    async def candles(self, symbol: str, length: int, since: int) -> Sequence[Candle]:
        async def ask() -> Sequence[Candle]:
            timeframe = self._timeframe(length)
            rows = await self._client.fetch_ohlcv(symbol, timeframe, since, _BARS)
            return [_candle(row, length) for row in rows]

        return await self._answered(f"the bars of {symbol}", ask)

    def _timeframe(self, length: int) -> str:
        for timeframe in self._client.timeframes:
            if self._client.parse_timeframe(timeframe) * 1_000 == length:
                return str(timeframe)
        known = ", ".join(self._client.timeframes)
        raise ConfigError(f"TIMEFRAME: {self.name} has no bars of {length // 1000} s; it has {known}.")

    async def _answered(self, what: str, ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        try:
            return await ask()
        except ConfigError:
            raise
        except Exception as error:
            # ccxt raises plain TypeErrors and KeyErrors too, at answers that it does not expect.
            told = self._credentials.scrub(f"{type(error).__name__}: {error}")[:_LONGEST_MESSAGE]
            raise GatewayError(f"{self.name}: {what} cannot be read: {told}") from None

    async def watch(self, live_orders: LiveOrders) -> None:
        changes = self._wire.changed_orders if self._wire.has_stream else None
        await OrderFeed(self.gateway, self._clock, live_orders, changes).run()

    async def close(self) -> None:
        await self._wire.close()


def _candle(row: Sequence[Any], length: int) -> Candle:
    opened, high, low, close, volume = (exact(cell) for cell in row[1:6])
    return Candle(int(row[0]), opened, high, low, close, volume, length)
