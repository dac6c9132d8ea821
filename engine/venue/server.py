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
from engine.market_data.candles import Series
from engine.venue.app import Desk, make_app
from engine.venue.connections import BreakableProtocol, break_all
from engine.venue.control import Control
from engine.venue.fates import CALM, Fates, Profile
from engine.venue.journal import Journal
from engine.venue.prices import MINUTE, LivePrices, Turn, replayed, wandering
from engine.venue.script import Script
from engine.venue.settings import TURNOVER, VenueSettings
from engine.venue.streams import Streams
from engine.venue.venue import Venue
from runtime.clock import Clock

_STEP_SECS = 0.05
"""How often the books are brought up to the present while nobody asks."""


class OpenVenue:
    """A venue on its files: the books at `path`, its journal beside them.

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
        paper = settings.paper()
        journal_path = path.with_name(f"{path.name}.journal")
        if not path.exists():
            # Of books that are gone.
            journal_path.unlink(missing_ok=True)
        now = clock.now()
        self.journal = Journal(journal_path)
        if not self.journal.about("start"):
            self.journal.write("start", at=now)
        started_at = int(self.journal.about("start")[0]["at"])
        prices: dict[str, LivePrices] = {}
        for market in paper.markets:
            turns = tuple(
                msgspec.convert({k: v for k, v in line.items() if k not in ("what", "symbol")}, Turn)
                for line in self.journal.about("turn")
                if line["symbol"] == market.symbol
            )
            if candles is None:
                price = settings.prices[market.symbol]
                source = wandering(settings.seed, market.symbol, price, market.price_tick, TURNOVER)
                length = MINUTE
            else:
                length = candles[market.symbol].length
                source = replayed(candles[market.symbol], started_at)
            prices[market.symbol] = LivePrices(market.symbol, source, length, now, turns)
        try:
            self.exchange = PaperExchange(path, paper, prices)
        except BaseException:
            self.journal.close()
            raise
        script = script or Script()
        self.venue = Venue(self.exchange, prices, clock, settings.seed, settings.lags or profile.lags)
        self.desk = Desk(
            self.venue, settings, Fates(settings.seed, profile, script.rules), self.journal, clock, started_at
        )
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
        self.exchange.close()
        self.journal.close()

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
            self.venue.present()
            await asyncio.sleep(_STEP_SECS)


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
