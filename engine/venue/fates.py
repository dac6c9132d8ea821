"""What is done to a request: drawn from a profile by seed, or told by a script.

A draw is a pure function of the seed, the kind of the request, its client order id and how often that id was seen, so
that the same requests meet the same fates, whatever comes between them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from engine.venue.settings import Lags

Span = tuple[int, int]


class Do(StrEnum):
    """The ways in which a request can end."""

    ANSWER = "answer"
    DROP = "drop"
    """Close the connection before anything is done."""
    MUTE = "mute"
    """Do it, and never answer; the connection stays open until the client gives up."""
    HANG_UP = "hang_up"
    """Do it, and close the connection without an answer."""
    CUT = "cut"
    """Do it, and stop in the middle of the body, short of the Content-Length."""
    CUT_CHUNKED = "cut_chunked"
    """The same with a chunked body."""
    ERROR_BEFORE = "error_before"
    """Do nothing, and answer `status` with `code` or `body`."""
    ERROR_AFTER = "error_after"
    """Do it, and answer `status` with `code` or `body` all the same."""
    GARBAGE = "garbage"
    """Do it, and answer 200 with `body`."""


class Content(StrEnum):
    """What stands in a body instead of the answer."""

    JSON = "json"
    HTML = "html"
    EMPTY = "empty"
    OBJECT = "object"
    """An empty JSON object."""
    TEXT = "text"
    HALF = "half"
    """The first half of the answer, with a Content-Length that fits it."""


class Fate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What becomes of one request. Durations in milliseconds.

    `delay_ms` is spent before the request is done (it waits in the exchange's queue: its window is checked again when
    its turn comes); `late_ms` between that and the answer.
    """

    do: Do = Do.ANSWER
    delay_ms: int = 0
    late_ms: int = 0
    code: int | None = None
    status: int | None = None
    body: Content = Content.JSON

    def __post_init__(self) -> None:
        if self.delay_ms < 0 or self.late_ms < 0:
            raise ValueError("a delay is at least 0 ms")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"{self.status} is no HTTP status of an answer")

    @property
    def is_ordinary(self) -> bool:
        return self == ORDINARY


ORDINARY = Fate()


class Rule(Fate, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line of a script: which requests, and what is done to them.

    `request` is a method and the end of the path ("POST order"), or "*"; `nth` counts the requests of that name from
    1, since the script was loaded; `every` takes each so many of them. With `client_order_id` both count only the
    requests about that order.
    """

    request: str = "*"
    nth: int | None = None
    every: int | None = None
    client_order_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(count is not None and count < 1 for count in (self.nth, self.every)):
            raise ValueError("nth and every count from 1")

    def meets(self, kind: str, client_order_id: str) -> bool:
        """Whether the rule is about such requests."""
        return self.request in ("*", kind) and self.client_order_id in (None, client_order_id)


class Chances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In 10,000 requests. At most one of the ends from `drop` to `garbage`; the delays come on top."""

    drop: int = 0
    mute: int = 0
    hang_up: int = 0
    cut: int = 0
    cut_chunked: int = 0
    error_before: int = 0
    error_after: int = 0
    garbage: int = 0
    delayed: int = 0
    delay_ms: Span = (100, 3_000)
    late: int = 0
    late_ms: Span = (100, 3_000)


class StreamChances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In 10,000 reports of a stream."""

    lost: int = 0
    duplicated: int = 0
    held_back: int = 0
    hold_ms: Span = (50, 2_000)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the venue treats new orders and cancels (`writes`), the other signed requests (`reads`), and streams."""

    name: str = "own"
    writes: Chances = Chances()
    reads: Chances = Chances()
    stream: StreamChances = StreamChances()
    lags: Lags = Lags()


CALM = Profile(name="calm")
REALISTIC = Profile(
    name="realistic",
    writes=Chances(
        drop=50,
        mute=30,
        hang_up=50,
        cut=20,
        cut_chunked=10,
        error_before=50,
        error_after=50,
        garbage=20,
        delayed=200,
        late=200,
    ),
    reads=Chances(drop=50, hang_up=20, error_before=50, late=200),
    stream=StreamChances(lost=10, duplicated=50, held_back=200),
    lags=Lags(order=50, trades=200, account=200, open_orders=100),
)
HOSTILE = Profile(
    name="hostile",
    writes=Chances(
        drop=500,
        mute=500,
        hang_up=700,
        cut=300,
        cut_chunked=200,
        error_before=500,
        error_after=700,
        garbage=400,
        delayed=1_500,
        delay_ms=(100, 8_000),
        late=1_500,
        late_ms=(100, 8_000),
    ),
    reads=Chances(drop=500, mute=100, hang_up=300, cut=200, cut_chunked=100, error_before=500, garbage=200, late=500),
    stream=StreamChances(lost=500, duplicated=1_000, held_back=2_000, hold_ms=(50, 5_000)),
    lags=Lags(order=500, trades=1_500, account=1_500, open_orders=1_000),
)
PROFILES = {profile.name: profile for profile in (CALM, REALISTIC, HOSTILE)}

_ENDS = (
    Do.DROP,
    Do.MUTE,
    Do.HANG_UP,
    Do.CUT,
    Do.CUT_CHUNKED,
    Do.ERROR_BEFORE,
    Do.ERROR_AFTER,
    Do.GARBAGE,
)
_BEFORE = ((-1008, 503, Content.JSON), (-1003, 429, Content.JSON), (None, 502, Content.HTML))
_AFTER = (
    (-1006, 500, Content.JSON),
    (-1007, 504, Content.JSON),
    (-1000, 503, Content.JSON),
    (None, 500, Content.HTML),
    (None, 502, Content.HTML),
    (None, 504, Content.HTML),
)
_GARBAGE = (Content.HTML, Content.EMPTY, Content.OBJECT, Content.TEXT, Content.HALF)


class Fates:
    """Decides the fate of each request: by the script's first rule that meets it, else by the profile."""

    def __init__(self, seed: int, profile: Profile, rules: Sequence[Rule] = ()) -> None:
        self.profile = profile
        self._seed = seed
        self._drawn: Counter[tuple[str, str]] = Counter()
        self.follow(rules)

    @property
    def rules(self) -> Sequence[Rule]:
        return self._rules

    def follow(self, rules: Sequence[Rule]) -> None:
        """Go by these rules from now on, counting anew."""
        self._rules = tuple(rules)
        self._met = [0] * len(self._rules)

    def decide(self, kind: str, client_order_id: str, is_write: bool, is_signed: bool) -> Fate:
        """What becomes of the next request of this kind."""
        chosen: Fate | None = None
        for place, rule in enumerate(self._rules):
            if not rule.meets(kind, client_order_id):
                continue
            self._met[place] += 1
            count = self._met[place]
            if chosen is None and rule.nth in (None, count) and (rule.every is None or count % rule.every == 0):
                chosen = Fate(**{name: getattr(rule, name) for name in Fate.__struct_fields__})
        if chosen is not None:
            return chosen
        if not is_signed:
            return ORDINARY
        self._drawn[kind, client_order_id] += 1
        words = _words(self._seed, kind, client_order_id, self._drawn[kind, client_order_id])
        return _draw(self.profile.writes if is_write else self.profile.reads, words)

    def report(self, client_order_id: str, number: int) -> tuple[int, ...]:
        """After how many milliseconds each copy of a stream's report arrives; empty when it is lost."""
        chances = self.profile.stream
        words = _words(self._seed, "report", client_order_id, number)
        if words[0] % 10_000 < chances.lost:
            return ()
        hold = _between(words[2], chances.hold_ms) if words[1] % 10_000 < chances.held_back else 0
        if words[3] % 10_000 >= chances.duplicated:
            return (hold,)
        return hold, hold + _between(words[4], chances.hold_ms)


def _draw(chances: Chances, words: tuple[int, ...]) -> Fate:
    point, do = words[0] % 10_000, Do.ANSWER
    for end in _ENDS:
        point -= getattr(chances, end.value)
        if point < 0:
            do = end
            break
    code, status, body = None, None, Content.JSON
    if do is Do.ERROR_BEFORE:
        code, status, body = _BEFORE[words[1] % len(_BEFORE)]
    elif do is Do.ERROR_AFTER:
        code, status, body = _AFTER[words[1] % len(_AFTER)]
    elif do is Do.GARBAGE:
        body = _GARBAGE[words[1] % len(_GARBAGE)]
    return Fate(
        do=do,
        delay_ms=_between(words[3], chances.delay_ms) if words[2] % 10_000 < chances.delayed else 0,
        late_ms=_between(words[5], chances.late_ms) if words[4] % 10_000 < chances.late else 0,
        code=code,
        status=status,
        body=body,
    )


def _words(*key: int | str) -> tuple[int, ...]:
    digest = hashlib.blake2b(repr(key).encode()).digest()
    return tuple(int.from_bytes(digest[at : at + 8]) for at in range(0, 64, 8))


def _between(word: int, span: Span) -> int:
    return span[0] + word % (span[1] - span[0] + 1)
