# Generated from spec/trading.yaml; do not edit.
# Change the spec and run: make generate
"""One symbol's order lifecycle, from waiting for a signal to a closed trade, safe at any crash."""

from .data import Fill, OrderContext, OrderReport, StateData, Config, KNOBS
from .definition import DEFINITION, make_error
from .events import WarmupCompleted, SlotAvailable, SignalDetected, NoSignal, GuardsFailed, EvaluationTimeout, BuyOrderPlaced, BuyOrderRejected, BuyOrderAbsent, BuyOrderPartial, BuyOrderFilled, BuyOrderCanceled, BuyOrderTimeout, ExitCheckDue, NoExit, TakeProfitHit, StopLossHit, TrailingStopHit, PositionTimeout, SellOrderPlaced, SellOrderRejected, SellOrderAbsent, SellOrderPartial, SellOrderFilled, SellOrderCanceled, SellOrderTimeout, OrderOutcomeUnknown, CancelOutcomeUnknown, PlacementTimeout, CancelTimeout, ResolveDue, DustSetAside, TradeComplete, CooldownExpired, ErrorOccurred, RecoverRequested, Reconciled, ReconcileFailed, RecoveryTimeout, Payload
from .handlers import Guards, Actions, EffectHandlers
from .names import Phase, FSMEvent, Effect
from .requests import EvaluateEntryRequest, SubmitBuyRequest, CancelBuyRequest, ResolveBuyRequest, EvaluateExitRequest, SubmitSellRequest, CancelSellRequest, ResolveSellRequest, ReconcileRequest
from .table import TABLE

__all__ = ['Fill', 'OrderContext', 'OrderReport', 'StateData', 'Config', 'KNOBS', 'DEFINITION', 'make_error', 'WarmupCompleted', 'SlotAvailable', 'SignalDetected', 'NoSignal', 'GuardsFailed', 'EvaluationTimeout', 'BuyOrderPlaced', 'BuyOrderRejected', 'BuyOrderAbsent', 'BuyOrderPartial', 'BuyOrderFilled', 'BuyOrderCanceled', 'BuyOrderTimeout', 'ExitCheckDue', 'NoExit', 'TakeProfitHit', 'StopLossHit', 'TrailingStopHit', 'PositionTimeout', 'SellOrderPlaced', 'SellOrderRejected', 'SellOrderAbsent', 'SellOrderPartial', 'SellOrderFilled', 'SellOrderCanceled', 'SellOrderTimeout', 'OrderOutcomeUnknown', 'CancelOutcomeUnknown', 'PlacementTimeout', 'CancelTimeout', 'ResolveDue', 'DustSetAside', 'TradeComplete', 'CooldownExpired', 'ErrorOccurred', 'RecoverRequested', 'Reconciled', 'ReconcileFailed', 'RecoveryTimeout', 'Payload', 'Guards', 'Actions', 'EffectHandlers', 'Phase', 'FSMEvent', 'Effect', 'EvaluateEntryRequest', 'SubmitBuyRequest', 'CancelBuyRequest', 'ResolveBuyRequest', 'EvaluateExitRequest', 'SubmitSellRequest', 'CancelSellRequest', 'ResolveSellRequest', 'ReconcileRequest', 'TABLE']
