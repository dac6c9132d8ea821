"""Keys come from where they are kept, and appear nowhere else."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import sys
import traceback
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest
from canned_exchange import KEY, NOW, SECRET, CannedExchange, answer, canned_exchange, refusal

from engine.exchange.capabilities import exchange_named
from engine.exchange.ccxt_client import open_client
from engine.exchange.ccxt_wire import CcxtWire
from engine.exchange.claimed_gateway import ClaimedGateway, ClaimSettings
from engine.exchange.credentials import Credentials, load_credentials
from engine.exchange.gateway import GatewayError, OrderRequest, OrderType, Side, Stamp
from runtime.clock import SystemClock
from runtime.errors import ConfigError

PASSWORD = "MARKERPASSqrstuvwx"
MARKERS = (KEY, SECRET, PASSWORD)


def nothing(service: str, name: str) -> str | None:
    return None


# --- where they come from -------------------------------------------------------------------------------------------


def test_the_exchanges_own_variables_come_first_then_the_common_ones_then_the_keyring() -> None:
    ring = {("phasewright/okx/main", "secret"): "from the ring", ("phasewright/okx/main", "password"): "ring too"}
    environment = {"PHASEWRIGHT_API_KEY": "common", "PHASEWRIGHT_OKX_API_KEY": "own", "PHASEWRIGHT_PASSWORD": "common"}
    keys = load_credentials("okx", "main", environment, keyring=lambda service, name: ring.get((service, name)))
    assert (keys.api_key, keys.secret, keys.password) == ("own", "from the ring", "common")


def test_missing_keys_are_told_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="PHASEWRIGHT_SECRET") as told:
        load_credentials("binance", "main", {"PHASEWRIGHT_API_KEY": KEY}, keyring=nothing)
    assert "never the right to withdraw" in str(told.value)
    assert KEY not in str(told.value)


class LockedError(Exception):
    pass


@pytest.mark.parametrize(("locked", "told"), [(False, None), (True, "the keyring has none")])
def test_the_machines_keyring_is_asked_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, locked: bool, told: str | None
) -> None:
    def get_password(service: str, name: str) -> str:
        if locked:
            raise LockedError
        return f"{service} {name}"

    module = SimpleNamespace(get_password=get_password, errors=SimpleNamespace(KeyringError=LockedError))
    monkeypatch.setitem(sys.modules, "keyring", module)
    if told is None:
        assert load_credentials("okx", "main", {}).secret == "phasewright/okx/main secret"
        return
    with pytest.raises(ConfigError, match=told):
        load_credentials("okx", "main", {})


def test_without_a_keyring_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"is not installed.*pip install keyring"):
        load_credentials("okx", "main", {})


# --- where they must not go -----------------------------------------------------------------------------------------


def test_credentials_show_and_copy_nothing() -> None:
    keys = Credentials(KEY, SECRET, PASSWORD)
    shown = f"{keys} {keys!r} {[keys]}"
    assert not any(marker in shown for marker in MARKERS)
    for write in (pickle.dumps, copy.deepcopy, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            write(keys)


def test_texts_are_scrubbed_of_keys_and_signatures() -> None:
    keys = Credentials(KEY, SECRET, PASSWORD)
    text = keys.scrub(
        f"GET /x?timestamp=1&signature=abcdef0123 {{'X-MBX-APIKEY': '{KEY}', 'OK-ACCESS-SIGN': 'sIgNeD='}} "
        f"{SECRET} {PASSWORD}"
    )
    assert not any(marker in text for marker in (*MARKERS, "abcdef0123", "sIgNeD"))
    assert "timestamp=1" in text


async def everything_goes_wrong(exchange: CannedExchange) -> list[str]:
    """Every way of asking meets every kind of trouble; returns all that is told of it."""
    keys = Credentials(KEY, SECRET, PASSWORD)
    client = open_client(exchange_named("binance"), keys, endpoint=exchange.endpoint)
    client.timeout, client.timeout_on_exit, client.enableRateLimit = 50, 0, False
    wire = CcxtWire(exchange_named("binance"), client, keys)
    gateway = ClaimedGateway(wire, SystemClock(), ClaimSettings(read_attempts=1, read_pause=1))
    order = OrderRequest("a", "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal(3000))
    told = [repr(client), str(client), repr(wire), repr(gateway)]
    await wire.markets()
    troubles = [
        None,
        "silent",
        answer({}, 200, length=900, headers="Connection: close\r\n"),
        answer(f"<html>{KEY} {SECRET}</html>", 502),
        refusal(-1022, f"Signature for {KEY} with {SECRET} is not valid."),
        refusal(-9999, f"{KEY}"),
        answer("", raw=b"no gzip", headers="Content-Encoding: gzip\r\n"),
    ]
    for trouble in troubles:
        exchange.script.clear()
        for kind in ("POST order", "GET order", "DELETE order", "GET account", "GET openOrders", "GET myTrades"):
            exchange.script[kind].extend([trouble] * 3)
        told.append(str(await wire.create(order, NOW, 10_000)))
        told.append(repr(await wire.order("BTC/USDT", "a")))
        told.append(repr(await wire.cancel("BTC/USDT", "a")))
        told.append(repr(await wire.trades("BTC/USDT", "1")))
        told.append(repr(await gateway.submit(order, Stamp(1, (now := SystemClock().now()), now + 200))))
        for read in (gateway.balances, lambda: gateway.open_orders("BTC/USDT")):
            try:
                told.append(repr(await read()))
            except GatewayError as error:
                told.append("".join(traceback.format_exception(error)))
    told.append(repr(await wire.changed_orders()))
    await wire.close()
    return told


def test_no_key_is_told_logged_or_raised(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> tuple[list[str], CannedExchange]:
        async with canned_exchange() as exchange:
            return await everything_goes_wrong(exchange), exchange

    with caplog.at_level(logging.DEBUG):
        told, exchange = asyncio.run(run(), debug=True)
    assert any(asked.headers.get("x-mbx-apikey") == KEY for asked in exchange.asked), "the key was in use"
    out, err = capfd.readouterr()
    assert "never retrieved" not in caplog.text
    for place in (*told, caplog.text, *(str(vars(record)) for record in caplog.records), out, err):
        assert KEY not in place
        assert SECRET not in place
        assert "signature=" not in place.replace("signature=[hidden]", "")
