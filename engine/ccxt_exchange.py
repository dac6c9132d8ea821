"""A real exchange as a live bot sees it: orders by the claim protocol, bars and clock, through ccxt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import HISTORY_PAGE, CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import GatewayError, Market, OrderState, Unknown
from engine.exchange.history import Execution, History
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_feed import LiveOrders, OrderFeed
from engine.exchange.server_clock import ServerClock, monotonic
from engine.exchange.wire import Failed, Ticker
from engine.market_data.candles import Candle
from engine.market_data.tape import Flights, Tape
from runtime.clock import Clock
from runtime.errors import ConfigError

_MARKETS_KEPT = 60_000
"""How old (ms) may be what is read of the markets for the next account that starts."""
_SETTLING = 1_000
"""How long (ms) after its close a bar may still change, at most."""


class CcxtMarket:
    """What an exchange shows to everybody. It is asked for once, without any key, for all accounts of a process that
    trade there: their number costs neither requests nor memory.

    Args:
        url: the address of a venue on loopback, in place of the exchange's own.
    """

    def __init__(self, name: str, clock: Clock, *, sandbox: bool, url: str | None) -> None:
        exchange = exchange_named(name)
        self.name = name
        self._client: Any = open_client(exchange, None, sandbox=sandbox, endpoint=url, now=clock.now)
        self._wire = CcxtWire(exchange, self._client)
        self._clock = clock
        self._rules: Mapping[str, Market] = {}
        self._read_at = 0
        self._flights: Flights[Mapping[str, Market] | Failed] = Flights()
        self._tapes: dict[tuple[str, int], Tape[Failed]] = {}

    async def lend(self, client: Any) -> Mapping[str, Market] | Failed:
        """Give `client` the markets, and return their rules; what was read a minute ago will do."""
        if not self._rules or self._clock.now() > self._read_at + _MARKETS_KEPT:
            answer = await self._flights.ask("markets", self._wire.markets)
            if isinstance(answer, Failed):
                return answer
            self._rules, self._read_at = answer, self._clock.now()
        client.set_markets_from_exchange(self._client)
        return self._rules

    async def candles(self, symbol: str, length: int, since: int, now: int) -> Sequence[Candle] | Failed:
        """Bars of `length` ms that opened at `since` or later; `now` is the present by the exchange's clock."""
        timeframe = timeframe_of(self._client, self.name, length)
        tape = self._tapes.get((symbol, length))
        if tape is None:

            async def read(begin: int) -> Sequence[Candle] | Failed:
                return await self._wire.candles(symbol, timeframe, length, begin)

            tape = self._tapes[symbol, length] = Tape(read, length, min(_SETTLING, length // 10))
        return await tape.since(since, now)

    async def close(self) -> None:
        await self._wire.close()


class CcxtExchange:
    """`LiveExchange` over ccxt.

    Args:
        url: the address of a venue on loopback, in place of the exchange's own.
        may_send: as `ClaimedGateway` takes it.
        market: what is shared with other accounts; it outlives this one. By default all is asked for here.
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
        market: CcxtMarket | None = None,
    ) -> None:
        exchange = exchange_named(name)
        self.name = name
        self._client: Any = open_client(exchange, credentials, sandbox=sandbox, endpoint=url, now=clock.now)
        self._market = market
        self._wire = CcxtWire(exchange, self._client, credentials, None if market is None else market.lend)
        self._clock = clock
        self._has_history = exchange.history
        self._open_at_once = exchange.open_at_once
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

    async def candles(self, symbol: str, length: int, since: int, now: int) -> Sequence[Candle]:
        timeframe, market = timeframe_of(self._client, self.name, length), self._market

        async def ask() -> Sequence[Candle] | Failed:
            if market is None:
                return await self._wire.candles(symbol, timeframe, length, since)
            return await market.candles(symbol, length, since, now)

        return await self.gateway.read(ask, f"the bars of {symbol}")

    async def ticker(self, symbol: str) -> Ticker:
        """What the market of `symbol` shows at the moment. Raises GatewayError."""
        return await self.gateway.read(lambda: self._wire.ticker(symbol), f"the ticker of {symbol}")

    async def news(self, symbol: str, since: int) -> Sequence[Execution] | None:
        if not self._has_history:
            return None
        history = self._histories.setdefault(symbol, History(self._wire, symbol, since, HISTORY_PAGE))
        return await self.gateway.read(history.news, f"the trades of {symbol}")

    async def open_orders(self, symbols: Collection[str]) -> Mapping[str, Sequence[OrderState]] | None:
        if self._open_at_once is None or len(symbols) < self._open_at_once:
            return None
        found: dict[str, list[OrderState]] = {symbol: [] for symbol in symbols}
        for order in await self.gateway.read(lambda: self._wire.open_orders(None), "the open orders"):
            if order.symbol in found:
                state = await self.gateway.with_trades(order.symbol, order)
                if isinstance(state, Unknown):
                    del found[order.symbol]
                else:
                    found[order.symbol].append(state)
        return found

    async def watch(self, live_orders: LiveOrders) -> None:
        changes = self._changes if self._wire.has_stream else None
        await OrderFeed(self.gateway, self._clock, live_orders, changes).run()

    async def _changes(self) -> Sequence[str] | Failed:
        # A stream is not begun either while the exchange wants a pause.
        await self._clock.sleep_until(self.gateway.paused_until)
        return await self._wire.changed_orders()

    async def close(self) -> None:
        await self._wire.close()


def timeframe_of(client: Any, name: str, length: int) -> str:
    """What the exchange calls bars of `length` ms. Raises ConfigError where it has none."""
    for timeframe in client.timeframes:
        if client.parse_timeframe(timeframe) * 1_000 == length:
            return str(timeframe)
    known = ", ".join(client.timeframes)
    raise ConfigError(f"TIMEFRAME: {name} has no bars of {length // 1000} s; it has {known}.")
