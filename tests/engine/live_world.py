"""A live bot in virtual time: the real run, machine and worker, the paper exchange, and a door through which a test
meddles with the account as its owner could."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.exchange.faults import CALM, FaultProfile
from engine.exchange.gateway import (
    GatewayError,
    KeyRefusedError,
    Market,
    OrderRequest,
    OrderState,
    OrderType,
    Side,
    Stamp,
    Unknown,
)
from engine.exchange.history import Execution
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_feed import LiveOrders
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import PaperSettings
from engine.exchange.paper_gateway import PaperGateway
from engine.exchange.price_path import PricePath
from engine.live_notices import Notice, What
from engine.live_run import LiveRun
from engine.live_settings import LiveSettings
from engine.market_data.candles import Candle, Series
from engine.settings import Settings
from generated.trading import Config
from runtime.clock import VirtualClock
from runtime.memory_store import MemoryStore

T = TypeVar("T")

MINUTE = 60_000
START = 1_700_000_000_000 // MINUTE * MINUTE
WAVE = [100, 100, 101, 102, 99, 101, 103, 103]
"""Falls by 2.9 % once, and rises by 4 %: one trade."""
PROMPT = msgspec.structs.replace(CALM, name="prompt", up_ms=(10, 10), down_ms=(10, 10), split=0)
SETTINGS = Settings(lookback=3, drop_pct=Decimal(2), take_profit_pct=Decimal(2), stop_loss_pct=Decimal(20), max_slots=1)
LIVE = LiveSettings(timeframe="1m")


class KeptMemory(MemoryStore):
    """Outlives the worker that closes it, as a file does."""

    def close(self) -> None:
        pass


def market(symbol: str) -> Market:
    base, _, quote = symbol.partition("/")
    step = Decimal("0.001")
    fee = Decimal("0.001")
    return Market(symbol, base, quote, step, Decimal("0.01"), step, Decimal(10), fee, fee, fee_in_base=False)


def series(symbol: str, closes: Sequence[int]) -> Series:
    last, candles = Decimal(closes[0]), []
    for number, close in enumerate(closes):
        now = Decimal(close)
        opened_at = START + number * MINUTE
        candles.append(Candle(opened_at, last, max(last, now), min(last, now), now, Decimal(10**6), MINUTE))
        last = now
    return Series(symbol, MINUTE, tuple(candles))


class MeddledGateway(PaperGateway):
    """Shows what it is told to show instead of the truth, where a test told it to."""

    def __init__(self, exchange: PaperExchange, clock: VirtualClock) -> None:
        super().__init__(exchange, clock)
        self.clock = clock
        self.shown: dict[str, OrderState | Unknown | None] = {}
        self.open: list[OrderState] | None = None
        self.asked_for_open: list[str] = []
        self.failing: GatewayError | None = None
        self.refused = ""
        self.hidden: dict[str, Decimal] = {}
        self.halted: set[str] = set()
        self.lists_fail_after: int | None = None
        self.lists_take = 0

    async def balances(self) -> Any:
        if self.refused:
            raise KeyRefusedError(self.refused)
        if self.failing is not None:
            raise self.failing
        balances = await super().balances()
        return {name: amount - self.hidden.get(name, 0) for name, amount in balances.items()}

    async def markets(self) -> Any:
        if self.failing is not None:
            raise self.failing
        return {
            symbol: msgspec.structs.replace(one, halted=symbol in self.halted)
            for symbol, one in (await super().markets()).items()
        }

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        if client_order_id in self.shown:
            return self.shown[client_order_id]
        return await super().look_up(symbol, client_order_id)

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        self.asked_for_open.append(symbol)
        if self.failing is not None:
            raise self.failing
        await self.clock.sleep_until(self.clock.now() + self.lists_take)
        if self.lists_fail_after is not None:
            await self.clock.sleep_until(self.clock.now() + self.lists_fail_after)
            raise GatewayError("no answer")
        if self.open is None:
            return await super().open_orders(symbol)
        return [state for state in self.open if state.symbol == symbol]


class AnchoredVirtualClock(VirtualClock):
    """Virtual time of a run, and a machine's clock beside it that a test sets."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.set_ahead = self.followed = 0

    def set_by(self) -> int:
        return self.set_ahead

    def follow(self) -> None:
        self._now += self.set_ahead
        self.followed += self.set_ahead
        self.set_ahead = 0


class PaperLive:
    """`LiveExchange` over the paper exchange."""

    name = "paper"

    def __init__(self, exchange: PaperExchange, clock: AnchoredVirtualClock, bars: dict[str, Series]) -> None:
        self.paper = exchange
        self.clock = clock
        self.bars = bars
        self.gateway = MeddledGateway(exchange, clock)
        self.key_refusal = ""
        self.offset = 0
        self.asked_for_bars = 0
        self.now_taken_for = 0
        """How far (ms) ahead of it the instant was that the bars were last asked for as the exchange's present."""
        self.bars_fail: bool | str = False
        self.executions: list[Execution] = []
        self.open_at_once: Mapping[str, Sequence[OrderState]] | GatewayError | None = None
        self.key_rights: KeyRights | GatewayError = KeyRights(may_trade=True)

    async def rights(self) -> KeyRights:
        if isinstance(self.key_rights, GatewayError):
            raise self.key_rights
        return self.key_rights

    async def clock_offset(self) -> int:
        if self.gateway.failing is not None:
            raise self.gateway.failing
        return self._ahead

    @property
    def _ahead(self) -> int:
        return self.offset - self.clock.followed

    async def free(self, currency: str) -> Decimal:
        return self.paper.free().get(currency, Decimal(0))

    async def candles(self, symbol: str, length: int, since: int, now: int) -> Sequence[Candle]:
        if self.bars_fail in (True, symbol):
            raise GatewayError("the bars cannot be read")
        shown = self.clock.now() + self._ahead
        self.now_taken_for = now - shown
        self.asked_for_bars += 1
        return [one for one in self.bars[symbol].candles if since <= one.opened_at <= shown][:50]

    async def news(self, symbol: str, since: int) -> Sequence[Execution] | None:
        told, self.executions = self.executions, []
        return told

    async def open_orders(self, symbols: Collection[str]) -> Mapping[str, Sequence[OrderState]] | None:
        if isinstance(self.open_at_once, GatewayError):
            raise self.open_at_once
        return self.open_at_once

    async def watch(self, live_orders: LiveOrders) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...


class LiveWorld:
    """One account on one exchange and, from `start` on, a bot on it."""

    def __init__(
        self,
        folder: Path,
        *symbols: str,
        closes: Sequence[int] = WAVE * 20,
        deposits: dict[str, Decimal] | None = None,
        profile: FaultProfile = PROMPT,
        settings: Settings = SETTINGS,
        live: LiveSettings = LIVE,
        begin: int = 5,
    ) -> None:
        self.symbols = symbols or ("BTC/USD",)
        self.settings, self.live = settings, live
        self.may_act = True
        self.clock = AnchoredVirtualClock(START + begin * MINUTE + 500)
        bars = {symbol: series(symbol, closes) for symbol in self.symbols}
        paper = PaperSettings(
            tuple(market(symbol) for symbol in self.symbols),
            {"USD": Decimal(10_000)} if deposits is None else deposits,
            1,
            profile,
            participation=Decimal("0.25"),
        )
        self.paper = PaperExchange(
            folder / "exchange.db", paper, {symbol: PricePath(one) for symbol, one in bars.items()}
        )
        self.paper.resume(self.clock.now())
        self.exchange = PaperLive(self.paper, self.clock, bars)
        self.store = KeptMemory("a-bot")
        self.notices: list[Notice] = []
        self.runner = asyncio.Runner()
        self.bot: LiveRun
        self._running: asyncio.Task[None] | None = None
        self._stopping: asyncio.Event

    def close(self) -> None:
        self.kill()
        self.runner.close()
        self.paper.close()

    # -- the bot ---------------------------------------------------------------------------------------------------

    def new_bot(self, *symbols: str, config: Config = Config()) -> LiveRun:  # noqa: B008
        self.bot = LiveRun(
            self.exchange,
            self.store,
            self.clock,
            self.settings,
            self.live,
            config,
            symbols or self.symbols,
            self.notices.append,
        )
        return self.bot

    def start(self, *symbols: str) -> LiveRun:
        """A new bot on the store, prepared, started and running."""
        return self.start_this(self.new_bot(*symbols))

    def start_this(self, bot: LiveRun) -> LiveRun:
        async def begin() -> None:
            await bot.prepare()
            self._stopping = asyncio.Event()
            await bot.start()
            self._running = asyncio.create_task(bot.run(self._stopping, lambda: self.may_act))

        self.do(begin())
        return bot

    def kill(self) -> None:
        """The process is gone: nothing more is committed, and nobody says goodbye."""
        if self._running is None:
            return
        running, self._running = self._running, None

        async def end() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.bot.worker._outbox.stop()

        self.runner.run(end())
        self._forget()

    def _forget(self) -> None:
        """The connection over which the exchange told its reports is closed."""
        self.paper._listeners.clear()

    def stop(self) -> None:
        """As SIGTERM does."""
        assert self._running is not None
        self._stopping.set()
        self.do(self._running)
        self._running = None
        self.do(self.bot.close())
        self._forget()

    # -- time ------------------------------------------------------------------------------------------------------

    def do(self, call: Awaitable[T]) -> T:
        """Let time pass until `call` is done."""
        return self.runner.run(self._do(call))

    async def _do(self, call: Awaitable[T]) -> T:
        task = asyncio.ensure_future(call)
        for _ in range(100_000):
            await _spin()
            if task.done():
                return task.result()
            self._step(None)
        raise AssertionError("it never ends")

    def wait(self, milliseconds: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, at most until it is so."""

        async def passing() -> bool:
            end = self.clock.now() + milliseconds
            while True:
                await _spin()
                if self._running is not None and self._running.done():
                    self._running.result()
                if until():
                    return True
                if self.clock.now() >= end:
                    return False
                self._step(end)

        return self.runner.run(passing())

    def wait_for(self, what: Callable[[], bool], minutes: int = 60) -> None:
        """Let time pass until it is so."""
        assert self.wait(minutes * MINUTE, what), f"not within {minutes} minutes; {self.lines()[-5:]}"

    def _step(self, end: int | None) -> None:
        known = (self.clock.next_wake(), self.paper.next_event_at(), end)
        instant = min((at for at in known if at is not None), default=self.clock.now())
        self.clock.advance_to(max(instant, self.clock.now()))
        self.paper.advance(self.clock.now())
        self.paper.deliver(self.clock.now())

    # -- the account's owner ---------------------------------------------------------------------------------------

    def by_hand(self, side: str, amount: object, symbol: str = "BTC/USD", price: object = None) -> None:
        """Somebody trades on the account, without the bot."""
        now = self.clock.now()
        request = OrderRequest(
            f"by-hand-{now}",
            symbol,
            Side(side),
            OrderType.MARKET if price is None else OrderType.LIMIT,
            Decimal(str(amount)),
            None if price is None else Decimal(str(price)),
        )
        self.paper.send_order(request, Stamp(1, now, now + 5_000), now)
        self.wait(1_000)

    # -- looking ---------------------------------------------------------------------------------------------------

    def phase(self, symbol: str = "BTC/USD") -> str:
        return self.bot.worker.instances[symbol].phase

    def data(self, symbol: str = "BTC/USD") -> Any:
        return self.bot.worker.instances[symbol].data

    def lines(self, what: What | None = None) -> list[str]:
        return [notice.text for notice in self.notices if what is None or notice.what is what]

    def path(self, symbol: str = "BTC/USD") -> list[str]:
        return [row.phase_to for row in self.store.audit(symbol) if row.phase_to != row.phase_from]


async def _spin() -> None:
    for _ in range(40):
        await asyncio.sleep(0)
