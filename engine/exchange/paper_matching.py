"""The paper exchange's matching engine: open orders fill as the market allows, and move the account's money.

Matching: a limit order that can trade when it arrives takes the price of that instant, rounded to the tick against
the sender, and pays the taker fee; what is left rests and fills at its limit, with the maker fee, whenever the price
is there. A market order takes the price of the instant at each of its fills. Fills at one instant go by symbol, then
buys before sells, market orders first, the better limit, the earlier arrival. Our own orders compete for the market's
volume and never trade with each other. A market that is halted takes orders, and fills them when it reopens.

Money: quantity times price is exact and not rounded; a fee is rounded down to 8 decimals of its currency. A limit
buy locks its worst cost, fee included; a sell locks its amount. A market buy needs its cost at the price of its
arrival and locks up to 5 % more where there is money; when the price runs away from what the account has, the
remainder is canceled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal

import msgspec

from engine.exchange import faults
from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderState, OrderStatus, OrderType, Side
from engine.exchange.liquidity import Liquidity
from engine.exchange.paper_file import PaperSettings
from engine.exchange.paper_rules import bare, broken_rule, new_trade, to_tick, worst_cost
from engine.exchange.paper_store import Balance, BookOrder, PaperStore, Request, plain
from engine.exchange.price_path import PricePath

EXACT = Context(prec=60)
_MARKET_BUY_MARGIN = Decimal("1.05")
_ZERO = Decimal(0)
_AT_HAND = 64
"""How many of the latest orders are kept in memory, also when they are over: their answers are asked for soon."""

_Fill = tuple[int, str, bool, bool, Decimal, int]
"""When and where an order fills, and its priority there."""


class MatchingEngine:
    """The open orders of one account, its balances, and the reports of what happens to them.

    Whoever calls what changes them does so in a transaction of the store, and in the arithmetic of `EXACT`.
    """

    def __init__(self, store: PaperStore, settings: PaperSettings, prices: Mapping[str, PricePath]) -> None:
        self.markets: dict[str, Market] = {market.symbol: market for market in settings.markets}
        self._store = store
        self._settings = settings
        self._prices = prices
        self._liquidity: dict[str, Liquidity] = {}
        for symbol, (ends_at, used) in store.slices().items():
            self._liquidity_of(symbol).take(ends_at, used)
        self.balances = store.balances()
        self._changed = set(self.balances)
        self.deliveries: list[tuple[int, int, OrderState]] = []
        """A heap: when a report is delivered, its place in the log, and what it says."""
        self._live: dict[str, dict[int, BookOrder]] = {symbol: {} for symbol in self.markets}
        self._by_client_id: dict[str, BookOrder] = {}
        self._latest: dict[int, BookOrder] = {}
        self._fills: list[_Fill] = []
        for order in store.open_orders():
            self._add_live(order)
        self._next_seq = max(store.next_order_seq(), settings.first_order)

    def open_order(self, client_order_id: str) -> BookOrder | None:
        """The open order with this id, or None."""
        return self._by_client_id.get(client_order_id)

    def open_orders(self, symbol: str | None = None) -> list[BookOrder]:
        """The open orders, all of them or those on `symbol`, in the order of arrival."""
        if symbol is not None:
            return list(self._live[symbol].values())
        return sorted(self._by_client_id.values(), key=lambda order: order.seq)

    def order(self, seq: int) -> BookOrder:
        """The order with this place in the books, be it open or not."""
        return self._latest.get(seq) or self._store.order(seq)

    def changed_balances(self) -> dict[str, Balance]:
        """What changed since the last call, by currency; at first, all."""
        changed = {name: self.balances[name] for name in sorted(self._changed)}
        self._changed.clear()
        return changed

    # --- arrivals ---------------------------------------------------------------------------------------------

    def accept(self, request: Request, order: OrderRequest) -> BookOrder | str:
        """Open the order that arrives with `request`; or say why it is refused."""
        market = self.markets.get(order.symbol)
        if market is None:
            return f"unknown symbol {order.symbol!r}"
        price = self._reference_price(market, order, request.arrives_at)
        reason = broken_rule(market, order, price)
        if reason is not None or price is None:
            return reason or "the market has no price yet"
        currency, needed, locked = self._lock_for(market, order, price)
        balance = self.balances[currency]
        if balance.free < needed:
            return f"insufficient balance: {plain(needed)} {currency} needed, {plain(balance.free)} free"
        balance.free -= locked
        balance.locked += locked
        self._save_balance(currency, balance)
        return self._open(request, order, locked)

    def _open(self, request: Request, order: OrderRequest, locked: Decimal) -> BookOrder:
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
        self._add_live(opened)
        self._latest[opened.seq] = opened
        self._latest.pop(opened.seq - _AT_HAND, None)
        self.report(opened, at)
        return opened

    # --- fills ------------------------------------------------------------------------------------------------

    def next_filled(self) -> BookOrder | None:
        """The order that fills next."""
        while self._fills:
            instant, symbol, *_, seq = self._fills[0]
            order = self._live[symbol].get(seq)
            if order is not None and order.next_fill == instant:
                return order
            # Closed, or put off: it is in the heap again if it fills at all.
            heapq.heappop(self._fills)
        return None

    def fill(self, order: BookOrder, at: int) -> None:
        """Trade what the market has for the order at this instant."""
        request = order.request
        market, liquidity = self.markets[request.symbol], self._liquidity_of(request.symbol)
        bar = self._prices[request.symbol].bar_at(at)
        assert bar is not None
        piece, left = liquidity.left_at(bar, at)
        part = self._part_of(order, market)
        qty = bare(min(part.upto - order.filled, left))
        taker = request.price is None or at == order.accepted_at
        price = request.price if request.price is not None and not taker else self.price_for(market, request.side, at)
        assert price is not None
        if not self.trade(order, qty, price, taker, at):
            return
        liquidity.take(piece.ends_at, qty)
        self._store.save_slice(request.symbol, liquidity.used_slice, liquidity.used)
        if order.filled == request.amount:
            self.finish(order, OrderStatus.FILLED, at)
        else:
            ready_at = at + part.then_ms if order.filled == part.upto else piece.ends_at
            self._fill_next(order, liquidity.next_fill(request.side, request.price, ready_at))
            self.report(order, at)
        if qty == left:
            self._put_off(request.symbol, piece.ends_at)

    def trade(self, order: BookOrder, qty: Decimal, price: Decimal, taker: bool, at: int) -> bool:
        """One execution. False, and the order is canceled, when the account cannot pay for it."""
        market = self.markets[order.request.symbol]
        trade = new_trade(order, market, qty, price, taker, at)
        if not self._pay(order, market, trade):
            self.finish(order, OrderStatus.CANCELED, at)
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

    def finish(self, order: BookOrder, status: OrderStatus, at: int) -> None:
        """Close the order, and free what it still locks."""
        market = self.markets[order.request.symbol]
        currency = market.quote if order.request.side is Side.BUY else market.base
        balance = self.balances[currency]
        balance.locked -= order.locked
        balance.free += order.locked
        order.locked = _ZERO
        order.status, order.closed_at, order.next_fill = status, at, None
        self._save_balance(currency, balance)
        del self._live[order.request.symbol][order.seq]
        del self._by_client_id[order.request.client_order_id]
        self.report(order, at)

    def report(self, order: BookOrder, at: int) -> None:
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
            heapq.heappush(self.deliveries, (deliver_at, place, state))
        if not passage.copies_ms:
            self._store.add_report(order.seq, None, state)
        self._store.save_order(order)

    def prices_changed(self, orders: Iterable[BookOrder], now: int) -> None:
        """Ask the price paths, which are not from `now` on what they were, anew when each of the orders fills."""
        for order in orders:
            request = order.request
            instant = self._liquidity_of(request.symbol).next_fill(request.side, request.price, now)
            self._fill_next(order, instant)
            self._store.save_order(order)

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

    # --- money ------------------------------------------------------------------------------------------------

    def _reference_price(self, market: Market, order: OrderRequest, at: int) -> Decimal | None:
        if order.type is OrderType.LIMIT:
            return order.price
        last = self._prices[market.symbol].last_price(at)
        return None if last is None else to_tick(last, market, order.side)

    def price_for(self, market: Market, side: Side, at: int) -> Decimal:
        """What the market asks or pays at this instant, on its grid; it must not be halted."""
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
        return market.quote, cost, max(cost, min(wanted, self.balances[market.quote].free))

    def _pay(self, order: BookOrder, market: Market, trade: ExchangeTrade) -> bool:
        """Move the money of one trade; False, and nothing moved, when the account cannot pay for it."""
        base, quote = self.balances[market.base], self.balances[market.quote]
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


def _priority(order: BookOrder) -> tuple[bool, bool, Decimal, int]:
    price = order.request.price
    buys = order.request.side is Side.BUY
    return (not buys, price is not None, _ZERO if price is None else -price if buys else price, order.seq)
