"""What can be done to a request, as its sender sees it and as the books have it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from venue_world import ServedVenue, code

from engine.venue.fates import CALM, HOSTILE, Do, Fates, Profile, Rule, StreamChances
from engine.venue.script import ScriptError, read_script


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVenue]:
    with ServedVenue(tmp_path_factory.mktemp("venue") / "v.db") as served:
        yield served


def _accepted(venue: ServedVenue, client_order_id: str) -> int:
    return sum(order["client_order_id"] == client_order_id for order in venue.books()["orders"])


def test_a_dropped_request_is_never_done(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, do: drop}")
    with pytest.raises(httpx.RemoteProtocolError):
        venue.buy("dropped")
    assert _accepted(venue, "dropped") == 0


def test_done_and_never_answered(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, do: mute}")
    venue.http.timeout = 0.2
    with pytest.raises(httpx.ReadTimeout):
        venue.buy("mute")
    venue.http.timeout = 5
    assert _accepted(venue, "mute") == 1


def test_done_and_hung_up(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, do: hang_up}")
    with pytest.raises(httpx.RemoteProtocolError):
        venue.buy("hang up")  # a refused one: its fate is the same
    with pytest.raises(httpx.RemoteProtocolError):
        venue.buy("hang-up")
    assert _accepted(venue, "hang-up") == 1


@pytest.mark.parametrize("do", ["cut", "cut_chunked"])
def test_a_body_cut_in_the_middle(venue: ServedVenue, do: str) -> None:
    venue.play(f"- {{request: POST order, do: {do}}}")
    body = venue.signed(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": do}
    )
    received: list[bytes] = []
    headers = {"X-MBX-APIKEY": "key"}
    with venue.http.stream("POST", "/api/v3/order", content=body, headers=headers) as answer:
        assert answer.status_code == 200
        assert ("content-length" in answer.headers) == (do == "cut")
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(answer.iter_raw(1))
    start = b"".join(received)
    assert start.startswith(b'{"symbol":"BTCUSDT","orderId":')
    with pytest.raises(json.JSONDecodeError):
        json.loads(start)
    assert _accepted(venue, do) == 1


@pytest.mark.parametrize(
    ("fault", "status", "text", "accepted"),
    [
        ("do: error_before, code: -1008", 503, '"code":-1008', 0),
        ("do: error_before, code: -1003, status: 418", 418, '"code":-1003', 0),
        ("do: error_before, status: 502", 502, "<h1>502</h1>", 0),
        ("do: error_after, code: -1006", 500, '"code":-1006', 1),
        ("do: error_after, code: -1007", 504, '"code":-1007', 1),
        ("do: error_after, status: 503, body: empty", 503, "", 1),
        ("do: error_after, code: -2026", 400, '"code":-2026', 1),
        ("do: garbage, body: html", 200, "<h1>200</h1>", 1),
        ("do: garbage, body: empty", 200, "", 1),
        ("do: garbage, body: object", 200, "{}", 1),
        ("do: garbage, body: text", 200, "upstream", 1),
        ("do: garbage, body: half", 200, '{"symbol"', 1),
    ],
)
def test_answers_that_are_none(venue: ServedVenue, fault: str, status: int, text: str, accepted: int) -> None:
    venue.play(f"- {{request: POST order, {fault}}}")
    client_order_id = f"c{abs(hash(fault))}"
    answer = venue.buy(client_order_id)
    assert answer.status_code == status
    assert text in answer.text
    assert bool(answer.text) == bool(text)
    assert ("retry-after" in answer.headers) == (status in (418, 429))
    assert _accepted(venue, client_order_id) == accepted


def test_a_queued_order_is_accepted_after_its_sender_gave_up(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, delay_ms: 300, do: mute}")
    venue.http.timeout = 0.1
    with pytest.raises(httpx.ReadTimeout):
        venue.buy("queued")
    venue.http.timeout = 5
    assert _accepted(venue, "queued") == 0
    assert code(venue.order("queued")) == (400, -2013)
    for _ in range(1_000):
        if _accepted(venue, "queued"):
            break
        time.sleep(0.005)
    assert venue.order("queued").json()["status"] == "FILLED"


def test_the_window_counts_when_the_queue_is_through(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, delay_ms: 300}")
    later = threading.Timer(0.1, lambda: setattr(venue.clock, "at", venue.clock.at + 5_001))
    later.start()
    answer = venue.buy("stale")
    later.join()
    assert code(answer) == (400, -1021)
    assert _accepted(venue, "stale") == 0


def test_a_late_answer_is_whole(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, late_ms: 50}")
    assert venue.buy("late").json()["status"] == "FILLED"


def test_rules_count_the_requests_that_they_are_about(venue: ServedVenue) -> None:
    venue.play(
        """
        - {request: POST order, nth: 3, do: error_after, code: -1006}
        - {request: POST order, client_order_id: b, nth: 1, do: error_before, code: -1008}
        - {request: GET order, every: 2, do: error_before, code: -1001}
        """
    )
    assert [venue.buy(name).status_code for name in "abcd"] == [200, 503, 500, 200]
    assert [venue.order("a").status_code for _ in range(4)] == [200, 500, 200, 500]
    assert [_accepted(venue, name) for name in "abcd"] == [1, 0, 1, 1]


def test_what_was_done_to_whom_is_told(venue: ServedVenue) -> None:
    venue.play("- {request: POST order, nth: 2, do: error_after, code: -1007}")
    before = len(venue.http.get("/venue/faults").json())
    venue.buy("plain")
    at = venue.clock.now()
    venue.buy("told")
    (line,) = venue.http.get("/venue/faults").json()[before:]
    number = next(order["orderId"] for order in venue.books()["orders"] if order["client_order_id"] == "told")
    assert line == {
        "what": "fault",
        "number": venue.opened.desk.requests,
        "at": at,
        "request": "POST order",
        "client_order_id": "told",
        "timestamp": str(at),
        "done": str(number),
        "do": "error_after",
        "code": -1007,
    }


@pytest.mark.parametrize("time_of_going_down", ["first", "second"])
def test_a_venue_that_is_down_refuses_connections_and_comes_back(venue: ServedVenue, time_of_going_down: str) -> None:
    venue.play("")
    venue.tell("down", ms=300)
    address = ("127.0.0.1", int(venue.url.rpartition(":")[2]))
    refusals = 0
    for _ in range(10_000):
        try:
            socket.create_connection(address, 5).close()
        except ConnectionRefusedError:
            refusals += 1
        else:
            if refusals:
                break
        time.sleep(0.001)
    assert refusals
    assert venue.buy(f"after-the-{time_of_going_down}").json()["status"] == "FILLED"


def test_hanging_up_on_a_client_that_has_gone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "- {request: POST order, do: hang_up, delay_ms: 200}\n- {request: GET order, do: cut, delay_ms: 200}"
    with ServedVenue(tmp_path / "v.db", script=script) as venue:
        venue.http.timeout = 0.05
        for ask in (venue.buy, venue.order):
            with pytest.raises(httpx.ReadTimeout):
                ask("gone")
        venue.http.timeout = 5
        while len(venue.http.get("/venue/faults").json()) < 2:
            time.sleep(0.01)
        assert _accepted(venue, "gone") == 1
    assert capfd.readouterr().err == ""


def test_fates_follow_from_the_seed_and_the_request_alone() -> None:
    one, other = Fates(7, HOSTILE), Fates(7, HOSTILE)
    ids = [f"o{n}" for n in range(400)]
    for name in reversed(ids):
        other.decide("GET order", name, is_write=False, is_signed=True)
    first = {name: one.decide("POST order", name, is_write=True, is_signed=True) for name in ids}
    again = {name: other.decide("POST order", name, is_write=True, is_signed=True) for name in reversed(ids)}
    assert first == again
    assert {fate.do for fate in first.values()} == set(Do)
    repeated = [one.decide("POST order", name, is_write=True, is_signed=True) for name in ids]
    assert repeated != list(first.values()), "the second attempt is a draw of its own"
    third = Fates(8, HOSTILE)
    assert [third.decide("POST order", name, is_write=True, is_signed=True) for name in ids] != list(first.values())


def test_chances_are_met() -> None:
    fates = Fates(1, HOSTILE)
    drawn = Counter(fates.decide("POST order", f"o{n}", is_write=True, is_signed=True).do for n in range(10_000))
    assert abs(drawn[Do.MUTE] - HOSTILE.writes.mute) < 100
    assert abs(drawn[Do.DROP] - HOSTILE.writes.drop) < 100
    calm = Fates(1, CALM)
    assert all(calm.decide("POST order", f"o{n}", is_write=True, is_signed=True).is_ordinary for n in range(100))
    assert fates.decide("GET time", "", is_write=False, is_signed=False).is_ordinary


def test_reports_are_lost_repeated_and_held_back() -> None:
    chances = StreamChances(lost=1_000, duplicated=2_000, held_back=3_000, hold_ms=(10, 20))
    fates = Fates(1, Profile(stream=chances))
    copies = [fates.report("o", n) for n in range(5_000)]
    sizes = Counter(map(len, copies))
    assert abs(sizes[0] - 500) < 100
    assert abs(sizes[2] - 900) < 150
    assert all(copy == 0 or 10 <= copy <= 40 for report in copies for copy in report)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("do: drop", "f.yaml:1:1: a script is a list"),
        ("- do: drop\n- do: explode", "f.yaml:2:3: Invalid enum value 'explode'"),
        ("- {do: drop, nht: 3}", "f.yaml:1:3: Object contains unknown field `nht`"),
        (
            "- {request: POST orders, do: drop}",
            "f.yaml:1:3: there is no request 'POST orders'; there are *, DELETE",
        ),
        ("- {nth: 0}", "f.yaml:1:3: nth and every count from 1"),
        ("- {at_ms: 5, set: {revokd: true}}", "f.yaml:1:3: Object contains unknown field `revokd`"),
        ("- {do: [", "f.yaml:1:9: this is no YAML"),
    ],
)
def test_a_script_that_cannot_be_followed(text: str, where: str) -> None:
    with pytest.raises(ScriptError) as refused:
        read_script(text, "f.yaml")
    assert where in str(refused.value)


def test_the_back_door_explains_what_it_refuses(venue: ServedVenue) -> None:
    rules = venue.http.get("/venue/state").json()["rules"]
    for path, body in (
        ("script", "- {do: explode}"),
        ("state", '{"revokd": true}'),
        ("market", '{"symbol": "BTC/USD"}'),
        ("market", '{"symbol": "BTC/USDT", "price": "-1"}'),
        ("profile", '{"name": "wild"}'),
        ("lags", '{"order": "x"}'),
        ("down", "{}"),
    ):
        answer = venue.http.post(f"/venue/{path}", content=body)
        assert answer.status_code == 400, path
        assert answer.json()["error"]
    assert venue.http.get("/venue/state").json()["rules"] == rules


def test_a_profile_at_run_time(venue: ServedVenue) -> None:
    venue.play("")
    venue.tell("profile", name="mine", writes={"error_before": 10_000})
    assert venue.buy("mine").status_code in (429, 502, 503)
    venue.tell("profile", name="calm")
    assert venue.buy("mine").json()["status"] == "FILLED"
    assert Decimal(venue.books()["balances"]["BTC"]["free"]) > 1


def test_a_script_counts_anew_when_its_venue_is_started_again() -> None:
    third = Rule(request="POST order", nth=3, do=Do.MUTE)
    for _ in range(2):
        started = Fates(1, CALM, [third])
        met = [started.decide("POST order", f"order-{n}", is_write=True, is_signed=True).do for n in range(4)]
        assert met == [Do.ANSWER, Do.ANSWER, Do.MUTE, Do.ANSWER]
