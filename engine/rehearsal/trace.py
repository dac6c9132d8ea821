"""A path through the checker's world, as it stands in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from runtime.definition import MachineDefinition
from runtime.errors import PhasewrightError

FORMAT = 1

Kind = Literal[
    "outside",
    "timer",
    "stale",
    "request",
    "answer",
    "report",
    "unknown",
    "unsent",
    "expired",
    "venue",
    "crash",
    "failure",
]
Which = Literal["present", "previous", "finished", ""]
Fills = Literal["none", "some", "all", ""]


class TraceError(PhasewrightError):
    """A file is no trace, or one that cannot be played here. The message says where and why."""


class Answer(msgspec.Struct, frozen=True):
    """What an answer about all orders says of one side."""

    side: str
    order: Literal["present", "past", "none"]
    fills: Fills = ""
    live: bool = False


class Asked(msgspec.Struct, frozen=True):
    """The answers of the guards that were asked about one event. `cell` is PHASE/EVENT."""

    cell: str
    answers: dict[str, bool]

    @property
    def event(self) -> str:
        return self.cell.partition("/")[2]


class Take(msgspec.Struct, frozen=True):
    """One commit. `rows` holds those of raised events too, and `guards` the answers for each of them in turn.

    `fails`, of a commit that fails on purpose: `guard NAME` or `action NAME`; `fails_at`: PHASE/EVENT.
    """

    event: str
    outcome: Literal["handled", "ignored", "rejected", "deferred", "failed"]
    offered: bool = False
    source: str = msgspec.field(name="from", default="")
    to: str = ""
    rows: tuple[str, ...] = ()
    guards: tuple[Asked, ...] = ()
    raised: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    fails: str = ""
    fails_at: str = ""


class Order(msgspec.Struct, frozen=True):
    """An order as the checker follows it: its phase at the venue, its fills, and how much of them is in the books."""

    phase: str
    fills: Fills
    booked: Fills


class Pending(msgspec.Struct, frozen=True):
    """A request under way."""

    effect: str
    side: str = ""
    which: Which = ""
    stage: str = "asked"


class After(msgspec.Struct, frozen=True):
    """The checker's world after a step. `orders` holds the present and the previous order of each side."""

    phase: str
    facts: dict[str, str] = {}
    timer: bool = False
    deferred: tuple[str, ...] = ()
    orders: dict[str, dict[Literal["present", "previous"], Order | None]] = {}
    pending: tuple[Pending, ...] = ()

    def order(self, side: str, which: str) -> Order | None:
        return self.orders.get(side, {}).get(which)  # type: ignore[call-overload, no-any-return]


class Step(msgspec.Struct, frozen=True):
    """One thing that happens."""

    kind: Kind
    after: After
    actor: str = ""
    words: str = ""
    event: str = ""
    effect: str = ""
    side: str = ""
    which: Which = ""
    fills: Fills = ""
    told: str | None = None
    answer: tuple[Answer, ...] = ()
    venue_rows: tuple[str, ...] = ()
    takes: tuple[Take, ...] = ()


class Trace(msgspec.Struct, frozen=True):
    """A path; of a counterexample also the claim that it breaks, and the specs that it was found in."""

    trace: int
    machine: str
    steps: tuple[Step, ...]
    digest: str = ""
    claim: str | None = None
    loss: str = ""
    ending: str = ""
    covers: tuple[str, ...] = ()
    with_exchange: bool = True
    spec: dict[str, str] = {}


def read_trace(path: Path) -> Trace:
    """The trace in the file.

    Raises:
        TraceError: there is none, or not one of this version.
    """
    try:
        return decode_trace(path.read_bytes())
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}. Name a file with a trace.") from None
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from None


def decode_trace(raw: bytes) -> Trace:
    """The trace in these bytes. Raises TraceError."""
    wanted = "`phasewright verify` writes traces of what it finds."
    try:
        head = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TraceError(f"this is no trace: {error}. {wanted}") from None
    if head.get("trace") != FORMAT:
        found = f"format {head['trace']!r}" if "trace" in head else "no format"
        raise TraceError(f"$.trace: {found}, expected {FORMAT}; it would be misread. {wanted}")
    try:
        return msgspec.convert(head, type=Trace)
    except msgspec.ValidationError as error:
        raise TraceError(f"this is no whole trace: {error}. {wanted}") from None


def check_names(trace: Trace, definition: MachineDefinition) -> None:
    """Raise TraceError when the trace is of another version of the machine, or speaks of what it does not have."""
    anew = "make it anew with `phasewright verify`"
    if trace.digest and trace.digest != definition.digest:
        raise TraceError(
            f"$.digest: it was made for another version of {definition.source} (digest {trace.digest[:12]}, now "
            f"{definition.digest[:12]}), whose rows may differ; {anew}"
        )
    for number, step in enumerate(trace.steps):
        # The events of these are the venue's.
        event = "" if step.kind in ("venue", "request") else step.event
        effects = {step.effect, *(one.effect for one in step.after.pending)}
        unknown = [("event", event)] if event and event not in definition.events else []
        unknown += [("effect", name) for name in sorted(effects) if name and name not in definition.effects]
        unknown += [("after.phase", step.after.phase)] if step.after.phase not in definition.phases else []
        if unknown:
            what, name = unknown[0]
            raise TraceError(f"$.steps[{number}].{what}: {definition.source} has no {name!r}; {anew}")
