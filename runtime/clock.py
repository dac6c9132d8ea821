"""Time, passed in. Every instant in this project is an integer: milliseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

_SLICE = 10
"""Seconds after which a sleeper looks at the clock again."""


class Clock(Protocol):
    """What the runtime and the engine know of time."""

    def now(self) -> int:
        """The present instant in milliseconds since the epoch, UTC."""
        ...

    async def sleep_until(self, instant: int) -> None:
        """Return at `instant` (milliseconds since the epoch), at once when it is past."""
        ...


class AnchoredClock(Clock, Protocol):
    """A clock that goes on evenly while the machine's own is set, and can be told to follow it."""

    def set_by(self) -> int:
        """How many milliseconds the machine's clock is ahead of this one: about as many as it was set by."""
        ...

    def follow(self) -> None:
        """Show the machine's time from now on. Instants may then come twice, or be left out."""
        ...


def _elapsed() -> int:
    """Nanoseconds that pass evenly, also while the machine sleeps: Linux counts those in CLOCK_BOOTTIME alone."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SystemClock:
    """The machine's clock as it was at the start, and the time that has passed since. Whoever sets the machine's clock
    moves no timer and no deadline; that it was set is seen in `set_by`.

    Args:
        wall: nanoseconds since the epoch, by the machine's clock.
        elapsed: nanoseconds that pass evenly.
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns, elapsed: Callable[[], int] = _elapsed) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._ahead = 0
        self.follow()

    def now(self) -> int:
        return (self._elapsed() + self._ahead) // 1_000_000

    def set_by(self) -> int:
        return self._wall() // 1_000_000 - self.now()

    def follow(self) -> None:
        self._ahead = self._wall() - self._elapsed()

    async def sleep_until(self, instant: int) -> None:
        # In slices: the event loop's own time stands still while the machine sleeps, and this clock may be told to
        # follow the machine's.
        while (remaining := instant - self.now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(remaining / 1000, _SLICE))


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

    def set_by(self) -> int:
        """Nobody sets this one but its driver."""
        return 0

    def follow(self) -> None:
        """There is no other to follow."""

    @property
    def sleeping(self) -> int:
        """How many callers wait in `sleep_until`."""
        return sum([not future.done() for _, _, future in self._sleepers])

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
