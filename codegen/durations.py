"""Durations as a spec writes them."""

from __future__ import annotations

import re

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(-?\d{1,15}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)


def milliseconds(text: str) -> int:
    """`500ms`, `30s`, `1.5m`, `2h` or `14d` in milliseconds; negative and zero durations are read too.

    Raises:
        ValueError: it is not written so, or is no whole number of milliseconds.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration")
    whole, _, fraction = match[1].partition(".")
    scale: int = 10 ** len(fraction)
    scaled = int(whole + fraction) * UNITS[match[2]]
    if scaled % scale:
        raise ValueError(f"`{text}` is not a whole number of milliseconds")
    return scaled // scale
