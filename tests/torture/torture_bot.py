"""What the bot's process is given besides its settings: short durations where the code has long ones, and the moment at
which it kills itself."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torture_settings as short

MOMENTS = {
    "before a commit": 8.0,
    "after a commit": 8.0,
    "after a claim": 1.5,
    "after a further claim": 1.0,
    "before a request leaves": 8.0,
    "after an order left": 1.5,
    "after an order's answer": 1.0,
    "after a cancel left": 0.7,
    "after a cancel's answer": 0.7,
    "after a look-up left": 6.0,
    "before a booking": 1.5,
    "after a booking": 1.5,
}
"""When a bot kills itself; on average after so many other passages of the moment."""


MUTANTS = ("no deadline", "no look-up", "sent again after one look")


def prepare_bot(moment: str | None, passage: int, mutant: str | None) -> None:
    """Shorten the durations, and die with SIGKILL at the `passage`-th time that `moment` comes."""
    _shorten()
    if mutant is not None:
        _break(mutant)
    if moment is not None:
        _arm(moment, passage)


def _shorten() -> None:
    import engine.ccxt_exchange as composed
    import engine.exchange.ccxt_client as client
    import engine.exchange.claimed_gateway as claimed
    import engine.live_clock as live_clock
    import engine.live_exchange as live_exchange
    import engine.live_reconciling as live_reconciling

    modules: Any = SimpleNamespace(composed=composed, client=client, live_exchange=live_exchange)
    for each in (claimed, live_clock, live_reconciling):
        each.MAX_OFFSET = short.MAX_OFFSET  # type: ignore[attr-defined]
    modules.client._TIMEOUT = short.TIMEOUT
    modules.live_exchange._ASK_AGAIN = short.AGAIN
    modules.composed.ClaimedGateway = functools.partial(claimed.ClaimedGateway, settings=short.CLAIMS)
    modules.composed.OrderFeed = functools.partial(composed.OrderFeed, settings=short.FEED)
    open_client = composed.open_client

    def unlimited(*args: Any, **kwargs: Any) -> Any:
        # ccxt would wait so that it keeps to binance's limits, which this venue does not have.
        made = open_client(*args, **kwargs)
        made.enableRateLimit = False
        return made

    modules.composed.open_client = unlimited


def _break(mutant: str) -> None:
    """Break one part of the claim protocol."""
    from engine.exchange.ccxt_wire import CcxtWire
    from engine.exchange.claimed_gateway import ClaimedGateway
    from engine.exchange.gateway import Absent

    gateway: Any = ClaimedGateway
    wire: Any = CcxtWire
    create = wire.create

    async def looks_once(self: Any, order: Any, stamp: Any) -> Any:
        return await self._find(order)

    async def never_expires(self: Any, order: Any, timestamp: int, window: int) -> Any:
        return await create(self, order, timestamp, 60_000)

    async def takes_for_granted(self: Any, order: Any, stamp: Any) -> Any:
        return Absent()

    match mutant:
        case "sent again after one look":
            gateway.resume = gateway.recover = looks_once
        case "no deadline":
            wire.create = never_expires
        case "no look-up":
            gateway.recover = takes_for_granted


def _arm(chosen: str, passage: int) -> None:
    from engine.exchange import ccxt_client
    from runtime.ledger import TRADE
    from runtime.sqlite_store import SqliteStore

    passages: Counter[str] = Counter()

    def moment(*names: str) -> None:
        for name in names:
            passages[name] += 1
            if name == chosen and passages[name] == passage:
                os.kill(os.getpid(), signal.SIGKILL)

    commit, claim = SqliteStore.commit, SqliteStore.claim

    def committing(store: SqliteStore, commits: Sequence[Any]) -> None:
        books = any(entry.kind == TRADE for one in commits if one.portfolio for entry in one.portfolio.entries)
        claims = any(intent.effect.startswith("submit") for one in commits for intent in one.requested)
        moment("before a commit", *(["before a booking"] if books else []))
        commit(store, commits)
        moment("after a commit", *(["after a claim"] if claims else []), *(["after a booking"] if books else []))

    def claiming(store: SqliteStore, made: Any) -> None:
        claim(store, made)
        moment("after a further claim")

    unarmed: Any = SqliteStore
    unarmed.commit, unarmed.claim = committing, claiming

    async def begun(session: Any, context: Any, params: Any) -> None:
        context.what = _kind(params.method, params.url.path)
        if context.what:
            moment("before a request leaves")

    async def sent(session: Any, context: Any, params: Any) -> None:
        if context.what:
            # This is told before the bytes are with the system, and an answer takes longer than a millisecond.
            asyncio.get_running_loop().call_later(0.001, moment, f"after {context.what} left")

    async def answered(session: Any, context: Any, params: Any) -> None:
        if context.what:
            moment(f"after {context.what}'s answer")

    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begun)
    trace.on_request_headers_sent.append(sent)
    trace.on_request_end.append(answered)
    made = ccxt_client._session

    def traced() -> Any:
        session: Any = made()
        trace.freeze()
        session._trace_configs.append(trace)
        return session

    module: Any = ccxt_client
    module._session = traced


def _kind(method: str, path: str) -> str:
    if not path.endswith("/order"):
        return ""
    return {"POST": "an order", "DELETE": "a cancel", "GET": "a look-up"}.get(method, "")


def prepared(moment: str | None, passage: int, mutant: str | None) -> Callable[[], None]:
    """For `Child`."""
    return functools.partial(prepare_bot, moment, passage, mutant)
