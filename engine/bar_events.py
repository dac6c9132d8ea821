"""What a closed bar is worth telling a symbol."""

from __future__ import annotations

from engine.effects import position_view
from engine.strategy.strategy import Strategy
from generated.trading import ExitCheckDue, Phase, SlotAvailable, StateData, WarmupCompleted
from generated.trading.events import Payload
from runtime.dispatch import Instance

_IDLE, _POSITION, _WARMUP = Phase.IDLE, Phase.POSITION, Phase.WARMUP


def bar_event(strategy: Strategy, instance: Instance, bar_at: int) -> Payload | None:
    """The event for the bar that closed at `bar_at` (milliseconds), which the strategy has observed; None when the
    bar would change nothing. It follows from the bars and the position alone, so it can be worked out again."""
    phase = instance.snapshot.phase
    if phase == _IDLE:
        return SlotAvailable(bar_at=bar_at) if strategy.entry() is not None else None
    data: StateData = instance.data
    if phase == _POSITION and data.entry_order is not None and data.opened_at is not None:
        view = position_view(data.entry_order, data.opened_at, bar_at)
        return ExitCheckDue(bar_at=bar_at) if strategy.exit(view) is not None else None
    if phase == _WARMUP and strategy.ready:
        return WarmupCompleted()
    return None
