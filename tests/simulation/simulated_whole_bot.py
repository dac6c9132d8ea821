"""The whole live bot on the simulated exchange: with its bars, its feed of orders and its reconciliation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from simulated_run import CAPITAL, MARKETS, BotProcess, SimulatedRun, WhimsicalStrategy

from engine.exchange.gateway import Gateway, GatewayError, OrderState
from engine.exchange.history import Execution
from engine.exchange.key_rights import KeyRights
from engine.exchange.order_feed import LiveOrders, OrderFeed
from engine.exchange.wire import Cause, Failed
from engine.live_errors import TradeError
from engine.live_notices import Notice
from engine.live_run import LiveRun, prepare_patiently
from engine.live_settings import LiveSettings
from engine.market_data.candles import Candle
from engine.settings import Settings
from generated.trading import Config

PAGE = 100
_ENDED = Failed(Cause.RESET, "NetworkError", message="the stream has ended")


class WholeBotProcess(BotProcess):
    """One life of the bot as `phasewright trade` runs it."""

    def __init__(self, run: SimulatedRun, clock_offset: int) -> None:
        super().__init__(run, clock_offset)
        self.exchange = SimulatedLiveExchange(self)
        self.bot = LiveRun(
            self.exchange,
            self.disk,
            self.clock,
            Settings(max_slots=run.slots),
            LiveSettings(timeframe="1m", trading_cash=CAPITAL),
            Config(),
            tuple(MARKETS),
            self._tell,
            lambda: WhimsicalStrategy(run),
        )

    def begin(self) -> None:
        """The worker is made by the bot, once it is prepared."""

    async def live(self) -> None:
        try:
            await prepare_patiently(self.bot, self._tell, asyncio.Event())
            await self.bot.start()
            self.worker = self.bot.worker
            self.ready = True
            await self.bot.run(asyncio.Event())
        except TradeError as error:
            self.run.world.note("told", str(error))
            self.kill("gave up")

    def report(self, state: OrderState) -> None:
        self.exchange.changed(state.client_order_id)

    def _tell(self, notice: Notice) -> None:
        self.run.world.note("told", notice.symbol, notice.text)


class SimulatedLiveExchange:
    """What a live bot asks besides orders; its bars come without fail."""

    name = "binance"
    key_refusal = ""

    def __init__(self, process: WholeBotProcess) -> None:
        self._process = process
        self._changed: list[str] = []
        self._told: set[tuple[str, str]] = set()
        self._news: asyncio.Future[None] | None = None

    @property
    def gateway(self) -> Gateway:
        return self._process.gateway

    async def rights(self) -> KeyRights:
        return KeyRights(may_trade=True)

    async def clock_offset(self) -> int:
        shown = await self._process.wire.server_time()
        return _answer(shown) - self._process.clock.now()

    async def free(self, currency: str) -> Decimal:
        return self._process.run.exchange.balances[currency]

    async def candles(self, symbol: str, length: int, since: int, now: int) -> Sequence[Candle]:
        opened = range(-(-since // length) * length, self._process.run.world.now, length)[:PAGE]
        hundred = Decimal(100)
        return [Candle(at, hundred, hundred, hundred, hundred, Decimal(1), length) for at in opened]

    async def news(self, symbol: str, since: int) -> Sequence[Execution] | None:
        if self._process.wire.is_down:
            raise GatewayError(str(_ENDED))
        untold = [
            Execution(trade, order.request.side, order.exchange_order_id, order.request.client_order_id)
            for order in self._process.run.exchange.orders
            for trade in order.trades
            if order.request.symbol == symbol and trade.at >= since and (symbol, trade.trade_id) not in self._told
        ]
        self._told.update((symbol, one.trade.trade_id) for one in untold)
        return untold

    async def open_orders(self, symbols: Collection[str]) -> Mapping[str, Sequence[OrderState]] | None:
        return None

    async def watch(self, live_orders: LiveOrders) -> None:
        await OrderFeed(self._process.gateway, self._process.clock, live_orders, self._changes).run()

    async def _changes(self) -> Sequence[str] | Failed:
        if self._process.wire.is_down:
            return _ENDED
        if not self._changed:
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        changed, self._changed = self._changed, []
        return changed

    def changed(self, client_order_id: str) -> None:
        """The stream tells of an order."""
        self._changed.append(client_order_id)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def close(self) -> None: ...


def _answer(answer: Any) -> Any:
    if isinstance(answer, Failed):
        raise GatewayError(str(answer))
    return answer
