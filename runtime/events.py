"""One delivery of an event, and the receipt that answers it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventContext(msgspec.Struct):
    """An event on its way to an instance.

    `at` is when it happened, in milliseconds since the epoch (UTC). `id` names this delivery where the event declares
    no identity, or where its producer knows better. `intent` and `attempt` name the effect that the event answers,
    `generation` the visit of the phase whose timer raised it, `message` the row of a shared store's inbox that brought
    it.
    """

    event: str
    instance: str
    at: int
    payload: msgspec.Struct
    id: str | None = None
    intent: str | None = None
    attempt: int = 0
    generation: int | None = None
    message: int | None = None


class Outcome(StrEnum):
    """What became of an event."""

    HANDLED = "handled"
    DEFERRED = "deferred"
    IGNORED = "ignored"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    FAILED = "failed"


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The answer to one delivery.

    `version` counts the changes of the instance. `reason` says why an event was ignored, rejected or failed; `first`
    is the outcome of the first delivery when this one is a duplicate.
    """

    outcome: Outcome
    event: str
    instance: str
    phase_from: str
    phase_to: str
    version: int
    reason: str = ""
    first: Outcome | None = None

    @property
    def handled(self) -> bool:
        """True when the event did what it was sent for, now or at its first delivery."""
        return self.outcome is Outcome.HANDLED or self.first is Outcome.HANDLED
