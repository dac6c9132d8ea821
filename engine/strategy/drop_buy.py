"""DROP_BUY: buys a drop from the recent high, and sells at a profit, a loss, a fall from the top, or after a time."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from operator import attrgetter

import msgspec

from engine.market_data.candles import Candle
from engine.strategy.strategy import EntrySignal, ExitReason, ExitSignal, PositionView

_HOUR = 3_600_000
_opened_at = attrgetter("opened_at")


class DropBuyParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Percentages are of the price they are measured from: 3 is three per cent.

    `lookback` is in bars, the one at hand included; `max_hold` in milliseconds. A `trailing_activate_pct` at or above
    `take_profit_pct` leaves the trailing stop without work.

    Raises:
        ValueError: a value makes no sense; the text names each one.
    """

    lookback: int = 24
    drop_pct: Decimal = Decimal(6)
    take_profit_pct: Decimal = Decimal(6)
    stop_loss_pct: Decimal = Decimal(6)
    trailing_activate_pct: Decimal = Decimal(3)
    trailing_pct: Decimal = Decimal(1)
    max_hold: int = 48 * _HOUR

    def __post_init__(self) -> None:
        wrong = []
        if self.lookback < 2:
            wrong.append(f"lookback is {self.lookback}: a drop needs at least 2 bars")
        if self.max_hold <= 0:
            wrong.append(f"max_hold is {self.max_hold}: give a positive number of milliseconds")
        for name in ("drop_pct", "take_profit_pct", "stop_loss_pct", "trailing_activate_pct", "trailing_pct"):
            value = getattr(self, name)
            gain = name in ("take_profit_pct", "trailing_activate_pct")
            if not isinstance(value, Decimal) or not value.is_finite():
                wrong.append(f"{name} is {value!r}: give a finite Decimal, as in Decimal('2.5')")
            elif value <= 0:
                wrong.append(f"{name} is {value}: give a percentage above 0")
            elif value >= 100 and not gain:
                wrong.append(f"{name} is {value}: a price cannot fall by 100 % or more, so it would never act")
        if wrong:
            raise ValueError("DROP_BUY cannot trade with these parameters: " + "; ".join(wrong))


class DropBuy:
    """`Strategy` for one symbol.

    Keeps the bars that no later bar has topped, as a stack of falling closes: its first entry after any instant is the
    highest close since then, its last the latest bar. That answers both "since the last `lookback` bars" (`_recent` is
    where those begin) and "since the position was opened", at amortised constant cost per bar.
    """

    name = "DROP_BUY"

    def __init__(self, parameters: DropBuyParameters | None = None) -> None:
        self.parameters = p = parameters or DropBuyParameters()
        self.warm_up = p.lookback + 1
        self._drop = _falls(p.drop_pct)
        self._take_profit = _rises(p.take_profit_pct)
        self._stop_loss = _falls(p.stop_loss_pct)
        self._arm = _rises(p.trailing_activate_pct)
        self._trail = _falls(p.trailing_pct)
        self._count = 0
        self._high = self._threshold = Decimal(0)
        self._dropped = self._dropped_before = False
        self._falling: list[Candle] = []
        self._numbers: list[int] = []
        self._recent = 0

    @property
    def ready(self) -> bool:
        return self._count >= self.warm_up

    def observe(self, candle: Candle) -> None:
        falling, numbers, close = self._falling, self._numbers, candle.close
        if falling and candle.opened_at <= falling[-1].opened_at:
            raise ValueError(f"bar {candle.opened_at} is not newer than bar {falling[-1].opened_at}")
        self._count = count = self._count + 1
        while falling and falling[-1].close <= close:
            del falling[-1], numbers[-1]
        falling.append(candle)
        numbers.append(count)
        recent, oldest = min(self._recent, len(numbers) - 1), count - self.parameters.lookback
        while numbers[recent] <= oldest:
            recent += 1
        self._recent = recent
        high = falling[recent].close
        if high is not self._high:
            self._high, self._threshold = high, high * self._drop
        self._dropped_before = self._dropped
        self._dropped = close <= self._threshold

    def entry(self) -> EntrySignal | None:
        """Buys on the bar that crosses the threshold, not on those that stay below it: a stopped-out position is not
        bought again in the same fall."""
        if not self._dropped or self._dropped_before or not self.ready:
            return None
        close = self._falling[-1].close
        fall = (1 - close / self._high) * 100
        return EntrySignal(
            close,
            f"{fall:.2f} % below {self._high}, the highest close of the last {self.parameters.lookback} bars",
        )

    def exit(self, position: PositionView) -> ExitSignal | None:
        """Judges the latest close, if that bar closed after the opening; the time-out needs no bar."""
        if not self._falling:
            return None
        last = self._falling[-1]
        if last.closed_at > position.opened_at:
            entry, close = position.entry_price, last.close
            if close <= entry * self._stop_loss:
                return _exit(ExitReason.STOP_LOSS, last, position, f"stop at -{self.parameters.stop_loss_pct} %")
            if close >= entry * self._take_profit:
                return _exit(ExitReason.TAKE_PROFIT, last, position, f"target +{self.parameters.take_profit_pct} %")
            peak = self._falling[self._first_after(position.opened_at)].close
            if peak >= entry * self._arm and close <= peak * self._trail:
                detail = f"{self.parameters.trailing_pct} % or more below {peak}, the highest close since the opening"
                return _exit(ExitReason.TRAILING_STOP, last, position, detail)
        held = position.now - position.opened_at
        if held >= self.parameters.max_hold:
            detail = f"held for {held / _HOUR:.1f} h, at most {self.parameters.max_hold / _HOUR:g} h"
            return _exit(ExitReason.POSITION_TIMEOUT, last, position, detail)
        return None

    def explain(self, position: PositionView | None) -> str:
        if not self._falling:
            return "no bar seen yet"
        last, p = self._falling[-1], self.parameters
        if position is None:
            signal = self.entry()
            fall = (1 - last.close / self._high) * 100
            high = f"{self._high}, the highest close of the last {p.lookback} bars"
            seen = f"{fall:.2f} % below {high}; buys at {p.drop_pct} %"
            if signal is not None:
                return f"{seen}: buy"
            if not self.ready:
                return f"{seen}, once it has seen {self.warm_up} bars: wait"
            crossed = "the bar before was there already: wait for the next fall" if self._dropped else "wait"
            return f"{seen}: {crossed}"
        found = self.exit(position)
        if found is not None:
            return f"{found.detail}: sell ({found.reason.value})"
        place = min(self._first_after(position.opened_at), len(self._falling) - 1)
        peak = self._falling[place].close
        change, best = ((price / position.entry_price - 1) * 100 for price in (last.close, peak))
        held = (position.now - position.opened_at) / _HOUR
        return (
            f"{change:+.2f} % from {position.entry_price:.10g}, at best {best:+.2f} %, held for {held:.1f} h; sells at "
            f"-{p.stop_loss_pct} %, at +{p.take_profit_pct} %, {p.trailing_pct} % below a peak of "
            f"+{p.trailing_activate_pct} % or more, or after {p.max_hold / _HOUR:g} h: hold"
        )

    def _first_after(self, instant: int) -> int:
        """The place in the stack of the first bar that closed after `instant` (milliseconds)."""
        return bisect_right(self._falling, instant - self._falling[-1].length, key=_opened_at)


def _exit(reason: ExitReason, last: Candle, position: PositionView, detail: str) -> ExitSignal:
    change = (last.close / position.entry_price - 1) * 100
    return ExitSignal(reason, last.close, f"{change:+.2f} % from {position.entry_price}; {detail}")


def _falls(pct: Decimal) -> Decimal:
    return 1 - pct / 100


def _rises(pct: Decimal) -> Decimal:
    return 1 + pct / 100
