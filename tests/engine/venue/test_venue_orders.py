"""Orders, cancels and views over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from venue_world import ServedVenue, code

from engine.venue.settings import Lags


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVenue]:
    with ServedVenue(tmp_path_factory.mktemp("venue") / "v.db") as served:
        yield served


def test_a_market_order_is_filled_in_its_answer(calm: ServedVenue) -> None:
    answer = calm.buy("market").json()
    assert answer["status"] == "FILLED"
    assert answer["clientOrderId"] == "market"
    assert answer["executedQty"] == answer["origQty"] == "0.01000000"
    assert answer["cummulativeQuoteQty"] == "600.00000000"
    (fill,) = answer["fills"]
    assert fill["price"] == "60000.00000000"
    assert (fill["commission"], fill["commissionAsset"]) == ("0.00001000", "BTC")
    (trade,) = calm.ask("GET", "myTrades", symbol="BTCUSDT", orderId=answer["orderId"]).json()
    assert trade["id"] == fill["tradeId"]
    assert (trade["orderId"], trade["qty"], trade["isBuyer"]) == (answer["orderId"], "0.01000000", True)


def test_a_limit_order_rests_locks_its_cost_and_is_canceled_once(calm: ServedVenue) -> None:
    before = _balance(calm, "USDT")
    placed = calm.buy("limit", "50000.00").json()
    assert (placed["status"], placed["fills"]) == ("NEW", [])
    assert _balance(calm, "USDT") == (before[0] - 500, before[1] + 500)
    assert [one["clientOrderId"] for one in calm.ask("GET", "openOrders", symbol="BTCUSDT").json()] == ["limit"]
    by_number = calm.ask("GET", "order", symbol="BTCUSDT", orderId=placed["orderId"]).json()
    assert by_number == calm.order("limit").json()
    gone = calm.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="limit").json()
    assert (gone["status"], gone["origClientOrderId"], gone["executedQty"]) == ("CANCELED", "limit", "0.00000000")
    assert gone["clientOrderId"] != "limit"
    assert code(calm.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="limit")) == (400, -2011)
    assert _balance(calm, "USDT") == before
    assert calm.order("limit").json()["status"] == "CANCELED"


def test_a_client_id_is_taken_only_while_its_order_is_open(calm: ServedVenue) -> None:
    calm.buy("again", "50000.00")
    refused = calm.buy("again", "50000.00")
    assert (code(refused), refused.json()["msg"]) == ((400, -2010), "Duplicate order sent.")
    calm.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="again")
    first = calm.buy("again").json()
    second = calm.buy("again").json()
    assert first["orderId"] != second["orderId"], "the id of a filled order buys again"
    assert calm.order("again").json()["orderId"] == second["orderId"]


def test_the_same_bytes_of_a_filled_order_buy_twice(calm: ServedVenue) -> None:
    body = calm.signed(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "bytes"}
    )
    headers = {"X-MBX-APIKEY": "key", "Content-Type": "application/x-www-form-urlencoded"}
    answers = [calm.http.post("/api/v3/order", content=body, headers=headers).json() for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["FILLED", "FILLED"]
    assert answers[0]["orderId"] != answers[1]["orderId"]


def test_an_order_by_its_cost(calm: ServedVenue) -> None:
    answer = calm.ask("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100").json()
    assert (answer["executedQty"], answer["status"]) == ("0.00166000", "FILLED")
    assert answer["clientOrderId"]


def test_a_resting_order_fills_when_the_price_comes(calm: ServedVenue) -> None:
    calm.buy("resting", "50000.00")
    calm.tell("market", symbol="BTC/USDT", price="49000")
    calm.clock.at += 1_000
    state = calm.order("resting").json()
    calm.tell("market", symbol="BTC/USDT", price="60000")
    assert (state["status"], state["cummulativeQuoteQty"]) == ("FILLED", "500.00000000")
    (trade,) = calm.ask("GET", "myTrades", symbol="BTCUSDT", orderId=state["orderId"]).json()
    assert trade["isMaker"] is True
    calm.clock.at += 1_000


@pytest.mark.parametrize(
    ("change", "expected", "text"),
    [
        ({"quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.010001"}, -1013, "LOT_SIZE"),
        ({"price": "50000.001"}, -1013, "PRICE_FILTER"),
        ({"quantity": "0.0001", "price": "40000"}, -1013, "NOTIONAL"),
        ({"quantity": "5"}, -2010, "insufficient balance"),
        ({"quantity": "1e-2"}, -1100, "'quantity'"),
        ({"newClientOrderId": "ä"}, -1100, "newClientOrderId"),
        ({"newClientOrderId": "x" * 37}, -1100, "newClientOrderId"),
        ({"symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
        ({"symbol": ""}, -1102, "'symbol'"),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "STOP"}, -1116, "Invalid orderType."),
        ({"timeInForce": ""}, -1102, "'timeInForce'"),
        ({"type": "MARKET"}, -1106, "'price'"),
        ({"type": "LIMIT_MAKER", "price": "60001"}, -2010, "immediately match"),
        ({"clientOrderId": "x"}, -1104, "read '9' parameter(s) but was sent '10'"),
        ({"stopPrice": "1"}, -1020, "stopPrice"),
    ],
)
def test_refused_orders(calm: ServedVenue, change: dict[str, str], expected: int, text: str) -> None:
    known = len(calm.books()["orders"])
    answer = calm.buy(**{"client_order_id": "refused", "price": "50000"} | change)  # type: ignore[arg-type]
    assert code(answer) == (400, expected), answer.text
    assert text in answer.json()["msg"]
    assert len(calm.books()["orders"]) == known


def test_orders_that_do_not_exist(calm: ServedVenue) -> None:
    assert code(calm.order("never")) == (400, -2013)
    assert code(calm.ask("GET", "order", symbol="BTCUSDT", orderId=999)) == (400, -2013)
    assert code(calm.ask("DELETE", "order", symbol="BTCUSDT", orderId=999)) == (400, -2011)
    assert code(calm.ask("GET", "order", symbol="BTCUSDT")) == (400, -1102)
    assert code(calm.ask("GET", "order", symbol="BTCUSDT", orderId="9" * 19)) == (400, -1100)
    assert code(calm.ask("GET", "order", symbol="BTCUSDT", orderId="9" * 18)) == (400, -2013)
    assert calm.ask("GET", "myTrades", symbol="BTCUSDT", orderId=999).json() == []


def test_a_halted_market_takes_no_orders(calm: ServedVenue) -> None:
    calm.tell("market", symbol="ETH/USDT", halted=True)
    answer = calm.ask("POST", "order", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="1")
    assert (code(answer), answer.json()["msg"]) == ((400, -1013), "Market is closed.")
    info = calm.http.get("/api/v3/exchangeInfo?symbol=ETHUSDT").json()
    assert info["symbols"][0]["status"] == "HALT"
    calm.tell("market", symbol="ETH/USDT", price="3000")
    calm.clock.at += 10


def test_lists_are_cut_by_number_and_time(calm: ServedVenue) -> None:
    for number in range(4):
        assert calm.buy(f"listed-{number}").status_code == 200
    everything = calm.ask("GET", "allOrders", symbol="BTCUSDT").json()
    assert [one["orderId"] for one in everything] == sorted(one["orderId"] for one in everything)
    third = everything[2]
    assert calm.ask("GET", "allOrders", symbol="BTCUSDT", orderId=third["orderId"], limit=1).json() == [third]
    late = calm.ask("GET", "allOrders", symbol="BTCUSDT", startTime=third["time"]).json()
    assert late == everything[2:]
    assert calm.ask("GET", "allOrders", symbol="BTCUSDT", limit=2).json() == everything[-2:]


def test_market_data(calm: ServedVenue) -> None:
    assert calm.http.get("/api/v3/ping").json() == {}
    assert calm.http.get("/api/v3/time").json() == {"serverTime": calm.clock.now()}
    assert calm.http.get("/api/v3/ticker/price?symbol=BTCUSDT").json()["price"] == "60000.00000000"
    assert len(calm.http.get("/api/v3/ticker/24hr").json()) == 2
    best = calm.http.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT").json()
    assert best["bidPrice"] == "60000.00000000" < best["askPrice"]
    rows = calm.http.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=3").json()
    assert [row[0] % 300_000 for row in rows] == [0, 0, 0]
    assert rows[-1][0] <= calm.clock.now() <= rows[-1][6]
    assert all(float(row[3]) <= float(row[1]) <= float(row[2]) for row in rows)
    assert code(calm.http.get("/api/v3/klines?symbol=BTCUSDT&interval=7m")) == (400, -1120)
    assert len(calm.http.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0").json()) == 500
    assert calm.http.get("/api/v3/nothing").status_code == 404


def test_each_view_is_behind_by_its_lag(tmp_path: Path) -> None:
    lags = Lags(order=2_000, trades=3_000, account=3_000, open_orders=2_000)
    with ServedVenue(tmp_path / "v.db", lags=lags, seed=3) as venue:
        accepted_at = venue.buy("a").json()["transactTime"]
        number = venue.books()["orders"][0]["orderId"]
        seen: dict[str, int] = {}
        for step in range(0, 3_001, 150):
            venue.clock.at = accepted_at + step
            if venue.order("a").status_code == 200:
                seen.setdefault("order", step)
            if venue.ask("GET", "myTrades", symbol="BTCUSDT", orderId=number).json():
                seen.setdefault("trades", step)
            if _balance(venue, "BTC")[0] > 1:
                seen.setdefault("account", step)
        assert set(seen) == {"order", "trades", "account"}
        assert 150 < seen["order"] <= 2_000
        assert 150 < seen["trades"] <= 3_000
        assert 150 < seen["account"] <= 3_000


def _balance(venue: ServedVenue, currency: str) -> tuple[float, float]:
    balances = venue.ask("GET", "account").json()["balances"]
    return next((float(one["free"]), float(one["locked"])) for one in balances if one["asset"] == currency)
