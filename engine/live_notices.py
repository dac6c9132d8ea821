"""What a live bot tells of itself, a line each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from textwrap import fill
from typing import Any

import msgspec

from runtime.events import Outcome
from runtime.store import AuditRow

_NARROWEST = 60


class What(StrEnum):
    STARTED = "started"
    TRANSITION = "transition"
    FAILED = "failed"
    DIFFERENCE = "difference"
    TROUBLE = "trouble"
    WELL_AGAIN = "well again"
    NOTE = "note"
    STOPPED = "stopped"


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened, at `at` (milliseconds since the epoch, UTC); `symbol` and `phase` may be empty, and
    `account` is where a process has only one."""

    at: int
    what: What
    symbol: str
    phase: str
    text: str
    account: str = ""

    def line(self, width: int | None = None) -> str:
        """For people: one line, or folded to this width."""
        time = datetime.fromtimestamp(self.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        text = "  ".join(part for part in (time, self.account, self.symbol, self.text) if part)
        if width is None or width < _NARROWEST:
            return text
        # Nothing within a word is broken: ids and commands are there to be copied.
        indent = " " * (len(time) + 2)
        return fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def clause(text: str) -> str:
    """A text to go on after: what an exchange says ends in a full stop or not."""
    return text.rstrip(". ")


Tell = Callable[[Notice], None]


class Notifier:
    """Tells what there is to tell of one bot: each with its instant and its symbol's phase, and a trouble once.

    Args:
        tell: takes it; it must not wait.
        now: the present instant (milliseconds).
        phase_of: a symbol's phase, empty where it has none.
    """

    def __init__(self, tell: Tell, now: Callable[[], int], phase_of: Callable[[str], str]) -> None:
        self._tell = tell
        self._now = now
        self._phase_of = phase_of
        self._troubles: set[str] = set()

    def say(self, what: What, text: str, symbol: str = "") -> None:
        """Tell it now."""
        self._tell(Notice(self._now(), what, symbol, self._phase_of(symbol), text))

    def note(self, text: str, symbol: str = "") -> None:
        """Tell what is worth knowing, and no trouble."""
        self.say(What.NOTE, text, symbol)

    def trouble(self, key: str, text: str, symbol: str = "") -> None:
        """Tell of a trouble once, until it is over."""
        if key not in self._troubles:
            self._troubles.add(key)
            self.say(What.TROUBLE, text, symbol)

    def well(self, key: str, text: str, symbol: str = "") -> None:
        """Tell that a trouble is over, if there was one."""
        if key in self._troubles:
            self._troubles.remove(key)
            self.say(What.WELL_AGAIN, text, symbol)


def notice_of(row: AuditRow) -> Notice | None:
    """What to tell of an event: each change of phase, and what failed; None for the rest."""
    if row.outcome is Outcome.FAILED:
        return Notice(row.at, What.FAILED, row.instance, row.phase_to, f"{row.event} failed: {row.reason}")
    if row.phase_from == row.phase_to:
        return None
    text = f"{row.phase_from} -> {row.phase_to}  {row.event}{_details(msgspec.json.decode(row.payload))}"
    return Notice(row.at, What.TRANSITION, row.instance, row.phase_to, text)


def _details(payload: Any) -> str:
    """What of an event helps whoever reads along."""
    if not isinstance(payload, dict):
        return ""
    if "filled_qty" in payload:
        return f", {payload['filled_qty']} at {payload['avg_price']}"
    for name in ("reason", "error", "price", "exchange_order_id"):
        if name in payload:
            return f", {name.replace('_', ' ')} {payload[name]}" if name != "reason" else f": {payload[name]}"
    return ""
