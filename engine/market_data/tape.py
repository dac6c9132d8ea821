"""The latest closed bars of one symbol, read once for everybody who wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from engine.market_data.candles import Candle

FailureT = TypeVar("FailureT")
AnswerT = TypeVar("AnswerT")

MOST = 200
"""Bars that are kept: what nearly every strategy needs to begin. Each takes more than half a kilobyte, and there may be
thousands of symbols; whoever wants earlier ones reads them for himself."""
_NEVER = -(1 << 62)
_NOT_FAR = 100
"""How many bars the kept ones may be behind for a reading to go on from them. One page has more."""


class Flights(Generic[AnswerT]):
    """Questions under way: who asks what is being asked already gets the same answer."""

    def __init__(self) -> None:
        self._under_way: dict[object, asyncio.Task[AnswerT]] = {}

    async def ask(self, key: object, make: Callable[[], Coroutine[Any, Any, AnswerT]]) -> AnswerT:
        """The answer of `make`, or of the question with this key that is on its way. Whoever asks may be cancelled; the
        others get their answer all the same. `make` must not raise."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)


class Tape(Generic[FailureT]):
    """Instants and durations are in milliseconds.

    Args:
        read: asks the exchange for one page of bars that opened at an instant or later, the last of which may be open.
        length: how long a bar lasts.
        settling: how long after its close a bar may still change. Until then whoever asks for it gets it, but nobody
            else.
    """

    def __init__(
        self, read: Callable[[int], Awaitable[Sequence[Candle] | FailureT]], length: int, settling: int
    ) -> None:
        self._read = read
        self._length = length
        self._settling = settling
        self._bars: list[Candle] = []
        self._begin = _NEVER
        """Of all that opened from here to `_end` the closed bars are known."""
        self._end = _NEVER
        self._flights: Flights[Sequence[Candle] | FailureT] = Flights()

    async def since(self, since: int, now: int) -> Sequence[Candle] | FailureT:
        """Bars that opened at `since` or later, oldest first, as many as one page has at least; or why they cannot be
        read. `now` is the present instant by the exchange's clock."""
        if since > self._end + _NOT_FAR * self._length:
            self._bars, self._begin, self._end = [], since, since
        if since < self._begin:
            return await self._page(since, now)
        # Taken before the page is asked for: by its answer others may have begun anew, elsewhere.
        end, kept = self._end, [candle for candle in self._bars if candle.opened_at >= since]
        if end + self._length > now:
            return kept
        page = await self._page(end, now)
        if not isinstance(page, Sequence):
            return page
        return [*kept, *(candle for candle in page if candle.opened_at >= max(end, since))]

    async def _page(self, since: int, now: int) -> Sequence[Candle] | FailureT:
        # A page that was asked for before the latest bar had closed, or settled, is none for who asks after that.
        key = since, now // self._length, now % self._length >= self._settling
        page = await self._flights.ask(key, lambda: self._ask(since))
        if isinstance(page, Sequence):
            self._keep(since, page, now)
        return page

    async def _ask(self, since: int) -> Sequence[Candle] | FailureT:
        return await self._read(since)

    def _keep(self, since: int, page: Sequence[Candle], now: int) -> None:
        # By the exchange's word, too, a bar is over when it shows a later one: whoever asked may have a clock that is
        # ahead.
        latest = max((candle.opened_at for candle in page), default=_NEVER)
        settled = [
            candle
            for candle in sorted(page, key=lambda one: one.opened_at)
            if candle.length == self._length
            and since <= candle.opened_at < latest
            and candle.closed_at + self._settling <= now
        ]
        if not settled:
            return
        if since < self._begin <= settled[-1].closed_at:
            self._bars = [candle for candle in settled if candle.opened_at < self._begin] + self._bars
            self._begin = since
        if self._begin <= since <= self._end < settled[-1].closed_at:
            self._bars += [candle for candle in settled if candle.opened_at >= self._end]
            self._end = settled[-1].closed_at
        if len(self._bars) > MOST:
            del self._bars[:-MOST]
            self._begin = self._bars[0].opened_at
