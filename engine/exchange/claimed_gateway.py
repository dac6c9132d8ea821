"""The claim protocol: the only way by which an order leaves the process for a real exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from engine.exchange.gateway import (
    CancelOutcome,
    Market,
    OrderRequest,
    OrderState,
    RecoverOutcome,
    ResumeOutcome,
    Stamp,
    SubmitOutcome,
    Unknown,
)
from engine.exchange.wire import Wire
from runtime.clock import Clock

MAX_OFFSET = 5_000
"""How far (ms) our clock may be from the exchange's for an order to be sent. It bounds what a lost request can carry:
the exchange's clock at its expiry is at most deadline + MAX_OFFSET, whatever clock we had when it was sent."""


class ClaimSettings(msgspec.Struct, frozen=True):
    """Durations in milliseconds."""

    grace: int = 15_000
    refresh: int = 60_000
    read_attempts: int = 4


def monotonic() -> int:
    """Milliseconds of elapsed time: what no setting of the machine's clock moves."""
    return time.monotonic_ns() // 1_000_000


class ClaimedGateway:
    """A `Gateway` over a `Wire`.

    Args:
        elapsed: milliseconds that pass evenly; in virtual time, the virtual clock itself.
    """

    def __init__(
        self,
        wire: Wire,
        clock: Clock,
        settings: ClaimSettings = ClaimSettings(),  # noqa: B008
        elapsed: Callable[[], int] = monotonic,
    ) -> None:
        self.name = wire.name
        self._wire = wire
        self._clock = clock
        self._settings = settings
        self._elapsed = elapsed
        self._listeners: list[Callable[[OrderState], None]] = []

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        self._listeners.append(listener)

    def deliver(self, state: OrderState) -> None:
        """Hand a report to every listener: how a feed of orders gets in."""
        for listener in self._listeners:
            listener(state)

    async def markets(self) -> Mapping[str, Market]: ...
    async def balances(self) -> Mapping[str, Decimal]: ...
    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome: ...
    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome: ...
    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome: ...
    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome: ...
    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None: ...
    async def open_orders(self, symbol: str) -> Sequence[OrderState]: ...
