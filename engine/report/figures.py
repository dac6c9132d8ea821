"""The figures of a run and what follows from them. Money is in quote currency, instants in milliseconds (UTC)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from engine.market_data.candles import Candle

TOTAL = "Total"

_ZERO = Decimal(0)


class RoundTrip(msgspec.Struct, frozen=True):
    """One position from its first fill to its last. `realised` is net of `fees`; both in quote currency."""

    symbol: str
    opened_at: int
    closed_at: int
    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal
    realised: Decimal
    fees: Decimal
    reason: str


class RunFigures(msgspec.Struct, frozen=True):
    """Everything a report shows. `equity` is cash plus positions at market, in the order of its instants; `diagram` is
    the machine's SVG ("" for none), `edge_counts` says how often each of its edges was taken."""

    title: str
    quote: str
    symbols: Sequence[str]
    equity: Sequence[tuple[int, Decimal]]
    round_trips: Sequence[RoundTrip]
    candles: Mapping[str, Sequence[Candle]]
    diagram: str = ""
    edge_counts: Mapping[str, int] = {}
    notes: Sequence[str] = ()


class SummaryRow(msgspec.Struct, frozen=True):
    """One symbol, or all of them.

    `win_rate` is the fraction of trades with a profit after fees, None without trades. `max_drawdown` is the deepest
    fall below an earlier high: of a symbol's realised profit, and of the equity in the row of all symbols.
    """

    symbol: str
    trades: int
    win_rate: Decimal | None
    realised: Decimal
    fees: Decimal
    max_drawdown: Decimal


def summarise(figures: RunFigures) -> list[SummaryRow]:
    """A row per symbol, then the total."""
    trips = sorted(figures.round_trips, key=lambda trip: trip.closed_at)
    by_symbol: dict[str, list[RoundTrip]] = {symbol: [] for symbol in figures.symbols}
    for trip in trips:
        by_symbol.setdefault(trip.symbol, []).append(trip)
    rows = [_row(symbol, own, _max_fall(_cumulated(own))) for symbol, own in by_symbol.items()]
    fall = _max_fall(value for _, value in figures.equity) if figures.equity else _max_fall(_cumulated(trips))
    return [*rows, _row(TOTAL, trips, fall)]


def falls(values: Iterable[Decimal]) -> list[Decimal]:
    """How far each value lies below the highest before it (0 at a new high)."""
    out: list[Decimal] = []
    high: Decimal | None = None
    for value in values:
        high = value if high is None else max(high, value)
        out.append(high - value)
    return out


def monthly_profit(round_trips: Iterable[RoundTrip]) -> dict[str, Decimal]:
    """Realised profit by the month ("2017-10", UTC) in which the position was closed; months without trades are 0."""
    sums: dict[int, Decimal] = {}
    for trip in round_trips:
        closed = datetime.fromtimestamp(trip.closed_at / 1000, UTC)
        month = closed.year * 12 + closed.month - 1
        sums[month] = sums.get(month, _ZERO) + trip.realised
    if not sums:
        return {}
    return {f"{m // 12}-{m % 12 + 1:02}": sums.get(m, _ZERO) for m in range(min(sums), max(sums) + 1)}


def _row(symbol: str, trips: Sequence[RoundTrip], max_drawdown: Decimal) -> SummaryRow:
    wins = sum(trip.realised > 0 for trip in trips)
    return SummaryRow(
        symbol=symbol,
        trades=len(trips),
        win_rate=Decimal(wins) / len(trips) if trips else None,
        realised=sum((trip.realised for trip in trips), _ZERO),
        fees=sum((trip.fees for trip in trips), _ZERO),
        max_drawdown=max_drawdown,
    )


def _cumulated(trips: Sequence[RoundTrip]) -> list[Decimal]:
    out, total = [_ZERO], _ZERO
    for trip in trips:
        total += trip.realised
        out.append(total)
    return out


def _max_fall(values: Iterable[Decimal]) -> Decimal:
    return max(falls(values), default=_ZERO)
