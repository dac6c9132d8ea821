"""How the command line shows things: tables that fit 80 columns, and JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.books import AccountStatus
from engine.report.figures import RoundTrip, RunFigures, summarise
from runtime.events import Outcome
from runtime.store import AuditRow

_OUTCOME_STYLE = {Outcome.FAILED: "bold red", Outcome.REJECTED: "red", Outcome.DEFERRED: "yellow"}
_CENT = Decimal("0.01")


def show_summary(console: Console, figures: RunFigures) -> None:
    """The table that a run ends with."""
    table = Table(title=f"Trades in {figures.quote}", title_justify="left", box=None, pad_edge=False)
    table.add_column("symbol")
    for name in ("trades", "won", "realised", "fees", "max drawdown"):
        table.add_column(name, justify="right")
    rows = summarise(figures)
    for number, row in enumerate(rows, 1):
        won = "-" if row.win_rate is None else f"{row.win_rate * 100:.1f} %"
        table.add_row(
            _plain(row.symbol),
            str(row.trades),
            won,
            _signed(row.realised),
            _money(row.fees),
            _money(row.max_drawdown),
            style="bold" if number == len(rows) else "",
            end_section=number == len(rows) - 1,
        )
    console.print(table)


def show_status(console: Console, account: AccountStatus) -> None:
    """One line per symbol, then the account."""
    table = Table(box=None, pad_edge=False)
    for name in ("symbol", "phase", "since (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("position", "at", "reserved"):
        table.add_column(name, justify="right")
    for symbol in account.symbols:
        table.add_row(
            _plain(symbol.symbol),
            Text(symbol.phase, style="bold red" if symbol.phase == "ERROR" else ""),
            "?" if symbol.since is None else _minute(symbol.since),
            _number(symbol.position),
            "" if symbol.entry_price is None else _number(symbol.entry_price),
            _money(symbol.reserved) if symbol.reserved else "",
        )
    console.print(table)
    for symbol in account.symbols:
        if symbol.order:
            console.print(_plain(f"{symbol.symbol}: order {symbol.order}"), soft_wrap=True)
        if symbol.dust:
            console.print(_plain(f"{symbol.symbol}: {symbol.dust} set aside as dust, too little to be sold"))
        if symbol.note:
            console.print(Text(f"{symbol.symbol}: {symbol.note}", style="red"), soft_wrap=True)
    cash = ", ".join(f"{_money(amount)} {currency}" for currency, amount in account.cash.items()) or "none"
    fees = ", ".join(f"{_number(amount)} {currency}" for currency, amount in account.fees.items()) or "none"
    console.print(f"\ncash {cash}; slots taken {account.slots_taken}; fees paid {fees}", soft_wrap=True)
    for fault in account.faults:
        console.print(Text(f"The books do not add up: {fault}", style="bold red"), soft_wrap=True)


def show_trades(console: Console, trips: Sequence[RoundTrip]) -> None:
    """The round trips, oldest first."""
    table = Table(box=None, pad_edge=False)
    for name in ("closed (UTC)", "symbol", "reason"):
        table.add_column(name, no_wrap=True)
    for name in ("bought at", "sold at", "realised"):
        table.add_column(name, justify="right")
    for trip in trips:
        table.add_row(
            _minute(trip.closed_at),
            _plain(trip.symbol),
            _plain(trip.reason),
            _number(trip.entry_price),
            _number(trip.exit_price),
            _signed(trip.realised),
        )
    console.print(table)
    console.print(f"{len(trips)} trades, {_signed(sum((trip.realised for trip in trips), Decimal(0)))} realised")


def show_audit(console: Console, rows: Iterable[AuditRow]) -> None:
    """What happened, event by event: a line each, and what explains it beneath."""
    for row in rows:
        way = row.phase_from if row.phase_from == row.phase_to else f"{row.phase_from} -> {row.phase_to}"
        line = Text(f"{_second(row.at)}  {row.event}  ")
        line.append(row.outcome, style=_OUTCOME_STYLE.get(row.outcome, "dim"))
        line.append(f"  {way}")
        console.print(line, soft_wrap=True)
        details = [("row", row.branch), ("did", " ".join(row.actions)), ("asked for", " ".join(row.requested))]
        payload = row.payload.decode()
        details += [("event", "" if payload == "{}" else payload), ("because", row.reason)]
        for name, text in details:
            if text:
                console.print(Text(f"    {name} {text}", style="dim"), soft_wrap=True)
        if row.error:
            console.print(Text(row.error.rstrip(), style="red"), soft_wrap=True)


def _plain(text: str) -> Text:
    return Text(text)


def _minute(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _second(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _money(amount: Decimal) -> str:
    return f"{amount.quantize(_CENT, rounding=ROUND_HALF_EVEN):,}"


def _signed(amount: Decimal) -> str:
    return f"{amount.quantize(_CENT, rounding=ROUND_HALF_EVEN):+,}"


def _number(amount: Decimal) -> str:
    return f"{amount:.8g}" if amount else "0"
