"""binance's endpoints on loopback, answering what a test tells them to, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

NOW = 1_790_000_000_000
KEY = "MARKERKEYabcdefghij"
SECRET = "MARKERSECRETklmnopq"

EXCHANGE_INFO = {
    "timezone": "UTC",
    "serverTime": NOW,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
                {"filterType": "NOTIONAL", "minNotional": "5.0", "applyMinToMarket": True, "maxNotional": "9000000.0"},
            ],
            "permissions": ["SPOT"],
            "permissionSets": [["SPOT"]],
        }
    ],
}


class Asked(msgspec.Struct):
    """A request as it arrived."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    at: float = 0.0

    @property
    def kind(self) -> str:
        return f"{self.method} {self.path.rsplit('/', 1)[-1]}"


def answer(
    body: Any, status: int = 200, headers: str = "", raw: bytes | None = None, length: int | None = None
) -> bytes:
    """An HTTP answer. `length` lies about the body's."""
    content = raw if raw is not None else (body if isinstance(body, str) else json.dumps(body)).encode()
    size = len(content) if length is None else length
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n{headers}\r\n".encode()
        + content
    )


def refusal(code: int, text: str, status: int = 400, headers: str = "") -> bytes:
    return answer({"code": code, "msg": text}, status, headers)


class CannedExchange:
    """`script[kind]` holds answers in turn: bytes, None for a reset, "silent" for none. Otherwise `usual[kind]`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: dict[str, deque[bytes | str | None]] = defaultdict(deque)
        self.usual: dict[str, bytes] = {
            "GET exchangeInfo": answer(EXCHANGE_INFO),
            "GET time": answer({"serverTime": NOW}),
        }
        self.endpoint = ""
        self._serving: set[asyncio.Task[Any]] = set()

    def forget(self) -> None:
        """Begin a new story on the same connections."""
        self.asked.clear()
        self.script.clear()

    def count(self, kind: str) -> int:
        return sum(asked.kind == kind for asked in self.asked)

    def last(self, kind: str) -> Asked:
        return [asked for asked in self.asked if asked.kind == kind][-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                lower = {name.lower(): value for name, value in headers.items()}
                body = (await reader.readexactly(int(lower.get("content-length", "0")))).decode()
                url = urlsplit(target)
                asked = Asked(method, url.path, dict(parse_qsl(url.query) + parse_qsl(body)), lower)
                self.asked.append(asked)
                said = self.script[asked.kind].popleft() if self.script[asked.kind] else self.usual.get(asked.kind)
                if said == "silent":
                    await asyncio.Event().wait()
                if said is None:
                    writer.transport.abort()
                    return
                assert isinstance(said, bytes)
                writer.write(said)
                await writer.drain()
                if b"Connection: close" in said:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def canned_exchange() -> AsyncIterator[CannedExchange]:
    exchange = CannedExchange()
    server = await asyncio.start_server(exchange._serve, "127.0.0.1", 0)
    exchange.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield exchange
    finally:
        server.close()
        for served in exchange._serving:
            served.cancel()
        await asyncio.gather(*exchange._serving, return_exceptions=True)
