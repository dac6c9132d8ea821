"""How the command line shows things: tables that fit 80 columns, and JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from textwrap import fill
from typing import Any

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from engine.account_books import Worth
from engine.books import AccountStatus
from engine.exchange.capabilities import Exchange
from engine.reconciliation import Difference, Remedy
from engine.report.figures import RoundTrip, RunFigures, summarise
from engine.why import Why
from runtime.events import Outcome
from runtime.store import AuditRow

_OUTCOME_STYLE = {Outcome.FAILED: "bold red", Outcome.REJECTED: "red", Outcome.DEFERRED: "yellow"}
_CENT = Decimal("0.01")
_REMEDIES = {
    Remedy.ADOPT: "a running bot takes the report over",
    Remedy.RECOVER: "a running bot takes the symbol through recovery",
    Remedy.STOP: "a running bot stops the symbol in ERROR, for you to look",
    Remedy.NO_ENTRIES: "a running bot buys nothing until it is put right",
}


def show_summary(console: Console, figures: RunFigures, account: AccountStatus) -> None:
    """The table that a run ends with, and what to know when reading it."""
    bars = [candle for candles in figures.candles.values() for candle in candles]
    if bars:
        first, last = min(bar.opened_at for bar in bars), max(bar.closed_at for bar in bars)
        console.print(f"{_day(first)} to {_day(last)} (UTC), {len(bars):,} bars, amounts in {figures.quote}\n")
    table = plain_table("symbol", numbers=("trades", "won", "realised", "fees", "max drawdown"))
    rows = summarise(figures)
    for number, row in enumerate(rows, 1):
        won = "-" if row.win_rate is None else f"{row.win_rate * 100:.1f} %"
        table.add_row(
            Text(row.symbol),
            f"{row.trades:,}",
            won,
            _gain(row.realised),
            _money(row.fees),
            _money(row.max_drawdown),
            style="bold" if number == len(rows) else "",
            end_section=number == len(rows) - 1,
        )
    console.print(table)
    if figures.equity:
        held = ", ".join(symbol.symbol for symbol in account.symbols if symbol.position) or "nothing"
        worth = f"{_money(figures.equity[-1][1])} {figures.quote}"
        console.print(Text(f"\nEquity at the end: {worth}; still held: {held}", style="bold"), soft_wrap=True)
    console.print()
    for note in figures.notes:
        console.print(Text(fill(note, console.width, initial_indent="- ", subsequent_indent="  ")))


def show_status(console: Console, account: AccountStatus) -> None:
    """One line per symbol, then the account."""
    table = plain_table("symbol", "phase", "since (UTC)", numbers=("position", "at", "reserved"))
    for symbol in account.symbols:
        table.add_row(
            Text(symbol.symbol),
            Text(symbol.phase, style="bold red" if symbol.phase == "ERROR" else ""),
            "?" if symbol.since is None else _minute(symbol.since),
            _number(symbol.position) if symbol.position else "-",
            "-" if symbol.entry_price is None else _number(symbol.entry_price),
            _money(symbol.reserved) if symbol.reserved else "-",
        )
    console.print(table)
    for symbol in account.symbols:
        if symbol.order:
            console.print(Text(f"{symbol.symbol}: order {symbol.order}"), soft_wrap=True)
        if symbol.dust:
            console.print(Text(f"{symbol.symbol}: {symbol.dust} set aside as dust, too little to be sold"))
        if symbol.note:
            console.print(Text(f"{symbol.symbol}: {symbol.note}", style="red"), soft_wrap=True)
    cash = ", ".join(f"{_money(amount)} {currency}" for currency, amount in account.cash.items()) or "none"
    fees = ", ".join(f"{_fee(amount)} {currency}" for currency, amount in account.fees.items()) or "none"
    console.print(f"\ncash {cash}; slots taken {account.slots_taken}; fees paid {fees}", soft_wrap=True)
    for fault in account.faults:
        console.print(Text(f"The books do not add up: {fault}", style="bold red"), soft_wrap=True)


def show_trades(console: Console, trips: Sequence[RoundTrip]) -> None:
    """The round trips, oldest first."""
    table = plain_table("closed (UTC)", "symbol", "reason", numbers=("bought at", "sold at", "realised"))
    for trip in trips:
        table.add_row(
            _minute(trip.closed_at),
            Text(trip.symbol),
            Text(trip.reason),
            _number(trip.entry_price),
            _number(trip.exit_price),
            _gain(trip.realised),
        )
    console.print(table)
    realised = _signed(sum((trip.realised for trip in trips), Decimal(0)))
    console.print(f"{len(trips)} trade{'' if len(trips) == 1 else 's'}, {realised} realised")


def show_audit(console: Console, rows: Iterable[AuditRow]) -> None:
    """What happened, event by event: a line each, and what explains it beneath."""
    for row in rows:
        way = row.phase_from if row.phase_from == row.phase_to else f"{row.phase_from} -> {row.phase_to}"
        line = Text(f"{_second(row.at)}  {row.event}  ")
        line.append(row.outcome, style=_OUTCOME_STYLE.get(row.outcome, "dim"))
        line.append(f"  {way}")
        console.print(line, soft_wrap=True)
        details = [
            ("row", row.branch),
            ("did", ", ".join(row.actions)),
            ("asked", ", ".join(row.requested)),
            *(("event", line) for line in _carried(row.payload)),
            ("because", row.reason),
        ]
        for name, text in details:
            if text:
                _print_indented(console, f"{name:8}{text}", "dim")
        if row.error:
            console.print(Text(row.error.rstrip(), style="red"), soft_wrap=True)


def show_why(console: Console, found: Why) -> None:
    """One bar: what the strategy saw, the phase that it met, and what happened."""
    since = "" if found.since is None else f", since {_second(found.since)}"
    console.print(f"{found.symbol}  bar closed {_second(found.bar_at)} at {found.close}", soft_wrap=True)
    _print_indented(console, f"phase   {found.phase}{since}", "")
    _print_indented(console, f"{found.strategy}: {found.saw}", "")
    if found.rows:
        show_audit(console, found.rows)
    else:
        _print_indented(console, "nothing happened at this bar", "dim")
    if found.latest is not None:
        _print_indented(
            console,
            f"the run's last event was at {_second(found.latest)}: it had not come to this bar yet, or nothing "
            "happened until then",
            "yellow",
        )


def show_differences(console: Console, found: Sequence[Difference], left_out: Mapping[str, str]) -> None:
    """What the exchange shows against the books: a line each, and both sides beneath."""
    for one in sorted(found, key=lambda one: not one.needs_doing):
        line = Text(f"{one.kind.value}  ", style="red" if one.needs_doing else "dim")
        line.append(f"{one.symbol}  {one.text}" if one.symbol else one.text, style="default")
        console.print(line, soft_wrap=True)
        for name, text in (("exchange", one.exchange), ("books", one.books), ("whose", one.whose)):
            if text:
                _print_indented(console, f"{name:10}{text}", "dim")
        if one.needs_doing and one.remedy is not Remedy.NONE:
            _print_indented(console, f"{'then':10}{_REMEDIES[one.remedy]}", "dim")
    for symbol, phase in left_out.items():
        _print_indented(
            console,
            f"{symbol} is in {phase}: what became of its order is not known yet, so it was not compared. Look again "
            "once the bot has found out; if it is not running, start it.",
            "yellow",
        )
    if found:
        console.print(f"{len(found)} difference{'' if len(found) == 1 else 's'}")
    else:
        console.print("All that was compared agrees." if left_out else "The exchange and the books agree.")


def show_worth(console: Console, worth: Mapping[str, Worth]) -> None:
    """What is held, at the best bid."""
    for symbol, one in worth.items():
        base, _, quote = symbol.partition("/")
        console.print(f"{symbol}  {one.held:f} {base} held, worth {one.value:.2f} {quote} at the bid of {one.bid:f}")


def show_exchanges(console: Console, exchanges: Iterable[Exchange]) -> None:
    """What an exchange can do: a line each, how orders are found there, and why no real money where none."""
    table = plain_table(
        "exchange", "real money", "test network", "our order id is", "a lost request expires by", numbers=()
    )
    refused = []
    for one in exchanges:
        real = Text("no", style="red") if one.refused else Text("yes", style="green")
        table.add_row(one.name, real, "yes" if one.sandbox else "no", one.sent_as, one.expiry.value)
        if one.refused:
            refused.append(f"{one.name}: {one.refused}")
    console.print(table)
    console.print()
    for why in refused:
        console.print(Text(fill(why, console.width, initial_indent="- ", subsequent_indent="  ")))
    console.print()
    checked = (
        "Each entry is checked by the bytes that ccxt sends and by documented answers, binance's also against a "
        "venue on loopback; none on the exchange itself. Rehearse, then use a test network or very little money."
    )
    console.print(Text(fill(checked, console.width)))


def _carried(payload: bytes) -> list[str]:
    """What an event carried: its plain fields in one line, each item of a list in one of its own."""
    plain: list[str] = []
    items: list[str] = []
    for name, value in msgspec.json.decode(payload).items():
        if isinstance(value, list):
            items += [f"{name.removesuffix('s')}: {_fields(item)}" for item in value]
        else:
            plain.append(f"{name} {_fields(value)}")
    return [", ".join(plain), *items]


def _fields(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fields(inner)}" for name, inner in value.items())
    return "-" if value is None else str(value)


def _print_indented(console: Console, text: str, style: str) -> None:
    """Wrapped on a terminal, one line elsewhere, where it may be searched."""
    if console.is_terminal:
        console.print(Padding(Text(text, style=style), (0, 0, 0, 4)))
    else:
        console.print(Text(f"    {text}"), soft_wrap=True)


def plain_table(*texts: str, numbers: Sequence[str]) -> Table:
    """A table without rules. When it is too wide its texts are folded, so that no figure is cut."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _day(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d")


def _minute(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _second(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _money(amount: Decimal) -> str:
    return f"{amount.quantize(_CENT, rounding=ROUND_HALF_EVEN):,}"


def _fee(amount: Decimal) -> str:
    """Of a currency that is perhaps a coin of which little is much."""
    return _money(amount) if abs(amount) >= 1 else _number(amount)


def _signed(amount: Decimal) -> str:
    return f"{amount.quantize(_CENT, rounding=ROUND_HALF_EVEN):+,}"


def _gain(amount: Decimal) -> Text:
    return Text(_signed(amount), style="green" if amount > 0 else "red" if amount < 0 else "")


def _number(amount: Decimal) -> str:
    """Eight significant digits, and never fewer than the whole ones."""
    return f"{Context(prec=max(8, amount.adjusted() + 1)).plus(amount).normalize():f}" if amount else "0"
