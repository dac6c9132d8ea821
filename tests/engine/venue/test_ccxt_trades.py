"""The claim protocol through real ccxt against the venue: one order each, whatever becomes of the answers.

The venue and the gateway share a clock that stands, but for what they wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import pytest
from ccxt import OperationFailed
from tenacity import retry, retry_if_exception_type, stop_after_attempt
from venue_world import NOW, ServedVenue

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway, ClaimSettings
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    Stamp,
    Unknown,
    Unsent,
)

PATIENCE = 0.4
WINDOW = 10_000
SETTINGS = ClaimSettings(grace=5_000)


class PatientClock:
    """Stands while answers come, and goes on to whatever is waited for when none has come for PATIENCE seconds."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at

    async def sleep_until(self, instant: int) -> None:
        if instant > self.at:
            await asyncio.sleep(PATIENCE)
            self.at = max(self.at, instant)


class World:
    """One venue and one client for many orders, each with an id of its own."""

    def __init__(self, venue: ServedVenue, clock: PatientClock, runner: asyncio.Runner) -> None:
        self.venue, self.clock, self._runner = venue, clock, runner
        binance, keys = exchange_named("binance"), Credentials("key", "secret")
        self.client = open_client(binance, keys, endpoint=venue.url)
        self.client.milliseconds = clock.now
        self.client.timeout_on_exit = 0
        self.client.enableRateLimit = False
        self.wire = CcxtWire(binance, self.client, keys)
        self.gateway = ClaimedGateway(self.wire, clock, SETTINGS, elapsed=clock.now)
        self._ids = count(1)

    def run(self, ask: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(ask)

    def order(self, price: int | None = 50_000, side: Side = Side.BUY) -> OrderRequest:
        """At 50,000 a buy rests, at 70,000 it fills: the market stands at 60,000."""
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        limit = None if price is None else Decimal(price)
        return OrderRequest(f"order-{next(self._ids)}", "BTC/USDT", side, kind, Decimal("0.01"), limit)

    def stamp(self) -> Stamp:
        now = self.clock.now()
        return Stamp(1, now, now + WINDOW)

    def submit(self, order: OrderRequest, stamp: Stamp | None = None) -> Any:
        return self.run(self.gateway.submit(order, stamp or self.stamp()))

    def look_up(self, order: OrderRequest) -> Any:
        return self.run(self.gateway.look_up(order.symbol, order.client_order_id))

    def cancel(self, order: OrderRequest) -> Any:
        return self.run(self.gateway.cancel(order.symbol, order.client_order_id, self.stamp()))

    def in_the_books(self, order: OrderRequest) -> list[Any]:
        return [one for one in self.venue.books()["orders"] if one["client_order_id"] == order.client_order_id]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    clock = PatientClock()
    path = tmp_path_factory.mktemp("venue") / "books"
    with ServedVenue(path, clock=clock, standing=False) as venue, asyncio.Runner() as runner:  # type: ignore[arg-type]
        venue.tell("market", symbol="BTC/USDT", price="60000")
        world = World(venue, clock, runner)
        world.run(world.gateway.markets())
        yield world
        world.run(world.wire.close())


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    yield shared
    shared.venue.play("")


def test_a_market_that_is_halted_is_known_as_such(world: World) -> None:
    world.venue.tell("market", symbol="ETH/USDT", halted=True)
    markets = world.run(world.gateway.markets())
    assert {symbol for symbol, market in markets.items() if market.halted} == {"ETH/USDT"}
    world.venue.tell("market", symbol="ETH/USDT")
    assert not any(market.halted for market in world.run(world.gateway.markets()).values())


def test_a_whole_trade_adds_up_to_the_last_digit(world: World) -> None:
    market = world.run(world.gateway.markets())["BTC/USDT"]
    assert (market.base, market.quote, market.min_notional) == ("BTC", "USDT", Decimal(5))
    before = world.run(world.gateway.balances())
    bought, sold = world.order(70_000), world.order(None, Side.SELL)
    assert isinstance(world.submit(bought), Accepted)
    assert isinstance(world.submit(sold), Accepted)
    entry, leaving = world.look_up(bought), world.look_up(sold)
    assert isinstance(entry, OrderState)
    assert (entry.status, leaving.status) == (OrderStatus.FILLED, OrderStatus.FILLED)
    expected = dict(before)
    for state, sign in ((entry, 1), (leaving, -1)):
        assert sum(trade.qty for trade in state.trades) == state.filled == Decimal("0.01")
        for trade in state.trades:
            expected["BTC"] += sign * trade.qty
            expected["USDT"] -= sign * trade.qty * trade.price
            expected[trade.fee_currency] -= trade.fee
    assert {trade.fee_currency for trade in entry.trades} == {"BTC"}
    assert world.run(world.gateway.balances()) == expected


# (what is done to the create, is the order in the books then?)
FAULTS = {
    "never answered": ("do: mute", True),
    "hung up on": ("do: hang_up", True),
    "cut body": ("do: cut", True),
    "cut chunks": ("do: cut_chunked", True),
    "html for an answer": ("do: garbage, body: html", True),
    "nothing for an answer": ("do: garbage, body: empty", True),
    "half of the answer": ("do: garbage, body: half", True),
    "an empty object": ("do: garbage, body: object", True),
    "502 after it was done": ("do: error_after, status: 502, body: html", True),
    "-1007 after it was done": ("do: error_after, status: 504, code: -1007", True),
    "-1006 after it was done": ("do: error_after, status: 500, code: -1006", True),
    "answered too late": ("late_ms: 15000", True),
    "dropped": ("do: drop", False),
    "502 before it was done": ("do: error_before, status: 502, body: html", False),
    "in a queue for too long": ("delay_ms: 12000", False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_order_without_an_answer_is_one_order_or_none_and_found_out(world: World, name: str) -> None:
    fault, done = FAULTS[name]
    order, stamp = world.order(), world.stamp()
    world.venue.play(f"- {{request: POST order, nth: 1, {fault}}}")
    assert isinstance(world.submit(order, stamp), Unknown)
    outcome = world.run(world.gateway.recover(order, stamp))
    assert isinstance(outcome, Accepted if done else Absent)
    assert len(world.in_the_books(order)) == done
    if not done:
        assert isinstance(world.submit(order), Accepted)
    assert len(world.in_the_books(order)) == 1
    assert isinstance(world.cancel(order), Canceled)


def test_bytes_that_leave_after_a_pause_are_refused(world: World) -> None:
    order = world.order(70_000)
    fetch = world.client.fetch

    async def paused(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if method == "POST":
            world.clock.at += WINDOW + 1  # the process was stopped between the signing and the sending
        return await fetch(url, method, headers, body)

    world.client.fetch = paused
    stamp = world.stamp()
    try:
        reply = world.run(world.wire.create(order, stamp.claimed_at, WINDOW))
        assert isinstance(world.submit(order), Unsent)
    finally:
        del world.client.fetch
    assert reply.code == "-1021"
    assert world.in_the_books(order) == []


def test_the_exchange_is_told_the_instants_of_the_claim(world: World) -> None:
    fetch, bodies = world.client.fetch, []

    async def seen(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        bodies.append(body or "")
        return await fetch(url, method, headers, body)

    world.venue.tell("state", skew_ms=1_500)
    world.gateway._server_clock.forget()
    world.client.fetch = seen
    order, stamp = world.order(), world.stamp()
    try:
        assert isinstance(world.submit(order, stamp), Accepted)
    finally:
        del world.client.fetch
    [said] = [dict(parse_qsl(body)) for body in bodies if order.client_order_id in body]
    assert int(said["recvWindow"]) == WINDOW
    assert int(said["timestamp"]) == stamp.claimed_at + 1_500
    world.cancel(order)
    world.venue.tell("state", skew_ms=0)
    world.gateway._server_clock.forget()


def test_an_order_that_is_sent_twice_while_it_is_open_is_one(world: World) -> None:
    order = world.order()
    first, second = world.submit(order), world.submit(order)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert second.exchange_order_id == first.exchange_order_id
    assert len(world.in_the_books(order)) == 1
    world.cancel(order)


def test_an_order_beyond_the_balance_is_rejected(world: World) -> None:
    order = OrderRequest("too-much", "BTC/USDT", Side.SELL, OrderType.LIMIT, Decimal(900), Decimal(70_000))
    outcome = world.submit(order)
    assert isinstance(outcome, Rejected)
    assert "insufficient balance" in outcome.reason


@pytest.mark.parametrize("fault", ["do: answer", "do: mute", "do: cut", "do: error_after, status: 502, body: html"])
def test_a_cancel_ends_with_the_orders_final_state(world: World, fault: str) -> None:
    order = world.order()
    world.submit(order)
    world.venue.play(f"- {{request: DELETE order, nth: 1, {fault}}}")
    canceled = world.cancel(order)
    assert isinstance(canceled, Canceled)
    assert canceled.order.status is OrderStatus.CANCELED
    assert isinstance(world.cancel(order), Canceled), "and may be repeated"


def test_a_cancel_that_comes_too_late_tells_of_the_fill(world: World) -> None:
    order = world.order(70_000)
    world.submit(order)
    canceled = world.cancel(order)
    assert isinstance(canceled, Canceled)
    assert (canceled.order.status, canceled.order.filled) == (OrderStatus.FILLED, Decimal("0.01"))


def test_open_orders_are_shown(world: World) -> None:
    order = world.order()
    world.submit(order)
    [shown] = world.run(world.gateway.open_orders("BTC/USDT"))
    assert (shown.client_order_id, shown.status) == (order.client_order_id, OrderStatus.OPEN)
    [one] = world.run(world.gateway.read(lambda: world.wire.open_orders("BTC/USDT"), "the open orders"))
    assert list(world.run(world.gateway.read(lambda: world.wire.open_orders(None), "the open orders"))) == [one]
    world.cancel(order)


def test_bars_and_free_money_are_read_as_they_are(world: World) -> None:
    minute = 60_000
    since = world.clock.now() // minute * minute
    world.clock.at += 2 * minute
    shown = world.run(world.gateway.read(lambda: world.wire.candles("BTC/USDT", "1m", minute, since), "the bars"))
    assert [bar.opened_at for bar in shown] == [since, since + minute, since + 2 * minute]
    assert [bar.closed_at <= world.clock.now() for bar in shown] == [True, True, False]
    assert all(isinstance(bar.close, Decimal) for bar in shown)
    order = world.order()
    before = world.run(world.wire.free())["USDT"]
    world.submit(order)
    assert before - world.run(world.wire.free())["USDT"] == Decimal(500)
    world.cancel(order)


# --- why all this ---------------------------------------------------------------------------------------------------


def naively(world: World, order: OrderRequest) -> Callable[[], Coroutine[Any, Any, Any]]:
    """The usual pattern: ccxt's create under a retry of network errors."""

    @retry(retry=retry_if_exception_type(OperationFailed), stop=stop_after_attempt(3), reraise=True)
    async def create() -> Any:
        return await world.client.create_limit_order(order.symbol, "buy", "0.01", str(order.price))

    return create


def test_a_create_under_a_retry_buys_more_than_once_and_ours_once(world: World) -> None:
    mute_all = "- {request: POST order, nth: 1, do: mute}\n- {request: POST order, nth: 2, do: mute}"
    before = len(world.venue.books()["orders"])
    world.venue.play(mute_all)
    timeout, world.client.timeout = world.client.timeout, 200
    try:
        world.run(naively(world, world.order(70_000))())
    finally:
        world.client.timeout = timeout
    assert len(world.venue.books()["orders"]) - before == 3, "three times what was meant"

    order, stamp = world.order(70_000), world.stamp()
    world.venue.play(mute_all)
    assert isinstance(world.submit(order, stamp), Unknown)
    assert isinstance(world.run(world.gateway.recover(order, stamp)), Accepted)
    assert len(world.venue.books()["orders"]) - before == 4
