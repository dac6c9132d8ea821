"""An exchange with books of its own, played against recorded bars: what a bot trades with when no money is meant.

Time is virtual. A request reaches the exchange's log when it is sent, its books when it arrives; what happens between
two instants depends on the requests and the bars alone, never on how often anyone looks. So the books are the same
however the time is cut into steps, and whether or not the process was killed and started again in between.

Matching: a limit order that can trade when it arrives takes the price of that instant, rounded to the tick against
the sender, and pays the taker fee; what is left rests and fills at its limit, with the maker fee, whenever the price
is there. A market order takes the price of the instant at each of its fills. Fills at one instant go by symbol, then
buys before sells, market orders first, the better limit, the earlier arrival; they come before the requests that
arrive at that instant. Our own orders compete for the market's volume and never trade with each other. A market that
is halted takes orders, and fills them when it reopens.

Money: quantity times price is exact and not rounded; a fee is rounded down to 8 decimals of its currency. A limit
buy locks its worst cost, fee included; a sell locks its amount. A market buy needs its cost at the price of its
arrival and locks up to 5 % more where there is money; when the price runs away from what the account has, the
remainder is canceled.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from pathlib import Path

import msgspec

from engine.exchange import faults
from engine.exchange.faults import Fate, FaultProfile, RequestKind
from engine.exchange.gateway import (
    ExchangeTrade,
    Market,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Side,
    Stamp,
)
from engine.exchange.liquidity import Liquidity
from engine.exchange.paper_file import PaperExchangeError, Synchronous
from engine.exchange.paper_rules import bare, broken_rule, changes, new_trade, to_tick, worst_cost
from engine.exchange.paper_store import Balance, BookOrder, PaperStore, Request, plain
from engine.exchange.price_path import PricePath

_EXACT = Context(prec=60)
_MARKET_BUY_MARGIN = Decimal("1.05")
_ZERO = Decimal(0)
_AFTER_ALL = 1 << 62
_AT_HAND = 64
"""How many of the latest orders are kept in memory, also when they are over: their answers are asked for soon."""


class PaperSettings(msgspec.Struct, frozen=True):
    """What the exchange is: it cannot change in the life of its file. `participation` is a fraction of the volume."""

    markets: tuple[Market, ...]
    balances: dict[str, Decimal]
    seed: int
    profile: FaultProfile
    participation: Decimal = Decimal("0.1")
    slice_ms: int = 10_000
    first_order: int = 1
    """The number of the first order, for exchanges of several accounts whose orders are to have different numbers."""


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
        deposits = dict.fromkeys(sorted(currencies), _ZERO) | settings.balances
        self._store = PaperStore(path, msgspec.json.encode(settings), deposits, synchronous, grouped=grouped)
        try:
            self._refuse_other_settings(path)
            self._prices = prices
            self._liquidity: dict[str, Liquidity] = {}
            self._load()
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

    def _load(self) -> None:
        self._now = 0
        self._listeners: list[Callable[[OrderState], None]] = []
        self._deliveries: list[tuple[int, int, OrderState]] = []
        self._balances = self._store.balances()
        self._changed = set(self._balances)
        for symbol, (ends_at, used) in self._store.slices().items():
            self._liquidity_of(symbol).take(ends_at, used)
        self._arrivals = [_arrival(request) for request in self._store.requests_under_way()]
        heapq.heapify(self._arrivals)
        self._live: dict[str, dict[int, BookOrder]] = {symbol: {} for symbol in self.markets}
        self._by_client_id: dict[str, BookOrder] = {}
        self._latest: dict[int, BookOrder] = {}
        self._fills: list[_Fill] = []
        for order in self._store.open_orders():
            self._add_live(order)
        self._next_seq = max(self._store.next_order_seq(), self._settings.first_order)
        self._due = self._next_change()

    def _liquidity_of(self, symbol: str) -> Liquidity:
        known = self._liquidity.get(symbol)
        if known is None:
            settings, step = self._settings, self.markets[symbol].amount_step
            known = Liquidity(self._prices[symbol], settings.participation, settings.slice_ms, step)
            self._liquidity[symbol] = known
        return known

    def _add_live(self, order: BookOrder) -> None:
        self._live[order.request.symbol][order.seq] = order
        self._by_client_id[order.request.client_order_id] = order
        self._fill_next(order, order.next_fill)

    def _fill_next(self, order: BookOrder, instant: int | None) -> None:
        order.next_fill = instant
        if instant is not None:
            heapq.heappush(self._fills, (instant, order.request.symbol, *_priority(order)))

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
        delivery = self._deliveries[0][0] if self._deliveries else None
        return _earlier(self._due, delivery)

    def advance(self, to: int) -> None:
        """Let everything happen up to and including `to`, and commit it. An instant already passed changes nothing."""
        if self._due is not None and self._due <= to:
            with self._store.transaction(), localcontext(_EXACT):
                while (instant := self._next_change()) is not None and instant <= to:
                    order = self._next_filled()
                    if order is not None and order.next_fill == instant:
                        self._fill(order, instant)
                    else:
                        self._arrive(heapq.heappop(self._arrivals)[-1])
            self._due = self._next_change()
        self._now = max(self._now, to)

    def resume(self, now: int) -> None:
        """After a start: deliver again every report that is due at `now` or later, as if none had been delivered."""
        self._deliveries = self._store.reports_from(now)
        heapq.heapify(self._deliveries)

    def deliver(self, now: int) -> None:
        """Hand the reports that are due at `now` or before to the listeners, in the order of their delivery."""
        while self._deliveries and self._deliveries[0][0] <= now:
            _, _, state = heapq.heappop(self._deliveries)
            for listener in self._listeners:
                listener(state)

    def prices_changed(self, now: int, symbol: str | None = None) -> None:
        """Ask the price paths (or that of `symbol`) anew when each open order fills: they are not from `now` on what
        they were."""
        orders = self.open_book_orders(symbol)
        if not orders:
            return
        with self._store.transaction():
            for order in orders:
                request = order.request
                instant = self._liquidity_of(request.symbol).next_fill(request.side, request.price, now)
                self._fill_next(order, instant)
                self._store.save_order(order)
        self._due = self._next_change()

    def _next_change(self) -> int | None:
        filled = self._next_filled()
        return _earlier(self._arrivals[0][0] if self._arrivals else None, None if filled is None else filled.next_fill)

    def _next_filled(self) -> BookOrder | None:
        """The order that fills next."""
        while self._fills:
            instant, symbol, *_, seq = self._fills[0]
            order = self._live[symbol].get(seq)
            if order is not None and order.next_fill == instant:
                return order
            # Closed, or put off: it is in the heap again if it fills at all.
            heapq.heappop(self._fills)
        return None

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
        at = request.arrives_at
        twin = self._by_client_id.get(order.client_order_id)
        if twin is not None:
            self._settle(request, "duplicate", "an open order has this client order id", twin.seq)
            return
        market = self.markets.get(order.symbol)
        if market is None:
            self._settle(request, "refused", f"unknown symbol {order.symbol!r}")
            return
        price = self._reference_price(market, order, at)
        reason = broken_rule(market, order, price)
        if reason is not None or price is None:
            self._settle(request, "refused", reason or "the market has no price yet")
            return
        currency, needed, locked = self._lock_for(market, order, price)
        balance = self._balances[currency]
        if balance.free < needed:
            lack = f"insufficient balance: {plain(needed)} {currency} needed, {plain(balance.free)} free"
            self._settle(request, "refused", lack)
            return
        balance.free -= locked
        balance.locked += locked
        self._save_balance(currency, balance)
        self._open(request, order, locked)

    def _open(self, request: Request, order: OrderRequest, locked: Decimal) -> None:
        seed, at = self._settings.seed, request.arrives_at
        opened = BookOrder(
            seq=self._next_seq,
            exchange_order_id=faults.order_number(seed, order.client_order_id, request.claimed_at),
            request=msgspec.structs.replace(
                order, amount=bare(order.amount), price=None if order.price is None else bare(order.price)
            ),
            claimed_at=request.claimed_at,
            accepted_at=at,
            status=OrderStatus.OPEN,
            closed_at=None,
            filled=_ZERO,
            locked=locked,
            next_fill=self._liquidity_of(order.symbol).next_fill(order.side, order.price, at),
            reports=0,
            reported_until=0,
            trades=[],
        )
        self._next_seq += 1
        self._settle(request, "accepted", order_seq=opened.seq)
        self._add_live(opened)
        self._latest[opened.seq] = opened
        self._latest.pop(opened.seq - _AT_HAND, None)
        self._report(opened, at)

    def _arrive_cancel(self, request: Request) -> None:
        at = request.arrives_at
        order = self._by_client_id.get(request.client_order_id)
        if order is None:
            known = self._store.orders_of(request.client_order_id)
            if known:
                self._settle(request, "final", order_seq=known[0].seq)
            elif self._is_under_way(request.client_order_id, at):
                self._settle(request, "under_way", "an order with this client order id is still under way")
            else:
                self._settle(request, "absent")
            return
        self._finish(order, OrderStatus.CANCELED, at)
        self._settle(request, "final", order_seq=order.seq)

    def _is_under_way(self, client_order_id: str, at: int) -> bool:
        return any(
            other.kind is RequestKind.SUBMIT and other.client_order_id == client_order_id and other.sent_at <= at
            for *_, other in self._arrivals
        )

    # --- matching ---------------------------------------------------------------------------------------------

    def _fill(self, order: BookOrder, at: int) -> None:
        request = order.request
        market, liquidity = self.markets[request.symbol], self._liquidity_of(request.symbol)
        bar = self._prices[request.symbol].bar_at(at)
        assert bar is not None
        piece, left = liquidity.left_at(bar, at)
        part = self._part_of(order, market)
        qty = bare(min(part.upto - order.filled, left))
        taker = request.price is None or at == order.accepted_at
        price = request.price if request.price is not None and not taker else self._price_for(market, request.side, at)
        assert price is not None
        if not self._trade(order, qty, price, taker, at):
            return
        liquidity.take(piece.ends_at, qty)
        self._store.save_slice(request.symbol, liquidity.used_slice, liquidity.used)
        if order.filled == request.amount:
            self._finish(order, OrderStatus.FILLED, at)
        else:
            ready_at = at + part.then_ms if order.filled == part.upto else piece.ends_at
            self._fill_next(order, liquidity.next_fill(request.side, request.price, ready_at))
            self._report(order, at)
        if qty == left:
            self._put_off(request.symbol, piece.ends_at)

    def _trade(self, order: BookOrder, qty: Decimal, price: Decimal, taker: bool, at: int) -> bool:
        """One execution. False, and the order is canceled, when the account cannot pay for it."""
        market = self.markets[order.request.symbol]
        trade = new_trade(order, market, qty, price, taker, at)
        if not self._pay(order, market, trade):
            self._finish(order, OrderStatus.CANCELED, at)
            return False
        self._store.add_trade(order.seq, len(order.trades), trade)
        order.trades.append(trade)
        order.filled = bare(order.filled + qty)
        return True

    def _part_of(self, order: BookOrder, market: Market) -> faults.Part:
        request = order.request
        split = faults.parts(
            self._settings.profile,
            self._settings.seed,
            request.client_order_id,
            order.claimed_at,
            request.amount,
            market.amount_step,
        )
        return next(part for part in split if part.upto > order.filled)

    def _put_off(self, symbol: str, until: int) -> None:
        """The slice is used up: whoever counted on it waits for the next one."""
        liquidity = self._liquidity_of(symbol)
        for order in self._live[symbol].values():
            if order.next_fill is not None and order.next_fill < until:
                self._fill_next(order, liquidity.next_fill(order.request.side, order.request.price, until))
                self._store.save_order(order)

    def _finish(self, order: BookOrder, status: OrderStatus, at: int) -> None:
        market = self.markets[order.request.symbol]
        currency = market.quote if order.request.side is Side.BUY else market.base
        balance = self._balances[currency]
        balance.locked -= order.locked
        balance.free += order.locked
        order.locked = _ZERO
        order.status, order.closed_at, order.next_fill = status, at, None
        self._save_balance(currency, balance)
        del self._live[order.request.symbol][order.seq]
        del self._by_client_id[order.request.client_order_id]
        self._report(order, at)

    def _report(self, order: BookOrder, at: int) -> None:
        """Log the order's new state and send it off. Saves the order."""
        state = order.state(at)
        assert state is not None
        passage = faults.report_passage(
            self._settings.profile,
            self._settings.seed,
            order.request.client_order_id,
            order.claimed_at,
            order.reports,
        )
        order.reports += 1
        for latency in passage.copies_ms:
            deliver_at = at + latency
            if passage.in_order and latency == passage.copies_ms[0]:
                deliver_at = max(deliver_at, order.reported_until)
                order.reported_until = deliver_at
            place = self._store.add_report(order.seq, deliver_at, state)
            heapq.heappush(self._deliveries, (deliver_at, place, state))
        if not passage.copies_ms:
            self._store.add_report(order.seq, None, state)
        self._store.save_order(order)

    # --- money ------------------------------------------------------------------------------------------------

    def _reference_price(self, market: Market, order: OrderRequest, at: int) -> Decimal | None:
        if order.type is OrderType.LIMIT:
            return order.price
        last = self._prices[market.symbol].last_price(at)
        return None if last is None else to_tick(last, market, order.side)

    def _price_for(self, market: Market, side: Side, at: int) -> Decimal:
        price = self._prices[market.symbol].price_at(at)
        assert price is not None
        return to_tick(price, market, side)

    def _lock_for(self, market: Market, order: OrderRequest, price: Decimal) -> tuple[str, Decimal, Decimal]:
        """The currency, what must be free, and what is locked."""
        if order.side is Side.SELL:
            return market.base, order.amount, order.amount
        if order.type is OrderType.LIMIT:
            cost = worst_cost(market, order.amount, price)
            return market.quote, cost, cost
        cost = worst_cost(market, order.amount, price)
        wanted = worst_cost(market, order.amount, price * _MARKET_BUY_MARGIN)
        return market.quote, cost, max(cost, min(wanted, self._balances[market.quote].free))

    def _pay(self, order: BookOrder, market: Market, trade: ExchangeTrade) -> bool:
        """Move the money of one trade; False, and nothing moved, when the account cannot pay for it."""
        base, quote = self._balances[market.base], self._balances[market.quote]
        notional = trade.qty * trade.price
        if order.request.side is Side.SELL:
            order.locked -= trade.qty
            base.locked -= trade.qty
            quote.free += notional - trade.fee
        else:
            cost = notional if market.fee_in_base else notional + trade.fee
            if cost > order.locked + quote.free:
                return False
            rest = order.request.amount - order.filled - trade.qty
            kept = max(order.locked - cost, _ZERO)
            if order.request.price is not None:
                kept = worst_cost(market, rest, order.request.price)
            quote.locked += kept - order.locked
            quote.free += order.locked - cost - kept
            order.locked = kept
            base.free += trade.qty - trade.fee if market.fee_in_base else trade.qty
        self._save_balance(market.base, base)
        self._save_balance(market.quote, quote)
        return True

    def _save_balance(self, currency: str, balance: Balance) -> None:
        self._store.save_balance(currency, balance)
        self._changed.add(currency)

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
        order = self._latest.get(order_seq) or self._store.order(order_seq)
        state = order.state(_AFTER_ALL)
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
        with localcontext(_EXACT):
            totals = {currency: balance.free + balance.locked for currency, balance in self._balances.items()}
            for order in self._store.orders_traded_after(instant):
                for trade in order.trades:
                    if trade.at > instant:
                        for currency, change in changes(self.markets[order.request.symbol], order, trade):
                            totals[currency] -= change
            return {currency: bare(total) for currency, total in totals.items()}

    def free(self) -> dict[str, Decimal]:
        """What is not locked in open orders, by currency."""
        return {currency: bare(balance.free) for currency, balance in self._balances.items()}

    def changed_balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What is free and what is locked of each currency that changed since the last call; at first, of all."""
        changed = {name: self._balances[name] for name in sorted(self._changed)}
        self._changed.clear()
        return {name: (bare(balance.free), bare(balance.locked)) for name, balance in changed.items()}

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
        if symbol is not None:
            return list(self._live[symbol].values())
        return sorted(self._by_client_id.values(), key=lambda order: order.seq)

    def book_orders(self) -> list[BookOrder]:
        """Every order ever accepted, in the order of arrival, as they stand."""
        return self._store.orders()

    def latest_change(self) -> int:
        """The latest instant that is in the books; 0 when they are empty."""
        return self._store.latest_change()

    def deposits(self) -> dict[str, Decimal]:
        """What the account began with, by currency."""
        return {currency: balance.deposited for currency, balance in self._balances.items()}

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


_Fill = tuple[int, str, bool, bool, Decimal, int]
"""When and where an order fills, and its priority there."""


def _priority(order: BookOrder) -> tuple[bool, bool, Decimal, int]:
    price = order.request.price
    buys = order.request.side is Side.BUY
    return (not buys, price is not None, _ZERO if price is None else -price if buys else price, order.seq)
