# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""The machine trading, whole."""

from __future__ import annotations

from runtime.definition import (
    EffectClass,
    EffectDefinition,
    EventDefinition,
    MachineDefinition,
    OnRestore,
    PhaseDefinition,
    RetryPolicy,
    Timeout,
)

from . import events, requests
from .data import KNOBS, Config, StateData
from .handlers import Actions, EffectHandlers, Guards
from .table import TABLE


def make_error(error: str, failed_event: str) -> events.ErrorOccurred:
    """The event that a failure becomes: what failed, and while which event was handled."""
    return events.ErrorOccurred(error=error, failed_event=failed_event)


DEFINITION = MachineDefinition(
    name="trading",
    version=1,
    source="spec/trading.yaml",
    digest="1ab0064d5832777a23e7d2cee3e888fc86d6752a0d76b852d1099d2fcf1a1c64",
    presentation_digest="0cf25375b1c58fe07177f2731f03807db893339639e88add77fb81b29ed31a21",
    initial="WARMUP",
    error_event="ERROR_OCCURRED",
    phases={
        "WARMUP": PhaseDefinition(
            groups=("trading",),
        ),
        "IDLE": PhaseDefinition(
            groups=("trading",),
        ),
        "ENTRY_EVAL": PhaseDefinition(
            entry_request=("evaluate_entry",),
            timeout=Timeout(
                after="evaluation_timeout", raises="EVALUATION_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE
            ),
            groups=("entering", "trading"),
        ),
        "PLACE_BUY": PhaseDefinition(
            entry_request=("submit_buy",),
            timeout=Timeout(after="placement_timeout", raises="PLACEMENT_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("entering", "trading"),
        ),
        "WAIT_FILL": PhaseDefinition(
            timeout=Timeout(after="buy_fill_timeout", raises="BUY_ORDER_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("entering", "trading"),
        ),
        "CANCEL_BUY": PhaseDefinition(
            entry_request=("cancel_buy",),
            timeout=Timeout(after="cancel_retry_interval", raises="CANCEL_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("entering", "trading"),
        ),
        "BUY_UNKNOWN": PhaseDefinition(
            entry_request=("resolve_buy",),
            timeout=Timeout(after="resolve_interval", raises="RESOLVE_DUE", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("entering", "trading"),
        ),
        "POSITION": PhaseDefinition(
            timeout=Timeout(
                after="position_max_hold",
                raises="POSITION_TIMEOUT",
                on_restore=OnRestore.KEEP_DEADLINE,
                since="opened_at",
            ),
            groups=("holding", "trading"),
        ),
        "EXIT_EVAL": PhaseDefinition(
            entry_request=("evaluate_exit",),
            timeout=Timeout(
                after="evaluation_timeout", raises="EVALUATION_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE
            ),
            groups=("holding", "trading"),
        ),
        "PLACE_SELL": PhaseDefinition(
            entry_request=("submit_sell",),
            timeout=Timeout(after="placement_timeout", raises="PLACEMENT_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("exiting", "trading"),
        ),
        "WAIT_SELL_FILL": PhaseDefinition(
            timeout=Timeout(after="sell_fill_timeout", raises="SELL_ORDER_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("exiting", "trading"),
        ),
        "CANCEL_SELL": PhaseDefinition(
            entry_request=("cancel_sell",),
            timeout=Timeout(after="cancel_retry_interval", raises="CANCEL_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("exiting", "trading"),
        ),
        "SELL_UNKNOWN": PhaseDefinition(
            entry_request=("resolve_sell",),
            timeout=Timeout(after="resolve_interval", raises="RESOLVE_DUE", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("exiting", "trading"),
        ),
        "DUST": PhaseDefinition(
            entry_do=("set_dust_aside",),
            entry_raises=("DUST_SET_ASIDE",),
            groups=("closing", "trading"),
        ),
        "POST_TRADE": PhaseDefinition(
            entry_do=("close_round_trip",),
            entry_raises=("TRADE_COMPLETE",),
            groups=("closing", "trading"),
        ),
        "COOLDOWN": PhaseDefinition(
            timeout=Timeout(after="cooldown", raises="COOLDOWN_EXPIRED", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("closing", "trading"),
        ),
        "ERROR": PhaseDefinition(),
        "RECOVERING": PhaseDefinition(
            entry_request=("reconcile",),
            timeout=Timeout(after="placement_timeout", raises="RECOVERY_TIMEOUT", on_restore=OnRestore.KEEP_DEADLINE),
        ),
    },
    events={
        "WARMUP_COMPLETED": EventDefinition(events.WarmupCompleted, identity=()),
        "SLOT_AVAILABLE": EventDefinition(events.SlotAvailable, identity=("bar_at",)),
        "SIGNAL_DETECTED": EventDefinition(events.SignalDetected, identity=("bar_at",)),
        "NO_SIGNAL": EventDefinition(events.NoSignal, identity=("bar_at",)),
        "GUARDS_FAILED": EventDefinition(events.GuardsFailed, internal=True),
        "EVALUATION_TIMEOUT": EventDefinition(events.EvaluationTimeout),
        "BUY_ORDER_PLACED": EventDefinition(events.BuyOrderPlaced, identity=("client_order_id",)),
        "BUY_ORDER_REJECTED": EventDefinition(events.BuyOrderRejected, identity=("client_order_id",)),
        "BUY_ORDER_ABSENT": EventDefinition(events.BuyOrderAbsent, identity=("client_order_id",)),
        "BUY_ORDER_PARTIAL": EventDefinition(events.BuyOrderPartial, identity=("client_order_id", "filled_qty")),
        "BUY_ORDER_FILLED": EventDefinition(events.BuyOrderFilled, identity=("client_order_id", "filled_qty")),
        "BUY_ORDER_CANCELED": EventDefinition(events.BuyOrderCanceled, identity=("client_order_id", "filled_qty")),
        "BUY_ORDER_TIMEOUT": EventDefinition(events.BuyOrderTimeout),
        "EXIT_CHECK_DUE": EventDefinition(events.ExitCheckDue, identity=("bar_at",)),
        "NO_EXIT": EventDefinition(events.NoExit, identity=("bar_at",)),
        "TAKE_PROFIT_HIT": EventDefinition(events.TakeProfitHit, identity=("bar_at",)),
        "STOP_LOSS_HIT": EventDefinition(events.StopLossHit, identity=("bar_at",)),
        "TRAILING_STOP_HIT": EventDefinition(events.TrailingStopHit, identity=("bar_at",)),
        "POSITION_TIMEOUT": EventDefinition(events.PositionTimeout),
        "SELL_ORDER_PLACED": EventDefinition(events.SellOrderPlaced, identity=("client_order_id",)),
        "SELL_ORDER_REJECTED": EventDefinition(events.SellOrderRejected, identity=("client_order_id",)),
        "SELL_ORDER_ABSENT": EventDefinition(events.SellOrderAbsent, identity=("client_order_id",)),
        "SELL_ORDER_PARTIAL": EventDefinition(events.SellOrderPartial, identity=("client_order_id", "filled_qty")),
        "SELL_ORDER_FILLED": EventDefinition(events.SellOrderFilled, identity=("client_order_id", "filled_qty")),
        "SELL_ORDER_CANCELED": EventDefinition(events.SellOrderCanceled, identity=("client_order_id", "filled_qty")),
        "SELL_ORDER_TIMEOUT": EventDefinition(events.SellOrderTimeout),
        "ORDER_OUTCOME_UNKNOWN": EventDefinition(events.OrderOutcomeUnknown),
        "CANCEL_OUTCOME_UNKNOWN": EventDefinition(events.CancelOutcomeUnknown),
        "ORDER_NOT_FOUND": EventDefinition(events.OrderNotFound),
        "PLACEMENT_TIMEOUT": EventDefinition(events.PlacementTimeout),
        "CANCEL_TIMEOUT": EventDefinition(events.CancelTimeout),
        "RESOLVE_DUE": EventDefinition(events.ResolveDue),
        "DUST_SET_ASIDE": EventDefinition(events.DustSetAside, internal=True),
        "TRADE_COMPLETE": EventDefinition(events.TradeComplete, internal=True),
        "COOLDOWN_EXPIRED": EventDefinition(events.CooldownExpired),
        "ERROR_OCCURRED": EventDefinition(events.ErrorOccurred),
        "RECOVER_REQUESTED": EventDefinition(events.RecoverRequested),
        "RECONCILED": EventDefinition(events.Reconciled),
        "RECONCILE_FAILED": EventDefinition(events.ReconcileFailed),
        "RECOVERY_TIMEOUT": EventDefinition(events.RecoveryTimeout),
    },
    effects={
        "evaluate_entry": EffectDefinition(
            EffectClass.PURE, requests.EvaluateEntryRequest, outcomes={"signal": "SIGNAL_DETECTED", "none": "NO_SIGNAL"}
        ),
        "submit_buy": EffectDefinition(
            EffectClass.AT_MOST_ONCE,
            requests.SubmitBuyRequest,
            outcomes={
                "accepted": "BUY_ORDER_PLACED",
                "rejected": "BUY_ORDER_REJECTED",
                "unknown": "ORDER_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="order",
        ),
        "cancel_buy": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.CancelBuyRequest,
            outcomes={
                "canceled": "BUY_ORDER_CANCELED",
                "filled": "BUY_ORDER_FILLED",
                "absent": "ORDER_NOT_FOUND",
                "unknown": "CANCEL_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="ask",
        ),
        "resolve_buy": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ResolveBuyRequest,
            outcomes={
                "accepted": "BUY_ORDER_PLACED",
                "rejected": "BUY_ORDER_REJECTED",
                "absent": "BUY_ORDER_ABSENT",
                "unknown": "ORDER_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="ask",
        ),
        "evaluate_exit": EffectDefinition(
            EffectClass.PURE,
            requests.EvaluateExitRequest,
            outcomes={
                "take_profit": "TAKE_PROFIT_HIT",
                "stop_loss": "STOP_LOSS_HIT",
                "trailing_stop": "TRAILING_STOP_HIT",
                "position_timeout": "POSITION_TIMEOUT",
                "hold": "NO_EXIT",
            },
        ),
        "submit_sell": EffectDefinition(
            EffectClass.AT_MOST_ONCE,
            requests.SubmitSellRequest,
            outcomes={
                "accepted": "SELL_ORDER_PLACED",
                "rejected": "SELL_ORDER_REJECTED",
                "unknown": "ORDER_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="order",
        ),
        "cancel_sell": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.CancelSellRequest,
            outcomes={
                "canceled": "SELL_ORDER_CANCELED",
                "filled": "SELL_ORDER_FILLED",
                "absent": "ORDER_NOT_FOUND",
                "unknown": "CANCEL_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="ask",
        ),
        "resolve_sell": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ResolveSellRequest,
            outcomes={
                "accepted": "SELL_ORDER_PLACED",
                "rejected": "SELL_ORDER_REJECTED",
                "absent": "SELL_ORDER_ABSENT",
                "unknown": "ORDER_OUTCOME_UNKNOWN",
            },
            window="order_window",
            retry="ask",
        ),
        "reconcile": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ReconcileRequest,
            outcomes={"answered": "RECONCILED", "failed": "RECONCILE_FAILED"},
            window="order_window",
            retry="ask",
        ),
    },
    policies={
        "order": RetryPolicy(
            max_attempts="order_retry_max_attempts", base_delay="order_retry_base_delay", factor=2, max_delay=30000
        ),
        "ask": RetryPolicy(max_attempts=5, base_delay=1000, factor=2, max_delay=30000),
    },
    table=TABLE,
    data=StateData,
    config=Config,
    knobs=KNOBS,
    guards=Guards,
    actions=Actions,
    effect_handlers=EffectHandlers,
    make_error=make_error,
)
