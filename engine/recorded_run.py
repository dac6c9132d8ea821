"""The bot on a recorded market: bars in virtual time, a paper exchange with books of its own, every commit durable.

Virtual time jumps from one instant to the next at which something happens: a bar closes, the exchange acts, a timer is
due, an effect goes on. At each instant the exchange comes first, then timers, then bars. A killed run goes on at the
instant of its last commit and repeats it; what was done there before is recognised by its identity, so the resumed run
ends where an uninterrupted one ends.

Commits are grouped: they become durable, all at once, before a request leaves for the exchange, and by then the
exchange has in its books whatever they rest on. So no request is ever ahead of the commit that asked for it, and no
commit ahead of what it was told. What a kill takes is what nobody outside has seen; virtual time brings it again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2s
from pathlib import Path

import msgspec

from engine.actions import TradingActions
from engine.bar_events import bar_event
from engine.effects import TradingEffects
from engine.exchange.faults import PROFILES
from engine.exchange.gateway import Market, OrderState
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import PaperSettings
from engine.exchange.paper_gateway import PaperGateway
from engine.exchange.price_path import PricePath
from engine.guards import TradingGuards
from engine.market_data.candles import Candle, Series
from engine.order_events import event_for
from engine.settings import Settings
from engine.sizing import SizingRules
from engine.stores import Place, open_recorded
from engine.strategy.drop_buy import DropBuy
from engine.strategy.strategy import Strategy
from generated.trading import (
    DEFINITION,
    Config,
    Phase,
    RecoverRequested,
)
from generated.trading.events import Payload
from generated.trading.handlers import Actions, EffectHandlers, Guards
from runtime.clock import VirtualClock
from runtime.errors import ConfigError, StoreError
from runtime.events import EventContext, Receipt
from runtime.grouped_store import GroupedSqliteStore
from runtime.machine import Machine
from runtime.worker import Restart, Worker

Bars = Sequence[tuple[str, Candle]]
_PARTICIPATION = Decimal("0.25")
"""The share of a bar's volume that our orders can have: thin bars fill an order in part only."""


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. Instants in milliseconds since the epoch; bars over all symbols."""

    now: int
    bars_done: int
    bars: int


class RecordedRun:
    """One bot, one paper exchange, one recorded market.

    Args:
        series: the bars by symbol; all symbols share one quote currency.
        database: the bot's database, None to keep nothing.
        exchange_database: the paper exchange's own books.
        group: after how many instants, at most, what happened is made durable; also, progress is told then and a wish
            to stop is heard.

    Raises:
        ConfigError: the settings or the symbols do not fit.
        StoreError, PaperExchangeError: a database cannot be used, or belongs to another run.
    """

    def __init__(
        self,
        series: Mapping[str, Series],
        settings: Settings,
        config: Config,
        database: Place | None,
        exchange_database: Path,
        *,
        group: int = 256,
    ) -> None:
        self.series = series
        self._group = group
        self.markets = {symbol: paper_market(one, settings) for symbol, one in sorted(series.items())}
        self.quote = _only_quote(self.markets)
        self._bars = _by_close(series)
        # Before any file is made: a database made for a misspelt setting would refuse the right one.
        parameters = settings.strategy_parameters()
        self._strategies: dict[str, Strategy] = {symbol: DropBuy(parameters) for symbol in self.markets}
        rules = SizingRules(stop_pct=settings.stop_loss_pct)
        guards: Guards = TradingGuards(self.markets, rules)
        actions: Actions = TradingActions(self.markets, rules)
        machine = Machine(DEFINITION, guards, actions, config)
        self.store = open_recorded(database, fingerprint(series, settings))
        try:
            start = self.store.last_event_at()
            begins = min(one.candles[0].opened_at for one in series.values())
            self.clock = VirtualClock(begins if start is None else start)
            self.exchange = self._open_exchange(exchange_database, settings, resuming=start is not None)
        except BaseException:
            self.store.close()
            raise
        self.gateway = PaperGateway(self.exchange, self.clock, self._before_sending)
        effects: EffectHandlers = TradingEffects(
            self.gateway, self._strategies, lambda intent_id: self.worker.intent(intent_id)
        )
        self.worker = Worker(
            machine,
            self.store,
            self.clock,
            effects,
            slots=settings.max_slots,
            identity_expiry=settings.identity_expiry,
        )
        self._next = 0

    def _open_exchange(self, path: Path, settings: Settings, *, resuming: bool) -> PaperExchange:
        if resuming and not path.exists():
            raise StoreError(
                f"{path}: the paper exchange's books are missing, but the bot has traded on them. Put the file "
                "back, or start anew with `phasewright run --fresh`."
            )
        return PaperExchange(
            path,
            PaperSettings(
                markets=tuple(self.markets.values()),
                balances={self.quote: settings.start_cash},
                seed=settings.seed,
                profile=PROFILES[settings.faults],
                participation=_PARTICIPATION,
                slice_ms=max(one.length for one in self.series.values()),
            ),
            {symbol: PricePath(one) for symbol, one in self.series.items()},
            "FULL",
            # Neither side's books may be behind the other's when the process is killed.
            grouped=not self.store.waits,
        )

    async def start(self) -> Restart:
        """Load what is stored, tell the strategies what they have seen, and connect to the exchange."""
        now = self.clock.now()
        while self._next < len(self._bars) and self._bars[self._next][0] <= now:
            self._observe(self._bars[self._next][1])
            self._next += 1
        self.exchange.subscribe(self._on_report)
        restart = await self.worker.start()
        balances = await self.gateway.balances()
        if not self.worker.portfolio.balances():
            await self.worker.deposit("opening balance", self.quote, balances[self.quote])
        for symbol in self.markets:
            if symbol not in self.worker.instances and symbol not in self.worker.quarantined:
                await self.worker.create(symbol)
        self.exchange.resume(now)
        latest, closing = self._bars[self._next - 1] if self._next else (None, [])
        await self._instant(now, closing if latest == now else [])
        return restart

    async def run(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Trade to the end of the data. Safe to cancel or to kill at any moment."""
        if not self._bars:
            return
        end = self._bars[-1][0]
        bars = sum(len(closing) for _, closing in self._bars)
        done, counted, instants = 0, 0, 0
        while (upcoming := self._pass_quiet_bars()) is not None and upcoming[0] <= end:
            instant, closing = upcoming
            if instant > self.clock.now() and max(instants, self._next - counted) >= self._group:
                self._flush()
                done += sum(len(passed) for _, passed in self._bars[counted : self._next])
                counted, instants = self._next, 0
                if on_progress:
                    on_progress(Progress(instant, done, bars))
                await asyncio.sleep(0)
            await self._instant(instant, closing)
            instants += 1
        self._flush()
        if on_progress:
            on_progress(Progress(end, bars, bars))

    async def recover(self, symbol: str, requested_by: str) -> tuple[Receipt, str]:
        """Ask for a symbol in ERROR to be recovered, and follow it until the exchange has answered.

        Returns the receipt of the request and the phase that the symbol is in afterwards.
        """
        request = RecoverRequested(requested_by=requested_by)
        receipt = await self.worker.process(EventContext(request.event, symbol, self.clock.now(), request))
        await self.worker.settle()
        instance = self.worker.instances[symbol]
        while instance.phase == Phase.RECOVERING and (instant := self._next_due()) is not None:
            await self._instant(instant, [])
        self._flush()
        return receipt, instance.phase

    async def close(self) -> None:
        """Let both databases go. What they do not have yet, the next run does again."""
        await self.worker.stop()
        self.exchange.close()

    def _before_sending(self) -> None:
        # A second request of the same instant finds what led to it on disk already.
        if not isinstance(self.store, GroupedSqliteStore) or self.store.is_ahead:
            self._flush()

    def _flush(self) -> None:
        """Make every commit durable, after what the exchange did: it must never know less than the bot."""
        self.exchange.flush()
        if isinstance(self.store, GroupedSqliteStore):
            self.store.flush()

    def _next_due(self) -> int | None:
        """When something happens next, bars apart."""
        known = (self.exchange.next_event_at(), self.worker.next_timer_at(), self.clock.next_wake())
        return min((instant for instant in known if instant is not None), default=None)

    def _pass_quiet_bars(self) -> tuple[int, Bars] | None:
        """Go on to the next instant at which something happens, and the bars that close there; None when nothing will.

        A bar that changes nothing costs a look at it. After a group of those there is an instant all the same, so that
        whoever waits for progress, or wishes to stop, has a turn.
        """
        due, bars = self._next_due(), self._bars
        if self._next == len(bars):
            return None if due is None else (due, [])
        for place in range(self._next, min(self._next + self._group, len(bars))):
            instant, closing = bars[place]
            if due is not None and due < instant:
                return due, []
            self._next = place + 1
            self._observe(closing)
            if instant == due or self._worth_telling(instant, closing):
                return instant, closing
        return bars[self._next - 1][0], []

    async def _instant(self, instant: int, closing: Bars) -> None:
        """Everything that happens at one instant, in its fixed order."""
        self.clock.advance_to(instant)
        self.exchange.advance(instant)
        self.exchange.deliver(instant)
        await self._settle()
        worth_telling = self._worth_telling(instant, closing)
        if worth_telling:
            for symbol, payload in worth_telling:
                self._post(symbol, instant, payload)
            await self._settle()

    async def _settle(self) -> None:
        while not self.worker.idle or self.worker.fire_timers():
            await self.worker.settle()

    def _observe(self, closing: Bars) -> None:
        for symbol, candle in closing:
            self._strategies[symbol].observe(candle)

    def _worth_telling(self, instant: int, closing: Bars) -> list[tuple[str, Payload]]:
        """The event for each symbol whose closing bar is worth one: what changes nothing costs nothing."""
        instances, strategies, found = self.worker.instances, self._strategies, []
        for symbol, _ in closing:
            instance = instances.get(symbol)
            if instance is None or (payload := bar_event(strategies[symbol], instance, instant)) is None:
                continue
            if instance.phase == Phase.IDLE and instance.snapshot.entered_at == instant:
                # It may be idle because of this very bar; a run that is resumed here would judge the bar once more.
                continue
            found.append((symbol, payload))
        return found

    def _on_report(self, state: OrderState) -> None:
        if state.symbol in self.worker.instances:
            self._post(state.symbol, state.updated_at, event_for(state))

    def _post(self, symbol: str, at: int, payload: Payload) -> None:
        self.worker.post(EventContext(payload.event, symbol, at, payload))


def paper_market(series: Series, settings: Settings) -> Market:
    """The rules that the paper exchange has for a recorded symbol: the tick of its prices, steps worth about a cent."""
    base, _, quote = series.symbol.partition("/")
    if not quote:
        raise ConfigError(
            f"{series.symbol}: the name must be BASE/QUOTE, as in BTC/USD, to know what is paid with what."
        )
    first = series.candles[0].close
    tick = min(int(candle.close.as_tuple().exponent) for candle in series.candles[:500])
    fee = settings.fee_pct / 100
    return Market(
        symbol=series.symbol,
        base=base,
        quote=quote,
        amount_step=Decimal(1).scaleb(-(first.adjusted() + 3)),
        price_tick=Decimal(1).scaleb(min(tick, 0)),
        min_amount=Decimal(1).scaleb(-(first.adjusted() + 3)),
        min_notional=Decimal(10),
        maker_fee=fee,
        taker_fee=fee,
        fee_in_base=settings.fee_in_base,
    )


def fingerprint(series: Mapping[str, Series], settings: Settings) -> str:
    """Names a run: the same data and settings give the same name, and with it the same client order ids."""
    trading = msgspec.structs.replace(settings, snapshots=True, snapshot_dir="")
    digest = blake2s(msgspec.json.encode(trading), digest_size=8)
    for _, one in sorted(series.items()):
        digest.update(msgspec.json.encode(one))
    return f"recorded-{digest.hexdigest()}"


def _only_quote(markets: Mapping[str, Market]) -> str:
    quotes = sorted({market.quote for market in markets.values()})
    if len(quotes) != 1:
        raise ConfigError(
            f"the symbols are priced in {', '.join(quotes)}; one account trades in one quote currency. "
            "Give only files of one quote currency with --data."
        )
    return quotes[0]


def _by_close(series: Mapping[str, Series]) -> list[tuple[int, Bars]]:
    closing: defaultdict[int, list[tuple[str, Candle]]] = defaultdict(list)
    for symbol, one in sorted(series.items()):
        length = one.length
        for candle in one.candles:
            closing[candle.opened_at + length].append((symbol, candle))
    return sorted(closing.items())
