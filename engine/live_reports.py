"""Reports of orders on a live bot's account: followed, and handed to the symbols whose orders they are."""

from __future__ import annotations

import asyncio

from engine.exchange.gateway import GatewayError, OrderState
from engine.exchange.order_feed import LiveOrders
from engine.live_clock import Clocks
from engine.live_events import post
from engine.live_exchange import LiveExchange, ask_again_after
from engine.live_notices import Notifier, clause
from engine.order_events import event_for
from runtime.worker import Worker


class OrderReports:
    """What the exchange tells of orders by itself."""

    def __init__(self, exchange: LiveExchange, worker: Worker, clocks: Clocks, notifier: Notifier) -> None:
        self._exchange = exchange
        self._worker = worker
        self._clocks = clocks
        self._notifier = notifier
        self._looking: set[asyncio.Task[None]] = set()

    async def follow(self, live_orders: LiveOrders) -> None:
        """Follow the reports of orders until cancelled; without them the machine's time-outs and the reconciliation
        still ask."""
        failures = 0
        while True:
            try:
                await self._exchange.watch(live_orders)
                failures = 0
            except GatewayError as error:
                text = f"no reports of orders: {clause(str(error))}. Orders that are live stay live"
                self._notifier.trouble("reports", text)
            await self._clocks.sleep(ask_again_after(failures))
            failures += 1

    def take(self, state: OrderState) -> None:
        """Hand a report to its symbol, if the order is ours."""
        if state.symbol not in self._worker.instances:
            return
        self._notifier.well("reports", "reports of orders again")
        data = self._worker.instances[state.symbol].data
        latest = [order.client_order_id for order in (data.entry_order, data.exit_order) if order is not None]
        if state.client_order_id in latest or state.client_order_id in data.past_orders:
            post(self._worker, state.symbol, state.updated_at, event_for(state))
        else:
            task = asyncio.create_task(self._take_if_ours(state))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _take_if_ours(self, state: OrderState) -> None:
        """Of orders that others placed on our symbols the machine must hear nothing: it would take them for its own."""
        intent = await self._worker.intent(state.client_order_id)
        if intent is not None and intent.instance == state.symbol:
            post(self._worker, state.symbol, state.updated_at, event_for(state))
