"""A `Wire` through ccxt: each method is one question, and what came back is told as it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from engine.exchange.answers import complaint, holds_list, retry_after
from engine.exchange.capabilities import Exchange, Expiry, LookUp, Trades
from engine.exchange.ccxt_client import OBSERVED, PINNED, Observation, Pin
from engine.exchange.ccxt_replies import Unreadable, candle, exact, exchange_trade, market_rules, ticker, wire_order
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderType, Side
from engine.exchange.history import Execution
from engine.exchange.key_rights import KeyRights, read_rights
from engine.exchange.wire import Cause, Failed, Reply, Ticker, WireOrder
from engine.market_data.candles import Candle

AnswerT = TypeVar("AnswerT")
Lend = Callable[[Any], Awaitable[Mapping[str, Market] | Failed]]
"""Gives a ccxt client the markets as another one has read them, and returns their rules."""

_PAGE = 1_000
HISTORY_PAGE = _PAGE
_BARS = 500
_LIST_LAG = 3.0
"""Seconds after which a list of closed orders is read once more: an order that fills between the reading of the open
and the closed ones may be in neither for a moment."""
_LONGEST_MESSAGE = 200
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_BY_THE_CLOCK = (Expiry.PARAMETERS, Expiry.HEADERS, Expiry.EXP_TIME)
_DISAGREED = ("-1021", "10002", "50102")
"""Codes by which binance, bybit and okx refuse a timestamp."""


class UnsayableOrder(Exception):  # noqa: N818
    """The order cannot be sent as it is meant."""


class CcxtWire:
    """One account, by a client of `ccxt_client.open_client`.

    Args:
        lend: gives the client the markets that others have read; by default it reads its own.
    """

    def __init__(
        self, exchange: Exchange, client: Any, credentials: Credentials | None = None, lend: Lend | None = None
    ) -> None:
        self.name = exchange.name
        self.max_window = exchange.max_window
        self._exchange = exchange
        self._client = client
        # What is asked without a key carries no stamp.
        self._clock_agreed = credentials is None
        self._lend = lend
        self._scrub: Callable[[str], str] = Credentials("", "").scrub if credentials is None else credentials.scrub

    async def close(self) -> None:
        await self._client.close()

    # --- reads ------------------------------------------------------------------------------------------------

    async def server_time(self) -> int | Failed:
        async def ask() -> int:
            shown = await self._client.fetch_time()
            if not isinstance(shown, int):
                raise Unreadable("the exchange's clock")
            if self._exchange.expiry in _BY_THE_CLOCK:
                # ccxt stamps whatever carries no claim with its own clock less this.
                self._client.options["timeDifference"] = self._client.milliseconds() - shown
            self._clock_agreed = True
            return shown

        return await self._observed(ask)

    async def markets(self) -> Mapping[str, Market] | Failed:
        if self._lend is not None:
            return await self._lend(self._client)

        async def ask() -> Mapping[str, Market]:
            markets = await self._client.load_markets(True)
            if not markets:
                raise Unreadable("a list of markets")
            rules = (market_rules(self._client, self._exchange, market) for market in markets.values())
            return {market.symbol: market for market in rules if market is not None}

        return await self._observed(ask)

    async def balances(self) -> Mapping[str, Decimal] | Failed:
        async def ask() -> Mapping[str, Decimal]:
            shown = await self._client.fetch_balance()
            return _told("balances", shown["total"])

        return await self._known(ask)

    async def free(self) -> Mapping[str, Decimal] | Failed:
        """What no order locks, by currency."""

        async def ask() -> Mapping[str, Decimal]:
            shown = await self._client.fetch_balance()
            return _told("free balances", shown["free"])

        return await self._known(ask)

    async def rights(self) -> KeyRights | Failed:
        """What the key may do, as far as the exchange says so."""
        is_real = self._client.moved is None and not self._client.isSandboxModeEnabled
        return await self._known(lambda: read_rights(self._client, self.name, is_real=is_real))

    async def candles(self, symbol: str, timeframe: str, length: int, since: int) -> Sequence[Candle] | Failed:
        """Bars of `length` ms that opened at `since` or later, one page of them; the last one may still be open."""

        async def ask() -> Sequence[Candle]:
            rows = await self._client.fetch_ohlcv(symbol, timeframe, since, _BARS)
            return [candle(row, length) for row in rows]

        return await self._known(ask)

    async def ticker(self, symbol: str) -> Ticker | Failed:
        """What the market of `symbol` shows at the moment."""

        async def ask() -> Ticker:
            return ticker(await self._client.fetch_ticker(symbol))

        return await self._known(ask)

    async def open_orders(self, symbol: str | None) -> Sequence[WireOrder] | Failed:
        """Those on `symbol`; None is on all, which is whole where the exchange's table says so."""

        async def ask() -> Sequence[WireOrder]:
            orders = await self._client.fetch_open_orders(symbol)
            _require_list(self.name, "open orders")
            return [wire_order(order) for order in orders]

        return await self._known(ask)

    async def orders_page(self, symbol: str, since: int, first: int | None) -> Sequence[WireOrder] | Failed:
        """HISTORY_PAGE orders of the account from `since` on, or from the one with number `first` on."""

        async def ask() -> Sequence[WireOrder]:
            begin, params = (since, {}) if first is None else (None, {"orderId": str(first)})
            orders = await self._client.fetch_orders(symbol, begin, HISTORY_PAGE, params)
            _require_list(self.name, "the orders of the account")
            return [wire_order(order) for order in orders]

        return await self._known(ask)

    async def executions_page(self, symbol: str, since: int, first: int | None) -> Sequence[Execution] | Failed:
        """HISTORY_PAGE trades of the account from `since` on, or from the one with number `first` on."""

        async def ask() -> Sequence[Execution]:
            begin, params = (since, {}) if first is None else (None, {"fromId": str(first)})
            rows = await self._client.fetch_my_trades(symbol, begin, HISTORY_PAGE, params)
            _require_list(self.name, "the trades of the account")
            return [Execution(exchange_trade(row), Side(row["side"]), str(row["order"])) for row in rows]

        return await self._known(ask)

    async def trades(self, symbol: str, exchange_order_id: str) -> Sequence[ExchangeTrade] | Failed:
        async def ask() -> Sequence[ExchangeTrade]:
            return [exchange_trade(trade) for trade in await self._all_trades(symbol, exchange_order_id)]

        return await self._known(ask)

    async def _all_trades(self, symbol: str, order_id: str) -> list[Any]:
        if self._exchange.trades is Trades.BY_TRADE_IDS:
            order = await self._client.fetch_order(order_id, symbol)
            ids = order["info"].get("trades") or []
            return list(await self._client.fetch_order_trades(order_id, symbol, None, None, {"trades": ids}))
        found: list[Any] = []
        params: dict[str, Any] = {}
        paged = self._exchange.expiry is Expiry.PARAMETERS
        while True:
            page = await self._client.fetch_order_trades(order_id, symbol, None, _PAGE if paged else None, params)
            found += page
            if not paged or len(page) < _PAGE:
                return found
            params = {"fromId": str(int(page[-1]["id"]) + 1)}

    async def order(self, symbol: str, client_order_id: str) -> Reply:
        params = {self._exchange.look_up_key: client_order_id}
        if self._exchange.look_up is LookUp.BY_ID:

            async def ask() -> WireOrder:
                return wire_order(await self._client.fetch_order(None, symbol, params))

            return await self._known(ask)
        if self._exchange.look_up is LookUp.NONE:
            return Failed(Cause.LOCAL, "NotSupported", message=f"{self.name} has no look-up by our order id")
        return await self._known(lambda: self._in_lists(symbol, client_order_id, params))

    async def _in_lists(self, symbol: str, client_order_id: str, params: dict[str, Any]) -> Reply:
        closed = "fetch_canceled_and_closed_orders" if self.name == "bybit" else "fetch_closed_orders"
        # Open ones first: what closes in between is in the list that is read later.
        for pause in (0.0, _LIST_LAG):
            await asyncio.sleep(pause)
            for lister in ("fetch_open_orders", closed):
                orders = await getattr(self._client, lister)(symbol, None, None, params)
                _require_list(self.name, "a list of orders")
                for order in orders:
                    if order.get("clientOrderId") == client_order_id:
                        return wire_order(order)
        return Failed(Cause.ABSENT, message="neither among the open nor among the closed orders")

    @property
    def has_stream(self) -> bool:
        """Whether ccxt can watch this exchange's orders."""
        return bool(self._client.has.get("watchOrders"))

    async def changed_orders(self) -> Sequence[str] | Failed:
        """Wait for the stream of the account's orders to say something; the client order ids that it names."""

        async def ask() -> Sequence[str]:
            orders = await self._client.watch_orders()
            return [order["clientOrderId"] for order in orders if order.get("clientOrderId")]

        return await self._known(ask)

    # --- orders -----------------------------------------------------------------------------------------------

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        async def ask() -> Reply:
            if not _PLAIN_ID.fullmatch(order.client_order_id):
                raise UnsayableOrder(f"{order.client_order_id!r} is no order id that every exchange takes")
            amount = self._said("amount", order.amount, self._client.amount_to_precision, order.symbol)
            price = None
            if order.price is not None:
                price = self._said("price", order.price, self._client.price_to_precision, order.symbol)
            params = {self._exchange.id_key: order.client_order_id, **self._expiry(timestamp, window)}
            if order.type is OrderType.MARKET and order.side is Side.BUY:
                params |= self._exchange.market_buy
            answer = await self._client.create_order(
                order.symbol, order.type.value, order.side.value, amount, price, params
            )
            return wire_order(answer)

        token = PINNED.set(Pin(timestamp, window))
        try:
            return await self._known(ask, order.client_order_id)
        finally:
            PINNED.reset(token)

    def _expiry(self, timestamp: int, window: int) -> dict[str, Any]:
        if self._exchange.expiry is Expiry.PARAMETERS:
            return {"timestamp": timestamp, "recvWindow": window}
        if self._exchange.expiry is Expiry.DEADLINE:
            at = datetime.fromtimestamp((timestamp + window) / 1_000, UTC)
            return {"deadline": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        return {}

    def _said(self, what: str, value: Decimal, in_steps: Callable[[str, str], str], symbol: str) -> str:
        """The number as ccxt will write it. ccxt rounds what is between two steps; an order is sent as it is or not."""
        text = format(value, "f")
        written = in_steps(symbol, text)
        if Decimal(written) != value:
            raise UnsayableOrder(f"{what} {text} is no multiple of the step of {symbol}; ccxt would send {written}")
        return text

    async def cancel(self, symbol: str, client_order_id: str) -> Reply:
        async def ask() -> Reply:
            params = {self._exchange.cancel_key: client_order_id}
            return wire_order(await self._client.cancel_order(None, symbol, params))

        return await self._known(ask, client_order_id)

    # --- observing --------------------------------------------------------------------------------------------

    async def _known(self, ask: Callable[[], Awaitable[AnswerT]], needle: str = "") -> AnswerT | Failed:
        """Ask something that needs the markets, and the exchange's clock, to be known."""
        if not self._client.markets:
            markets = await self.markets()
            if isinstance(markets, Failed):
                return Failed(Cause.LOCAL, markets.error, message=f"the markets cannot be read: {markets}")
        if not self._clock_agreed:
            await self.server_time()
        answer = await self._observed(ask, needle)
        if isinstance(answer, Failed) and answer.code in _DISAGREED:
            self._clock_agreed = False
        return answer

    async def _observed(self, ask: Callable[[], Awaitable[AnswerT]], needle: str = "") -> AnswerT | Failed:
        seen = Observation(needle)
        token = OBSERVED.set(seen)
        try:
            return await ask()
        except Exception as error:
            # ccxt raises plain TypeErrors and KeyErrors too, at answers that it does not expect.
            return self._failed(error, seen)
        finally:
            OBSERVED.reset(token)

    def _failed(self, error: Exception, seen: Observation) -> Failed:
        code, message = complaint(seen.body)
        if not message:
            message = str(error) if not seen.begun or isinstance(error, Unreadable) else _root(error)
        return Failed(
            cause=_cause(error, seen, code),
            error=type(error).__name__,
            status=seen.status,
            code=code,
            message=self._scrub(message)[:_LONGEST_MESSAGE],
            retry_after=retry_after(seen.headers),
        )


def _told(what: str, amounts: Mapping[str, Any]) -> Mapping[str, Decimal]:
    told = {name: exact(amount) for name, amount in amounts.items() if amount is not None}
    if not told:
        # ccxt makes no balances at all of an answer that is empty, cut or a web page.
        raise Unreadable(f"{what}; an account without any cannot be told from an answer that is cut short")
    return told


def _require_list(exchange: str, what: str) -> None:
    """Raise Unreadable unless the last answer holds a list in the exchange's own form: of anything else, such as a web
    page with status 200, ccxt makes an empty list, and an order that is in none would count as absent."""
    seen = OBSERVED.get()
    if seen is None or not holds_list(exchange, seen.body):
        raise Unreadable(what)


def _cause(error: Exception, seen: Observation, code: str | None) -> Cause:
    if not seen.begun:
        return Cause.LOCAL
    if seen.status is not None:
        refused = code is not None or seen.status >= 300
        return Cause.ANSWERED if refused else Cause.UNREADABLE
    if seen.traced and not seen.connected:
        return Cause.NOT_CONNECTED
    names = {kind.__name__ for kind in type(error).__mro__}
    return Cause.TIMEOUT if "RequestTimeout" in names or "TimeoutError" in names else Cause.RESET


def _root(error: BaseException) -> str:
    """The system's word on a failed connection. ccxt's own text has the whole request in it, signature and all."""
    cause = error.__cause__ or error
    told = getattr(cause, "strerror", None) or getattr(cause, "os_error", None)
    return f"{type(cause).__name__}{f': {told}' if told else ''}"
