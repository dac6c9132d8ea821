"""The right to write to an account. Whether it is alive, only the database's clock decides."""

from __future__ import annotations

from msgspec import Struct


class Lease(Struct, frozen=True):
    """`worker` holds `account` in its `epoch`: every take-over begins another one, and nothing said under an earlier
    one counts any more (a fencing token)."""

    account: str
    worker: str
    epoch: int
