"""One trade, request by request: the bot with the real ccxt, a venue, and what passed between them.

Requests and answers are what the venue received from its socket and gave back to it; commits are what was written to
the store. Time is virtual: a request takes WAY milliseconds to the venue, and the answer none, so that each run tells
the same.

    python tests/docs/one_trade.py      # writes what happened into docs/one-trade.md
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from engine.ccxt_exchange import CcxtExchange
from engine.exchange.claimed_gateway import ClaimedGateway
from engine.exchange.credentials import Credentials
from engine.exchange.order_feed import LiveOrders
from engine.exchange.server_clock import ServerClock
from engine.live_run import LiveRun
from engine.live_settings import LiveSettings
from engine.settings import Settings
from engine.venue.script import read_script
from engine.venue.server import OpenVenue, listen
from engine.venue.settings import VenueSettings
from generated.trading import Config, Phase
from runtime.clock import VirtualClock
from runtime.memory_store import MemoryStore
from runtime.store import AuditRow, Commit

PAGE = Path(__file__).parents[2] / "docs" / "one-trade.md"
KIND = "text wire"
_BLOCK = re.compile(rf"^(```{KIND}\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)

SYMBOL = "BTC/USDT"
START = int(datetime(2027, 1, 15, 12, tzinfo=UTC).timestamp()) * 1_000
MINUTE = 60_000
WAY = 20
"""Milliseconds, so that the instant at which an order is sent is not that of its claim."""
KEYS = Credentials("the-api-key", "the-secret")
VENUE = VenueSettings(
    prices={SYMBOL: Decimal(60_000)},
    balances={"USDT": Decimal(10_000)},
    api_key=KEYS.api_key,
    secret=KEYS.secret,
    parts="never",
)
SETTINGS = Settings(lookback=3, drop_pct=Decimal(2), take_profit_pct=Decimal(2), stop_loss_pct=Decimal(20), max_slots=1)

_SENT = [
    "symbol",
    "interval",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "newClientOrderId",
    "origClientOrderId",
    "orderId",
]
_ANSWERED = [
    "symbol",
    "orderId",
    "clientOrderId",
    "status",
    "executedQty",
    "id",
    "price",
    "qty",
    "commission",
    "commissionAsset",
    "code",
    "msg",
    "serverTime",
]


class Request(msgspec.Struct):
    """One request as it came out of the venue's socket, and what went back: None while nothing did."""

    at: int
    method: str
    path: str
    params: dict[str, str]
    has_key: bool
    status: int | None = None
    body: bytes = b""


Event = Request | AuditRow


class Recorder:
    """Stands before the venue's application and notes what it receives and answers.

    `silent` is set when the application has read a request, and waits for its sender to go away.
    """

    def __init__(self, app: Any, log: list[Event], clock: VirtualClock) -> None:
        self._app, self._log, self._clock = app, log, clock
        self.silent = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        messages: list[Any] = []
        body = b""
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
            body += messages[-1].get("body", b"")
        self._clock.advance_to(self._clock.now() + WAY)
        text = "&".join(part.decode() for part in (scope["query_string"], body) if part)
        has_key = dict(scope["headers"]).get(b"x-mbx-apikey") == KEYS.api_key.encode()
        seen = Request(self._clock.now(), scope["method"], scope["path"], dict(parse_qsl(text)), has_key)
        self._log.append(seen)

        async def again() -> Any:
            if messages:
                return messages.pop(0)
            if seen.status is None:
                self.silent.set()
            return await receive()

        async def answered(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            seen.body += message.get("body", b"")
            await send(message)

        await self._app(scope, again, answered)


class Noted(MemoryStore):
    """Notes each commit when it is written."""

    def __init__(self, log: list[Event]) -> None:
        super().__init__("the-bot")
        self._log = log

    def commit(self, commits: Sequence[Commit]) -> None:
        super().commit(commits)
        for commit in commits:
            self._log.extend(commit.audit)


class Exchange(CcxtExchange):
    """The bot's own way to an exchange, on virtual time. Orders are polled; with `reports` off, nothing tells of them.

    The stream is left out because what it tells overtakes the answer to the order on some runs and not on others.
    """

    def __init__(self, url: str, clock: VirtualClock, silent: asyncio.Event, reports: bool) -> None:
        super().__init__("binance", KEYS, clock, sandbox=False, url=url)
        self.gateway = ClaimedGateway(self._wire, clock, elapsed=clock.now)
        self._server_clock = ServerClock(self._wire.server_time, clock, clock.now, 0)
        self._client.milliseconds = clock.now
        self._client.enableRateLimit = False
        self._client.timeout_on_exit = 0
        self._client.has["watchOrders"] = False
        self._client.fetch = self._one_by_one(self._client.fetch)
        self._silent, self._reports = silent, reports
        self._turn = asyncio.Lock()
        self.begun = self.under_way = 0

    def _one_by_one(self, fetch: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Of two connections either could be read first; one request after the other is one order of events. The next
        one's turn has come when this one is answered, or will not be."""

        async def in_turn(*args: Any, **kwargs: Any) -> Any:
            self.begun += 1
            self.under_way += 1
            try:
                async with self._turn:
                    self._silent.clear()
                    answer = asyncio.ensure_future(fetch(*args, **kwargs))
                    silence = asyncio.ensure_future(self._silent.wait())
                    try:
                        await asyncio.wait((answer, silence), return_when=asyncio.FIRST_COMPLETED)
                    except asyncio.CancelledError:
                        answer.cancel()
                        raise
                    finally:
                        silence.cancel()
            finally:
                self.under_way -= 1
            return await answer

        return in_turn

    async def watch(self, live_orders: LiveOrders) -> None:
        if self._reports:
            await super().watch(live_orders)
        await asyncio.Event().wait()


class Trade:
    """One bot on one venue, from `with` to its end. Without `requests`, only commits are told of."""

    def __init__(self, folder: Path, *, script: str = "", reports: bool = True, requests: bool = True) -> None:
        self.log: list[Event] = []
        self.clock = VirtualClock(START)
        self.store = Noted(self.log)
        self._folder, self._script, self._reports, self._requests = folder, script, reports, requests
        self._shown = 0

    async def __aenter__(self) -> Trade:
        listener = listen("127.0.0.1", 0)
        self.venue = OpenVenue(self._folder / "venue.db", VENUE, self.clock, script=read_script(self._script, "script"))
        recorder = Recorder(self.venue.app, self.log, self.clock)
        self.venue.app = recorder  # type: ignore[assignment]
        self.price(60_000)
        self.clock.advance_to(START + 5 * MINUTE + 200)
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self.venue.serve(listener, ready.set))
        await ready.wait()
        host, port = listener.getsockname()
        self.exchange = Exchange(f"http://{host}:{port}", self.clock, recorder.silent, self._reports)
        self.bot = LiveRun(
            self.exchange,
            self.store,
            self.clock,
            SETTINGS,
            LiveSettings(timeframe="1m", trading_cash=Decimal(1_000)),
            Config(),
            (SYMBOL,),
            lambda notice: None,
        )
        await self.bot.prepare()
        await self.bot.start()
        self._stopping = asyncio.Event()
        self._running = asyncio.create_task(self.bot.run(self._stopping))
        await self._settled()
        self._shown = len(self.log)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._running
        await self.bot.close()
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self.venue.close()

    def price(self, price: int) -> None:
        """From now on the market stands at `price`."""
        self.venue.markets.turn(SYMBOL, Decimal(price), halted=False)

    @property
    def phase(self) -> str:
        return self.bot.worker.instances[SYMBOL].phase

    def orders(self) -> list[Any]:
        """Every order that the venue ever accepted."""
        return list(self.venue.exchange.orders_on(SYMBOL))

    async def wait(self, milliseconds: int) -> str:
        """Let time pass; returns what happened meanwhile."""
        end = self.clock.now() + milliseconds
        while self.clock.now() < end:
            self.clock.advance_to(max(min(self.clock.next_wake() or end, end), self.clock.now()))
            await self._settled()
        return self.told()

    async def until(self, phase: Phase) -> str:
        """Let time pass until the bot is in `phase`; returns what happened meanwhile."""
        for _ in range(2_000):
            await self._settled()
            if self.phase == phase:
                return self.told()
            wake = self.clock.next_wake()
            assert wake is not None
            self.clock.advance_to(max(wake, self.clock.now()))
        raise AssertionError(f"it stays in {self.phase}:\n{self.told()}")

    async def _settled(self) -> None:
        """Return when nothing happens any more until time goes on."""
        for _ in range(20_000):
            begun, under_way = self.exchange.begun, self.exchange.under_way
            for _ in range(100):
                await asyncio.sleep(0)
            if self._running.done():
                self._running.result()
            # What follows from an answer may begin in the last of these rounds; so it was quiet before them too.
            if under_way == self.exchange.under_way == 0 and begun == self.exchange.begun:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("a request never ends")

    # -- telling ---------------------------------------------------------------------------------------------------

    def told(self) -> str:
        """What happened since it was told last."""
        events, self._shown = self.log[self._shown :], len(self.log)
        return "".join(self._tell(event) for event in events if self._requests or isinstance(event, AuditRow))

    def books(self) -> str:
        """Every order that the venue accepted."""
        told = [
            f"orderId={order.seq} {self._in_words(order.request.client_order_id)} "
            f"{order.request.side} {order.request.amount}, {len(order.trades)} trade"
            for order in self.orders()
        ]
        return f"{_time(self.clock.now())}  the venue's books: {'; '.join(told)}\n"

    def _tell(self, event: Event) -> str:
        lines = _commit(event, self.store) if isinstance(event, AuditRow) else self._request(event)
        return self._in_words(f"\n{' ' * 14}".join(lines)) + "\n"

    def _request(self, seen: Request) -> list[str]:
        sent = {name: seen.params[name] for name in _SENT if name in seen.params}
        if "startTime" in seen.params:
            sent["startTime"] = _time(int(seen.params["startTime"]))
        if "timestamp" in seen.params:
            sent |= {"timestamp": self._instant(seen), "recvWindow": seen.params.get("recvWindow", "MISSING")}
            sent["signature"] = "..." if seen.params.get("signature") else "MISSING"
        if seen.has_key:
            sent["key"] = "..."
        answer = "no answer" if seen.status is None else f"{seen.status} {_short(seen.body)}"
        said = [self._in_words(text) for text in (_pairs(sent), f"-> {answer}")]
        return [f"{_time(seen.at)}  {seen.method} {seen.path}", *(line for text in said for line in _wrapped(text))]

    def _instant(self, request: Request) -> str:
        stamp = int(request.params["timestamp"])
        intent = self.store.intent(request.params.get("newClientOrderId", ""))
        if intent is not None and stamp == intent.claimed_at:
            return "THE-CLAIM"
        return "NOW" if stamp == request.at - WAY and intent is None else _time(stamp)

    def _in_words(self, text: str) -> str:
        data = self.bot.worker.instances[SYMBOL].data
        for order, word in ((data.entry_order, "BUY-1"), (data.exit_order, "SELL-1")):
            if order is not None:
                text = text.replace(order.client_order_id, word)
        return text


def _short(body: bytes) -> str:
    answer = msgspec.json.decode(body)
    if isinstance(answer, list):
        if not answer:
            return "[]"
        if isinstance(answer[0], list):
            return f"{len(answer)} bars, the last one closed at {Decimal(answer[-1][4]).normalize():f}"
        return f"[{', '.join(_fields(one) for one in answer)}]"
    return _fields(answer)


def _fields(answer: dict[str, Any]) -> str:
    known = {name: answer[name] for name in _ANSWERED if name in answer}
    if "serverTime" in known:
        known["serverTime"] = _time(known["serverTime"])
    for balance in answer.get("balances", ()):
        known[balance["asset"]] = balance["free"]
    return _pairs(known)


def _pairs(named: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in named.items())


def _wrapped(text: str) -> list[str]:
    return wrap(text, 100, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)


def _time(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1_000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _commit(row: AuditRow, store: MemoryStore) -> list[str]:
    way = row.phase_from if row.phase_from == row.phase_to else f"{row.phase_from} -> {row.phase_to}"
    lines = [f"{_time(row.at)}  commit {row.event}: {way}{', ' + row.outcome if row.outcome != 'handled' else ''}"]
    for effect, _, intent_id in (asked.partition("/") for asked in row.requested):
        intent = store.intent(intent_id)
        assert intent is not None
        # Of orders alone the id leaves the process, and only what asks the exchange has a window.
        name = f" {intent_id}" if effect.startswith("submit") else ""
        is_timed = intent.deadline > intent.claimed_at
        claim = f", claimed at {_time(intent.claimed_at)} until {_time(intent.deadline)}" if is_timed else ""
        lines.append(f"outbox: {effect}{name}{claim}")
    return lines


# -- the page ----------------------------------------------------------------------------------------------------------


async def _cycle(trade: Trade) -> list[str]:
    trade.price(58_000)
    shown = [await trade.until(Phase.WAIT_FILL), await trade.until(Phase.POSITION)]
    trade.price(60_000)
    shown += [await trade.until(Phase.WAIT_SELL_FILL), await trade.until(Phase.COOLDOWN)]
    assert [order.request.side for order in trade.orders()] == ["buy", "sell"], trade.books()
    shown[-1] += trade.books()
    return shown


async def _unanswered(trade: Trade) -> list[str]:
    trade.price(58_000)
    shown = [await trade.until(Phase.PLACE_BUY), await trade.until(Phase.POSITION)]
    # Beyond whatever is asked because of it.
    shown[-1] += await trade.wait(20_000)
    assert len(trade.orders()) == 1, trade.books()
    shown[-1] += trade.books()
    return shown


async def _all(folder: Path) -> list[str]:
    script = "- {request: POST order, nth: 1, do: mute}"
    for name in ("well", "mute", "told"):
        (folder / name).mkdir()
    async with Trade(folder / "well") as trade:
        shown = await _cycle(trade)
    async with Trade(folder / "mute", script=script, reports=False) as trade:
        shown += await _unanswered(trade)
    async with Trade(folder / "told", script=script, requests=False) as trade:
        shown.append("".join(await _unanswered(trade)))
    return shown


def happened(folder: Path) -> list[str]:
    """What the blocks of the page have to say, in order."""
    return asyncio.run(_all(folder))


def blocks_of(page: str) -> list[str]:
    """What they say."""
    return [found[2] for found in _BLOCK.finditer(page)]


def rewritten(page: str, texts: Sequence[str]) -> str:
    """The page with these blocks."""
    rest = iter(texts)
    return _BLOCK.sub(lambda found: found[1] + next(rest), page)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        texts = happened(Path(made))
    if "--print" in sys.argv:
        print("\n----\n".join(texts))
    else:
        found = PAGE.read_text(encoding="utf-8")
        if len(blocks_of(found)) != len(texts):
            sys.exit(f"{PAGE} has {len(blocks_of(found))} blocks `{KIND}`, and there are {len(texts)} to fill.")
        PAGE.write_text(rewritten(found, texts), encoding="utf-8")
