"""Instants from the spellings that candle files use."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- a stamp without a zone is UTC; comparing naive with naive is exact
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_NUMBER = re.compile(r"\d{9,19}(\.0*)?")


def instant_from(text: str) -> int | None:
    """Milliseconds since the epoch, from ISO 8601 (UTC unless it names a zone) or a number since the epoch, whose
    unit (s, ms, us, ns) follows from its size; None when it is neither."""
    if _NUMBER.fullmatch(text):
        number = int(text.partition(".")[0])
        if number < 10**11:
            return number * 1_000
        return number if number < 10**14 else number // (10**3 if number < 10**17 else 10**6)
    try:
        stamp = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    return (stamp - (_EPOCH if stamp.tzinfo is None else _EPOCH_UTC)) // _MS
