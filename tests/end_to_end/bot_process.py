"""A bot in a process of its own that can be killed: forked from this program, which has everything imported.

Reads jobs from standard input, one JSON array per line, [market, variant, books, kill_at, delay], and answers each
with a line: "done", "killed" or "failed". `kill_at` kills the bot at that moment around its writes, counted from its
start; `delay` kills it after so many seconds. Null for neither.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from small_market import Variant, bars_of, open_run, run_to_the_end

from engine.exchange.paper_store import PaperStore
from runtime.grouped_store import GroupedSqliteStore


def arm(kill_at: int) -> None:
    """Die at the `kill_at`-th of these moments: before and after every write of the bot and every time that either side
    makes its writes last, and before, at the end of and after every transaction of the exchange."""
    moments = itertools.count(1)

    def moment() -> None:
        if next(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*args: Any) -> Any:
            moment()
            result = write(*args)
            moment()
            return result

        return written

    for name in ("commit", "claim", "forget_identities", "flush"):
        setattr(GroupedSqliteStore, name, around(getattr(GroupedSqliteStore, name)))
    PaperStore.flush = around(PaperStore.flush)
    transaction = PaperStore.transaction

    @contextmanager
    def with_moments(store: PaperStore) -> Iterator[None]:
        moment()
        with transaction(store):
            yield
            moment()
        moment()

    PaperStore.transaction = with_moments


def live(market: Path, variant: Variant, books: Path, kill_at: int | None) -> None:
    """The life of one bot."""
    if kill_at is not None:
        arm(kill_at)
    run = open_run(market, variant, books)
    asyncio.run(run_to_the_end(run))


def outcome(pid: int, delay: float | None) -> str:
    """Wait for the bot, or kill it after `delay` seconds."""
    if delay is not None:
        ends_at = time.monotonic() + delay
        while time.monotonic() < ends_at:
            if (found := os.waitpid(pid, os.WNOHANG))[0]:
                break
            time.sleep(0.001)
        else:
            os.kill(pid, signal.SIGKILL)
            found = os.waitpid(pid, 0)
    else:
        found = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(found[1])
    return {0: "done", -signal.SIGKILL: "killed"}.get(code, "failed")


def main() -> None:
    for line in sys.stdin:
        market, variant, books, kill_at, delay = msgspec.json.decode(line)
        bars_of(Path(market))  # read once, here: every bot inherits them
        pid = os.fork()
        if pid == 0:
            try:
                live(Path(market), msgspec.convert(variant, Variant), Path(books), kill_at)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(outcome(pid, delay), flush=True)


if __name__ == "__main__":
    main()
