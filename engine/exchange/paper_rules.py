"""The paper exchange's arithmetic: what an order may be, what it costs, and what a trade moves. Exact, no state."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderType, Side
from engine.exchange.paper_store import BookOrder, plain

FEE_UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
DIGITS = 20


def broken_rule(market: Market, order: OrderRequest, price: Decimal | None) -> str | None:
    """Why the market refuses the order, or None. `price` is its limit or the market's price."""
    if (order.type is OrderType.LIMIT) != (order.price is not None):
        return "a limit order has a price, a market order has none"
    for value in (order.amount, order.price):
        # Beyond this, exact arithmetic has no bounds.
        if value is not None and not (value.is_finite() and -DIGITS < value.adjusted() < DIGITS):
            return f"{value} is out of range"
    if order.amount < market.min_amount or order.amount <= 0:
        return f"amount {plain(order.amount)} is below the minimum {plain(market.min_amount)}"
    if order.amount % market.amount_step:
        return f"amount {plain(order.amount)} is no multiple of the step {plain(market.amount_step)}"
    if price is None:
        return None
    if price <= 0 or price % market.price_tick:
        return f"price {plain(price)} is no multiple of the tick {plain(market.price_tick)}"
    if order.amount * price < market.min_notional:
        return f"notional {plain(order.amount * price)} is below the minimum {plain(market.min_notional)}"
    return None


def worst_cost(market: Market, amount: Decimal, price: Decimal) -> Decimal:
    """What a buy can cost in quote currency, fee included, if all of it trades at `price`."""
    notional = amount * price
    if market.fee_in_base:
        return notional
    return notional + fee(notional, max(market.maker_fee, market.taker_fee, ZERO))


def fee(value: Decimal, rate: Decimal) -> Decimal:
    """The fee on `value`, in the currency of `value`, to 8 decimals."""
    # Rounded down, the fees of an order's parts never exceed the fee that was locked for the whole.
    return (value * rate).quantize(FEE_UNIT, ROUND_DOWN)


def new_trade(order: BookOrder, market: Market, qty: Decimal, price: Decimal, taker: bool, at: int) -> ExchangeTrade:
    """The order's next execution, with its fee."""
    rate = market.taker_fee if taker else market.maker_fee
    in_base = market.fee_in_base and order.request.side is Side.BUY
    return ExchangeTrade(
        trade_id=f"{order.exchange_order_id}-{len(order.trades) + 1}",
        qty=qty,
        price=bare(price),
        fee=bare(fee(qty if in_base else qty * price, rate)),
        fee_currency=market.base if in_base else market.quote,
        at=at,
    )


def changes(market: Market, order: BookOrder, trade: ExchangeTrade) -> Iterable[tuple[str, Decimal]]:
    """What the trade moves: (currency, change of the account's total)."""
    sign = 1 if order.request.side is Side.BUY else -1
    yield market.base, sign * trade.qty
    yield market.quote, -sign * trade.qty * trade.price
    yield trade.fee_currency, -trade.fee


def to_tick(price: Fraction, market: Market, side: Side) -> Decimal:
    """The price on the market's grid, rounded against the one who trades `side`."""
    ticks = price / Fraction(market.price_tick)
    whole = -(-ticks.numerator // ticks.denominator) if side is Side.BUY else ticks.numerator // ticks.denominator
    return max(whole, 1) * market.price_tick


def bare(value: Decimal) -> Decimal:
    """The same value without trailing zeros, so that it is written alike before and after a restart."""
    return Decimal(plain(value))
