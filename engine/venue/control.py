"""The venue's back door, under /venue/: all of the books, and every switch. For tests and rehearsals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.venue.app import Desk
from engine.venue.bodies import trade_number
from engine.venue.fates import PROFILES, Profile
from engine.venue.script import ScriptError, read_script
from engine.venue.settings import Lags

Answer = Callable[[Request], Awaitable[Any]]


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the market of `symbol` (BASE/QUOTE) is to go: to `price`, to a halt, or, with neither, its own ways."""

    symbol: str
    price: Decimal | None = None
    halted: bool = False


class Control:
    """The endpoints of the back door."""

    def __init__(self, desk: Desk, go_down: Callable[[int], None]) -> None:
        self._desk = desk
        self._go_down = go_down

    def routes(self) -> list[BaseRoute]:
        handlers: tuple[tuple[str, str, Answer], ...] = (
            ("GET", "books", self._books),
            ("GET", "faults", self._faults),
            ("GET", "state", self._state),
            ("POST", "state", self._set_state),
            ("POST", "script", self._set_script),
            ("POST", "profile", self._set_profile),
            ("POST", "lags", self._set_lags),
            ("POST", "market", self._move_market),
            ("POST", "down", self._down),
        )
        return [Route(f"/venue/{name}", _answering(handler), methods=[method]) for method, name, handler in handlers]

    async def _books(self, request: Request) -> Any:
        number = int(request.query_params.get("account", "1"))
        if not 1 <= number <= len(self._desk.accounts):
            raise ValueError(f"there is no account {number}; there are 1 to {len(self._desk.accounts)}")
        venue = self._desk.accounts[number - 1].venue
        now = venue.present()
        exchange = venue.exchange
        totals, free, deposits = exchange.balances(now), exchange.free(), exchange.deposits()
        orders = []
        for order in exchange.book_orders():
            body = msgspec.to_builtins(order)
            del body["next_fill"], body["reports"], body["reported_until"], body["seq"]
            body |= {"orderId": order.seq, **body.pop("request")}
            for nth, trade in enumerate(body["trades"], 1):
                trade["tradeId"] = trade_number(order, nth)
            orders.append(body)
        return {
            "now": now,
            "orders": orders,
            "balances": {
                currency: {"deposited": deposits[currency], "free": free[currency], "locked": total - free[currency]}
                for currency, total in totals.items()
            },
            "requests": exchange.requests(),
        }

    async def _faults(self, request: Request) -> Any:
        return self._desk.journal.about("fault")

    async def _state(self, request: Request) -> Any:
        desk, first = self._desk, self._desk.accounts[0]
        return {
            **msgspec.to_builtins(desk.conditions),
            "serverTime": desk.server_time(),
            "requests": desk.requests,
            "profile": first.fates.profile,
            "rules": first.fates.rules,
            "lags": first.venue.lags,
            "halted": [symbol for symbol in desk.markets if desk.markets.is_halted(symbol)],
        }

    async def _set_state(self, request: Request) -> Any:
        values = msgspec.json.decode(await request.body(), type=dict[str, Any])
        self._desk.set_conditions(**values)
        self._desk.journal.write("state", **values)
        return self._desk.conditions

    async def _set_script(self, request: Request) -> Any:
        script = read_script((await request.body()).decode(), "script")
        for account in self._desk.accounts:
            account.fates.follow(script.rules)
        self._desk.schedule(script.changes)
        return {"rules": len(script.rules), "changes": len(script.changes)}

    async def _set_profile(self, request: Request) -> Any:
        body = await request.body()
        named = msgspec.json.decode(body, type=dict[str, Any])
        profile = PROFILES.get(named["name"]) if set(named) == {"name"} else msgspec.convert(named, Profile)
        if profile is None:
            raise ValueError(f"there is no profile {named['name']!r}; there are {', '.join(PROFILES)}")
        for account in self._desk.accounts:
            account.fates.profile = profile
        self._desk.set_lags(profile.lags)
        return profile

    async def _set_lags(self, request: Request) -> Any:
        lags = msgspec.json.decode(await request.body(), type=Lags)
        self._desk.set_lags(lags)
        return lags

    async def _move_market(self, request: Request) -> Any:
        move = msgspec.json.decode(await request.body(), type=Move)
        if move.symbol not in set(self._desk.markets):
            raise ValueError(f"there is no market {move.symbol!r}; there are {', '.join(self._desk.markets)}")
        if move.price is not None and not (move.price.is_finite() and 0 < move.price < 9_000_000):
            raise ValueError(f"{move.price} is no price")
        turn = self._desk.markets.turn(move.symbol, move.price, move.halted)
        self._desk.journal.write("turn", symbol=move.symbol, **msgspec.to_builtins(turn))
        return turn

    async def _down(self, request: Request) -> Any:
        for_ms = msgspec.json.decode(await request.body(), type=dict[str, int])["ms"]
        self._desk.journal.write("down", at=self._desk.accounts[0].venue.present(), ms=for_ms)
        self._go_down(for_ms)
        return {"down_ms": for_ms}


def _answering(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            return Response(msgspec.json.encode(await answer(request)), media_type="application/json")
        except (ValueError, KeyError, TypeError, ScriptError) as error:
            return Response(msgspec.json.encode({"error": str(error)}), 400, media_type="application/json")

    return serve
