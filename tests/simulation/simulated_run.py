"""One run: a bot that trades on the simulated exchange while everything goes wrong, then a calm in which all must come
to rest, then the comparison of what each of them believes.

    storm   bars close, orders go out, and the hazards of the seed strike
    calm    the bot runs, the exchange answers; nothing new is begun, everything begun must end
    quiet   nothing is under way; what may still be on its way is waited for
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from hashlib import blake2s
from typing import Any

import msgspec
from hazards import REPORT_LATE, Hazards, calm, draw
from simulated_exchange import SimulatedExchange
from simulated_wire import SimulatedWire
from virtual_world import ProcessClock, VirtualLoop, World

from engine.actions import TradingActions
from engine.effects import TradingEffects
from engine.exchange.claimed_gateway import ClaimedGateway, ClaimSettings
from engine.exchange.gateway import Market, OrderState
from engine.guards import TradingGuards
from engine.market_data.candles import Candle
from engine.order_events import event_for
from engine.sizing import SizingRules
from engine.strategy.strategy import EntrySignal, ExitReason, ExitSignal, PositionView, Strategy
from generated.trading import (
    DEFINITION,
    Config,
    ErrorOccurred,
    ExitCheckDue,
    Phase,
    RecoverRequested,
    SlotAvailable,
    WarmupCompleted,
)
from generated.trading.events import Payload
from runtime.effects import Claim, Intent
from runtime.errors import StoreError
from runtime.events import EventContext, Outcome
from runtime.ledger import CASH, TRADE
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.store import AuditRow, Commit, StoredState
from runtime.worker import Worker

START = 1_700_000_000_000
SECOND = 1_000
MINUTE = 60 * SECOND
STORMS = (2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 10 * MINUTE)
"""How long a storm may last, at most: for one or two lifecycles of a symbol mostly, sometimes for many."""
PATIENCE = 180 * MINUTE
"""How long after the storm a symbol may be under way before it counts as stuck."""
CAPITAL = Decimal(10_000)
RULES = SizingRules(stop_pct=Decimal(5))
QUOTE = "USD"
TROUBLE = "no event at all"
"""What failed where a symbol is stopped by the storm itself."""


def _market(symbol: str, *, fee_in_base: bool) -> Market:
    return Market(
        symbol=symbol,
        base=symbol.partition("/")[0],
        quote=QUOTE,
        amount_step=Decimal("0.001"),
        price_tick=Decimal("0.1"),
        min_amount=Decimal("0.001"),
        min_notional=Decimal(500),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        fee_in_base=fee_in_base,
    )


MARKETS = {
    "BTC/USD": _market("BTC/USD", fee_in_base=False),
    "ETH/USD": _market("ETH/USD", fee_in_base=True),
}
MACHINE = Machine(DEFINITION, TradingGuards(MARKETS, RULES), TradingActions(MARKETS, RULES), Config())
AT_REST = (Phase.IDLE, Phase.COOLDOWN)


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the bot that a mutant replaces, and what a mutant does to the world's promises."""

    gateway: type[ClaimedGateway] = ClaimedGateway
    worker: type[Worker] = Worker
    wire: type[SimulatedWire] = SimulatedWire
    settings: ClaimSettings = ClaimSettings()
    hazards: dict[str, Any] = {}


TRUE_PROTOCOL = Protocol()

_GARBAGE = 500_000
"""How many objects may be left behind before they are collected."""


class Killed(BaseException):
    """The process ends here."""


class WhimsicalStrategy:
    """Buys and sells at whim."""

    name = "WHIM"
    warm_up = 0
    ready = True

    def __init__(self, run: SimulatedRun) -> None:
        self._run = run
        self._chance = run.world.chance

    def observe(self, candle: Candle) -> None: ...

    def entry(self) -> EntrySignal | None:
        wanted = self._run.storming and self._chance.random() < 0.9
        return EntrySignal(Decimal(100), "whim") if wanted else None

    def exit(self, position: PositionView) -> ExitSignal | None:
        if self._chance.random() < 0.2:
            return None
        reason = self._chance.choice(list(ExitReason))
        return ExitSignal(reason, Decimal(self._chance.choice((95, 101))), "whim")


class DiskOfAProcess:
    """The store as one process sees it. The process may be killed around every write, and can write no more then."""

    waits = False

    def __init__(self, store: MemoryStore, process: BotProcess) -> None:
        self._store = store
        self._process = process
        self.namespace = store.namespace
        self.load = store.load
        self.last_event_at = store.last_event_at
        self.intent = store.intent
        self.audit = store.audit
        self.journal = store.journal
        self.branch_counts = store.branch_counts

    def commit(self, commits: Sequence[Commit]) -> None:
        self._moment("before commit")
        if self._process.disk_fails():
            raise StoreError("the disk is full")
        self._store.commit(commits)
        self._moment("after commit")

    def claim(self, claim: Claim) -> None:
        self._moment("before claim")
        self._store.claim(claim)
        self._moment("after claim")

    def forget_identities(self, before: int) -> int:
        return self._store.forget_identities(before)

    def close(self) -> None: ...

    def _moment(self, kind: str) -> None:
        if not self._process.dead:
            self._process.moment(kind)
        if self._process.dead:
            raise Killed


class BotProcess:
    """One life of the bot."""

    def __init__(self, run: SimulatedRun, clock_offset: int) -> None:
        self.run = run
        self.dead = False
        self.disk_is_full = False
        self.resumes_at = 0
        world = run.world
        crash, pause = (chances.get("step", 0.0) for chances in (run.hazards.crash, run.hazards.pause))
        self.loop = VirtualLoop(world, 1 - (1 - crash) * (1 - pause), self._strike)
        self.clock = ProcessClock(world, clock_offset)
        self.wire = run.protocol.wire(run.exchange, self)
        self.gateway = run.protocol.gateway(self.wire, self.clock, run.protocol.settings, lambda: world.now)
        self.disk = DiskOfAProcess(run.store, self)
        self.ready = False
        self.begin()
        self.life = self.loop.create_task(self.live())

    def begin(self) -> None:
        """Put the bot together."""
        strategies: dict[str, Strategy] = dict.fromkeys(MARKETS, WhimsicalStrategy(self.run))
        effects = TradingEffects(self.gateway, strategies, self._find_intent)
        self.worker = self.run.protocol.worker(MACHINE, self.disk, self.clock, effects, slots=self.run.slots)

    async def _find_intent(self, intent_id: str) -> Intent | None:
        return await self.worker.intent(intent_id)

    async def live(self) -> None:
        """What the process does until it ends."""
        await self.worker.start()
        for symbol in MARKETS:
            if symbol not in self.worker.instances:
                await self.worker.deposit("opening balance", QUOTE, CAPITAL)
                await self.worker.create(symbol)
        self.gateway.subscribe(self._on_report)
        self.ready = True
        await self.worker.run(asyncio.Event())

    def _on_report(self, state: OrderState) -> None:
        self.post(state.symbol, event_for(state), state.updated_at)

    def report(self, state: OrderState) -> None:
        """The exchange tells of an order."""
        self.gateway.deliver(state)

    def post(self, symbol: str, payload: Payload, at: int) -> None:
        if self.ready and not self.disk_is_full:
            self.worker.post(EventContext(payload.event, symbol, at, payload))

    # -- what may happen to it -------------------------------------------------------------------------------------

    def runs_at(self) -> int:
        return max(self.resumes_at, self.run.world.now)

    def _strike(self) -> None:
        """Die or stand still between two steps; neither, when the storm is over."""
        crash, pause = (chances.get("step", 0.0) for chances in (self.run.hazards.crash, self.run.hazards.pause))
        if self.run.world.chance.random() * (crash + pause) < crash:
            self.kill("step")
        elif pause:
            self.pause("step")

    def moment(self, kind: str) -> None:
        hazards = self.run.hazards
        if kind in hazards.crash and self.run.world.chance.random() < hazards.crash[kind]:
            self.kill(kind)
        elif kind in hazards.pause and self.run.world.chance.random() < hazards.pause[kind]:
            self.pause(kind)

    def disk_fails(self) -> bool:
        """Whether this commit finds the disk full."""
        world = self.run.world
        if not self.disk_is_full and world.chance.random() < self.run.hazards.disk_full:
            self.disk_is_full = True
            world.fault("disk full")
        return self.disk_is_full

    def kill(self, kind: str) -> None:
        if self.dead:
            return
        self.run.world.fault(f"killed: {kind}")
        self.dead = True
        self.loop.kill()
        self.run.restart_after_a_while()

    def pause(self, kind: str) -> None:
        world = self.run.world
        if self.dead or self.resumes_at > world.now:
            return
        self.resumes_at = world.now + world.chance.choice((300, 12 * SECOND, 60 * SECOND))
        world.fault(f"stopped: {kind}", self.resumes_at)
        self.loop.stopped = True
        world.at(self.resumes_at, self._resume)

    def _resume(self) -> None:
        self.loop.stopped = self.dead


class SimulatedRun:
    """A seed's run. `play` it, then look at `broken`."""

    def __init__(
        self,
        seed: int,
        protocol: Protocol = TRUE_PROTOCOL,
        *,
        process: Callable[[SimulatedRun, int], BotProcess] | None = None,
        keep_timeline: bool = False,
    ) -> None:
        self.seed = seed
        self.protocol = protocol
        self.world = World(seed, START)
        if keep_timeline:
            self.world.timeline = []
        self.hazards: Hazards = msgspec.structs.replace(draw(self.world.chance), **protocol.hazards)
        self.exchange = SimulatedExchange(self.world, self.hazards, MARKETS, {QUOTE: CAPITAL}, self._report)
        self.store = MemoryStore(f"run-{seed}")
        self.broken = self.exchange.broken
        self.storming = True
        self.slots = self.world.between(1, len(MARKETS))
        self._clock_offset = 0
        self._connected = True
        self._phases: dict[str, str] = {}
        self._process = process or BotProcess
        self._lives: list[BotProcess] = []
        self.bot = self._begin_life(0)

    @property
    def lives(self) -> int:
        return len(self._lives)

    def _begin_life(self, clock_offset: int) -> BotProcess:
        bot = self._process(self, clock_offset)
        self._lives.append(bot)
        return bot

    # -- playing ---------------------------------------------------------------------------------------------------

    def play(self) -> None:
        world = self.world
        self.world.note("hazards", msgspec.json.encode(self.hazards).decode())
        self._bar()
        self._minute()
        storm_ends = START + world.between(MINUTE, world.chance.choice(STORMS))
        world.at(storm_ends, self._end_storm)
        quiet_since: int | None = None
        while not self.broken:
            loop = self.bot.loop
            if loop.ready and not loop.stopped:
                self._run_bot()
            if self.storming:
                pass
            elif not self._is_at_rest():
                quiet_since = None
                if world.now > storm_ends + PATIENCE:
                    self.broken.append(f"stuck: {self._where()}")
            elif quiet_since is None:
                quiet_since = world.now
            elif world.now > quiet_since + max(REPORT_LATE):
                break
            world.advance()
        self._compare()

    def _run_bot(self) -> None:
        bot = self.bot
        bot.loop.run_ready()
        if self.world.timeline is not None and bot.ready and not bot.dead:
            self._note_phases()
        if bot.disk_is_full and bot.life.done() and not bot.dead:
            bot.kill("disk full")
        if not bot.dead and (bot.life.done() or bot.loop.failure):
            error = bot.loop.failure or bot.life.exception()
            self.broken.append(f"the bot ended by itself: {error!r}")

    def _is_at_rest(self) -> bool:
        if not self.bot.ready or self.bot.dead or self.exchange.live:
            return False
        return all(instance.phase in AT_REST for instance in self.bot.worker.instances.values())

    def _where(self) -> str:
        if not self.bot.ready:
            return "the bot does not get started"
        phases = {name: instance.phase for name, instance in self.bot.worker.instances.items()}
        errors = {name: instance.data.last_error for name, instance in self.bot.worker.instances.items()}
        return f"{phases}, {errors}, live at the exchange: {[o.request.client_order_id for o in self.exchange.live]}"

    def _note_phases(self) -> None:
        for name, instance in self.bot.worker.instances.items():
            if self._phases.get(name) != instance.phase:
                self._phases[name] = instance.phase
                self.world.note("phase", name, instance.phase)

    # -- what happens ----------------------------------------------------------------------------------------------

    def _bar(self) -> None:
        """A bar closes: each symbol is judged, as a feed would have it."""
        bot = self.bot
        if bot.ready and not bot.dead:
            bot.loop.call_soon(self._judge, bot)
        idle = not self.storming and self._is_at_rest()
        self.world.after(5 * MINUTE if idle else self.world.between(15, 60) * SECOND, self._bar)

    def _judge(self, bot: BotProcess) -> None:
        now, chance = bot.clock.now(), self.world.chance
        for symbol, instance in bot.worker.instances.items():
            phase = instance.phase
            if chance.random() < self.hazards.trouble and phase not in (Phase.ERROR, Phase.RECOVERING):
                self.world.fault("trouble", symbol)
                bot.post(symbol, ErrorOccurred(error="trouble", failed_event=TROUBLE), now)
                continue
            if phase == Phase.WARMUP:
                bot.post(symbol, WarmupCompleted(), now)
            elif phase == Phase.IDLE and self.storming:
                bot.post(symbol, SlotAvailable(bar_at=now), now)
            elif phase == Phase.POSITION:
                bot.post(symbol, ExitCheckDue(bar_at=now), now)
            elif phase == Phase.ERROR and (not self.storming or chance.random() < self.hazards.recover_early):
                bot.post(symbol, RecoverRequested(requested_by="a person"), now)

    def _minute(self) -> None:
        if not self.storming:
            return
        chance, hazards = self.world.chance, self.hazards
        if chance.random() < hazards.outage and self._connected:
            self._connected = False
            self.bot.wire.is_down = True
            self.world.fault("outage")
            self.world.after(self.world.between(1, 3 * MINUTE), self._reconnect)
        if chance.random() < hazards.clock_set:
            self._clock_offset = self.bot.clock.offset = self.world.between(-hazards.clock_off, hazards.clock_off)
            self.world.fault("clock set", self._clock_offset)
        self.world.after(MINUTE, self._minute)

    def _reconnect(self) -> None:
        self._connected = True
        self.bot.wire.is_down = False

    def _end_storm(self) -> None:
        self.world.note("calm")
        self.storming = False
        self.hazards = self.exchange.hazards = msgspec.structs.replace(calm(self.hazards), **self.protocol.hazards)
        self._clock_offset = self.bot.clock.offset = 0
        self._reconnect()

    def restart_after_a_while(self) -> None:
        delay = self.world.chance.choice((10, 500, 5 * SECOND, 30 * SECOND, 10 * MINUTE))
        self.world.after(self.world.between(0, delay), self._restart)

    def _restart(self) -> None:
        self.world.note("started")
        self.bot = self._begin_life(self._clock_offset)
        self.bot.wire.is_down = not self._connected

    def _report(self, state: OrderState) -> None:
        chance, hazards = self.world.chance, self.hazards
        if chance.random() < hazards.report_lost:
            self.world.fault("report lost")
            return
        times = 1
        if chance.random() < hazards.report_twice:
            self.world.fault("report twice")
            times = 2
        for _ in range(times):
            way = 100
            if chance.random() < hazards.report_late:
                self.world.fault("report late")
                way = chance.choice(REPORT_LATE)
            self.world.after(self.world.between(1, way), self._deliver, state)

    def _deliver(self, state: OrderState) -> None:
        if self._connected and not self.bot.dead:
            self.bot.loop.call_soon(self.bot.report, state)

    # -- the comparison --------------------------------------------------------------------------------------------

    @property
    def lifecycles(self) -> int:
        """How many entries ended in COOLDOWN."""
        return sum(row.phase_to == Phase.COOLDOWN and row.phase_from != Phase.COOLDOWN for row in self.store.audit())

    def _compare(self) -> None:
        for row in self.store.audit():
            if row.event == "ERROR_OCCURRED" and TROUBLE.encode() not in row.payload:
                self.broken.append(f"{row.instance}: in {row.phase_from}: {row.payload.decode()}")
            elif row.outcome is Outcome.FAILED:
                self.broken.append(f"{row.instance}: {row.event} failed in {row.phase_from}: {row.reason}")
            elif "note_contradiction" in row.actions:
                self.broken.append(f"{row.instance}: {row.event} in {row.phase_from} contradicts what was proven")
        state = self.store.load()
        mine, theirs = self._booked(), self._made()
        for facts in (mine - theirs).elements():
            self.broken.append(f"booked, but never traded: {facts}")
        for facts in (theirs - mine).elements():
            self.broken.append(f"traded, but never booked: {facts}")
        held = self._held(state)
        for currency in sorted({*held, *self.exchange.balances}):
            ours, real = held.get(currency, Decimal(0)), self.exchange.balances.get(currency, Decimal(0))
            if ours != real:
                self.broken.append(f"the books have {ours} {currency}, the exchange has {real}")
        if self.bot.ready:
            self.broken += self.bot.worker.portfolio.verify()
        self.broken += [f"{one.instance} keeps {one.cash} and {one.slots} slots reserved" for one in state.reservations]
        self.broken += [f"{i.effect} of {i.instance} is still open" for i in state.open_intents]

    def _booked(self) -> Counter[tuple[str, ...]]:
        names = ("symbol", "trade_id", "side", "client_order_id", "fee_currency", "qty", "price", "fee")
        return Counter(
            (*(entry.details[name] for name in names), str(entry.at))
            for entry in self.store.journal()
            if entry.kind == TRADE
        )

    def _made(self) -> Counter[tuple[str, ...]]:
        return Counter(
            (
                order.request.symbol,
                trade.trade_id,
                order.request.side.value,
                order.request.client_order_id,
                trade.fee_currency,
                str(trade.qty),
                str(trade.price),
                str(trade.fee),
                str(trade.at),
            )
            for order in self.exchange.orders
            for trade in order.trades
        )

    def _held(self, state: StoredState) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for (account, currency), amount in state.balances.items():
            if account == CASH or account.startswith(("position:", "dust:")):
                held[currency] = held.get(currency, Decimal(0)) + amount
        return held

    def audit(self) -> list[AuditRow]:
        return self.store.audit()

    def end(self) -> None:
        """Let go of everything that still waits. The world is over: nothing of it is written down any more."""
        self.bot.dead = True
        self.bot.loop.kill()
        timeline, self.world.timeline = self.world.timeline, None
        for bot in self._lives:
            bot.loop.bury()
        self.world.timeline = timeline

    def digest(self) -> str:
        """Names the timeline: equal for equal runs."""
        return blake2s(repr(self.world.timeline).encode(), digest_size=16).hexdigest()


def play(seed: int, protocol: Protocol = TRUE_PROTOCOL, **how: Any) -> SimulatedRun:
    """Play one seed to its end; `how` is what `SimulatedRun` takes besides."""
    with uncollected():
        run = SimulatedRun(seed, protocol, **how)
        run.play()
        run.end()
    if gc.get_count()[0] > _GARBAGE:
        gc.collect()
    return run


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage but between seeds. Around many it spares every seed a look at all that the others left."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
