"""The endpoints of the spot API: parameters in, a body out. Nothing here knows of sockets, keys or faults."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

from engine.exchange.gateway import Market, OrderRequest, OrderStatus, OrderType, Side
from engine.exchange.paper_store import BookOrder
from engine.market_data.candles import Candle
from engine.venue import bodies
from engine.venue.codes import VenueError, illegal, mandatory
from engine.venue.settings import VenueSettings
from engine.venue.signature import window_of
from engine.venue.venue import Venue

Params = Mapping[str, str]
Handler = Callable[["Api", Params], Any]

_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_WHOLE = r"^[0-9]{1,18}$"
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_SIGNED = {"timestamp", "recvWindow", "signature"}
_ORDER_PARAMS = _SIGNED | {
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "newOrderRespType",
    "selfTradePreventionMode",
    "strategyId",
    "strategyType",
    "computeCommissionRates",
}
_UNSUPPORTED = {"stopPrice", "trailingDelta", "icebergQty", "pegPriceType", "pegOffsetValue", "pegOffsetType"}
_INTERVALS = {
    f"{count}{unit}": count * size
    for unit, size, counts in (
        ("s", 1_000, (1,)),
        ("m", 60_000, (1, 3, 5, 15, 30)),
        ("h", 3_600_000, (1, 2, 4, 6, 8, 12)),
        ("d", 86_400_000, (1, 3)),
    )
    for count in counts
}
_DAY = 86_400_000


class Endpoint(msgspec.Struct, frozen=True):
    """`weight` with a symbol and without one (where these differ); `secured` says what a request must carry."""

    method: str
    path: str
    handler: Handler
    weight: int = 1
    weight_of_all: int | None = None
    secured: str = ""
    """"" anyone, "key" the API key, "signed" key, timestamp and signature."""
    is_order: bool = False

    @property
    def kind(self) -> str:
        """How scripts call it: POST order."""
        return f"{self.method} {self.path.split('/', 3)[-1]}"

    def cost(self, params: Params) -> int:
        """The request weight of one call."""
        return self.weight if self.weight_of_all is None or "symbol" in params else self.weight_of_all


class Api:
    """What the endpoints answer. Every method can raise VenueError."""

    def __init__(self, venue: Venue, settings: VenueSettings) -> None:
        self._venue = venue
        self._settings = settings

    # --- general ----------------------------------------------------------------------------------------------

    def ping(self, params: Params) -> Any:
        return {}

    def time(self, params: Params) -> Any:
        return {"serverTime": self._venue.server_time()}

    def exchange_info(self, params: Params) -> Any:
        names = list(self._venue.markets.by_name)
        if "symbol" in params:
            names = [params["symbol"]]
        elif "symbols" in params:
            names = _names(params["symbols"])
        markets = [self._venue.markets.market(name) for name in names]
        with_state = [(market, not self._venue.markets.is_halted(market.symbol)) for market in markets]
        return bodies.exchange_info(self._venue.server_time(), with_state, self._settings.limits)

    def nothing(self, params: Params) -> Any:
        return []

    # --- orders -----------------------------------------------------------------------------------------------

    def place(self, params: Params) -> Any:
        market = self._market(params)
        if unread := set(params) & _UNSUPPORTED:
            raise VenueError(-1020, f"This venue does not know '{sorted(unread)[0]}'.")
        if unread := set(params) - _ORDER_PARAMS:
            read = len(params) - len(unread)
            raise VenueError(
                -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(params)}'."
            )
        order, post_only = self._order(market, params)
        if self._venue.markets.is_halted(market.symbol):
            raise VenueError(-1013, "Market is closed.")
        self._check_filters(market, order)
        if post_only and order.price is not None:
            last = self._venue.last_price(market, order.side)
            if (last <= order.price) if order.side is Side.BUY else (last >= order.price):
                raise VenueError(-2010, "Order would immediately match and take.")
        kind = params.get("newOrderRespType", "FULL")
        if kind not in ("ACK", "RESULT", "FULL"):
            raise illegal("newOrderRespType", "ACK, RESULT, FULL")
        placed = self._venue.place(order, window_of(params)[0])
        return bodies.placed(placed, _now(placed), kind, self._venue.skew)

    def _order(self, market: Market, params: Params) -> tuple[OrderRequest, bool]:
        side, kind = _required(params, "side"), _required(params, "type")
        if side not in ("BUY", "SELL"):
            raise VenueError(-1117)
        if kind not in ("LIMIT", "LIMIT_MAKER", "MARKET"):
            raise VenueError(-1116)
        limit = kind != "MARKET"
        if kind == "LIMIT" and _required(params, "timeInForce") != "GTC":
            raise VenueError(-1115)
        if not limit and ("price" in params or "timeInForce" in params):
            name = "price" if "price" in params else "timeInForce"
            raise VenueError(-1106, f"Parameter '{name}' sent when not required.")
        price = _decimal(params, "price") if limit else None
        if not limit and "quoteOrderQty" in params:
            if "quantity" in params:
                raise VenueError(-1128)
            cost = self._venue.last_price(market, Side(side.lower()))
            steps = (_decimal(params, "quoteOrderQty") / cost / market.amount_step).to_integral_value(ROUND_DOWN)
            quantity = steps * market.amount_step
        else:
            quantity = _decimal(params, "quantity")
        client_order_id = params.get("newClientOrderId") or secrets.token_urlsafe(16).replace("_", "-")
        if not re.fullmatch(_CLIENT_ID, client_order_id):
            raise illegal("newClientOrderId", _CLIENT_ID)
        order = OrderRequest(
            client_order_id=client_order_id,
            symbol=market.symbol,
            side=Side(side.lower()),
            type=OrderType.LIMIT if limit else OrderType.MARKET,
            amount=quantity,
            price=price,
        )
        return order, kind == "LIMIT_MAKER"

    def _check_filters(self, market: Market, order: OrderRequest) -> None:
        price = order.price
        most = Decimal(9_000_000)
        if price is not None and (price < market.price_tick or price > most or price % market.price_tick):
            raise VenueError(-1013, "Filter failure: PRICE_FILTER")
        if order.amount < market.min_amount or order.amount > most or order.amount % market.amount_step:
            raise VenueError(-1013, "Filter failure: LOT_SIZE")
        worth = order.amount * (self._venue.last_price(market, order.side) if price is None else price)
        if worth < market.min_notional:
            raise VenueError(-1013, "Filter failure: NOTIONAL")

    def look_up(self, params: Params) -> Any:
        order = self._found(params)
        state = None if order is None else self._venue.view(order)
        if order is None or state is None:
            raise VenueError(-2013)
        return bodies.order_body(order, state, self._venue.skew)

    def cancel(self, params: Params) -> Any:
        order = self._found(params)
        if order is None:
            raise VenueError(-2011)
        own_id = params.get("newClientOrderId") or secrets.token_urlsafe(16)
        after = self._venue.cancel(order, window_of(params)[0])
        return bodies.canceled(after, _now(after), own_id, self._venue.skew)

    def _found(self, params: Params) -> BookOrder | None:
        market = self._market(params)
        order_id = _whole(params, "orderId")
        client_order_id = params.get("origClientOrderId")
        if order_id is None and not client_order_id:
            raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        return self._venue.find(market.symbol, order_id, client_order_id)

    def open_orders(self, params: Params) -> Any:
        symbol = self._market(params).symbol if "symbol" in params else None
        # An order that has just closed may still be shown as open: the list is behind.
        return self._listed(self._venue.recent_orders(symbol), only_open=True)

    def all_orders(self, params: Params) -> Any:
        market = self._market(params)
        self._venue.present()
        found = self._listed(self._venue.exchange.orders_on(market.symbol), only_open=False)
        return _page(found, params, "time", "orderId", _whole(params, "orderId"))

    def _listed(self, orders: list[BookOrder], only_open: bool) -> list[bodies.Body]:
        listed = []
        for order in orders:
            state = self._venue.list_view(order)
            if state is not None and (state.status is OrderStatus.OPEN or not only_open):
                listed.append(bodies.order_body(order, state, self._venue.skew))
        return listed

    def my_trades(self, params: Params) -> Any:
        market = self._market(params)
        order_id = _whole(params, "orderId")
        self._venue.present()
        if order_id is None:
            orders = self._venue.exchange.orders_on(market.symbol)
        else:
            one = self._venue.find(market.symbol, order_id, None)
            orders = [] if one is None else [one]
        found = [
            bodies.trade_body(order, nth, trade, self._venue.skew)
            for order in orders
            for nth, trade in self._venue.trades_view(order)
        ]
        found.sort(key=lambda trade: (trade["time"], trade["id"]))
        return _page(found, params, "time", "id", _whole(params, "fromId"))

    def account(self, params: Params) -> Any:
        since, holdings = self._venue.account_view()
        if params.get("omitZeroBalances") == "true":
            holdings = {currency: held for currency, held in holdings.items() if held.free or held.locked}
        return bodies.account_body(since + self._venue.skew, holdings, self._settings.fee)

    # --- market data ------------------------------------------------------------------------------------------

    def klines(self, params: Params) -> Any:
        market = self._market(params)
        length = _INTERVALS.get(_required(params, "interval"))
        if length is None:
            raise VenueError(-1120)
        now = self._venue.present()
        count = min(_whole(params, "limit") or 500, 1_000)
        begin, end = _whole(params, "startTime"), _whole(params, "endTime")
        end = now if end is None else min(end, now)
        begin = (end // length - count + 1) * length if begin is None else -(-begin // length) * length
        end = min(end, begin + (count - 1) * length)
        bars = (self._bar(market, at, length, now) for at in range(begin, end + 1, length))
        return [bodies.kline(bar) for bar in bars if bar is not None]

    def _bar(self, market: Market, opened_at: int, length: int, now: int) -> Candle | None:
        bars = self._venue.markets[market.symbol].bars(opened_at, min(opened_at + length, now + 1))
        if not bars:
            return None
        return Candle(
            opened_at,
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            self._venue.last_price(market) if bars[-1].closed_at > now else bars[-1].close,
            sum((bar.volume for bar in bars), Decimal(0)),
            length,
        )

    def ticker_24hr(self, params: Params) -> Any:
        return self._tickers(params, self._day)

    def ticker_price(self, params: Params) -> Any:
        return self._tickers(params, lambda market: {"price": bodies.number(self._venue.last_price(market))})

    def book_ticker(self, params: Params) -> Any:
        return self._tickers(params, self._best)

    def _tickers(self, params: Params, body: Callable[[Market], bodies.Body]) -> Any:
        if "symbol" in params:
            market = self._market(params)
            return {"symbol": params["symbol"]} | body(market)
        names = _names(params["symbols"]) if "symbols" in params else list(self._venue.markets.by_name)
        return [{"symbol": name} | body(self._venue.markets.market(name)) for name in names]

    def _best(self, market: Market) -> bodies.Body:
        bid, ask = self._venue.last_price(market, Side.SELL), self._venue.last_price(market, Side.BUY)
        depth = bodies.number(market.min_amount * 100_000)
        return {
            "bidPrice": bodies.number(bid),
            "bidQty": depth,
            "askPrice": bodies.number(max(ask, bid + market.price_tick)),
            "askQty": depth,
        }

    def _day(self, market: Market) -> bodies.Body:
        now = self._venue.present()
        last = self._venue.last_price(market)
        # From the bars at hand: a whole day of minutes for each ticker would be more than anyone looks at.
        hour = self._bar(market, now - 3_600_000, 3_600_000, now)
        opened, high, low, volume = (
            (last, last, last, Decimal(0)) if hour is None else (hour.open, hour.high, hour.low, hour.volume * 24)
        )
        change = last - opened
        return {
            "priceChange": bodies.number(change),
            "priceChangePercent": f"{change / opened * 100:.3f}",
            "weightedAvgPrice": bodies.number((opened + last) / 2),
            "prevClosePrice": bodies.number(opened),
            "lastPrice": bodies.number(last),
            "lastQty": bodies.number(market.min_amount),
            **self._best(market),
            "openPrice": bodies.number(opened),
            "highPrice": bodies.number(max(high, last)),
            "lowPrice": bodies.number(min(low, last)),
            "volume": bodies.number(volume),
            "quoteVolume": bodies.number(volume * last),
            "openTime": now - _DAY,
            "closeTime": now,
            "firstId": 1,
            "lastId": 1,
            "count": 1,
        }

    def depth(self, params: Params) -> Any:
        market = self._market(params)
        best = self._best(market)
        levels = min(_whole(params, "limit") or 100, 100)
        bid, ask = Decimal(best["bidPrice"]), Decimal(best["askPrice"])
        tick = market.price_tick
        return {
            "lastUpdateId": self._venue.present(),
            "bids": [[bodies.number(bid - n * tick), best["bidQty"]] for n in range(levels) if bid - n * tick > 0],
            "asks": [[bodies.number(ask + n * tick), best["askQty"]] for n in range(levels)],
        }

    def _market(self, params: Params) -> Market:
        return self._venue.markets.market(_required(params, "symbol"))


ENDPOINTS = (
    Endpoint("GET", "/api/v3/ping", Api.ping),
    Endpoint("GET", "/api/v3/time", Api.time),
    Endpoint("GET", "/api/v3/exchangeInfo", Api.exchange_info, 20),
    Endpoint("POST", "/api/v3/order", Api.place, 1, secured="signed", is_order=True),
    Endpoint("GET", "/api/v3/order", Api.look_up, 4, secured="signed"),
    Endpoint("DELETE", "/api/v3/order", Api.cancel, 1, secured="signed"),
    Endpoint("GET", "/api/v3/openOrders", Api.open_orders, 6, 80, secured="signed"),
    Endpoint("GET", "/api/v3/allOrders", Api.all_orders, 20, secured="signed"),
    Endpoint("GET", "/api/v3/myTrades", Api.my_trades, 20, secured="signed"),
    Endpoint("GET", "/api/v3/account", Api.account, 20, secured="signed"),
    Endpoint("GET", "/api/v3/klines", Api.klines, 2),
    Endpoint("GET", "/api/v3/ticker/24hr", Api.ticker_24hr, 2, 80),
    Endpoint("GET", "/api/v3/ticker/price", Api.ticker_price, 2, 4),
    Endpoint("GET", "/api/v3/ticker/bookTicker", Api.book_ticker, 2, 4),
    Endpoint("GET", "/api/v3/depth", Api.depth, 5),
    # ccxt asks for these while it loads the markets, unless it is told not to.
    Endpoint("GET", "/sapi/v1/capital/config/getall", Api.nothing, 10, secured="signed"),
    Endpoint("GET", "/sapi/v1/margin/allPairs", Api.nothing, 1, secured="key"),
    Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", Api.nothing, 10, secured="key"),
)


def _now(order: BookOrder) -> Any:
    state = order.state(1 << 62)
    assert state is not None
    return state


def _required(params: Params, name: str) -> str:
    value = params.get(name)
    if not value:
        raise mandatory(name)
    return value


def _decimal(params: Params, name: str) -> Decimal:
    text = _required(params, name)
    if not re.fullmatch(_NUMBER, text):
        raise illegal(name, _NUMBER)
    return Decimal(text)


def _whole(params: Params, name: str) -> int | None:
    text = params.get(name)
    if not text:
        return None
    if not re.fullmatch(_WHOLE, text):
        raise illegal(name, _WHOLE)
    return int(text)


def _names(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise illegal("symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$') from None


def _page(rows: list[bodies.Body], params: Params, time: str, number: str, first: int | None) -> list[bodies.Body]:
    """The rows between startTime and endTime or from number `first` on: the earliest, else the latest `limit`."""
    begin, end = _whole(params, "startTime"), _whole(params, "endTime")
    count = min(_whole(params, "limit") or 500, 1_000)
    if first is not None:
        return [row for row in rows if row[number] >= first][:count]
    kept = [row for row in rows if (begin is None or row[time] >= begin) and (end is None or row[time] <= end)]
    return kept[:count] if begin is not None else kept[-count:]
