"""What goes wrong between the bot and the paper exchange, and how long things take.

Nothing here keeps state: every draw is a pure function of the seed and of what it is about, so a message that is sent
again after a crash meets the same fate at the same instant. Rates are chances in 10,000; durations are milliseconds.
"""

from __future__ import annotations

import hashlib
import struct
from decimal import Decimal
from enum import IntEnum, StrEnum

import msgspec

Span = tuple[int, int]

_EIGHT_WORDS = struct.Struct(">8Q")


class FaultProfile(msgspec.Struct, frozen=True):
    """How often and how badly the line misbehaves. Rates in 10,000; spans are inclusive milliseconds."""

    name: str
    up_ms: Span
    """From the sender to the exchange."""
    down_ms: Span
    """From the exchange to the subscriber or the caller."""
    slow: int
    """Requests that take `slow_ms` longer on their way up."""
    slow_ms: Span
    unsent: int
    """Requests that provably never leave."""
    dropped: int
    """Requests lost on their way up, without proof."""
    reply_lost: int
    """Requests that the exchange carries out, and whose reply is lost."""
    read_lost: int
    """Look-ups without an answer."""
    report_delayed: int
    """Reports held back by `report_delay_ms`, and with them all later ones of the same order."""
    report_reordered: int
    """Reports held back by `report_delay_ms`, which later ones may overtake."""
    report_duplicated: int
    report_lost: int
    report_delay_ms: Span
    split: int
    """Orders that are filled in two or three parts, `split_gap_ms` apart."""
    split_gap_ms: Span

    def __post_init__(self) -> None:
        for span in (self.up_ms, self.down_ms, self.slow_ms, self.report_delay_ms, self.split_gap_ms):
            if not 1 <= span[0] <= span[1]:
                raise ValueError(f"fault profile {self.name!r}: {span} is no span of at least 1 ms")


CALM = FaultProfile(
    name="calm",
    up_ms=(20, 120),
    down_ms=(20, 120),
    slow=0,
    slow_ms=(500, 3_000),
    unsent=0,
    dropped=0,
    reply_lost=0,
    read_lost=0,
    report_delayed=0,
    report_reordered=0,
    report_duplicated=0,
    report_lost=0,
    report_delay_ms=(200, 4_000),
    split=2_000,
    split_gap_ms=(1_000, 10_000),
)
REALISTIC = msgspec.structs.replace(
    CALM,
    name="realistic",
    slow=100,
    unsent=100,
    dropped=50,
    reply_lost=150,
    report_delayed=200,
    report_reordered=200,
    report_duplicated=200,
)
HOSTILE = msgspec.structs.replace(
    CALM,
    name="hostile",
    slow=1_000,
    slow_ms=(500, 20_000),
    unsent=1_000,
    dropped=500,
    reply_lost=1_500,
    read_lost=1_000,
    report_delayed=2_000,
    report_reordered=2_000,
    report_duplicated=2_000,
    report_lost=500,
    report_delay_ms=(200, 20_000),
    split=6_000,
)
PROFILES = {profile.name: profile for profile in (CALM, REALISTIC, HOSTILE)}


class RequestKind(IntEnum):
    SUBMIT = 0
    CANCEL = 1


class Fate(StrEnum):
    """What becomes of a request: answered, carried out without an answer, lost without proof, proven unsent."""

    ANSWERED = "answered"
    REPLY_LOST = "reply_lost"
    DROPPED = "dropped"
    UNSENT = "unsent"


class Passage(msgspec.Struct, frozen=True):
    """The fate of one request, and its two latencies."""

    fate: Fate
    up_ms: int
    down_ms: int


class ReportPassage(msgspec.Struct, frozen=True):
    """How one report travels: the latencies of its copies (none when it is lost), and whether it keeps its place."""

    copies_ms: tuple[int, ...]
    in_order: bool


class Part(msgspec.Struct, frozen=True):
    """An order fills up to `upto` (base currency, cumulative), then waits `then_ms`."""

    upto: Decimal
    then_ms: int


def passage(profile: FaultProfile, seed: int, client_order_id: str, kind: RequestKind, claimed_at: int) -> Passage:
    """How the request stamped `claimed_at` travels."""
    draw = _words(seed, "request", client_order_id, int(kind), claimed_at)
    up_ms = _between(draw[0], profile.up_ms)
    if _chance(draw[1], profile.slow):
        up_ms += _between(draw[2], profile.slow_ms)
    point = draw[3] % 10_000
    fate = Fate.ANSWERED
    if point < profile.unsent:
        fate = Fate.UNSENT
    elif point < profile.unsent + profile.dropped:
        fate = Fate.DROPPED
    elif point < profile.unsent + profile.dropped + profile.reply_lost:
        fate = Fate.REPLY_LOST
    return Passage(fate, up_ms, _between(draw[4], profile.down_ms))


def report_passage(
    profile: FaultProfile, seed: int, client_order_id: str, claimed_at: int, number: int
) -> ReportPassage:
    """How report `number` (from 0) of the order placed by the claim stamped `claimed_at` travels."""
    draw = _words(seed, "report", client_order_id, claimed_at, number)
    if _chance(draw[0], profile.report_lost):
        return ReportPassage((), True)
    latency = _between(draw[1], profile.down_ms)
    in_order = not _chance(draw[2], profile.report_reordered)
    if not in_order or _chance(draw[3], profile.report_delayed):
        latency += _between(draw[4], profile.report_delay_ms)
    if not _chance(draw[5], profile.report_duplicated):
        return ReportPassage((latency,), in_order)
    return ReportPassage((latency, latency + _between(draw[6], profile.report_delay_ms)), in_order)


def read_is_lost(profile: FaultProfile, seed: int, client_order_id: str, asked_at: int) -> bool:
    """Whether a look-up at this instant stays without an answer."""
    return _chance(_words(seed, "read", client_order_id, asked_at)[0], profile.read_lost)


def parts(
    profile: FaultProfile, seed: int, client_order_id: str, claimed_at: int, amount: Decimal, step: Decimal
) -> tuple[Part, ...]:
    """How an order is split: one part for most, two or three for the others, each a multiple of `step`."""
    draw = _words(seed, "split", client_order_id, claimed_at)
    steps = int(amount // step)
    if not _chance(draw[0], profile.split) or steps < 3:
        return (Part(amount, 0),)
    percents: tuple[int, ...] = (_between(draw[1], (20, 80)),)
    if draw[2] % 2:
        percents = (_between(draw[1], (15, 45)), _between(draw[3], (50, 85)))
    cuts = sorted({steps * percent // 100 for percent in percents} - {0})
    gaps = (_between(draw[4], profile.split_gap_ms), _between(draw[5], profile.split_gap_ms))
    return (*(Part(cut * step, gap) for cut, gap in zip(cuts, gaps, strict=False)), Part(amount, 0))


def order_number(seed: int, client_order_id: str, claimed_at: int) -> str:
    """The id that the exchange gives to the order."""
    return f"{_words(seed, 'order', client_order_id, claimed_at)[0]:016x}"


def _words(*key: int | str) -> tuple[int, ...]:
    return _EIGHT_WORDS.unpack(hashlib.blake2b(repr(key).encode()).digest())


def _chance(word: int, in_10_000: int) -> bool:
    return word % 10_000 < in_10_000


def _between(word: int, span: Span) -> int:
    return span[0] + word % (span[1] - span[0] + 1)
