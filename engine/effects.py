"""What the trading machine asks of the world, carried out through a strategy and a gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    Gateway,
    OrderRequest,
    OrderType,
    Rejected,
    Side,
    Stamp,
    Unknown,
    Unsent,
)
from engine.fills import average_price, filled_qty
from engine.order_events import event_for, report_for
from engine.order_status import ABSENT, is_settled
from engine.strategy.strategy import ExitReason, PositionView, Strategy
from generated.trading import (
    BuyOrderAbsent,
    BuyOrderCanceled,
    BuyOrderFilled,
    BuyOrderPlaced,
    BuyOrderRejected,
    CancelBuyRequest,
    CancelOutcomeUnknown,
    CancelSellRequest,
    EvaluateEntryRequest,
    EvaluateExitRequest,
    NoExit,
    NoSignal,
    OrderContext,
    OrderNotFound,
    OrderOutcomeUnknown,
    OrderReport,
    PositionTimeout,
    Reconciled,
    ReconcileFailed,
    ReconcileRequest,
    ResolveBuyRequest,
    ResolveSellRequest,
    SellOrderAbsent,
    SellOrderCanceled,
    SellOrderFilled,
    SellOrderPlaced,
    SellOrderRejected,
    SignalDetected,
    StopLossHit,
    SubmitBuyRequest,
    SubmitSellRequest,
    TakeProfitHit,
    TrailingStopHit,
)
from runtime.effects import Claim, Intent, Retry

FindIntent = Callable[[str], Awaitable[Intent | None]]
Canceling = BuyOrderCanceled | BuyOrderFilled | SellOrderCanceled | SellOrderFilled

_EXITS: dict[ExitReason, type[TakeProfitHit | StopLossHit | TrailingStopHit]] = {
    ExitReason.TAKE_PROFIT: TakeProfitHit,
    ExitReason.STOP_LOSS: StopLossHit,
    ExitReason.TRAILING_STOP: TrailingStopHit,
}


class TradingEffects:
    """Effects of every symbol in `strategies`, on one account.

    Args:
        find_intent: gives an intent of ours with its latest claim, by client order id.
    """

    def __init__(self, gateway: Gateway, strategies: Mapping[str, Strategy], find_intent: FindIntent) -> None:
        self._gateway = gateway
        self._strategies = strategies
        self._find_intent = find_intent

    async def evaluate_entry(self, request: EvaluateEntryRequest, claim: Claim) -> SignalDetected | NoSignal:
        signal = self._strategies[claim.instance].entry()
        if signal is None:
            return NoSignal(bar_at=request.bar_at)
        return SignalDetected(
            bar_at=request.bar_at, signal_type=self._strategies[claim.instance].name, price=signal.limit_price
        )

    async def evaluate_exit(
        self, request: EvaluateExitRequest, claim: Claim
    ) -> TakeProfitHit | StopLossHit | TrailingStopHit | PositionTimeout | NoExit:
        position = position_view(request.entry_order, request.opened_at, request.bar_at)
        signal = self._strategies[claim.instance].exit(position)
        if signal is None:
            return NoExit(bar_at=request.bar_at)
        if signal.reason is ExitReason.POSITION_TIMEOUT:
            return PositionTimeout()
        return _EXITS[signal.reason](bar_at=request.bar_at, price=signal.limit_price)

    async def submit_buy(
        self, request: SubmitBuyRequest, claim: Claim
    ) -> BuyOrderPlaced | BuyOrderRejected | OrderOutcomeUnknown | Retry:
        answer = await self._gateway.submit(_order(request.entry_order, claim.instance), _stamp(claim))
        return self._bought(request.entry_order.client_order_id, answer)

    async def recover_submit_buy(
        self, request: SubmitBuyRequest, claim: Claim
    ) -> BuyOrderPlaced | BuyOrderRejected | OrderOutcomeUnknown | Retry | None:
        answer = await self._gateway.resume(_order(request.entry_order, claim.instance), _stamp(claim))
        if isinstance(answer, Absent):
            return None
        return self._bought(request.entry_order.client_order_id, answer)

    async def resolve_buy(
        self, request: ResolveBuyRequest, claim: Claim
    ) -> BuyOrderPlaced | BuyOrderRejected | BuyOrderAbsent | OrderOutcomeUnknown | Retry:
        answer = await self._recover(request.entry_order, claim)
        if isinstance(answer, Absent):
            return BuyOrderAbsent(client_order_id=request.entry_order.client_order_id)
        return self._bought(request.entry_order.client_order_id, answer)

    async def cancel_buy(
        self, request: CancelBuyRequest, claim: Claim
    ) -> BuyOrderCanceled | BuyOrderFilled | OrderNotFound | CancelOutcomeUnknown | Retry:
        answer = await self._cancel(request.entry_order, claim)
        if isinstance(answer, Absent):
            return OrderNotFound(client_order_id=request.entry_order.client_order_id)
        return cast("BuyOrderCanceled | BuyOrderFilled | CancelOutcomeUnknown | Retry", answer)

    async def submit_sell(
        self, request: SubmitSellRequest, claim: Claim
    ) -> SellOrderPlaced | SellOrderRejected | OrderOutcomeUnknown | Retry:
        answer = await self._gateway.submit(_order(request.exit_order, claim.instance), _stamp(claim))
        return self._sold(request.exit_order.client_order_id, answer)

    async def recover_submit_sell(
        self, request: SubmitSellRequest, claim: Claim
    ) -> SellOrderPlaced | SellOrderRejected | OrderOutcomeUnknown | Retry | None:
        answer = await self._gateway.resume(_order(request.exit_order, claim.instance), _stamp(claim))
        if isinstance(answer, Absent):
            return None
        return self._sold(request.exit_order.client_order_id, answer)

    async def resolve_sell(
        self, request: ResolveSellRequest, claim: Claim
    ) -> SellOrderPlaced | SellOrderRejected | SellOrderAbsent | OrderOutcomeUnknown | Retry:
        answer = await self._recover(request.exit_order, claim)
        if isinstance(answer, Absent):
            return SellOrderAbsent(client_order_id=request.exit_order.client_order_id)
        return self._sold(request.exit_order.client_order_id, answer)

    async def cancel_sell(
        self, request: CancelSellRequest, claim: Claim
    ) -> SellOrderCanceled | SellOrderFilled | OrderNotFound | CancelOutcomeUnknown | Retry:
        answer = await self._cancel(request.exit_order, claim)
        if isinstance(answer, Absent):
            return OrderNotFound(client_order_id=request.exit_order.client_order_id)
        return cast("SellOrderCanceled | SellOrderFilled | CancelOutcomeUnknown | Retry", answer)

    async def reconcile(self, request: ReconcileRequest, claim: Claim) -> Reconciled | ReconcileFailed | Retry:
        reports: list[OrderReport | None] = []
        for order in (request.entry_order, request.exit_order):
            if order is None:
                reports.append(None)
                continue
            report = await self._report(order, claim)
            if isinstance(report, Unknown):
                failed = f"order {order.client_order_id}: {report.reason}"
                return Retry(failed, ReconcileFailed(reason=failed))
            reports.append(report)
        return Reconciled(entry=reports[0], exit=reports[1])

    async def _report(self, order: OrderContext, claim: Claim) -> OrderReport | Unknown:
        """The exchange's word on one order. That it does not show it is believed only once it can no longer come."""
        symbol = claim.instance
        state = await self._gateway.look_up(symbol, order.client_order_id)
        if state is None and not is_settled(order):
            answer = await self._recover(order, claim)
            if isinstance(answer, Unknown | Unsent):
                return Unknown(answer.reason)
            if isinstance(answer, Accepted):
                state = await self._gateway.look_up(symbol, order.client_order_id)
                if state is None:
                    return Unknown("accepted, but not shown")
        if state is None:
            status = order.status if is_settled(order) else ABSENT
            return OrderReport(client_order_id=order.client_order_id, status=status, fills=order.fills)
        return state if isinstance(state, Unknown) else report_for(state)

    async def _recover(self, order: OrderContext, claim: Claim) -> Accepted | Rejected | Unsent | Unknown | Absent:
        """What became of an order. `claim` is that of the effect which asks."""
        intent = await self._find_intent(order.client_order_id)
        if intent is None:
            return Unknown(f"the outbox has no intent {order.client_order_id}")
        answer = await self._gateway.recover(_order(order, claim.instance), _stamp(intent.claim))
        if isinstance(answer, Absent):
            # The exchange does not have it; but our own sender may be between two attempts, or have begun another.
            latest = await self._find_intent(order.client_order_id)
            if latest is None or latest.claim != intent.claim or latest.claimed_at > claim.claimed_at:
                return Unknown("it is being sent again")
        return answer

    async def _cancel(self, order: OrderContext, claim: Claim) -> Canceling | CancelOutcomeUnknown | Retry | Absent:
        order_id = order.client_order_id
        answer = await self._gateway.cancel(claim.instance, order_id, _stamp(claim))
        match answer:
            case Canceled():
                return cast("Canceling", event_for(answer.order))
            case Unsent():
                return Retry(answer.reason, CancelOutcomeUnknown(client_order_id=order_id, reason=answer.reason))
            case Unknown():
                return CancelOutcomeUnknown(client_order_id=order_id, reason=answer.reason)
        return answer

    @staticmethod
    def _bought(
        order_id: str, answer: Accepted | Rejected | Unsent | Unknown
    ) -> BuyOrderPlaced | BuyOrderRejected | OrderOutcomeUnknown | Retry:
        match answer:
            case Accepted():
                return BuyOrderPlaced(client_order_id=order_id, exchange_order_id=answer.exchange_order_id)
            case Rejected():
                return BuyOrderRejected(client_order_id=order_id, reason=answer.reason)
            case Unsent():
                return Retry(answer.reason, BuyOrderRejected(client_order_id=order_id, reason=answer.reason))
            case Unknown():
                return OrderOutcomeUnknown(client_order_id=order_id, reason=answer.reason)

    @staticmethod
    def _sold(
        order_id: str, answer: Accepted | Rejected | Unsent | Unknown
    ) -> SellOrderPlaced | SellOrderRejected | OrderOutcomeUnknown | Retry:
        match answer:
            case Accepted():
                return SellOrderPlaced(client_order_id=order_id, exchange_order_id=answer.exchange_order_id)
            case Rejected():
                return SellOrderRejected(client_order_id=order_id, reason=answer.reason)
            case Unsent():
                return Retry(answer.reason, SellOrderRejected(client_order_id=order_id, reason=answer.reason))
            case Unknown():
                return OrderOutcomeUnknown(client_order_id=order_id, reason=answer.reason)


def position_view(entry: OrderContext, opened_at: int, now: int) -> PositionView:
    """The position that a buy order has opened, as a strategy sees it."""
    return PositionView(average_price(entry.fills), filled_qty(entry.fills), opened_at, now)


def _stamp(claim: Claim) -> Stamp:
    return Stamp(claim.attempt, claim.claimed_at, claim.deadline)


def _order(order: OrderContext, symbol: str) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=symbol,
        side=Side(order.side),
        type=OrderType.MARKET if order.price is None else OrderType.LIMIT,
        amount=order.amount,
        price=order.price,
    )
