"""A live bot's account held against its books, from its start on, again and again, and what is done about a
difference."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from engine.account_books import books_of
from engine.exchange.claimed_gateway import MAX_OFFSET
from engine.exchange.gateway import GatewayError, KeyRefusedError, Market
from engine.exchange.history import Execution
from engine.live_clock import Clocks
from engine.live_errors import TradeError, key_refused, trading_refused
from engine.live_events import post, process
from engine.live_exchange import LiveExchange
from engine.live_notices import Notifier, What, clause
from engine.live_settings import LiveSettings
from engine.order_events import event_for
from engine.reconciliation import Difference, Kind, Reconciler, Remedy
from generated.trading import ErrorOccurred, Phase, RecoverRequested
from runtime.worker import Worker


class Reconciling:
    """Compares, does what each difference asks for, and knows where may be bought.

    Args:
        namespace: that of the worker's store.
        opened_at: the instant (milliseconds) at which the books were opened.
    """

    def __init__(
        self,
        exchange: LiveExchange,
        worker: Worker,
        namespace: str,
        markets: Mapping[str, Market],
        opened_at: int,
        live: LiveSettings,
        clocks: Clocks,
        notifier: Notifier,
    ) -> None:
        self.reconciler = Reconciler(
            exchange.gateway,
            markets,
            lambda: books_of(worker, namespace),
            worker.intent,
            lambda: clocks.sleep(live.confirm_after),
            clocks.now,
            self._news,
            lambda entry_id: worker.portfolio.is_booked(entry_id),
            exchange.open_orders,
        )
        self._exchange = exchange
        self._worker = worker
        self._opened_at = opened_at
        self._live = live
        self._clocks = clocks
        self._notifier = notifier
        self._no_entries = ""
        self._differences: set[str] = set()
        self._compared: set[str] = set()
        self._wanted: set[str] = set()
        self._all_wanted = False
        self._due = asyncio.Event()

    def soon(self, symbol: str | None = None) -> None:
        """Have the next look now, not when its time has come: at one symbol, or at all."""
        if symbol is None:
            self._all_wanted = True
        else:
            self._wanted.add(symbol)
        self._due.set()

    def may_buy(self, symbol: str) -> bool:
        """Whether the symbol's orders were compared, and nothing found that forbids it."""
        return symbol in self._compared and not self._no_entries

    async def run(self) -> None:
        """Reconcile until cancelled.

        Raises:
            TradeError: the exchange refuses the key.
            StoreError: something could not be written.
        """
        while True:
            await self.once()
            all_due = self._clocks.now() + self._live.reconcile_every
            while (left := all_due - self._clocks.now()) > 0 and not self._all_wanted:
                await self._wait(left)
                wanted, self._wanted = self._wanted, set()
                if wanted and not self._all_wanted:
                    await self.once(wanted)
            self._all_wanted = False
            self._wanted.clear()

    async def _wait(self, milliseconds: int) -> None:
        """For so long, or until a look is wanted sooner."""
        due = asyncio.create_task(self._clocks.sleep(milliseconds))
        asked = asyncio.create_task(self._due.wait())
        try:
            await asyncio.wait((due, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            asked.cancel()
        self._due.clear()

    async def once(self, only: Collection[str] | None = None) -> list[Difference]:
        """Hold the exchange against the books (of these symbols, or all), and do what each difference asks for.

        Raises:
            TradeError: the exchange refuses the key.
            StoreError: something could not be written.
        """
        try:
            await self._check_orders_allowed()
            await self._clocks.compare()
            found = await self.reconciler.differences(only)
        except KeyRefusedError as error:
            # Once more, so that a hiccup at the exchange does not stop the bot.
            await self._clocks.sleep(self._live.confirm_after)
            try:
                await self._exchange.gateway.balances()
            except KeyRefusedError:
                raise TradeError(key_refused(self._exchange.name, str(error))) from None
            except GatewayError:
                pass
            return []
        has_seen_cash = self.reconciler.has_compared_balances
        unread = {difference.symbol for difference in found if difference.kind is Kind.UNREADABLE}
        if not unread:
            self._notifier.well("exchange", "the exchange answers again")
        if "" not in unread:
            self._compared |= (self._worker.instances.keys() if only is None else set(only)) - unread
        known, self._differences = self._differences, {difference.text for difference in found}
        if only is not None:
            self._differences |= known
        for difference in found:
            if difference.kind is Kind.UNREADABLE:
                waiting = "" if difference.symbol in self._compared else ". Nothing is bought there until it can"
                text = f"cannot be compared with the books: {clause(difference.text)}{waiting}"
                self._notifier.trouble("exchange", text, difference.symbol)
            elif difference.text not in known and difference.kind is not Kind.SURPLUS:
                self._notifier.say(What.DIFFERENCE, difference.text, difference.symbol)
            await self._remedy(difference)
        entries = [difference.text for difference in found if difference.remedy is Remedy.NO_ENTRIES]
        if entries or (not unread and has_seen_cash):
            self._no_entries = " ".join(entries)
        return found

    async def in_the_way(self, symbol: str) -> str:
        """Why a recovery would change nothing: the exchange shows what would stop the symbol again at once. Empty when
        it shows nothing of the kind, or cannot be asked."""
        try:
            found = [one for one in await self.reconciler.differences({symbol}) if one.symbol == symbol]
        except GatewayError:
            return ""
        if any(one.remedy in (Remedy.ADOPT, Remedy.RECOVER) or one.kind is Kind.LIVE_AFTER_ALL for one in found):
            # The exchange knows more of an order than we do, and a recovery asks for it: it may explain the rest.
            return ""
        return " ".join(one.text for one in found if one.outlasts_recovery)

    async def _check_orders_allowed(self) -> None:
        """Raise TradeError when orders are refused for the sake of the key: is it the key, or its right to trade?"""
        why = self._exchange.key_refusal
        if not why:
            return
        try:
            await self._exchange.gateway.balances()
        except GatewayError:
            raise TradeError(key_refused(self._exchange.name, why)) from None
        raise TradeError(trading_refused(self._exchange.name, why))

    async def _news(self, symbol: str) -> Sequence[Execution] | None:
        return await self._exchange.news(symbol, self._opened_at - MAX_OFFSET)

    async def _remedy(self, difference: Difference) -> None:
        symbol = difference.symbol
        instance = self._worker.instances.get(symbol)
        if instance is None:
            return
        if difference.remedy is Remedy.ADOPT and difference.state is not None:
            post(self._worker, symbol, difference.state.updated_at, event_for(difference.state))
        elif difference.remedy in (Remedy.STOP, Remedy.RECOVER) and instance.phase not in (
            Phase.ERROR,
            Phase.RECOVERING,
        ):
            evidence = f"{difference.text} Exchange: {difference.exchange}. Books: {difference.books}."
            failed = ErrorOccurred(error=evidence, failed_event=f"reconciliation: {difference.kind}")
            await process(self._worker, symbol, self._clocks.now(), failed)
            if difference.remedy is Remedy.RECOVER:
                asked = RecoverRequested(requested_by="reconciliation")
                await process(self._worker, symbol, self._clocks.now(), asked)
