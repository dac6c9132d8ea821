"""A small market, an account on it, and a way to run the two: what the tests of the paper exchange share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.exchange.faults import CALM, FaultProfile
from engine.exchange.gateway import Market, OrderRequest, OrderState, OrderType, Side, Stamp
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import PaperSettings
from engine.exchange.paper_gateway import PaperGateway
from engine.exchange.price_path import PricePath
from engine.market_data.candles import Candle, Series
from runtime.clock import VirtualClock

T = TypeVar("T")

START = 1_000_000_000
BAR = 60_000
WINDOW = 5_000
PROMPT = msgspec.structs.replace(CALM, name="prompt", up_ms=(10, 10), down_ms=(10, 10), split=0)
"""Ten milliseconds each way, nothing goes wrong, no order is split."""

BTC = Market(
    symbol="BTC/USD",
    base="BTC",
    quote="USD",
    amount_step=Decimal("0.001"),
    price_tick=Decimal("0.1"),
    min_amount=Decimal("0.002"),
    min_notional=Decimal(10),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.002"),
    fee_in_base=False,
)
ETH = msgspec.structs.replace(BTC, symbol="ETH/USD", base="ETH", fee_in_base=True)
DEPOSITS = {"USD": Decimal(100_000), "BTC": Decimal(50), "ETH": Decimal(50)}

# open, high, low, close, volume; None is a missing bar.
Shape = tuple[object, object, object, object, object] | None
FLAT: Shape = (100, 100, 100, 100, 1_000_000)


def path_of(*shapes: Shape, symbol: str = "BTC/USD") -> PricePath:
    candles = tuple(
        Candle(START + n * BAR, *(Decimal(str(value)) for value in shape), length=BAR)
        for n, shape in enumerate(shapes)
        if shape is not None
    )
    return PricePath(Series(symbol, BAR, candles))


class World:
    """One exchange file, its gateway and a virtual clock that begins at `now`."""

    def __init__(
        self,
        path: Path,
        *shapes: Shape,
        profile: FaultProfile = PROMPT,
        seed: int = 1,
        deposits: dict[str, Decimal] = DEPOSITS,
        markets: Sequence[Market] = (BTC, ETH),
        now: int = START,
        grouped: bool = False,
    ) -> None:
        self.settings = PaperSettings(tuple(markets), deposits, seed, profile, participation=Decimal("0.1"))
        prices = {market.symbol: path_of(*(shapes or (FLAT,) * 10), symbol=market.symbol) for market in markets}
        self.exchange = PaperExchange(path, self.settings, prices, grouped=grouped)
        self.clock = VirtualClock(now)
        self.gateway = PaperGateway(self.exchange, self.clock)
        self.reports: list[tuple[int, OrderState]] = []
        self.gateway.subscribe(lambda state: self.reports.append((self.clock.now(), state)))
        self.exchange.resume(now)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.exchange.close()

    def claim(self, window: int = WINDOW) -> Stamp:
        return Stamp(1, self.clock.now(), self.clock.now() + window)

    def run(self, *calls: Awaitable[T], until: int | None = None) -> list[T]:
        """Drive time until every call has returned and, with `until`, on to that instant (both ends included)."""
        return asyncio.run(self._run(calls, until))

    def one(self, call: Awaitable[T]) -> T:
        return self.run(call)[0]

    async def _run(self, calls: Sequence[Awaitable[T]], until: int | None) -> list[T]:
        tasks = [asyncio.ensure_future(call) for call in calls]
        await _settle()
        while True:
            times = (self.exchange.next_event_at(), self.clock.next_wake())
            due = [time for time in times if time is not None]
            if until is None and all(task.done() for task in tasks):
                break
            at = min(due, default=until)
            if at is None or (until is not None and at > until):
                break
            self.move(max(at, self.clock.now()))
            await _settle()
            if not due:
                break
        if until is not None:
            self.move(max(until, self.clock.now()))
            await _settle()
        return [await task for task in tasks]

    def move(self, at: int) -> None:
        self.clock.advance_to(at)
        self.exchange.advance(at)
        self.exchange.deliver(at)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def limit(order_id: str, side: str, amount: object, price: object, symbol: str = "BTC/USD") -> OrderRequest:
    return OrderRequest(order_id, symbol, Side(side), OrderType.LIMIT, Decimal(str(amount)), Decimal(str(price)))


def market(order_id: str, side: str, amount: object, symbol: str = "BTC/USD") -> OrderRequest:
    return OrderRequest(order_id, symbol, Side(side), OrderType.MARKET, Decimal(str(amount)), None)


def books(exchange: PaperExchange) -> tuple[object, ...]:
    """All that the exchange has on record."""
    return (
        exchange.requests(),
        exchange.orders(),
        exchange.trades(),
        exchange.reports(),
        exchange.free(),
        exchange.balances(1 << 60),
    )


class Step(msgspec.Struct, frozen=True):
    """One order of a script: sent at an instant, and perhaps canceled some milliseconds after."""

    sent_at: int
    order: OrderRequest
    cancel_after: int | None = None


def send(exchange: PaperExchange, script: Sequence[Step], after: int, until: int) -> None:
    """Send what the script says for the instants in (after, until]."""
    for step in script:
        if after < step.sent_at <= until:
            exchange.send_order(step.order, Stamp(1, step.sent_at, step.sent_at + WINDOW), step.sent_at)
        if step.cancel_after is not None and after < (at := step.sent_at + step.cancel_after) <= until:
            claim = Stamp(1, at, at + WINDOW)
            exchange.send_cancel(step.order.symbol, step.order.client_order_id, claim, at)


ROUGH: tuple[Shape, ...] = (
    (100, 103, 98, 101, 60),
    (101, 104, 99, 100, 20),
    None,
    (97, 99, 95, 98, 200),
    (98, 98, 98, 98, 0),
    (98, 101.3, 97.7, 99.1, 45),
    None,
    None,
    (104, 106, 99, 99.5, 80),
    (99.5, 101, 96, 100, 30),
)
"""Gaps, jumps, a bar without trades, and so little volume that slices run dry."""
ROUGH_END = START + 12 * BAR
