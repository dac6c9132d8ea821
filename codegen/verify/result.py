"""What a verification found, as data."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Literal

from codegen.verify.paths import Coverage
from codegen.verify.trace import Trace

Actor = Literal["bot", "venue", "process", "outside"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was taken: PHASE/EVENT/n, and the file and line in which it is written."""

    id: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.id} ({self.file}:{self.line})"


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step of a story: who does something, what, and where it leads."""

    actor: Actor
    kind: str
    words: str
    event: str
    effect: str
    order: str
    """Which order it is about, in words; empty for none."""
    told: str
    """What the venue or the answer says; empty for nothing."""
    phase_before: str
    phase_after: str
    rows: tuple[Row, ...]
    became: str
    """What became of an event that did nothing: "ignored: why", "rejected: why" or "deferred"."""
    orders: str
    """The orders after the step, in words; empty when they are as they were."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that the spec claims and that is not so, with a shortest way to see it."""

    name: str
    loss: str
    file: str
    line: int
    steps: tuple[TraceStep, ...]
    ending: str
    trace: Trace
    """The same as data that can be played again."""
    drawing: str = ""
    """The page that shows it; empty when none was written."""
    trace_file: str = ""

    @property
    def replay(self) -> str:
        """The command that plays it; empty when it was not written."""
        return f"phasewright simulate --trace {shlex.quote(self.trace_file)}" if self.trace_file else ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a script."""
        return {
            "name": self.name,
            "loss": self.loss,
            "file": self.file,
            "line": self.line,
            "steps": [
                {
                    "actor": step.actor,
                    "kind": step.kind,
                    "words": step.words,
                    "event": step.event,
                    "from": step.phase_before,
                    "to": step.phase_after,
                    "rows": [{"id": row.id, "file": row.file, "line": row.line} for row in step.rows],
                    "became": step.became,
                    "orders": step.orders,
                }
                for step in self.steps
            ],
            "ending": self.ending,
            "drawing": self.drawing or None,
            "trace": self.trace_file or None,
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one machine. `complete`: every state within `bound` was looked at; the search ends early when a
    claim is broken. `seconds` is processor time."""

    machine: str
    states: int
    seconds: float
    bound: str
    complete: bool
    claims: tuple[str, ...]
    broken: tuple[Broken, ...]
    coverage: Coverage | None = None
    """The paths, when they were asked for and everything holds."""
    not_written: str = ""
    """Why drawings are missing, and what to do."""

    @property
    def good(self) -> bool:
        """Whether it holds, and its paths show everything."""
        return self.holds and (self.coverage is None or self.coverage.complete)

    @property
    def holds(self) -> bool:
        return self.complete and not self.broken

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a script."""
        return {
            "machine": self.machine,
            "holds": self.holds,
            "states": self.states,
            "seconds": round(self.seconds, 1),
            "bound": self.bound,
            "complete": self.complete,
            "claims": list(self.claims),
            "broken": [one.to_dict() for one in self.broken],
            "coverage": self.coverage.to_dict() if self.coverage is not None else None,
        }
