"""The same job for other state machine libraries, each in the way its documentation shows. Runs in the peers' venv."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import statemachine
import transitions
from automat import TypeMachineBuilder
from harel import DictStore, DurableRunner, Event, definition_from_dsl
from sismic.interpreter import Interpreter
from sismic.io import import_from_yaml

from bench.cycle import EVENTS, INITIAL, PHASES, ROWS, STEPS, check
from bench.dispatch_ours import Work

VERSIONS = {
    name: version(name) for name in ("automat", "harel", "msgspec", "python-statemachine", "sismic", "transitions")
}
_NAMES = tuple(dict.fromkeys(EVENTS))


@dataclass(frozen=True)
class Peer:
    """`fewer`: it is so much slower that this fraction of the cycles is enough."""

    name: str
    work: Callable[[int], Work]
    bare: bool = False
    full: bool = False
    fewer: int = 10


# -- transitions ---------------------------------------------------------------------------------------------------


class _Model:
    def __init__(self) -> None:
        self.count = 0

    def may(self) -> bool:
        return self.count >= 0

    def do(self) -> None:
        self.count += 1


def _transitions(cycles: int, *, bare: bool = False) -> Work:
    handlers = {} if bare else {"conditions": "may", "after": "do"}
    rows = [{"trigger": event, "source": source, "dest": to, **handlers} for source, event, to in ROWS]

    def work() -> None:
        model: Any = _Model()
        transitions.Machine(model, list(PHASES), initial=INITIAL, transitions=rows, auto_transitions=False)
        day = [getattr(model, event) for event in EVENTS]
        for _ in range(cycles):
            for trigger in day:
                trigger()
        check("transitions", model.state, None if bare else model.count, cycles)

    return work


# -- python-statemachine -------------------------------------------------------------------------------------------


def _statemachine(cycles: int, *, bare: bool = False) -> Work:
    def may(self: Any) -> bool:
        return bool(self.count >= 0)

    def do(self: Any) -> None:
        self.count += 1

    states = {phase: statemachine.State(initial=phase == INITIAL) for phase in PHASES}
    handlers = {} if bare else {"cond": "may", "on": "do"}
    events: dict[str, Any] = {}
    for source, event, to in ROWS:
        row = states[source].to(states[to], **handlers)
        events[event] = events[event] | row if event in events else row
    body = {**states, **events, "may": may, "do": do, "count": 0}
    made = type(statemachine.StateMachine)("Trade", (statemachine.StateMachine,), body)

    def work() -> None:
        machine = made()
        day = [getattr(machine, event) for event in EVENTS]
        for _ in range(cycles):
            for trigger in day:
                trigger()
        check("python-statemachine", next(iter(machine.configuration)).id, None if bare else machine.count, cycles)

    return work


# -- automat -------------------------------------------------------------------------------------------------------


class _Core:
    def __init__(self) -> None:
        self.count = 0


def _automat(cycles: int, *, bare: bool = False) -> Work:
    def method(name: str) -> Callable[[Any], None]:
        def said(self: Any) -> None: ...

        said.__name__ = name
        return said

    inputs = {name: method(name) for name in _NAMES}
    protocol: Any = type(Protocol)("Trade", (Protocol,), dict(inputs))
    builder: Any = TypeMachineBuilder(protocol, _Core)
    states = {phase: builder.state(phase) for phase in PHASES}

    def act(trade: Any, core: _Core) -> None:
        if core.count >= 0:  # automat has no guards
            core.count += 1

    for source, event, to in ROWS:
        row = states[source].upon(inputs[event]).to(states[to])
        row.returns(None) if bare else row(act)
    make = builder.build()

    def work() -> None:
        core = _Core()
        machine = make(core)
        day = [getattr(machine, event) for event in EVENTS]
        for _ in range(cycles):
            for trigger in day:
                trigger()
        check("automat", machine.__automat_transitioner__._state.name, None if bare else core.count, cycles)

    return work


# -- sismic --------------------------------------------------------------------------------------------------------


def _sismic(cycles: int, *, bare: bool = False) -> Work:
    handlers = "" if bare else "\n          guard: count >= 0\n          action: count = count + 1"
    states = ""
    for phase in PHASES:
        states += f"\n      - name: {phase}\n        transitions:"
        for source, event, to in ROWS:
            if source == phase:
                states += f"\n        - event: {event}\n          target: {to}{handlers}"
    chart = import_from_yaml(
        f"statechart:\n  name: trade\n  preamble: count = 0\n  root state:\n    name: root\n    initial: {INITIAL}\n"
        f"    states:{states}\n"
    )

    def work() -> None:
        interpreter = Interpreter(chart)
        interpreter.execute_once()
        for _ in range(cycles):
            for event in EVENTS:
                interpreter.queue(event).execute_once()
        count = interpreter.context["count"]
        check("sismic", interpreter.configuration[-1], None if bare else count, cycles)

    return work


# -- harel ---------------------------------------------------------------------------------------------------------


def harel_source(*, bare: bool = False) -> str:
    """The cycle in harel's own language."""
    rows = "".join(
        f"  from {source} to {to} on {event}"
        + ("" if bare else " where (context.count >= 0) set context.count = context.count + 1")
        + "\n"
        for source, event, to in ROWS
    )
    return (
        "".join(f"event {event} {{}}\n" for event in _NAMES)
        + f"machine trade {{\n  context {{ count: int = 0 }}\n  initial {INITIAL}\n"
        + "".join(f"  state {phase} {{}}\n" for phase in PHASES)
        + rows
        + "}\n"
    )


def _harel(cycles: int) -> Work:
    definition = definition_from_dsl(harel_source(), "trade")
    events = [Event(kind=event) for _, event, _ in STEPS * cycles]

    def work() -> None:
        runner = DurableRunner(DictStore(), {definition.id: definition}, execution="inline")
        trade = runner.create(definition.id)
        for event in events:
            trade = runner.process(trade.id, event)
        check("harel", trade.active_path, trade.context["count"], cycles)

    return work


def _bare(of: Callable[..., Work]) -> Callable[[int], Work]:
    return lambda cycles: of(cycles, bare=True)


PEERS = (
    Peer("transitions", _bare(_transitions), bare=True),
    Peer("python-statemachine", _bare(_statemachine), bare=True, fewer=50),
    Peer("automat", _bare(_automat), bare=True),
    Peer("sismic", _bare(_sismic), bare=True, fewer=50),
    Peer("transitions", _transitions),
    Peer("python-statemachine", _statemachine, fewer=50),
    Peer("automat", _automat),
    Peer("sismic", _sismic, fewer=50),
    Peer("harel (deduplicated, committed in memory)", _harel, full=True, fewer=50),
)

if __name__ == "__main__":
    for peer in PEERS:
        peer.work(2)()
        print(peer.name, "did the job", file=sys.stderr)
