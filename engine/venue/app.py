"""The wire: each request passes the limits, the signature and its fate on its way to an endpoint and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.exchange.paper_file import PaperExchangeError
from engine.venue.api import ENDPOINTS, Api, Endpoint
from engine.venue.codes import CODES, VenueError
from engine.venue.connections import Cut, HangUp, Mute
from engine.venue.fates import Content, Do, Fate, Fates
from engine.venue.journal import Journal
from engine.venue.limits import OrderMeter, WeightMeter
from engine.venue.markets import Markets
from engine.venue.script import Change, Conditions
from engine.venue.settings import Keys, Lags, VenueSettings
from engine.venue.signature import check_signature, check_window, window_of
from engine.venue.venue import Venue
from runtime.clock import Clock

_HTML = b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n</body>\r\n</html>\r\n"
_JSON = "application/json;charset=UTF-8"


@dataclass(slots=True)
class Account:
    """One of the venue's clients; `number` counts from 1. Rules and chances of faults count its requests alone, so that
    they meet the same fates whatever the others do."""

    number: int
    keys: Keys
    venue: Venue
    api: Api
    fates: Fates
    orders: OrderMeter


class Desk:
    """What stands between a socket and the API."""

    def __init__(
        self,
        venues: Sequence[Venue],
        markets: Markets,
        settings: VenueSettings,
        fates: Sequence[Fates],
        journal: Journal,
        clock: Clock,
        started_at: int,
    ) -> None:
        self.accounts = tuple(
            Account(number, keys, venue, Api(venue, settings), own, OrderMeter(settings.limits))
            for number, (keys, venue, own) in enumerate(zip(settings.keys, venues, fates, strict=True), 1)
        )
        self.markets = markets
        self.journal = journal
        self.conditions = Conditions()
        self.requests = 0
        self.failure: PaperExchangeError | None = None
        """Why the books cannot be written any more: whoever serves ends."""
        self._by_key = {account.keys.api_key: account for account in self.accounts}
        self._limits = settings.limits
        self._meters: dict[str, WeightMeter] = {}
        self._clock = clock
        self._started_at = started_at
        self._changes: list[Change] = []

    def set_conditions(self, **values: Any) -> None:
        """Change how the venue is doing, from now on."""
        current = msgspec.to_builtins(self.conditions)
        self.conditions = msgspec.convert(current | values, Conditions)
        for account in self.accounts:
            account.venue.skew = self.conditions.skew_ms

    def set_lags(self, lags: Lags) -> None:
        """Let the views of every account be so far behind, from now on."""
        for account in self.accounts:
            account.venue.lags = lags

    def server_time(self) -> int:
        return self._clock.now() + self.conditions.skew_ms

    def account_of(self, api_key: str) -> Account | None:
        """Whose key it is; None for one that is refused."""
        return None if self.conditions.revoked else self._by_key.get(api_key)

    def schedule(self, changes: Sequence[Change]) -> None:
        """Make these changes when their time comes."""
        self._changes = list(changes)

    def routes(self) -> list[BaseRoute]:
        """One for each endpoint."""
        return [Route(one.path, self._serving(one), methods=[one.method]) for one in ENDPOINTS]

    def _serving(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return await self._serve(endpoint, request)

        return serve

    async def _serve(self, endpoint: Endpoint, request: Request) -> Response:
        query, body = request.url.query, (await request.body()).decode("utf-8", "replace")
        pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True)
        params = dict(pairs)
        while self._changes and self._changes[0].at_ms <= self._clock.now() - self._started_at:
            self.set_conditions(**self._changes.pop(0).set)
        self.requests += 1
        number, asked_at = self.requests, self._clock.now()
        client_order_id = params.get("newClientOrderId" if endpoint.is_order else "origClientOrderId", "")
        is_write = endpoint.is_order or endpoint.method == "DELETE"
        # What needs no key, or comes with a wrong one, is the first account's: everybody sees the same of the market.
        account = self._by_key.get(request.headers.get("x-mbx-apikey", ""), self.accounts[0])
        address = "" if request.client is None else request.client.host
        meter = self._meters.get(address) or self._meters.setdefault(address, WeightMeter(self._limits))
        fate = account.fates.decide(endpoint.kind, client_order_id, is_write, endpoint.secured == "signed")
        answer: Response
        done = ""
        if fate.do is Do.DROP:
            answer = HangUp()
        else:
            try:
                self._admit(endpoint, request, account, meter, params, len(pairs), query, body)
                if fate.do is Do.ERROR_BEFORE:
                    answer = _broken(fate, 503)
                else:
                    if fate.delay_ms:
                        await asyncio.sleep(fate.delay_ms / 1000)
                    if endpoint.secured == "signed":
                        # Its turn has come: that is when the window counts.
                        check_window(*window_of(params), self.server_time())
                    result = endpoint.handler(account.api, params)
                    done = str(result.get("orderId", "done")) if isinstance(result, dict) else "done"
                    answer = Response(msgspec.json.encode(result), media_type=_JSON)
            except VenueError as error:
                done = str(error.code)
                answer = Response(error.body, error.status, media_type=_JSON)
                if error.retry_after is not None:
                    answer.headers["Retry-After"] = str(error.retry_after)
            except PaperExchangeError as error:
                self.failure = error
                answer = Response(VenueError(-1001).body, 500, media_type=_JSON)
        now = self.server_time()
        for name, value in (meter.headers(now) | (account.orders.headers(now) if is_write else {})).items():
            answer.headers[name] = value
        if not fate.is_ordinary:
            self.journal.write(
                "fault",
                number=number,
                **({} if account.number == 1 else {"account": account.number}),
                at=asked_at,
                request=endpoint.kind,
                client_order_id=client_order_id,
                timestamp=params.get("timestamp", ""),
                done=done,
                **msgspec.to_builtins(fate),
            )
        if fate.late_ms:
            await asyncio.sleep(fate.late_ms / 1000)
        return _spoiled(answer, fate)

    def _admit(
        self,
        endpoint: Endpoint,
        request: Request,
        account: Account,
        meter: WeightMeter,
        params: dict[str, str],
        sent: int,
        query: str,
        body: str,
    ) -> None:
        """Refuse what binance would not even look at."""
        now = self.server_time()
        if self.conditions.maintenance:
            raise VenueError(-1008)
        meter.spend(endpoint.cost(params), now)
        if sent > len(params):
            raise VenueError(-1101, "Duplicate values for a parameter detected.")
        if endpoint.secured:
            key = request.headers.get("x-mbx-apikey", "")
            if not key:
                raise VenueError(-2014)
            if self.account_of(key) is None:
                raise VenueError(-2015)
        if endpoint.secured == "signed":
            timestamp, window = window_of(params)
            check_window(timestamp, window, now)
            check_signature(account.keys.secret, query, body)
        if self.conditions.no_trading and (endpoint.is_order or endpoint.method == "DELETE"):
            raise VenueError(-1008)
        if endpoint.is_order:
            account.orders.count(now)


def _spoiled(answer: Response, fate: Fate) -> Response:
    match fate.do:
        case Do.MUTE:
            return Mute()
        case Do.HANG_UP:
            return HangUp()
        case Do.CUT | Do.CUT_CHUNKED:
            return Cut(answer, chunked=fate.do is Do.CUT_CHUNKED)
        case Do.ERROR_AFTER:
            return _broken(fate, 500)
        case Do.GARBAGE:
            content = _content(fate.body, 200, bytes(answer.body))
            return Response(content, 200, media_type="text/html" if fate.body is Content.HTML else _JSON)
        case _:
            return answer


def _broken(fate: Fate, status: int) -> Response:
    if fate.code is not None and fate.body is Content.JSON:
        error = VenueError(fate.code) if fate.code in CODES else None
        body = error.body if error is not None else msgspec.json.encode({"code": fate.code, "msg": "Scripted."})
        known = error.status if error is not None else status
        answer = Response(body, fate.status or known, media_type=_JSON)
    else:
        content = Content.HTML if fate.body is Content.JSON else fate.body
        answer = Response(_content(content, fate.status or status, b"{}"), fate.status or status)
        answer.headers["Content-Type"] = "text/html" if content is Content.HTML else _JSON
    if answer.status_code in (418, 429):
        answer.headers["Retry-After"] = "1"
    return answer


def _content(content: Content, status: int, answer: bytes) -> bytes:
    match content:
        case Content.EMPTY:
            return b""
        case Content.OBJECT:
            return b"{}"
        case Content.TEXT:
            return b"upstream connect error or disconnect/reset before headers"
        case Content.HALF:
            return answer[: len(answer) // 2]
        case _:
            return _HTML % (status, status)


def make_app(desk: Desk, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI application; `more` are routes besides the API's."""
    return Starlette(routes=[*desk.routes(), *more])
