"""Every execution of an account, page by page, over a wire and over ccxt's own requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from canned_exchange import KEY, NOW, SECRET, answer, canned_exchange  # type: ignore[import-not-found]

from engine.ccxt_exchange import CcxtExchange
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import ExchangeTrade, Side
from engine.exchange.history import Execution, History
from engine.exchange.wire import Cause, Failed, WireOrder
from runtime.clock import SystemClock

PAGE = 3
LOST = Failed(Cause.TIMEOUT)


class Account:
    """Orders 10, 11, ... of which each has two trades; every third is nobody's of ours."""

    def __init__(self, orders: int) -> None:
        self.orders = [WireOrder(str(10 + n), "" if n % 3 == 2 else f"c{n}", "BTC/USDT") for n in range(orders)]
        self.asked: list[tuple[str, int | None]] = []
        self.failing: set[int] = set()

    @property
    def trades(self) -> list[Execution]:
        return [
            Execution(
                ExchangeTrade(str(100 + 2 * n + part), Decimal(1), Decimal(1), Decimal(0), "USDT", n),
                Side.BUY,
                order_id,
            )
            for n, order_id in enumerate(str(order.exchange_order_id) for order in self.orders)
            for part in (0, 1)
        ]

    def _answers(self, what: str, first: int | None) -> bool:
        self.asked.append((what, first))
        return len(self.asked) not in self.failing

    async def orders_page(self, symbol: str, since: int, first: int | None) -> Sequence[WireOrder] | Failed:
        rows = [one for one in self.orders if int(one.exchange_order_id or 0) >= (first or 0)]
        return rows[:PAGE] if self._answers("orders", first) else LOST

    async def executions_page(self, symbol: str, since: int, first: int | None) -> Sequence[Execution] | Failed:
        rows = [one for one in self.trades if int(one.trade.trade_id) >= (first or 0)]
        return rows[:PAGE] if self._answers("trades", first) else LOST


def told(history: History) -> Sequence[Execution]:
    found = asyncio.run(history.news())
    assert not isinstance(found, Failed)
    return found


@pytest.mark.parametrize("orders", [0, 1, 2, 3, 4, 7])
def test_every_trade_is_told_once_with_our_id_of_its_order(orders: int) -> None:
    account = Account(orders)
    history = History(account, "BTC/USDT", 0, PAGE)
    ids = {str(one.exchange_order_id): one.client_order_id or "" for one in account.orders}
    expected = [msgspec.structs.replace(one, client_order_id=ids[one.exchange_order_id]) for one in account.trades]
    assert told(history) == expected
    account.asked.clear()
    assert told(history) == []
    assert len(account.asked) == 1, "what was read is not read again"
    account.orders += [WireOrder("900", "new", "BTC/USDT")]
    assert [one.client_order_id for one in told(history)] == ["new", "new"]


@pytest.mark.parametrize("failing", range(1, 9))
def test_a_page_that_is_lost_loses_nothing(failing: int) -> None:
    account = Account(7)
    history = History(account, "BTC/USDT", 0, PAGE)
    account.failing = {failing}
    assert isinstance(asyncio.run(history.news()), Failed)
    assert [one.trade.trade_id for one in told(history)] == [one.trade.trade_id for one in account.trades]


def test_binance_s_past_is_read_by_numbers_after_the_first_page() -> None:
    def order(number: int) -> dict[str, object]:
        return {"symbol": "BTCUSDT", "orderId": number, "clientOrderId": f"c{number}", "time": NOW, "side": "BUY"} | {
            "type": "LIMIT",
            "status": "FILLED",
            "price": "1",
            "origQty": "1",
            "executedQty": "1",
        }

    def trade(number: int) -> dict[str, object]:
        return {"symbol": "BTCUSDT", "id": number, "orderId": 7, "price": "30000", "qty": "0.001", "time": NOW} | {
            "commission": "0.000001",
            "commissionAsset": "BTC",
            "isBuyer": True,
            "isMaker": False,
            "quoteQty": "30",
        }

    async def read() -> None:
        async with canned_exchange() as exchange:
            first = [trade(number) for number in range(1, 1_001)]
            exchange.script["GET myTrades"].extend([answer(first), answer([trade(1_001)]), answer([])])
            exchange.usual["GET allOrders"] = answer([order(7)])
            wire = CcxtExchange(
                "binance", Credentials(KEY, SECRET), SystemClock(), sandbox=False, url=exchange.endpoint
            )
            wire._client.enableRateLimit = False
            try:
                found = await wire.news("BTC/USDT", NOW - 1)
                assert found is not None
                assert len(found) == 1_001
                assert {one.client_order_id for one in found} == {"c7"}
                assert await wire.news("BTC/USDT", NOW - 1) == []
            finally:
                await wire.close()
            asked = [one.params for one in exchange.asked if one.kind == "GET myTrades"]
            assert [one.get("fromId") for one in asked] == [None, "1001", "1002"]
            assert [one.get("startTime") for one in asked] == [str(NOW - 1), None, None]
            assert all(one["limit"] == "1000" and "endTime" not in one for one in asked)
            [orders] = [one.params for one in exchange.asked if one.kind == "GET allOrders"]
            assert (orders["startTime"], orders["limit"]) == (str(NOW - 1), "1000")

    asyncio.run(read())


def test_where_it_is_not_proven_to_be_complete_the_past_is_not_read() -> None:
    async def ask() -> object:
        exchange = CcxtExchange("kraken", Credentials(KEY, "c2VjcmV0"), SystemClock(), sandbox=False, url=None)
        try:
            return await exchange.news("BTC/USDT", 0)
        finally:
            await exchange.close()

    assert asyncio.run(ask()) is None
