# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""What trading needs from its author: guards, actions and handlers of effects."""

from __future__ import annotations

from typing import Protocol

from runtime.context import Context
from runtime.effects import Claim, Retry

from . import events, requests
from .data import Config, StateData


class Guards(Protocol):
    """Questions that decide between branches. They are pure; an exception is an error, never a no."""

    def slot_free(self, data: StateData, event: events.SlotAvailable, ctx: Context[Config]) -> bool:
        """A trading slot is free."""
        ...

    def entry_allowed(self, data: StateData, event: events.SignalDetected, ctx: Context[Config]) -> bool:
        """Slot, cash and the exchange's minima allow the order, and the position could be sold again at the
        stop price."""
        ...

    def judged_bar(
        self,
        data: StateData,
        event: events.SignalDetected
        | events.NoSignal
        | events.NoExit
        | events.TakeProfitHit
        | events.StopLossHit
        | events.TrailingStopHit
        | events.PositionTimeout,
        ctx: Context[Config],
    ) -> bool:
        """The answer is about the bar that is being judged."""
        ...

    def entry_order_event(
        self,
        data: StateData,
        event: events.BuyOrderPlaced
        | events.BuyOrderRejected
        | events.BuyOrderAbsent
        | events.BuyOrderPartial
        | events.BuyOrderFilled
        | events.BuyOrderCanceled
        | events.OrderOutcomeUnknown
        | events.OrderNotFound,
        ctx: Context[Config],
    ) -> bool:
        """The event is about the present buy order, and its fills fit into it."""
        ...

    def exit_order_event(
        self,
        data: StateData,
        event: events.SellOrderPlaced
        | events.SellOrderRejected
        | events.SellOrderAbsent
        | events.SellOrderPartial
        | events.SellOrderFilled
        | events.SellOrderCanceled
        | events.OrderOutcomeUnknown
        | events.OrderNotFound,
        ctx: Context[Config],
    ) -> bool:
        """The event is about the present sell order, and its fills fit into it."""
        ...

    def entry_acknowledged(self, data: StateData, event: events.BuyOrderPlaced, ctx: Context[Config]) -> bool:
        """The event is about a buy order that the exchange is known to have or to have had."""
        ...

    def exit_acknowledged(self, data: StateData, event: events.SellOrderPlaced, ctx: Context[Config]) -> bool:
        """The event is about a sell order that the exchange is known to have or to have had."""
        ...

    def fills_all_booked(
        self,
        data: StateData,
        event: events.BuyOrderPartial
        | events.BuyOrderFilled
        | events.BuyOrderCanceled
        | events.SellOrderPartial
        | events.SellOrderFilled
        | events.SellOrderCanceled,
        ctx: Context[Config],
    ) -> bool:
        """Every fill in the event is in the books."""
        ...

    def holding_nothing(
        self,
        data: StateData,
        event: events.BuyOrderRejected
        | events.BuyOrderAbsent
        | events.BuyOrderCanceled
        | events.SellOrderFilled
        | events.SellOrderCanceled
        | events.Reconciled,
        ctx: Context[Config],
    ) -> bool:
        """With the event's fills booked, nothing is held."""
        ...

    def holding_sellable(
        self,
        data: StateData,
        event: events.BuyOrderRejected
        | events.BuyOrderAbsent
        | events.BuyOrderCanceled
        | events.TakeProfitHit
        | events.StopLossHit
        | events.TrailingStopHit
        | events.PositionTimeout
        | events.SellOrderFilled
        | events.SellOrderCanceled
        | events.Reconciled,
        ctx: Context[Config],
    ) -> bool:
        """With the event's fills booked, what is held can be sold."""
        ...

    def exit_progressing(self, data: StateData, event: events.SellOrderCanceled, ctx: Context[Config]) -> bool:
        """The sell order found at least one buyer; without any, the next bar judges anew."""
        ...

    def exit_attempts_left(
        self, data: StateData, event: events.SellOrderRejected | events.SellOrderAbsent, ctx: Context[Config]
    ) -> bool:
        """Another sell order may be tried before a person is asked."""
        ...

    def about_present_orders(self, data: StateData, event: events.Reconciled, ctx: Context[Config]) -> bool:
        """The answer is about the present orders, and not about those of an earlier question."""
        ...

    def entry_live(self, data: StateData, event: events.Reconciled, ctx: Context[Config]) -> bool:
        """The exchange shows the buy order as live."""
        ...

    def exit_live(self, data: StateData, event: events.Reconciled, ctx: Context[Config]) -> bool:
        """The exchange shows the sell order as live."""
        ...

    def round_trip_open(self, data: StateData, event: events.Reconciled, ctx: Context[Config]) -> bool:
        """The trade has begun and is not closed in the books."""
        ...


class Actions(Protocol):
    """Changes to the data and the portfolio within one commit. They do no I/O; an exception undoes the whole event."""

    def note_candidate(
        self, data: StateData, event: events.SlotAvailable | events.ExitCheckDue, ctx: Context[Config]
    ) -> None:
        """Remember which bar is being judged."""
        ...

    def plan_entry(self, data: StateData, event: events.SignalDetected, ctx: Context[Config]) -> None:
        """Reserve slot and cash and draw up the buy order."""
        ...

    def mark_entry_placed(self, data: StateData, event: events.BuyOrderPlaced, ctx: Context[Config]) -> None:
        """Record the exchange's id of the buy order."""
        ...

    def mark_entry_unknown(
        self,
        data: StateData,
        event: events.OrderOutcomeUnknown | events.OrderNotFound | events.PlacementTimeout,
        ctx: Context[Config],
    ) -> None:
        """Record that the fate of the buy order is unknown."""
        ...

    def settle_entry(
        self,
        data: StateData,
        event: events.BuyOrderRejected | events.BuyOrderAbsent | events.BuyOrderFilled | events.BuyOrderCanceled,
        ctx: Context[Config],
    ) -> None:
        """Record that the buy order is final and give back the cash it no longer needs."""
        ...

    def book_fills(
        self,
        data: StateData,
        event: events.BuyOrderPartial
        | events.BuyOrderFilled
        | events.BuyOrderCanceled
        | events.SellOrderPartial
        | events.SellOrderFilled
        | events.SellOrderCanceled,
        ctx: Context[Config],
    ) -> None:
        """Book each fill once, into the ledger and the order it belongs to."""
        ...

    def release_reservation(
        self,
        data: StateData,
        event: events.BuyOrderRejected
        | events.BuyOrderAbsent
        | events.BuyOrderCanceled
        | events.TradeComplete
        | events.Reconciled,
        ctx: Context[Config],
    ) -> None:
        """Give back the slot and the cash."""
        ...

    def note_exit(
        self,
        data: StateData,
        event: events.TakeProfitHit | events.StopLossHit | events.TrailingStopHit | events.PositionTimeout,
        ctx: Context[Config],
    ) -> None:
        """Remember why the position is being sold."""
        ...

    def plan_exit(
        self,
        data: StateData,
        event: events.TakeProfitHit
        | events.StopLossHit
        | events.TrailingStopHit
        | events.PositionTimeout
        | events.SellOrderCanceled,
        ctx: Context[Config],
    ) -> None:
        """Draw up the sell order for what can be sold."""
        ...

    def mark_exit_placed(self, data: StateData, event: events.SellOrderPlaced, ctx: Context[Config]) -> None:
        """Record the exchange's id of the sell order."""
        ...

    def mark_exit_unknown(
        self,
        data: StateData,
        event: events.OrderOutcomeUnknown | events.OrderNotFound | events.PlacementTimeout,
        ctx: Context[Config],
    ) -> None:
        """Record that the fate of the sell order is unknown."""
        ...

    def settle_exit(
        self,
        data: StateData,
        event: events.SellOrderRejected | events.SellOrderAbsent | events.SellOrderFilled | events.SellOrderCanceled,
        ctx: Context[Config],
    ) -> None:
        """Record that the sell order is final."""
        ...

    def count_exit_attempt(
        self, data: StateData, event: events.SellOrderRejected | events.SellOrderAbsent, ctx: Context[Config]
    ) -> None:
        """Count a sell order that did not sell."""
        ...

    def set_dust_aside(
        self,
        data: StateData,
        event: events.BuyOrderRejected
        | events.BuyOrderAbsent
        | events.BuyOrderCanceled
        | events.TakeProfitHit
        | events.StopLossHit
        | events.TrailingStopHit
        | events.PositionTimeout
        | events.SellOrderFilled
        | events.SellOrderCanceled
        | events.Reconciled,
        ctx: Context[Config],
    ) -> None:
        """Move what cannot be sold to the dust account."""
        ...

    def close_round_trip(
        self,
        data: StateData,
        event: events.SellOrderFilled | events.SellOrderCanceled | events.DustSetAside | events.Reconciled,
        ctx: Context[Config],
    ) -> None:
        """Close the trade in the books."""
        ...

    def note_error(
        self,
        data: StateData,
        event: events.SellOrderRejected | events.SellOrderAbsent | events.ErrorOccurred | events.ReconcileFailed,
        ctx: Context[Config],
    ) -> None:
        """Record what failed."""
        ...

    def note_contradiction(
        self,
        data: StateData,
        event: events.BuyOrderPlaced
        | events.BuyOrderPartial
        | events.BuyOrderFilled
        | events.BuyOrderCanceled
        | events.SellOrderPlaced
        | events.SellOrderPartial
        | events.SellOrderFilled
        | events.SellOrderCanceled,
        ctx: Context[Config],
    ) -> None:
        """Record what the exchange said against what was proven before."""
        ...

    def adopt_reports(self, data: StateData, event: events.Reconciled, ctx: Context[Config]) -> None:
        """Take over what the exchange says of the orders, fills included."""
        ...


class EffectHandlers(Protocol):
    """What is carried out after the commit that asked for it. Each returns the event that reports the outcome;
    where a retry policy is declared also Retry, when the attempt provably changed nothing."""

    async def evaluate_entry(
        self, request: requests.EvaluateEntryRequest, claim: Claim
    ) -> events.SignalDetected | events.NoSignal:
        """Ask the strategy about the bar."""
        ...

    async def submit_buy(
        self, request: requests.SubmitBuyRequest, claim: Claim
    ) -> events.BuyOrderPlaced | events.BuyOrderRejected | events.OrderOutcomeUnknown | Retry:
        """Send the buy order."""
        ...

    async def recover_submit_buy(
        self, request: requests.SubmitBuyRequest, claim: Claim
    ) -> events.BuyOrderPlaced | events.BuyOrderRejected | events.OrderOutcomeUnknown | Retry | None:
        """The outcome of an attempt whose sender has died. None: it provably was not sent and may be made now."""
        ...

    async def cancel_buy(
        self, request: requests.CancelBuyRequest, claim: Claim
    ) -> events.BuyOrderCanceled | events.BuyOrderFilled | events.OrderNotFound | events.CancelOutcomeUnknown | Retry:
        """Cancel the buy order and learn its final state."""
        ...

    async def resolve_buy(
        self, request: requests.ResolveBuyRequest, claim: Claim
    ) -> events.BuyOrderPlaced | events.BuyOrderRejected | events.BuyOrderAbsent | events.OrderOutcomeUnknown | Retry:
        """Find out whether the exchange has the buy order, once it can no longer accept it."""
        ...

    async def evaluate_exit(
        self, request: requests.EvaluateExitRequest, claim: Claim
    ) -> events.TakeProfitHit | events.StopLossHit | events.TrailingStopHit | events.PositionTimeout | events.NoExit:
        """Ask the strategy about the position."""
        ...

    async def submit_sell(
        self, request: requests.SubmitSellRequest, claim: Claim
    ) -> events.SellOrderPlaced | events.SellOrderRejected | events.OrderOutcomeUnknown | Retry:
        """Send the sell order."""
        ...

    async def recover_submit_sell(
        self, request: requests.SubmitSellRequest, claim: Claim
    ) -> events.SellOrderPlaced | events.SellOrderRejected | events.OrderOutcomeUnknown | Retry | None:
        """The outcome of an attempt whose sender has died. None: it provably was not sent and may be made now."""
        ...

    async def cancel_sell(
        self, request: requests.CancelSellRequest, claim: Claim
    ) -> events.SellOrderCanceled | events.SellOrderFilled | events.OrderNotFound | events.CancelOutcomeUnknown | Retry:
        """Cancel the sell order and learn its final state."""
        ...

    async def resolve_sell(
        self, request: requests.ResolveSellRequest, claim: Claim
    ) -> (
        events.SellOrderPlaced | events.SellOrderRejected | events.SellOrderAbsent | events.OrderOutcomeUnknown | Retry
    ):
        """Find out whether the exchange has the sell order, once it can no longer accept it."""
        ...

    async def reconcile(
        self, request: requests.ReconcileRequest, claim: Claim
    ) -> events.Reconciled | events.ReconcileFailed | Retry:
        """Ask the exchange about both orders of the symbol."""
        ...
