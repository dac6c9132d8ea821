"""Reports over the WebSocket, by the real ccxt.pro and by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest
from venue_world import ServedVenue
from websockets.sync.client import ClientConnection, connect

from engine.venue.fates import Profile, StreamChances
from engine.venue.signature import sign


def _call(socket: ClientConnection, venue: ServedVenue, method: str, **params: object) -> Any:
    signed: dict[str, object] = {"apiKey": "key", "timestamp": venue.clock.now()} | params
    payload = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
    signed["signature"] = sign("secret", payload)
    socket.send(json.dumps({"id": "1", "method": method, "params": signed}))
    return json.loads(socket.recv(5))


def _reports(socket: ClientConnection, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        event = json.loads(socket.recv(5))["event"]
        if event["e"] == "executionReport":
            found.append(event)
    return found


def _address(venue: ServedVenue) -> str:
    return venue.url.replace("http", "ws") + "/ws-api/v3"


def test_reports_of_an_order(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db") as venue, connect(_address(venue)) as socket:
        assert _call(socket, venue, "userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}
        placed = venue.buy("a").json()
        venue.buy("b", "50000")
        venue.clock.at += 10
        venue.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="b")
        venue.clock.at += 10
        new, filled, other, gone = _reports(socket, 4)
        assert (new["x"], new["X"], new["c"], new["i"]) == ("NEW", "NEW", "a", placed["orderId"])
        assert (filled["x"], filled["X"], filled["z"], filled["l"]) == ("TRADE", "FILLED", "0.01000000", "0.01000000")
        assert (filled["t"], filled["n"], filled["N"]) == (placed["fills"][0]["tradeId"], "0.00001000", "BTC")
        assert (other["x"], other["c"]) == ("NEW", "b")
        assert (gone["x"], gone["C"], gone["z"]) == ("CANCELED", "b", "0.00000000")


def test_who_may_listen(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db") as venue, connect(_address(venue)) as socket:
        subscribe = "userDataStream.subscribe"
        assert _call(socket, venue, subscribe)["error"]["code"] == -2015
        assert _call(socket, venue, "session.logon", apiKey="other")["error"]["code"] == -2015
        old = venue.clock.now() - 6_000
        assert _call(socket, venue, f"{subscribe}.signature", timestamp=old)["error"]["code"] == -1021
        assert _call(socket, venue, "session.logon")["status"] == 200
        assert _call(socket, venue, subscribe)["result"] == {"subscriptionId": 0}
        assert _call(socket, venue, "order.place")["error"]["code"] == -1100
        socket.send("no json")
        assert json.loads(socket.recv(5))["error"]["code"] == -1100


def test_reports_come_twice_or_not_at_all(tmp_path: Path) -> None:
    always = Profile(stream=StreamChances(duplicated=10_000, hold_ms=(1, 5)))
    with ServedVenue(tmp_path / "v.db", profile=always) as venue, connect(_address(venue)) as socket:
        _call(socket, venue, "userDataStream.subscribe.signature")
        venue.buy("a", "50000")
        venue.clock.at += 10
        one, other = _reports(socket, 2)
        assert one == other
        venue.tell("profile", name="deaf", stream={"lost": 10_000})
        venue.buy("b", "50000")
        venue.clock.at += 10
        venue.ask("GET", "account")
        venue.tell("profile", name="calm")
        venue.buy("c", "50000")
        venue.clock.at += 10
        (next_one,) = _reports(socket, 1)
        assert next_one["c"] == "c"


def test_the_real_ccxt_watches_orders(tmp_path: Path) -> None:
    async def watch(venue: ServedVenue) -> list[Any]:
        client = ccxt.pro.binance(
            {
                "apiKey": "key",
                "secret": "secret",
                "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
            }
        )
        client.urls["api"]["public"] = client.urls["api"]["private"] = f"{venue.url}/api/v3"
        client.urls["api"]["ws"]["ws-api"]["spot"] = _address(venue)
        client.nonce = client.milliseconds = venue.clock.now
        try:
            await client.load_markets()
            await client.ensure_user_data_stream_ws_subscribe_signature()
            watching = asyncio.ensure_future(client.watch_orders("BTC/USDT"))
            await asyncio.sleep(0)
            await asyncio.to_thread(venue.buy, "a", "50000")
            venue.clock.at += 10
            return list(await asyncio.wait_for(watching, 10))
        finally:
            await client.close()

    with ServedVenue(tmp_path / "v.db") as venue:
        (order,) = asyncio.run(watch(venue))
        assert (order["clientOrderId"], order["status"], order["amount"]) == ("a", "open", 0.01)


@pytest.mark.parametrize("path", ["/ws-api/v4", "/ws/abc"])
def test_other_streams_are_not_there(tmp_path: Path, path: str) -> None:
    from websockets.exceptions import InvalidStatus

    with (
        ServedVenue(tmp_path / "v.db") as venue,
        pytest.raises(InvalidStatus),
        connect(venue.url.replace("http", "ws") + path),
    ):
        pass
