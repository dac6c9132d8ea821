"""Binance's rate limits: request weight by the minute, new orders by ten seconds and by the day."""

from __future__ import annotations

from engine.venue.codes import VenueError
from engine.venue.settings import Limits

_MINUTE, _TEN_SECONDS, _DAY = 60_000, 10_000, 86_400_000
_PATIENCE = 10
"""Requests beyond the weight limit in one minute until the sender is banned."""


class Meter:
    """Counts what was used in the windows of the present. Instants in milliseconds."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._used: dict[int, tuple[int, int]] = {}
        self._orders: dict[int, tuple[int, int]] = {}
        self._refused = 0
        self._banned_until = 0

    def spend(self, weight: int, now: int) -> None:
        """Count a request; raises VenueError (429, then 418, with Retry-After) beyond the limit."""
        if now < self._banned_until:
            raise self._banned(now)
        used = _add(self._used, _MINUTE, weight, now)
        if used <= self.limits.weight:
            self._refused = 0
            return
        self._refused += 1
        if self._refused >= _PATIENCE:
            self._banned_until = now + self.limits.ban_ms
            raise self._banned(now)
        text = (
            f"Too much request weight used; current limit is {self.limits.weight} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise VenueError(-1003, text, 429, _left(_MINUTE, now))

    def count_order(self, now: int) -> None:
        """Count a new order; raises VenueError (429) beyond the limit."""
        for length, most, name in (
            (_TEN_SECONDS, self.limits.orders_10s, "10 SECOND"),
            (_DAY, self.limits.orders_day, "1 DAY"),
        ):
            if _add(self._orders, length, 1, now) > most:
                text = f"Too many new orders; current limit is {most} orders per {name}."
                raise VenueError(-1015, text, retry_after=_left(length, now))

    def headers(self, now: int, is_order: bool) -> dict[str, str]:
        """What binance says of the use in each answer."""
        weight = str(_count(self._used, _MINUTE, now))
        found = {"x-mbx-used-weight": weight, "x-mbx-used-weight-1m": weight}
        if is_order:
            found["x-mbx-order-count-10s"] = str(_count(self._orders, _TEN_SECONDS, now))
            found["x-mbx-order-count-1d"] = str(_count(self._orders, _DAY, now))
        return found

    def _banned(self, now: int) -> VenueError:
        text = (
            f"Way too much request weight used; IP banned until {self._banned_until}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return VenueError(-1003, text, 418, -(-(self._banned_until - now) // 1_000))


def _add(counts: dict[int, tuple[int, int]], length: int, by: int, now: int) -> int:
    total = _count(counts, length, now) + by
    counts[length] = now // length, total
    return total


def _count(counts: dict[int, tuple[int, int]], length: int, now: int) -> int:
    window, count = counts.get(length, (0, 0))
    return count if window == now // length else 0


def _left(length: int, now: int) -> int:
    return -(-(length - now % length) // 1_000)
