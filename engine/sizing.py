"""How much to buy and what can be sold. Amounts in base, prices and notionals in quote currency, rounded safely."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

import msgspec

from engine.exchange.gateway import Market

_ONE = Decimal(1)


class SizingRules(msgspec.Struct, frozen=True):
    """What a trade may cost and how deep its price may fall before it must be sellable all the same.

    `max_notional` is in quote currency, None for no limit. `stop_pct` is the fall, in per cent of the entry price, at
    which the strategy sells at a loss.
    """

    stop_pct: Decimal
    max_notional: Decimal | None = None


class EntryPlan(msgspec.Struct, frozen=True):
    """A buy order that can be paid and sold again. `reserved` is its worst cost in quote currency, fee included."""

    amount: Decimal
    price: Decimal
    reserved: Decimal


def round_to(value: Decimal, step: Decimal, rounding: str = ROUND_DOWN) -> Decimal:
    """The multiple of `step` at or below `value` (ROUND_DOWN), or at or above it (ROUND_UP)."""
    return (value / step).quantize(_ONE, rounding=rounding) * step


def plan_entry(
    market: Market, rules: SizingRules, free_cash: Decimal, free_slots: int, price: Decimal
) -> EntryPlan | None:
    """The order that spends an equal share of the free cash, or None when the exchange's minima, the cash or the way
    out forbid it. The way out: what the fill leaves after a fee in base currency must be sellable at the stop price."""
    if free_slots < 1 or price <= 0:
        return None
    limit = round_to(price, market.price_tick)
    if limit <= 0:
        return None
    fee = max(market.maker_fee, market.taker_fee)
    budget = free_cash / free_slots
    if rules.max_notional is not None:
        budget = min(budget, rules.max_notional)
    amount = round_to(budget / (limit * (_ONE + fee)), market.amount_step)
    if amount < market.min_amount or amount * limit < market.min_notional:
        return None
    left = round_to(amount * (_ONE - fee) if market.fee_in_base else amount, market.amount_step)
    stop = round_to(limit * (_ONE - rules.stop_pct / 100), market.price_tick)
    if not can_sell(market, left, stop):
        return None
    return EntryPlan(amount, limit, round_to(amount * limit * (_ONE + fee), Decimal("0.00000001"), ROUND_UP))


def sellable(market: Market, held: Decimal) -> Decimal:
    """What of `held` can be put into a sell order: whole steps only."""
    return round_to(held, market.amount_step)


def can_sell(market: Market, held: Decimal, price: Decimal) -> bool:
    """Whether the exchange takes a sell order for what is held, at about `price`."""
    amount = sellable(market, held)
    return amount > 0 and amount >= market.min_amount and amount * price >= market.min_notional
