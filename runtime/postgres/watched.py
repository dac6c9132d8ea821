"""Connections that give a statement up when the server says nothing any more, although the network does not break.

A server that was stopped, a virtual machine that is paused and a proxy that keeps the socket open all leave it alive:
no keepalive notices, and the server's own time-outs do not run.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.rows import TupleRow

ReturnT = TypeVar("ReturnT")

_GLANCE = 0.1
"""Seconds after which psycopg looks up from waiting."""


class NoAnswer(psycopg.OperationalError):
    """Nothing came for too long. Whether the statement was carried out, or yet will be, is not known."""


class WatchedConnection(psycopg.Connection[TupleRow]):
    """Raises NoAnswer, and is closed, when for `limit` seconds nothing goes to the server and nothing comes from it.

    The server is not asked to cancel: it may be waiting for a standby, with everything written.
    """

    limit = math.inf

    def wait(self, gen: PQGen[RV], interval: float = _GLANCE, timeout: float | None = None) -> RV:
        try:
            return super().wait(_watched(gen, self.limit), interval, timeout)
        except NoAnswer:
            self.pgconn.finish()
            raise


class WatchedAsyncConnection(psycopg.AsyncConnection[TupleRow]):
    """The same for asyncio."""

    limit = math.inf

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = _GLANCE,
        timeout: float | None = None,  # noqa: ASYNC109, psycopg's own
    ) -> RV:
        try:
            return await super().wait(_watched(gen, self.limit), interval, timeout)
        except NoAnswer:
            self.pgconn.finish()
            raise


def _watched(work: Generator[Any, Any, ReturnT], limit: float) -> Generator[Any, Any, ReturnT]:
    """`work` as it is, until it has not been told for `limit` seconds that the socket is ready."""
    latest = monotonic()
    try:
        wanted = next(work)
        while True:
            ready = yield wanted
            now = monotonic()
            if ready:
                latest = now
            elif now - latest >= limit:
                raise NoAnswer(f"no answer in {limit:g} s")
            wanted = work.send(ready)
    except StopIteration as done:
        result: ReturnT = done.value
        return result
