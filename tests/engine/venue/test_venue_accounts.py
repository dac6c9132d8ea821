"""Several accounts on one market: each has its own keys, money, orders, trades, reports and limits."""

from __future__ import annotations

import json
import signal
import stat
import tomllib
from pathlib import Path
from typing import Any

import ccxt
import pytest
from started_venue import client_of, started
from typer.testing import CliRunner
from venue_world import ServedVenue, code
from websockets.sync.client import connect

import phasewright
from engine.venue.command import VenueOptions, settings_of
from engine.venue.settings import Keys, Limits
from engine.venue.signature import sign

SECOND = Keys("key-2", "secret-2")


def test_two_accounts_do_not_see_each_other_and_outlast_a_kill(tmp_path: Path) -> None:
    db = tmp_path / "v.db"
    with started(db, "--parts", "never", "--accounts", "3") as (process, ready, http):
        one, two = (client_of("rehearsal", ready, keys) for keys in ready["accounts"][:2])
        for client in (one, two):
            client.load_markets()
        low = one.price_to_precision("BTC/USDT", one.fetch_ticker("BTC/USDT")["last"] * 0.9)
        first = one.create_order("BTC/USDT", "limit", "buy", 0.01, low, {"clientOrderId": "mine"})
        second = two.create_order("BTC/USDT", "limit", "buy", 0.02, low, {"clientOrderId": "mine"})
        bought = two.create_order("ETH/USDT", "market", "buy", 0.1, params={"clientOrderId": "bought"})
        assert first["id"] != second["id"], "a number is of one order, whoever placed it"
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            two.create_order("BTC/USDT", "limit", "buy", 0.02, low, {"clientOrderId": "mine"})

        assert [(order["id"], order["amount"]) for order in one.fetch_open_orders("BTC/USDT")] == [(first["id"], 0.01)]
        assert [order["id"] for order in two.fetch_open_orders("BTC/USDT")] == [second["id"]]
        with pytest.raises(ccxt.OrderNotFound):
            one.fetch_order(second["id"], "BTC/USDT")
        with pytest.raises(ccxt.OrderNotFound):
            one.cancel_order(second["id"], "BTC/USDT")
        assert one.fetch_my_trades("ETH/USDT") == []
        assert [trade["order"] for trade in two.fetch_my_trades("ETH/USDT")] == [bought["id"]]
        assert (one.fetch_balance()["ETH"]["total"], two.fetch_balance()["ETH"]["total"]) == (0, 0.0999)
        assert one.fetch_balance()["USDT"]["total"] == 10_000
        wrong = client_of("rehearsal", ready, {"api_key": one.apiKey, "secret": two.secret})
        unknown = client_of("rehearsal", ready, {"api_key": "nobody's", "secret": two.secret})
        for client in (wrong, unknown):
            with pytest.raises(ccxt.AuthenticationError):
                client.fetch_balance()
        with pytest.raises(ccxt.AuthenticationError):
            client_of("rehearsal", ready, {"api_key": two.apiKey, "secret": one.secret}).fetch_balance()

        books = [http.get(f"/venue/books?account={number}").json() for number in (1, 2, 3)]
        assert [len(one["orders"]) for one in books] == [1, 2, 0]
        assert http.get("/venue/books?account=4").status_code == 400
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started(db, "--parts", "never", "--accounts", "3") as (_, again, http):
        assert again["accounts"] == ready["accounts"]
        for number, before in enumerate(books, 1):
            after = http.get(f"/venue/books?account={number}").json()
            assert {name: after[name] for name in ("orders", "balances", "requests")} == {
                name: before[name] for name in ("orders", "balances", "requests")
            }
        two = client_of("rehearsal", again, again["accounts"][1])
        two.load_markets()
        assert two.cancel_order(None, "BTC/USDT", {"clientOrderId": "mine"})["status"] == "canceled"
        assert two.create_order("ETH/USDT", "market", "buy", 0.1)["id"] not in (bought["id"], second["id"])
        one = client_of("rehearsal", again, again["accounts"][0])
        assert [order["id"] for order in one.fetch_open_orders("BTC/USDT")] == [first["id"]]


def test_everybody_sees_the_same_price_and_it_moves_for_all(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", further=(SECOND,)) as venue:
        for keys in (Keys("key", "secret"), SECOND):
            _ask(venue, keys, "POST", "order", **_resting("a", 59_000))
        venue.tell("market", symbol="BTC/USDT", price="58000")
        venue.clock.at += 10_000
        for keys in (Keys("key", "secret"), SECOND):
            order = _ask(venue, keys, "GET", "order", symbol="BTCUSDT", origClientOrderId="a").json()
            assert (order["status"], order["price"]) == ("FILLED", "59000.00000000")
        answer = _ask(venue, SECOND, "GET", "account", omitZeroBalances="true").json()
        assert [balance["asset"] for balance in answer["balances"]] == ["BTC", "USDT"]


def test_reports_go_to_the_account_they_are_about(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", further=(SECOND,)) as venue:
        address = venue.url.replace("http", "ws") + "/ws-api/v3"
        with connect(address) as first, connect(address) as second:
            for socket, keys in ((first, Keys("key", "secret")), (second, SECOND)):
                assert _subscribe(socket, venue, keys)["result"] == {"subscriptionId": 0}
            assert _subscribe(second, venue, Keys("key-2", "secret"))["error"]["code"] == -1022
            _ask(venue, SECOND, "POST", "order", **_resting("theirs", 59_000))
            venue.buy("mine", "50000")
            venue.clock.at += 10
            reports = {socket: [json.loads(socket.recv(5))["event"] for _ in range(2)] for socket in (first, second)}
            assert [[event.get("c") for event in found] for found in reports.values()] == [
                ["mine", None],
                ["theirs", None],
            ]
            (position,) = (event for event in reports[second] if event["e"] == "outboundAccountPosition")
            assert {one["a"]: one["l"] for one in position["B"]} == {"BTC": "0.00000000", "USDT": "590.00000000"}


def test_order_limits_are_an_accounts_and_request_weight_an_addresss(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", further=(SECOND,), limits=Limits(weight=50, orders_10s=1)) as venue:
        venue.clock.at -= venue.clock.at % 60_000 - 60_000
        assert venue.buy("a").status_code == 200
        assert code(venue.buy("b")) == (429, -1015)
        placed = _ask(venue, SECOND, "POST", "order", **_resting("a", 59_000))
        assert (placed.status_code, placed.headers["X-MBX-ORDER-COUNT-10S"]) == (200, "1")
        assert placed.headers["X-MBX-USED-WEIGHT-1M"] == "3"
        assert [_ask(venue, SECOND, "GET", "account").status_code for _ in range(3)] == [200, 200, 429]
        assert code(venue.ask("GET", "account")) == (429, -1003)
    with ServedVenue(tmp_path / "w.db", limits=Limits(weight=0, orders_10s=0, orders_day=0)) as venue:
        assert {venue.ask("GET", "account").status_code for _ in range(10)} == {200}
        assert venue.http.get("/api/v3/exchangeInfo").json()["rateLimits"] == []


def test_an_account_meets_its_own_faults_whatever_the_others_do(tmp_path: Path) -> None:
    script = "- {request: GET account, every: 2, do: error_before, code: -1001}"
    with ServedVenue(tmp_path / "v.db", further=(SECOND,), script=script) as venue:
        assert [venue.ask("GET", "account").status_code for _ in range(3)] == [200, 500, 200]
        assert [_ask(venue, SECOND, "GET", "account").status_code for _ in range(2)] == [200, 500]
        assert [line.get("account", 1) for line in venue.http.get("/venue/faults").json()] == [1, 2]


def test_keys_follow_from_the_seed_and_the_first_account_is_that_of_a_venue_with_one() -> None:
    alone, many = (settings_of(VenueOptions(accounts=count), None) for count in (1, 200))
    assert many.keys[0] == alone.keys[0]
    assert len({keys.api_key for keys in many.keys} | {keys.secret for keys in many.keys}) == 400
    assert settings_of(VenueOptions(accounts=5), None).keys == many.keys[:5]
    assert settings_of(VenueOptions(accounts=5, seed=2), None).keys[1] != many.keys[1]
    own = settings_of(VenueOptions(accounts=2, api_key="mine", secret="hidden"), None)
    assert own.keys == (Keys("mine", "hidden"), many.keys[1])


def test_many_accounts_and_symbols_are_told_in_a_line_and_written_down_for_their_owner(tmp_path: Path) -> None:
    db = tmp_path / "v.db"
    with started(db, "--accounts", "4", "--made-symbols", "30", "--weight", "0") as (_, ready, _http):
        assert [account["name"] for account in ready["accounts"]] == ["venue-1", "venue-2", "venue-3", "venue-4"]
        assert (ready["symbols"][0], ready["symbols"][-1]) == ("M001/USDT", "M030/USDT")
        written = Path(ready["accounts_file"])
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        listed = tomllib.loads(written.read_text(encoding="utf-8"))["account"]
        assert [(one["name"], one["api_key"], one["secret"]) for one in listed] == [
            (one["name"], one["api_key"], one["secret"]) for one in ready["accounts"]
        ]
        assert {(one["exchange"], one["url"], tuple(one["symbols"])) for one in listed} == {
            ("binance", ready["url"], tuple(ready["symbols"]))
        }
        client = client_of("rehearsal", ready, listed[3])
        assert len(client.load_markets()) == 30
        assert client.create_order("M017/USDT", "market", "buy", 10)["status"] in ("open", "closed")
        assert len(client.fetch_tickers()) == 30
    from engine.venue.command import NamedKeys, Ready

    accounts = [NamedKeys(f"venue-{number}", f"key-{number}", f"secret-{number}") for number in range(200)]
    symbols = [f"M{number}/USDT" for number in range(200)]
    told = Ready("http://127.0.0.1:1", "key-0", "secret-0", symbols, "v.db", 1, accounts, "v.db.accounts.toml")
    assert told.as_text() == "venue http://127.0.0.1:1  200 accounts, keys in v.db.accounts.toml  200 symbols"
    alone = Ready("http://127.0.0.1:1", "key", "secret", ["BTC/USDT"], "v.db", 1, accounts[:1], None)
    assert alone.as_text().splitlines() == [
        "venue http://127.0.0.1:1  BTC/USDT",
        "export PHASEWRIGHT_API_KEY=key",
        "export PHASEWRIGHT_SECRET=secret",
    ]


def test_books_of_accounts_begin_anew_with_the_first_accounts(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", further=(SECOND,)) as venue:
        assert _ask(venue, SECOND, "POST", "order", **_resting("a", 59_000)).status_code == 200
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"v.db{end}").unlink(missing_ok=True)
    with ServedVenue(tmp_path / "v.db", further=(SECOND,)) as venue:
        gone = _ask(venue, SECOND, "GET", "order", symbol="BTCUSDT", origClientOrderId="a")
        assert code(gone) == (400, -2013)
    result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(tmp_path / "v.db"), "--accounts", "0"])
    assert result.exit_code == 2


def _ask(venue: ServedVenue, keys: Keys, method: str, path: str, **params: object) -> Any:
    text = venue.signed(params, secret=keys.secret)
    return venue.http.request(method, f"/api/v3/{path}?{text}", headers={"X-MBX-APIKEY": keys.api_key})


def _resting(client_order_id: str, price: int) -> dict[str, object]:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    return order | {"price": price, "newClientOrderId": client_order_id}


def _subscribe(socket: Any, venue: ServedVenue, keys: Keys) -> Any:
    signed: dict[str, object] = {"apiKey": keys.api_key, "timestamp": venue.clock.now()}
    signed["signature"] = sign(keys.secret, "&".join(f"{name}={signed[name]}" for name in sorted(signed)))
    socket.send(json.dumps({"id": "1", "method": "userDataStream.subscribe.signature", "params": signed}))
    return json.loads(socket.recv(5))
