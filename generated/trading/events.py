# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""The events of trading, each with what it carries."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import msgspec

from .data import Fill, OrderReport
from .names import FSMEvent


class WarmupCompleted(msgspec.Struct, kw_only=True):
    """The strategy has seen enough bars to speak."""

    event: ClassVar[FSMEvent] = FSMEvent.WARMUP_COMPLETED


class SlotAvailable(msgspec.Struct, kw_only=True):
    """A bar closed that is worth a look; a trading slot may be free."""

    event: ClassVar[FSMEvent] = FSMEvent.SLOT_AVAILABLE
    bar_at: int
    """Milliseconds since the epoch (UTC)."""


class SignalDetected(msgspec.Struct, kw_only=True):
    """The strategy wants to buy."""

    event: ClassVar[FSMEvent] = FSMEvent.SIGNAL_DETECTED
    bar_at: int
    """Milliseconds since the epoch (UTC)."""
    signal_type: str
    price: Decimal


class NoSignal(msgspec.Struct, kw_only=True):
    """The strategy does not want to buy."""

    event: ClassVar[FSMEvent] = FSMEvent.NO_SIGNAL
    bar_at: int
    """Milliseconds since the epoch (UTC)."""


class GuardsFailed(msgspec.Struct, kw_only=True):
    """The signal is good, but slots, cash or the exchange's minima forbid it."""

    event: ClassVar[FSMEvent] = FSMEvent.GUARDS_FAILED


class EvaluationTimeout(msgspec.Struct, kw_only=True):
    """The strategy did not answer in time."""

    event: ClassVar[FSMEvent] = FSMEvent.EVALUATION_TIMEOUT


class BuyOrderPlaced(msgspec.Struct, kw_only=True):
    """The exchange has the buy order."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_PLACED
    client_order_id: str
    exchange_order_id: str


class BuyOrderRejected(msgspec.Struct, kw_only=True):
    """The exchange refused the buy order, or it provably never left."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_REJECTED
    client_order_id: str
    reason: str


class BuyOrderAbsent(msgspec.Struct, kw_only=True):
    """Proven that the exchange has no such buy order and can no longer come to have it."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_ABSENT
    client_order_id: str


class BuyOrderPartial(msgspec.Struct, kw_only=True):
    """A buy order is filled in part and stays live."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_PARTIAL
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class BuyOrderFilled(msgspec.Struct, kw_only=True):
    """A buy order is filled."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_FILLED
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class BuyOrderCanceled(msgspec.Struct, kw_only=True):
    """A buy order is final and not wholly filled; the fills that it has are listed."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_CANCELED
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class BuyOrderTimeout(msgspec.Struct, kw_only=True):
    """The buy order was not filled in time."""

    event: ClassVar[FSMEvent] = FSMEvent.BUY_ORDER_TIMEOUT


class ExitCheckDue(msgspec.Struct, kw_only=True):
    """A bar closed at which the position should be judged."""

    event: ClassVar[FSMEvent] = FSMEvent.EXIT_CHECK_DUE
    bar_at: int
    """Milliseconds since the epoch (UTC)."""


class NoExit(msgspec.Struct, kw_only=True):
    """The strategy keeps the position."""

    event: ClassVar[FSMEvent] = FSMEvent.NO_EXIT
    bar_at: int
    """Milliseconds since the epoch (UTC)."""


class TakeProfitHit(msgspec.Struct, kw_only=True):
    """The position has gained enough."""

    event: ClassVar[FSMEvent] = FSMEvent.TAKE_PROFIT_HIT
    bar_at: int
    """Milliseconds since the epoch (UTC)."""
    price: Decimal


class StopLossHit(msgspec.Struct, kw_only=True):
    """The position has lost too much."""

    event: ClassVar[FSMEvent] = FSMEvent.STOP_LOSS_HIT
    bar_at: int
    """Milliseconds since the epoch (UTC)."""
    price: Decimal


class TrailingStopHit(msgspec.Struct, kw_only=True):
    """The position has fallen too far from its best price."""

    event: ClassVar[FSMEvent] = FSMEvent.TRAILING_STOP_HIT
    bar_at: int
    """Milliseconds since the epoch (UTC)."""
    price: Decimal


class PositionTimeout(msgspec.Struct, kw_only=True):
    """The position was held for too long."""

    event: ClassVar[FSMEvent] = FSMEvent.POSITION_TIMEOUT


class SellOrderPlaced(msgspec.Struct, kw_only=True):
    """The exchange has the sell order."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_PLACED
    client_order_id: str
    exchange_order_id: str


class SellOrderRejected(msgspec.Struct, kw_only=True):
    """The exchange refused the sell order, or it provably never left."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_REJECTED
    client_order_id: str
    reason: str


class SellOrderAbsent(msgspec.Struct, kw_only=True):
    """Proven that the exchange has no such sell order and can no longer come to have it."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_ABSENT
    client_order_id: str


class SellOrderPartial(msgspec.Struct, kw_only=True):
    """A sell order is filled in part and stays live."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_PARTIAL
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class SellOrderFilled(msgspec.Struct, kw_only=True):
    """A sell order is filled."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_FILLED
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class SellOrderCanceled(msgspec.Struct, kw_only=True):
    """A sell order is final and not wholly filled; the fills that it has are listed."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_CANCELED
    client_order_id: str
    filled_qty: Decimal
    avg_price: Decimal
    fills: list[Fill] = msgspec.field(default_factory=list)


class SellOrderTimeout(msgspec.Struct, kw_only=True):
    """The sell order was not filled in time."""

    event: ClassVar[FSMEvent] = FSMEvent.SELL_ORDER_TIMEOUT


class OrderOutcomeUnknown(msgspec.Struct, kw_only=True):
    """Nobody knows yet whether the exchange has the order."""

    event: ClassVar[FSMEvent] = FSMEvent.ORDER_OUTCOME_UNKNOWN
    client_order_id: str
    reason: str


class CancelOutcomeUnknown(msgspec.Struct, kw_only=True):
    """Nobody knows yet whether the cancel was carried out."""

    event: ClassVar[FSMEvent] = FSMEvent.CANCEL_OUTCOME_UNKNOWN
    client_order_id: str
    reason: str


class OrderNotFound(msgspec.Struct, kw_only=True):
    """A cancel met no such order; it may be one that the exchange does not show yet."""

    event: ClassVar[FSMEvent] = FSMEvent.ORDER_NOT_FOUND
    client_order_id: str


class PlacementTimeout(msgspec.Struct, kw_only=True):
    """No answer to an order request."""

    event: ClassVar[FSMEvent] = FSMEvent.PLACEMENT_TIMEOUT


class CancelTimeout(msgspec.Struct, kw_only=True):
    """A cancel is still unconfirmed."""

    event: ClassVar[FSMEvent] = FSMEvent.CANCEL_TIMEOUT


class ResolveDue(msgspec.Struct, kw_only=True):
    """The fate of an order is still unknown."""

    event: ClassVar[FSMEvent] = FSMEvent.RESOLVE_DUE


class DustSetAside(msgspec.Struct, kw_only=True):
    """What cannot be sold is booked as dust."""

    event: ClassVar[FSMEvent] = FSMEvent.DUST_SET_ASIDE


class TradeComplete(msgspec.Struct, kw_only=True):
    """The round trip is closed."""

    event: ClassVar[FSMEvent] = FSMEvent.TRADE_COMPLETE


class CooldownExpired(msgspec.Struct, kw_only=True):
    """The pause is over."""

    event: ClassVar[FSMEvent] = FSMEvent.COOLDOWN_EXPIRED


class ErrorOccurred(msgspec.Struct, kw_only=True):
    """Something failed that the machine has no row for."""

    event: ClassVar[FSMEvent] = FSMEvent.ERROR_OCCURRED
    error: str
    failed_event: str


class RecoverRequested(msgspec.Struct, kw_only=True):
    """A person asks for the symbol to be recovered."""

    event: ClassVar[FSMEvent] = FSMEvent.RECOVER_REQUESTED
    requested_by: str


class Reconciled(msgspec.Struct, kw_only=True):
    """The exchange has been asked about every order of the symbol; here is its answer."""

    event: ClassVar[FSMEvent] = FSMEvent.RECONCILED
    entry: OrderReport | None = None
    exit: OrderReport | None = None


class ReconcileFailed(msgspec.Struct, kw_only=True):
    """The exchange could not be asked."""

    event: ClassVar[FSMEvent] = FSMEvent.RECONCILE_FAILED
    reason: str


class RecoveryTimeout(msgspec.Struct, kw_only=True):
    """The recovery got no answer."""

    event: ClassVar[FSMEvent] = FSMEvent.RECOVERY_TIMEOUT


Payload = (
    WarmupCompleted
    | SlotAvailable
    | SignalDetected
    | NoSignal
    | GuardsFailed
    | EvaluationTimeout
    | BuyOrderPlaced
    | BuyOrderRejected
    | BuyOrderAbsent
    | BuyOrderPartial
    | BuyOrderFilled
    | BuyOrderCanceled
    | BuyOrderTimeout
    | ExitCheckDue
    | NoExit
    | TakeProfitHit
    | StopLossHit
    | TrailingStopHit
    | PositionTimeout
    | SellOrderPlaced
    | SellOrderRejected
    | SellOrderAbsent
    | SellOrderPartial
    | SellOrderFilled
    | SellOrderCanceled
    | SellOrderTimeout
    | OrderOutcomeUnknown
    | CancelOutcomeUnknown
    | OrderNotFound
    | PlacementTimeout
    | CancelTimeout
    | ResolveDue
    | DustSetAside
    | TradeComplete
    | CooldownExpired
    | ErrorOccurred
    | RecoverRequested
    | Reconciled
    | ReconcileFailed
    | RecoveryTimeout
)
