"""Opening a venue, and serving it until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import refuse_unreadable
from engine.market_data.candles import Series
from engine.venue.app import Desk, make_app
from engine.venue.connections import BreakableProtocol, break_all
from engine.venue.control import Control
from engine.venue.fates import CALM, Fates, Profile
from engine.venue.journal import Journal
from engine.venue.markets import Markets
from engine.venue.prices import MINUTE, LivePrices, Turn, replayed, wandering
from engine.venue.script import Script
from engine.venue.settings import TURNOVER, VenueSettings
from engine.venue.streams import Streams
from engine.venue.venue import Venue
from runtime.clock import Clock

_STEP_SECS = 0.05
"""How often the books are brought up to the present while nobody asks."""


class OpenVenue:
    """A venue on its files: the first account's books at `path`, its journal and the other accounts' books beside
    them.

    Raises:
        PaperExchangeError: the books cannot be opened, or were made with other settings.
    """

    def __init__(
        self,
        path: Path,
        settings: VenueSettings,
        clock: Clock,
        *,
        profile: Profile = CALM,
        script: Script | None = None,
        candles: Mapping[str, Series] | None = None,
        control: bool = False,
    ) -> None:
        journal_path = path.with_name(f"{path.name}.journal")
        if path.exists():
            refuse_unreadable(path)
        else:
            # Of books that are gone.
            journal_path.unlink(missing_ok=True)
            for left_over in _books_of(path, 2).parent.glob("[0-9][0-9][0-9][0-9].db*"):
                left_over.unlink()
        now = clock.now()
        self.journal = Journal(journal_path)
        begun = self.journal.about("start")
        started_at = int(begun[0]["at"]) if begun else now
        markets = settings.markets()
        ticks = {market.symbol: market.price_tick for market in markets}

        def prices(symbol: str, now: int, turns: tuple[Turn, ...]) -> LivePrices:
            if candles is None:
                source = wandering(settings.seed, symbol, settings.prices[symbol], ticks[symbol], TURNOVER)
                return LivePrices(symbol, source, MINUTE, now, turns)
            source = replayed(candles[symbol], started_at)
            return LivePrices(symbol, source, candles[symbol].length, now, turns)

        turns: dict[str, tuple[Turn, ...]] = {}
        for line in self.journal.about("turn"):
            turn = msgspec.convert({k: v for k, v in line.items() if k not in ("what", "symbol")}, Turn)
            turns[line["symbol"]] = (*turns.get(line["symbol"], ()), turn)
        self.markets = Markets(markets, prices, turns, now)
        script = script or Script()
        self._exchanges: list[PaperExchange] = []
        venues: list[Venue] = []
        try:
            for number in range(1, len(settings.keys) + 1):
                books = _books_of(path, number)
                if number > 1:
                    books.parent.mkdir(exist_ok=True)
                exchange = PaperExchange(books, settings.paper(number, markets), self.markets)
                self._exchanges.append(exchange)
                lags = settings.lags or profile.lags
                venues.append(Venue(exchange, self.markets, clock, settings.seed_of(number), lags))
            if not begun:
                # Not before the books are ours: beside a file that is refused nothing is left behind.
                self.journal.write("start", at=now)
        except BaseException:
            self.close()
            raise
        fates = [Fates(settings.seed_of(number), profile, script.rules) for number in range(1, len(venues) + 1)]
        self.desk = Desk(venues, self.markets, settings, fates, self.journal, clock, started_at)
        for line in self.journal.about("state"):
            self.desk.set_conditions(**{name: value for name, value in line.items() if name != "what"})
        self.desk.schedule(script.changes)
        self._down: Callable[[int], None] = lambda ms: None
        more: list[BaseRoute] = [Streams(self.desk).route()]
        if control:
            more += Control(self.desk, lambda ms: self._down(ms)).routes()
        self.app: Starlette = make_app(self.desk, more)

    def close(self) -> None:
        """Release the files. Nothing is lost without it."""
        for exchange in self._exchanges:
            exchange.close()
        self.journal.close()

    @property
    def exchange(self) -> PaperExchange:
        """The first account's books."""
        return self._exchanges[0]

    async def serve(self, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        """Answer on `listener`, a bound socket, until the task is cancelled or the process told to end."""
        config = uvicorn.Config(
            self.app,
            http=BreakableProtocol,
            ws="websockets-sansio",
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config, on_ready)
        # Once it was down, the listener is another one at the same address.
        address = listener.getsockname()
        self._down = lambda ms: server.go_down(address, ms)
        ticking = asyncio.create_task(self._tick())
        ticking.add_done_callback(lambda _: server.end())
        try:
            await server.serve([listener])
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking

    async def _tick(self) -> None:
        while True:
            if self.desk.failure is not None:
                raise self.desk.failure
            for account in self.desk.accounts:
                account.venue.keep_up()
            await asyncio.sleep(_STEP_SECS)


def _books_of(path: Path, account: int) -> Path:
    return path if account == 1 else path.with_name(f"{path.name}.accounts") / f"{account:04}.db"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    def end(self) -> None:
        """Stop serving."""
        self.should_exit = True

    def go_down(self, address: Any, for_ms: int) -> None:
        """Break every connection and refuse new ones for so many milliseconds."""
        task = asyncio.create_task(self._away(address, for_ms))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _away(self, address: Any, for_ms: int) -> None:
        def protocol() -> BreakableProtocol:
            return BreakableProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        async with self._one_at_a_time:
            await asyncio.sleep(0.05)  # the answer to whoever asked for it
            for server in self.servers:
                server.close()
            break_all()
            await asyncio.sleep(for_ms / 1000)
            listener = listen(address[0], address[1])
            self.servers = [await asyncio.get_running_loop().create_server(protocol, sock=listener)]


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one. Raises OSError."""
    # Named TCP, or asyncio does not take it for TCP, leaves its delays on, and each answer comes 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
