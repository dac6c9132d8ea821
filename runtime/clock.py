"""Time, passed in. Every instant in this project is an integer: milliseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count
from typing import Protocol


class Clock(Protocol):
    """What the runtime and the engine know of time."""

    def now(self) -> int:
        """The present instant in milliseconds since the epoch, UTC."""
        ...

    async def sleep_until(self, instant: int) -> None:
        """Return at `instant` (milliseconds since the epoch), at once when it is past."""
        ...


class SystemClock:
    """The machine's clock, never going backwards within one process."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last, time.time_ns() // 1_000_000)
        return self._last

    async def sleep_until(self, instant: int) -> None:
        # In slices: a clock that is set while we wait must not make the wait longer by as much.
        while (remaining := instant - self.now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(remaining / 1000, 60))


class VirtualClock:
    """A clock that a driver moves. Sleepers wake in the order of their instants, then of their calls."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> int:
        return self._now

    async def sleep_until(self, instant: int) -> None:
        if instant <= self._now:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), future))
        await future

    @property
    def sleeping(self) -> int:
        """How many callers wait in `sleep_until`."""
        self._drop_cancelled()
        return sum(not future.done() for _, _, future in self._sleepers)

    def next_wake(self) -> int | None:
        """The instant of the earliest sleeper, or None."""
        self._drop_cancelled()
        return self._sleepers[0][0] if self._sleepers else None

    def advance_to(self, instant: int) -> None:
        """Move to `instant` and wake whoever is due.

        Raises:
            ValueError: `instant` lies before the present; virtual time does not run backwards.
        """
        if instant < self._now:
            raise ValueError(f"virtual time cannot go back from {self._now} to {instant}")
        self._now = instant
        while self._sleepers and self._sleepers[0][0] <= instant:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def _drop_cancelled(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
