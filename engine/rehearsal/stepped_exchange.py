"""A paper exchange on which nothing happens by itself: whoever holds it says what trades, and when."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import msgspec

from engine.exchange.faults import CALM, RequestKind
from engine.exchange.gateway import Market, OrderRequest, OrderState, OrderStatus, Stamp
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import PaperSettings
from engine.exchange.paper_matching import EXACT
from engine.exchange.paper_store import BookOrder, Request
from engine.exchange.price_path import PricePath
from engine.market_data.candles import Candle, Series

_LONG = 1_000 * 86_400_000
_AT_ONCE = msgspec.structs.replace(CALM, name="stepped", up_ms=(1, 1), down_ms=(1, 1), split=0)


class NoSuchOrderError(Exception):
    """The exchange has no open order of this client order id."""


class SteppedExchange(PaperExchange):
    """The paper exchange with its own books and rules, in a market whose price stands still and in which nobody trades.

    Args:
        price: of every market, in quote currency.
        start: when the market opens, milliseconds since the epoch.
    """

    def __init__(
        self, path: Path, markets: tuple[Market, ...], balances: dict[str, Decimal], price: Decimal, start: int
    ) -> None:
        still = Candle(start, price, price, price, price, Decimal(0), _LONG)
        prices = {market.symbol: PricePath(Series(market.symbol, _LONG, (still,))) for market in markets}
        super().__init__(path, PaperSettings(markets, balances, 0, _AT_ONCE), prices, "OFF")
        self.hidden: set[str] = set()
        """Orders, by client order id, that look-ups and cancels do not find yet."""
        self.unwelcome: set[str] = set()
        """Orders, by client order id, that are refused on arrival."""

    def receive_order(self, order: OrderRequest, stamp: Stamp, at: int) -> Request:
        """The request arrives at `at`, whenever it was sent; what became of it."""
        self.send_order(order, stamp, at - 1)
        return self._became_of(order.client_order_id, RequestKind.SUBMIT, stamp, at)

    def receive_cancel(self, symbol: str, client_order_id: str, stamp: Stamp, at: int) -> Request:
        """The cancel arrives at `at`; what became of it. The same cancel again, after a crash, is another message."""
        again = Stamp(stamp.attempt, at - 1, max(stamp.deadline, at))
        self.send_cancel(symbol, client_order_id, again, at - 1)
        return self._became_of(client_order_id, RequestKind.CANCEL, again, at)

    def fill(self, client_order_id: str, qty: Decimal, at: int) -> None:
        """Somebody trades `qty` with the open order, at its limit, or at the market's price if it has none."""
        order = self._live_order(client_order_id)
        market = self.markets[order.request.symbol]
        price = order.request.price or self._matching.price_for(market, order.request.side, at)
        with self._store.transaction(), localcontext(EXACT):
            if not self._matching.trade(order, qty, price, False, at):
                return
            if order.filled == order.request.amount:
                self._matching.finish(order, OrderStatus.FILLED, at)
            else:
                self._matching.report(order, at)

    def drop(self, client_order_id: str, at: int) -> None:
        """The exchange cancels the open order of its own accord."""
        order = self._live_order(client_order_id)
        with self._store.transaction(), localcontext(EXACT):
            self._matching.finish(order, OrderStatus.CANCELED, at)

    def look_up(self, symbol: str, client_order_id: str, instant: int) -> OrderState | None:
        return None if client_order_id in self.hidden else super().look_up(symbol, client_order_id, instant)

    def was_refused(self, client_order_id: str) -> str | None:
        """Why the exchange refused the order; None when it did not."""
        found = [one for one in self.requests() if one.client_order_id == client_order_id]
        return next((one.reason for one in found if one.outcome == "refused"), None)

    def _live_order(self, client_order_id: str) -> BookOrder:
        order = self._matching.open_order(client_order_id)
        if order is None:
            raise NoSuchOrderError(f"the exchange has no open order {client_order_id}")
        return order

    def _became_of(self, client_order_id: str, kind: RequestKind, stamp: Stamp, at: int) -> Request:
        self.advance(at)
        found = self.request(client_order_id, kind, stamp.claimed_at)
        assert found is not None
        return found

    def _arrive_order(self, request: Request, order: OrderRequest) -> None:
        if order.client_order_id in self.unwelcome:
            self._settle(request, "refused", "the exchange does not want this order")
        else:
            super()._arrive_order(request, order)

    def _arrive_cancel(self, request: Request) -> None:
        if request.client_order_id in self.hidden:
            self._settle(request, "absent")
        else:
            super()._arrive_cancel(request)
