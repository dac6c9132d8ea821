"""Handlers that follow a path where the spec leaves the answer open, and that fail where the path says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from engine.market_data.candles import Candle
from engine.rehearsal.trace import Asked, Take
from engine.strategy.strategy import EntrySignal, ExitReason, ExitSignal, PositionView

Handler = Callable[[Any, Any, Any], Any]
Differs = Callable[[str, str, str], None]
"""Told what differs, what was expected and what was found."""


def _nobody_asks(what: str, expected: str, found: str) -> None:
    """Between two rehearsals."""


class OnPurpose(Exception):  # noqa: N818
    """A handler that fails because the path says so."""


class Script:
    """What a step says of the guards, event by event. `differs` hears of a guard that answers otherwise."""

    def __init__(self) -> None:
        self.differs: Differs = _nobody_asks
        self._left: list[tuple[Asked | None, str, str]] = []
        self._now: tuple[Asked | None, str, str] = (None, "", "")
        self._payload: object = None

    def begin(self, takes: tuple[Take, ...]) -> None:
        """From here on, events are those of these commits."""
        self._left, self._now, self._payload = [], (None, "", ""), None
        for take in takes:
            fails_at = take.fails_at.partition("/")[2]
            parts: list[tuple[Asked | None, str]] = [(asked, asked.event) for asked in take.guards]
            parts = parts or [(None, take.event)]
            if take.fails and parts[-1][1] != fails_at:
                parts.append((None, fails_at))
            self._left += [(*part, take.fails if part is parts[-1] else "") for part in parts]

    def asked(self, payload: Any) -> tuple[Asked | None, str]:
        """What the path says of the event that is being handled: the answers, and what fails."""
        if payload is not self._payload:
            self._payload = payload
            self._now = (None, "", "")
            for place, entry in enumerate(self._left):
                if entry[1] == payload.event:
                    self._now = entry
                    del self._left[: place + 1]
                    break
        return self._now[0], self._now[2]


class ScriptedGuards:
    """Guards around others. Those in `free` answer as the path says; the others answer, and are compared with it."""

    def __init__(self, inner: object, script: Script, free: frozenset[str]) -> None:
        self._inner = inner
        self._script = script
        self._free = free

    def __getattr__(self, name: str) -> Handler:
        inner: Handler = getattr(self._inner, name)

        def guard(data: Any, event: Any, ctx: Any) -> Any:
            asked, fails = self._script.asked(event)
            if fails == f"guard {name}":
                raise OnPurpose(f"the guard {name} fails on purpose")
            wanted = None if asked is None else asked.answers.get(name)
            if wanted is not None and name in self._free:
                return wanted
            found = inner(data, event, ctx)
            if wanted is not None and found is not wanted:
                assert asked is not None
                self._script.differs(f"the guard {name} of {asked.cell}", str(wanted), str(found))
            return found

        return guard


class ScriptedActions:
    """Actions around others, which fail where the path says so."""

    def __init__(self, inner: object, script: Script) -> None:
        self._inner = inner
        self._script = script

    def __getattr__(self, name: str) -> Handler:
        inner: Handler = getattr(self._inner, name)

        def action(data: Any, event: Any, ctx: Any) -> Any:
            if self._script.asked(event)[1] == f"action {name}":
                raise OnPurpose(f"the action {name} fails on purpose")
            return inner(data, event, ctx)

        return action


class ToldStrategy:
    """A strategy that answers what it is told: `told` is an outcome of the evaluation, `price` that of an entry."""

    name = "TOLD"
    warm_up = 0
    ready = True

    def __init__(self, entry_price: Decimal, exit_price: Decimal) -> None:
        self.told = ""
        self.entry_price = entry_price
        self._exit_price = exit_price

    def observe(self, candle: Candle) -> None:
        """It needs no bars."""

    def entry(self) -> EntrySignal | None:
        return EntrySignal(self.entry_price, "as the path says") if self.told == "signal" else None

    def exit(self, position: PositionView) -> ExitSignal | None:
        if self.told not in [*ExitReason]:
            return None
        return ExitSignal(ExitReason(self.told), self._exit_price, "as the path says")

    def explain(self, position: PositionView | None) -> str:
        return f"told {self.told or 'nothing'}"
