"""A replay in words: what was to happen, what happened, and what is there at the end."""

from __future__ import annotations

import asyncio
import shutil
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from engine.rehearsal.observed import Books, Observed
from engine.rehearsal.rehearsal import Divergence, Outcome, Played, Rehearsal, Stage
from engine.rehearsal.trace import Trace, check_names
from generated.trading import DEFINITION
from runtime.rehearsal.play import DifferenceError
from runtime.rehearsal.play import Stage as ScriptedStage
from runtime.sqlite_store import SqliteStore
from runtime.store import AuditRow

_WIDTH = 118
"""As wide as text gets; a narrower terminal makes it narrower."""
MACHINE = DEFINITION.name
"""The machine that the engine carries out."""
LET_GO = "no_fill_let_go"
"""The claim about reports of fills, which is about a way and not about a state."""

Broken = Callable[[Any], bool]
"""Asks whether a claim does not hold in `Observed.reality`."""


def replay(trace: Trace, folder: Path, free: frozenset[str], broken: Broken | None) -> tuple[bool, str]:
    """Play the trace with databases in `folder`. Whether it came true, and the whole story."""
    outcome = Rehearsal(trace, folder, Stage(free)).play()
    reproduced, sentence = verdict(trace, outcome, broken)
    return reproduced, "\n".join([*lines(outcome), "", *_folded(sentence, "")])


def replay_without_bot(trace: Trace, folder: Path) -> tuple[bool, str]:
    """Play the trace on a machine that nothing in the engine carries out: its handlers do as the trace says. Whether
    every step went like that, and the story; the trace's claim is about facts and orders, which nobody keeps here."""
    definition = import_module(f"generated.{trace.machine}").DEFINITION
    check_names(trace, definition)
    told = [
        line for number, step in enumerate(trace.steps, start=1) for line in _step(number, Played(step, (), (), None))
    ]
    try:
        asyncio.run(
            ScriptedStage(definition).play(msgspec.to_builtins(trace), lambda: SqliteStore(folder / "machine.db"))
        )
    except DifferenceError as error:
        return False, "\n".join([*told, "", f"NOT reproduced: {error}"])
    sentence = "played: every step went as the trace says"
    if trace.claim is not None:
        sentence += f"; for a machine without a bot nothing is asked of its books, so {trace.claim} was not asked"
    return True, "\n".join([*told, "", *_folded(sentence, "")])


def verdict(trace: Trace, outcome: Outcome, broken: Broken | None) -> tuple[bool, str]:
    """Whether what the trace tells came true, and the sentence that says so.

    `broken` is None where the claim is about the way.
    """
    if outcome.divergences:
        return False, f"NOT reproduced: {outcome.divergences[0]}"
    steps = f"all {len(outcome.played)} steps went as told"
    if trace.claim is None:
        return True, f"played: {steps}"
    if broken is None and not outcome.played:
        return False, f"NOT reproduced: {trace.claim} is about a way, and the trace has no steps"
    holds = not outcome.observed.let_go if trace.claim == LET_GO else broken and not broken(outcome.observed.reality)
    if holds:
        return False, f"NOT reproduced: {steps}, and the claim {trace.claim} holds all the same"
    return True, f"reproduced: {trace.loss}" + (f" {trace.ending}" if trace.ending else "")


def lines(outcome: Outcome) -> Iterator[str]:
    """The steps, and then both sets of books."""
    differing = {one.step: one for one in reversed(outcome.divergences)}
    for number, played in enumerate(outcome.played, start=1):
        yield from _step(number, played)
        if number in differing:
            yield from _folded(f"!! {_difference(differing[number])}", "     ")
    yield ""
    yield from _books(outcome.books, outcome.observed)


def _step(number: int, played: Played) -> Iterator[str]:
    step = played.step
    told = f"[{step.actor}] {step.words}" if step.words else f"{step.kind} {step.event or step.effect}"
    yield from _folded(f"{number:>3}. {told}", "", "     ")
    for row in played.rows:
        yield from _folded(_row(row), "     ", "       ")
    for note in played.notes:
        yield from _folded(note, "     ", "       ")
    for order in played.orders or ():
        yield from _folded(f"at the exchange: {order}", "     ", "       ")


def _row(row: AuditRow) -> str:
    way = f"{row.phase_from} -> {row.phase_to}" if row.phase_from != row.phase_to else f"stays in {row.phase_to}"
    by = f" by {row.branch}" if row.branch else ""
    why = f" ({row.reason})" if row.reason else ""
    return f"{row.event} {row.outcome.value}{by}, {way}{why}"


def _difference(one: Divergence) -> str:
    return f"{one.what}: expected {one.expected}, found {one.found}"


def _books(books: Books, observed: Observed) -> Iterator[str]:
    yield f"At the end, in {observed.phase}:"
    yield f"  {'':<10}{'in the books':>20}{'at the exchange':>20}"
    for currency, amount in books.in_ledger.items():
        yield f"  {currency:<10}{amount:>20,f}{books.at_exchange.get(currency, 0):>20,f}"
    for symbol, amount in books.positions.items():
        yield f"  position in {symbol}: {amount:f}"
    for order in books.open_orders:
        filled = f", of which {order.filled} are filled" if order.filled else ""
        yield f"  live at the exchange: {order.side.value} order {order.client_order_id[:8]}, {order.amount}{filled}"
    for trade in books.unbooked:
        yield f"  traded, and not in the books: {trade}"
    if books.agree and not books.open_orders:
        yield "  both agree, and no order is live"


def _folded(text: str, indent: str, further: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns),
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
