"""What names a delivery: the id that it was given, or the fields of its payload.

Like the standard library's dataclasses, this writes a function for each event, once: it is asked at every event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Naming = Callable[[Any], str]
_encode = msgspec.json.Encoder().encode


def naming(event: str, fields: tuple[str, ...] | None) -> Naming:
    """A function from a payload to its identity: the event and the values of `fields`, between slashes; where a value
    has a slash itself, as JSON, so that no two deliveries are named alike. Without fields (None) it is the empty text:
    nothing but an explicit id names such an event."""
    if fields is None:
        return _nothing

    def in_json(payload: Any) -> str:
        return event + _encode([getattr(payload, name) for name in fields]).decode()

    text = "/".join([event.replace("{", "{{").replace("}", "}}"), *(f"{{payload.{name}!s}}" for name in fields)])
    slashes = event.count("/") + len(fields)
    made: dict[str, Any] = {"in_json": in_json}
    code = f"text = f{text!r}\n    return text if text.count('/') == {slashes} else in_json(payload)"
    exec(f"def name(payload):\n    {code}", made)
    named: Naming = made["name"]
    return named


def given(id: str) -> str:
    """The identity of a delivery with an explicit id, apart from those of timers, effects and payloads; empty as `id`
    is."""
    return f"id/{id}" if id else ""


def _nothing(payload: object) -> str:
    return ""
