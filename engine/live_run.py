"""The bot on the real clock: closed bars and reports of orders become events, and the exchange is held against the
books from its start on, again and again.

Nothing here decides about orders: the machine does, one commit per event, and whatever is under way at a crash is in
its outbox. So the bot can be stopped or killed at any moment; orders that are live stay live at the exchange, and the
next start looks after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from engine.account_books import books_of, live_orders
from engine.actions import TradingActions
from engine.effects import TradingEffects
from engine.exchange.gateway import GatewayError, KeyRefusedError
from engine.guards import TradingGuards
from engine.live_bars import Bars
from engine.live_clock import Clocks
from engine.live_errors import TradeError, key_refused
from engine.live_events import post, process
from engine.live_exchange import LiveExchange, ask_again_after
from engine.live_notices import Notice, Notifier, Tell, What, clause, notice_of
from engine.live_preparing import OPENING, OPENING_ENTRY, THIRD_CURRENCY, Preparation, Prepared
from engine.live_reconciling import Reconciling
from engine.live_reports import OrderReports
from engine.live_settings import LiveSettings
from engine.settings import Settings
from engine.sizing import SizingRules
from engine.strategy.drop_buy import DropBuy
from engine.strategy.strategy import Strategy
from generated.trading import DEFINITION, Config, Phase, RecoverRequested
from generated.trading.handlers import Actions, EffectHandlers, Guards
from runtime.clock import AnchoredClock
from runtime.events import Outcome, Receipt
from runtime.machine import Machine
from runtime.store import Commit, Store
from runtime.worker import Restart, Worker

_WORTH_A_LOOK = {
    "BUY_ORDER_REJECTED",
    "SELL_ORDER_REJECTED",
    "ORDER_OUTCOME_UNKNOWN",
    "CANCEL_OUTCOME_UNKNOWN",
    "RECONCILED",
}
_SUBMITTING = (Phase.PLACE_BUY, Phase.PLACE_SELL)
_ANSWERS = 5_000
"""How long (ms) a bot that is told to stop waits for the answers to its orders."""


class LiveRun:
    """One bot on one account.

    Args:
        symbols: those in which new trades may begin. Others that the store knows are looked after until they are flat.
        tell: takes what there is to tell; it must not wait.
        make_strategy: makes a symbol's strategy, by default the one that `settings` describe.
    """

    worker: Worker
    """From `start` on, as are `reports` and `reconciling`."""
    reports: OrderReports
    reconciling: Reconciling

    def __init__(
        self,
        exchange: LiveExchange,
        store: Store,
        clock: AnchoredClock,
        settings: Settings,
        live: LiveSettings,
        config: Config,
        symbols: Sequence[str],
        tell: Tell,
        make_strategy: Callable[[], Strategy] | None = None,
    ) -> None:
        self.clock = clock
        self._exchange = exchange
        self._store = store
        self._settings = settings
        self._live = live
        self._config = config
        self._symbols = tuple(dict.fromkeys(symbols))
        self._tell = tell
        self._changed = asyncio.Event()
        self._prepared: Prepared
        self._notifier = notifier = Notifier(tell, clock.now, self._phase_of)
        self._clocks = clocks = Clocks(clock, exchange, notifier)
        make = make_strategy or (lambda: DropBuy(settings.strategy_parameters()))
        self._bars = bars = Bars(exchange, clocks, live.bar, make, notifier)
        self._preparation = Preparation(exchange, store, clocks, bars, settings, live, self._symbols, notifier)

    # -- starting --------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Ask the exchange for all that a start needs. Sends no order and writes nothing; it may be repeated.

        Raises:
            GatewayError: the exchange gives no answer; later it may, or to another machine.
            TradeError: asking again would not help.
        """
        try:
            self._prepared = await self._preparation.ask()
        except KeyRefusedError as error:
            raise TradeError(key_refused(self._exchange.name, str(error))) from None

    async def start(self) -> Restart:
        """Load what is stored, go on with what was under way, and judge what is held.

        Raises:
            StoreError, LedgerMismatch: the books cannot be read, or do not add up.
        """
        exchange, clocks, prepared = self._exchange, self._clocks, self._prepared
        rules = SizingRules(stop_pct=self._settings.stop_loss_pct)
        guards: Guards = TradingGuards(prepared.markets, rules)
        actions: Actions = TradingActions(prepared.markets, rules)
        effects: EffectHandlers = TradingEffects(
            exchange.gateway, self._bars.strategies, lambda intent_id: self.worker.intent(intent_id)
        )
        self.worker = worker = Worker(
            Machine(DEFINITION, guards, actions, self._config),
            self._store,
            self.clock,
            effects,
            slots=self._settings.max_slots,
            identity_expiry=self._settings.identity_expiry,
            on_commit=self._on_commit,
        )
        self.reconciling = Reconciling(
            exchange,
            worker,
            self._store.namespace,
            prepared.markets,
            prepared.opened_at,
            self._live,
            clocks,
            self._notifier,
        )
        self.reports = OrderReports(exchange, worker, clocks, self._notifier)
        exchange.gateway.subscribe(self.reports.take)
        restart = await worker.start()
        if prepared.opening and not worker.portfolio.is_booked(OPENING_ENTRY):
            await worker.deposit(OPENING, prepared.quote, prepared.opening)
        for symbol in self._symbols:
            if symbol not in worker.instances and symbol not in worker.quarantined:
                await worker.create(symbol)
        self._preparation.tell_rights(prepared.rights)
        self._tell_start(restart)
        for symbol in worker.instances:
            # A position is judged at once, after however long an absence and however long the exchange takes to show
            # its orders; a purchase waits for the next close, and until they agree with the books.
            self._judge(symbol, entering=False)
        return restart

    def _tell_start(self, restart: Restart) -> None:
        notifier, prepared = self._notifier, self._prepared
        for quarantined in restart.quarantined:
            text = f"does not start: {clause(quarantined.reason)}. {quarantined.way_out}"
            notifier.say(What.TROUBLE, text, quarantined.instance)
        for symbol, instance in self.worker.instances.items():
            listed = prepared.markets.get(symbol)
            is_flat = books_of(self.worker, self._store.namespace).symbols[symbol].is_flat
            if (listed is None or listed.halted) and not is_flat:
                notifier.say(
                    What.TROUBLE,
                    f"is in {instance.phase}, but {self._exchange.name} does not trade it at present; it is looked "
                    "after as far as the exchange answers",
                    symbol,
                )
            elif symbol not in self._symbols and instance.phase not in (Phase.IDLE, Phase.WARMUP):
                notifier.note(
                    "is not among the symbols: it is looked after until it is flat, and not bought again", symbol
                )
            if instance.phase == Phase.ERROR:
                notifier.say(What.TROUBLE, f"is in ERROR: {instance.data.last_error}", symbol)
        wanted, opened_with = self._live.trading_cash, prepared.opened_with
        if wanted and opened_with is not None and wanted != opened_with:
            cash = self.worker.portfolio.cash(prepared.quote)
            notifier.note(
                f"TRADING_CASH is {wanted}, but this database was opened with {opened_with:f} {prepared.quote}, and no "
                f"later start adds or takes any. The bot goes on with the {cash:f} {prepared.quote} that its books "
                "have in cash. To trade another amount, start with a new database"
            )
        if restart.open_intents:
            notifier.note(f"going on with {restart.open_intents} requests that were under way")

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(self, stopping: asyncio.Event, may_act: Callable[[], bool] = lambda: True) -> None:
        """Trade until `stopping` is set. Safe to kill at any moment.

        Args:
            may_act: whether the account is still this process's to trade on.

        Raises:
            TradeError: the exchange refuses the key.
            StoreError: something could not be written.
        """
        work: list[Coroutine[Any, Any, None]] = [
            self.worker.run(stopping),
            self._bars.follow(
                self._prepared.markets, lambda symbol: self._judge(symbol, entering=symbol in self._symbols)
            ),
            self.reconciling.run(),
            self.reports.follow(self.live_orders),
            self._clocks.watch(self.reconciling.soon),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._hear_answers(may_act)

    async def _hear_answers(self, may_act: Callable[[], bool]) -> None:
        """Wait, and not for long, for the answers to orders that are on their way. Whoever goes on without them must
        wait until the exchange can no longer come to have them."""
        heard = asyncio.Event()
        working = asyncio.create_task(self.worker.run(heard))
        alarm = asyncio.create_task(self._clocks.sleep(_ANSWERS))
        try:
            while may_act() and self._is_submitting() and not alarm.done() and not working.done():
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait((changed, alarm, working), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            heard.set()
            alarm.cancel()
            await working

    def _is_submitting(self) -> bool:
        return any(instance.phase in _SUBMITTING for instance in self.worker.instances.values())

    async def close(self) -> None:
        """Finish the commit that is being written and let everything go. Orders that are live stay live."""
        if hasattr(self, "worker"):
            await self.worker.stop()
        else:
            self._store.close()
        await self._exchange.close()

    def live_orders(self) -> list[tuple[str, str]]:
        """Symbol and client order id of every order that may be live at the exchange."""
        return live_orders((symbol, instance.data) for symbol, instance in self.worker.instances.items())

    async def recover(self, symbol: str, requested_by: str) -> tuple[Receipt, str, str]:
        """Ask for a symbol in ERROR to be recovered, wait until the exchange has answered, and hold its account against
        the books once more.

        Returns the receipt, the phase that it is in afterwards, and why it is in ERROR still or again, if it is.
        """
        receipt = await process(self.worker, symbol, self.clock.now(), RecoverRequested(requested_by=requested_by))
        instance = self.worker.instances[symbol]
        while receipt.outcome is Outcome.HANDLED and instance.phase == Phase.RECOVERING:
            self._changed.clear()
            await self._changed.wait()
        if receipt.outcome is Outcome.HANDLED and instance.phase != Phase.ERROR:
            await self.reconciling.once({symbol})
        note = instance.data.last_error if instance.phase == Phase.ERROR else None
        return receipt, instance.phase, note or ""

    def _judge(self, symbol: str, *, entering: bool) -> None:
        instance = self.worker.instances.get(symbol)
        if instance is None:
            return
        if instance.phase == Phase.IDLE and not (entering and self.reconciling.may_buy(symbol)):
            return
        payload = self._bars.event(symbol, instance)
        if payload is not None:
            post(self.worker, symbol, self.clock.now(), payload)

    def _on_commit(self, commit: Commit) -> None:
        self._changed.set()
        for row in commit.audit:
            notice = notice_of(row)
            if notice is not None:
                self._tell(notice)
            if row.event in _WORTH_A_LOOK:
                self.reconciling.soon(row.instance)
        for entry in () if commit.portfolio is None else commit.portfolio.entries:
            fee_in = entry.details.get("fee_currency")
            if fee_in and fee_in not in (entry.details["base"], entry.details["quote"]):
                told = f"the fee of trade {entry.details['trade_id']} was {entry.details['fee']} {fee_in}"
                self._notifier.trouble(f"fees in {fee_in}", f"{told}: {THIRD_CURRENCY}", entry.instance)

    def _phase_of(self, symbol: str) -> str:
        instance = self.worker.instances.get(symbol) if hasattr(self, "worker") else None
        return instance.phase if instance else ""


async def prepare_patiently(bot: LiveRun, tell: Tell, stopping: asyncio.Event) -> bool:
    """Prepare the bot; as long as the exchange gives no answer, say so and ask again. False when told to stop.

    Raises:
        TradeError: asking again would not help.
    """
    for attempt in range(1_000_000):
        preparing = asyncio.create_task(bot.prepare())
        try:
            # It sends no order and writes nothing: whoever wants to stop need not wait for its reads.
            await _either(stopping, preparing)
            if preparing.cancelled():
                return False
            preparing.result()
        except GatewayError as error:
            pause = ask_again_after(attempt)
            text = f"{clause(str(error))}. Nothing was sent; asking again in {pause // 1000} s (Ctrl-C ends)"
            tell(Notice(bot.clock.now(), What.TROUBLE, "", "", text))
            await _either(stopping, asyncio.create_task(bot.clock.sleep_until(bot.clock.now() + pause)))
        else:
            return True
        if stopping.is_set():
            return False
    return False


async def _either(stopping: asyncio.Event, other: asyncio.Task[None]) -> None:
    """Return when `stopping` is set, which ends the other one, or when that one is done."""
    told = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((told, other), return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        if not other.done():
            other.cancel()
            await asyncio.wait((other,))
