"""One path, played step by step with the real bot on one symbol of a paper exchange."""

from __future__ import annotations

import asyncio
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.actions import TradingActions
from engine.effects import TradingEffects
from engine.exchange.gateway import OrderRequest, OrderStatus, OrderType, Side, Stamp
from engine.fills import average_price, filled_qty, fills_of, trade_fill
from engine.guards import TradingGuards
from engine.order_events import event_for
from engine.rehearsal.followed import FILLS, FollowedOrders
from engine.rehearsal.held_effects import Call, HeldEffects, SteppedClock, payload_event
from engine.rehearsal.observed import (
    SIDES,
    Books,
    Observed,
    OrderFound,
    compare_books,
    facts_found,
    fills_word,
    let_go,
    orders_found,
    present_orders,
)
from engine.rehearsal.scripted import OnPurpose, Script, ScriptedActions, ScriptedGuards, ToldStrategy
from engine.rehearsal.setting import (
    CASH,
    DURATIONS,
    EVEN_PRICE,
    EXIT_PRICE,
    MARKET,
    RULES,
    START,
    TICK,
    UNEVEN_PRICE,
)
from engine.rehearsal.stepped_exchange import NoSuchOrderError, SteppedExchange
from engine.rehearsal.stepped_gateway import Fate, SteppedGateway
from engine.rehearsal.trace import After, Answer, Step, Trace, TraceError, check_names
from generated.trading import DEFINITION, Fill, OrderReport
from runtime.definition import EffectClass
from runtime.events import EventContext
from runtime.ledger import DEPOSIT
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.portfolio import Portfolio
from runtime.sqlite_store import SqliteStore
from runtime.store import AuditRow, Commit, Store
from runtime.worker import Worker

WITHDRAWN = "the request was withdrawn, since the phase that asked for it was left"
"""Why a request that was proven absent is not sent again; the checker lets it be sent."""


class Divergence(msgspec.Struct, frozen=True):
    """Where the bot did other than the path says. Steps count from 1; 0 is what came before them."""

    step: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"step {self.step} differed: {self.what}: expected {self.expected}, found {self.found}"


class Played(msgspec.Struct, frozen=True):
    """What really happened in one step."""

    step: Step
    rows: tuple[AuditRow, ...]
    notes: tuple[str, ...]
    orders: tuple[OrderFound, ...] | None
    """The orders at the exchange where they changed, else None."""


class Outcome(msgspec.Struct, frozen=True):
    """What a rehearsal came to."""

    played: tuple[Played, ...]
    divergences: tuple[Divergence, ...]
    observed: Observed
    books: Books


class _UnplayableError(Exception):
    """A step has no counterpart in what is really there."""


class Stage:
    """The machine with the real handlers, scripted where a path decides; for any number of rehearsals, one at a time.

    Args:
        free: the guards that have no condition in the spec, and so answer as the path says.
    """

    def __init__(self, free: frozenset[str]) -> None:
        self.script = Script()
        markets = {MARKET.symbol: MARKET}
        guards = ScriptedGuards(TradingGuards(markets, RULES), self.script, free)
        actions = ScriptedActions(TradingActions(markets, RULES), self.script)
        self.machine = Machine(DEFINITION, guards, actions, DURATIONS)


class Rehearsal:
    """Plays `trace` with databases in `folder`.

    Args:
        in_file: keep the bot's database in a file; else in memory, from which a crash takes as little.
    """

    def __init__(self, trace: Trace, folder: Path, stage: Stage, *, in_file: bool = True) -> None:
        if trace.machine != DEFINITION.name:
            raise TraceError(f"$.machine: it is about `{trace.machine}`, and what is installed is `{DEFINITION.name}`")
        check_names(trace, DEFINITION)
        for number, step in enumerate(trace.steps):
            if not {step.side, *(one.side for one in step.answer)} <= {"", *SIDES}:
                raise TraceError(
                    f"$.steps[{number}]: it is about {step.side or 'other'} orders; there are {', '.join(SIDES)}"
                )
        self.trace = trace
        self.clock = SteppedClock(START)
        self.exchange = SteppedExchange(folder / "exchange.db", (MARKET,), {"USD": CASH}, Decimal(100), START)
        self.gateway = SteppedGateway(self.exchange, self.clock)
        self.strategy = ToldStrategy(EVEN_PRICE, EXIT_PRICE)
        self.script = stage.script
        self.script.differs = self._differs
        self.divergences: list[Divergence] = []
        self._database = folder / "bot.db" if in_file else None
        self._memory = MemoryStore()
        self._machine = stage.machine
        self._number = 0
        self._before = After(DEFINITION.initial)
        self._followed = FollowedOrders()
        self._withdrawn: set[str] = set()
        self._visits: dict[str, int] = {}
        self._told: dict[str, None] = {}
        self._seen_rows = 0
        self._notes: list[str] = []

    def play(self) -> Outcome:
        """All of it, up to the first step that has no counterpart.

        Raises:
            TraceError: the path asks for something that cannot be played.
        """
        with asyncio.Runner() as runner:
            return runner.run(self._play())

    async def _play(self) -> Outcome:
        self._open_worker()
        try:
            if any(step.which == "finished" for step in self.trace.steps):
                self._trade_before()
            await self.worker.start()
            await self.worker.deposit("opening balance", MARKET.quote, CASH)
            await self.worker.create(MARKET.symbol)
            await self.worker.settle()
            played = []
            orders = self.orders()
            for number, step in enumerate(self.trace.steps, start=1):
                self._number = number
                self._notes = []
                self._tick()
                self.script.begin(step.takes)
                try:
                    await self._do(step)
                except (_UnplayableError, NoSuchOrderError) as error:
                    self._differs("it cannot be played", step.words or f"{step.kind} {step.event}", str(error))
                    break
                rows = self._new_rows()
                self._explain(step, rows)
                self._followed.step(present_orders(self.data), self._before, step.after)
                now = self.orders()
                played.append(Played(step, rows, tuple(self._notes), now if now != orders else None))
                orders = now
                self._compare(step, rows, now)
                snapshot = self.worker.instances[MARKET.symbol].snapshot
                self._visits[snapshot.phase] = snapshot.generation
                self._before = step.after
            books = compare_books(self.worker.portfolio, self.exchange, MARKET, self.clock.now())
            return Outcome(tuple(played), tuple(self.divergences), self.observed(), books)
        finally:
            await self.worker.stop()
            self.exchange.close()

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return self.worker.instances[MARKET.symbol].phase

    @property
    def data(self) -> Any:
        return self.worker.instances[MARKET.symbol].data

    def orders(self) -> tuple[OrderFound, ...]:
        """Every order of ours, as the exchange has it."""
        return orders_found(self.exchange, self.worker.portfolio, self._followed.sides)

    def observed(self) -> Observed:
        """What is really there now."""
        instance = self.worker.instances[MARKET.symbol]
        waiting: set[str] = set()
        for event in instance.snapshot.deferred:
            payload = msgspec.json.decode(event.payload, type=DEFINITION.events[event.event].payload)
            waiting.update(fill.trade_id for fill in getattr(payload, "fills", ()))
        portfolio = self.worker.portfolio
        return Observed(
            phase=instance.phase,
            facts={**self._before.facts, **facts_found(instance.data, portfolio, MARKET)},
            orders=self.orders(),
            let_go=let_go(self._told, waiting, portfolio, MARKET.symbol),
        )

    def _differs(self, what: str, expected: str, found: str) -> None:
        self.divergences.append(Divergence(self._number, what, expected, found))

    def _new_rows(self) -> tuple[AuditRow, ...]:
        rows = self._store.audit(MARKET.symbol)
        new = tuple(rows[self._seen_rows :])
        self._seen_rows = len(rows)
        return new

    def _explain(self, step: Step, rows: tuple[AuditRow, ...]) -> None:
        """Note what failed where nothing was to fail."""
        failures = {row.event for row in rows} & {DEFINITION.error_event}
        if failures - {take.event for take in step.takes}:
            self._notes.append(f"what failed: {self.data.last_error}")

    def _compare(self, step: Step, rows: tuple[AuditRow, ...], orders: tuple[OrderFound, ...]) -> None:
        if self.phase != step.after.phase:
            self._differs("the phase afterwards", step.after.phase, self.phase)
        taken = [row for take in step.takes for row in take.rows]
        found = [row.branch for row in rows if row.branch]
        if taken != found:
            self._differs("the rows taken", ", ".join(taken) or "none", ", ".join(found) or "none")
        outcomes = [(take.event, take.outcome) for take in step.takes if take.outcome != "handled"]
        raised = {event for take in step.takes for event in take.raised}
        met = [(row.event, row.outcome.value) for row in rows if row.outcome != "handled" and row.event not in raised]
        if outcomes != met:
            self._differs("what was not handled", str(outcomes), str(met))
        for fact, value in facts_found(self.data, self.worker.portfolio, MARKET).items():
            if step.after.facts.get(fact, value) != value:
                self._differs(f"the fact {fact}", step.after.facts[fact], value)
        by_id = {order.client_order_id: order for order in orders}
        for (side, which), name in self._followed.names.items():
            wanted, order = step.after.order(side, which), by_id[name]
            if wanted is not None and (wanted.phase, wanted.fills) != (order.phase, order.fills):
                self._differs(
                    f"the {which} {side} order at the exchange",
                    f"{wanted.phase}, filled: {wanted.fills}",
                    f"{order.phase}, filled: {order.fills}",
                )

    # -- one step --------------------------------------------------------------------------------------------------

    async def _do(self, step: Step) -> None:
        match step.kind:
            case "outside":
                await self._post(step.event, self._payload(step))
            case "timer":
                await self._timer(step)
            case "stale":
                await self._stale(step)
            case "request":
                await self._request(step)
            case "answer":
                await self._answer(step)
            case "unknown":
                await self._without_answer(step, Fate.UNKNOWN)
            case "unsent":
                await self._without_answer(step, Fate.UNSENT)
            case "expired":
                self._expire(step)
            case "venue":
                self._venue(step)
            case "report":
                await self._post(step.event, self._payload(step))
            case "crash":
                await self._crash()
            case "failure":
                await self._fail(step)

    def _tick(self, milliseconds: int = TICK) -> None:
        self.clock.advance_to(self.clock.now() + milliseconds)

    async def _post(self, event: str, payload: msgspec.Struct) -> None:
        self._hear(payload)
        ctx = EventContext(event, MARKET.symbol, self.clock.now(), payload)
        receipt = await self.worker.process(ctx)
        if receipt.first is not None:
            self._notes.append(f"{event}: a repetition; {receipt.first.value} before")
        await self.worker.settle()

    async def _timer(self, step: Step) -> None:
        due = self.worker.next_timer_at()
        if due is None:
            raise _UnplayableError("no timer is running")
        self._tick(max(due - self.clock.now(), 0))
        self.worker.fire_timers()
        await self.worker.settle()

    async def _stale(self, step: Step) -> None:
        """The timer of an earlier visit fires all the same; `told` is the phase that was left."""
        payload = DEFINITION.events[step.event].payload()
        visit = self._visits.get(step.told or "")
        await self.worker.process(EventContext(step.event, MARKET.symbol, self.clock.now(), payload, generation=visit))

    async def _request(self, step: Step) -> None:
        name = self._id_of(step)
        if step.event:
            call = self._call(step, asked=False, recovering=True)
            await self._ask(call, Fate.CARRIED_OUT)
            if call.answer is None and not self._calls(step):
                self._withdrawn.add(name)
                self._notes.append("it is not there, and no longer wanted: the phase that asked for it was left")
            return
        venue = self._expected_order(step)
        adrift = None
        if step.told is None and name:
            adrift = self.gateway.take_adrift(name)
        if venue == "REJECTED":
            self.exchange.unwelcome.add(name)
        if adrift is not None:
            request = self.exchange.receive_order(adrift.order, adrift.stamp, self.clock.now())
            self._notes.append(f"what was sent at {adrift.stamp.claimed_at} arrives: {request.outcome}")
        else:
            await self._ask(self._call(step, asked=False), Fate.CARRIED_OUT)
        if venue == "HIDDEN":
            self.exchange.hidden.add(name)

    def _expected_order(self, step: Step) -> str:
        """The phase of the step's order at the venue afterwards. An order that is followed no longer is over."""
        if not step.side:
            return ""
        before, after = (world.order(step.side, step.which) for world in (self._before, step.after))
        if after is not None:
            return after.phase
        return "REJECTED" if before is not None and before.phase == "NONE" else ""

    async def _answer(self, step: Step) -> None:
        effect = DEFINITION.effects[step.effect]
        if step.side or any(one.carried_out for one in self._calls(step)):
            call = self._call(step, asked=True)
        else:
            call = self._call(step, asked=False)
            self._tell_strategy(step)
            await self._ask(call, Fate.CARRIED_OUT)
        if payload_event(call.answer) != step.event:
            self._differs(f"the answer to {step.effect}", step.event, payload_event(call.answer) or repr(call.answer))
        assert effect is not None
        self._hear(call.answer)
        self.effects.answer(call)
        await self.worker.settle()

    def _tell_strategy(self, step: Step) -> None:
        self.strategy.told = step.told or ""
        self.strategy.entry_price = self._entry_price()

    async def _ask(self, call: Call, fate: Fate) -> None:
        self.effects.ask(call, fate)
        await self.worker.settle()

    async def _without_answer(self, step: Step, fate: Fate) -> None:
        stages = [one.stage for one in self._of_step(step, self._before)]
        for one in self._of_step(step, step.after):
            if one.stage in stages:
                stages.remove(one.stage)
        call = self._call(step, asked="answered" in stages)
        told: Fate | msgspec.Struct = fate
        if "entry_order" in call.request.__struct_fields__ and not (call.order_id("entry") or call.order_id("exit")):
            # Without an order it asks nobody, and so cannot fail by itself.
            told = self._payload(step)
        if call.carried_out:
            self.effects.answer(call, told)
        else:
            self.effects.ask(call, told)
        await self.worker.settle()
        while (wake := self.clock.next_wake()) is not None:
            # It is asked again, by its policy, as often as that allows, and nobody answers.
            self._tick(max(wake - self.clock.now(), 0))
            await self.worker.settle()

    def _expire(self, step: Step) -> None:
        deadline = self.gateway.expire(self._id_of(step))
        if deadline is None:
            raise _UnplayableError("nothing of the order is adrift")
        self._tick(max(deadline + 1 - self.clock.now(), 0))

    def _venue(self, step: Step) -> None:
        name = self._id_of(step)
        before, after = (world.order(step.side, step.which) for world in (self._before, step.after))
        if before is None:
            raise _UnplayableError(f"there is no {step.which} {step.side} order")
        if after is None:
            self.exchange.drop(name, self.clock.now())
            return
        if FILLS[after.fills] > FILLS[before.fills]:
            self._fill(step, name, before.fills, after.fills)
        elif after.phase == "CANCELED":
            self.exchange.drop(name, self.clock.now())
        if "HIDDEN" not in after.phase:
            self.exchange.hidden.discard(name)

    def _fill(self, step: Step, name: str, before: str, after: str) -> None:
        """A part of the order, its rest, or both one after the other: whatever may be told of an order that was filled
        in part may be told of one that is filled."""
        now = self.clock.now()
        order = next((one for one in reversed(self.exchange.orders()) if one.client_order_id == name), None)
        if order is None:
            raise _UnplayableError(f"the exchange has no order {name}")
        part = Decimal(0)
        if before == "none":
            part = (order.amount / 2).quantize(Decimal(1) if step.side == "entry" else MARKET.amount_step, ROUND_DOWN)
            if step.side == "entry" and self._leaves_remainder():
                part -= MARKET.amount_step
            self.exchange.fill(name, part, now)
        if after == "all":
            self.exchange.fill(name, order.amount - order.filled - part, now)

    def _entry_price(self) -> Decimal:
        return UNEVEN_PRICE if self._leaves_remainder() else EVEN_PRICE

    def _leaves_remainder(self) -> bool:
        """Whether what is bought now is to leave something that cannot be sold when the sell order is filled.

        The checker chooses that anew with each sell order, arithmetic does not: so the choice that shows is taken.
        """
        planned = False
        for place, step in enumerate(self.trace.steps[self._number - 1 :]):
            actions = [action for take in step.takes for action in take.actions]
            if place and "plan_entry" in actions:
                break
            if "plan_exit" in actions:
                planned = step.after.facts.get("remainder") == "dust"
            order = step.after.order("exit", "present")
            for take in step.takes:
                for asked in take.guards:
                    if order is not None and order.booked == "all" and "holding_nothing" in asked.answers:
                        return not asked.answers["holding_nothing"]
        return planned

    async def _crash(self) -> None:
        for call in list(self.effects.calls):
            once = DEFINITION.effects[call.effect].effect_class is EffectClass.AT_MOST_ONCE
            if once and not call.recovering and not call.carried_out:
                self.effects.ask(call, Fate.CUT_OFF)
        for _ in range(5):
            await asyncio.sleep(0)
        # The process dies: nothing that it was doing goes on, and nothing is tidied up.
        mine = asyncio.current_task()
        dying = [task for task in asyncio.all_tasks() if task is not mine]
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)
        if self._database is not None:
            self._store.close()
        self._open_worker()
        await self.worker.start()
        await self.worker.settle()

    async def _fail(self, step: Step) -> None:
        if not step.effect:
            error = DEFINITION.events[DEFINITION.error_event].payload(error="a handler failed", failed_event="")
            await self._post(DEFINITION.error_event, error)
            return
        failure = OnPurpose(f"{step.effect} fails on purpose")
        carried_out = [one for one in self._calls(step) if one.carried_out]
        if carried_out:
            self.effects.answer(carried_out[-1], failure)
        else:
            self.effects.ask(self._call(step, asked=False), failure)
        await self.worker.settle()

    # -- orders and calls ------------------------------------------------------------------------------------------

    def _of_step(self, step: Step, world: After) -> list[Any]:
        about = (step.effect, step.side, step.which)
        return [one for one in world.pending if (one.effect, one.side, one.which) == about]

    def _calls(self, step: Step) -> list[Call]:
        name = self._id_of(step)
        return [
            call
            for call in self.effects.calls
            if call.effect == step.effect and (not step.side or call.order_id(step.side) == name)
        ]

    def _call(self, step: Step, *, asked: bool, recovering: bool | None = None) -> Call:
        """The attempt that the step is about, the latest one that fits."""
        found = [
            call
            for call in self._calls(step)
            if call.carried_out is asked and (recovering is None or call.recovering is recovering)
        ]
        fitting = [call for call in found if asked and _says(call.answer, step)]
        if not found:
            state = "answered" if asked else "being asked"
            name = self._id_of(step)
            if name in self._withdrawn:
                raise _UnplayableError(WITHDRAWN)
            raise _UnplayableError(f"no {step.effect} is {state} for order {name or '-'}")
        return (fitting or found)[-1]

    def _id_of(self, step: Step) -> str:
        if not step.side:
            return ""
        name = self._followed.name(step.side, step.which)
        if name is None:
            raise _UnplayableError(f"there is no {step.which} {step.side} order")
        return name

    # -- what events carry -----------------------------------------------------------------------------------------

    def _payload(self, step: Step) -> msgspec.Struct:
        kind = DEFINITION.events[step.event].payload
        if step.answer:
            return kind(**{one.side: self._report(one.side, one.order) for one in step.answer})
        if step.side and step.which != "finished":
            for _, state in reversed(self.exchange.reports()):
                if state.client_order_id == self._id_of(step) and fills_word([state]) == (step.fills or "none"):
                    event = event_for(state)
                    if event.event == step.event:
                        return event
        fills = self._fills(step)
        known: dict[str, Any] = {
            "bar_at": self.clock.now(),
            "price": self._entry_price(),
            "signal_type": self.strategy.name,
            "requested_by": "the path",
            "reason": "as the path says",
            "error": "as the path says",
            "failed_event": "",
            "client_order_id": self._id_of(step),
            "exchange_order_id": f"x-{self._id_of(step)}",
            "filled_qty": filled_qty(fills),
            "avg_price": average_price(fills),
            "fills": fills,
            "entry": None,
            "exit": None,
        }
        missing = [name for name in kind.__struct_fields__ if name not in known]
        if missing:
            raise TraceError(f"$.steps[{self._number - 1}]: nothing is known to put into {step.event}: {missing}")
        return kind(**{name: known[name] for name in kind.__struct_fields__})

    def _fills(self, step: Step) -> list[Fill]:
        """The executions of the order, as far as the step tells of them."""
        if not step.side or step.fills in ("", "none"):
            return []
        states = [one for one in self.exchange.orders() if one.client_order_id == self._id_of(step)]
        fills = [fill for state in states for fill in fills_of(state)]
        return fills[:1] if step.fills == "some" else fills

    def _report(self, side: str, order: str) -> OrderReport | None:
        if order == "none":
            return None
        if order == "past":
            return OrderReport(client_order_id=f"earlier-{side}", status="canceled", fills=[])
        name = self._followed.name(side, "present") or ""
        states = [one for one in self.exchange.orders() if one.client_order_id == name]
        status = states[-1].status.value if states else "absent"
        return OrderReport(client_order_id=name, status=status, fills=[f for one in states for f in fills_of(one)])

    def _hear(self, payload: Any) -> None:
        """Remember which trades the machine was told of."""
        reports = [payload, getattr(payload, "entry", None), getattr(payload, "exit", None)]
        for report in reports:
            self._told.update((fill.trade_id, None) for fill in getattr(report, "fills", ()))

    # -- before it begins ------------------------------------------------------------------------------------------

    def _open_worker(self) -> None:
        self._store: Store = self._memory
        if self._database is not None:
            # The process dies here, the machine does not: what was written is there without waiting for the disk.
            self._store = SqliteStore(self._database, namespace="rehearsal", durable=False)
        inner = TradingEffects(self.gateway, {MARKET.symbol: self.strategy}, lambda name: self.worker.intent(name))
        self.effects = HeldEffects(inner, self.clock)
        # Repeated reports are not recognised as such: whatever the machine does with one, it must do twice.
        self.worker = Worker(self._machine, self._store, self.clock, self.effects, slots=8, identity_expiry=1)

    def _trade_before(self) -> None:
        """A trade that is long over, at the exchange and in the books, so that there is something to hear of it."""
        portfolio = Portfolio(1)
        now = self.clock.now()
        with portfolio.begin(MARKET.symbol, now) as transaction:
            for side, word in SIDES.items():
                self._tick()
                now, qty = self.clock.now(), Decimal(1)
                if word is Side.SELL:
                    qty = transaction.position(MARKET.symbol, MARKET.base)
                request = OrderRequest(f"earlier-{side}", MARKET.symbol, word, OrderType.LIMIT, qty, EVEN_PRICE)
                self.exchange.receive_order(request, Stamp(1, now - 1, now + 1), now)
                self.exchange.fill(request.client_order_id, qty, now)
                (state,) = [one for one in self.exchange.orders() if one.client_order_id == request.client_order_id]
                for fill in fills_of(state):
                    transaction.book_trade(trade_fill(MARKET, word, request.client_order_id, "earlier-entry", fill))
                self._followed.finished[side] = request.client_order_id
            transaction.close_round_trip("earlier-entry", DEPOSIT)
        commit = Commit("", DEFINITION.name, DEFINITION.digest, now, 0, 0, "", None, [], [], [], [], None)
        commit.portfolio = transaction.change
        self._store.commit([commit])


def _says(answer: Any, step: Step) -> bool:
    """Whether an answer is the one that the step tells of."""
    if payload_event(answer) != step.event:
        return False
    return all(_is_so(getattr(answer, one.side), one) for one in step.answer)


def _is_so(report: OrderReport | None, told: Answer) -> bool:
    if report is None:
        return told.order == "none"
    return (report.status == OrderStatus.OPEN) is told.live and bool(report.fills) is (told.fills != "none")
