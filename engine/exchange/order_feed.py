"""Reports of our orders: by polling, and at once where the exchange has a stream.

A stream only says that something has changed. What has, is looked up: so a report that comes twice, late, or cut, does
no harm, and one that is lost is made good by the next poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.gateway import OrderState
from engine.exchange.wire import Failed
from runtime.clock import Clock

LiveOrders = Callable[[], Sequence[tuple[str, str]]]
"""Symbol and client order id of every order that may be live now."""
Changes = Callable[[], Awaitable[Sequence[str] | Failed]]
"""Returns the client order ids of what has changed since it was called last, or why the stream has ended."""


class FeedSettings(msgspec.Struct, frozen=True):
    """Durations in milliseconds. `poll` without a stream, `poll_beside` while there is one."""

    poll: int = 2_000
    poll_beside: int = 15_000
    subscribe_again: tuple[int, ...] = (1_000, 2_000, 5_000, 15_000, 60_000)


class OrderFeed:
    """Delivers the state of every live order to the gateway's listeners: at least once after each change, often twice.

    Args:
        changes: the exchange's stream; None where it has none.
    """

    def __init__(
        self,
        gateway: ClaimedGateway,
        clock: Clock,
        live_orders: LiveOrders,
        changes: Changes | None = None,
        settings: FeedSettings = FeedSettings(),  # noqa: B008
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._live_orders = live_orders
        self._changes = changes
        self._settings = settings
        self._streaming = False
        self._poll_now = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll())
            if self._changes is not None:
                tasks.create_task(self._stream(self._changes))

    async def _poll(self) -> None:
        while True:
            for symbol, client_order_id in self._live_orders():
                await self._report(symbol, client_order_id)
            pause = self._settings.poll_beside if self._streaming else self._settings.poll
            await self._until(self._clock.now() + pause)

    async def _until(self, instant: int) -> None:
        """Until `instant`, or until a poll is wanted sooner."""
        wanted = asyncio.ensure_future(self._poll_now.wait())
        alarm = asyncio.ensure_future(self._clock.sleep_until(instant))
        try:
            await asyncio.wait((wanted, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            wanted.cancel()
            alarm.cancel()
            await asyncio.gather(wanted, alarm, return_exceptions=True)
        self._poll_now.clear()

    async def _stream(self, changes: Changes) -> None:
        failures = 0
        while True:
            changed = await changes()
            if isinstance(changed, Failed):
                # What was missed is polled for, now and once the stream is back.
                self._streaming = False
                self._poll_now.set()
                pauses = self._settings.subscribe_again
                await self._clock.sleep_until(self._clock.now() + pauses[min(failures, len(pauses) - 1)])
                failures += 1
                self._poll_now.set()
                continue
            failures = 0
            self._streaming = True
            for symbol, client_order_id in self._live_orders():
                if client_order_id in changed:
                    await self._report(symbol, client_order_id)

    async def _report(self, symbol: str, client_order_id: str) -> None:
        state = await self._gateway.look_up(symbol, client_order_id)
        if isinstance(state, OrderState):
            self._gateway.deliver(state)
