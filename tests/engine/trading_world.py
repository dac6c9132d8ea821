"""One account, its symbols, and an exchange that answers what a test tells it to answer: for races to the millisecond.

The machine, its handlers, the worker and the store are the real ones. The exchange is a script: it answers each request
with the next prepared answer, or as an exchange does on a good day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from engine.actions import TradingActions
from engine.effects import TradingEffects
from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    CancelOutcome,
    ExchangeTrade,
    Market,
    OrderRequest,
    OrderState,
    OrderStatus,
    RecoverOutcome,
    ResumeOutcome,
    Side,
    Stamp,
    SubmitOutcome,
    Unknown,
)
from engine.guards import TradingGuards
from engine.market_data.candles import Candle
from engine.order_events import event_for
from engine.sizing import SizingRules
from engine.strategy.strategy import EntrySignal, ExitReason, ExitSignal, PositionView
from generated.trading import (
    DEFINITION,
    Config,
    EvaluateEntryRequest,
    EvaluateExitRequest,
    NoExit,
    NoSignal,
    OrderContext,
    Payload,
    Phase,
    PositionTimeout,
    SignalDetected,
    SlotAvailable,
    StateData,
    StopLossHit,
    TakeProfitHit,
    TrailingStopHit,
    WarmupCompleted,
)
from runtime.clock import VirtualClock
from runtime.effects import Claim
from runtime.events import EventContext, Receipt
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.store import AuditRow, Store
from runtime.worker import Worker

T = TypeVar("T")

START = 1_700_000_000_000
SECOND = 1_000
BTC = Market(
    symbol="BTC/USD",
    base="BTC",
    quote="USD",
    amount_step=Decimal("0.001"),
    price_tick=Decimal("0.1"),
    min_amount=Decimal("0.001"),
    min_notional=Decimal(10),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.001"),
    fee_in_base=False,
)
CASH = Decimal(1_001)
"""Enough for 10 BTC at 100 USD, fee included."""
RULES = SizingRules(stop_pct=Decimal(5))


class After(msgspec.Struct):
    """An answer that takes `delay` milliseconds."""

    delay: int
    answer: Any


class Decided:
    """A strategy that does what it is told. `fail` makes it raise."""

    name = "DECIDED"
    warm_up = 0
    ready = True

    def __init__(self) -> None:
        self.entry_price: Decimal | None = Decimal(100)
        self.exit_reason: ExitReason | None = None
        self.exit_price = Decimal(110)
        self.fail = False

    def observe(self, candle: Candle) -> None: ...

    def entry(self) -> EntrySignal | None:
        if self.fail:
            raise RuntimeError("the strategy has a defect")
        return None if self.entry_price is None else EntrySignal(self.entry_price, "told to")

    def exit(self, position: PositionView) -> ExitSignal | None:
        return None if self.exit_reason is None else ExitSignal(self.exit_reason, self.exit_price, "told to")


class ScriptedGateway:
    """Answers from `answers[method]`, first to last; without one, as on a good day. Keeps every request in `calls`."""

    name = "script"

    def __init__(self, clock: VirtualClock, markets: Mapping[str, Market]) -> None:
        self.clock = clock
        self._markets = markets
        self.answers: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, str, Stamp | None]] = []
        self.orders: list[OrderRequest] = []

    def sent(self, method: str) -> list[tuple[str, Stamp | None]]:
        return [(order_id, claim) for name, order_id, claim in self.calls if name == method]

    async def _answer(self, method: str, order_id: str, stamp: Stamp | None, default: Any) -> Any:
        self.calls.append((method, order_id, stamp))
        prepared = self.answers.get(method)
        answer = prepared.pop(0) if prepared else default
        if isinstance(answer, After):
            await self.clock.sleep_until(self.clock.now() + answer.delay)
            answer = answer.answer
        return answer

    def subscribe(self, listener: Callable[[OrderState], None]) -> None: ...

    async def markets(self) -> Mapping[str, Market]:
        return self._markets

    async def balances(self) -> Mapping[str, Decimal]:
        return {}

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        return []

    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome:
        self.orders.append(order)
        accepted = Accepted(order.client_order_id, f"x-{order.client_order_id}", self.clock.now())
        answer: SubmitOutcome = await self._answer("submit", order.client_order_id, stamp, accepted)
        return answer

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        answer: ResumeOutcome = await self._answer("resume", order.client_order_id, stamp, Absent())
        return answer

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        answer: RecoverOutcome = await self._answer("recover", order.client_order_id, stamp, Absent())
        return answer

    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome:
        order = next(order for order in self.orders if order.client_order_id == client_order_id)
        canceled = Canceled(state(order, OrderStatus.CANCELED))
        answer: CancelOutcome = await self._answer("cancel", client_order_id, stamp, canceled)
        return answer

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        answer: OrderState | Unknown | None = await self._answer("look_up", client_order_id, None, None)
        return answer


class SlowEvaluation(TradingEffects):
    """Whose strategy takes a day for every answer."""

    async def evaluate_entry(self, request: EvaluateEntryRequest, claim: Claim) -> SignalDetected | NoSignal:
        await self._a_day()
        return await super().evaluate_entry(request, claim)

    async def evaluate_exit(
        self, request: EvaluateExitRequest, claim: Claim
    ) -> TakeProfitHit | StopLossHit | TrailingStopHit | PositionTimeout | NoExit:
        await self._a_day()
        return await super().evaluate_exit(request, claim)

    async def _a_day(self) -> None:
        assert isinstance(self._gateway, ScriptedGateway)
        await self._gateway.clock.sleep_until(self._gateway.clock.now() + 86_400 * SECOND)


class TradingWorld:
    """Symbols of one account in phase IDLE, with `cash` USD. A context manager; every method drives the event loop."""

    def __init__(
        self,
        *markets: Market,
        slots: int = 1,
        cash: Decimal = CASH,
        config: Config | None = None,
        rules: SizingRules = RULES,
        store: Store | None = None,
        gateway: ScriptedGateway | None = None,
        effects: type[TradingEffects] = TradingEffects,
        now: int = START,
    ) -> None:
        self.markets = {market.symbol: market for market in markets or (BTC,)}
        self.symbol = next(iter(self.markets))
        self.clock = VirtualClock(now)
        self.strategies = {symbol: Decided() for symbol in self.markets}
        self.strategy = self.strategies[self.symbol]
        self.store = store or MemoryStore()
        self.gateway = gateway or ScriptedGateway(self.clock, self.markets)
        self.gateway.clock = self.clock
        self.config = config or Config()
        machine = Machine(
            DEFINITION, TradingGuards(self.markets, rules), TradingActions(self.markets, rules), self.config
        )
        carried_out = effects(self.gateway, self.strategies, lambda intent_id: self.worker.intent(intent_id))
        self.worker = Worker(machine, self.store, self.clock, carried_out, slots=slots)
        self._runner = asyncio.Runner()
        self.restart = self.do(self.worker.start())
        if cash and not self.worker.portfolio.balances():
            self.do(self.worker.deposit("opening balance", "USD", cash))
        for symbol in self.markets:
            if symbol not in self.worker.instances:
                self.do(self.worker.create(symbol))
                self.send(WarmupCompleted(), symbol)
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.do(self.worker.stop())
        self._runner.close()

    # -- driving ---------------------------------------------------------------------------------------------------

    def do(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return self._runner.run(run())

    def send(self, payload: Payload, symbol: str | None = None, **context: Any) -> Receipt:
        """One event, and all that follows from it at this instant."""
        name = symbol or self.symbol
        ctx = EventContext(payload.event, name, self.clock.now(), payload, **context)
        receipt = self.do(self.worker.process(ctx))
        self.settle()
        return receipt

    def send_together(self, *events: tuple[str, Payload]) -> None:
        """Several events in one group."""

        async def post() -> None:
            for symbol, payload in events:
                self.worker.post(EventContext(payload.event, symbol, self.clock.now(), payload))
            await self.worker.settle()

        self.do(post())

    def settle(self) -> None:
        async def settle() -> None:
            while not self.worker.idle or self.worker.fire_timers():
                await self.worker.settle()

        self.do(settle())

    def wait(self, milliseconds: int) -> None:
        """Let time pass, stopping at every instant at which something is due."""
        end = self.clock.now() + milliseconds
        while True:
            due = [at for at in (self.worker.next_timer_at(), self.clock.next_wake()) if at is not None and at <= end]
            self.clock.advance_to(max(min(due), self.clock.now()) if due else end)
            self.settle()
            if not due:
                return

    # -- steps of a trade ------------------------------------------------------------------------------------------

    def bar(self, symbol: str | None = None) -> Receipt:
        """A bar closes that is worth a look."""
        return self.send(SlotAvailable(bar_at=self.clock.now()), symbol)

    def report(self, order: OrderContext, status: OrderStatus, *trades: ExchangeTrade) -> Receipt:
        """The exchange reports an order as it stands."""
        return self.send(event_for(state(order, status, *trades)))

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        return Phase(self.worker.instances[self.symbol].phase)

    @property
    def data(self) -> StateData:
        found: StateData = self.worker.instances[self.symbol].data
        return found

    @property
    def entry(self) -> OrderContext:
        assert self.data.entry_order is not None
        return self.data.entry_order

    @property
    def exit(self) -> OrderContext:
        assert self.data.exit_order is not None
        return self.data.exit_order

    @property
    def position(self) -> Decimal:
        return self.worker.portfolio.position(self.symbol, self.markets[self.symbol].base)

    @property
    def free_cash(self) -> Decimal:
        return self.worker.portfolio.free_cash("USD")

    @property
    def dust(self) -> Decimal:
        return self.worker.portfolio.balance(f"dust:{self.symbol}", self.markets[self.symbol].base)

    def rows(self, symbol: str | None = None) -> list[AuditRow]:
        return self.store.audit(symbol)

    def path(self, symbol: str | None = None) -> list[str]:
        """The phases in the order in which they were entered."""
        return [row.phase_to for row in self.rows(symbol or self.symbol) if row.phase_to != row.phase_from]


def state(order: OrderRequest | OrderContext, status: OrderStatus, *trades: ExchangeTrade) -> OrderState:
    """`order` as the exchange shows it, with these trades."""
    return OrderState(
        client_order_id=order.client_order_id,
        exchange_order_id=f"x-{order.client_order_id}",
        symbol="BTC/USD",
        side=Side(order.side),
        status=status,
        amount=order.amount,
        filled=sum((trade.qty for trade in trades), Decimal(0)),
        trades=trades,
        updated_at=max((trade.at for trade in trades), default=START),
    )


def trade(trade_id: str, qty: object, price: object = 100, fee: object = 0, currency: str = "USD") -> ExchangeTrade:
    return ExchangeTrade(trade_id, Decimal(str(qty)), Decimal(str(price)), Decimal(str(fee)), currency, START)
