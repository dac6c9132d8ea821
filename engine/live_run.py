"""The bot on the real clock: closed bars and reports of orders become events, and the exchange is held against the
books from its start on, again and again.

Nothing here decides about orders: the machine does, one commit per event, and whatever is under way at a crash is in
its outbox. So the bot can be stopped or killed at any moment; orders that are live stay live at the exchange, and the
next start looks after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from engine.account_books import Books, books_of, live_orders, stored_books
from engine.actions import TradingActions
from engine.bar_events import bar_event
from engine.effects import TradingEffects
from engine.exchange.claimed_gateway import MAX_OFFSET
from engine.exchange.gateway import GatewayError, KeyRefusedError, Market, OrderState
from engine.exchange.history import Execution
from engine.exchange.key_rights import KeyRights
from engine.guards import TradingGuards
from engine.live_exchange import LiveExchange
from engine.live_notices import Notice, Tell, What, clause, notice_of
from engine.live_settings import LiveSettings
from engine.market_data.candles import Candle
from engine.order_events import event_for
from engine.reconciliation import Difference, Kind, Reconciler, Remedy
from engine.settings import Settings
from engine.sizing import SizingRules, plan_entry
from engine.strategy.drop_buy import DropBuy
from engine.strategy.strategy import Strategy
from generated.trading import DEFINITION, Config, ErrorOccurred, Phase, RecoverRequested
from generated.trading.events import Payload
from generated.trading.handlers import Actions, EffectHandlers, Guards
from runtime.clock import AnchoredClock
from runtime.errors import PhasewrightError, StoreError
from runtime.events import EventContext, Outcome, Receipt
from runtime.ledger import CASH, DEPOSIT, ZERO, JournalEntry
from runtime.machine import Machine
from runtime.store import Commit, Store
from runtime.worker import Restart, Worker

OPENING = "opening balance"
OPENING_ENTRY = f"{DEPOSIT}:{OPENING}"
CLOCK_SET = 1_000
"""By how much (ms) the machine's clock must differ from the run's to count as set."""
_CLOCK_CHECK = 60_000
"""How often (ms) that is looked at."""
AFTER_CLOSE = 1_000
"""How long (ms) after a bar's close it is asked for, at most: exchanges need a moment to finish it."""
LATE_BAR = 3_000
"""The pause (ms), at most, until a bar that was not there is asked for again."""
_SILENT_BARS = 3
_ASK_AGAIN = (2_000, 5_000, 15_000, 30_000, 60_000)
"""Pauses (ms) between two tries to read something, the last one for ever."""
_THIRD_CURRENCY = (
    "such fees are booked in their own currency, of which the books show less than nothing, and are no part of "
    "`realised`. Switch them off at the exchange"
)
_WORTH_A_LOOK = {
    "BUY_ORDER_REJECTED",
    "SELL_ORDER_REJECTED",
    "ORDER_OUTCOME_UNKNOWN",
    "CANCEL_OUTCOME_UNKNOWN",
    "RECONCILED",
}


class TradeError(PhasewrightError):
    """The bot cannot trade, or not any longer. What is committed stays, and orders that are live stay live."""


class LiveRun:
    """One bot on one account.

    Args:
        symbols: those in which new trades may begin. Others that the store knows are looked after until they are flat.
        tell: takes what there is to tell; it must not wait.
    """

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
    ) -> None:
        self.exchange = exchange
        self.store = store
        self.clock = clock
        self.settings = settings
        self.live = live
        self.config = config
        self.symbols = tuple(dict.fromkeys(symbols))
        self.no_entries = ""
        self.markets: dict[str, Market] = {}
        self.quote = ""
        self.worker: Worker
        self._tell = tell
        self._strategies: dict[str, Strategy] = {}
        self._seen_until: dict[str, int] = {}
        self._closes: dict[str, Decimal] = {}
        self._offset = 0
        self._set_by = 0
        self._opening = ZERO
        self._opened_with: Decimal | None = None
        self._rights = KeyRights()
        self._opened_at = 0
        self._reconciler: Reconciler
        self._troubles: dict[str, str] = {}
        self._differences: set[str] = set()
        self._compared: set[str] = set()
        self._reports: set[asyncio.Task[None]] = set()
        self._look_soon = asyncio.Event()
        self._changed = asyncio.Event()

    # -- starting --------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Ask the exchange for all that a start needs. Sends no order and writes nothing; it may be repeated.

        Raises:
            GatewayError: the exchange gives no answer; later it may.
            KeyRefusedError: it refuses the key.
            TradeError: what is asked for cannot be traded.
        """
        await self._measure_clock()
        state = await asyncio.to_thread(self.store.load) if self.store.waits else self.store.load()
        known = stored_books(state, self.store.namespace)
        opening = next((one for one in state.entries if one.entry_id == OPENING_ENTRY), None)
        self._opened_with = None if opening is None else _cash_of(opening)
        self._opened_at = self.clock.now() if opening is None else opening.at
        all_markets = await self.exchange.gateway.markets()
        self._check_symbols(all_markets, known)
        wanted = dict.fromkeys((*self.symbols, *known.symbols))
        self.markets = {symbol: all_markets[symbol] for symbol in wanted if symbol in all_markets}
        self.quote = _only_quote(self.markets)
        await self.exchange.gateway.balances()
        await self._check_rights(is_first=not known.totals)
        await self._read_histories(known)
        await self._find_cash(known)

    async def _measure_clock(self) -> None:
        self._offset = await self.exchange.clock_offset()
        if abs(self._offset) > MAX_OFFSET:
            way = "behind" if self._offset > 0 else "ahead of"
            raise TradeError(
                f"This machine's clock is {abs(self._offset) / 1000:.1f} s {way} {self.exchange.name}'s. An order "
                "carries the instant after which it must not be accepted any more, and with a wrong clock that instant "
                f"means nothing, so more than {MAX_OFFSET // 1000} s are not traded with. Set the clock "
                "(timedatectl set-ntp true, or chrony), then start again."
            )

    async def _check_rights(self, *, is_first: bool) -> None:
        """Refuse a key that may not trade, and at a first start an account whose fees are in a third currency; the rest
        is told once the bot has started."""
        try:
            self._rights = await self.exchange.rights()
        except GatewayError:
            # It is no reason not to start: what it holds must be looked after, and each order is answered anyway.
            self._rights = KeyRights()
        if self._rights.may_trade is False:
            raise TradeError(
                f"{self.exchange.name} says that this key, or its account, may not trade on the spot market; it may be "
                "read. Allow the key to trade there (never to withdraw), then start again. Nothing was sent."
            )

        if self._rights.burns_token and is_first:
            raise TradeError(
                f"The account pays its fees in {self.exchange.name}'s own coin. The books have none of it, and such "
                "fees would be missing from what trades came to. Switch that off at the exchange (binance: 'Use BNB to "
                "pay for fees'), then start again. Nothing was sent."
            )

    def _tell_rights(self) -> None:
        name, rights = self.exchange.name, self._rights
        if rights.may_trade is None:
            self._note(f"whether the key may trade was not checked: {name} did not say. The first order will show")
        if rights.burns_token:
            self._say(What.TROUBLE, f"the account pays its fees in {name}'s own coin: {_THIRD_CURRENCY}")
        if rights.may_withdraw:
            self._note("the key may withdraw too. Whoever gets hold of it can empty the account: make one that may not")
        if rights.is_bound is False:
            self._note("the key works from every address. Bind it to this machine's, at the exchange")

    def _check_symbols(self, all_markets: Mapping[str, Market], known: Books) -> None:
        """A market that is halted for a while keeps no bot from its other symbols, nor from what it holds there."""
        tradable = [symbol for symbol, market in all_markets.items() if not market.halted]
        missing = [
            symbol
            for symbol in self.symbols
            if symbol not in all_markets or (all_markets[symbol].halted and symbol not in known.symbols)
        ]
        if missing:
            near = get_close_matches(missing[0].upper(), tradable, n=3, cutoff=0.8)
            raise TradeError(
                f"{self.exchange.name} does not trade {', '.join(missing)} at present on its spot market: not listed, "
                f"delisted or halted. {'Did you mean ' + ' or '.join(near) + '? ' if near else ''}"
                "Symbols are written BASE/QUOTE, in capitals. Leave it out to trade the others; what the bot still "
                "holds of it is looked after all the same."
            )

    async def _read_histories(self, known: Books) -> None:
        """One symbol without prices keeps no bot from minding the others; they are asked for again at each close."""
        failures: dict[str, GatewayError] = {}

        async def read(symbol: str) -> None:
            try:
                await self._read_history(symbol, known)
            except GatewayError as error:
                failures[symbol] = error

        # All at once: an exchange that answers nothing is not waited for once for each symbol.
        await asyncio.gather(*(read(symbol) for symbol in self.markets))
        if failures and len(failures) == len(self.markets):
            raise next(iter(failures.values()))
        for symbol, failure in failures.items():
            self._trouble(
                f"bars of {symbol}",
                f"no prices: {clause(str(failure))}. Nothing is bought or sold until there are",
                symbol,
            )

    async def _read_history(self, symbol: str, known: Books) -> None:
        """Show a new strategy the bars that it needs: for its warm-up, and since the position was opened."""
        strategy = DropBuy(self.settings.strategy_parameters())
        since = self._exchange_now() - (strategy.warm_up + 2) * self.live.bar
        one = known.symbols.get(symbol)
        if one is not None and one.data.opened_at is not None:
            since = min(since, one.data.opened_at - self.live.bar)
        self._strategies[symbol] = strategy
        self._seen_until[symbol] = since // self.live.bar * self.live.bar
        while await self._read_bars(symbol):
            pass

    async def _find_cash(self, known: Books) -> None:
        """What the account is opened with, and whether the smallest order can be paid."""
        if known.totals:
            if not all(one.is_flat for one in known.symbols.values()):
                return
            cash = known.cash.get(self.quote, ZERO)
        else:
            free = await self.exchange.free(self.quote)
            cash = self._opening = self.live.trading_cash or free
            if cash > free:
                raise TradeError(
                    f"TRADING_CASH is {cash}, but only {free} {self.quote} are free on the account. Set it to that or "
                    "less, or bring more into the account."
                )
        rules = SizingRules(stop_pct=self.settings.stop_loss_pct)
        too_small = [
            symbol
            for symbol in self.symbols
            if symbol in self._closes
            and plan_entry(self.markets[symbol], rules, cash, self.settings.max_slots, self._closes[symbol]) is None
        ]
        if too_small and len(too_small) == len(self.symbols):
            market = self.markets[too_small[0]]
            raise TradeError(
                f"With {cash} {self.quote} in {self.settings.max_slots} parts, a trade is too small for "
                f"{market.symbol}: an order must be worth at least {market.min_notional} {self.quote}, also when it is "
                "sold at the stop price. Trade in fewer parts (MAX_SLOTS), or with more money in a new database."
            )
        for symbol in too_small:
            self._note("a trade's part of the cash is below the smallest order: it will not be bought", symbol)

    async def start(self) -> Restart:
        """Load what is stored, go on with what was under way, and judge what is held.

        Raises:
            StoreError, LedgerMismatch: the books cannot be read, or do not add up.
        """
        rules = SizingRules(stop_pct=self.settings.stop_loss_pct)
        guards: Guards = TradingGuards(self.markets, rules)
        actions: Actions = TradingActions(self.markets, rules)
        effects: EffectHandlers = TradingEffects(
            self.exchange.gateway, self._strategies, lambda intent_id: self.worker.intent(intent_id)
        )
        self.worker = Worker(
            Machine(DEFINITION, guards, actions, self.config),
            self.store,
            self.clock,
            effects,
            slots=self.settings.max_slots,
            identity_expiry=self.settings.identity_expiry,
            on_commit=self._on_commit,
        )
        self._reconciler = Reconciler(
            self.exchange.gateway,
            self.markets,
            lambda: books_of(self.worker, self.store.namespace),
            self.worker.intent,
            lambda: self._sleep(self.live.confirm_after),
            self.clock.now,
            self._news,
            lambda entry_id: self.worker.portfolio.is_booked(entry_id),
        )
        self.exchange.gateway.subscribe(self._on_report)
        restart = await self.worker.start()
        if self._opening and not self.worker.portfolio.is_booked(OPENING_ENTRY):
            await self.worker.deposit(OPENING, self.quote, self._opening)
        for symbol in self.symbols:
            if symbol not in self.worker.instances and symbol not in self.worker.quarantined:
                await self.worker.create(symbol)
        self._tell_rights()
        self._tell_start(restart)
        for symbol in self.worker.instances:
            # A position is judged at once, after however long an absence and however long the exchange takes to show
            # its orders; a purchase waits for the next close, and until they agree with the books.
            self._judge(symbol, entering=False)
        return restart

    def _tell_start(self, restart: Restart) -> None:
        for quarantined in restart.quarantined:
            self._say(
                What.TROUBLE,
                f"does not start: {clause(quarantined.reason)}. {quarantined.way_out}",
                quarantined.instance,
            )
        for symbol, instance in self.worker.instances.items():
            listed = self.markets.get(symbol)
            is_flat = books_of(self.worker, self.store.namespace).symbols[symbol].is_flat
            if (listed is None or listed.halted) and not is_flat:
                self._say(
                    What.TROUBLE,
                    f"is in {instance.phase}, but {self.exchange.name} does not trade it at present; it is looked "
                    "after as far as the exchange answers",
                    symbol,
                )
            elif symbol not in self.symbols and instance.phase not in (Phase.IDLE, Phase.WARMUP):
                self._note(
                    "is not among the symbols: it is looked after until it is flat, and not bought again", symbol
                )
            if instance.phase == Phase.ERROR:
                self._say(What.TROUBLE, f"is in ERROR: {instance.data.last_error}", symbol)
        wanted, opened_with = self.live.trading_cash, self._opened_with
        if wanted and opened_with is not None and wanted != opened_with:
            cash = self.worker.portfolio.cash(self.quote)
            self._note(
                f"TRADING_CASH is {wanted}, but this database was opened with {opened_with:f} {self.quote}, and no "
                f"later start adds or takes any. The bot goes on with the {cash:f} {self.quote} that its books have in "
                "cash. To trade another amount, start with a new database"
            )
        if restart.open_intents:
            self._note(f"going on with {restart.open_intents} requests that were under way")

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(self, stopping: asyncio.Event) -> None:
        """Trade until `stopping` is set. Safe to kill at any moment.

        Raises:
            TradeError: the exchange refuses the key.
            StoreError: something could not be written.
        """
        work: list[Coroutine[Any, Any, None]] = [
            self.worker.run(stopping),
            self._bars(),
            self._looks(),
            self._watch(),
            self._mind_the_clock(),
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

    async def close(self) -> None:
        """Finish the commit that is being written and let everything go. Orders that are live stay live."""
        if hasattr(self, "worker"):
            await self.worker.stop()
        else:
            self.store.close()
        await self.exchange.close()

    def live_orders(self) -> list[tuple[str, str]]:
        """Symbol and client order id of every order that may be live at the exchange."""
        return live_orders(books_of(self.worker, self.store.namespace))

    async def in_the_way(self, symbol: str) -> str:
        """Why a recovery would change nothing: the exchange shows what would stop the symbol again at once. Empty when
        it shows nothing of the kind, or cannot be asked."""
        try:
            found = [one for one in await self._reconciler.differences(symbol) if one.symbol == symbol]
        except GatewayError:
            return ""
        if any(one.remedy in (Remedy.ADOPT, Remedy.RECOVER) or one.kind is Kind.LIVE_AFTER_ALL for one in found):
            # The exchange knows more of an order than we do, and a recovery asks for it: it may explain the rest.
            return ""
        return " ".join(one.text for one in found if one.outlasts_recovery)

    async def recover(self, symbol: str, requested_by: str) -> tuple[Receipt, str, str]:
        """Ask for a symbol in ERROR to be recovered, wait until the exchange has answered, and hold its account against
        the books once more.

        Returns the receipt, the phase that it is in afterwards, and why it is in ERROR still or again, if it is.
        """
        receipt = await self._process(symbol, RecoverRequested(requested_by=requested_by))
        instance = self.worker.instances[symbol]
        while receipt.outcome is Outcome.HANDLED and instance.phase == Phase.RECOVERING:
            self._changed.clear()
            await self._changed.wait()
        if receipt.outcome is Outcome.HANDLED and instance.phase != Phase.ERROR:
            await self.reconcile(symbol)
        note = instance.data.last_error if instance.phase == Phase.ERROR else None
        return receipt, instance.phase, note or ""

    # -- bars ------------------------------------------------------------------------------------------------------

    async def _bars(self) -> None:
        while True:
            closed_at = (self._exchange_now() // self.live.bar + 1) * self.live.bar
            await self.clock.sleep_until(closed_at + min(AFTER_CLOSE, self.live.bar // 10) - self._offset)
            await asyncio.gather(*(self._bar(symbol, closed_at) for symbol in self.markets))

    async def _bar(self, symbol: str, closed_at: int) -> None:
        """Read the bar that closed, if there is one (in a bar without trades some exchanges show none), and judge."""
        until = self.clock.now() + min(self.live.bar // 2, 30_000)
        pause = min(LATE_BAR, self.live.bar // 5)
        while True:
            failure = ""
            try:
                while self._seen_until[symbol] < closed_at and await self._read_bars(symbol):
                    pass
            except GatewayError as error:
                failure = f"no new prices: {clause(str(error))}. Nothing is bought until there are"
            if self._seen_until[symbol] >= closed_at:
                self._well(f"bars of {symbol}", "prices again", symbol)
                self._judge(symbol, entering=symbol in self.symbols)
                return
            if self.clock.now() + pause > until:
                break
            await self._sleep(pause)
        if not failure and closed_at - self._seen_until[symbol] >= _SILENT_BARS * self.live.bar:
            failure = f"no bar for {_SILENT_BARS} bars: halted, delisted, or nobody trades. Nothing is bought meanwhile"
        if failure:
            self._trouble(f"bars of {symbol}", failure, symbol)

    async def _read_bars(self, symbol: str) -> bool:
        """Show the strategy the next page of closed bars. True when there was a new one."""
        since = self._seen_until[symbol]
        candles = await self.exchange.candles(symbol, self.live.bar, since)
        now, new = self._exchange_now(), False
        for candle in sorted(candles, key=lambda one: one.opened_at):
            if self._is_next(symbol, candle) and candle.closed_at <= now:
                self._strategies[symbol].observe(candle)
                self._seen_until[symbol] = candle.closed_at
                self._closes[symbol] = candle.close
                new = True
        return new

    def _is_next(self, symbol: str, candle: Candle) -> bool:
        return candle.length == self.live.bar and candle.opened_at >= self._seen_until[symbol]

    def _judge(self, symbol: str, *, entering: bool) -> None:
        instance = self.worker.instances.get(symbol)
        if instance is None or symbol not in self._closes:
            return
        may_buy = entering and symbol in self._compared and not self.no_entries
        if instance.phase == Phase.IDLE and not may_buy:
            return
        payload = bar_event(self._strategies[symbol], instance, self._seen_until[symbol])
        if payload is not None:
            self._post(symbol, self.clock.now(), payload)

    # -- orders ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Follow the reports of orders; without them the machine's time-outs and the reconciliation still ask."""
        failures = 0
        while True:
            try:
                await self.exchange.watch(self.live_orders)
                failures = 0
            except GatewayError as error:
                self._trouble("reports", f"no reports of orders: {clause(str(error))}. Orders that are live stay live")
            await self._sleep(_ASK_AGAIN[min(failures, len(_ASK_AGAIN) - 1)])
            failures += 1

    def _on_report(self, state: OrderState) -> None:
        if state.symbol not in self.worker.instances:
            return
        self._well("reports", "reports of orders again")
        data = self.worker.instances[state.symbol].data
        latest = [order.client_order_id for order in (data.entry_order, data.exit_order) if order is not None]
        if state.client_order_id in latest or state.client_order_id in data.past_orders:
            self._post(state.symbol, state.updated_at, event_for(state))
        else:
            task = asyncio.create_task(self._report_if_ours(state))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)

    async def _report_if_ours(self, state: OrderState) -> None:
        """Of orders that others placed on our symbols the machine must hear nothing: it would take them for its own."""
        intent = await self.worker.intent(state.client_order_id)
        if intent is not None and intent.instance == state.symbol:
            self._post(state.symbol, state.updated_at, event_for(state))

    def _on_commit(self, commit: Commit) -> None:
        self._changed.set()
        for row in commit.audit:
            notice = notice_of(row)
            if notice is not None:
                self._tell(notice)
            if row.event in _WORTH_A_LOOK:
                self._look_soon.set()
        for entry in () if commit.portfolio is None else commit.portfolio.entries:
            fee_in = entry.details.get("fee_currency")
            if fee_in and fee_in not in (entry.details["base"], entry.details["quote"]):
                told = f"the fee of trade {entry.details['trade_id']} was {entry.details['fee']} {fee_in}"
                self._trouble(f"fees in {fee_in}", f"{told}: {_THIRD_CURRENCY}", entry.instance)

    # -- reconciliation --------------------------------------------------------------------------------------------

    async def _looks(self) -> None:
        while True:
            await self.reconcile()
            due = asyncio.create_task(self._sleep(self.live.reconcile_every))
            asked = asyncio.create_task(self._look_soon.wait())
            try:
                await asyncio.wait((due, asked), return_when=asyncio.FIRST_COMPLETED)
            finally:
                due.cancel()
                asked.cancel()
            self._look_soon.clear()

    async def reconcile(self, only: str | None = None) -> list[Difference]:
        """Hold the exchange against the books (of one symbol, or all), and do what each difference asks for."""
        try:
            await self._check_access()
            found = await self._reconciler.differences(only)
        except KeyRefusedError as error:
            # Once more, so that a hiccup at the exchange does not stop the bot.
            await self._sleep(self.live.confirm_after)
            try:
                await self.exchange.gateway.balances()
            except KeyRefusedError:
                raise TradeError(_refused(self.exchange.name, str(error))) from None
            except GatewayError:
                pass
            return []
        unread = {difference.symbol for difference in found if difference.kind is Kind.UNREADABLE}
        if not unread:
            self._well("exchange", "the exchange answers again")
        if "" not in unread:
            self._compared |= (self.worker.instances.keys() if only is None else {only}) - unread
        known, self._differences = self._differences, {difference.text for difference in found}
        if only is not None:
            self._differences |= known
        for difference in found:
            if difference.kind is Kind.UNREADABLE:
                waiting = "" if difference.symbol in self._compared else ". Nothing is bought there until it can"
                text = f"cannot be compared with the books: {clause(difference.text)}{waiting}"
                self._trouble("exchange", text, difference.symbol)
            elif difference.text not in known and difference.kind is not Kind.SURPLUS:
                self._say(What.DIFFERENCE, difference.text, difference.symbol)
            await self._remedy(difference)
        entries = [difference.text for difference in found if difference.remedy is Remedy.NO_ENTRIES]
        if entries or not unread:
            self.no_entries = " ".join(entries)
        return found

    async def _check_access(self) -> None:
        """The clock, and whether orders are refused for the sake of the key."""
        if self.exchange.key_refusal:
            raise TradeError(await self._no_orders(self.exchange.key_refusal))
        try:
            self._offset = await self.exchange.clock_offset()
        except GatewayError:
            return
        self._judge_clock()

    async def _no_orders(self, why: str) -> str:
        """What to say of an order that was refused for the sake of the key: is it the key, or its right to trade?"""
        try:
            await self.exchange.gateway.balances()
        except GatewayError:
            return _refused(self.exchange.name, why)
        return (
            f"{self.exchange.name} refused an order for the sake of the key ({clause(why)}), and still answers what it "
            "reads: the right to trade was taken from the key, or from the account, or orders are allowed from other "
            "addresses only. Give it back (spot trading), then start the same command again. The bot has stopped and "
            "keeps its books; orders that are live stay live at the exchange."
        )

    async def _news(self, symbol: str) -> Sequence[Execution] | None:
        return await self.exchange.news(symbol, self._opened_at - MAX_OFFSET)

    async def _mind_the_clock(self) -> None:
        """Notice soon that somebody set the machine's clock; what it means is judged by the exchange's."""
        while True:
            await self._sleep(_CLOCK_CHECK)
            if abs(self.clock.set_by() - self._set_by) > CLOCK_SET:
                self._look_soon.set()

    def _judge_clock(self) -> None:
        """The run's clock goes on evenly whatever the machine's is set to. It follows only where it is wrong itself, by
        the exchange's word, and the machine's is right."""
        exchange = self.exchange.name
        self._set_by = set_by = self.clock.set_by()
        told = f"this machine's clock was set {'forward' if set_by > 0 else 'back'} by {abs(set_by) / 1000:.0f} s"
        if abs(self._offset) > MAX_OFFSET and abs(self._offset - set_by) <= MAX_OFFSET:
            self.clock.follow()
            self._offset -= set_by
            self._set_by = self.clock.set_by()
            self._note(f"{told} and agrees with {exchange}'s now: the bot goes by it from here on")
        if abs(self._offset) > MAX_OFFSET:
            self._trouble(
                "clock",
                f"this machine's clock is {abs(self._offset) / 1000:.1f} s off {exchange}'s; no order is sent until it "
                "is set right (NTP)",
            )
        else:
            self._well("clock", "the clock is right again")
        if abs(self._set_by) > CLOCK_SET:
            self._trouble(
                "clock set",
                f"{told} while the bot ran. It goes by the time that has passed since its start, which agrees with "
                f"{exchange}'s clock. Set the machine's right before the next start (NTP)",
            )
        else:
            self._well("clock set", "this machine's clock is right again")

    async def _remedy(self, difference: Difference) -> None:
        symbol = difference.symbol
        instance = self.worker.instances.get(symbol)
        if instance is None:
            return
        if difference.remedy is Remedy.ADOPT and difference.state is not None:
            self._post(symbol, difference.state.updated_at, event_for(difference.state))
        elif difference.remedy in (Remedy.STOP, Remedy.RECOVER) and instance.phase not in (
            Phase.ERROR,
            Phase.RECOVERING,
        ):
            evidence = f"{difference.text} Exchange: {difference.exchange}. Books: {difference.books}."
            await self._process(
                symbol, ErrorOccurred(error=evidence, failed_event=f"reconciliation: {difference.kind}")
            )
            if difference.remedy is Remedy.RECOVER:
                await self._process(symbol, RecoverRequested(requested_by="reconciliation"))

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _exchange_now(self) -> int:
        return self.clock.now() + self._offset

    async def _sleep(self, milliseconds: int) -> None:
        await self.clock.sleep_until(self.clock.now() + milliseconds)

    def _post(self, symbol: str, at: int, payload: Payload) -> None:
        # A worker that cannot write any more ends the run, with its reason; whoever posts need not do so too.
        with suppress(StoreError):
            self.worker.post(EventContext(payload.event, symbol, at, payload))

    async def _process(self, symbol: str, payload: Payload) -> Receipt:
        return await self.worker.process(EventContext(payload.event, symbol, self.clock.now(), payload))

    def _say(self, what: What, text: str, symbol: str = "") -> None:
        instance = self.worker.instances.get(symbol) if hasattr(self, "worker") else None
        self._tell(Notice(self.clock.now(), what, symbol, instance.phase if instance else "", text))

    def _note(self, text: str, symbol: str = "") -> None:
        self._say(What.NOTE, text, symbol)

    def _trouble(self, key: str, text: str, symbol: str = "") -> None:
        """Tell of a trouble once, until it is over."""
        if key not in self._troubles:
            self._troubles[key] = text
            self._say(What.TROUBLE, text, symbol)

    def _well(self, key: str, text: str, symbol: str = "") -> None:
        if self._troubles.pop(key, None) is not None:
            self._say(What.WELL_AGAIN, text, symbol)


async def prepare_once(bot: LiveRun) -> None:
    """Prepare the bot.

    Raises:
        GatewayError: the exchange gives no answer; later it may, or to another machine.
        TradeError: asking again would not help.
    """
    try:
        await bot.prepare()
    except KeyRefusedError as error:
        raise TradeError(_refused(bot.exchange.name, str(error))) from None


async def prepare_patiently(bot: LiveRun, tell: Tell, stopping: asyncio.Event) -> bool:
    """Prepare the bot; as long as the exchange gives no answer, say so and ask again. False when told to stop.

    Raises:
        TradeError: asking again would not help.
    """
    for attempt in range(1_000_000):
        preparing = asyncio.create_task(prepare_once(bot))
        try:
            # It sends no order and writes nothing: whoever wants to stop need not wait for its reads.
            await _either(stopping, preparing)
            if preparing.cancelled():
                return False
            preparing.result()
        except GatewayError as error:
            pause = _ASK_AGAIN[min(attempt, len(_ASK_AGAIN) - 1)]
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


def _only_quote(markets: Mapping[str, Market]) -> str:
    quotes = sorted({market.quote for market in markets.values()})
    if len(quotes) != 1:
        raise TradeError(
            f"The symbols are priced in {', '.join(quotes)}; one bot trades in one quote currency. Give symbols of one "
            "quote currency, and the others a bot with a database of its own (--db)."
        )
    return quotes[0]


def _cash_of(deposit: JournalEntry) -> Decimal:
    return next(posting.amount for posting in deposit.postings if posting.account == CASH)


def _refused(exchange: str, why: str) -> str:
    why = clause(why.removeprefix(f"{exchange} refuses the key: "))
    return (
        f"{exchange} refuses the key or what it may do: {why}. Check the key and its secret, that it may trade on the "
        "spot market, and that it may be used from this machine's address. The bot has stopped and keeps its books; "
        "orders that are live stay live at the exchange. With a key that works, the same command goes on from here."
    )
