"""A ccxt client that sends what the claim says, tells what it saw, and keeps its secrets."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import aiohttp
import certifi
import msgspec

from engine.exchange.capabilities import Exchange, Expiry
from engine.exchange.credentials import Credentials
from runtime.errors import ConfigError

_TIMEOUT = 10_000
_CREATES = ("order", "trade/batch-orders", "v5/order/create", "AddOrder")


@dataclass
class Observation:
    """What was seen of the request that contains `needle`, or is no GET. `traced`: its connection was watched, so that
    `connected` says something."""

    needle: str = ""
    begun: bool = False
    traced: bool = False
    connected: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


class Pin(msgspec.Struct, frozen=True):
    """The instants that a create has to carry, in milliseconds by the exchange's clock."""

    timestamp: int
    window: int


OBSERVED: ContextVar[Observation | None] = ContextVar("OBSERVED", default=None)
PINNED: ContextVar[Pin | None] = ContextVar("PINNED", default=None)


def open_client(
    exchange: Exchange,
    credentials: Credentials | None,
    *,
    sandbox: bool = False,
    endpoint: str | None = None,
    now: Callable[[], int] | None = None,
) -> Any:
    """A client for `exchange`, not yet connected.

    Args:
        now: the present instant in milliseconds, for the stamps of its requests; without it, the machine's clock.
        endpoint: a venue in place of the exchange, by scheme and host, as in `http://127.0.0.1:8080`.

    Raises:
        ConfigError: there is no such test network, or a venue does not speak this exchange's protocol.
    """
    if sandbox and not exchange.sandbox:
        raise ConfigError(f"{exchange.name} has no test network for its spot market that ccxt knows. Nothing was sent.")
    if endpoint is not None and exchange.name != "binance":
        raise ConfigError(f"A venue speaks binance's protocol, not {exchange.name}'s. Rehearse with binance.")
    # ccxt.pro's classes are the asynchronous ones, and can watch orders too. All of them take a second to import.
    base = getattr(importlib.import_module("ccxt.pro"), exchange.name)
    client = type(f"Pinned{exchange.name.capitalize()}", (_Pinned, base), {})(
        {
            "enableRateLimit": True,
            "timeout": _TIMEOUT,
            "options": {
                "defaultType": "spot",
                "maxRetriesOnFailure": 0,
                "adjustForTimeDifference": False,
                "fetchCurrencies": False,
                "warnOnFetchOpenOrdersWithoutSymbol": False,
                "createMarketBuyOrderRequiresPrice": False,
                **exchange.options,
            },
        }
    )
    client.number = str
    client.has["fetchCurrencies"] = False
    client.expiry = exchange.expiry
    client.own_session = False
    if now is not None:
        client.milliseconds = now
    if credentials is not None:
        client.apiKey, client.secret, client.password = (
            credentials.api_key,
            credentials.secret,
            credentials.password or None,
        )
    if sandbox:
        client.set_sandbox_mode(True)
    if endpoint is not None:
        client.moved = _move(client, endpoint)
    return client


def _move(client: Any, endpoint: str) -> tuple[str, str]:
    """Point every address of the client at `endpoint`; returns (new, old) beginnings of the private one."""
    urls: dict[str, Any] = client.urls["api"]
    old = "/".join(urls["private"].split("/")[:3])

    def moved(address: Any) -> Any:
        if isinstance(address, dict):
            return {name: moved(part) for name, part in address.items()}
        scheme, _, _, path = address.split("/", 3) if address.count("/") > 2 else (*address.split("/", 2), "")
        start = endpoint.replace("http", "ws", 1) if scheme.startswith("ws") else endpoint
        return f"{start}/{path}"

    client.urls["api"] = moved(urls)
    return endpoint, old


class _Pinned:
    """Over a ccxt class: takes the instants of a create from PINNED, and writes what it sees to OBSERVED."""

    # ccxt logs headers and bodies, with the key and the signature in them. This logger reaches no handler.
    logger = logging.Logger("ccxt", level=logging.CRITICAL)
    verbose = False
    # Numbers are kept as the texts that they arrive as; a float could not say 0.1.
    on_json_response = staticmethod(partial(json.loads, parse_float=str))
    expiry: Expiry
    session: aiohttp.ClientSession | None
    moved: tuple[str, str] | None = None
    id: str
    options: dict[str, Any]
    rateLimit: float  # noqa: N815
    free_at = 0.0

    async def throttle(self, cost: float | None = None) -> None:
        # ccxt's own goes by the machine's clock: set back by an hour, it would send nothing for an hour.
        now = asyncio.get_running_loop().time()
        begin = max(now, self.free_at)
        self.free_at = begin + self.rateLimit / 1_000 * (1 if cost is None else cost)
        await asyncio.sleep(begin - now)

    def nonce(self) -> Any:
        pin = PINNED.get()
        if pin is not None and self.expiry is Expiry.HEADERS:
            return pin.timestamp
        return super().nonce()  # type: ignore[misc]

    def sign(self, path: str, *args: Any, **kwargs: Any) -> Any:
        pin = PINNED.get()
        if pin is None or path not in _CREATES:
            return super().sign(path, *args, **kwargs)  # type: ignore[misc]
        before = self.options.get("recvWindow")
        if self.expiry is Expiry.HEADERS:
            self.options["recvWindow"] = pin.window
        try:
            signed = super().sign(path, *args, **kwargs)  # type: ignore[misc]
        finally:
            self.options["recvWindow"] = before
        if self.expiry is Expiry.EXP_TIME:
            signed["headers"]["expTime"] = str(pin.timestamp + pin.window)
        return signed

    def open(self, *args: Any) -> None:
        self.ssl_context = _tls()
        super().open(*args)  # type: ignore[misc]
        if self.session is None:
            self.session = _session()

    def client(self, url: str) -> Any:
        made = super().client(url)  # type: ignore[misc]
        if "future" not in vars(made):
            # Some of its futures fail with nobody waiting, which asyncio would print with a traceback. Whoever waits
            # is told all the same.
            made.future = partial(_retrieved, made.future)
            made.handle_message = partial(_handled, made, made.handle_message)
        return made

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        seen = OBSERVED.get()
        # Whatever is not a GET may have done something, also where our id is not to be seen in it.
        if seen is not None and (method != "GET" or seen.needle in url):
            seen.begun = True
        return await super().fetch(url, method, headers, body)  # type: ignore[misc]

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *sent: Any
    ) -> Any:
        seen = OBSERVED.get()
        if seen is not None and seen.begun:
            seen.status, seen.headers, seen.body = code, headers, body
        return super().on_rest_response(code, reason, url, method, headers, body, *sent)  # type: ignore[misc]

    def handle_errors(self, code: int, reason: str, url: str, *args: Any) -> Any:
        # Which codes mean what depends on the address, in ccxt; so it is told the exchange's own.
        if self.moved is not None:
            url = url.replace(*self.moved, 1)
        return super().handle_errors(code, reason, url, *args)  # type: ignore[misc]

    async def close(self, *args: Any) -> None:
        session = self.session
        await super().close(*args)  # type: ignore[misc]
        if session is not None:
            await session.close()


def _retrieved(future: Callable[[Any], asyncio.Future[Any]], message_hash: Any) -> asyncio.Future[Any]:
    made = future(message_hash)
    made.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return made


def _handled(client: Any, handle: Callable[[Any], None], message: Any) -> None:
    """As ccxt does, but for the answer to a ping, which fails with nobody waiting where the connection is going."""
    if message.type is not aiohttp.WSMsgType.PING:
        handle(message)
        return
    answering = asyncio.ensure_future(client.connection.pong(message.data))
    answering.add_done_callback(lambda done: None if done.cancelled() else done.exception())


@cache
def _tls() -> ssl.SSLContext:
    # One for all clients: it takes a twentieth of a second, in which every other bot of the process stands still.
    return ssl.create_default_context(cafile=certifi.where())


def _session() -> aiohttp.ClientSession:
    """Connections that tell when one was made for a request, and follow no redirect: an API has none, and a signed
    request is for one host alone."""

    async def started(*_: Any) -> None:
        seen = OBSERVED.get()
        if seen is not None and seen.begun:
            seen.traced = True

    async def connected(*_: Any) -> None:
        seen = OBSERVED.get()
        if seen is not None and seen.begun:
            seen.connected = True

    async def redirected(_: Any, __: Any, params: aiohttp.TraceRequestRedirectParams) -> None:
        raise aiohttp.TooManyRedirects(params.response.request_info, params.response.history)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    trace.on_request_redirect.append(redirected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=_tls()),
        trace_configs=[trace],
    )
