"""The way to the simulated exchange: a `Wire` that delays, loses and breaks what it carries. It never retries and never
decides. What has left a process goes on its way though the process dies."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import msgspec
from hazards import BOOKING, LATE
from simulated_exchange import SimulatedExchange

from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest
from engine.exchange.wire import Ask, Cause, Failed, Reply, WireOrder

TIMEOUT = 10_000
"""How long (ms) a request waits for its reply."""

_TIMED_OUT = Failed(Cause.TIMEOUT, "RequestTimeout", message="no reply")
_REFUSED = Failed(Cause.NOT_CONNECTED, "NetworkError", message="connection refused")
_LIMITED = Failed(Cause.ANSWERED, "DDoSProtection", 429, "-1003", "Too many requests.", 1_000)
_BROKEN = (
    Failed(Cause.ANSWERED, "ExchangeNotAvailable", 503, None, "Service unavailable"),
    Failed(Cause.ANSWERED, "RequestTimeout", 504, "-1007", "Timeout waiting for response from backend server."),
    Failed(Cause.ANSWERED, "OperationFailed", 400, "-1006", "An unexpected response was received."),
    Failed(Cause.RESET, "NetworkError", message="connection reset"),
    Failed(Cause.RESET, "ExchangeError", 200, message="Response payload is not completed"),
    Failed(Cause.UNREADABLE, "", 200, message="<html>"),
)
_EMPTY = WireOrder(None, None)


class Process(Protocol):
    """What the wire must know of the process that it belongs to."""

    dead: bool

    def moment(self, kind: str) -> None:
        """Something that matters has just happened, or is about to: the process may be killed or stopped here."""
        ...

    def runs_at(self) -> int:
        """When the process runs: now, or when it will be continued."""
        ...


class _Request(msgspec.Struct, eq=False):
    """A request on its way. `leaving` is called as its bytes leave."""

    ask: Ask
    carry_out: Callable[[Callable[[Any], None]], None]
    queued: bool
    leaving: Callable[[], None] | None
    times_out_at: int
    reply: Future[Any]


class SimulatedWire:
    """A `Wire` of one process."""

    name = "binance"
    max_window: int | None = 60_000

    def __init__(self, exchange: SimulatedExchange, process: Process) -> None:
        self.exchange = exchange
        self.world = exchange.world
        self._process = process
        self.is_down = False

    async def server_time(self) -> int | Failed:
        return await self._ask(Ask.READ, lambda answer: answer(self.exchange.server_time()))

    async def markets(self) -> Mapping[str, Market] | Failed:
        return self.exchange.markets

    async def balances(self) -> Mapping[str, Decimal] | Failed:
        return await self._ask(Ask.READ, lambda answer: answer(self.exchange.balances_at(self._as_of())))

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        self.world.note("create", order.client_order_id, timestamp, window)
        return await self._ask(
            Ask.CREATE, lambda answer: self.exchange.create(order, timestamp, window, answer), queued=True
        )

    async def cancel(self, symbol: str, client_order_id: str) -> Reply:
        return await self._ask(
            Ask.CANCEL, lambda answer: answer(self.exchange.cancel(symbol, client_order_id)), queued=True
        )

    async def order(self, symbol: str, client_order_id: str) -> Reply:
        return await self._ask(Ask.ORDER, lambda answer: answer(self.exchange.order(client_order_id, self._as_of())))

    async def trades(self, symbol: str, exchange_order_id: str) -> Sequence[ExchangeTrade] | Failed:
        return await self._ask(Ask.READ, lambda answer: answer(self.exchange.trades(exchange_order_id, self._as_of())))

    async def open_orders(self, symbol: str) -> Sequence[WireOrder] | Failed:
        return await self._ask(Ask.READ, lambda answer: answer(self.exchange.open_orders(symbol, self._as_of())))

    async def close(self) -> None: ...

    # -- the way there and back ------------------------------------------------------------------------------------

    def _as_of(self) -> int:
        lag = self.exchange.hazards.lag
        return self.world.now - self.world.between(0, lag) if lag else self.world.now

    async def _ask(
        self,
        ask: Ask,
        carry_out: Callable[[Callable[[Any], None]], None],
        *,
        queued: bool = False,
        leaving: Callable[[], None] | None = None,
    ) -> Any:
        world, hazards = self.world, self.exchange.hazards
        request = _Request(ask, carry_out, queued, leaving, world.now + TIMEOUT, Future(loop=get_running_loop()))
        if self.is_down or world.chance.random() < hazards.refused:
            world.fault("not connected")
            world.after(2, self._answer, request, _REFUSED)
        else:
            if ask is Ask.CREATE:
                self._process.moment("sending")
            world.after(0, self._leave, request)
        return await request.reply

    def _leave(self, request: _Request) -> None:
        """The bytes leave, when the process runs; not at all when it has died."""
        process, hazards, world = self._process, self.exchange.hazards, self.world
        if process.dead:
            return
        if (runs_at := process.runs_at()) > world.now:
            world.at(runs_at, self._leave, request)
            return
        if request.leaving is not None:
            request.leaving()
        if request.ask is Ask.CREATE:
            process.moment("sent")
        chance = world.chance.random
        if chance() < hazards.request_lost:
            world.fault("request lost")
            self._time_out(request)
        elif chance() < hazards.limited:
            world.fault("limited")
            world.after(20, self._answer, request, _LIMITED)
        elif chance() < hazards.broken_before:
            world.fault("broken before")
            world.after(20, self._answer, request, world.chance.choice(_BROKEN))
        else:
            way = self._way(request.ask, hazards.request_late, "request late")
            queue = world.between(0, hazards.queue) if request.queued else 0
            if world.now + way + queue + BOOKING >= request.times_out_at:
                self._time_out(request)
            world.after(way + queue, request.carry_out, partial(self._send_back, request))

    def _way(self, ask: Ask, late: float, kind: str) -> int:
        """How long it takes. Reads are late less often: a bot whose reads are slow is careful by accident."""
        world = self.world
        late *= 1 if ask is Ask.CREATE else 0.2
        if world.chance.random() >= late:
            return world.between(1, 40)
        world.fault(kind)
        return world.between(1, world.chance.choice(LATE))

    def _send_back(self, request: _Request, answer: Any) -> None:
        world, hazards, chance = self.world, self.exchange.hazards, self.world.chance
        if self._process.dead:
            return
        if chance.random() < hazards.reply_lost:
            world.fault("reply lost")
            self._time_out(request)
            return
        if chance.random() < hazards.reply_broken:
            world.fault("reply broken")
            answer = chance.choice(_BROKEN) if request.ask is Ask.READ or chance.random() < 0.7 else _EMPTY
        way = self._way(request.ask, hazards.reply_late, "reply late")
        if world.now + way >= request.times_out_at:
            self._time_out(request)
        else:
            world.after(way, self._answer, request, answer)

    def _time_out(self, request: _Request) -> None:
        """Nothing will come back in time. Only such a request needs its time-out to happen."""
        self.world.at(request.times_out_at, self._answer, request, _TIMED_OUT)

    def _answer(self, request: _Request, answer: Any) -> None:
        if request.reply.done() or self._process.dead:
            return
        if request.ask is Ask.CREATE:
            self._process.moment("answered")
        request.reply.set_result(answer)
