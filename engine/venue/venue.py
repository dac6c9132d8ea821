"""The venue without its wire: orders, cancels and views on the books, at the instants of a clock.

The books keep the clock's time; the server's time, which clients see and are measured by, is ahead of it by `skew`
milliseconds. What is accepted is in the books' file before any of these methods returns.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from engine.exchange.faults import RequestKind
from engine.exchange.gateway import ExchangeTrade, Market, OrderRequest, OrderState, OrderStatus, Side, Stamp
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_rules import to_tick
from engine.exchange.paper_store import BookOrder
from engine.venue.codes import VenueError
from engine.venue.prices import LivePrices, Turn
from engine.venue.settings import Lags
from runtime.clock import Clock


class Holding(msgspec.Struct, frozen=True):
    """One currency of the account."""

    free: Decimal
    locked: Decimal


class Venue:
    """One account. Instants in milliseconds since the epoch, by the books' time."""

    def __init__(
        self,
        exchange: PaperExchange,
        prices: Mapping[str, LivePrices],
        clock: Clock,
        seed: int,
        lags: Lags,
        skew: int = 0,
    ) -> None:
        self.exchange = exchange
        self.prices = prices
        self.lags = lags
        self.skew = skew
        self._clock = clock
        self._seed = seed
        self._by_id = {market_id(symbol): market for symbol, market in exchange.markets.items()}
        self._holdings: deque[tuple[int, dict[str, Holding]]] = deque()
        # A clock that was set back must not hide what is in the books.
        self._latest = now = max(clock.now(), exchange.latest_change())
        # What would have filled while the venue was down fills from now on, if the price is still there.
        exchange.prices_changed(now)
        exchange.resume(now)
        self.present()

    @property
    def markets(self) -> Mapping[str, Market]:
        """By binance's name: BTCUSDT."""
        return self._by_id

    def market(self, name: str) -> Market:
        """Raises VenueError for a name that is none."""
        found = self._by_id.get(name)
        if found is None:
            raise VenueError(-1121)
        return found

    def server_time(self) -> int:
        return self._clock.now() + self.skew

    def present(self) -> int:
        """Let everything up to now happen in the books, and return now. Each acceptance takes an instant of its own,
        so that after a burst of them the books are a little ahead of the clock."""
        now = max(self._clock.now(), self._latest)
        if sum(prices.keep_up(now) for prices in self.prices.values()):
            self.exchange.prices_changed(now)
        self._advance(now)
        return now

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        """Call `listener` with every change of an order, as it happens."""
        self.exchange.subscribe(listener)

    def turn(self, symbol: str, price: Decimal | None, halted: bool) -> Turn:
        """Move the market by hand, from now on: to a price where it stays, to a halt, or back to its own ways."""
        turn = Turn(self.present() + 1, price, halted)
        self.prices[symbol].turn(turn)
        self.exchange.prices_changed(turn.since)
        return turn

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
        totals, free = self.exchange.balances(to), self.exchange.free()
        holdings = {currency: Holding(free[currency], total - free[currency]) for currency, total in totals.items()}
        if not self._holdings or self._holdings[-1][1] != holdings:
            self._holdings.append((to, holdings))
        self.exchange.deliver(to)

    # --- views ------------------------------------------------------------------------------------------------

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

    def recent_orders(self, symbol: str) -> list[BookOrder]:
        """The orders that a list of open ones may have to show: open, or so a moment ago."""
        return self.exchange.orders_open_since(symbol, self.present() - self.lags.open_orders)

    def trades_view(self, order: BookOrder) -> list[tuple[int, ExchangeTrade]]:
        """The order's trades that can be seen, numbered from 1."""
        until = self.present() - self._lag("trades", order, self.lags.trades)
        return [(number, trade) for number, trade in enumerate(order.trades, 1) if trade.at <= until]

    def account_view(self) -> tuple[int, dict[str, Holding]]:
        """Since when the account is as it is shown, and how."""
        now = self.present()
        until = now - _draw(self._seed, "account", now // 1_000) % (self.lags.account + 1)
        while len(self._holdings) > 1 and self._holdings[1][0] <= now - self.lags.account:
            self._holdings.popleft()
        return next((known for known in reversed(self._holdings) if known[0] <= until), self._holdings[0])

    def account_now(self) -> tuple[int, dict[str, Holding]]:
        """The account without any lag."""
        return self._holdings[-1]

    def _lag(self, view: str, order: BookOrder, most: int) -> int:
        return _draw(self._seed, view, order.seq) % (most + 1)

    # --- market data ------------------------------------------------------------------------------------------

    def last_price(self, market: Market, side: Side = Side.SELL) -> Decimal:
        """The price now on the market's grid, the last one while it is halted."""
        price = self.prices[market.symbol].last_price(self.present())
        return market.price_tick if price is None else to_tick(price, market, side)


def market_id(symbol: str) -> str:
    """Binance's name of BASE/QUOTE."""
    return symbol.replace("/", "")


def _draw(*key: int | str) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest())
