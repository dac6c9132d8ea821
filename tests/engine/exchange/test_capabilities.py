"""Every entry of the table of exchanges, by the bytes that the installed ccxt makes of it. No network."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec
import pytest

from engine.exchange.capabilities import EXCHANGES, Exchange, Expiry, LookUp, exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import ExchangeTrade, OrderRequest, OrderType, Side
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_states import order_state
from engine.exchange.outcomes import Verdict, verdict
from engine.exchange.wire import Ask, Failed, Reply, WireOrder
from runtime.errors import ConfigError

ID = "0123456789abcdef0123456789abcdef"
AT, WINDOW = 1_790_000_000_123, 9_000
BUY = OrderRequest(ID, "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.0100"), Decimal("30000.5"))
MARKET_BUY = msgspec.structs.replace(BUY, type=OrderType.MARKET, price=None)
MARKET_SELL = msgspec.structs.replace(MARKET_BUY, side=Side.SELL)
PROVEN = ("binance", "okx", "bybit", "kraken")
MARKET_IDS = {"okx": "BTC-USDT", "kraken": "XBTUSDT", "coinbase": "BTC-USDT", "kucoin": "BTC-USDT", "gate": "BTC_USDT"}


class Sent(msgspec.Struct):
    """A request in the form in which it goes to the socket."""

    method: str
    url: str
    headers: dict[str, str]
    body: str

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def params(self) -> dict[str, Any]:
        """What the request says, wherever it says it."""
        said: Any = {}
        if self.body.startswith(("{", "[")):
            said = json.loads(self.body)
        elif self.body:
            said = dict(parse_qsl(self.body))
        return dict(parse_qsl(urlsplit(self.url).query)) | (said[0] if isinstance(said, list) else said)


class Answer:
    def __init__(self, body: Any) -> None:
        self.status, self.reason, self.headers = 200, "OK", {"Content-Type": "application/json"}
        self._body = body if isinstance(body, str) else json.dumps(body)

    async def text(self, errors: str = "strict") -> str:
        return self._body

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Session:
    """In aiohttp's place: keeps what is sent, and answers by the end of the path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.sent: list[Sent] = []
        self.headers: dict[str, str] = {}
        self._answers = answers

    def __getattr__(self, method: str) -> Callable[..., Answer]:
        def send(url: Any, data: bytes | None = None, headers: Any = None, **_: Any) -> Answer:
            sent = Sent(method.upper(), str(url), dict(headers), (data or b"").decode())
            self.sent.append(sent)
            return Answer(next((said for end, said in self._answers.items() if sent.path.endswith(end)), {}))

        return send

    async def close(self) -> None: ...


class Bench:
    """A wire to one exchange over a session that goes nowhere."""

    def __init__(self, runner: asyncio.Runner, exchange: Exchange) -> None:
        self._runner = runner
        self.client = open_client(exchange, Credentials("THEKEYTHEKEY", "c2VjcmV0c2VjcmV0", "THEPASSWORD"))
        self.client.enableRateLimit = False
        self.client.timeout_on_exit = 0
        self.client.set_markets([spot_market(exchange.name)])
        self.wire = CcxtWire(exchange, self.client)
        self.wire._clock_agreed = True
        self.exchange = exchange

    def ask(self, question: Callable[[CcxtWire], Any], **answers: Any) -> tuple[Any, list[Sent]]:
        session = Session({name.replace("__", "/").replace("_", "-"): said for name, said in answers.items()})
        self.client.session = session
        return self._runner.run(question(self.wire)), session.sent

    def create(self, order: OrderRequest, **answers: Any) -> tuple[Reply, Sent]:
        reply, sent = self.ask(lambda wire: wire.create(order, AT, WINDOW), **answers)
        orders = [one for one in sent if ID in one.body]
        assert len(orders) == 1
        return reply, orders[0]


@pytest.fixture(scope="module")
def benches() -> Iterator[Callable[[str], Bench]]:
    made: dict[str, Bench] = {}
    with asyncio.Runner() as runner:

        def bench(name: str) -> Bench:
            if name not in made:
                made[name] = Bench(runner, exchange_named(name))
            return made[name]

        yield bench
        for one in made.values():
            runner.run(one.wire.close())


def spot_market(name: str) -> dict[str, Any]:
    market_id = MARKET_IDS.get(name, "BTCUSDT")
    return {
        "id": market_id,
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "type": "spot",
        "spot": True,
        **dict.fromkeys(("margin", "swap", "future", "option", "contract"), False),
        "active": True,
        "taker": 0.001,
        "maker": 0.001,
        "precision": {"amount": Decimal("0.0001"), "price": Decimal("0.01")},
        "limits": {"amount": {"min": Decimal("0.0001")}, "price": {}, "cost": {"min": Decimal(5)}, "leverage": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET"], "symbol": market_id, "altname": market_id},
    }


# --- what is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROVEN)
def test_a_create_carries_our_id_and_exactly_our_numbers(benches: Callable[[str], Bench], name: str) -> None:
    _, sent = benches(name).create(BUY)
    said = sent.params
    assert said[EXCHANGES[name].sent_as] == ID
    numbers = {str(value) for value in said.values()}
    assert {"0.01", "30000.5"} <= numbers
    assert sent.method == "POST"


@pytest.mark.parametrize("name", PROVEN)
@pytest.mark.parametrize("order", [MARKET_BUY, MARKET_SELL], ids=["buy", "sell"])
def test_a_market_order_is_sized_in_base_currency(
    benches: Callable[[str], Bench], name: str, order: OrderRequest
) -> None:
    _, sent = benches(name).create(order)
    said = {key: str(value) for key, value in sent.params.items()}
    size = {"binance": "quantity", "okx": "sz", "bybit": "qty", "kraken": "volume"}[name]
    assert said[size] == "0.01"
    assert "quoteOrderQty" not in said
    unit = {"okx": ("tgtCcy", "base_ccy"), "bybit": ("marketUnit", "baseCoin")}.get(name)
    if unit is not None and (order.side is Side.BUY or name == "okx"):
        assert said[unit[0]] == unit[1]


def expires_at(name: str, sent: Sent) -> int:
    """Until when the exchange may carry the request out, by its own documentation of these fields."""
    said = sent.params
    if name == "binance":
        return int(said["timestamp"]) + int(said["recvWindow"])
    if name == "bybit":
        return int(sent.headers["X-BAPI-TIMESTAMP"]) + int(sent.headers["X-BAPI-RECV-WINDOW"])
    if name == "okx":
        return int(sent.headers["expTime"])
    assert said["deadline"] == "2026-09-21T14:13:29.123Z"
    return AT + WINDOW


@pytest.mark.parametrize("name", PROVEN)
def test_a_create_expires_when_its_claim_does(benches: Callable[[str], Bench], name: str) -> None:
    for order in (BUY, MARKET_SELL):
        _, sent = benches(name).create(order)
        assert expires_at(name, sent) == AT + WINDOW


def test_the_instants_are_in_what_is_signed(benches: Callable[[str], Bench]) -> None:
    for name in ("binance", "bybit", "kraken"):
        bench = benches(name)
        _, first = bench.create(BUY)
        (_, later) = bench.ask(lambda wire: wire.create(BUY, AT + 1, WINDOW))
        signature = {"binance": "signature", "bybit": "X-BAPI-SIGN", "kraken": "API-Sign"}[name]
        one, other = first.params | first.headers, later[-1].params | later[-1].headers
        assert one[signature] != other[signature]


def test_a_pin_ends_with_its_create(benches: Callable[[str], Bench]) -> None:
    bench = benches("bybit")
    bench.create(BUY)
    _, sent = bench.ask(lambda wire: wire.cancel("BTC/USDT", ID))
    assert sent[0].headers["X-BAPI-TIMESTAMP"] != str(AT)
    assert sent[0].headers["X-BAPI-RECV-WINDOW"] == "5000"


@pytest.mark.parametrize(("name", "key"), [("binance", "origClientOrderId"), ("okx", "clOrdId")])
def test_an_order_is_looked_up_by_our_id(benches: Callable[[str], Bench], name: str, key: str) -> None:
    _, sent = benches(name).ask(lambda wire: wire.order("BTC/USDT", ID))
    assert [one.params[key] for one in sent] == [ID]


@pytest.mark.parametrize(("name", "key"), [("bybit", "orderLinkId"), ("kraken", "cl_ord_id")])
def test_where_there_is_no_look_up_the_lists_are_filtered_by_our_id(
    benches: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setattr("engine.exchange.ccxt_wire._LIST_LAG", 0.0)
    nothing = {"retCode": 0, "retMsg": "OK", "error": [], "result": {"list": [], "open": {}, "closed": {}}}
    ends = ("order__realtime", "order__history", "OpenOrders", "ClosedOrders")
    reply, sent = benches(name).ask(lambda wire: wire.order("BTC/USDT", ID), **dict.fromkeys(ends, nothing))
    assert [one.params[key] for one in sent] == [ID] * 4
    assert verdict(name, Ask.ORDER, ID, reply) is Verdict.ABSENT
    opened, closed = sent[0].path, sent[1].path
    assert opened != closed, "open ones first: what closes in between is in the list that is read later"
    assert [one.path for one in sent] == [opened, closed] * 2


@pytest.mark.parametrize("said", ["<html>please wait</html>", "", {}, [], {"result": {}}, {"retCode": 0, "error": []}])
@pytest.mark.parametrize("name", ["bybit", "kraken"])
def test_lists_that_are_none_prove_no_absence(
    benches: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch, name: str, said: Any
) -> None:
    monkeypatch.setattr("engine.exchange.ccxt_wire._LIST_LAG", 0.0)
    whole = {"retCode": 0, "error": [], "result": {"list": [], "open": {}}}
    for opened, closed in ((said, said), (whole, said)):
        ends = {"order__realtime": opened, "OpenOrders": opened, "order__history": closed, "ClosedOrders": closed}
        reply, _ = benches(name).ask(lambda wire: wire.order("BTC/USDT", ID), **ends)
        assert verdict(name, Ask.ORDER, ID, reply) is Verdict.UNKNOWN


@pytest.mark.parametrize("said", ["<html>please wait</html>", "", {}, {"code": "1"}])
@pytest.mark.parametrize("name", PROVEN)
def test_what_is_no_answer_is_neither_no_orders_nor_no_money(
    benches: Callable[[str], Bench], name: str, said: Any
) -> None:
    everything = {end.rstrip("_"): said for end in ("", "openOrders", "account", "orders_pending", "order__realtime")}
    for ask in (
        lambda wire: wire.open_orders("BTC/USDT"),
        lambda wire: wire.open_orders(None),
        lambda wire: wire.balances(),
        lambda wire: wire.free(),
    ):
        reply, _ = benches(name).ask(ask, **everything)
        assert isinstance(reply, Failed), reply


@pytest.mark.parametrize(
    ("name", "key"),
    [("binance", "origClientOrderId"), ("okx", "clOrdId"), ("bybit", "orderLinkId"), ("kraken", "cl_ord_id")],
)
def test_an_order_is_canceled_by_our_id(benches: Callable[[str], Bench], name: str, key: str) -> None:
    _, sent = benches(name).ask(lambda wire: wire.cancel("BTC/USDT", ID))
    assert [one.params[key] for one in sent] == [ID]
    assert "None" not in sent[0].url + sent[0].body


class Unwatched(Session):
    """A session that is not ours, such as that of a proxy: it fails, and nobody saw how far it came."""

    def __getattr__(self, method: str) -> Callable[..., Answer]:
        def send(*_: Any, **__: Any) -> Answer:
            raise aiohttp.ServerDisconnectedError

        return send


def test_where_the_connection_was_not_watched_nothing_is_held_unsent(benches: Callable[[str], Bench]) -> None:
    bench = benches("binance")
    bench.client.session = Unwatched({})
    reply = bench._runner.run(bench.wire.create(BUY, AT, WINDOW))
    assert isinstance(reply, Failed)
    assert verdict("binance", Ask.CREATE, ID, reply) is Verdict.UNKNOWN


# --- what is answered -----------------------------------------------------------------------------------------------

CREATED: dict[str, tuple[str, Any]] = {
    "okx": (
        "batch_orders",
        {
            "code": "0",
            "data": [{"clOrdId": ID, "ordId": "3123", "sCode": "0", "sMsg": "Order placed", "tag": ""}],
            "msg": "",
        },
    ),
    "bybit": (
        "order__create",
        {"retCode": 0, "retMsg": "OK", "result": {"orderId": "3123", "orderLinkId": ID}, "retExtInfo": {}, "time": AT},
    ),
    "kraken": (
        "AddOrder",
        {
            "error": [],
            "result": {"descr": {"order": "buy 0.01000000 XBTUSDT @ limit 30000.5"}, "txid": ["3123"], "cl_ord_id": ID},
        },
    ),
}


@pytest.mark.parametrize("name", CREATED)
def test_an_accepted_create_names_both_ids(benches: Callable[[str], Bench], name: str) -> None:
    end, said = CREATED[name]
    reply, _ = benches(name).create(BUY, **{end: said})
    assert verdict(name, Ask.CREATE, ID, reply) is Verdict.ACCEPTED
    assert isinstance(reply, WireOrder)
    assert reply.exchange_order_id == "3123"
    assert verdict(name, Ask.CREATE, "another", reply) is Verdict.UNKNOWN


REFUSED: list[tuple[str, str, Any, Verdict]] = [
    (
        "okx",
        "batch_orders",
        {
            "code": "1",
            "data": [{"clOrdId": ID, "ordId": "", "sCode": "51008", "sMsg": "Order failed. Insufficient balance"}],
        },
        Verdict.REJECTED,
    ),
    (
        "okx",
        "batch_orders",
        {"code": "1", "data": [{"sCode": "51016", "sMsg": "Client order ID duplicated"}]},
        Verdict.LOOK,
    ),
    (
        "okx",
        "batch_orders",
        {"code": "50036", "data": [], "msg": "expTime can't be earlier than the system time"},
        Verdict.UNSENT,
    ),
    ("okx", "batch_orders", {"code": "50001", "data": [], "msg": "Service temporarily unavailable"}, Verdict.UNKNOWN),
    ("bybit", "order__create", {"retCode": 170131, "retMsg": "Insufficient balance.", "result": {}}, Verdict.REJECTED),
    ("bybit", "order__create", {"retCode": 10002, "retMsg": "invalid request, check recv_window"}, Verdict.UNSENT),
    ("bybit", "order__create", {"retCode": 170141, "retMsg": "Duplicate clientOrderId"}, Verdict.LOOK),
    ("bybit", "order__create", {"retCode": 10016, "retMsg": "Internal server error."}, Verdict.UNKNOWN),
    ("kraken", "AddOrder", {"error": ["EOrder:Insufficient funds"]}, Verdict.REJECTED),
    ("kraken", "AddOrder", {"error": ["EService:Timeout"]}, Verdict.UNKNOWN),
    ("kraken", "AddOrder", {"error": ["EService:Deadline elapsed"]}, Verdict.UNKNOWN),
    ("kraken", "AddOrder", {"error": ["EAPI:Invalid nonce"]}, Verdict.UNSENT),
]


@pytest.mark.parametrize(("name", "end", "said", "expected"), REFUSED)
def test_a_refused_create(benches: Callable[[str], Bench], name: str, end: str, said: Any, expected: Verdict) -> None:
    reply, _ = benches(name).create(BUY, **{end: said})
    assert isinstance(reply, Failed)
    assert verdict(name, Ask.CREATE, ID, reply) is expected


BYBIT_ORDER = {
    "symbol": "BTCUSDT", "orderType": "Limit", "orderLinkId": ID, "orderId": "3123", "orderStatus": "Filled",
    "price": "30000.5", "avgPrice": "30000.1", "createdTime": str(AT), "updatedTime": str(AT + 5), "side": "Buy",
    "timeInForce": "GTC", "leavesQty": "0", "cumExecQty": "0.01", "cumExecValue": "300.001", "qty": "0.01",
}  # fmt: skip
BYBIT_TRADE = {
    "symbol": "BTCUSDT", "orderId": "3123", "orderLinkId": ID, "execId": "t1", "execPrice": "30000.1",
    "execQty": "0.01", "execFee": "0.00001000000000000001", "feeCurrency": "BTC", "feeRate": "0.001", "side": "Buy",
    "execTime": str(AT + 4), "execType": "Trade", "isMaker": False, "execValue": "300.001",
}  # fmt: skip
OKX_ORDER = {
    "instId": "BTC-USDT", "instType": "SPOT", "ordId": "3123", "clOrdId": ID, "state": "filled", "side": "buy",
    "ordType": "limit", "px": "30000.5", "sz": "0.01", "accFillSz": "0.01", "avgPx": "30000.1", "cTime": str(AT),
    "uTime": str(AT + 5), "fee": "-0.00001", "feeCcy": "BTC",
}  # fmt: skip
OKX_TRADE = {
    "instId": "BTC-USDT", "instType": "SPOT", "tradeId": "t1", "ordId": "3123", "clOrdId": ID, "fillPx": "30000.1",
    "fillSz": "0.01", "fee": "-0.00001000000000000001", "feeCcy": "BTC", "side": "buy", "ts": str(AT + 4),
    "execType": "T",
}  # fmt: skip
KRAKEN_ORDER = {
    "refid": None, "userref": None, "cl_ord_id": ID, "status": "closed", "opentm": AT / 1000, "closetm": AT / 1000 + 1,
    "descr": {"pair": "XBTUSDT", "type": "buy", "order": "buy 0.01000000 XBTUSDT @ limit 30000.5"},
    "vol": "0.01", "vol_exec": "0.01", "cost": "300.001", "fee": "0.3", "price": "30000.1", "trades": ["t1"],
}  # fmt: skip
KRAKEN_TRADE = {
    "ordertxid": "3123", "pair": "XBTUSDT", "time": AT / 1000, "type": "buy", "ordertype": "limit", "price": "30000.1",
    "cost": "300.001", "fee": "0.30000000000000000001", "vol": "0.01",
}  # fmt: skip

FOUND: dict[str, tuple[dict[str, Any], str, str]] = {
    "bybit": (
        {
            "order__realtime": {"retCode": 0, "result": {"list": []}},
            "order__history": {"retCode": 0, "result": {"list": [BYBIT_ORDER]}},
            "execution__list": {"retCode": 0, "result": {"list": [BYBIT_TRADE]}},
        },
        "0.00001000000000000001",
        "BTC",
    ),
    "okx": (
        {"trade__order": {"code": "0", "data": [OKX_ORDER]}, "fills_history": {"code": "0", "data": [OKX_TRADE]}},
        "0.00001000000000000001",
        "BTC",
    ),
    "kraken": (
        {
            "OpenOrders": {"error": [], "result": {"open": {}}},
            "ClosedOrders": {"error": [], "result": {"closed": {"3123": KRAKEN_ORDER}, "count": 1}},
            "QueryOrders": {"error": [], "result": {"3123": KRAKEN_ORDER}},
            "QueryTrades": {"error": [], "result": {"t1": KRAKEN_TRADE}},
        },
        "0.30000000000000000001",
        "USDT",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_filled_order_is_read_to_the_last_digit(benches: Callable[[str], Bench], name: str) -> None:
    answers, fee, currency = FOUND[name]
    reply, _ = benches(name).ask(lambda wire: wire.order("BTC/USDT", ID), **answers)
    assert verdict(name, Ask.ORDER, ID, reply) is Verdict.ACCEPTED
    trades, _ = benches(name).ask(lambda wire: wire.trades("BTC/USDT", "3123"), **answers)
    state = order_state("BTC/USDT", reply, trades)
    assert not isinstance(state, Failed)
    assert (state.status.value, state.filled, state.exchange_order_id) == ("filled", Decimal("0.01"), "3123")
    [trade] = state.trades
    assert isinstance(trade, ExchangeTrade)
    assert (trade.trade_id, str(trade.qty), str(trade.price)) == ("t1", "0.01", "30000.1")
    assert (str(trade.fee), trade.fee_currency) == (fee, currency)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("okx", {"trade__order": {"code": "51603", "data": [], "msg": "Order does not exist"}}),
    ],
)
def test_an_order_that_is_not_there(benches: Callable[[str], Bench], name: str, answers: Any) -> None:
    reply, _ = benches(name).ask(lambda wire: wire.order("BTC/USDT", ID), **answers)
    assert verdict(name, Ask.ORDER, ID, reply) is Verdict.ABSENT


OKX_MARKET = {
    "instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "tickSz": "0.1", "minSz": "0.00001",
    "lotSz": "0.00000001", "state": "live", "ctVal": "", "ctMult": "", "settleCcy": "", "listTime": "1606468572000",
}  # fmt: skip
BYBIT_MARKET = {
    "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading", "marginTrading": "both",
    "lotSizeFilter": {
        "basePrecision": "0.000001", "quotePrecision": "0.00000001", "minOrderQty": "0.000048", "maxOrderQty": "71.7",
        "minOrderAmt": "1", "maxOrderAmt": "2000000",
    },
    "priceFilter": {"tickSize": "0.01"},
}  # fmt: skip
KRAKEN_MARKET = {
    "altname": "XBTUSDT", "wsname": "XBT/USDT", "base": "XXBT", "quote": "USDT", "lot": "unit", "cost_decimals": 5,
    "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [],
    "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1",
    "status": "online",
}  # fmt: skip
BYBIT_BALANCE = {"coin": "BTC", "walletBalance": "0.7", "locked": "0.2", "equity": "0.7", "free": ""}
KRAKEN_BALANCE = {"balance": "0.7000000000", "hold_trade": "0.2"}
READ: dict[str, tuple[Any, Any, Any, tuple[str, ...]]] = {
    "okx": (
        {"public__instruments": {"code": "0", "data": [OKX_MARKET]}},
        {"public__time": {"code": "0", "data": [{"ts": "1688639403423"}]}},
        {"account__balance": {"code": "0", "data": [{"details": [{"ccy": "BTC", "cashBal": "0.7", "eq": "0.7"}]}]}},
        ("0.00000001", "0.1", "0.00001", "0"),
    ),
    "bybit": (
        {"instruments_info": {"retCode": 0, "result": {"list": [BYBIT_MARKET]}}},
        {"market__time": {"retCode": 0, "result": {}, "time": 1688639403423}},
        {"wallet_balance": {"retCode": 0, "result": {"list": [{"accountType": "UNIFIED", "coin": [BYBIT_BALANCE]}]}}},
        ("0.000001", "0.01", "0.000048", "1"),
    ),
    "kraken": (
        {"AssetPairs": {"error": [], "result": {"XBTUSDT": KRAKEN_MARKET}}},
        {"Time": {"error": [], "result": {"unixtime": 1688639403}}},
        {"BalanceEx": {"error": [], "result": {"XXBT": KRAKEN_BALANCE}}},
        ("0.00000001", "0.1", "0.00005", "0.5"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_markets_clock_and_balances_take_one_request_each(benches: Callable[[str], Bench], name: str) -> None:
    market_said, time_said, balance_said, rules = READ[name]
    bench = benches(name)
    markets, sent = bench.ask(lambda wire: wire.markets(), **market_said)
    bench.client.set_markets([spot_market(name)])
    assert len(sent) == 1
    [market] = markets.values()
    assert (market.base, market.quote) == ("BTC", "USDT")
    found = (market.amount_step, market.price_tick, market.min_amount, market.min_notional)
    assert found == tuple(Decimal(rule) for rule in rules)
    at, sent = bench.ask(lambda wire: wire.server_time(), **time_said)
    assert len(sent) == 1
    assert 1688639403423 - 1_000 < at <= 1688639403423, "never ahead"
    balances, sent = bench.ask(lambda wire: wire.balances(), **balance_said)
    assert len(sent) == 1
    assert balances == {"BTC": Decimal("0.7")}


# --- what the key may do ----------------------------------------------------------------------------------------------

BINANCE_KEY = {"ipRestrict": False, "enableReading": True, "enableWithdrawals": False, "enableInternalTransfer": False}
BINANCE_ACCOUNT = {"canTrade": True, "balances": [{"asset": "BTC", "free": "1.0", "locked": "0.0"}]}
OKX_KEY = {"uid": "1", "acctLv": "1", "perm": "read_only,trade", "ip": "10.0.0.1"}
BYBIT_KEY = {"readOnly": 0, "permissions": {"Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"]}, "ips": ["*"]}


def of_binance(trading: bool, can_trade: bool = True) -> dict[str, Any]:
    return {
        "v3__account": BINANCE_ACCOUNT | {"canTrade": can_trade},
        "apiRestrictions": BINANCE_KEY | {"enableSpotAndMarginTrading": trading},
        "bnbBurn": {"spotBNBBurn": True, "interestBNBBurn": False},
    }


@pytest.mark.parametrize(
    ("name", "answers", "rights"),
    [
        ("binance", of_binance(trading=True), KeyRights(True, False, False, True)),
        ("binance", of_binance(trading=False), KeyRights(False, False, False, True)),
        ("binance", of_binance(trading=True, can_trade=False), KeyRights(False, False, False, True)),
        ("okx", {"account__config": {"code": "0", "data": [OKX_KEY]}}, KeyRights(True, False, True)),
        (
            "okx",
            {"account__config": {"code": "0", "data": [OKX_KEY | {"perm": "read_only,withdraw", "ip": ""}]}},
            KeyRights(False, True, False),
        ),
        ("okx", {"account__config": {"code": "0", "data": []}}, KeyRights()),
        ("bybit", {"query_api": {"retCode": 0, "result": BYBIT_KEY}}, KeyRights(True, False, False)),
        ("bybit", {"query_api": {"retCode": 0, "result": BYBIT_KEY | {"readOnly": 1}}}, KeyRights(False, False, False)),
        ("bybit", {"query_api": {"retCode": 0, "result": {}}}, KeyRights()),
        ("kraken", {}, KeyRights()),
    ],
)
def test_what_a_key_may_do_is_read_from_the_exchange_s_own_word(
    benches: Callable[[str], Bench], name: str, answers: dict[str, Any], rights: KeyRights
) -> None:
    found, sent = benches(name).ask(lambda wire: wire.rights(), **answers)
    assert found == rights
    assert all(one.method == "GET" for one in sent), "nothing is tried out"
    assert len(sent) == {"binance": 3, "kraken": 0}.get(name, 1)


# --- the table as a whole -------------------------------------------------------------------------------------------


def test_real_money_goes_only_where_an_order_can_be_found_and_expires() -> None:
    for name, exchange in EXCHANGES.items():
        safe = exchange.look_up is not LookUp.NONE and exchange.expiry is not Expiry.NONE
        assert safe is not bool(exchange.refused), name
        assert (exchange.max_window is None) is (exchange.expiry is Expiry.NONE)
    assert tuple(name for name, exchange in EXCHANGES.items() if not exchange.refused) == PROVEN


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_test_networks_are_those_that_ccxt_has(benches: Callable[[str], Bench], name: str) -> None:
    client = benches(name).client
    has = (
        bool(client.urls.get("test"))
        and client.safe_bool(client.safe_dict(client.features, "spot", {}), "sandbox") is True
    )
    assert EXCHANGES[name].sandbox in (has, False)


def test_what_ccxt_does_that_keeps_exchanges_out_of_the_table(benches: Callable[[str], Bench]) -> None:
    _, coinbase = benches("coinbase").ask(
        lambda wire: wire._client.create_order("BTC/USDT", "limit", "buy", "0.01", "30000.5", {"clientOrderId": ID})
    )
    assert ID not in coinbase[-1].body, "dropped silently"
    _, sent = benches("coinbase").create(BUY)
    assert sent.params["client_order_id"] == ID
    reply, _ = benches("gate").ask(lambda wire: wire.create(BUY, AT, WINDOW))
    assert verdict("gate", Ask.CREATE, ID, reply) is Verdict.REJECTED, "our ids are too long for it"
    for name in ("kucoin", "bitget"):
        mode = {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}}
        _, sent = benches(name).create(BUY, account__mode=mode)
        assert sent.params["clientOid"] == ID
        assert str(AT) not in str(sent), "nothing in it expires by our claim"


def test_an_unknown_exchange_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(ConfigError, match=r"'nobody'.*sent twice.*capabilities\.py"):
        exchange_named("nobody")


def test_a_client_goes_only_where_it_can() -> None:
    with pytest.raises(ConfigError, match="no test network"):
        open_client(exchange_named("kraken"), None, sandbox=True)
    with pytest.raises(ConfigError, match="binance's protocol"):
        open_client(exchange_named("okx"), None, endpoint="http://127.0.0.1:1")
    moved = json.dumps(open_client(exchange_named("binance"), None, endpoint="http://127.0.0.1:1").urls["api"])
    assert "binance" not in moved, "not one address of the real exchange is left, stream or other"
    test_network = open_client(exchange_named("binance"), None, sandbox=True)
    assert "testnet" in test_network.urls["api"]["private"]


# --- the machine's clock --------------------------------------------------------------------------------------------


def test_a_machine_s_clock_that_is_set_back_holds_no_request_back(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3_600.0
    shown = iter([2 * hour, *[hour] * 10_000])
    client = open_client(exchange_named("binance"), None)
    monkeypatch.setattr(sys.modules[type(client.throttler).__module__], "time", lambda: next(shown))

    async def paced() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for _ in range(4):
            await asyncio.wait_for(client.throttle(1), 5)
        return loop.time() - begun

    assert 3 * client.rateLimit / 1_000 <= asyncio.run(paced()) < 5, "one after the other, at the exchange's pace"


def test_whatever_is_stamped_is_stamped_by_the_clock_of_the_run() -> None:
    client = open_client(exchange_named("binance"), Credentials("key", "secret"), now=lambda: 1_234_567)
    signed = client.sign("account", ["private"])
    assert "timestamp=1234567" in signed["url"]
