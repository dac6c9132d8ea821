"""What is concluded from each thing that binance, or the way to it, can answer: by real ccxt, from real bytes."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from canned_exchange import KEY, NOW, SECRET, CannedExchange, answer, canned_exchange, refusal

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import OrderRequest, OrderType, Side
from engine.exchange.outcomes import TABLE, Verdict, verdict
from engine.exchange.wire import Ask, Cause, Failed, Reply, WireOrder

CLIENT_ID = "0123456789abcdef0123456789abcdef"
ORDER = OrderRequest(CLIENT_ID, "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal("30000.5"))
ACCEPTED = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "clientOrderId": CLIENT_ID,
    "transactTime": NOW,
    "price": "30000.50000000",
    "origQty": "0.01000000",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "fills": [],
}


def wire_to(endpoint: str, timeout: int = 300) -> CcxtWire:
    binance, keys = exchange_named("binance"), Credentials(KEY, SECRET)
    client = open_client(binance, keys, endpoint=endpoint)
    client.timeout = timeout
    client.timeout_on_exit = 0
    return CcxtWire(binance, client, keys)


class World:
    """One client for many questions: to make one takes ccxt half a second."""

    def __init__(self, runner: asyncio.Runner, exchange: CannedExchange) -> None:
        self.runner = runner
        self.exchange = exchange
        self.wire = wire_to(exchange.endpoint)

    def ask(self, ask: Ask, said: bytes | str | None) -> Reply:
        return self.runner.run(self._ask(ask, said))

    async def _ask(self, ask: Ask, said: bytes | str | None) -> Reply:
        await self.wire.server_time()
        self.exchange.forget()
        kind = {Ask.CREATE: "POST order", Ask.CANCEL: "DELETE order", Ask.ORDER: "GET order"}[ask]
        self.exchange.script[kind].append(said)
        self.exchange.usual[kind] = answer(ACCEPTED)  # a second request would be taken
        if ask is Ask.CREATE:
            return await self.wire.create(ORDER, NOW, 10_000)
        if ask is Ask.CANCEL:
            return await self.wire.cancel("BTC/USDT", CLIENT_ID)
        return await self.wire.order("BTC/USDT", CLIENT_ID)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        serving = canned_exchange()
        world = World(runner, runner.run(serving.__aenter__()))
        yield world
        runner.run(world.wire.close())
        runner.run(serving.__aexit__(None, None, None))


CUT = answer(ACCEPTED, length=5_000, headers="Connection: close\r\n")
GZIP = "Content-Encoding: gzip\r\n"
BAD_GZIP = answer("", raw=b"this is no gzip", headers=GZIP)
CUT_GZIP = answer("", raw=gzip.compress(str(ACCEPTED).encode())[:60], headers=GZIP)
HTML = answer("<html><body>please wait</body></html>")

# (what is answered to a create, ccxt's exception, verdict)
CREATES: dict[str, tuple[bytes | str | None, str, Verdict]] = {
    "accepted": (answer(ACCEPTED), "", Verdict.ACCEPTED),
    "-1000": (
        refusal(-1000, "An unknown error occurred while processing the request."),
        "OperationFailed",
        Verdict.UNKNOWN,
    ),
    "-1001": (refusal(-1001, "Internal error; unable to process your request."), "OperationFailed", Verdict.UNKNOWN),
    "-1006": (refusal(-1006, "An unexpected response was received."), "OperationFailed", Verdict.UNKNOWN),
    "-1007": (refusal(-1007, "Timeout waiting for response from backend server."), "RequestTimeout", Verdict.UNKNOWN),
    "-1008": (refusal(-1008, "Server is currently overloaded."), "OperationFailed", Verdict.UNKNOWN),
    "504": (answer("<html>gateway time-out</html>", 504), "RequestTimeout", Verdict.UNKNOWN),
    "500": (answer("", 500), "ExchangeNotAvailable", Verdict.UNKNOWN),
    "502": (answer("<html>bad gateway</html>", 502), "ExchangeNotAvailable", Verdict.UNKNOWN),
    "503": (answer("", 503), "ExchangeNotAvailable", Verdict.UNKNOWN),
    "400 without JSON": (answer("bad", 400), "ExchangeNotAvailable", Verdict.UNKNOWN),
    "403 without JSON": (answer("<html>forbidden</html>", 403), "ExchangeNotAvailable", Verdict.UNKNOWN),
    "-1021": (
        refusal(-1021, "Timestamp for this request is outside of the recvWindow."),
        "InvalidNonce",
        Verdict.UNSENT,
    ),
    "429": (refusal(-1003, "Too many requests.", 429), "DDoSProtection", Verdict.UNSENT),
    "418": (refusal(-1003, "Way too many requests; IP banned.", 418), "DDoSProtection", Verdict.UNSENT),
    "-1003": (refusal(-1003, "Too many requests."), "RateLimitExceeded", Verdict.UNSENT),
    "-1015": (refusal(-1015, "Too many new orders."), "RateLimitExceeded", Verdict.UNSENT),
    "LOT_SIZE": (refusal(-1013, "Filter failure: LOT_SIZE"), "InvalidOrder", Verdict.REJECTED),
    "PRICE_FILTER": (refusal(-1013, "Filter failure: PRICE_FILTER"), "InvalidOrder", Verdict.REJECTED),
    "NOTIONAL": (refusal(-1013, "Filter failure: NOTIONAL"), "BadRequest", Verdict.REJECTED),
    "MIN_NOTIONAL": (refusal(-1013, "Filter failure: MIN_NOTIONAL"), "BadRequest", Verdict.REJECTED),
    "balance": (
        refusal(-2010, "Account has insufficient balance for requested action."),
        "InsufficientFunds",
        Verdict.REJECTED,
    ),
    "duplicate": (refusal(-2010, "Duplicate order sent."), "InvalidOrder", Verdict.LOOK),
    "-1022": (refusal(-1022, "Signature for this request is not valid."), "AuthenticationError", Verdict.REJECTED),
    "-1102": (refusal(-1102, "Mandatory parameter was not sent."), "BadRequest", Verdict.REJECTED),
    "a code nobody knows": (refusal(-9_999, "Something new."), "ExchangeError", Verdict.UNKNOWN),
    "bad gzip": (BAD_GZIP, "ExchangeError", Verdict.UNKNOWN),
    "cut gzip": (CUT_GZIP, "", Verdict.UNKNOWN),
    "cut body": (CUT, "ExchangeError", Verdict.UNKNOWN),
    "200 with HTML": (HTML, "", Verdict.UNKNOWN),
    "200 and empty": (answer(""), "", Verdict.UNKNOWN),
    "200 with {}": (answer({}), "", Verdict.UNKNOWN),
    "200 with cut JSON": (answer('{"symbol": "BTCUSDT", "orderId": 28, "clientOr'), "", Verdict.UNKNOWN),
    "no client id echoed": (answer(ACCEPTED | {"clientOrderId": ""}), "", Verdict.UNKNOWN),
    "another's client id": (answer(ACCEPTED | {"clientOrderId": "x"}), "", Verdict.UNKNOWN),
    "reset after it was sent": (None, "ExchangeNotAvailable", Verdict.UNKNOWN),
    "silence": ("silent", "RequestTimeout", Verdict.UNKNOWN),
}


@pytest.mark.parametrize("name", CREATES)
def test_what_an_answer_to_a_create_proves(world: World, name: str) -> None:
    said, error, expected = CREATES[name]
    reply = world.ask(Ask.CREATE, said)
    assert (reply.error if isinstance(reply, Failed) else "") == error
    assert verdict("binance", Ask.CREATE, CLIENT_ID, reply) is expected
    assert world.exchange.count("POST order") == 1, "a create is sent once, whatever is answered"
    assert KEY not in str(reply)
    assert SECRET not in str(reply)


@pytest.mark.parametrize(("logged_in", "error"), [(False, "AuthenticationError"), (True, "DDoSProtection")])
def test_a_revoked_key_is_no_passing_trouble(world: World, logged_in: bool, error: str) -> None:
    world.wire._client.options["hasAlreadyAuthenticatedSuccessfully"] = logged_in
    reply = world.ask(Ask.CREATE, refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401))
    assert isinstance(reply, Failed)
    assert reply.error == error, "ccxt calls it passing once it has been logged in"
    assert verdict("binance", Ask.CREATE, CLIENT_ID, reply) is Verdict.REJECTED


@pytest.mark.parametrize(
    ("ask", "said", "error", "expected"),
    [
        (Ask.ORDER, refusal(-2013, "Order does not exist."), "OrderNotFound", Verdict.ABSENT),
        (Ask.ORDER, refusal(-1000, "An unknown error occurred."), "OperationFailed", Verdict.UNKNOWN),
        (Ask.ORDER, answer({}), "", Verdict.UNKNOWN),
        (Ask.ORDER, answer([]), "", Verdict.UNKNOWN),
        (Ask.ORDER, HTML, "", Verdict.UNKNOWN),
        (Ask.ORDER, answer("<html>not found</html>", 404), "ExchangeNotAvailable", Verdict.UNKNOWN),
        (Ask.CANCEL, refusal(-2011, "Unknown order sent."), "OrderNotFound", Verdict.LOOK),
        (Ask.CANCEL, CUT, "ExchangeError", Verdict.UNKNOWN),
    ],
)
def test_what_an_answer_to_a_look_up_or_a_cancel_proves(
    world: World, ask: Ask, said: bytes, error: str, expected: Verdict
) -> None:
    reply = world.ask(ask, said)
    assert (reply.error if isinstance(reply, Failed) else "") == error
    assert verdict("binance", ask, CLIENT_ID, reply) is expected


async def created_at(endpoint: str) -> Reply:
    """A create whose connection cannot be made, with the markets known from before."""
    async with canned_exchange() as exchange:
        wire = wire_to(exchange.endpoint)
        await wire.markets()
        await wire.server_time()
        client: Any = wire._client
        client.urls["api"] = json.loads(json.dumps(client.urls["api"]).replace(exchange.endpoint, endpoint))
        try:
            return await wire.create(ORDER, NOW, 10_000)
        finally:
            await wire.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    "endpoint", [f"http://127.0.0.1:{free_port()}", "http://no-such-host.invalid"], ids=["refused", "no such host"]
)
def test_without_a_connection_nothing_was_sent(endpoint: str) -> None:
    reply = asyncio.run(created_at(endpoint))
    assert isinstance(reply, Failed)
    assert reply.cause is Cause.NOT_CONNECTED
    assert verdict("binance", Ask.CREATE, CLIENT_ID, reply) is Verdict.UNSENT


def test_a_connection_that_dies_in_use_proves_nothing(world: World) -> None:
    reply = world.ask(Ask.CREATE, None)
    assert isinstance(reply, Failed)
    assert reply.cause is Cause.RESET


@pytest.mark.parametrize(
    "order",
    [
        OrderRequest(CLIENT_ID, "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.010000001"), Decimal("30000.5")),
        OrderRequest(CLIENT_ID, "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal("30000.505")),
        OrderRequest(CLIENT_ID, "NO/SUCH", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal("30000.5")),
        OrderRequest(CLIENT_ID, "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.000001"), Decimal("30000.5")),
        OrderRequest("no:id", "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal("30000.5")),
    ],
)
def test_what_ccxt_would_round_or_cannot_say_is_rejected_and_never_sent(world: World, order: OrderRequest) -> None:
    world.exchange.forget()
    reply = world.runner.run(world.wire.create(order, NOW, 10_000))
    assert verdict("binance", Ask.CREATE, CLIENT_ID, reply) is Verdict.REJECTED
    assert world.exchange.count("POST order") == 0


def test_the_pause_that_is_asked_for_is_read(world: World) -> None:
    reply = world.ask(Ask.ORDER, refusal(-1003, "Too many requests.", 429, headers="Retry-After: 17\r\n"))
    assert isinstance(reply, Failed)
    assert reply.retry_after == 17_000


def test_every_row_says_why() -> None:
    assert all(len(row.evidence) > 15 for row in TABLE if row.exchange in (None, "binance"))


def test_what_is_not_in_the_table_proves_nothing() -> None:
    for ask in Ask:
        for cause in Cause:
            failed = Failed(cause, "NobodyKnows", 299, "77", "?")
            certain = cause in (Cause.LOCAL, Cause.NOT_CONNECTED) or (cause is Cause.ABSENT and ask is Ask.ORDER)
            assert (verdict("nowhere", ask, "a", failed) is Verdict.UNKNOWN) is not certain
    assert verdict("nowhere", Ask.CREATE, "a", WireOrder("1", None)) is Verdict.UNKNOWN
    assert verdict("nowhere", Ask.CREATE, "a", WireOrder(None, "a")) is Verdict.UNKNOWN
