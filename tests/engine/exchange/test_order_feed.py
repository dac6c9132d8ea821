"""Reports of orders by polling, and by a stream that may end, repeat itself or say nothing."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from aiohttp import ClientConnectionResetError, WSMessage, WSMsgType, web
from canned_exchange import EXCHANGE_INFO, KEY, NOW, SECRET

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import OrderState, Side, Unknown
from engine.exchange.order_feed import FeedSettings, OrderFeed
from engine.exchange.wire import Cause, Failed, WireOrder
from runtime.clock import SystemClock, VirtualClock

START = 1_000_000
ENDED = Failed(Cause.RESET, "NetworkError")


class Gateway:
    """Of a gateway, what a feed uses: looks orders up and hands their states on."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.readable = True
        self.looked_up: list[tuple[str, int]] = []
        self.delivered: list[str] = []

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        self.looked_up.append((client_order_id, self._clock.now() - START))
        return state(client_order_id) if self.readable else Unknown("no answer")

    def deliver(self, reported: OrderState) -> None:
        self.delivered.append(reported.client_order_id)


def state(client_order_id: str) -> OrderState:
    from engine.exchange.order_states import order_state

    shown = WireOrder("1", client_order_id, "BTC/USDT", Side.BUY, "open", Decimal(1), Decimal(0), START)
    made = order_state("BTC/USDT", shown, ())
    assert isinstance(made, OrderState)
    return made


class Stream:
    """Says what a test puts in."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[list[str] | Failed] = asyncio.Queue()

    async def __call__(self) -> list[str] | Failed:
        return await self.says.get()


class World:
    def __init__(self, stream: Stream | None = None) -> None:
        self.clock = VirtualClock(START)
        self.gateway = Gateway(self.clock)
        self.live = [("BTC/USDT", "a"), ("ETH/USDT", "b")]
        self.stream = stream
        feed = OrderFeed(self.gateway, self.clock, lambda: self.live, stream)  # type: ignore[arg-type]
        self._task = asyncio.ensure_future(feed.run())

    async def until(self, at: int) -> None:
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            wake = self.clock.next_wake()
            if wake is None or wake > START + at:
                self.clock.advance_to(START + at)
                return
            self.clock.advance_to(wake)

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def looks(self, client_order_id: str = "a") -> list[int]:
        return [at for name, at in self.gateway.looked_up if name == client_order_id]


def test_without_a_stream_every_live_order_is_polled() -> None:
    async def run() -> None:
        world = World()
        await world.until(5_000)
        assert world.looks("a") == world.looks("b") == [0, 2_000, 4_000]
        assert world.gateway.delivered == ["a", "b"] * 3
        world.live = []
        await world.until(20_000)
        assert world.looks("a")[-1] == 4_000
        await world.stop()

    asyncio.run(run())


def test_what_cannot_be_read_is_not_reported() -> None:
    async def run() -> None:
        world = World()
        world.gateway.readable = False
        await world.until(5_000)
        assert world.gateway.delivered == []
        await world.stop()

    asyncio.run(run())


def test_a_stream_reports_at_once_and_slows_the_polling_down() -> None:
    async def run() -> None:
        stream = Stream()
        world = World(stream)
        stream.says.put_nowait(["nobody's"])
        await world.until(100)
        stream.says.put_nowait(["a", "nobody's"])
        await world.until(30_000)
        assert len(world.looks("a")) - len(world.looks("b")) == 1
        assert len(world.looks("b")) <= 4
        await world.stop()

    asyncio.run(run())


def test_after_a_stream_has_ended_it_is_subscribed_to_again_and_polled_once() -> None:
    async def run() -> None:
        stream = Stream()
        world = World(stream)
        stream.says.put_nowait([])
        await world.until(3_000)
        before = len(world.looks())
        stream.says.put_nowait(ENDED)
        await world.until(3_100)
        assert len(world.looks()) == before + 1, "what was missed is polled for"
        await world.until(4_200)
        assert len(world.looks()) == before + 2, "and again once it is back"
        for _ in range(3):
            stream.says.put_nowait(ENDED)
        await world.until(30_000)
        stream.says.put_nowait(["a"])
        before = len(world.looks())
        await world.until(30_100)
        assert len(world.looks()) == before + 1, "a stream that comes back is heard"
        await world.stop()

    asyncio.run(run())


# --- the real ccxt.pro, against a stream on loopback ----------------------------------------------------------------

REPORT = {
    "e": "executionReport", "E": NOW, "s": "BTCUSDT", "c": "order-1", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.01",
    "p": "30000.5", "P": "0", "F": "0", "g": -1, "C": "", "x": "TRADE", "X": "FILLED", "r": "NONE", "i": 28,
    "l": "0.01", "z": "0.01", "L": "30000.5", "n": "0.00001", "N": "BTC", "T": NOW, "t": 1, "O": NOW, "Z": "300.005",
}  # fmt: skip
ORDER = {
    "symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "order-1", "price": "30000.5", "origQty": "0.01",
    "executedQty": "0.01", "cummulativeQuoteQty": "300.005", "status": "FILLED", "timeInForce": "GTC", "type": "LIMIT",
    "side": "BUY", "time": NOW, "updateTime": NOW,
}  # fmt: skip
TRADE = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 28, "price": "30000.5", "qty": "0.01", "quoteQty": "300.005",
    "commission": "0.00001", "commissionAsset": "BTC", "time": NOW, "isBuyer": True, "isMaker": False,
}  # fmt: skip


class StreamingVenue:
    def __init__(self) -> None:
        self.subscribed: list[dict[str, Any]] = []
        self.endpoint = ""
        self._sockets: list[web.WebSocketResponse] = []

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                said = json.loads(message.data)
                self.subscribed.append(said)
                await socket.send_json({"id": said["id"], "status": 200, "result": {"subscriptionId": 0}})
        return socket

    async def report(self) -> None:
        await self._sockets[-1].send_json({"subscriptionId": 0, "event": REPORT})

    async def hang_up(self) -> None:
        await self._sockets[-1].close()


def says(body: Any) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body)

    return answer


@asynccontextmanager
async def streaming_venue() -> AsyncIterator[StreamingVenue]:
    venue, app = StreamingVenue(), web.Application()
    app.router.add_get("/ws-api/v3", venue.listen)
    for path, body in {
        "exchangeInfo": EXCHANGE_INFO, "time": {"serverTime": NOW}, "order": ORDER, "myTrades": [TRADE],
    }.items():  # fmt: skip
        app.router.add_get(f"/api/v3/{path}", says(body))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield venue
    finally:
        await runner.cleanup()


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_ccxts_own_stream_brings_a_fill_and_survives_being_hung_up_on() -> None:
    async def run() -> None:
        binance, keys, clock = exchange_named("binance"), Credentials(KEY, SECRET), SystemClock()
        async with streaming_venue() as venue:
            client = open_client(binance, keys, endpoint=venue.endpoint)
            client.timeout_on_exit = 0
            wire = CcxtWire(binance, client, keys)
            assert wire.has_stream
            gateway, seen = ClaimedGateway(wire, clock), []
            gateway.subscribe(seen.append)
            live: list[tuple[str, str]] = []
            rarely = FeedSettings(poll=3_600_000, poll_beside=3_600_000, subscribe_again=(50,))
            feed = asyncio.ensure_future(OrderFeed(gateway, clock, lambda: live, wire.changed_orders, rarely).run())
            await eventually(lambda: venue.subscribed)
            live.append(("BTC/USDT", "order-1"))
            assert KEY in str(venue.subscribed), "the venue was asked, nobody else"
            await asyncio.sleep(0.05)
            await venue.report()
            await eventually(lambda: seen)
            assert (seen[0].client_order_id, seen[0].filled) == ("order-1", Decimal("0.01"))
            assert [trade.fee for trade in seen[0].trades] == [Decimal("0.00001")]
            seen.clear()
            await venue.hang_up()
            await eventually(lambda: len(venue.subscribed) == 2)
            await eventually(lambda: seen)  # polled, as it was away
            seen.clear()
            await asyncio.sleep(0.05)
            await venue.report()
            await eventually(lambda: seen)
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)
            await wire.close()

    asyncio.run(run())


def test_a_ping_on_a_connection_that_is_going_is_no_failure() -> None:
    class Going:
        asked: ClassVar[list[bytes]] = []

        async def pong(self, message: bytes) -> None:
            self.asked.append(message)
            raise ClientConnectionResetError("Cannot write to closing transport")

    async def run() -> list[Any]:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        client = open_client(exchange_named("binance"), Credentials(KEY, SECRET), endpoint="http://127.0.0.1:9")
        client.open()
        stream = client.client("ws://127.0.0.1:9/ws-api/v3")
        stream.connection = Going()
        stream.handle_message(WSMessage(WSMsgType.PING, b"1", None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        stream.connection = None
        await client.close()
        return told

    assert asyncio.run(run()) == []
    assert Going.asked == [b"1"]


@pytest.mark.parametrize("name", ["binance", "okx", "bybit", "kraken"])
def test_every_exchange_that_can_be_traded_on_has_a_stream(name: str) -> None:
    client = open_client(exchange_named(name), None)
    assert client.has["watchOrders"]
