"""Virtual time for everything: one queue of happenings, and an event loop that takes its time from it.

Nothing sleeps and nothing is read from the machine. What is due at the same millisecond happens in an order that the
random generator decides, so that a seed is a schedule.
"""

from __future__ import annotations

import asyncio
import math
import random
from asyncio import Future, Task, get_running_loop
from asyncio.events import _set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from heapq import heappop, heappush
from typing import Any


class World:
    """Time, chance, and what is going to happen. `now` is the true time in milliseconds since the epoch."""

    def __init__(self, seed: int, start: int) -> None:
        self.now = start
        self.chance = random.Random(seed)
        self.timeline: list[tuple[Any, ...]] | None = None
        self.faults: dict[str, int] = {}
        self._random = self.chance.random
        self._due: dict[int, list[tuple[Callable[..., object], tuple[Any, ...]]]] = {}
        self._instants: list[int] = []

    def at(self, instant: int, what: Callable[..., object], *args: Any) -> None:
        """Have `what` happen at `instant`; now, in its turn, when that is past."""
        self.after(max(instant - self.now, 0), what, *args)

    def after(self, delay: int, what: Callable[..., object], *args: Any) -> None:
        instant = self.now + delay
        due = self._due.get(instant)
        if due is None:
            self._due[instant] = [(what, args)]
            heappush(self._instants, instant)
        else:
            due.append((what, args))

    def advance(self) -> None:
        """Let the next thing happen: of those that are due at once, any."""
        instant = self._instants[0]
        due = self._due[instant]
        if len(due) == 1:
            heappop(self._instants)
            del self._due[instant]
            what, args = due[0]
        else:
            what, args = due.pop(int(self._random() * len(due)))
        self.now = instant
        what(*args)

    def between(self, low: int, high: int) -> int:
        """A number by chance, both ends included: `randint`, at a fifth of its price."""
        return low + int(self._random() * (high - low + 1))

    def fault(self, kind: str, *facts: Any) -> None:
        """Something goes wrong: count it, and write it down."""
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if self.timeline is not None:
            self.timeline.append((self.now, kind, *facts))

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
        chance: of `strike` being called before a step of a task.
        strike: may kill or stop the process.
    """

    def __init__(self, world: World, chance: float, strike: Callable[[], None]) -> None:
        self.world = world
        self.dead = False
        self.stopped = False
        self.failure: BaseException | None = None
        self.ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._tasks: list[Task[Any]] = []
        self._chance = chance
        self._strike = strike
        self._strikes_in = self._steps_to_strike()

    def _steps_to_strike(self) -> float:
        """How many steps are spared: drawn once for all of them, instead of once for each."""
        if self._chance <= 0:
            return math.inf
        return math.log(1 - self.world.chance.random()) // math.log(1 - self._chance)

    def run_ready(self) -> None:
        """Run until everybody waits."""
        ready = self.ready
        _set_running_loop(self)
        try:
            while ready and not self.stopped:
                if self._strikes_in <= 0:
                    self._strikes_in = self._steps_to_strike()
                    self._strike()
                    if self.stopped:
                        break
                else:
                    self._strikes_in -= 1
                callback, args = ready.popleft()
                callback(*args)
        finally:
            _set_running_loop(None)

    def kill(self) -> None:
        self.dead = self.stopped = True

    def bury(self) -> None:
        """End what a dead process was doing, when nobody is alive any more that its `finally` could disturb. Python
        would do so whenever it finds what is forgotten, and complain of each coroutine that then waits once more."""
        for task in self._tasks:
            coroutine: Any = task.get_coro()
            while coroutine.cr_frame is not None:
                with suppress(BaseException):
                    coroutine.close()
        self._tasks.clear()

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
            self.ready.append((callback, args))

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
        return Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None) -> Any:  # type: ignore[override]
        task = Task(coro, loop=self, name="")
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task that died with its process has nothing to say; any other failure is a defect."""
        if not self.dead and self.failure is None:
            self.failure = context.get("exception") or RuntimeError(context["message"])


class ProcessClock:
    """The machine's clock as a process sees it: `offset` from the true time, never going backwards. A `Clock`, and a
    worse one than `runtime.clock.SystemClock`: it follows whoever sets the machine's at once, or stands still."""

    SLICE = 60_000

    def __init__(self, world: World, offset: int) -> None:
        self.world = world
        self.offset = offset
        self._last = 0

    def now(self) -> int:
        shown = self.world.now + self.offset
        if shown > self._last:
            self._last = shown
        return self._last

    def set_by(self) -> int:
        """It has followed already."""
        return 0

    def follow(self) -> None:
        """It does so by itself."""

    async def sleep_until(self, instant: int) -> None:
        while (remaining := instant - self.now()) > 0:
            future: Future[None] = Future(loop=get_running_loop())
            self.world.after(min(remaining, self.SLICE), _wake, future)
            await future


def _wake(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)
