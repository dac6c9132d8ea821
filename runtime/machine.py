"""A generated machine bound to its handlers: names become functions once, at start-up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from runtime.definition import Branch, Cell, MachineDefinition, PhaseDefinition, Timeout
from runtime.errors import DispatchError, HandlerError
from runtime.naming import naming
from runtime.read_back import read_back_check

DataT = TypeVar("DataT")
Handler = Callable[[Any, Any, Any], Any]
_encode = msgspec.json.Encoder().encode


class Timer(msgspec.Struct, frozen=True, gc=False):
    """A running timer: raises `event` at `due_at` (milliseconds since the epoch), in this visit of its phase only."""

    event: str
    due_at: int
    generation: int


class DeferredEvent(msgspec.Struct, frozen=True):
    """An event that waits for the next change of phase. `payload` is JSON."""

    event: str
    at: int
    identity: str
    payload: msgspec.Raw


class Snapshot(msgspec.Struct, Generic[DataT]):
    """What is stored of an instance. `generation` counts visits of phases, `intents` the effects asked for so far,
    `history` holds the last phase of each group that is re-entered where it was left."""

    phase: str
    data: DataT
    entered_at: int
    generation: int = 0
    intents: int = 0
    timer: Timer | None = None
    deferred: list[DeferredEvent] = []
    history: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class BoundTarget:
    """The way from one phase into another, all functions joined: exit, transition, entry."""

    phase: str
    do: tuple[Handler, ...]
    names: tuple[str, ...]
    request: tuple[str, ...]
    raises: tuple[str, ...]
    timeout: Timeout | None
    lasts: int | None
    """The timeout in milliseconds, where it counts from the entry."""
    leaves: tuple[str, ...]
    """The groups with history that are left and not entered again."""


@dataclass(frozen=True, slots=True)
class BoundBranch:
    """A row with its guards bound. `target` is None where the group's history decides, and where the row says that
    the event is ignored."""

    branch: Branch
    guards: tuple[tuple[Handler, bool], ...]
    target: BoundTarget | None
    internal: bool


class Machine:
    """A definition with its guards, actions and configuration: everything that dispatch needs, and no state.

    Raises:
        HandlerError: a guard or an action is missing or takes other arguments than (data, event, ctx).
    """

    def __init__(self, definition: MachineDefinition, guards: object, actions: object, config: object) -> None:
        self.definition = definition
        self.name = definition.name
        self.digest = definition.digest
        self.config = config
        self._guards = bind(definition, definition.guards, guards, "guard")
        self._actions = bind(definition, definition.actions, actions, "action")
        self._history = {
            phase: tuple(group for group in spec.groups if group in definition.history_groups)
            for phase, spec in definition.phases.items()
        }
        self.identities = {name: naming(name, event.identity) for name, event in definition.events.items()}
        self._ways: dict[tuple[str, Branch, str | None], BoundTarget] = {}
        self._decoder = msgspec.json.Decoder(Snapshot[definition.data])  # type: ignore[name-defined]
        self._is_read_back = read_back_check(definition.data)
        self.branches: Mapping[str, Mapping[str, tuple[BoundBranch, ...]]] = {
            phase: {event: self._bind_cell(phase, cell) for event, cell in row.items()}
            for phase, row in definition.table.items()
        }
        """The rows of each cell of the table; none where the cell is one word."""

    def _bind_cell(self, phase: str, cell: Cell) -> tuple[BoundBranch, ...]:
        if not isinstance(cell, tuple):
            return ()
        return tuple(self._bind_branch(phase, branch) for branch in cell)

    def _bind_branch(self, phase: str, branch: Branch) -> BoundBranch:
        guards = tuple((self._guards[name], wanted) for name, wanted in branch.guards)
        if branch.history or branch.ignored is not None:
            return BoundBranch(branch, guards, None, internal=False)
        return BoundBranch(branch, guards, self.way(phase, branch, branch.to), internal=branch.to is None)

    def way(self, source: str, branch: Branch, to: str | None) -> BoundTarget:
        """The joined steps of `branch` from `source` into `to`; None stays without exit and entry."""
        key = (source, branch, to)
        if found := self._ways.get(key):
            return found
        leaving, entering = PhaseDefinition(), PhaseDefinition()
        if to is not None:
            leaving, entering = self.definition.phases[source], self.definition.phases[to]
        names = (*leaving.exit_do, *branch.do, *entering.entry_do)
        made = self._ways[key] = BoundTarget(
            phase=to or source,
            do=tuple(self._actions[name] for name in names),
            names=names,
            request=(*branch.request, *entering.entry_request),
            raises=(*branch.raises, *entering.entry_raises),
            timeout=entering.timeout,
            lasts=self._lasts(entering.timeout),
            leaves=tuple(group for group in self._history[source] if group not in entering.groups),
        )
        return made

    def _lasts(self, timeout: Timeout | None) -> int | None:
        if timeout is None or timeout.since is not None:
            return None
        lasts: int = getattr(self.config, timeout.after)
        return lasts

    def history_target(self, source: str, branch: Branch, history: Mapping[str, str]) -> BoundTarget:
        """Where a row to a group's history leads.

        Raises:
            DispatchError: the group was never left, so there is nowhere to go back to.
        """
        assert branch.history is not None
        to = history.get(branch.history)
        if to is None:
            raise DispatchError(f"row {branch.id} goes back into group {branch.history}, which was never left")
        return self.way(source, branch, to)

    def new_snapshot(self, now: int) -> Snapshot[Any]:
        """A fresh instance in the initial phase, its timer running from `now` (milliseconds)."""
        phase = self.definition.initial
        snapshot: Snapshot[Any] = Snapshot(phase=phase, data=self.definition.data(), entered_at=now)
        snapshot.timer = self.timer_for(self.definition.phases[phase].timeout, snapshot, now)
        return snapshot

    def encode(self, snapshot: Snapshot[Any]) -> bytes:
        """The bytes that are stored.

        Raises:
            DispatchError: a restart would not read the same from them: an action has set a datum to something that is
                not of its type. Better now, with the instance unchanged, than when it must be restored.
        """
        raw = _encode(snapshot)
        if self._is_read_back(snapshot.data):
            return raw
        try:
            found = self.decode(raw)
        except ValueError as error:
            raise DispatchError(f"the instance could not be read back: {error}") from None
        if found != snapshot:
            raise DispatchError(f"the data would be read back differently: {snapshot.data} as {found.data}")
        return raw

    def decode(self, raw: bytes) -> Snapshot[Any]:
        """The snapshot in `raw`. Raises ValueError when there is none of this machine's."""
        return self._decoder.decode(raw)

    def timer_for(self, timeout: Timeout | None, snapshot: Snapshot[Any], now: int) -> Timer | None:
        """The timer of the phase that is being entered.

        Raises:
            DispatchError: it counts from a datum that is no instant.
        """
        if timeout is None:
            return None
        start = now
        if timeout.since is not None:
            since = getattr(snapshot.data, timeout.since)
            start = now if since is None else since
            if type(start) is not int:
                raise DispatchError(f"the timer of {snapshot.phase} counts from {timeout.since}, which is {start!r}")
        return Timer(timeout.raises, start + getattr(self.config, timeout.after), snapshot.generation)


def bind(definition: MachineDefinition, protocol: type, handlers: object, kind: str) -> dict[str, Handler]:
    """The methods that `protocol` asks for, from `handlers`.

    Raises:
        HandlerError: lists every one that is missing or takes other parameters.
    """
    found: dict[str, Handler] = {}
    faults: list[str] = []
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not callable(wanted):
            continue
        handler = getattr(handlers, name, None)
        if not callable(handler):
            faults.append(f"  {name}: missing")
            continue
        (_, *expected), awaited = _shape(wanted)
        given, awaitable = _shape(getattr(handler, "__func__", handler))
        if inspect.ismethod(handler):
            given = given[1:]
        if given != tuple(expected):
            faults.append(f"  {name}: takes ({', '.join(given)}), must take ({', '.join(expected)})")
            continue
        if awaitable is not awaited:
            faults.append(f"  {name}: must {'' if awaited else 'not '}be `async def`")
            continue
        found[name] = handler
    if faults:
        raise HandlerError(
            f"{type(handlers).__name__} cannot serve the machine '{definition.name}' ({definition.source}).\n"
            + "\n".join(faults)
            + f"\nEvery {kind} that the spec declares needs a method. Write it, or take the {kind} out of the spec."
        )
    return found


@lru_cache(maxsize=1024)
def _shape(function: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    """The names of a function's parameters, and whether it is `async def`."""
    return tuple(inspect.signature(function).parameters), inspect.iscoroutinefunction(function)
