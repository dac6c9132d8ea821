"""Move a bot's database from its file into an account of its own in PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from psycopg import Connection, Cursor, sql

from runtime.errors import StoreError
from runtime.postgres.connection import Address, check_schema, connect, explained
from runtime.postgres.groups import due_at
from runtime.postgres.values import storable
from runtime.sqlite_store import SqliteStore


class Moved(msgspec.Struct, frozen=True):
    """How many rows are in the account now."""

    instances: int
    audit: int
    entries: int


Row = tuple[Any, ...]

_LABELS = "SELECT substr(key, 7), value FROM meta WHERE key LIKE 'label:%'"
_AUDIT = (
    "instance, version, at, event, identity, outcome, phase_from, phase_to, branch, actions, requested, payload, "
    "reason, error, digest"
)
_OUTBOX = "intent_id, instance, effect, number, request, generation, created_at, attempt, claimed_at, deadline, outcome"


def _same(row: Row) -> Row:
    return row


_PARTS: tuple[tuple[str, str, str, Callable[[Row], Row]], ...] = (
    # Table, its columns, where they come from, and how.
    ("labels", "key, value", _LABELS, _same),
    (
        "instances",
        "instance, machine, digest, version, phase, updated_at, snapshot, due_at",
        "SELECT instance, machine, digest, version, phase, updated_at, snapshot FROM instances",
        lambda row: (*row, due_at(row[-1])),
    ),
    ("audit", f"{_AUDIT}, epoch", f"SELECT {_AUDIT} FROM audit ORDER BY seq", lambda row: (*row, 0)),
    ("identities", "instance, identity, at, receipt", "SELECT instance, identity, at, receipt FROM identities", _same),
    ("outbox", _OUTBOX, f"SELECT {_OUTBOX} FROM outbox", _same),
    (
        "journal",
        "entry_id, instance, at, kind, details, postings",
        "SELECT entry_id, instance, at, kind, details, postings FROM journal ORDER BY rowid",
        lambda row: (*row[:4], row[4].decode(), row[5].decode()),
    ),
    (
        "balances",
        "ledger_account, currency, amount",
        "SELECT account, currency, amount FROM balances",
        lambda row: (*row[:2], Decimal(row[2])),
    ),
    (
        "reservations",
        "instance, currency, cash, slots",
        "SELECT instance, currency, cash, slots FROM reservations",
        lambda row: (*row[:2], Decimal(row[2]), row[3]),
    ),
)


def move(path: Path, url: str, account: str) -> Moved:
    """Copy everything in one transaction, and make the file unusable before that is committed: whatever happens, no two
    bots can be started. An interrupted move is taken up by the same call.

    Raises:
        StoreError: the file is in use or no bot's, there is an account of that name, or the database refuses. Unless
            the message says otherwise, both are as they were.
    """
    address = Address(url)
    to = f"{address}, account {account}"
    before = SqliteStore.moved_to(path)
    if before is not None and before != to:
        SqliteStore(path, read_only=True)  # says where it went
    with connect(address, "db move") as connection:
        check_schema(address, connection)
        if before is not None:
            if _has(address, connection, account, _namespace(path)):
                return _counted(address, connection, account)
            SqliteStore.move_back(path)
        with closing(_existing(path)) as store:
            if _has(address, connection, account):
                raise StoreError(f"{to}: there is an account of this name already. Nothing was moved; choose another.")
            _carry(store, address, connection, account, to)
        return _counted(address, connection, account)


def _existing(path: Path) -> SqliteStore:
    SqliteStore(path, read_only=True).close()  # it would make a file that is not there
    return SqliteStore(path)


def _carry(store: SqliteStore, address: Address, connection: Connection, account: str, to: str) -> None:
    with closing(sqlite3.connect(f"{store.path.absolute().as_uri()}?mode=ro", uri=True)) as file:
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        entombed = False
        try:
            with explained(address, "move the account"), connection.transaction(), connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO accounts (account, namespace) VALUES (%s, %s)",
                    (storable(account), storable(store.namespace)),
                )
                for table, columns, query, convert in _PARTS:
                    _copy(cursor, table, columns, account, map(convert, file.execute(query)))
                store.move_away(to)
                entombed = True
        except StoreError as error:
            if not entombed:
                raise
            raise StoreError(
                f"{error} Whether {to} is there is not known, so {store.path} stays closed. The same command finds it "
                "out, and goes on."
            ) from None


def _copy(cursor: Cursor, table: str, columns: str, account: str, rows: Iterable[Row]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, ("account", *columns.split(", "))))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
        for row in rows:
            copy.write_row([storable(value) if isinstance(value, str) else value for value in (account, *row)])


def _has(address: Address, connection: Connection, account: str, namespace: str | None = None) -> bool:
    with explained(address, "read"):
        row = connection.execute("SELECT namespace FROM accounts WHERE account = %s", (storable(account),)).fetchone()
    return row is not None and namespace in (None, row[0])


def _counted(address: Address, connection: Connection, account: str) -> Moved:
    with explained(address, "read"):
        row = connection.execute(
            "SELECT (SELECT count(*) FROM instances WHERE account = %(account)s), "
            "(SELECT count(*) FROM audit WHERE account = %(account)s), "
            "(SELECT count(*) FROM journal WHERE account = %(account)s)",
            {"account": storable(account)},
        ).fetchone()
    assert row is not None
    return Moved(*row)


def _namespace(path: Path) -> str:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
        return storable(str(file.execute("SELECT value FROM meta WHERE key = 'namespace'").fetchone()[0]))
