"""Binance's rate limits: request weight by the minute and address, new orders of an account by ten seconds and by the
day. A limit of 0 is none."""

from __future__ import annotations

from engine.venue.codes import VenueError
from engine.venue.settings import Limits

_MINUTE, _TEN_SECONDS, _DAY = 60_000, 10_000, 86_400_000
_PATIENCE = 10
"""Requests beyond the weight limit in one minute until the sender is banned."""


class WeightMeter:
    """Counts the request weight of an address in the minute of the present. Instants in milliseconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._used = _Count(_MINUTE)
        self._refused = 0
        self._banned_until = 0

    def spend(self, weight: int, now: int) -> None:
        """Count a request; raises VenueError (429, then 418, with Retry-After) beyond the limit."""
        if now < self._banned_until:
            raise self._banned(now)
        used = self._used.add(weight, now)
        if not self._limits.weight or used <= self._limits.weight:
            self._refused = 0
            return
        self._refused += 1
        if self._refused >= _PATIENCE:
            self._banned_until = now + self._limits.ban_ms
            raise self._banned(now)
        text = (
            f"Too much request weight used; current limit is {self._limits.weight} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise VenueError(-1003, text, 429, _left(_MINUTE, now))

    def headers(self, now: int) -> dict[str, str]:
        """What binance says of the use in each answer."""
        weight = str(self._used.at(now))
        return {"x-mbx-used-weight": weight, "x-mbx-used-weight-1m": weight}

    def _banned(self, now: int) -> VenueError:
        text = (
            f"Way too much request weight used; IP banned until {self._banned_until}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return VenueError(-1003, text, 418, -(-(self._banned_until - now) // 1_000))


class OrderMeter:
    """Counts the new orders of an account in the windows of the present. Instants in milliseconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seconds = _Count(_TEN_SECONDS)
        self._day = _Count(_DAY)

    def count(self, now: int) -> None:
        """Count a new order; raises VenueError (429) beyond the limit."""
        for orders, most, name in (
            (self._seconds, self._limits.orders_10s, "10 SECOND"),
            (self._day, self._limits.orders_day, "1 DAY"),
        ):
            if orders.add(1, now) > most > 0:
                text = f"Too many new orders; current limit is {most} orders per {name}."
                raise VenueError(-1015, text, retry_after=_left(orders.length, now))

    def headers(self, now: int) -> dict[str, str]:
        """What binance says of the use in the answer to an order or a cancel."""
        return {
            "x-mbx-order-count-10s": str(self._seconds.at(now)),
            "x-mbx-order-count-1d": str(self._day.at(now)),
        }


class _Count:
    """A sum that begins anew with each window of `length`."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._window = 0
        self._total = 0

    def at(self, now: int) -> int:
        return self._total if self._window == now // self.length else 0

    def add(self, amount: int, now: int) -> int:
        self._total = self.at(now) + amount
        self._window = now // self.length
        return self._total


def _left(length: int, now: int) -> int:
    return -(-(length - now % length) // 1_000)
