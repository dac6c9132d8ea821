"""Accounts and leases as the tests need them, without the machinery that keeps them."""

import uuid

import psycopg

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


def shut_gate(gate: psycopg.Connection) -> None:
    """Let every commit wait for this connection's lock."""
    gate.execute(
        "CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'"
    )
    gate.execute("CREATE TRIGGER gate BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION wait_at_gate()")
    gate.execute("SELECT pg_advisory_lock(1)")
