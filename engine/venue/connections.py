"""Connections that are broken on purpose: uvicorn's own, but known by their client's address."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# Weak: of a connection that became a WebSocket nobody says here when it ends.
_OPEN: WeakValueDictionary[tuple[str, int], asyncio.Transport] = WeakValueDictionary()


class BreakableProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, on a connection that an answer can break."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            _OPEN[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            _OPEN.pop(self.client, None)
        super().connection_lost(exc)


def break_all() -> None:
    """Break every open connection."""
    for transport in list(_OPEN.values()):
        transport.abort()


class HangUp(Response):
    """No answer: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _OPEN.get(tuple(scope["client"]))
        # The client may have given up before.
        if transport is not None:
            transport.abort()
        await _gone(receive)


class Mute(Response):
    """No answer, ever: the connection stays until the client closes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _gone(receive)


class Cut(Response):
    """The first half of an answer, then the end of the connection."""

    def __init__(self, whole: Response, chunked: bool) -> None:
        super().__init__()
        self._whole = whole
        self._chunked = chunked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in self._whole.raw_headers if not self._chunked or header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": self._whole.status_code, "headers": headers})
        half = bytes(self._whole.body)[: len(self._whole.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport = _OPEN.get(tuple(scope["client"]))
        if transport is not None:
            transport.close()
        await _gone(receive)


async def _gone(receive: Receive) -> None:
    message: Any = None
    while message is None or message["type"] != "http.disconnect":
        message = await receive()
