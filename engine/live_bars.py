"""Closed bars of a live bot: read when they are due, and shown to the strategies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from decimal import Decimal

from engine.account_books import Books
from engine.bar_events import bar_event
from engine.exchange.gateway import GatewayError
from engine.live_clock import Clocks
from engine.live_exchange import LiveExchange
from engine.live_notices import Notifier, clause
from engine.market_data.candles import Candle
from engine.strategy.strategy import Strategy
from generated.trading.events import Payload
from runtime.dispatch import Instance

_AFTER_CLOSE = 1_000
"""How long (ms) after a bar's close it is asked for, at most: exchanges need a moment to finish it."""
_LATE = 3_000
"""The pause (ms), at most, until a bar that was not there is asked for again."""
_SILENT_BARS = 3


class Bars:
    """The bars of every symbol whose history was read, and the strategy that each of them is shown to.

    Args:
        length: how long a bar lasts, in milliseconds.
        make_strategy: makes a symbol's strategy, which has seen no bar yet.
    """

    def __init__(
        self,
        exchange: LiveExchange,
        clocks: Clocks,
        length: int,
        make_strategy: Callable[[], Strategy],
        notifier: Notifier,
    ) -> None:
        self.strategies: dict[str, Strategy] = {}
        self._exchange = exchange
        self._clocks = clocks
        self._length = length
        self._make_strategy = make_strategy
        self._notifier = notifier
        self._seen_until: dict[str, int] = {}
        self._closes: dict[str, Decimal] = {}

    def last_close(self, symbol: str) -> Decimal | None:
        """The price of the latest closed bar, None while none was read."""
        return self._closes.get(symbol)

    def event(self, symbol: str, instance: Instance) -> Payload | None:
        """What the latest closed bar is worth telling a symbol; None when nothing."""
        if symbol not in self._closes:
            return None
        return bar_event(self.strategies[symbol], instance, self._seen_until[symbol])

    async def read_histories(self, symbols: Collection[str], known: Books) -> None:
        """Show new strategies the bars that they need. One symbol without prices keeps no bot from minding the others;
        they are asked for again at each close.

        Raises:
            GatewayError: there are no prices of any symbol.
        """
        failures: dict[str, GatewayError] = {}

        async def read(symbol: str) -> None:
            try:
                await self._read_history(symbol, known)
            except GatewayError as error:
                failures[symbol] = error

        # All at once: an exchange that answers nothing is not waited for once for each symbol.
        await asyncio.gather(*(read(symbol) for symbol in symbols))
        if failures and len(failures) == len(symbols):
            raise next(iter(failures.values()))
        for symbol, failure in failures.items():
            self._notifier.trouble(
                f"bars of {symbol}",
                f"no prices: {clause(str(failure))}. Nothing is bought or sold until there are",
                symbol,
            )

    async def _read_history(self, symbol: str, known: Books) -> None:
        """Show a new strategy the bars that it needs: for its warm-up, and since the position was opened."""
        strategy = self._make_strategy()
        since = self._clocks.exchange_now() - (strategy.warm_up + 2) * self._length
        one = known.symbols.get(symbol)
        if one is not None and one.data.opened_at is not None:
            since = min(since, one.data.opened_at - self._length)
        self.strategies[symbol] = strategy
        self._seen_until[symbol] = since // self._length * self._length
        while self._has_closed(symbol) and await self._read(symbol):
            pass

    async def follow(self, symbols: Collection[str], judge: Callable[[str], None]) -> None:
        """Read each bar when it has closed, and have its symbol judged. Runs until it is cancelled."""
        while True:
            closed_at = (self._clocks.exchange_now() // self._length + 1) * self._length
            await self._clocks.sleep_until_exchange(closed_at + min(_AFTER_CLOSE, self._length // 10))
            await asyncio.gather(*(self._closed(symbol, closed_at, judge) for symbol in symbols))

    async def _closed(self, symbol: str, closed_at: int, judge: Callable[[str], None]) -> None:
        """Read the bar that closed, if there is one (in a bar without trades some exchanges show none), and judge."""
        until = self._clocks.now() + min(self._length // 2, 30_000)
        pause = min(_LATE, self._length // 5)
        while True:
            failure = ""
            try:
                while self._seen_until[symbol] < closed_at and await self._read(symbol):
                    pass
            except GatewayError as error:
                failure = f"no new prices: {clause(str(error))}. Nothing is bought until there are"
            if self._seen_until[symbol] >= closed_at:
                self._notifier.well(f"bars of {symbol}", "prices again", symbol)
                judge(symbol)
                return
            if self._clocks.now() + pause > until:
                break
            await self._clocks.sleep(pause)
        if not failure and closed_at - self._seen_until[symbol] >= _SILENT_BARS * self._length:
            failure = f"no bar for {_SILENT_BARS} bars: halted, delisted, or nobody trades. Nothing is bought meanwhile"
        if failure:
            self._notifier.trouble(f"bars of {symbol}", failure, symbol)

    async def _read(self, symbol: str) -> bool:
        """Show the strategy the next page of closed bars. True when there was a new one."""
        # What closes while the answer is on its way was open when the exchange gave it.
        since, now, new = self._seen_until[symbol], self._clocks.exchange_now(), False
        candles = await self._exchange.candles(symbol, self._length, since, now)
        for candle in sorted(candles, key=lambda one: one.opened_at):
            if self._is_next(symbol, candle) and candle.closed_at <= now:
                self.strategies[symbol].observe(candle)
                self._seen_until[symbol] = candle.closed_at
                self._closes[symbol] = candle.close
                new = True
        return new

    def _has_closed(self, symbol: str) -> bool:
        """Whether a bar must have closed since the latest that was seen."""
        return self._seen_until[symbol] + self._length <= self._clocks.exchange_now()

    def _is_next(self, symbol: str, candle: Candle) -> bool:
        return candle.length == self._length and candle.opened_at >= self._seen_until[symbol]
