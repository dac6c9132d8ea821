"""What the exchange's clock shows, as far as a round trip can tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from engine.exchange.wire import Failed
from runtime.clock import Clock

_QUICK = 1_000
_TRIES = 3
_JUMP = 250


class Offset(msgspec.Struct, frozen=True):
    """How far the exchange's clock is ahead of ours: at least `low`, at most `high`, in milliseconds."""

    low: int
    high: int


def monotonic() -> int:
    """Milliseconds of elapsed time: what no setting of the machine's clock moves."""
    return time.monotonic_ns() // 1_000_000


class ServerClock:
    """Measures the offset, and measures it again when it is old or our own clock has jumped.

    Args:
        ask: reads the exchange's clock.
        elapsed: milliseconds that pass evenly, by which a jump of `clock` is seen.
        refresh: how long a measurement holds, in milliseconds.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[int | Failed]], clock: Clock, elapsed: Callable[[], int], refresh: int
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._elapsed = elapsed
        self._refresh = refresh
        self._measured: Offset | None = None
        self._measuring: asyncio.Future[Offset | Failed | None] | None = None
        self._at = 0
        self._elapsed_at = 0

    def forget(self) -> None:
        """Measure anew before the next use: the exchange did not agree with the last measurement."""
        self._measured = self._measuring = None

    async def offset(self) -> Offset | Failed:
        """The offset now; Failed when there is no valid measurement and none can be made. Orders that leave in the same
        moment share one measurement."""
        while self._measured is None or self._is_stale():
            self._measured = None
            if self._measuring is None:
                return await self._measure_for_all()
            measured = await asyncio.shield(self._measuring)
            if measured is not None:
                return measured
        return self._measured

    async def _measure_for_all(self) -> Offset | Failed:
        mine = self._measuring = asyncio.get_running_loop().create_future()
        measured: Offset | Failed | None = None
        try:
            measured = await self._measure()
            if isinstance(measured, Offset):
                self._measured = measured
                self._at, self._elapsed_at = self._clock.now(), self._elapsed()
            return measured
        finally:
            # None when whoever measured was stopped: the others measure themselves.
            mine.set_result(measured)
            if self._measuring is mine:
                self._measuring = None

    def _is_stale(self) -> bool:
        passed = self._elapsed() - self._elapsed_at
        return passed > self._refresh or abs(self._clock.now() - self._at - passed) > _JUMP

    async def _measure(self) -> Offset | Failed:
        """The narrowest of up to three round trips; one is enough when it is quick."""
        best: Offset | None = None
        for _ in range(_TRIES):
            before = self._clock.now()
            shown = await self._ask()
            if isinstance(shown, Failed):
                return shown if best is None else best
            measured = Offset(shown - self._clock.now(), shown - before)
            if best is None or measured.high - measured.low < best.high - best.low:
                best = measured
            if best.high - best.low <= _QUICK:
                break
        assert best is not None
        return best
