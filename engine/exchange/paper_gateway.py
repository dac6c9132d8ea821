"""The paper exchange as the engine sees it: requests that take time, replies that get lost.

Requests take virtual time and their replies come at instants that the exchange fixed when they were sent, so a caller
that was killed and asks again, with the same claim, is answered when the first one would have been. Reads (`balances`,
`look_up`, `open_orders`, and the look-up within `recover`) are answered at once: they carry no stamp to repeat them by.

A cancel that overtakes its order cannot come from a caller that waits for `Accepted`, from `submit` or `recover`: the
order arrived before that answer left. A caller that cancels blindly may meet it, and gets `Unknown`, never `Absent`.

The books are written within the event loop, one small transaction per request: about 0.1 ms, and an fsync more when
the exchange was opened with synchronous FULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from engine.exchange.faults import Fate, RequestKind
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
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_store import Request
from runtime.clock import Clock

_REFUSED = Unsent("the connection was refused before anything was sent")


class PaperGateway:
    """A `Gateway` over a `PaperExchange`. Every call can raise PaperExchangeError when the exchange's file fails.

    Args:
        before_sending: called before a request leaves, for whoever has yet to make durable what led to it.
    """

    name = "paper"

    def __init__(
        self, exchange: PaperExchange, clock: Clock, before_sending: Callable[[], None] = lambda: None
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._before_sending = before_sending

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        self._exchange.subscribe(listener)

    async def markets(self) -> Mapping[str, Market]:
        return self._exchange.markets

    async def balances(self) -> Mapping[str, Decimal]:
        return self._exchange.balances(self._present())

    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome:
        self._before_sending()
        request = self._exchange.send_order(order, stamp, self._present())
        if request.fate is Fate.ANSWERED:
            return self._answer(await self._replied(request))
        if request.fate is Fate.UNSENT:
            await self._clock.sleep_until(request.reply_at)
            return _REFUSED
        await self._timed_out(request)
        return Unknown(f"no reply by {stamp.deadline}")

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        """As the protocol has it. A request enters the exchange's log when it is sent: one that is not there never
        was sent; for one that is, the same bytes get the same answer at the same instant. In the very instant of the
        stamp it does not matter which: sent now, it is the same message, and no attempt is counted twice."""
        sent = self._exchange.request(order.client_order_id, RequestKind.SUBMIT, stamp.claimed_at) is not None
        if sent or stamp.claimed_at == self._clock.now():
            return await self.submit(order, stamp)
        return Absent()

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        """As the protocol has it. A request enters the exchange's log when it is sent: one that is not there never
        was sent, and its absence needs no waiting."""
        request = self._exchange.request(order.client_order_id, RequestKind.SUBMIT, stamp.claimed_at)
        if request is not None:
            if request.fate is Fate.ANSWERED:
                return self._answer(await self._replied(request))
            if request.fate is Fate.UNSENT:
                await self._clock.sleep_until(request.reply_at)
            else:
                await self._timed_out(request)
                if self._exchange.read_is_lost(order.client_order_id, self._present()):
                    return Unknown("the look-up got no answer")
                settled = self._settled(request)
                if settled.outcome in ("accepted", "refused"):
                    return self._answer(settled)
        found = self._exchange.look_up(order.symbol, order.client_order_id, self._present())
        if found is None:
            return Absent()
        return Accepted(found.client_order_id, found.exchange_order_id, found.updated_at)

    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome:
        self._before_sending()
        request = self._exchange.send_cancel(symbol, client_order_id, stamp, self._present())
        if request.fate is Fate.UNSENT:
            await self._clock.sleep_until(request.reply_at)
            return _REFUSED
        if request.fate is not Fate.ANSWERED:
            await self._timed_out(request)
            return Unknown(f"no reply by {stamp.deadline}")
        settled = await self._replied(request)
        if settled.outcome == "final" and settled.order_seq is not None:
            return Canceled(self._exchange.final_state(settled.order_seq))
        return Absent() if settled.outcome == "absent" else Unknown(settled.reason)

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        now = self._present()
        if self._exchange.read_is_lost(client_order_id, now):
            return Unknown("the look-up got no answer")
        return self._exchange.look_up(symbol, client_order_id, now)

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        return self._exchange.open_orders(symbol, self._present())

    def _present(self) -> int:
        now = self._clock.now()
        self._exchange.advance(now)
        return now

    async def _replied(self, request: Request) -> Request:
        await self._clock.sleep_until(request.reply_at)
        return self._settled(request)

    async def _timed_out(self, request: Request) -> None:
        await self._clock.sleep_until(max(request.deadline, request.sent_at + 1))

    def _settled(self, request: Request) -> Request:
        self._present()
        settled = self._exchange.request(request.client_order_id, request.kind, request.claimed_at)
        assert settled is not None
        return settled

    def _answer(self, settled: Request) -> Accepted | Rejected:
        if settled.order_seq is None:
            return Rejected(settled.reason)
        # A refusal because the id is taken says that the exchange has the order: this is the order that has it.
        order = self._exchange.final_state(settled.order_seq)
        return Accepted(order.client_order_id, order.exchange_order_id, settled.arrives_at)
