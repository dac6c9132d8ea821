"""The clocks that a live bot goes by: its own, the machine's, and the exchange's."""

from __future__ import annotations

from collections.abc import Callable

from engine.exchange.claimed_gateway import MAX_OFFSET
from engine.exchange.gateway import GatewayError
from engine.live_errors import TradeError
from engine.live_exchange import LiveExchange
from engine.live_notices import Notifier
from runtime.clock import AnchoredClock

_SET = 1_000
"""By how much (ms) the machine's clock must differ from the run's to count as set."""
_CHECK = 60_000
"""How often (ms) that is looked at."""


class Clocks:
    """The run's clock, by which all is timed, and how far the exchange's and the machine's are ahead of it.

    Instants and durations are in milliseconds.
    """

    def __init__(self, clock: AnchoredClock, exchange: LiveExchange, notifier: Notifier) -> None:
        self._clock = clock
        self._exchange = exchange
        self._notifier = notifier
        self._offset = 0
        self._set_by = 0

    def now(self) -> int:
        """The present instant by the run's clock."""
        return self._clock.now()

    def exchange_now(self) -> int:
        """The present instant by the exchange's clock, as it was measured last."""
        return self._clock.now() + self._offset

    async def sleep(self, milliseconds: int) -> None:
        """Return after so long by the run's clock."""
        await self._clock.sleep_until(self._clock.now() + milliseconds)

    async def sleep_until_exchange(self, instant: int) -> None:
        """Return when the exchange's clock shows `instant`."""
        await self._clock.sleep_until(instant - self._offset)

    async def check(self) -> None:
        """Measure the exchange's clock, and refuse to start by one that is wrong.

        Raises:
            GatewayError: the exchange gives no answer.
            TradeError: this machine's clock is too far from the exchange's.
        """
        self._offset = await self._exchange.clock_offset()
        if abs(self._offset) > MAX_OFFSET:
            way = "behind" if self._offset > 0 else "ahead of"
            raise TradeError(
                f"This machine's clock is {abs(self._offset) / 1000:.1f} s {way} {self._exchange.name}'s. An order "
                "carries the instant after which it must not be accepted any more, and with a wrong clock that instant "
                f"means nothing, so more than {MAX_OFFSET // 1000} s are not traded with. Set the clock "
                "(timedatectl set-ntp true, or chrony), then start again."
            )

    async def compare(self) -> None:
        """Measure the exchange's clock while the bot runs, and tell what is wrong. Without an answer nothing is."""
        try:
            self._offset = await self._exchange.clock_offset()
        except GatewayError:
            return
        self._judge()

    async def watch(self, on_set: Callable[[], None]) -> None:
        """Notice soon that somebody set the machine's clock; what it means is judged by the exchange's."""
        while True:
            await self.sleep(_CHECK)
            if abs(self._clock.set_by() - self._set_by) > _SET:
                on_set()

    def _judge(self) -> None:
        """The run's clock goes on evenly whatever the machine's is set to. It follows only where it is wrong itself, by
        the exchange's word, and the machine's is right."""
        exchange, notifier = self._exchange.name, self._notifier
        self._set_by = set_by = self._clock.set_by()
        told = f"this machine's clock was set {'forward' if set_by > 0 else 'back'} by {abs(set_by) / 1000:.0f} s"
        if abs(self._offset) > MAX_OFFSET and abs(self._offset - set_by) <= MAX_OFFSET:
            self._clock.follow()
            self._offset -= set_by
            self._set_by = self._clock.set_by()
            notifier.note(f"{told} and agrees with {exchange}'s now: the bot goes by it from here on")
        if abs(self._offset) > MAX_OFFSET:
            notifier.trouble(
                "clock",
                f"this machine's clock is {abs(self._offset) / 1000:.1f} s off {exchange}'s; no order is sent until it "
                "is set right (NTP)",
            )
        else:
            notifier.well("clock", "the clock is right again")
        if abs(self._set_by) > _SET:
            notifier.trouble(
                "clock set",
                f"{told} while the bot ran. It goes by the time that has passed since its start, which agrees with "
                f"{exchange}'s clock. Set the machine's right before the next start (NTP)",
            )
        else:
            notifier.well("clock set", "this machine's clock is right again")
