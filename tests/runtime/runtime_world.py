"""Small machines made to measure, and a world in which their worker can crash: its memory goes, the store stays."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, ParamSpec

import msgspec

from generated import crossing
from runtime.clock import VirtualClock
from runtime.definition import (
    Branch,
    Cell,
    EffectClass,
    EffectDefinition,
    EventDefinition,
    Ignore,
    MachineDefinition,
    Migration,
    PhaseDefinition,
    RetryPolicy,
)
from runtime.dispatch import Instance
from runtime.effects import Claim
from runtime.events import EventContext, Outcome, Receipt
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.store import AuditRow, Store
from runtime.worker import Restart, Worker

P = ParamSpec("P")


def asynchronous(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """A test written as a coroutine."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        asyncio.run(main())

    return run


# -- a machine made to measure -------------------------------------------------------------------------------------


class LabData(msgspec.Struct, kw_only=True):
    log: list[str] = msgspec.field(default_factory=list)
    amount: Decimal | None = None
    count: int = 0
    since: int | None = None


class LabConfig(msgspec.Struct, frozen=True, kw_only=True):
    short: int = 1_000
    long: int = 60_000
    window: int = 5_000


class Go(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "GO"
    note: str = ""


class Back(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "BACK"


class Fill(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "FILL"
    order: str = "o"
    qty: Decimal = Decimal(1)


class Tick(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "TICK"


class Done(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "DONE"
    note: str = ""


class Unknown(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "UNKNOWN"


class Inner(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "INNER"


class Echo(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "ECHO"


class Trouble(msgspec.Struct, kw_only=True):
    event: ClassVar[str] = "TROUBLE"
    error: str
    failed_event: str


class AskRequest(msgspec.Struct, frozen=True, kw_only=True):
    count: int


class PriceRequest(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal


EVENTS = {
    "GO": EventDefinition(Go),
    "BACK": EventDefinition(Back),
    "FILL": EventDefinition(Fill, identity=("order", "qty")),
    "TICK": EventDefinition(Tick),
    "DONE": EventDefinition(Done),
    "UNKNOWN": EventDefinition(Unknown),
    "INNER": EventDefinition(Inner, internal=True),
    "ECHO": EventDefinition(Echo, internal=True),
    "TROUBLE": EventDefinition(Trouble),
}
OUTCOMES = {"done": "DONE", "unknown": "UNKNOWN"}
POLICY = {"patient": RetryPolicy(max_attempts=3, base_delay=100, factor=2, max_delay=150)}


def effect(kind: EffectClass = EffectClass.IDEMPOTENT, *, retry: str | None = None) -> EffectDefinition:
    return EffectDefinition(kind, AskRequest, OUTCOMES, window="window", retry=retry)


class _Protocol:
    """The shapes of the handlers that a generated Protocol would ask for."""

    def decide(self, data: Any, event: Any, ctx: Any) -> Any: ...

    async def carry_out(self, request: Any, claim: Any) -> Any: ...


def _protocol(name: str, methods: Mapping[str, object], shape: object) -> type[Any]:
    return type(name, (), dict.fromkeys(methods, shape))


def _handlers(methods: Mapping[str, object]) -> object:
    return type("Handlers", (), {name: staticmethod(method) for name, method in methods.items()})()  # type: ignore[arg-type]


def to(phase: str | None = None, **fields: Any) -> tuple[Branch, ...]:
    """A cell of one branch, whose id `lab` makes up unless it is given."""
    return (Branch(id=fields.pop("id", ""), to=phase, **fields),)


def log(text: str) -> Callable[[LabData, Any, Any], None]:
    """An action that leaves a trace of its having run."""

    def action(data: LabData, event: Any, ctx: Any) -> None:
        data.log.append(text)

    return action


def _named(place: str, cell: Cell) -> Cell:
    if not isinstance(cell, tuple):
        return cell
    return tuple(replace(branch, id=branch.id or f"{place}/{number}") for number, branch in enumerate(cell, 1))


def lab(
    table: Mapping[str, Mapping[str, Cell]],
    *,
    phases: Mapping[str, PhaseDefinition] | None = None,
    actions: Mapping[str, Callable[..., None]] | None = None,
    guards: Mapping[str, Callable[..., Any]] | None = None,
    effects: Mapping[str, EffectDefinition] | None = None,
    initial: str = "A",
    digest: str = "d" * 64,
    migrations: tuple[Migration, ...] = (),
    history_groups: tuple[str, ...] = (),
    data: type[Any] = LabData,
    name: str = "lab",
    config: object = None,
) -> Machine:
    """A machine with the phases of `table`; a cell that is not given ignores its event. Actions that are named and not
    given leave their name in the data's log."""
    full = {
        phase: {event: _named(f"{phase}/{event}", row.get(event, Ignore("nothing to do"))) for event in EVENTS}
        for phase, row in table.items()
    }
    shapes = {phase: (phases or {}).get(phase, PhaseDefinition()) for phase in table}
    named = {
        name for row in full.values() for cell in row.values() if isinstance(cell, tuple) for b in cell for name in b.do
    }
    named |= {name for shape in shapes.values() for name in (*shape.entry_do, *shape.exit_do)}
    doing: dict[str, Callable[..., None]] = {name: log(name) for name in sorted(named)} | dict(actions or {})
    deciding = dict(guards or {})
    handlers = [
        name
        for effect, kind in (effects or {}).items()
        for name in ((effect, f"recover_{effect}") if kind.effect_class is EffectClass.AT_MOST_ONCE else (effect,))
    ]
    definition = MachineDefinition(
        name=name,
        version=1,
        source="spec/lab.yaml",
        digest=digest,
        presentation_digest="p",
        initial=initial,
        error_event="TROUBLE",
        phases=shapes,
        events=EVENTS,
        effects=effects or {},
        policies=POLICY,
        table=full,
        data=data,
        config=LabConfig,
        knobs=(),
        guards=_protocol("Guards", deciding, _Protocol.decide),
        actions=_protocol("Actions", doing, _Protocol.decide),
        effect_handlers=_protocol("EffectHandlers", dict.fromkeys(handlers), _Protocol.carry_out),
        make_error=lambda error, failed_event: Trouble(error=error, failed_event=failed_event),
        history_groups=history_groups,
        migrations=migrations,
    )
    return Machine(definition, _handlers(deciding), _handlers(doing), config or LabConfig())


# -- effects -------------------------------------------------------------------------------------------------------

_NEVER = 10**15


class Hands:
    """Carries out a machine's effects as it is told, and remembers what it was asked. An answer is a value, an
    exception to raise, or a function of (request, claim); where none is given, an effect never ends."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, Claim]] = []
        self.clock = VirtualClock(0)

    def handlers_for(self, machine: Machine) -> object:
        return _handlers(
            {name: self._handler(name) for name in vars(machine.definition.effect_handlers) if name[0] != "_"}
        )

    def _handler(self, name: str) -> Callable[[Any, Claim], Awaitable[Any]]:
        async def handler(request: Any, claim: Claim) -> Any:
            self.asked.append((name, claim))
            if name not in self.answers:
                await self.clock.sleep_until(_NEVER)
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            if callable(answer) and not isinstance(answer, type):
                answer = answer(request, claim)
                if asyncio.iscoroutine(answer):
                    answer = await answer
            return answer

        return handler


# -- a worker that can crash ---------------------------------------------------------------------------------------


class KeptStore(MemoryStore):
    """A MemoryStore that outlives the worker that closes it."""

    def close(self) -> None:
        pass


class World:
    """One worker in virtual time, on a store that survives it."""

    def __init__(
        self,
        machine: Machine,
        hands: Hands | None = None,
        *,
        store: Store | None = None,
        now: int = 1_000_000,
        slots: int = 1,
        identity_expiry: int = 300_000,
    ) -> None:
        self.machine = machine
        self.hands = hands or Hands()
        self.store: Store = store or KeptStore()
        self.clock = VirtualClock(now)
        self._slots = slots
        self._expiry = identity_expiry
        self._renew()

    def _renew(self) -> None:
        self.hands.clock = self.clock
        self.worker = Worker(
            self.machine,
            self.store,
            self.clock,
            self.hands.handlers_for(self.machine),
            slots=self._slots,
            identity_expiry=self._expiry,
        )

    async def start(self, *names: str) -> Restart:
        restart = await self.worker.start()
        for name in names:
            await self.worker.create(name)
        await self.settle()
        return restart

    async def restart(self, machine: Machine | None = None, *, after: int = 0) -> Restart:
        """The process dies, and another starts `after` milliseconds later."""
        await self.worker.stop()
        self.clock = VirtualClock(self.clock.now() + after)
        self.machine = machine or self.machine
        self._renew()
        restart = await self.worker.start()
        await self.settle()
        return restart

    async def send(self, payload: Any, instance: str = "x", **fields: Any) -> Receipt:
        receipt = await self.worker.process(EventContext(payload.event, instance, self.clock.now(), payload, **fields))
        await self.settle()
        return receipt

    async def settle(self) -> None:
        while not self.worker.idle or self.worker.fire_timers():
            await self.worker.settle()

    async def wait(self, duration: int) -> None:
        """Let time pass, stopping wherever something is due."""
        end = self.clock.now() + duration
        while True:
            due = [at for at in (self.worker.next_timer_at(), self.clock.next_wake()) if at is not None and at <= end]
            self.clock.advance_to(max(self.clock.now(), min(due, default=end)))
            await self.settle()
            if not due:
                return

    def instance(self, name: str = "x") -> Instance:
        return self.worker.instances[name]

    @property
    def phase(self) -> str:
        return self.instance().phase

    @property
    def data(self) -> Any:
        return self.instance().data

    def audit(self, name: str | None = "x") -> Sequence[AuditRow]:
        return self.store.audit(name)

    def told(self, name: str = "x") -> list[tuple[str, Outcome, str]]:
        """The audit in short: event, outcome, phase afterwards."""
        return [(row.event, row.outcome, row.phase_to) for row in self.audit(name)]


# -- the crossing --------------------------------------------------------------------------------------------------


class CrossingGuards:
    def walk_requested(self, data: crossing.StateData, event: Any, ctx: Any) -> bool:
        return data.requests > 0


class CrossingActions:
    def count_request(self, data: crossing.StateData, event: Any, ctx: Any) -> None:
        data.requests += 1

    def count_walk(self, data: crossing.StateData, event: Any, ctx: Any) -> None:
        data.walks += 1
        data.requests = 0

    def note_fault(self, data: crossing.StateData, event: crossing.LampFailed, ctx: Any) -> None:
        data.last_fault = event.error


def crossing_machine() -> Machine:
    return Machine(crossing.DEFINITION, CrossingGuards(), CrossingActions(), crossing.Config())


def lamps(answer: Any = None) -> Hands:
    """Lamps that work, or do what `answer` says."""
    shown = crossing.LampsSet() if answer is None else answer
    return Hands(dict.fromkeys(crossing.DEFINITION.effects, shown))
