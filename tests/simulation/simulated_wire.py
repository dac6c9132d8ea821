"""The way to the simulated exchange: a `Wire` that delays, loses and breaks what it carries. It never retries and never
decides. What has left a process goes on its way though the process dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from hazards import LATE
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
        return self.world.now - self.world.chance.randint(0, self.exchange.hazards.lag)

    async def _ask(
        self,
        ask: Ask,
        carry_out: Callable[[Callable[[Any], None]], None],
        *,
        queued: bool = False,
        leaving: Callable[[], None] = lambda: None,
    ) -> Any:
        world, hazards, chance = self.world, self.exchange.hazards, self.world.chance
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.is_down or chance.random() < hazards.refused:
            world.after(2, self._answer, reply, ask, _REFUSED)
        else:
            if ask is Ask.CREATE:
                self._process.moment("sending")
            world.after(0, self._leave, reply, ask, carry_out, queued, leaving)
            world.after(TIMEOUT, self._answer, reply, ask, _TIMED_OUT)
        return await reply

    def _leave(
        self,
        reply: asyncio.Future[Any],
        ask: Ask,
        carry_out: Callable[..., None],
        queued: bool,
        leaving: Callable[[], None],
    ) -> None:
        """The bytes leave, when the process runs; not at all when it has died."""
        process, hazards, chance = self._process, self.exchange.hazards, self.world.chance
        if process.dead:
            return
        if (runs_at := process.runs_at()) > self.world.now:
            self.world.at(runs_at, self._leave, reply, ask, carry_out, queued, leaving)
            return
        leaving()
        if ask is Ask.CREATE:
            process.moment("sent")
        if chance.random() < hazards.request_lost:
            return
        if chance.random() < hazards.limited:
            self.world.after(20, self._answer, reply, ask, _LIMITED)
            return
        if chance.random() < hazards.broken_before:
            self.world.after(20, self._answer, reply, ask, chance.choice(_BROKEN))
            return
        way = self._way(ask, hazards.request_late)
        queue = chance.randint(0, hazards.queue) if queued else 0
        self.world.after(way + queue, carry_out, lambda answer: self._send_back(reply, ask, answer))

    def _way(self, ask: Ask, late: float) -> int:
        """How long it takes. Reads are late less often: a bot whose reads are slow is careful by accident."""
        chance = self.world.chance
        late *= 1 if ask is Ask.CREATE else 0.2
        return chance.randint(1, chance.choice(LATE) if chance.random() < late else 40)

    def _send_back(self, reply: asyncio.Future[Any], ask: Ask, answer: Any) -> None:
        hazards, chance = self.exchange.hazards, self.world.chance
        if self._process.dead or chance.random() < hazards.reply_lost:
            return
        if chance.random() < hazards.reply_broken:
            answer = chance.choice(_BROKEN) if ask is Ask.READ or chance.random() < 0.7 else _EMPTY
        way = self._way(ask, hazards.reply_late)
        self.world.after(way, self._answer, reply, ask, answer)

    def _answer(self, reply: asyncio.Future[Any], ask: Ask, answer: Any) -> None:
        if reply.done() or self._process.dead:
            return
        if ask is Ask.CREATE:
            self._process.moment("answered")
        reply.set_result(answer)
