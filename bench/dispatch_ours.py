"""The floor, and our dispatcher at the same job."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from bench.cycle import EVENTS, INITIAL, PHASES, ROWS, STEPS, TIMED, check
from runtime.definition import (
    Branch,
    EventDefinition,
    Ignore,
    MachineDefinition,
    OnRestore,
    PhaseDefinition,
    Timeout,
)
from runtime.dispatch import Dispatcher, Instance
from runtime.events import EventContext, Outcome, Receipt
from runtime.idempotency import SeenEvents
from runtime.machine import Machine
from runtime.portfolio import Portfolio
from runtime.store import AuditRow, Commit

Work = Callable[[], object]

# -- the floor -----------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """As plain Python would write it. The names are those of the cycle."""

    IDLE = "IDLE"
    ENTRY_EVAL = "ENTRY_EVAL"
    PLACE_BUY = "PLACE_BUY"
    WAIT_FILL = "WAIT_FILL"
    POSITION = "POSITION"
    EXIT_EVAL = "EXIT_EVAL"
    PLACE_SELL = "PLACE_SELL"
    WAIT_SELL_FILL = "WAIT_SELL_FILL"
    POST_TRADE = "POST_TRADE"
    COOLDOWN = "COOLDOWN"


class _Trade:
    __slots__ = ("count", "phase")

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.count = 0


def _may(trade: Any, event: Any) -> bool:
    return bool(trade.count >= 0)


def _count(trade: Any, event: Any) -> None:
    trade.count += 1


_BARE = {phase: {event: Phase(to) for source, event, to in ROWS if source == phase} for phase in Phase}
_TABLE = {phase: {event: (_may, _count, to) for event, to in row.items()} for phase, row in _BARE.items()}


def _floor_bare(trade: _Trade, event: str) -> None:
    trade.phase = _BARE[trade.phase][event]


def _floor(trade: _Trade, event: str) -> None:
    guard, action, to = _TABLE[trade.phase][event]
    if guard(trade, event):
        action(trade, event)
        trade.phase = to


def floor(cycles: int, *, bare: bool) -> Work:
    """Nested dictionaries; with one guard and one action unless `bare`."""
    events = EVENTS * cycles
    step = _floor_bare if bare else _floor

    def work() -> None:
        trade = _Trade()
        for event in events:
            step(trade, event)
        check("the floor", trade.phase, None if bare else trade.count, cycles)

    return work


# -- ours ----------------------------------------------------------------------------------------------------------


class Data(msgspec.Struct, kw_only=True):
    """What an instance carries."""

    count: int = 0
    bar_at: int | None = None
    order_id: str | None = "0c7f2d5be1a94f0f8d6a3b5e9c1d2e4f"


class Config(msgspec.Struct, frozen=True):
    """A duration, in milliseconds."""

    patience: int = 30_000


class _Protocol:
    def may(self, data: Any, event: Any, ctx: Any) -> Any: ...


class _Actions:
    def count(self, data: Any, event: Any, ctx: Any) -> Any: ...


class _Guard:
    def may(self, data: Data, event: Any, ctx: Any) -> bool:
        return data.count >= 0


class _Action:
    def count(self, data: Data, event: Any, ctx: Any) -> None:
        data.count += 1


class _Effects:
    pass


class Report(msgspec.Struct, kw_only=True):
    """What an event of the cycle carries; its order and trade make it the same event when it comes again."""

    order_id: str = "0c7f2d5be1a94f0f8d6a3b5e9c1d2e4f"
    trade: int = 0


class Failed(msgspec.Struct, kw_only=True):
    """The error event."""

    error: str
    failed_event: str


def cycle_machine(*, bare: bool = False) -> Machine:
    """The cycle as a generated package would say it. `bare`: no guard, no action, no timer, no identity."""
    events = (*dict.fromkeys(EVENTS), "ERROR_OCCURRED")
    doing = {} if bare else {"guards": (("may", True),), "do": ("count",)}
    table: dict[str, Any] = {phase: dict.fromkeys(events, Ignore("it has been seen to")) for phase in PHASES}
    for source, event, to in ROWS:
        table[source][event] = (Branch(id=f"{source}/{event}/1", to=to, **doing),)
    timeout = Timeout("patience", "COOLDOWN_OVER", OnRestore.KEEP_DEADLINE)
    payloads = {event: EventDefinition(Report, None if bare else ("order_id", "trade")) for event in events}
    definition = MachineDefinition(
        name="cycle",
        version=1,
        source="bench/cycle.py",
        digest="c" * 64,
        presentation_digest="p" * 64,
        initial=INITIAL,
        error_event="ERROR_OCCURRED",
        phases={phase: PhaseDefinition(timeout=None if bare or phase not in TIMED else timeout) for phase in PHASES},
        events=payloads | {"ERROR_OCCURRED": EventDefinition(Failed)},
        effects={},
        policies={},
        table=table,
        data=Data,
        config=Config,
        knobs=(),
        guards=_Protocol,
        actions=_Actions,
        effect_handlers=_Effects,
        make_error=lambda error, failed_event: Failed(error=error, failed_event=failed_event),
    )
    return Machine(definition, _Guard(), _Action(), Config())


def deliveries(instance: str, cycles: int, *, at: int = 0) -> list[EventContext]:
    """The events of `cycles` trades, each with its own identity and a second after the one before."""
    return [
        EventContext(event, instance, at + 1000 * number, Report(trade=number))
        for number, (_, event, _) in enumerate(STEPS * cycles)
    ]


def dispatcher(portfolio: Portfolio | None = None) -> Dispatcher:
    """A dispatcher as a worker makes it."""
    return Dispatcher(portfolio or Portfolio(1), SeenEvents(300_000), {}, "bench")


def ours(cycles: int, *, bare: bool = False) -> Work:
    """`Dispatcher.process`: deduplicate, look for what waits, guard, act, set the timer, encode and check the snapshot,
    record, and answer; up to the commit as it is handed to the store."""
    machine = cycle_machine(bare=bare)
    events = deliveries("x", cycles)

    def work() -> None:
        instance, process = Instance("x", machine, machine.new_snapshot(0), 1), dispatcher().process
        for ctx in events:
            process(instance, ctx, ctx.at)
        check("ours", instance.phase, None if bare else instance.data.count, cycles)

    return work


def duplicates(cycles: int) -> Work:
    """Every event was answered before, and is answered again from memory."""
    machine = cycle_machine()
    events = deliveries("x", 1) * cycles
    instance, process = Instance("x", machine, machine.new_snapshot(0), 1), dispatcher().process
    for ctx in events[: len(STEPS)]:
        process(instance, ctx, 0)

    def work() -> None:
        for ctx in events:
            receipt, _ = process(instance, ctx, 0)
        check("ours", instance.phase if receipt.outcome is Outcome.DUPLICATE else receipt, instance.data.count, 1)

    return work


def _repeated(part: Callable[[int], object]) -> Callable[[int], Work]:
    def of(cycles: int) -> Work:
        def work() -> None:
            for number in range(cycles * len(STEPS)):
                part(number)

        return work

    return of


_MACHINE = cycle_machine()
_SNAPSHOT = _MACHINE.new_snapshot(0)
_PAYLOAD = Report()
_SEEN = SeenEvents(300_000)
_TEXT = "SLOT_AVAILABLE/0c7f2d5be1a94f0f8d6a3b5e9c1d2e4f/7"
_RECEIPT = Receipt(Outcome.HANDLED, "SLOT_AVAILABLE", "x", "IDLE", "ENTRY_EVAL", 7)


def _recognise(number: int) -> None:
    _SEEN.get("x", _TEXT, number)
    _SEEN.record("x", _TEXT, _RECEIPT, number)


def _write_down(number: int) -> None:
    raw, digest = msgspec.json.encode(_PAYLOAD), _MACHINE.digest
    who = ("x", number, number, "SLOT_AVAILABLE", _TEXT)
    AuditRow(*who, Outcome.HANDLED, "IDLE", "ENTRY_EVAL", "IDLE/SLOT_AVAILABLE/1", ("count",), (), raw, "", "", digest)


def _answer(number: int) -> None:
    Receipt(Outcome.HANDLED, "SLOT_AVAILABLE", "x", "IDLE", "ENTRY_EVAL", number)
    Commit("x", _MACHINE.name, _MACHINE.digest, 0, number, number, "ENTRY_EVAL", b"", (), (), (), (), None)


PARTS = {
    "the snapshot, encoded and checked": _repeated(lambda number: _MACHINE.encode(_SNAPSHOT)),
    "recognised if it comes again": _repeated(_recognise),
    "the audit row, with the payload as evidence": _repeated(_write_down),
    "receipt and commit, as objects": _repeated(_answer),
}
"""What of an event can be measured alone."""
