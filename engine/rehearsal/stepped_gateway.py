"""A gateway whose requests meet the fate that they are told: carried out at this instant, lost, or never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    CancelOutcome,
    Market,
    OrderRequest,
    OrderState,
    RecoverOutcome,
    Rejected,
    ResumeOutcome,
    Stamp,
    SubmitOutcome,
    Unknown,
    Unsent,
)
from engine.rehearsal.stepped_exchange import SteppedExchange
from runtime.clock import Clock


class Fate(Enum):
    """What becomes of the requests of one effect."""

    CARRIED_OUT = "carried out"
    UNKNOWN = "unknown"
    """No answer comes; an order that was being sent may still arrive."""
    UNSENT = "unsent"
    CUT_OFF = "cut off"
    """The sender dies; an order that was being sent may still arrive."""


fate: ContextVar[Fate] = ContextVar("fate", default=Fate.CARRIED_OUT)
"""Of the requests that the present task makes."""


class Adrift(NamedTuple):
    """An order that was sent, whose sender no longer waits, and which may still arrive."""

    order: OrderRequest
    stamp: Stamp


class SteppedGateway:
    """A `Gateway` over a `SteppedExchange`."""

    name = "stepped"

    def __init__(self, exchange: SteppedExchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self.adrift: list[Adrift] = []

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        self._exchange.subscribe(listener)

    async def markets(self) -> Mapping[str, Market]:
        return self._exchange.markets

    async def balances(self) -> Mapping[str, Decimal]:
        return self._exchange.balances(self._clock.now())

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        return self._exchange.open_orders(symbol, self._clock.now())

    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome:
        match fate.get():
            case Fate.UNSENT:
                return Unsent("the connection was refused")
            case Fate.UNKNOWN:
                self.adrift.append(Adrift(order, stamp))
                return Unknown("no answer came")
            case Fate.CUT_OFF:
                self.adrift.append(Adrift(order, stamp))
                await asyncio.Event().wait()
        request = self._exchange.receive_order(order, stamp, self._clock.now())
        if request.order_seq is None:
            return Rejected(request.reason) if request.outcome == "refused" else Unknown(request.reason)
        return self._accepted(self._exchange.final_state(request.order_seq))

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        return await self.recover(order, stamp)

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        """As the protocol has it; that no request is on its way any more is for the caller to see to."""
        await self._wait_or_go()
        if fate.get() is Fate.UNKNOWN:
            return Unknown("the look-up got no answer")
        found = self._exchange.look_up(order.symbol, order.client_order_id, self._clock.now())
        if found is not None:
            return self._accepted(found)
        refused = self._exchange.was_refused(order.client_order_id)
        return Absent() if refused is None else Rejected(refused)

    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome:
        await self._wait_or_go()
        if fate.get() is Fate.UNKNOWN:
            return Unknown("no answer came")
        request = self._exchange.receive_cancel(symbol, client_order_id, stamp, self._clock.now())
        if request.order_seq is not None:
            return Canceled(self._exchange.final_state(request.order_seq))
        return Absent() if request.outcome == "absent" else Unknown(request.reason)

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        await self._wait_or_go()
        if fate.get() is Fate.UNKNOWN:
            return Unknown("the look-up got no answer")
        return self._exchange.look_up(symbol, client_order_id, self._clock.now())

    async def _wait_or_go(self) -> None:
        if fate.get() is Fate.CUT_OFF:
            await asyncio.Event().wait()

    def expire(self, client_order_id: str) -> int | None:
        """Forget what is adrift of the order. Returns the latest deadline of it, None if there was nothing."""
        gone = [one for one in self.adrift if one.order.client_order_id == client_order_id]
        self.adrift = [one for one in self.adrift if one not in gone]
        return max((one.stamp.deadline for one in gone), default=None)

    def take_adrift(self, client_order_id: str) -> Adrift | None:
        """The earliest thing adrift of the order, which is no longer adrift then."""
        found = next((one for one in self.adrift if one.order.client_order_id == client_order_id), None)
        if found is not None:
            self.adrift.remove(found)
        return found

    @staticmethod
    def _accepted(order: OrderState) -> Accepted:
        return Accepted(order.client_order_id, order.exchange_order_id, order.updated_at)
