"""A spot exchange in memory that does what binance documents and no more: client order ids are unique among OPEN orders
only, a request is refused by the exchange's own clock once its window has passed, what reads show is old."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec
from hazards import Hazards
from virtual_world import World

from engine.exchange.gateway import (
    ExchangeTrade,
    Market,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Side,
)
from engine.exchange.order_states import order_state
from engine.exchange.wire import Cause, Failed, Reply, WireOrder
from engine.sizing import round_to

ZERO = Decimal(0)
FEE_DIGITS = Decimal("0.00000001")
AHEAD = 1_000
"""How far (ms) a timestamp may lie ahead of the exchange's clock."""

_WORDS = {
    OrderStatus.OPEN: "open",
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.REJECTED: "rejected",
}


class SimulatedOrder(msgspec.Struct, eq=False):
    """An order in the exchange's book. `ended_at` is None while it is live."""

    request: OrderRequest
    exchange_order_id: str
    booked_at: int
    trades: list[ExchangeTrade] = []
    filled_at: list[int] = []
    """When each trade was made, by true time."""
    filled: Decimal = ZERO
    ended_at: int | None = None
    final: OrderStatus = OrderStatus.OPEN


class SimulatedExchange:
    """One account.

    `broken` collects what must never happen, as seen from here.

    Args:
        report: takes every change of an order, at once.
    """

    def __init__(
        self,
        world: World,
        hazards: Hazards,
        markets: Mapping[str, Market],
        balances: Mapping[str, Decimal],
        report: Callable[[OrderState], None],
    ) -> None:
        self.world = world
        self.hazards = hazards
        self.markets = markets
        self.balances = dict(balances)
        self.orders: list[SimulatedOrder] = []
        self.live: list[SimulatedOrder] = []
        self.broken: list[str] = []
        self._report = report
        self._by_id: dict[str, list[SimulatedOrder]] = {}
        self._in_flight: set[str] = set()
        self._moves: list[tuple[int, str, Decimal]] = []

    def server_time(self) -> int:
        return self.world.now + self.hazards.server_ahead

    # -- requests --------------------------------------------------------------------------------------------------

    def create(self, order: OrderRequest, timestamp: int, window: int, answer: Callable[[Reply], None]) -> None:
        """Check the request, and book the order a little later."""
        refusal = self._refusal(order, timestamp, window)
        if refusal is not None:
            self.world.note("refused", order.client_order_id, refusal.code)
            answer(refusal)
            return
        self._in_flight.add(order.client_order_id)
        self.world.after(self.world.between(0, self.hazards.booking), self._book, order, answer)

    def _refusal(self, order: OrderRequest, timestamp: int, window: int) -> Failed | None:
        clock = self.server_time()
        if timestamp >= clock + AHEAD:
            self.world.fault("sent too early", order.client_order_id)
            return refused("InvalidNonce", "-1021", "Timestamp for this request was 1000ms ahead of the server's time.")
        if clock - timestamp > window:
            self.world.fault("came too late", order.client_order_id)
            return refused("InvalidNonce", "-1021", "Timestamp for this request is outside of the recvWindow.")
        if order.client_order_id in self._in_flight or any(
            known.ended_at is None for known in self._by_id.get(order.client_order_id, ())
        ):
            return refused("InvalidOrder", "-2010", "Duplicate order sent.")
        market = self.markets[order.symbol]
        if order.amount < market.min_amount or order.amount % market.amount_step:
            return refused("InvalidOrder", "-1013", "Filter failure: LOT_SIZE")
        if order.price is not None and order.amount * order.price < market.min_notional:
            return refused("BadRequest", "-1013", "Filter failure: NOTIONAL")
        return None

    def _book(self, request: OrderRequest, answer: Callable[[Reply], None]) -> None:
        self._in_flight.discard(request.client_order_id)
        market = self.markets[request.symbol]
        if not self._can_pay(request, market):
            self.world.note("refused", request.client_order_id, "-2010")
            answer(refused("InsufficientFunds", "-2010", "Account has insufficient balance for requested action."))
            return
        order = SimulatedOrder(request, str(1000 + len(self.orders)), self.world.now)
        namesakes = self._by_id.setdefault(request.client_order_id, [])
        if namesakes:
            self.broken.append(f"order {request.client_order_id} was sent and accepted twice")
        for other in self.live:
            if other.request.symbol == request.symbol and other.request.side is request.side:
                self.broken.append(f"{request.symbol}: two live {request.side} orders")
        namesakes.append(order)
        self.orders.append(order)
        self.live.append(order)
        self.world.note("booked", request.client_order_id, request.symbol, request.side.value, str(request.amount))
        if self.world.chance.random() < self.hazards.rejected_later:
            self.world.fault("rejected later", request.client_order_id)
            self._end(order, OrderStatus.REJECTED)
        else:
            self._draw_fills(order)
        if order.ended_at is None:
            self._tell(order)
        answer(self._shown(order, self.world.now))

    def cancel(self, symbol: str, client_order_id: str) -> Reply:
        order = next((one for one in self._by_id.get(client_order_id, ()) if one.ended_at is None), None)
        if order is None:
            return refused("OrderNotFound", "-2011", "Unknown order sent.")
        self._end(order, OrderStatus.CANCELED)
        return self._shown(order, self.world.now)

    # -- reads: as old as `as_of` ----------------------------------------------------------------------------------

    def order(self, client_order_id: str, as_of: int) -> Reply:
        for order in reversed(self._by_id.get(client_order_id, ())):
            if order.booked_at <= as_of:
                return self._shown(order, as_of)
        return refused("OrderNotFound", "-2013", "Order does not exist.")

    def trades(self, exchange_order_id: str, as_of: int) -> list[ExchangeTrade]:
        order = next(order for order in self.orders if order.exchange_order_id == exchange_order_id)
        return [trade for trade, at in zip(order.trades, order.filled_at, strict=True) if at <= as_of]

    def open_orders(self, symbol: str, as_of: int) -> list[WireOrder]:
        return [
            self._shown(order, as_of)
            for order in self.orders
            if order.request.symbol == symbol
            and order.booked_at <= as_of
            and (order.ended_at is None or order.ended_at > as_of)
        ]

    def balances_at(self, as_of: int) -> dict[str, Decimal]:
        """Free plus locked, as a read shows them."""
        shown = dict(self.balances)
        for at, currency, amount in reversed(self._moves):
            if at <= as_of:
                break
            shown[currency] -= amount
        return shown

    def _shown(self, order: SimulatedOrder, as_of: int) -> WireOrder:
        over = order.ended_at is not None and order.ended_at <= as_of
        request = order.request
        status = _WORDS[order.final if over else OrderStatus.OPEN]
        if status == "canceled" and request.type is OrderType.MARKET:
            status = "expired"
        filled = (trade.qty for trade, at in zip(order.trades, order.filled_at, strict=True) if at <= as_of)
        return WireOrder(
            exchange_order_id=order.exchange_order_id,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            status=status,
            amount=request.amount,
            filled=sum(filled, ZERO),
            updated_at=as_of + self.hazards.server_ahead,
        )

    # -- the market ------------------------------------------------------------------------------------------------

    def _can_pay(self, order: OrderRequest, market: Market) -> bool:
        free = self.balances.get(market.base if order.side is Side.SELL else market.quote, ZERO)
        for one in self.live:
            left = one.request.amount - one.filled
            if one.request.side is order.side is Side.BUY:
                free -= left * (one.request.price or ZERO)
            elif one.request.side is order.side and one.request.symbol == order.symbol:
                free -= left
        return free >= (order.amount if order.side is Side.SELL else order.amount * (order.price or ZERO))

    def _draw_fills(self, order: SimulatedOrder) -> None:
        """What the market does to an order: all of it, a part, or nothing, at once or later."""
        chance = self.world.chance
        request = order.request
        step = self.markets[request.symbol].amount_step
        parts = chance.choice((0, 1, 1, 2, 3)) if request.type is OrderType.LIMIT else chance.choice((1, 1, 1, 2))
        left = request.amount
        whole = chance.random() < 0.6
        at = 0
        for part in range(parts):
            tenths = 10 if whole and part == parts - 1 else self.world.between(1, 9)
            qty = round_to(left * tenths / 10, step)
            if qty <= 0:
                continue
            left -= qty
            if request.type is OrderType.MARKET:
                self._fill(order, qty)
            else:
                at += chance.choice((0, 30, 3_000, 20_000))
                self.world.after(at, self._fill, order, qty)
        if request.type is OrderType.MARKET and order.ended_at is None:
            self._end(order, OrderStatus.CANCELED)
        elif chance.random() < self.hazards.canceled_by_exchange:
            self.world.fault("canceled by the exchange", request.client_order_id)
            self.world.after(chance.choice((0, 10_000)), self._end, order, OrderStatus.CANCELED)

    def _fill(self, order: SimulatedOrder, qty: Decimal) -> None:
        if order.ended_at is not None:
            return
        request, market = order.request, self.markets[order.request.symbol]
        price = request.price or Decimal(self.world.between(950, 1050)) / 10
        buying = request.side is Side.BUY
        in_base = buying and market.fee_in_base
        fee = ((qty if in_base else qty * price) * market.taker_fee).quantize(FEE_DIGITS)
        currency = market.base if in_base else market.quote
        number = str(len(order.trades) + 10 * int(order.exchange_order_id))
        order.trades.append(ExchangeTrade(number, qty, price, fee, currency, self.server_time()))
        order.filled_at.append(self.world.now)
        order.filled += qty
        signed = qty if buying else -qty
        self._move(market.base, signed)
        self._move(market.quote, -signed * price)
        self._move(currency, -fee)
        self.world.note("filled", request.client_order_id, str(qty), str(price))
        if order.filled == request.amount:
            self._end(order, OrderStatus.FILLED)
        elif request.type is OrderType.LIMIT:
            self._tell(order)

    def _end(self, order: SimulatedOrder, status: OrderStatus) -> None:
        if order.ended_at is not None:
            return
        order.ended_at, order.final = self.world.now, status
        self.live.remove(order)
        self.world.note("over", order.request.client_order_id, status.value)
        self._tell(order)

    def _move(self, currency: str, amount: Decimal) -> None:
        self.balances[currency] = self.balances.get(currency, ZERO) + amount
        self._moves.append((self.world.now, currency, amount))

    def _tell(self, order: SimulatedOrder) -> None:
        state = order_state(order.request.symbol, self._shown(order, self.world.now), order.trades)
        assert isinstance(state, OrderState)
        self._report(state)


def refused(error: str, code: str, message: str) -> Failed:
    """A refusal with a code, as binance sends it."""
    return Failed(Cause.ANSWERED, error, 400, code, message)
