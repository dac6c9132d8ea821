"""The spec as typed data, and the machine that follows from it once groups and defaults are flattened.

`Spec` says what the YAML says, with the position of every key and value. `Machine` says what each event does in each
phase. Durations are integer milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

Path = tuple[str | int, ...]
Scalar = bool | int | Decimal | str


class Position(NamedTuple):
    """Where something is written: line and column, both from 1."""

    line: int
    column: int


class Source(Protocol):
    """The text a spec was read from."""

    name: str
    """The path as it is shown to a reader and named in generated files."""
    text: str
    """All of it."""

    def key(self, path: Path) -> Position:
        """Where the key at the end of `path` stands (for an item of a list, the item)."""
        ...

    def value(self, path: Path) -> Position:
        """Where the value at `path` begins."""
        ...


class SpecModel(BaseModel):
    """What all parts of a spec share: they never change, and hold nothing that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class TypeRef(SpecModel):
    """A type as the spec writes it: `decimal`, `optional instant`, `[Fill]`."""

    name: str
    optional: bool = False
    is_list: bool = False
    problem: str | None = None
    """Why the text is not a type; lint reports it."""

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if isinstance(raw, list):
            if len(raw) != 1 or not isinstance(raw[0], str):
                return {"name": str(raw), "problem": "a list type has exactly one element type, such as [Fill]"}
            if raw[0].startswith("optional "):
                return {"name": raw[0], "problem": "the items of a list cannot be optional"}
            return {"name": raw[0].strip(), "is_list": True}
        if isinstance(raw, str):
            words = raw.split()
            if len(words) == 1:
                return {"name": words[0]}
            if len(words) == 2 and words[0] == "optional":
                return {"name": words[1], "optional": True}
            return {"name": raw, "problem": "a type is one word, after `optional` when it may be missing"}
        return raw

    def __str__(self) -> str:
        if self.is_list:
            return f"[{self.name}]"
        return f"optional {self.name}" if self.optional else self.name


class Knob(SpecModel):
    """One value of the configuration. `default`, `min` and `max` are as written: a duration is still `30s` here."""

    type: str
    default: Scalar
    env: str | None = None
    min: Scalar | None = None
    max: Scalar | None = None
    summary: str


class StructType(SpecModel):
    """A structure that data and payloads may use."""

    summary: str
    fields: dict[str, TypeRef]


class Datum(SpecModel):
    """One value that an instance carries from event to event."""

    type: TypeRef
    summary: str


class Guard(SpecModel):
    """A question. What it depends on, for the checker: `when` is exact; it may hold only where `only_if` does, and must
    hold wherever `whenever` does. Without them it can be answered both ways at any time."""

    summary: str
    when: str | None = Field(default=None, exclude=True)
    only_if: str | None = Field(default=None, exclude=True)
    whenever: str | None = Field(default=None, exclude=True)


class Action(SpecModel):
    """A change. What it means to the checker: `sets` gives facts a value, the word `any`, or the first value whose
    condition holds; `books` takes the event's fills into the books; `plans` and `forgets` name the sides whose order is
    drawn up anew, or no longer looked after."""

    summary: str
    sets: dict[str, str | dict[str, str]] = Field(default_factory=dict, alias="set", exclude=True)
    books: bool = Field(default=False, exclude=True)
    plans: tuple[str, ...] = Field(default=(), exclude=True)
    forgets: tuple[str, ...] = Field(default=(), exclude=True)


class Branch(SpecModel):
    """One way out of a cell, as written or flattened. In a flattened machine `id` is "PHASE/EVENT/n" with n from 1.

    `report` and `reply` are what a venue tells: everybody of an order's progress, and whoever asked.
    """

    id: str = ""
    guards: tuple[tuple[str, bool], ...] = ()
    to: str | None = None
    history: str | None = None
    do: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    ignored: str | None = None
    report: str | None = Field(default=None, exclude=True)
    reply: str | None = Field(default=None, exclude=True)

    @property
    def leaves(self) -> bool:
        """Whether the row runs exit and entry (a row to its own phase does, an internal one does not)."""
        return self.to is not None or self.history is not None

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "guards" in raw or "raises" in raw or "ignored" in raw or "id" in raw:
            return raw
        guards = raw.get("if", [])
        parsed: dict[str, Any] = {
            "guards": tuple(split_guard(text) for text in ([guards] if isinstance(guards, str) else guards)),
            "do": raw.get("do", ()),
            "request": raw.get("request", ()),
            "raises": raw.get("raise", ()),
            "ignored": raw.get("ignore"),
            "report": raw.get("report"),
            "reply": raw.get("reply"),
        }
        target = raw.get("to")
        if isinstance(target, dict):
            parsed["history"] = target.get("history")
        else:
            parsed["to"] = target
        return parsed


def split_guard(text: str) -> tuple[str, bool]:
    """`not ready` -> (`ready`, False)."""
    words = text.split()
    return (" ".join(words[1:]), False) if len(words) > 1 and words[0] == "not" else (text.strip(), True)


CellKind = Literal["branches", "defer", "ignore", "reject"]
CellForm = Literal["single", "list", "first_of", "word"]


class CellSpec(SpecModel):
    """What one `on` entry says, before inheritance."""

    kind: CellKind
    branches: tuple[Branch, ...] = ()
    reason: str = ""
    form: CellForm = "word"
    falls_back: bool = False
    """The list ends with the word `otherwise`: else as the event's own `otherwise` says."""

    def branch_path(self, index: int) -> Path:
        """The path of a branch below the cell's own path."""
        if self.form == "list":
            return (index,)
        return ("first_of", index) if self.form == "first_of" else ()

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if raw == "defer":
            return {"kind": "defer"}
        if isinstance(raw, list):
            return _branch_list(raw, "list")
        if not isinstance(raw, dict) or "kind" in raw:
            return raw
        if "first_of" in raw:
            return _branch_list(raw["first_of"], "first_of")
        if set(raw) == {"ignore"}:
            return {"kind": "ignore", "reason": raw["ignore"]}
        if set(raw) == {"reject"}:
            return {"kind": "reject", "reason": raw["reject"]}
        return {"kind": "branches", "branches": [raw], "form": "single"}


def _branch_list(items: list[Any], form: CellForm) -> dict[str, Any]:
    falls_back = bool(items) and items[-1] == "otherwise"
    return {
        "kind": "branches",
        "branches": items[:-1] if falls_back else items,
        "form": form,
        "falls_back": falls_back,
    }


class Event(SpecModel):
    """Something that can happen to an instance."""

    summary: str
    payload: dict[str, TypeRef] = Field(default_factory=dict)
    identity: tuple[str, ...] | None = None
    source: Literal["internal", "outside"] = "outside"
    otherwise: CellSpec | None = None

    @property
    def internal(self) -> bool:
        return self.source == "internal"


class Policy(SpecModel):
    """When a request is tried again. Each value is a literal or the name of a knob."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    max_attempts: int | str
    base_delay: str
    factor: int
    max_delay: str


class Effect(SpecModel):
    """Something that is asked of the world, and the events that report its outcomes."""

    summary: str
    effect_class: Literal["pure", "idempotent", "at_most_once"] = Field(alias="class")
    args: tuple[str, ...] = ()
    outcomes: dict[str, str]
    window: str | None = None
    retry: str | None = None
    after: tuple[str, ...] = Field(default=(), exclude=True)
    """The requests that can no longer arrive nor be hidden when this one is carried out."""

    @property
    def arguments(self) -> tuple[tuple[str, bool], ...]:
        """Each datum that is sent along, and whether it may be missing."""
        return tuple(split_argument(text) for text in self.args)


def split_argument(text: str) -> tuple[str, bool]:
    """`optional exit_order` -> (`exit_order`, True)."""
    words = text.split()
    return (" ".join(words[1:]), True) if len(words) > 1 and words[0] == "optional" else (text.strip(), False)


class Entry(SpecModel):
    """What happens whenever a phase is entered."""

    do: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    raises: tuple[str, ...] = Field(default=(), alias="raise")


class Exit(SpecModel):
    """What happens whenever a phase is left."""

    do: tuple[str, ...] = ()


class Timeout(SpecModel):
    """`after` names a duration of the configuration; `since` a datum that holds an instant."""

    after: str
    raises: str
    on_restore: Literal["keep_deadline", "restart", "drop"]
    since: str | None = None


class Phase(SpecModel):
    """A state an instance can be in. `waits_for` says why it may last for ever."""

    summary: str
    entry: Entry = Entry()
    exit: Exit = Exit()
    timeout: Timeout | None = None
    waits_for: str | None = None
    final: bool = False
    on: dict[str, CellSpec] = Field(default_factory=dict)


class Group(SpecModel):
    """Phases that share rows; with `history` it is remembered where the group was left."""

    summary: str
    phases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    history: bool = False
    on: dict[str, CellSpec] = Field(default_factory=dict)


class Migration(SpecModel):
    """How snapshots of an older definition are carried over."""

    from_digest: str = Field(alias="from")
    phases: dict[str, str] = Field(default_factory=dict)
    rename_data: dict[str, str] = Field(default_factory=dict)
    drop_data: tuple[str, ...] = ()


class VenueSide(SpecModel):
    """One side on which the machine has orders. `requests` maps the venue's events to effects, `reports` what it tells
    to events; `unsent` is the outcome of a request that provably never left."""

    requests: dict[str, str]
    reports: dict[str, str] = Field(default_factory=dict)
    unsent: str | None = None


class Venue(SpecModel):
    """What stands at the other end. `fills` is the fact that counts an order's fills, and the payload field that
    carries them; `live` the group of phases in which an order can still be filled; `look_up` the request by which an
    order is looked up; `look_up_all` maps the effects that ask for every order to the outcome that brings the
    answer."""

    machine: str
    fills: str
    live: str
    look_up: str
    look_up_all: dict[str, str] = Field(default_factory=dict)
    orders: dict[str, VenueSide]


class Invariant(SpecModel):
    """A condition that holds in every state. `loss` says what it costs when it does not."""

    that: str
    loss: str


class LeadsTo(SpecModel):
    source: str = Field(alias="from")
    to: str
    assuming: tuple[str, ...] = ()


class Property(SpecModel):
    """Exactly one of the four, and what it costs when it does not hold."""

    never: str | None = None
    reachable: str | None = None
    recoverable: str | None = None
    leads_to: LeadsTo | None = None
    loss: str


class Spec(SpecModel):
    """One YAML file. Every dictionary keeps the order of the file."""

    source: SkipValidation[Source] = Field(exclude=True, repr=False)
    machine: str
    version: int
    summary: str
    initial: str
    error_event: str
    happy_path: tuple[str, ...] = ()
    config: dict[str, Knob] = Field(default_factory=dict)
    types: dict[str, StructType] = Field(default_factory=dict)
    data: dict[str, Datum] = Field(default_factory=dict)
    events: dict[str, Event]
    guards: dict[str, Guard] = Field(default_factory=dict)
    actions: dict[str, Action] = Field(default_factory=dict)
    policies: dict[str, Policy] = Field(default_factory=dict)
    effects: dict[str, Effect] = Field(default_factory=dict)
    phases: dict[str, Phase]
    groups: dict[str, Group] = Field(default_factory=dict)
    migrations: tuple[Migration, ...] = ()
    facts: dict[str, tuple[str, ...]] = Field(default_factory=dict, exclude=True)
    venue: Venue | None = Field(default=None, exclude=True)
    invariants: dict[str, Invariant] = Field(default_factory=dict, exclude=True)
    properties: tuple[Property, ...] = Field(default=(), exclude=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who decided a cell: the phase's own row, a group's shared row, or the event's `otherwise`."""

    kind: Literal["phase", "group", "event"]
    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What an event does in a phase. `branches` is empty unless `kind` is that; `reason` is for ignore and reject."""

    kind: CellKind
    origin: Origin
    branches: tuple[Branch, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Machine:
    """A spec without findings, flattened: `cells[phase][event]` is there for every pair."""

    spec: Spec
    cells: dict[str, dict[str, Cell]]
    phase_groups: dict[str, tuple[str, ...]]
    """The groups around each phase, innermost first."""

    def rows(self) -> Iterator[tuple[str, str, Cell, Branch]]:
        """Every branch of every cell: (phase, event, cell, branch), in the order of the file."""
        for phase, cells in self.cells.items():
            for event, cell in cells.items():
                for branch in cell.branches:
                    yield phase, event, cell, branch

    def targets(self, branch: Branch) -> tuple[str, ...]:
        """The phases a branch can lead to: one, none (an internal row), or each phase of a re-entered group."""
        if branch.to is not None:
            return (branch.to,)
        return self.group_phases[branch.history] if branch.history is not None else ()

    @cached_property
    def group_phases(self) -> dict[str, tuple[str, ...]]:
        """Every phase within each group, nested groups included, in the order of the file."""
        members: dict[str, list[str]] = {name: [] for name in self.spec.groups}
        for phase, groups in self.phase_groups.items():
            for group in groups:
                members[group].append(phase)
        return {name: tuple(phases) for name, phases in members.items()}

    @cached_property
    def timer_events(self) -> frozenset[str]:
        """The events that a phase's timer raises."""
        return frozenset(phase.timeout.raises for phase in self.spec.phases.values() if phase.timeout)
