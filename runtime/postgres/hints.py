"""What other processes say in passing (NOTIFY): there is something to do. Nothing rests on it; it saves waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runtime.clock import Clock
from runtime.errors import StoreError
from runtime.postgres.line import Line

_AGAIN = 1_000
"""Milliseconds until a connection that broke is opened again."""


async def follow_hints(line: Line, clock: Clock, listeners: Mapping[str, Callable[[str], None]]) -> None:
    """Hand the text of every hint to the listener of its channel, until cancelled."""
    while True:
        try:
            async for channel, text in line.notices(list(listeners)):
                listeners[channel](text)
        except StoreError:
            pass  # whoever waits for hints polls as well, and says then what is wrong
        await clock.sleep_until(clock.now() + _AGAIN)
