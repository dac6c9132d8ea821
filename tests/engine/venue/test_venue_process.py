"""The command itself, killed and started again, and the real ccxt against it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import ccxt
import httpx
import pytest
from started_venue import client_of, documented, started
from typer.testing import CliRunner
from venue_world import ServedVenue

import phasewright
from engine.venue.script import read_script


def test_the_documented_script_can_be_followed() -> None:
    (text,) = documented("yaml script")
    script = read_script(text, "docs")
    assert (len(script.rules), len(script.changes)) == (5, 2)


def test_the_real_ccxt_trades_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    db = tmp_path / "v.db"
    with started(db, "--parts", "never") as (process, ready, http):
        client = client_of("rehearsal", ready)
        assert set(client.load_markets()) == {"BTC/USDT", "ETH/USDT"}
        assert client.market("BTC/USDT")["limits"]["cost"]["min"] == 5
        price = client.fetch_ticker("BTC/USDT")["last"]
        bought = client.create_order("BTC/USDT", "market", "buy", 0.01, params={"clientOrderId": "bought"})
        assert (bought["status"], bought["filled"], bought["clientOrderId"]) == ("closed", 0.01, "bought")
        assert bought["average"] == pytest.approx(price, rel=0.01)
        assert client.fetch_order(None, "BTC/USDT", {"clientOrderId": "bought"})["id"] == bought["id"]
        (trade,) = client.fetch_order_trades(bought["id"], "BTC/USDT")
        assert trade["fee"] == {"currency": "BTC", "cost": 0.00001}
        assert client.fetch_balance()["BTC"]["total"] == 0.00999
        low = client.price_to_precision("BTC/USDT", price * 0.9)
        resting = client.create_order("BTC/USDT", "limit", "buy", 0.02, low, {"clientOrderId": "resting"})
        assert resting["status"] == "open"
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            client.create_order("BTC/USDT", "limit", "buy", 0.02, low, {"clientOrderId": "resting"})
        with pytest.raises(ccxt.InsufficientFunds):
            client.create_order("BTC/USDT", "limit", "buy", 10, low)
        with pytest.raises(ccxt.OrderNotFound):
            client.fetch_order(None, "BTC/USDT", {"clientOrderId": "never"})
        http.post("/venue/market", json={"symbol": "ETH/USDT", "price": "1234.5"})
        http.post("/venue/script", content="- {request: GET time, do: error_after, code: -1000}")
        assert http.get("/api/v3/time").status_code == 500
        books = http.get("/venue/books").json()
        faults = http.get("/venue/faults").json()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started(db, "--parts", "never") as (_, ready, http):
        client = client_of("rehearsal_astray", ready)
        again = http.get("/venue/books").json()
        assert {k: again[k] for k in ("orders", "balances", "requests")} == {
            k: books[k] for k in ("orders", "balances", "requests")
        }
        assert http.get("/venue/faults").json() == faults != []
        assert client.fetch_ticker("ETH/USDT")["last"] == 1234.5, "moved by hand, it stays there"
        assert client.fetch_ticker("BTC/USDT")["last"] == pytest.approx(price, rel=0.01)
        client.load_markets()
        assert [order["clientOrderId"] for order in client.fetch_open_orders("BTC/USDT")] == ["resting"]
        assert client.cancel_order(None, "BTC/USDT", {"clientOrderId": "resting"})["status"] == "canceled"
        assert client.fetch_order(resting["id"], "BTC/USDT")["status"] == "canceled"
        http.post("/venue/state", json={"maintenance": True})
        with pytest.raises(ccxt.OperationFailed):
            client.fetch_balance()


def test_a_muted_order_is_in_the_books_that_a_kill_leaves(tmp_path: Path) -> None:
    with ServedVenue(tmp_path / "v.db", script="- {request: POST order, nth: 1, do: mute}") as venue:
        venue.http.timeout = 0.2
        with pytest.raises(httpx.ReadTimeout):
            venue.buy("a", "50000")
        copy = tmp_path / "copy.db"
        for end in ("", "-wal"):
            Path(f"{copy}{end}").write_bytes(Path(f"{tmp_path / 'v.db'}{end}").read_bytes())
    with ServedVenue(copy, clock=venue.clock, standing=False) as left:
        assert left.order("a").json()["status"] == "NEW"


def test_what_the_command_refuses(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("- {do: explode}")
    for options, message in (
        (["--host", "192.168.0.1"], "give an address of loopback"),
        (["--host", "example.com"], "give an address of loopback"),
        (["--faults", "wild"], "choose one of calm, realistic, hostile"),
        (["--parts", "wild"], "choose one of never, some, most"),
        (["--symbol", "x"], "write BASE/QUOTE"),
        (["--symbol", "BTC/USDT=-1"], "write a name and an amount"),
        (["--balance", "USDT"], "write a name and an amount"),
        (["--accounts", "10000"], "give a number from 1 to 9999"),
        (["--script", str(script)], "faults.yaml:1:3: Invalid enum value"),
        (["--script", str(tmp_path / "none.yaml")], "cannot be read"),
    ):
        result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(tmp_path / "v.db"), *options])
        assert result.exit_code == 1, options
        assert message in result.output, options
    assert not (tmp_path / "v.db").exists()


def test_books_of_other_settings_are_refused(tmp_path: Path) -> None:
    db = tmp_path / "v.db"
    with ServedVenue(db):
        pass
    result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(db), "--symbol", "SOL/USDT"])
    assert result.exit_code == 1
    assert "made with other settings" in result.output


@pytest.mark.parametrize("accounts", ["1", "2"])
def test_nothing_is_left_beside_a_file_that_is_refused(tmp_path: Path, accounts: str) -> None:
    foreign = tmp_path / "letter.txt"
    foreign.write_text("Not a venue's books.\n" * 9)
    result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(foreign), "--accounts", accounts])
    assert result.exit_code == 1
    assert "not a paper exchange's file" in result.output
    assert list(tmp_path.iterdir()) == [foreign]


def test_nothing_is_left_where_the_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(tmp_path / "new" / "v.db"), "--port", port])
    assert result.exit_code == 1
    assert "cannot be listened on" in result.output
    assert not list(tmp_path.iterdir())


def test_a_refused_venue_of_more_accounts_adds_no_folder(tmp_path: Path) -> None:
    db = tmp_path / "v.db"
    with ServedVenue(db):
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        result = CliRunner().invoke(phasewright.app, ["venue", "--db", str(db), "--accounts", "2"])
        assert result.exit_code == 1
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
