"""Every execution of an account on a symbol, since an instant and in the order in which it happened, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from engine.exchange.gateway import ExchangeTrade, Side
from engine.exchange.wire import Failed, WireOrder


class Execution(msgspec.Struct, frozen=True):
    """A trade and the order that it belongs to; `client_order_id` is empty where the order has none."""

    trade: ExchangeTrade
    side: Side
    exchange_order_id: str
    client_order_id: str = ""


class Pages(Protocol):
    """What a wire reads of the past: the first page from `since` (ms), any further one from a number on."""

    async def orders_page(self, symbol: str, since: int, first: int | None) -> Sequence[WireOrder] | Failed: ...

    async def executions_page(self, symbol: str, since: int, first: int | None) -> Sequence[Execution] | Failed: ...


class History:
    """Reads each page once and remembers where it was, so that only what is new is asked for again.

    Args:
        page: how many rows a full page has.
    """

    def __init__(self, pages: Pages, symbol: str, since: int, page: int) -> None:
        self._pages = pages
        self._symbol = symbol
        self._since = since
        self._page = page
        self._untold: list[Execution] = []
        self._next_trade: int | None = None
        self._next_order: int | None = None
        self._client_ids: dict[str, str] = {}

    async def news(self) -> Sequence[Execution] | Failed:
        """The executions since the last call that came to its end. One that did not goes on where it was."""
        while True:
            page = await self._pages.executions_page(self._symbol, self._since, self._next_trade)
            if isinstance(page, Failed):
                return page
            self._untold += page
            self._next_trade = max((int(one.trade.trade_id) + 1 for one in page), default=self._next_trade)
            if len(page) < self._page:
                break
        # Orders are read after their trades, so that each trade's order is among them.
        if any(one.exchange_order_id not in self._client_ids for one in self._untold):
            failed = await self._read_orders()
            if failed is not None:
                return failed
        told, self._untold = self._untold, []
        return [
            msgspec.structs.replace(one, client_order_id=self._client_ids.get(one.exchange_order_id, ""))
            for one in told
        ]

    async def _read_orders(self) -> Failed | None:
        while True:
            page = await self._pages.orders_page(self._symbol, self._since, self._next_order)
            if isinstance(page, Failed):
                return page
            for order in page:
                if order.exchange_order_id is not None:
                    self._client_ids[order.exchange_order_id] = order.client_order_id or ""
                    self._next_order = max(self._next_order or 0, int(order.exchange_order_id) + 1)
            if len(page) < self._page:
                return None
