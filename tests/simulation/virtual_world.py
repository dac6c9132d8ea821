"""Virtual time for everything: one queue of happenings, and an event loop that takes its time from it.

Nothing sleeps and nothing is read from the machine. What is due at the same millisecond happens in an order that the
random generator decides, so that a seed is a schedule.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any


class World:
    """Time, chance, and what is going to happen. `now` is the true time in milliseconds since the epoch."""

    def __init__(self, seed: int, start: int) -> None:
        self.now = start
        self.chance = random.Random(seed)
        self.timeline: list[tuple[Any, ...]] | None = None
        self._happenings: list[tuple[int, float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = count()

    def at(self, instant: int, what: Callable[..., object], *args: Any) -> None:
        """Have `what` happen at `instant`; at the end of the present one when that is past."""
        entry = (max(instant, self.now), self.chance.random(), next(self._order), what, args)
        heapq.heappush(self._happenings, entry)

    def after(self, delay: int, what: Callable[..., object], *args: Any) -> None:
        self.at(self.now + delay, what, *args)

    def advance(self) -> None:
        """Let the next thing happen."""
        instant, _, _, what, args = heapq.heappop(self._happenings)
        self.now = instant
        what(*args)

    def note(self, *facts: Any) -> None:
        """Write down what happens, if anybody wants to know."""
        if self.timeline is not None:
            self.timeline.append((self.now, *facts))


class _Later:
    """What `call_later` returns."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop(asyncio.AbstractEventLoop):
    """One process's event loop. `dead` ends it between two steps, as `kill -9` does: nothing of it runs any more.
    `stopped` holds it, as SIGSTOP does.

    Args:
        before_step: called before every step of a task, if given; it may kill or stop the process.
    """

    def __init__(self, world: World, before_step: Callable[[], None] | None) -> None:
        self.world = world
        self.dead = False
        self.stopped = False
        self.failure: BaseException | None = None
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._before_step = before_step

    def run_ready(self) -> None:
        """Run until everybody waits."""
        ready, before_step = self._ready, self._before_step
        if not ready:
            return
        asyncio.events._set_running_loop(self)
        try:
            while ready and not self.stopped:
                if before_step is not None:
                    before_step()
                    if self.stopped:
                        break
                callback, args = ready.popleft()
                callback(*args)
        finally:
            asyncio.events._set_running_loop(None)

    def kill(self) -> None:
        self.dead = self.stopped = True
        self._ready.clear()

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------

    def time(self) -> float:
        return self.world.now / 1000

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return self.dead

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> None:  # type: ignore[override]
        if not self.dead:
            self._ready.append((callback, args))

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Later:
        later = _Later()

        def due() -> None:
            if not later.cancelled:
                self.call_soon(callback, *args)

        self.world.after(int(delay * 1000), due)
        return later

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> _Later:  # type: ignore[override]
        return self.call_later(when - self.time(), callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None) -> Any:  # type: ignore[override]
        return asyncio.Task(coro, loop=self, name="")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task that died with its process has nothing to say; any other failure is a defect."""
        if not self.dead and self.failure is None:
            self.failure = context.get("exception") or RuntimeError(context["message"])


class ProcessClock:
    """The machine's clock as a process sees it: `offset` from the true time, never going backwards. A `Clock`, with the
    same slices as `runtime.clock.SystemClock`, so that a clock that is set is noticed as late as there."""

    SLICE = 60_000

    def __init__(self, world: World, offset: int) -> None:
        self.world = world
        self.offset = offset
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last, self.world.now + self.offset)
        return self._last

    async def sleep_until(self, instant: int) -> None:
        while (remaining := instant - self.now()) > 0:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.world.after(min(remaining, self.SLICE), _wake, future)
            await future


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
