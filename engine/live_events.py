"""How what a live bot learns gets to its worker as an event. Instants are in milliseconds."""

from __future__ import annotations

from contextlib import suppress

from generated.trading.events import Payload
from runtime.errors import StoreError
from runtime.events import EventContext, Receipt
from runtime.worker import Worker


def post(worker: Worker, symbol: str, at: int, payload: Payload) -> None:
    """Leave an event that happened at `at` for the worker to take in its turn."""
    # A worker that cannot write any more ends the run, with its reason; whoever posts need not do so too.
    with suppress(StoreError):
        worker.post(EventContext(payload.event, symbol, at, payload))


async def process(worker: Worker, symbol: str, at: int, payload: Payload) -> Receipt:
    """Have an event processed, and say what became of it.

    Raises:
        StoreError: it could not be written.
    """
    return await worker.process(EventContext(payload.event, symbol, at, payload))
