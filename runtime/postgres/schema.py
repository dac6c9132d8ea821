"""Bring a database's tables to the revision that this program knows."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg import Connection
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from runtime.errors import StoreError
from runtime.postgres.connection import SCHEMA, Address, connect, explained, schema_revision

LOCK = 0x50485357
"""Of the database's advisory locks, the one that lets one upgrade happen at a time."""


def revision(url: str) -> str | None:
    """The revision of the tables, None where there are none. Raises StoreError when it cannot be asked."""
    address = Address(url)
    with connect(address, "db", read_only=True) as connection:
        return schema_revision(address, connection)


def upgrade(url: str) -> tuple[str | None, str]:
    """Make or upgrade the tables, in one transaction. Returns the revisions before and after.

    A database that a newer program has upgraded stays as it is.

    Raises:
        StoreError: the database cannot be reached or refuses; nothing was changed.
    """
    address = Address(url)
    before = revision(url)
    if before is not None and before >= SCHEMA:
        return before, before
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = create_engine("postgresql+psycopg://", creator=lambda: _transactional(address), poolclass=NullPool)
    with explained(address, "upgrade the tables"):
        try:
            with engine.begin() as connection:
                _wait_for_turn(address, connection)
                config.attributes["connection"] = connection
                command.upgrade(config, SCHEMA)
        except DBAPIError as error:
            raise error.orig or error from None
    return before, SCHEMA


def _wait_for_turn(address: Address, connection: SqlConnection) -> None:
    try:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    except DBAPIError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise StoreError(
            f"{address}: another `phasewright db upgrade` is running on this database and has not ended yet. This one "
            "has changed nothing. Wait for the other one, then see with `phasewright db status URL` what it has done."
        ) from None


def _transactional(address: Address) -> Connection:
    """A connection for statements that may take long, all in one transaction."""
    connection = connect(address, "db upgrade")
    connection.execute("SET statement_timeout = 0")
    connection.autocommit = False
    return connection
