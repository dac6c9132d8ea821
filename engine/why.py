"""Why a symbol did what it did at a bar, or nothing: worked out again from the bars, since a bar that changes nothing
leaves no row."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from engine.market_data.candles import Series
from engine.strategy.strategy import PositionView, Strategy
from generated.trading import DEFINITION, Phase
from runtime.errors import StoreError
from runtime.ledger import CLOSE, TRADE, JournalEntry
from runtime.store import AuditRow


class Why(msgspec.Struct, frozen=True):
    """One bar as the bot saw it. Instants in milliseconds since the epoch; `phase` is the one in which the bar found
    the symbol, entered at `since`; `rows` are the events at the bar's close. `latest` is the run's last event, and None
    where it came after the bar."""

    symbol: str
    bar_at: int
    close: Decimal
    phase: str
    since: int | None
    strategy: str
    saw: str
    rows: tuple[AuditRow, ...]
    latest: int | None


def why(
    series: Series,
    strategy: Strategy,
    rows: Sequence[AuditRow],
    entries: Sequence[JournalEntry],
    instant: int,
    *,
    begins_late: bool,
    latest: int | None,
) -> Why:
    """Explain the last bar that closed at or before `instant`. `strategy` must be new; `rows` and `entries` are the
    symbol's audit and journal, of which `begins_late` says whether older rows were moved away, and `latest` is the
    instant of the run's last event.

    Raises:
        StoreError: no bar had closed by then, or what happened before it is not in the database any more.
    """
    seen = [candle for candle in series.candles if candle.closed_at <= instant]
    if not seen:
        raise StoreError(f"{series.symbol}: no bar had closed by then; the first closes later. Give a later --at.")
    for candle in seen:
        strategy.observe(candle)
    bar_at = seen[-1].closed_at
    before = [row for row in rows if row.at < bar_at]
    if begins_late and not before:
        raise StoreError(
            f"{series.symbol}: what led to this bar is not in the database any more: older audit rows were archived. "
            f"See `phasewright audit {series.symbol} --archive FILE`, with the file that `phasewright archive` wrote."
        )
    moves = [row for row in before if row.phase_from != row.phase_to]
    phase = before[-1].phase_to if before else DEFINITION.initial
    position = _position(entries, bar_at) if phase == Phase.POSITION else None
    return Why(
        symbol=series.symbol,
        bar_at=bar_at,
        close=seen[-1].close,
        phase=phase,
        since=moves[-1].at if moves else None,
        strategy=strategy.name,
        saw=_told(phase, strategy, position),
        rows=tuple(row for row in rows if row.at == bar_at),
        latest=None if latest is None or bar_at <= latest else latest,
    )


def _told(phase: str, strategy: Strategy, position: PositionView | None) -> str:
    if phase == Phase.IDLE or position is not None:
        return strategy.explain(position)
    if phase == Phase.WARMUP:
        return f"not asked: it needs {strategy.warm_up} bars first"
    return f"not asked: in {phase} no bar decides anything"


def _position(entries: Sequence[JournalEntry], instant: int) -> PositionView | None:
    """What was held at `instant`: the purchases since the last round trip was closed."""
    trades: list[JournalEntry] = []
    for entry in entries:
        if entry.at < instant and entry.kind == CLOSE:
            trades = []
        elif entry.at < instant and entry.kind == TRADE and entry.details["side"] == "buy":
            trades.append(entry)
    if not trades:
        return None
    amounts = [(Decimal(entry.details["qty"]), Decimal(entry.details["price"])) for entry in trades]
    qty = sum((qty for qty, _ in amounts), Decimal(0))
    return PositionView(sum((qty * price for qty, price in amounts), Decimal(0)) / qty, qty, trades[0].at, instant)
