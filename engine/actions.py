"""The trading machine's actions: they change an instance's data and stage entries in the books, and do no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.exchange.gateway import Market, OrderStatus, Side
from engine.fills import accumulate_fill, is_fully_filled, trade_fill
from engine.guards import Ctx, event_fills
from engine.order_status import ABSENT, PLANNED, UNKNOWN, is_acknowledged, is_settled
from engine.sizing import SizingRules, plan_entry, sellable
from generated.trading import (
    BuyOrderAbsent,
    BuyOrderPlaced,
    BuyOrderRejected,
    Effect,
    ErrorOccurred,
    ExitCheckDue,
    Fill,
    OrderContext,
    OrderReport,
    Payload,
    Reconciled,
    ReconcileFailed,
    SellOrderAbsent,
    SellOrderPlaced,
    SellOrderRejected,
    SignalDetected,
    SlotAvailable,
    StateData,
    StopLossHit,
    TakeProfitHit,
    TrailingStopHit,
)
from runtime.errors import DispatchError
from runtime.ledger import DUST

_PAST_ORDERS = 16
"""More orders than one symbol can have within the time that an exchange takes to send its last report of one."""

_EXIT_REASONS: dict[type, str] = {
    TakeProfitHit: "take_profit",
    StopLossHit: "stop_loss",
    TrailingStopHit: "trailing_stop",
}


class TradingActions:
    """Actions of every symbol in `markets`."""

    def __init__(self, markets: Mapping[str, Market], rules: SizingRules) -> None:
        self._markets = markets
        self._rules = rules

    def note_candidate(self, data: StateData, event: SlotAvailable | ExitCheckDue, ctx: Ctx) -> None:
        data.bar_at = event.bar_at

    def plan_entry(self, data: StateData, event: SignalDetected, ctx: Ctx) -> None:
        market = self._markets[ctx.instance]
        free = ctx.portfolio.free_cash(market.quote)
        plan = plan_entry(market, self._rules, free, ctx.portfolio.slots_free, event.price)
        if plan is None:
            raise DispatchError("an entry was planned that its guard would not have allowed")
        ctx.portfolio.reserve(market.quote, plan.reserved, slots=1)
        order_id = ctx.intent_id(Effect.submit_buy)
        _retire(data, data.entry_order)
        _retire(data, data.exit_order)
        data.entry_order = OrderContext(
            client_order_id=order_id,
            side=Side.BUY,
            amount=plan.amount,
            price=plan.price,
            planned_at=ctx.now,
            status=PLANNED,
        )
        data.exit_order = None
        data.round_trip = order_id
        data.opened_at = None
        data.exit_reason = None
        data.exit_attempts = 0

    def mark_entry_placed(self, data: StateData, event: BuyOrderPlaced, ctx: Ctx) -> None:
        _acknowledge(_present(data.entry_order), event)

    def mark_entry_unknown(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        _present(data.entry_order).status = UNKNOWN

    def settle_entry(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        _settle(_present(data.entry_order), event)
        _give_cash_back(ctx)

    def book_fills(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        client_order_id = getattr(event, "client_order_id", "")
        for side, fills in event_fills(event):
            for fill in fills:
                self._book(data, side, client_order_id, fill, ctx)

    def release_reservation(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        ctx.portfolio.release()

    def note_exit(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        data.exit_reason = _EXIT_REASONS.get(type(event), "position_timeout")

    def plan_exit(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        """A take profit is offered at its price; whatever must get out, or was not taken there, goes at market."""
        market = self._markets[ctx.instance]
        amount = sellable(market, ctx.portfolio.position(ctx.instance, market.base))
        price = event.price if isinstance(event, TakeProfitHit) and data.exit_attempts == 0 else None
        order_id = ctx.intent_id(Effect.submit_sell)
        _retire(data, data.exit_order)
        data.exit_order = OrderContext(
            client_order_id=order_id, side=Side.SELL, amount=amount, price=price, planned_at=ctx.now, status=PLANNED
        )

    def mark_exit_placed(self, data: StateData, event: SellOrderPlaced, ctx: Ctx) -> None:
        _acknowledge(_present(data.exit_order), event)

    def mark_exit_unknown(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        _present(data.exit_order).status = UNKNOWN

    def settle_exit(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        _settle(_present(data.exit_order), event)

    def count_exit_attempt(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        data.exit_attempts += 1

    def set_dust_aside(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        name = data.round_trip or f"{ctx.now}"
        if ctx.portfolio.is_booked(f"{DUST}:{ctx.instance}:{name}"):
            # A fill came after the trade was closed and its remainder set aside: this is another remainder.
            name = f"{name}/{ctx.now}"
        ctx.portfolio.set_dust_aside(name, self._markets[ctx.instance].base)

    def close_round_trip(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        if data.round_trip is not None:
            ctx.portfolio.close_round_trip(data.round_trip, data.exit_reason or "unsellable")
        data.opened_at = None

    def note_error(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        match event:
            case ErrorOccurred():
                data.last_error = f"{event.failed_event}: {event.error}"
            case SellOrderRejected() | ReconcileFailed():
                data.last_error = f"{event.event}: {event.reason}"
            case _:
                data.last_error = str(event.event)

    def note_contradiction(self, data: StateData, event: Payload, ctx: Ctx) -> None:
        data.last_error = (
            f"{event.event} for order {getattr(event, 'client_order_id', '?')}, which was proven to be over. "
            "Compare the exchange's order and trade history with `phasewright audit`."
        )

    def adopt_reports(self, data: StateData, event: Reconciled, ctx: Ctx) -> None:
        for order, report, side in (
            (data.entry_order, event.entry, Side.BUY),
            (data.exit_order, event.exit, Side.SELL),
        ):
            if order is not None and report is not None:
                self._adopt(data, order, report, side, ctx)
        if data.entry_order is not None and is_settled(data.entry_order):
            _give_cash_back(ctx)

    def _adopt(self, data: StateData, order: OrderContext, report: OrderReport, side: Side, ctx: Ctx) -> None:
        order.status = report.status
        for fill in report.fills:
            self._book(data, side, report.client_order_id, fill, ctx)

    def _book(self, data: StateData, side: Side, client_order_id: str, fill: Fill, ctx: Ctx) -> None:
        own = data.entry_order if side is Side.BUY else data.exit_order
        if own is not None and own.client_order_id != client_order_id:
            own = None
        round_trip = (data.round_trip if own is not None else None) or client_order_id
        market = self._markets[ctx.instance]
        is_new = ctx.portfolio.book_trade(trade_fill(market, side, client_order_id, round_trip, fill))
        if own is not None:
            accumulate_fill(own, fill)
            if own.status in (PLANNED, UNKNOWN):
                own.status = OrderStatus.OPEN
            if not is_new:
                return  # A late report must not reopen a trade that is closed in the books.
            if side is Side.SELL:
                data.exit_attempts = 0
            elif data.opened_at is None:
                data.opened_at = fill.at


def _present(order: OrderContext | None) -> OrderContext:
    if order is None:
        raise DispatchError("the event is about an order, but the instance has none")
    return order


def _retire(data: StateData, order: OrderContext | None) -> None:
    """Keep the name of an order that gives way to a new one, if the exchange had it."""
    if order is not None and is_acknowledged(order) and order.client_order_id not in data.past_orders:
        data.past_orders = [*data.past_orders, order.client_order_id][-_PAST_ORDERS:]


def _give_cash_back(ctx: Ctx) -> None:
    held = ctx.portfolio.reservation(ctx.instance)
    ctx.portfolio.reserve(held.currency, Decimal(0), slots=held.slots)


def _acknowledge(order: OrderContext, event: BuyOrderPlaced | SellOrderPlaced) -> None:
    order.exchange_order_id = event.exchange_order_id
    order.status = OrderStatus.OPEN


def _settle(order: OrderContext, event: Payload) -> None:
    match event:
        case BuyOrderRejected() | SellOrderRejected():
            order.status = OrderStatus.REJECTED
        case BuyOrderAbsent() | SellOrderAbsent():
            order.status = ABSENT
        case _:
            order.status = OrderStatus.FILLED if is_fully_filled(order) else OrderStatus.CANCELED
