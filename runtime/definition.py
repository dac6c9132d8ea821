"""What a generated package says of its machine: plain, frozen data that the runtime executes.

The generator writes these as literals; the runtime binds their names to handlers once, at start-up.
Durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class EffectClass(StrEnum):
    """What may be done with an effect whose outcome is not known."""

    PURE = "pure"
    IDEMPOTENT = "idempotent"
    AT_MOST_ONCE = "at_most_once"


class OnRestore(StrEnum):
    """What a restart does with a timer that was running."""

    KEEP_DEADLINE = "keep_deadline"
    RESTART = "restart"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Knob:
    """One value of the configuration. `kind` is duration, int, decimal, bool or str; a duration is milliseconds here,
    and in the environment seconds (`30`) or a number with a unit (`500ms`, `30s`, `5m`, `2h`, `14d`)."""

    name: str
    kind: str
    default: Any
    summary: str
    env: str | None = None
    minimum: Any = None
    maximum: Any = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One way out of a cell. `id` names the row everywhere: audit, diagrams, reports.

    `guards` must all hold: pairs of a guard's name and the answer it must give. `to` is None for an internal row,
    which runs neither exit nor entry. `history` names the group that is re-entered where it was left.
    `ignored` is the reason why the event changes nothing.
    """

    id: str
    guards: tuple[tuple[str, bool], ...] = ()
    to: str | None = None
    history: str | None = None
    do: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class Defer:
    """The event waits in the instance's inbox for the next change of phase."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """The event changes nothing, and `reason` says why that is right."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The event must not arrive in this phase; `reason` says why."""

    reason: str


Cell = tuple[Branch, ...] | Defer | Ignore | Reject
Table = Mapping[str, Mapping[str, Cell]]


@dataclass(frozen=True, slots=True)
class Timeout:
    """A phase's timer. `after` names a duration of the configuration; `since` names the datum that holds the instant
    from which it is counted (None: from the entry into the phase)."""

    after: str
    raises: str
    on_restore: OnRestore
    since: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseDefinition:
    """What belongs to a phase. `groups` lists the groups that hold it, innermost first."""

    entry_do: tuple[str, ...] = ()
    entry_request: tuple[str, ...] = ()
    entry_raises: tuple[str, ...] = ()
    exit_do: tuple[str, ...] = ()
    timeout: Timeout | None = None
    final: bool = False
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """`identity` names the payload fields that make two deliveries the same event; None: only an explicit id does."""

    payload: type[msgspec.Struct]
    identity: tuple[str, ...] | None = None
    internal: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a request that provably did not leave is tried again. The names refer to the configuration."""

    max_attempts: str | int
    base_delay: str | int
    factor: int
    max_delay: str | int


@dataclass(frozen=True, slots=True)
class EffectDefinition:
    """What is asked of the world. `request` is the typed argument; its fields are data of the same names.

    `window` names the duration (or None) for which an attempt, once claimed, may be carried out.
    `outcomes` maps each outcome to the event that reports it.
    """

    effect_class: EffectClass
    request: type[msgspec.Struct]
    outcomes: Mapping[str, str]
    window: str | None = None
    retry: str | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    """How snapshots of an older definition are carried over. `from_digest` may be a prefix of at least 8 characters."""

    from_digest: str
    phases: Mapping[str, str] = field(default_factory=dict)
    rename_data: Mapping[str, str] = field(default_factory=dict)
    drop_data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineDefinition:
    """One machine, whole. `digest` covers its meaning, `presentation_digest` its texts and looks."""

    name: str
    version: int
    source: str
    digest: str
    presentation_digest: str
    initial: str
    error_event: str
    phases: Mapping[str, PhaseDefinition]
    events: Mapping[str, EventDefinition]
    effects: Mapping[str, EffectDefinition]
    policies: Mapping[str, RetryPolicy]
    table: Table
    data: type[Any]
    config: type[Any]
    knobs: tuple[Knob, ...]
    guards: type[Any]
    """The Protocol with one method per guard: (data, payload, context) -> bool."""
    actions: type[Any]
    """The Protocol with one method per action: (data, payload, context) -> None."""
    effect_handlers: type[Any]
    """The Protocol with one coroutine per effect, and `recover_<effect>` for each at_most_once effect."""
    make_error: Callable[[str, str], msgspec.Struct]
    """(error, failed event) -> payload of the error event."""
    history_groups: tuple[str, ...] = ()
    migrations: tuple[Migration, ...] = ()
