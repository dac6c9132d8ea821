"""From ccxt's structures to ours, in exact numbers: the client is told to keep the exchange's own texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.exchange.capabilities import Exchange
from engine.exchange.gateway import ExchangeTrade, Market, Side
from engine.exchange.wire import Ticker, WireOrder
from engine.market_data.candles import Candle
from runtime.ledger import check_amount

_TICK_SIZE = 4
_ZERO = Decimal(0)
_NUMBER = re.compile(r"-?([0-9]{1,60}(\.[0-9]{0,60})?|\.[0-9]{1,60})([eE][-+]?[0-9]{1,3})?")
_MOST_DIGITS = 60
_LONGEST_SHOWN = 200


class Unreadable(Exception):  # noqa: N818
    """An answer that does not say what it should."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the answer does not hold {what}")


def exact(value: Any) -> Decimal:
    """A number, without trailing zeros. Raises Unreadable for a float (what it was before is lost), and for what no
    amount, price or step on an exchange can be."""
    if isinstance(value, Decimal):
        number = value
    elif type(value) is int or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        number = Decimal(value)
    else:
        raise Unreadable(f"an exact number, but {_shown(value)}")
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise Unreadable(f"a number that can be meant, but {_shown(value)}")
    text = format(number, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _exact_or_none(value: Any) -> Decimal | None:
    return None if value is None else exact(value)


def wire_order(order: Mapping[str, Any]) -> WireOrder:
    """What a reply says of an order."""
    side = order.get("side")
    stamps = (order.get("lastUpdateTimestamp"), order.get("lastTradeTimestamp"), order.get("timestamp"))
    filled = _exact_or_none(order.get("filled"))
    if filled is not None and filled < 0:
        raise Unreadable(f"an order with a filled amount, but {filled}")
    return WireOrder(
        exchange_order_id=order.get("id"),
        client_order_id=order.get("clientOrderId"),
        symbol=order.get("symbol"),
        side=Side(side) if side in ("buy", "sell") else None,
        status=order.get("status"),
        amount=_exact_or_none(order.get("amount")),
        filled=filled,
        updated_at=next((int(stamp) for stamp in stamps if stamp is not None), None),
    )


def exchange_trade(trade: Mapping[str, Any]) -> ExchangeTrade:
    """One execution. Its fee is in whatever currency the exchange took it.

    Raises:
        Unreadable: it lacks what a book needs.
    """
    fees = [fee for fee in (trade.get("fees") or [trade.get("fee")]) if fee and fee.get("cost") is not None]
    at = trade.get("timestamp")
    if not trade.get("id") or type(at) is not int or at <= 0 or len(fees) != 1 or not fees[0].get("currency"):
        raise Unreadable(f"a trade with an id, a time and one fee, but {_shown(dict(trade) | {'info': None})}")
    qty, price, fee = trade.get("amount"), trade.get("price"), fees[0]["cost"]
    read = ExchangeTrade(str(trade["id"]), exact(qty), exact(price), exact(fee), str(fees[0]["currency"]), at)
    told = f"trade {read.trade_id} of {_shown(qty)} at {_shown(price)}, fee {_shown(fee)} {read.fee_currency}"
    if read.qty <= 0 or read.price <= 0:
        raise Unreadable(f"a trade with a quantity and a price above zero, but {told}")
    for name in ("qty", "price", "fee"):
        try:
            check_amount(getattr(read, name), name)
        except ValueError as error:
            raise Unreadable(f"a trade that can be booked, but {told}: {error}") from None
    return read


def ticker(shown: Mapping[str, Any]) -> Ticker:
    """Prices of the moment. Raises Unreadable where there is none at all."""
    found = Ticker(*(_price_or_none(shown.get(name)) for name in ("last", "bid", "ask")))
    if found.last is found.bid is found.ask is None:
        raise Unreadable("a price")
    return found


def _price_or_none(value: Any) -> Decimal | None:
    price = _exact_or_none(value)
    if price is not None and price < 0:
        raise Unreadable(f"a price, but {price}")
    # An empty side of the book is shown as zero.
    return price or None


def candle(row: Sequence[Any], length: int) -> Candle:
    """A bar of `length` milliseconds."""
    opened, high, low, close, volume = (exact(cell) for cell in row[1:6])
    if min(opened, high, low, close) <= 0:
        raise Unreadable(f"prices above zero, but the bar {_shown(row)}")
    return Candle(int(row[0]), opened, high, low, close, volume, length)


def market_rules(client: Any, exchange: Exchange, market: Mapping[str, Any]) -> Market | None:
    """The rules of a spot market, or None for any other."""
    if not market.get("spot"):
        return None
    precision, limits = market["precision"], market["limits"]
    step, tick = (_step(client, precision.get(name)) for name in ("amount", "price"))
    if step is None or tick is None:
        return None
    return Market(
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        amount_step=step,
        price_tick=tick,
        min_amount=_exact_or_none(limits["amount"].get("min")) or step,
        min_notional=_exact_or_none(limits["cost"].get("min")) or _ZERO,
        maker_fee=_fraction(market.get("maker")),
        taker_fee=_fraction(market.get("taker")),
        fee_in_base=exchange.fee_in_base,
        halted=market.get("active") is False,
    )


def _fraction(value: Any) -> Decimal:
    # ccxt writes its own table of fees in floats, whose shortest text is what was meant.
    return Decimal("0.001") if value is None else exact(str(value))


def _step(client: Any, value: Any) -> Decimal | None:
    if value is None:
        return None
    step = exact(str(value))
    return step if client.precisionMode == _TICK_SIZE else Decimal(1).scaleb(-int(step))
