"""What names a delivery: the id that it was given, or the fields of its payload.

Like the standard library's dataclasses, this writes a function for each event, once: it is asked at every event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Naming = Callable[[Any], str]


def naming(event: str, fields: tuple[str, ...] | None) -> Naming:
    """A function from a payload to its identity: the event and the values of `fields`, between slashes. Without fields
    (None) it is the empty text: nothing but an explicit id names such an event."""
    if fields is None:
        return _nothing
    text = "/".join([event.replace("{", "{{").replace("}", "}}"), *(f"{{payload.{name}!s}}" for name in fields)])
    made: dict[str, Any] = {}
    exec(f"def name(payload):\n    return f{text!r}", made)
    named: Naming = made["name"]
    return named


def given(id: str) -> str:
    """The identity of a delivery with an explicit id, apart from those of timers, effects and payloads; empty as `id`
    is."""
    return f"id/{id}" if id else ""


def _nothing(payload: object) -> str:
    return ""
