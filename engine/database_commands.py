"""What the command line does with a PostgreSQL database as such. All of it returns data."""

from __future__ import annotations

import asyncio

import msgspec

from runtime.postgres import schema
from runtime.postgres.connection import SCHEMA, Address, connect, explained, schema_revision
from runtime.postgres.leases import accept_failover as _accept_failover
from runtime.postgres.line import Line

_PATIENCE = 15_000
"""Milliseconds that a statement may take."""


class Upgraded(msgspec.Struct, frozen=True):
    """Revisions of the tables; `before` is None where there were none."""

    before: str | None
    after: str


class DatabaseStatus(msgspec.Struct, frozen=True):
    """What a database is like. `trouble` are sentences that tell what must be done."""

    database: str
    server: str
    revision: str | None
    wanted: str
    standby: bool
    synchronous_standbys: str
    trouble: tuple[str, ...]
    advice: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same for people."""
        return [
            f"{self.database}: PostgreSQL {self.server}{', a standby' if self.standby else ''}",
            f"tables of revision {self.revision or 'none'}, this program's is {self.wanted}",
            f"synchronous standbys: {self.synchronous_standbys or 'none'}",
            *self.trouble,
            *self.advice,
        ]


def upgrade(url: str) -> Upgraded:
    """Make or upgrade the tables. Raises StoreError when the database refuses; nothing was changed then."""
    return Upgraded(*schema.upgrade(url))


def status(url: str) -> DatabaseStatus:
    """What the database is like. Raises StoreError when it does not answer."""
    address = Address(url)
    with connect(address, "db status", read_only=True) as connection:
        revision = schema_revision(address, connection)
        with explained(address, "read"):
            row = connection.execute(
                "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('fsync'), "
                "current_setting('full_page_writes'), current_setting('synchronous_commit'), "
                "current_setting('synchronous_standby_names')"
            ).fetchone()
    assert row is not None
    server, standby, fsync, full_pages, synchronous, standbys = row
    trouble = []
    if revision is None or revision < SCHEMA:
        trouble.append("The tables must be upgraded: phasewright db upgrade URL.")
    elif revision > SCHEMA:
        trouble.append("The tables are newer than this program: use the version that upgraded them.")
    if standby:
        trouble.append("It takes no writes of its own: bots need the primary.")
    for name, value in (("fsync", fsync), ("full_page_writes", full_pages), ("synchronous_commit", synchronous)):
        if value in ("off", "local") and not (value == "local" and not standbys):
            trouble.append(
                f"{name} is {value}: a commit that was confirmed can be lost, and with it an order that was sent. "
                "Set it to on."
            )
    advice = []
    if not standbys and not standby:
        advice.append(
            "Without a synchronous standby, losing this machine's disk loses the latest commits: docs/postgresql.md."
        )
    return DatabaseStatus(str(address), server, revision, SCHEMA, standby, standbys, tuple(trouble), tuple(advice))


def accept_failover(url: str) -> list[str]:
    """Let accounts be taken although the server's history is another one. Returns which."""

    async def accept() -> list[str]:
        line = Line(Address(url), "db accept-failover", _PATIENCE)
        try:
            return await _accept_failover(line)
        finally:
            await line.close()

    return asyncio.run(accept())
