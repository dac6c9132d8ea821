"""Conditions mean what they say, and what they cannot mean is told with its place."""

from __future__ import annotations

from typing import Any

import pytest

from codegen.expressions import ExpressionError, Scope, understand

SCOPE = Scope(
    {
        "phase": ("IDLE", "BUSY", "DONE"),
        "fills": ("none", "some", "all"),
        "booked": ("none", "some", "all"),
        "live": None,
    },
    {"count": (("entry", "exit"), ("open", "closed"))},
)
STATE: dict[str, Any] = {"phase": 1, "fills": 1, "booked": 0, "live": True, "count": lambda side, word: side + 2 * word}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("BUSY", True),
        ("not IDLE and not DONE", True),
        ("phase in [IDLE, DONE]", False),
        ("phase not in [IDLE, DONE]", True),
        ("fills == some", True),
        ("all == fills", False),
        ("fills <= booked", False),
        ("fills > booked", True),
        ("IDLE implies fills == all", True),
        ("BUSY implies fills == all", False),
        ("IDLE implies BUSY implies DONE", True),
        ("IDLE or BUSY and DONE", False),
        ("(IDLE or BUSY) and not DONE", True),
        ("not live or fills != none", True),
        ("count(exit, closed) == 3", True),
        ("count(entry, open) < count(exit, open)", True),
    ],
)
def test_a_condition_is_answered(text: str, answer: bool) -> None:
    assert bool(understand(text, SCOPE).holds(STATE)) is answer


@pytest.mark.parametrize(
    ("text", "kind", "offset"),
    [
        ("", "syntax", 0),
        ("fills ==", "syntax", 8),
        ("fills == some )", "syntax", 14),
        ("fills", "syntax", 0),
        ("live == live", "syntax", 5),
        ("phase in [IDLE", "syntax", 14),
        pytest.param("not " * 101 + "BUSY", "syntax", 400, id="too many nots"),
        pytest.param("(" * 3_000 + "BUSY" + ")" * 3_000, "syntax", 100, id="too many brackets"),
        pytest.param("BUSY" + " or BUSY" * 5_000, "syntax", 805, id="too many alternatives"),
        ("fills = some", "syntax", 6),
        ("BUSY and fill == some", "name", 9),
        ("WAITING", "name", 0),
        ("counted(entry, open) == 1", "name", 0),
        ("fills == lots", "value", 9),
        ("phase in [IDLE, AWAY]", "value", 16),
        ("fills == phase", "value", 9),
        ("count(entry, gone) == 1", "value", 13),
        ("count(entry, open) == some", "name", 22),
    ],
)
def test_nonsense_is_refused_at_its_place(text: str, kind: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        understand(text, SCOPE)
    assert (caught.value.kind, caught.value.offset) == (kind, offset)


def test_what_a_condition_speaks_of_is_known() -> None:
    assert understand("BUSY implies fills == all and count(entry, open) == 0", SCOPE).names == {
        "phase",
        "fills",
        "count",
    }
