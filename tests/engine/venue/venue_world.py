"""A venue served by uvicorn in a thread, a clock that stands, and a client that signs: what these tests share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from engine.venue.fates import CALM, Profile
from engine.venue.script import Script, read_script
from engine.venue.server import OpenVenue, listen
from engine.venue.settings import VenueSettings
from engine.venue.signature import sign

NOW = 1_800_000_000_000
SETTINGS = VenueSettings(
    prices={"BTC/USDT": Decimal(60_000), "ETH/USDT": Decimal(3_000)},
    balances={"USDT": Decimal(100_000), "BTC": Decimal(1)},
    api_key="key",
    secret="secret",
    parts="never",
)


class StandingClock:
    """Time stands until it is told to go on."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at

    async def sleep_until(self, instant: int) -> None:
        raise AssertionError("a venue never waits on its clock")


class ServedVenue:
    """The venue on `path`, from `with` to its end. The market stands at 60,000 and 3,000."""

    def __init__(
        self,
        path: Path,
        *,
        script: str = "",
        profile: Profile = CALM,
        clock: StandingClock | None = None,
        standing: bool = True,
        **settings: Any,
    ) -> None:
        self.clock = clock or StandingClock()
        self._path = path
        self._script: Script = read_script(script, "script")
        self._profile = profile
        self._settings = msgspec.structs.replace(SETTINGS, **settings)
        self._standing = standing

    def __enter__(self) -> ServedVenue:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        # Without `verify` each client would load a book of certificates that nobody reads here.
        self.http = httpx.Client(base_url=self.url, timeout=5, verify=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        listener = listen("127.0.0.1", 0)
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}"
        # Here, because SQLite wants its user in the thread that opened it.
        self.opened = OpenVenue(
            self._path, self._settings, self.clock, profile=self._profile, script=self._script, control=True
        )
        if self._standing:
            for symbol, price in self._settings.prices.items():
                self.opened.markets.turn(symbol, price, halted=False)
            self.clock.at += 10
        self._task = asyncio.ensure_future(self.opened.serve(listener, self._ready.set))
        try:
            await self._task
        except asyncio.CancelledError:
            pass
        finally:
            self.opened.close()

    # --- the client -------------------------------------------------------------------------------------------

    def signed(self, params: Mapping[str, object], *, secret: str = "secret", at: int | None = None) -> str:
        text = urlencode({"timestamp": self.clock.now() if at is None else at, **params})
        return f"{text}&signature={sign(secret, text)}"

    def ask(self, method: str, path: str, *, at: int | None = None, **params: object) -> httpx.Response:
        """A signed request, its parameters in the query (POST: in the body)."""
        text = self.signed(params, at=at)
        headers = {"X-MBX-APIKEY": "key"}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self.http.request(method, f"/api/v3/{path}", content=text, headers=headers)
        return self.http.request(method, f"/api/v3/{path}?{text}", headers=headers)

    def buy(self, client_order_id: str = "a", price: object = None, **more: object) -> httpx.Response:
        """A market buy of 0.01 BTC, or a limit buy at `price`."""
        kind: dict[str, object] = {"type": "MARKET"}
        if price is not None:
            kind = {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "newClientOrderId": client_order_id}
        return self.ask("POST", "order", **(order | kind | more))

    def order(self, client_order_id: str = "a") -> httpx.Response:
        return self.ask("GET", "order", symbol="BTCUSDT", origClientOrderId=client_order_id)

    def books(self) -> Any:
        return self.http.get("/venue/books").json()

    def tell(self, switch: str, /, **values: object) -> Any:
        """Through the back door."""
        answer = self.http.post(f"/venue/{switch}", json=values)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def play(self, script: str) -> None:
        answer = self.http.post("/venue/script", content=script)
        assert answer.status_code == 200, answer.text


def code(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and binance's code."""
    return answer.status_code, answer.json()["code"]
