"""Keys, signatures, windows and limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from venue_world import ServedVenue, code

from engine.venue.settings import Limits


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVenue]:
    with ServedVenue(tmp_path_factory.mktemp("venue") / "v.db") as served:
        yield served


@pytest.mark.parametrize(
    ("age", "window", "expected"),
    [
        (5_000, None, 200),
        (5_001, None, 400),
        (-999, None, 200),
        (-1_000, None, 400),
        (60_000, 60_000, 200),
        (60_001, 60_000, 400),
        (0, 0, 200),
        (1, 0, 400),
    ],
)
def test_the_window(calm: ServedVenue, age: int, window: int | None, expected: int) -> None:
    params = {} if window is None else {"recvWindow": window}
    answer = calm.ask("GET", "account", at=calm.clock.now() - age, **params)
    assert answer.status_code == expected, answer.text
    if expected == 400:
        assert answer.json()["code"] == -1021


def test_a_window_is_at_most_a_minute(calm: ServedVenue) -> None:
    assert code(calm.ask("GET", "account", recvWindow=60_001)) == (400, -1131)


def test_the_window_is_measured_by_the_servers_clock(calm: ServedVenue) -> None:
    calm.tell("state", skew_ms=7_000)
    try:
        assert calm.http.get("/api/v3/time").json()["serverTime"] == calm.clock.now() + 7_000
        assert code(calm.ask("GET", "account")) == (400, -1021)
        at = calm.clock.now() + 7_000
        placed = calm.ask("POST", "order", at=at, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01").json()
        assert 0 <= placed["transactTime"] - at < 10
    finally:
        calm.tell("state", skew_ms=0)


def test_signatures(calm: ServedVenue) -> None:
    headers = {"X-MBX-APIKEY": "key"}
    text = calm.signed({})
    assert calm.http.get(f"/api/v3/account?{text}", headers=headers).status_code == 200
    assert code(calm.http.get(f"/api/v3/account?recvWindow=1&{text}", headers=headers)) == (400, -1022)
    wrong = calm.signed({}, secret="other")
    assert code(calm.http.get(f"/api/v3/account?{wrong}", headers=headers)) == (400, -1022)
    bare = f"timestamp={calm.clock.now()}"
    assert code(calm.http.get(f"/api/v3/account?{bare}", headers=headers)) == (400, -1102)
    assert code(calm.http.get("/api/v3/account", headers=headers)) == (400, -1102)
    assert code(calm.http.get(f"/api/v3/account?{text}")) == (401, -2014)
    assert code(calm.http.get(f"/api/v3/account?{text}", headers={"X-MBX-APIKEY": "other"})) == (401, -2015)
    assert code(calm.http.get("/api/v3/account?timestamp=x&signature=y", headers=headers)) == (400, -1100)
    assert code(calm.http.get("/api/v3/klines?symbol=BTCUSDT&symbol=ETHUSDT&interval=1m")) == (400, -1101)


def test_a_query_and_a_body_are_signed_one_after_the_other(calm: ServedVenue) -> None:
    from engine.venue.signature import sign

    query = "symbol=BTCUSDT&side=BUY&type=MARKET"
    body = f"quantity=0.01&timestamp={calm.clock.now()}"
    content = f"{body}&signature={sign('secret', query + body)}"
    answer = calm.http.post(f"/api/v3/order?{query}", content=content, headers={"X-MBX-APIKEY": "key"})
    assert answer.json()["status"] == "FILLED"


def test_a_revoked_key_and_maintenance(calm: ServedVenue) -> None:
    calm.tell("state", revoked=True)
    assert code(calm.ask("GET", "account")) == (401, -2015)
    calm.tell("state", revoked=False, maintenance=True)
    assert code(calm.http.get("/api/v3/ping")) == (503, -1008)
    calm.tell("state", maintenance=False, no_trading=True)
    assert code(calm.buy("x")) == (503, -1008)
    assert calm.ask("GET", "account").status_code == 200
    calm.tell("state", no_trading=False)


def test_a_change_comes_at_its_time(calm: ServedVenue) -> None:
    began = calm.opened.journal.about("start")[0]["at"]
    at = calm.clock.now() - began + 500
    calm.play(f"- {{at_ms: {at}, set: {{revoked: true}}}}\n- {{at_ms: {at + 500}, set: {{revoked: false}}}}\n")
    assert calm.ask("GET", "account").status_code == 200
    calm.clock.at += 500
    assert code(calm.ask("GET", "account")) == (401, -2015)
    calm.clock.at += 500
    assert calm.ask("GET", "account").status_code == 200


def test_weight_is_counted_then_refused_then_banned(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", limits=Limits(weight=50, ban_ms=90_000)) as venue:
        venue.clock.at -= venue.clock.at % 60_000 - 60_000
        used = [int(venue.ask("GET", "account").headers["X-MBX-USED-WEIGHT-1M"]) for _ in range(2)]
        assert used == [20, 40]
        answer = venue.ask("GET", "account")
        assert code(answer) == (429, -1003)
        assert answer.headers["Retry-After"] == "60"
        for _ in range(9):
            answer = venue.http.get("/api/v3/ping")
        assert code(answer) == (418, -1003)
        assert answer.headers["Retry-After"] == "90"
        venue.clock.at += 60_000
        assert venue.http.get("/api/v3/ping").status_code == 418, "a ban outlasts the minute"
        venue.clock.at += 30_000
        assert venue.http.get("/api/v3/ping").status_code == 200


def test_orders_are_counted(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", limits=Limits(orders_10s=2)) as venue:
        venue.clock.at -= venue.clock.at % 10_000 - 10_000
        assert [venue.buy(f"o{n}").headers["X-MBX-ORDER-COUNT-10S"] for n in range(2)] == ["1", "2"]
        answer = venue.buy("o2")
        assert code(answer) == (429, -1015)
        assert answer.headers["Retry-After"] == "10"
        venue.clock.at += 10_000
        assert venue.buy("o2").status_code == 200
