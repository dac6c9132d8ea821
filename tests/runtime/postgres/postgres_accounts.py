"""Accounts and leases as the tests need them, without the machinery that keeps them."""

import uuid

from runtime.postgres.connection import Database
from runtime.postgres.lease import Lease


def hold(database: Database, account: str, worker: str = "test", seconds: float = 600) -> Lease:
    """Take an account, whoever has it; make it if it is not there."""
    with database.connection() as connection:
        row = connection.execute(
            "INSERT INTO accounts (account, namespace, epoch, holder, expires_at) "
            "VALUES (%s, %s, 1, %s, clock_timestamp() + make_interval(secs => %s)) "
            "ON CONFLICT (account) DO UPDATE SET epoch = accounts.epoch + 1, holder = excluded.holder, "
            "expires_at = excluded.expires_at RETURNING epoch",
            (account, uuid.uuid4().hex, worker, seconds),
        ).fetchone()
    assert row is not None
    return Lease(account, worker, row[0])


def let_expire(database: Database, account: str) -> None:
    """The account's lease ran out a second ago."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE accounts SET expires_at = clock_timestamp() - interval '1 second' WHERE account = %s", (account,)
        )
