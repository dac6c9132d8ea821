"""Fewer points for the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal


def outline(values: Sequence[Decimal], limit: int) -> list[int]:
    """The positions of at most `limit` (at least 4) values that draw the same line: the first, the last, and the lowest
    and highest of each stretch, so that no spike is lost."""
    if len(values) <= limit:
        return list(range(len(values)))
    stretches = (limit - 2) // 2
    keep = {0, len(values) - 1}
    for number in range(stretches):
        stretch = range(number * len(values) // stretches, (number + 1) * len(values) // stretches)
        keep.add(min(stretch, key=values.__getitem__))
        keep.add(max(stretch, key=values.__getitem__))
    return sorted(keep)
