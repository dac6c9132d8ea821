"""What binance's answers look like: names, order and formats of their fields. Numbers are strings of 8 decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.exchange.gateway import ExchangeTrade, Market, OrderState, OrderStatus, OrderType, Side
from engine.exchange.paper_store import BookOrder
from engine.market_data.candles import Candle
from engine.venue.markets import market_id
from engine.venue.settings import Limits
from engine.venue.venue import Holding

Body = dict[str, Any]

TRADES_PER_ORDER = 100_000
_MOST = "9000000.00000000"
_ZERO = Decimal(0)


def number(value: Decimal) -> str:
    """The value with binance's 8 decimals."""
    return f"{value:.8f}"


def trade_number(order: BookOrder, nth: int) -> int:
    """Binance's trades have whole numbers, unique within a symbol."""
    return order.seq * TRADES_PER_ORDER + nth


def status_of(state: OrderState, order: BookOrder) -> str:
    """Binance's word for the order's status."""
    if state.status is OrderStatus.OPEN:
        return "PARTIALLY_FILLED" if state.filled else "NEW"
    if state.status is OrderStatus.CANCELED and order.request.type is OrderType.MARKET:
        return "EXPIRED"
    return state.status.value.upper()


def exchange_info(server_time: int, markets: Iterable[tuple[Market, bool]], limits: Limits) -> Body:
    """Rules of the venue; each market with whether it trades."""
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": most}
            for kind, interval, count, most in (
                ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight),
                ("ORDERS", "SECOND", 10, limits.orders_10s),
                ("ORDERS", "DAY", 1, limits.orders_day),
            )
            if most
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(market, trades) for market, trades in markets],
    }


def _symbol(market: Market, trades: bool) -> Body:
    tick, step, least = (number(value) for value in (market.price_tick, market.amount_step, market.min_amount))
    return {
        "symbol": market_id(market.symbol),
        "status": "TRADING" if trades else "HALT",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": _MOST, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": least, "maxQty": _MOST, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": least, "maxQty": _MOST, "stepSize": step},
            {
                "filterType": "NOTIONAL",
                "minNotional": number(market.min_notional),
                "applyMinToMarket": True,
                "maxNotional": _MOST,
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def order_body(order: BookOrder, state: OrderState, skew: int) -> Body:
    """An order as GET order and the lists show it."""
    return {
        **_order_head(order),
        "clientOrderId": order.request.client_order_id,
        **_order_rest(order, state),
        "stopPrice": number(_ZERO),
        "icebergQty": number(_ZERO),
        "time": order.accepted_at + skew,
        "updateTime": state.updated_at + skew,
        "isWorking": True,
        "workingTime": order.accepted_at + skew,
        "origQuoteOrderQty": number(_ZERO),
        "selfTradePreventionMode": "NONE",
    }


def placed(order: BookOrder, state: OrderState, kind: str, skew: int) -> Body:
    """The answer to POST order: `kind` is ACK, RESULT or FULL."""
    body = {
        **_order_head(order),
        "clientOrderId": order.request.client_order_id,
        "transactTime": order.accepted_at + skew,
    }
    if kind == "ACK":
        return body
    body |= _order_rest(order, state)
    body |= {"workingTime": order.accepted_at + skew, "selfTradePreventionMode": "NONE"}
    if kind == "FULL":
        body["fills"] = [
            {
                "price": number(trade.price),
                "qty": number(trade.qty),
                "commission": number(trade.fee),
                "commissionAsset": trade.fee_currency,
                "tradeId": trade_number(order, nth),
            }
            for nth, trade in enumerate(state.trades, 1)
        ]
    return body


def canceled(order: BookOrder, state: OrderState, own_id: str, skew: int) -> Body:
    """The answer to DELETE order; `own_id` is the id of the cancel itself."""
    return {
        **_order_head(order),
        "origClientOrderId": order.request.client_order_id,
        "clientOrderId": own_id,
        "transactTime": state.updated_at + skew,
        **_order_rest(order, state),
        "selfTradePreventionMode": "NONE",
    }


def _order_head(order: BookOrder) -> Body:
    return {"symbol": market_id(order.request.symbol), "orderId": order.seq, "orderListId": -1}


def _order_rest(order: BookOrder, state: OrderState) -> Body:
    request = order.request
    return {
        "price": number(request.price or _ZERO),
        "origQty": number(request.amount),
        "executedQty": number(state.filled),
        "cummulativeQuoteQty": number(sum((trade.qty * trade.price for trade in state.trades), _ZERO)),
        "status": status_of(state, order),
        "timeInForce": "GTC",
        "type": request.type.value.upper(),
        "side": request.side.value.upper(),
    }


def trade_body(order: BookOrder, nth: int, trade: ExchangeTrade, skew: int) -> Body:
    """An entry of myTrades."""
    maker = order.request.price is not None and trade.at != order.accepted_at
    return {
        "symbol": market_id(order.request.symbol),
        "id": trade_number(order, nth),
        "orderId": order.seq,
        "orderListId": -1,
        "price": number(trade.price),
        "qty": number(trade.qty),
        "quoteQty": number(trade.qty * trade.price),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_currency,
        "time": trade.at + skew,
        "isBuyer": order.request.side is Side.BUY,
        "isMaker": maker,
        "isBestMatch": True,
    }


def execution_report(order: BookOrder, state: OrderState, now: int, skew: int) -> Body:
    """A report of the user data stream: what happened to the order last, and how it stands."""
    request = order.request
    canceled = state.status is OrderStatus.CANCELED
    last = None if canceled or not state.trades else state.trades[-1]
    maker = last is not None and request.price is not None and last.at != order.accepted_at
    own_id = f"cancel-{order.seq}" if canceled else request.client_order_id
    status = status_of(state, order)
    return {
        "e": "executionReport",
        "E": now,
        "s": market_id(request.symbol),
        "c": own_id,
        "S": request.side.value.upper(),
        "o": request.type.value.upper(),
        "f": "GTC",
        "q": number(request.amount),
        "p": number(request.price or _ZERO),
        "P": number(_ZERO),
        "F": number(_ZERO),
        "g": -1,
        "C": request.client_order_id if canceled else "",
        "x": status if canceled else "NEW" if last is None else "TRADE",
        "X": status,
        "r": "NONE",
        "i": order.seq,
        "l": number(last.qty if last else _ZERO),
        "z": number(state.filled),
        "L": number(last.price if last else _ZERO),
        "n": number(last.fee) if last else "0",
        "N": last.fee_currency if last else None,
        "T": state.updated_at + skew,
        "t": trade_number(order, len(state.trades)) if last else -1,
        "I": order.seq,
        "w": state.status is OrderStatus.OPEN and last is None,
        "m": maker,
        "M": False,
        "O": order.accepted_at + skew,
        "Z": number(sum((trade.qty * trade.price for trade in state.trades), _ZERO)),
        "Y": number(last.qty * last.price if last else _ZERO),
        "Q": number(_ZERO),
        "W": order.accepted_at + skew,
        "V": "NONE",
    }


def account_position(holdings: Mapping[str, Holding], at: int) -> Body:
    """The stream's word on the balances."""
    return {
        "e": "outboundAccountPosition",
        "E": at,
        "u": at,
        "B": [{"a": name, "f": number(held.free), "l": number(held.locked)} for name, held in holdings.items()],
    }


def account_body(updated_at: int, holdings: Mapping[str, Holding], fee: Decimal) -> Body:
    """The answer to GET account."""
    rate = number(fee)
    return {
        "makerCommission": int(fee * 10_000),
        "takerCommission": int(fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": rate, "taker": rate, "buyer": number(_ZERO), "seller": number(_ZERO)},
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": updated_at,
        "accountType": "SPOT",
        "balances": [
            {"asset": currency, "free": number(held.free), "locked": number(held.locked)}
            for currency, held in holdings.items()
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def kline(bar: Candle) -> list[Any]:
    """A bar as klines have it."""
    quote = bar.volume * bar.close
    return [
        bar.opened_at,
        *(number(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)),
        bar.closed_at - 1,
        number(quote),
        100,
        number(bar.volume / 2),
        number(quote / 2),
        "0",
    ]
