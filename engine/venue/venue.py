"""An account of the venue without its wire: orders, cancels and views on the books, at the instants of a clock.

The books keep the clock's time; the server's time, which clients see and are measured by, is ahead of it by `skew`
milliseconds. What is accepted is in the books' file before any of these methods returns.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from engine.exchange.faults import RequestKind
from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderState, OrderStatus, Side, Stamp
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_rules import to_tick
from engine.exchange.paper_store import BookOrder
from engine.venue.codes import VenueError
from engine.venue.markets import Markets
from engine.venue.settings import Lags
from runtime.clock import Clock


class Holding(msgspec.Struct, frozen=True):
    """One currency of the account."""

    free: Decimal
    locked: Decimal


class Venue:
    """One account. Instants in milliseconds since the epoch, by the books' time."""

    def __init__(
        self, exchange: PaperExchange, markets: Markets, clock: Clock, seed: int, lags: Lags, skew: int = 0
    ) -> None:
        self.exchange = exchange
        self.markets = markets
        self.lags = lags
        self.skew = skew
        self._clock = clock
        self._seed = seed
        self._closed: deque[OrderState] = deque()
        # A clock that was set back must not hide what is in the books.
        self._latest = now = max(clock.now(), exchange.latest_change())
        self._holdings = _holdings(exchange)
        self._since = now
        self._before: deque[tuple[int, dict[str, Holding]]] = deque()
        exchange.subscribe(self._note_closed)
        # What would have filled while the venue was down fills from now on, if the price is still there.
        exchange.prices_changed(now)
        exchange.resume(now)
        markets.join(self)
        self.present()

    def server_time(self) -> int:
        return self._clock.now() + self.skew

    def present(self) -> int:
        """Let everything up to now happen in the books, and return now. Each acceptance takes an instant of its own,
        so that after a burst of them the books are a little ahead of the clock."""
        now = max(self._clock.now(), self._latest)
        self.markets.keep_up(now)
        self._advance(now)
        return now

    def keep_up(self) -> None:
        """Let what is due happen. Of hundreds of accounts few have something due at any instant."""
        now = self._clock.now()
        self.markets.keep_up(now)
        due = self.exchange.next_event_at()
        if due is not None and due <= now:
            self.present()

    def prices_changed(self, symbol: str, since: int) -> None:
        """The prices of `symbol` are not from `since` on what they were."""
        self._advance(max(since - 1, self._latest))
        self.exchange.prices_changed(max(since, self._latest), symbol)

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        """Call `listener` with every change of an order, as it happens."""
        self.exchange.subscribe(listener)

    # --- orders -----------------------------------------------------------------------------------------------

    def place(self, order: OrderRequest, timestamp: int) -> BookOrder:
        """Accept the order now, whatever its sender still waits for.

        Raises:
            VenueError: the reason why it is refused.
        """
        now = self.present()
        stamp = self._free_stamp(order.client_order_id, RequestKind.SUBMIT, timestamp, now)
        request = self.exchange.send_order(order, stamp, now)
        self._advance(request.arrives_at)
        settled = self.exchange.request(order.client_order_id, RequestKind.SUBMIT, stamp.claimed_at)
        assert settled is not None
        if settled.outcome == "accepted" and settled.order_seq is not None:
            return self.exchange.book_order(settled.order_seq)
        if settled.outcome == "duplicate":
            raise VenueError(-2010, "Duplicate order sent.")
        if "insufficient" in settled.reason:
            raise VenueError(-2010)
        raise VenueError(-1013, f"Filter failure: {settled.reason}")

    def cancel(self, order: BookOrder, timestamp: int) -> BookOrder:
        """Cancel an order that is open; raises VenueError for one that is not, or no longer."""
        now = self.present()
        if self.exchange.book_order(order.seq).status is not OrderStatus.OPEN:
            raise VenueError(-2011)
        client_order_id = order.request.client_order_id
        stamp = self._free_stamp(client_order_id, RequestKind.CANCEL, timestamp, now)
        request = self.exchange.send_cancel(order.request.symbol, client_order_id, stamp, now)
        self._advance(request.arrives_at)
        after = self.exchange.book_order(order.seq)
        if after.status is not OrderStatus.CANCELED:
            raise VenueError(-2011)
        return after

    def _free_stamp(self, client_order_id: str, kind: RequestKind, timestamp: int, now: int) -> Stamp:
        # The books take the same stamp for the same message; binance does not: the same bytes twice buy twice.
        claimed_at = min(timestamp - self.skew, now)
        while self.exchange.request(client_order_id, kind, claimed_at) is not None:
            claimed_at -= 1
        # Whoever calls has seen to the window; here the request is not late.
        return Stamp(1, claimed_at, now + 1)

    def _advance(self, to: int) -> None:
        self._latest = to
        self.exchange.advance(to)
        if changed := _holdings(self.exchange):
            self._before.append((to, {currency: self._holdings[currency] for currency in changed}))
            self._holdings |= changed
            self._forget(to - self.lags.account)
        self.exchange.deliver(to)

    def _forget(self, until: int) -> None:
        while self._before and self._before[0][0] <= until:
            self._since = self._before.popleft()[0]

    def _note_closed(self, state: OrderState) -> None:
        if state.status is not OrderStatus.OPEN:
            self._closed.append(state)
            self._forget_closed(self._latest - self.lags.open_orders)

    def _forget_closed(self, until: int) -> None:
        while self._closed and self._closed[0].updated_at <= until:
            self._closed.popleft()

    # --- views ------------------------------------------------------------------------------------------------

    def order_of(self, state: OrderState) -> BookOrder:
        """The order that a report is about."""
        known = self.exchange.orders_of(state.client_order_id)
        return next(order for order in known if order.exchange_order_id == state.exchange_order_id)

    def find(self, symbol: str, order_id: int | None, client_order_id: str | None) -> BookOrder | None:
        """The order by its number, else by its client id (the open one, else the latest), without any lag."""
        self.present()
        if order_id is not None:
            try:
                found = self.exchange.book_order(order_id)
            except ValueError:
                return None
            return found if found.request.symbol == symbol else None
        for order in self.exchange.orders_of(client_order_id or ""):
            if order.request.symbol == symbol:
                return order
        return None

    def view(self, order: BookOrder) -> OrderState | None:
        """The order as its look-up shows it at present; None while the order is not to be seen yet."""
        return order.state(self.present() - self._lag("order", order, self.lags.order))

    def list_view(self, order: BookOrder) -> OrderState | None:
        """The order as lists show it at present."""
        return order.state(self.present() - self._lag("open_orders", order, self.lags.open_orders))

    def recent_orders(self, symbol: str | None) -> list[BookOrder]:
        """The orders, on `symbol` or on all, that a list of open ones may have to show: open, or so a moment ago."""
        self._forget_closed(self.present() - self.lags.open_orders)
        closed = [self.order_of(state) for state in self._closed if symbol in (None, state.symbol)]
        orders = {order.seq: order for order in (*self.exchange.open_book_orders(symbol), *closed)}
        return [orders[number] for number in sorted(orders)]

    def trades_view(self, order: BookOrder) -> list[tuple[int, ExchangeTrade]]:
        """The order's trades that can be seen, numbered from 1."""
        until = self.present() - self._lag("trades", order, self.lags.trades)
        return [(number, trade) for number, trade in enumerate(order.trades, 1) if trade.at <= until]

    def account_view(self) -> tuple[int, dict[str, Holding]]:
        """Since when the account is as it is shown, and how."""
        now = self.present()
        self._forget(now - self.lags.account)
        until = now - _draw(self._seed, "account", now // 1_000) % (self.lags.account + 1)
        shown, since = dict(self._holdings), self._since
        for at, before in reversed(self._before):
            if at <= until:
                since = at
                break
            shown |= before
        return since, shown

    def holdings(self, currencies: Iterable[str]) -> dict[str, Holding]:
        """What the account has of these, without any lag."""
        return {currency: self._holdings[currency] for currency in currencies}

    def _lag(self, view: str, order: BookOrder, most: int) -> int:
        return _draw(self._seed, view, order.seq) % (most + 1)

    # --- market data ------------------------------------------------------------------------------------------

    def last_price(self, market: Market, side: Side = Side.SELL) -> Decimal:
        """The price now on the market's grid, the last one while it is halted."""
        price = self.markets[market.symbol].last_price(self.present())
        return market.price_tick if price is None else to_tick(price, market, side)


def _holdings(exchange: PaperExchange) -> dict[str, Holding]:
    return {currency: Holding(*amounts) for currency, amounts in exchange.changed_balances().items()}


def _draw(*key: int | str) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest())
