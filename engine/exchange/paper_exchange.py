"""An exchange with books of its own, played against recorded bars: what a bot trades with when no money is meant.

Time is virtual. A request reaches the exchange's log when it is sent, its books when it arrives; what happens between
two instants depends on the requests and the bars alone, never on how often anyone looks. So the books are the same
however the time is cut into steps, and whether or not the process was killed and started again in between.
What fills at an instant fills before the requests that arrive at it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from pathlib import Path

import msgspec

from engine.exchange import faults
from engine.exchange.faults import Fate, RequestKind
from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderState, OrderStatus, Side, Stamp
from engine.exchange.paper_file import PaperExchangeError, PaperSettings, Synchronous
from engine.exchange.paper_matching import EXACT, MatchingEngine
from engine.exchange.paper_rules import bare, changes
from engine.exchange.paper_store import BookOrder, PaperStore, Request
from engine.exchange.price_path import PricePath

_AFTER_ALL = 1 << 62


class BookTrade(msgspec.Struct, frozen=True):
    """A trade with the order it belongs to."""

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: Side
    trade: ExchangeTrade


class PaperExchange:
    """One account. Instants in milliseconds since the epoch; amounts in base, prices in quote currency.

    When `grouped`, the file keeps what happened only when `flush` is called, and what had happened by then: for a bot
    in virtual time, whose own commits are grouped as well.

    Raises:
        PaperExchangeError: from every method, when the file cannot be opened or written.
    """

    def __init__(
        self,
        path: Path,
        settings: PaperSettings,
        prices: Mapping[str, PricePath],
        synchronous: Synchronous = "NORMAL",
        *,
        grouped: bool = False,
    ) -> None:
        self.markets: dict[str, Market] = {market.symbol: market for market in settings.markets}
        self._settings = settings
        currencies = {currency for market in settings.markets for currency in (market.base, market.quote)}
        deposits = dict.fromkeys(sorted(currencies), Decimal(0)) | settings.balances
        self._store = PaperStore(path, msgspec.json.encode(settings), deposits, synchronous, grouped=grouped)
        try:
            self._refuse_other_settings(path)
            self._matching = MatchingEngine(self._store, settings, prices)
            self._now = 0
            self._listeners: list[Callable[[OrderState], None]] = []
            self._arrivals = [_arrival(request) for request in self._store.requests_under_way()]
            heapq.heapify(self._arrivals)
            self._due = self._next_change()
        except BaseException:
            self._store.close()
            raise

    def _refuse_other_settings(self, path: Path) -> None:
        now = msgspec.structs.asdict(self._settings)
        then = msgspec.structs.asdict(msgspec.json.decode(self._store.settings(), type=PaperSettings))
        changed = [name for name in now if now[name] != then[name]]
        if changed:
            raise PaperExchangeError(
                f"{path}: made with other settings ({', '.join(changed)}). What was traded there would not fit what "
                "follows; use the settings it was made with, or another file."
            )

    def flush(self) -> None:
        """Write what happened since the last call into the file, when `grouped`; else it is there already."""
        self._store.flush()

    def close(self) -> None:
        """Release the file. Safe to call twice; nothing is lost without it but what a `flush` was to keep."""
        self._store.close()

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        """Hand every report to `listener` when it is delivered."""
        self._listeners.append(listener)

    # --- time -------------------------------------------------------------------------------------------------

    def next_event_at(self) -> int | None:
        """The next instant at which something happens here (an arrival, a fill, a delivery), or None."""
        deliveries = self._matching.deliveries
        return _earlier(self._due, deliveries[0][0] if deliveries else None)

    def advance(self, to: int) -> None:
        """Let everything happen up to and including `to`, and commit it. An instant already passed changes nothing."""
        if self._due is not None and self._due <= to:
            with self._store.transaction(), localcontext(EXACT):
                while (instant := self._next_change()) is not None and instant <= to:
                    order = self._matching.next_filled()
                    if order is not None and order.next_fill == instant:
                        self._matching.fill(order, instant)
                    else:
                        self._arrive(heapq.heappop(self._arrivals)[-1])
            self._due = self._next_change()
        self._now = max(self._now, to)

    def resume(self, now: int) -> None:
        """After a start: deliver again every report that is due at `now` or later, as if none had been delivered."""
        self._matching.deliveries = self._store.reports_from(now)
        heapq.heapify(self._matching.deliveries)

    def deliver(self, now: int) -> None:
        """Hand the reports that are due at `now` or before to the listeners, in the order of their delivery."""
        deliveries = self._matching.deliveries
        while deliveries and deliveries[0][0] <= now:
            _, _, state = heapq.heappop(deliveries)
            for listener in self._listeners:
                listener(state)

    def prices_changed(self, now: int, symbol: str | None = None) -> None:
        """Ask the price paths (or that of `symbol`) anew when each open order fills: they are not from `now` on what
        they were."""
        orders = self.open_book_orders(symbol)
        if orders:
            with self._store.transaction():
                self._matching.prices_changed(orders, now)
            self._due = self._next_change()

    def _next_change(self) -> int | None:
        filled = self._matching.next_filled()
        return _earlier(self._arrivals[0][0] if self._arrivals else None, None if filled is None else filled.next_fill)

    # --- requests ---------------------------------------------------------------------------------------------

    def send_order(self, order: OrderRequest, stamp: Stamp, sent_at: int) -> Request:
        """Log the order as sent, with its fate. The same message again (same id, same stamp) changes nothing.

        Raises:
            ValueError: the stamp was already used for another order under this id, or a number is none.
        """
        if order.amount.is_nan() or (order.price is not None and order.price.is_nan()):
            raise ValueError(f"{order.client_order_id}: its amount or price is not a number")
        request = self._send(RequestKind.SUBMIT, order.symbol, order.client_order_id, order, stamp, sent_at)
        if request.order != order:
            raise ValueError(f"{order.client_order_id}: stamp {stamp.claimed_at} belongs to another order")
        return request

    def send_cancel(self, symbol: str, client_order_id: str, stamp: Stamp, sent_at: int) -> Request:
        """Log the cancel as sent, with its fate. The same message again changes nothing."""
        return self._send(RequestKind.CANCEL, symbol, client_order_id, None, stamp, sent_at)

    def request(self, client_order_id: str, kind: RequestKind, claimed_at: int) -> Request | None:
        """The request that was stamped `claimed_at`, or None when it was never sent."""
        return self._store.request(client_order_id, kind, claimed_at)

    def requests(self) -> list[Request]:
        """Every request ever sent, whatever became of it."""
        return self._store.requests()

    def _send(
        self,
        kind: RequestKind,
        symbol: str,
        client_order_id: str,
        order: OrderRequest | None,
        stamp: Stamp,
        sent_at: int,
    ) -> Request:
        known = self._store.request(client_order_id, kind, stamp.claimed_at)
        if known is not None:
            return known
        passage = faults.passage(self._settings.profile, self._settings.seed, client_order_id, kind, stamp.claimed_at)
        # Bytes travel from when they leave, not from the stamp they carry, and never into the past.
        arrives_at = max(sent_at, stamp.claimed_at, self._now) + passage.up_ms
        under_way = passage.fate in (Fate.ANSWERED, Fate.REPLY_LOST)
        request = Request(
            client_order_id=client_order_id,
            kind=kind,
            claimed_at=stamp.claimed_at,
            deadline=stamp.deadline,
            symbol=symbol,
            order=order,
            fate=passage.fate,
            sent_at=sent_at,
            arrives_at=arrives_at,
            reply_at=arrives_at + passage.down_ms if under_way else arrives_at,
        )
        with self._store.transaction():
            self._store.save_request(request)
        if under_way:
            heapq.heappush(self._arrivals, _arrival(request))
            self._due = _earlier(self._due, arrives_at)
        return request

    def _arrive(self, request: Request) -> None:
        if request.arrives_at > request.deadline:
            self._settle(request, "expired", f"arrived {request.arrives_at - request.deadline} ms after its deadline")
        elif request.order is not None:
            self._arrive_order(request, request.order)
        else:
            self._arrive_cancel(request)

    def _settle(self, request: Request, outcome: str, reason: str = "", order_seq: int | None = None) -> None:
        self._store.save_request(msgspec.structs.replace(request, outcome=outcome, reason=reason, order_seq=order_seq))

    def _arrive_order(self, request: Request, order: OrderRequest) -> None:
        twin = self._matching.open_order(order.client_order_id)
        if twin is not None:
            self._settle(request, "duplicate", "an open order has this client order id", twin.seq)
            return
        opened = self._matching.accept(request, order)
        if isinstance(opened, str):
            self._settle(request, "refused", opened)
        else:
            self._settle(request, "accepted", order_seq=opened.seq)

    def _arrive_cancel(self, request: Request) -> None:
        at = request.arrives_at
        order = self._matching.open_order(request.client_order_id)
        if order is None:
            known = self._store.orders_of(request.client_order_id)
            if known:
                self._settle(request, "final", order_seq=known[0].seq)
            elif self._is_under_way(request.client_order_id, at):
                self._settle(request, "under_way", "an order with this client order id is still under way")
            else:
                self._settle(request, "absent")
            return
        self._matching.finish(order, OrderStatus.CANCELED, at)
        self._settle(request, "final", order_seq=order.seq)

    def _is_under_way(self, client_order_id: str, at: int) -> bool:
        return any(
            other.kind is RequestKind.SUBMIT and other.client_order_id == client_order_id and other.sent_at <= at
            for *_, other in self._arrivals
        )

    # --- the books --------------------------------------------------------------------------------------------
    # Whoever asks may live before the last change here (a process that was killed and does its last instant again):
    # it is shown the books as they stood then, or its second life would not be like its first.

    def look_up(self, symbol: str, client_order_id: str, instant: int) -> OrderState | None:
        """The order as it stood at `instant`: the open one with this id, else the latest; None if there was none."""
        found = self._store.orders_of(client_order_id)
        states = [order.state(instant) for order in found if order.request.symbol == symbol]
        return next((state for state in states if state is not None), None)

    def final_state(self, order_seq: int) -> OrderState:
        """The order after everything that has happened so far."""
        state = self._matching.order(order_seq).state(_AFTER_ALL)
        assert state is not None
        return state

    def read_is_lost(self, client_order_id: str, instant: int) -> bool:
        """Whether a look-up of the order at `instant` stays without an answer."""
        return faults.read_is_lost(self._settings.profile, self._settings.seed, client_order_id, instant)

    def open_orders(self, symbol: str, instant: int) -> list[OrderState]:
        """The orders on `symbol` that were open at `instant`, in the order of their arrival."""
        states = [order.state(instant) for order in self._store.orders_open_at(symbol, instant)]
        return [state for state in states if state is not None]

    def balances(self, instant: int) -> dict[str, Decimal]:
        """Free plus locked by currency, as of `instant`."""
        with localcontext(EXACT):
            totals = {currency: balance.free + balance.locked for currency, balance in self._matching.balances.items()}
            for order in self._store.orders_traded_after(instant):
                for trade in order.trades:
                    if trade.at > instant:
                        for currency, change in changes(self.markets[order.request.symbol], order, trade):
                            totals[currency] -= change
            return {currency: bare(total) for currency, total in totals.items()}

    def free(self) -> dict[str, Decimal]:
        """What is not locked in open orders, by currency."""
        return {currency: bare(balance.free) for currency, balance in self._matching.balances.items()}

    def changed_balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What is free and what is locked of each currency that changed since the last call; at first, of all."""
        changed = self._matching.changed_balances().items()
        return {name: (bare(balance.free), bare(balance.locked)) for name, balance in changed}

    def trades(self) -> list[BookTrade]:
        """Every trade ever made, in the order of time."""
        found = [
            BookTrade(
                order.request.client_order_id,
                order.exchange_order_id,
                order.request.symbol,
                order.request.side,
                trade,
            )
            for order in self._store.orders()
            for trade in order.trades
        ]
        return sorted(found, key=lambda one: one.trade.at)

    def orders(self) -> list[OrderState]:
        """Every order ever accepted, in the order of arrival, as it stands."""
        states = [order.state(_AFTER_ALL) for order in self._store.orders()]
        return [state for state in states if state is not None]

    def book_order(self, seq: int) -> BookOrder:
        """The order with this place in the books, as it stands. Raises ValueError when there is none."""
        return self._store.order(seq)

    def orders_of(self, client_order_id: str) -> list[BookOrder]:
        """Every order that ever had this client order id, the latest first, as they stand."""
        return self._store.orders_of(client_order_id)

    def orders_on(self, symbol: str) -> list[BookOrder]:
        """Every order ever accepted on `symbol`, in the order of arrival, as they stand."""
        return self._store.orders_on(symbol)

    def open_book_orders(self, symbol: str | None = None) -> list[BookOrder]:
        """The orders that are open, all of them or those on `symbol`, in the order of arrival."""
        return self._matching.open_orders(symbol)

    def book_orders(self) -> list[BookOrder]:
        """Every order ever accepted, in the order of arrival, as they stand."""
        return self._store.orders()

    def latest_change(self) -> int:
        """The latest instant that is in the books; 0 when they are empty."""
        return self._store.latest_change()

    def deposits(self) -> dict[str, Decimal]:
        """What the account began with, by currency."""
        return {currency: balance.deposited for currency, balance in self._matching.balances.items()}

    def reports(self) -> list[tuple[int, OrderState]]:
        """The log of reports that were or will be delivered: (delivery, state), in the order of delivery."""
        return [(deliver_at, state) for deliver_at, _, state in sorted(self._store.reports_from(0))]


def _arrival(request: Request) -> tuple[int, int, str, int, Request]:
    # Everything before the request itself is unique per request and says nothing of who was sent first, so that the
    # order of arrivals is that of the messages, not of the process that sent them.
    return (request.arrives_at, request.claimed_at, request.client_order_id, int(request.kind), request)


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
