"""What can go wrong in one run, and how often. Each run has some of the hazards and not others, as its seed says: where
everything goes wrong at once, nothing ever gets far enough to go wrong in an interesting way."""

from __future__ import annotations

import random

import msgspec

SECOND = 1_000


class Hazards(msgspec.Struct, kw_only=True):
    """Chances of one request, report, step or moment; durations in milliseconds, as upper bounds."""

    # the exchange and the way to it
    server_ahead: int = 0
    """The exchange's clock less the true time."""
    refused: float = 0.0
    request_lost: float = 0.0
    request_late: float = 0.0
    limited: float = 0.0
    broken_before: float = 0.0
    """A 5xx, or a cut connection, of which nothing arrived."""
    reply_lost: float = 0.0
    reply_late: float = 0.0
    reply_broken: float = 0.0
    """The request was carried out, and the reply is a 5xx, cut, or without an id."""
    queue: int = 0
    """From arrival to the check of the timestamp."""
    booking: int = 0
    """From the check of the timestamp to the order being in the book."""
    lag: int = 0
    """How old what a read shows may be."""
    report_lost: float = 0.0
    report_twice: float = 0.0
    report_late: float = 0.0
    canceled_by_exchange: float = 0.0
    rejected_later: float = 0.0
    """An order that was accepted turns out to be rejected, as an asynchronous engine does it."""
    outage: float = 0.0
    """Per minute: for a while nobody can connect, and no report comes."""
    # the process
    crash: dict[str, float] = {}
    """By the kind of moment."""
    pause: dict[str, float] = {}
    disk_full: float = 0.0
    """Of a commit: it fails, and the bot must be started again."""
    clock_set: float = 0.0
    """Per minute."""
    clock_off: int = 0
    """How far our clock may be set off the true time."""
    trouble: float = 0.0
    """Per bar: a symbol is stopped in ERROR, whatever it is doing."""
    recover_early: float = 0.0
    """Per bar: a person asks for a symbol in ERROR to be recovered while everything else still goes wrong."""


MOMENTS = ("before commit", "after commit", "before claim", "after claim", "sending", "sent", "answered")
FAULTS = (
    "not connected",
    "request lost",
    "request late",
    "limited",
    "broken before",
    "came too late",
    "rejected later",
    "canceled by the exchange",
    "reply lost",
    "reply late",
    "reply broken",
    "report lost",
    "report twice",
    "report late",
    "outage",
    "clock set",
    "disk full",
    "trouble",
    *(f"killed: {moment}" for moment in (*MOMENTS, "step", "disk full")),
    *(f"stopped: {moment}" for moment in (*MOMENTS, "step")),
)
"""Whatever can go wrong, by the names under which a run counts it."""
LATE = (15 * SECOND, 120 * SECOND)
"""How long what is late may be on its way: about as long as an order is valid, or much longer."""
BOOKING = 1_500
LAG = 13 * SECOND
"""With BOOKING, a little less than the grace: what the protocol promises to stand."""
REPORT_LATE = (*LATE, 15 * 60 * SECOND)


def draw(chance: random.Random) -> Hazards:
    """The hazards of one run."""

    def some(most: float) -> float:
        return most * chance.random() if chance.random() < 0.4 else 0.0

    def often(step: float) -> dict[str, float]:
        found = {moment: 0.3 * chance.random() for moment in chance.sample(MOMENTS, chance.randint(1, 3))}
        return found if chance.random() < 0.5 else {**found, "step": step * chance.random()}

    return Hazards(
        server_ahead=chance.randint(-1_500, 1_500),
        refused=some(0.2),
        request_lost=some(0.2),
        request_late=some(0.5),
        limited=some(0.1),
        broken_before=some(0.1),
        reply_lost=some(0.3),
        reply_late=some(0.3),
        reply_broken=some(0.3),
        queue=chance.choice((20, 6 * SECOND)),
        booking=chance.choice((5, BOOKING)),
        lag=chance.choice((0, 500, LAG)),
        report_lost=some(0.8),
        report_twice=some(0.3),
        report_late=some(0.4),
        canceled_by_exchange=some(0.2),
        rejected_later=some(0.2),
        outage=some(0.3),
        disk_full=some(0.05),
        crash=often(0.004) if chance.random() < 0.7 else {},
        pause=often(0.004) if chance.random() < 0.5 else {},
        clock_set=some(0.5),
        clock_off=chance.choice((500, 3 * SECOND, 60 * SECOND)),
        trouble=some(0.3),
        recover_early=chance.random(),
    )


def calm(hazards: Hazards) -> Hazards:
    """The same exchange on a good day: slow and lagging as it is, but it answers."""
    return Hazards(
        server_ahead=hazards.server_ahead,
        queue=min(hazards.queue, 500),
        booking=hazards.booking,
        lag=hazards.lag,
    )
