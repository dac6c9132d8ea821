"""The account's reports over a WebSocket: binance's WS API with `userDataStream.subscribe.signature`, and after a
`session.logon` with `userDataStream.subscribe`.

Each report of the books is sent once, or as the profile's stream chances have it: lost, twice, or after later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.exchange.gateway import OrderState, OrderStatus
from engine.venue import bodies
from engine.venue.app import Desk
from engine.venue.codes import VenueError
from engine.venue.signature import check_window, same_signature, sign, window_of

_MOST_WAITING = 10_000


class _Call(msgspec.Struct, frozen=True):
    id: int | str | None = None
    method: str = ""
    params: dict[str, Any] = {}


class Streams:
    """Every connection to the WS API."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._subscribed: dict[asyncio.Queue[bytes], int] = {}
        desk.venue.subscribe(self._report)

    def route(self) -> WebSocketRoute:
        return WebSocketRoute("/ws-api/v3", self._connect)

    async def _connect(self, socket: WebSocket) -> None:
        await socket.accept()
        outgoing: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        sending = asyncio.create_task(_send(socket, outgoing))
        logged_on = False
        try:
            while True:
                text = await socket.receive_text()
                answer: dict[str, Any] = {"id": None, "status": 200}
                try:
                    call = _decoded(text)
                    answer["id"] = call.id
                    if self._desk.conditions.maintenance:
                        raise VenueError(-1008)
                    result, logged_on = self._answer(call, outgoing, logged_on)
                    answer["result"] = result
                except VenueError as error:
                    answer |= {"status": error.status, "error": {"code": error.code, "msg": error.text}}
                await outgoing.put(msgspec.json.encode(answer))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._subscribed.pop(outgoing, None)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    def _answer(self, call: _Call, outgoing: asyncio.Queue[bytes], logged_on: bool) -> tuple[Any, bool]:
        match call.method:
            case "ping":
                return {}, logged_on
            case "time":
                return {"serverTime": self._desk.venue.server_time()}, logged_on
            case "session.logon":
                self._check(call.params)
                return {"apiKey": self._desk.settings.api_key}, True
            case "userDataStream.subscribe.signature":
                self._check(call.params)
            case "userDataStream.subscribe":
                if not logged_on:
                    raise VenueError(-2015)
            case "userDataStream.unsubscribe":
                self._subscribed.pop(outgoing, None)
                return {}, logged_on
            case _:
                raise VenueError(-1100, f"This venue's WS API has no method {call.method!r}.")
        self._subscribed[outgoing] = 0
        return {"subscriptionId": 0}, logged_on

    def _check(self, params: dict[str, Any]) -> None:
        given = {name: str(value) for name, value in params.items()}
        if given.get("apiKey") != self._desk.settings.api_key or self._desk.conditions.revoked:
            raise VenueError(-2015)
        check_window(*window_of(given), self._desk.venue.server_time())
        payload = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature")
        if not same_signature(given.get("signature", ""), sign(self._desk.settings.secret, payload)):
            raise VenueError(-1022)

    # --- reports ----------------------------------------------------------------------------------------------

    def _report(self, state: OrderState) -> None:
        if not self._subscribed:
            return
        closed = state.status is not OrderStatus.OPEN
        number = 2 * len(state.trades) + closed
        event = self._event(state)
        account = self._account(state.updated_at)
        for hold_ms in self._desk.fates.report(state.exchange_order_id, number):
            asyncio.get_running_loop().call_later(hold_ms / 1000, self._publish, event, account)

    def _publish(self, *events: dict[str, Any]) -> None:
        for outgoing, subscription in self._subscribed.items():
            for event in events:
                # Who does not read loses reports, as elsewhere.
                with contextlib.suppress(asyncio.QueueFull):
                    outgoing.put_nowait(msgspec.json.encode({"subscriptionId": subscription, "event": event}))

    def _event(self, state: OrderState) -> dict[str, Any]:
        venue = self._desk.venue
        order = next(
            one
            for one in venue.exchange.orders_of(state.client_order_id)
            if one.exchange_order_id == state.exchange_order_id
        )
        return bodies.execution_report(order, state, venue.server_time(), venue.skew)

    def _account(self, at: int) -> dict[str, Any]:
        _, holdings = self._desk.venue.account_now()
        return bodies.account_position(holdings, at + self._desk.venue.skew)


def _decoded(text: str) -> _Call:
    try:
        return msgspec.json.decode(text, type=_Call)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise VenueError(-1100, "The message is no JSON of an id, a method and params.") from None


async def _send(socket: WebSocket, outgoing: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_text((await outgoing.get()).decode())
