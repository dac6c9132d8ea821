"""The account's reports over a WebSocket: binance's WS API with `userDataStream.subscribe.signature`, and after a
`session.logon` with `userDataStream.subscribe`.

Each report of the books is sent once, or as the profile's stream chances have it: lost, twice, or after later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any

import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.exchange.gateway import OrderState, OrderStatus
from engine.venue import bodies
from engine.venue.app import Account, Desk
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
        self._subscribed: dict[int, set[asyncio.Queue[bytes]]] = {}
        for account in desk.accounts:
            account.venue.subscribe(partial(self._report, account))

    def route(self) -> WebSocketRoute:
        return WebSocketRoute("/ws-api/v3", self._connect)

    async def _connect(self, socket: WebSocket) -> None:
        await socket.accept()
        outgoing: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        sending = asyncio.create_task(_send(socket, outgoing))
        logged_on: Account | None = None
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
            self._unsubscribe(outgoing)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    def _answer(
        self, call: _Call, outgoing: asyncio.Queue[bytes], logged_on: Account | None
    ) -> tuple[Any, Account | None]:
        match call.method:
            case "ping":
                return {}, logged_on
            case "time":
                return {"serverTime": self._desk.server_time()}, logged_on
            case "session.logon":
                account = self._checked(call.params)
                return {"apiKey": account.keys.api_key}, account
            case "userDataStream.subscribe.signature":
                account = self._checked(call.params)
            case "userDataStream.subscribe":
                if logged_on is None:
                    raise VenueError(-2015)
                account = logged_on
            case "userDataStream.unsubscribe":
                self._unsubscribe(outgoing)
                return {}, logged_on
            case _:
                raise VenueError(-1100, f"This venue's WS API has no method {call.method!r}.")
        # A connection listens to one account, as it does wherever a client of its own is made for each.
        self._unsubscribe(outgoing)
        self._subscribed.setdefault(account.number, set()).add(outgoing)
        return {"subscriptionId": 0}, logged_on

    def _unsubscribe(self, outgoing: asyncio.Queue[bytes]) -> None:
        for listening in self._subscribed.values():
            listening.discard(outgoing)

    def _checked(self, params: dict[str, Any]) -> Account:
        """Whoever has signed these."""
        given = {name: str(value) for name, value in params.items()}
        account = self._desk.account_of(given.get("apiKey", ""))
        if account is None:
            raise VenueError(-2015)
        check_window(*window_of(given), self._desk.server_time())
        payload = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature")
        if not same_signature(given.get("signature", ""), sign(account.keys.secret, payload)):
            raise VenueError(-1022)
        return account

    # --- reports ----------------------------------------------------------------------------------------------

    def _report(self, account: Account, state: OrderState) -> None:
        if not self._subscribed.get(account.number):
            return
        closed = state.status is not OrderStatus.OPEN
        number = 2 * len(state.trades) + closed
        venue = account.venue
        event = bodies.execution_report(venue.order_of(state), state, venue.server_time(), venue.skew)
        # Of the currencies that the order moves, as elsewhere.
        position = bodies.account_position(venue.holdings(state.symbol.split("/")), state.updated_at + venue.skew)
        for hold_ms in account.fates.report(state.exchange_order_id, number):
            asyncio.get_running_loop().call_later(hold_ms / 1000, self._publish, account.number, event, position)

    def _publish(self, account: int, *events: dict[str, Any]) -> None:
        for event in events:
            message = msgspec.json.encode({"subscriptionId": 0, "event": event})
            for outgoing in self._subscribed.get(account, ()):
                # Who does not read loses reports, as elsewhere.
                with contextlib.suppress(asyncio.QueueFull):
                    outgoing.put_nowait(message)


def _decoded(text: str) -> _Call:
    try:
        return msgspec.json.decode(text, type=_Call)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise VenueError(-1100, "The message is no JSON of an id, a method and params.") from None


async def _send(socket: WebSocket, outgoing: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_text((await outgoing.get()).decode())
