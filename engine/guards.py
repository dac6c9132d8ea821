"""The trading machine's guards: questions about data, event and books, without side effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.exchange.gateway import Market, OrderStatus, Side
from engine.fills import average_price, trade_fill
from engine.order_status import is_acknowledged
from engine.sizing import SizingRules, can_sell, plan_entry
from generated.trading import (
    BuyOrderCanceled,
    BuyOrderFilled,
    BuyOrderPartial,
    BuyOrderPlaced,
    Config,
    Fill,
    NoExit,
    NoSignal,
    OrderContext,
    Payload,
    PositionTimeout,
    Reconciled,
    SellOrderCanceled,
    SellOrderFilled,
    SellOrderPartial,
    SellOrderPlaced,
    SignalDetected,
    SlotAvailable,
    StateData,
    StopLossHit,
    TakeProfitHit,
    TrailingStopHit,
)
from runtime.context import Context

Ctx = Context[Config]
Evaluation = SignalDetected | NoSignal | TakeProfitHit | StopLossHit | TrailingStopHit | PositionTimeout | NoExit
FillEvent = BuyOrderPartial | BuyOrderFilled | BuyOrderCanceled | SellOrderPartial | SellOrderFilled | SellOrderCanceled


class TradingGuards:
    """Guards of every symbol in `markets`."""

    def __init__(self, markets: Mapping[str, Market], rules: SizingRules) -> None:
        self._markets = markets
        self._rules = rules

    def slot_free(self, data: StateData, event: SlotAvailable, ctx: Ctx) -> bool:
        return ctx.portfolio.slots_free > 0

    def entry_allowed(self, data: StateData, event: SignalDetected, ctx: Ctx) -> bool:
        market = self._markets[ctx.instance]
        free = ctx.portfolio.free_cash(market.quote)
        return plan_entry(market, self._rules, free, ctx.portfolio.slots_free, event.price) is not None

    def judged_bar(self, data: StateData, event: Evaluation, ctx: Ctx) -> bool:
        return isinstance(event, PositionTimeout) or event.bar_at == data.bar_at

    def entry_order_event(self, data: StateData, event: Payload, ctx: Ctx) -> bool:
        return _is_about(data.entry_order, event)

    def exit_order_event(self, data: StateData, event: Payload, ctx: Ctx) -> bool:
        return _is_about(data.exit_order, event)

    def entry_acknowledged(self, data: StateData, event: BuyOrderPlaced, ctx: Ctx) -> bool:
        return _was_acknowledged(data, data.entry_order, event.client_order_id)

    def exit_acknowledged(self, data: StateData, event: SellOrderPlaced, ctx: Ctx) -> bool:
        return _was_acknowledged(data, data.exit_order, event.client_order_id)

    def fills_all_booked(self, data: StateData, event: FillEvent, ctx: Ctx) -> bool:
        return all(ctx.portfolio.is_booked(f"{ctx.instance}:{fill.trade_id}") for fill in event.fills)

    def holding_nothing(self, data: StateData, event: Payload, ctx: Ctx) -> bool:
        return self._held_after(data, event, ctx) <= 0

    def holding_sellable(self, data: StateData, event: Payload, ctx: Ctx) -> bool:
        return can_sell(self._markets[ctx.instance], self._held_after(data, event, ctx), _price(data, event))

    def exit_progressing(self, data: StateData, event: SellOrderCanceled, ctx: Ctx) -> bool:
        return event.filled_qty > 0

    def exit_attempts_left(self, data: StateData, event: Payload, ctx: Ctx) -> bool:
        return data.exit_attempts + 1 < ctx.config.max_exit_attempts

    def about_present_orders(self, data: StateData, event: Reconciled, ctx: Ctx) -> bool:
        return all(
            (order.client_order_id if order else None) == (report.client_order_id if report else None)
            for order, report in ((data.entry_order, event.entry), (data.exit_order, event.exit))
        )

    def entry_live(self, data: StateData, event: Reconciled, ctx: Ctx) -> bool:
        return event.entry is not None and event.entry.status == OrderStatus.OPEN

    def exit_live(self, data: StateData, event: Reconciled, ctx: Ctx) -> bool:
        return event.exit is not None and event.exit.status == OrderStatus.OPEN

    def round_trip_open(self, data: StateData, event: Reconciled, ctx: Ctx) -> bool:
        return data.opened_at is not None

    def _held_after(self, data: StateData, event: Payload, ctx: Ctx) -> Decimal:
        """The position once the event's fills are booked, in base currency."""
        market = self._markets[ctx.instance]
        held = ctx.portfolio.position(ctx.instance, market.base)
        for side, fills in event_fills(event):
            for fill in fills:
                if not ctx.portfolio.is_booked(trade_fill(market, side, "", "", fill).entry_id):
                    held += fill.qty if side is Side.BUY else -fill.qty
                    held -= fill.fee if fill.fee_currency == market.base else 0
        return held


def event_fills(event: Payload) -> Iterable[tuple[Side, list[Fill]]]:
    """The fills that an event reports, by side."""
    match event:
        case BuyOrderPartial() | BuyOrderFilled() | BuyOrderCanceled():
            yield Side.BUY, event.fills
        case SellOrderPartial() | SellOrderFilled() | SellOrderCanceled():
            yield Side.SELL, event.fills
        case Reconciled():
            if event.entry is not None:
                yield Side.BUY, event.entry.fills
            if event.exit is not None:
                yield Side.SELL, event.exit.fills


def _is_about(order: OrderContext | None, event: Payload) -> bool:
    if order is None or getattr(event, "client_order_id", None) != order.client_order_id:
        return False
    filled = {fill.trade_id: fill.qty for _, fills in event_fills(event) for fill in (*order.fills, *fills)}
    return sum(filled.values()) <= order.amount


def _was_acknowledged(data: StateData, order: OrderContext | None, client_order_id: str) -> bool:
    if order is not None and order.client_order_id == client_order_id:
        return is_acknowledged(order)
    return client_order_id in data.past_orders


def _price(data: StateData, event: Payload) -> Decimal:
    """About what the position would sell for: the event's price, else that of its fills, else that of the entry."""
    price = getattr(event, "price", None)
    if isinstance(price, Decimal):
        return price
    for _, fills in event_fills(event):
        if fills:
            return average_price(fills)
    return average_price(data.entry_order.fills) if data.entry_order else Decimal(0)
