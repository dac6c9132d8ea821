"""The open orders of many symbols by one question: what cannot be read of one symbol hides nothing of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from canned_exchange import EXCHANGE_INFO, KEY, NOW, SECRET, answer, canned_exchange

from engine.ccxt_exchange import CcxtExchange
from engine.exchange.capabilities import exchange_named
from engine.exchange.credentials import Credentials
from engine.exchange.gateway import OrderState
from runtime.clock import SystemClock


class HastyClock(SystemClock):
    """Waits for nothing that is at most a few seconds off."""

    async def sleep_until(self, instant: int) -> None:
        if instant - self.now() > 10_000:
            await super().sleep_until(instant)


def row(symbol: str, number: int, filled: str = "0") -> dict[str, Any]:
    return {"symbol": symbol, "orderId": number, "clientOrderId": f"c{number}", "time": NOW, "side": "BUY"} | {
        "type": "LIMIT",
        "status": "PARTIALLY_FILLED" if filled != "0" else "NEW",
        "price": "1",
        "origQty": "10",
        "executedQty": filled,
    }


def listing(bases: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = deepcopy(EXCHANGE_INFO)
    [usual] = told["symbols"]
    told["symbols"] = [usual | {"symbol": f"{base}USDT", "baseAsset": base} for base in bases]
    return told


def shown(rows: Sequence[dict[str, Any]]) -> tuple[int, Mapping[str, Sequence[OrderState]]]:
    """How many symbols there are, and what one question tells of them when the exchange lists these orders, and no
    trade of any."""

    async def read() -> tuple[int, Mapping[str, Sequence[OrderState]]]:
        bases = [f"A{number}" for number in range(exchange_named("binance").open_at_once or 0)]
        async with canned_exchange() as exchange:
            exchange.usual["GET exchangeInfo"] = answer(listing(bases))
            exchange.usual["GET openOrders"] = answer(rows)
            exchange.usual["GET myTrades"] = answer([])
            for one in rows:
                exchange.usual["GET order"] = answer(one)
            keys = Credentials(KEY, SECRET)
            account = CcxtExchange("binance", keys, HastyClock(), sandbox=False, url=exchange.endpoint)
            account._client.enableRateLimit = False
            try:
                found = await account.open_orders([f"{base}/USDT" for base in bases])
                assert found is not None
                assert exchange.count("GET openOrders") == 1
                return len(bases), found
            finally:
                await account.close()

    return asyncio.run(read())


def test_each_symbol_has_its_orders_and_those_of_no_symbol_of_ours_are_left_out() -> None:
    symbols, found = shown([row("A1USDT", 1), row("A1USDT", 2), row("GONEUSDT", 3, "3")])
    assert len(found) == symbols
    told = {symbol: [order.client_order_id for order in orders] for symbol, orders in found.items() if orders}
    assert told == {"A1/USDT": ["c1", "c2"]}


def test_a_symbol_with_an_order_that_cannot_be_read_is_told_nothing_of_and_the_others_are() -> None:
    symbols, found = shown([row("A1USDT", 1), row("A2USDT", 2), row("A2USDT", 3, "3")])
    assert "A2/USDT" not in found, "its order has filled, and no trades are shown: it must be asked for alone"
    assert len(found) == symbols - 1
    assert [order.client_order_id for order in found["A1/USDT"]] == ["c1"]
