"""What a group of commits writes into SQLite: a statement for each table, as often as there are rows for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from runtime.errors import StoreConflictError
from runtime.ledger import EXACT, ZERO, JournalEntry
from runtime.portfolio import Reservation
from runtime.store import AuditRow, Commit

_INSERT_AUDIT = "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_IDENTITY = "INSERT OR REPLACE INTO identities VALUES (?, ?, ?, ?)"
_INSERT_INTENT = "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
_FINISH_INTENT = "UPDATE outbox SET outcome = ? WHERE intent_id = ? AND attempt = ? AND outcome IS NULL"
_NEW_INSTANCE = (
    "INSERT INTO instances (machine, digest, version, phase, updated_at, snapshot, instance) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance) DO NOTHING"
)
_NEXT_VERSION = (
    "UPDATE instances SET machine = ?, digest = ?, version = ?, phase = ?, updated_at = ?, snapshot = ? "
    "WHERE instance = ? AND version = ?"
)
_INSERT_ENTRY = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)"
_ADD_TO_BALANCE = (
    "INSERT INTO balances VALUES (?, ?, ?) ON CONFLICT (account, currency) DO UPDATE SET amount = plus(amount, ?3)"
)
_SET_RESERVATION = "INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?)"
_DROP_RESERVATION = "DELETE FROM reservations WHERE instance = ?"
_encode = msgspec.json.Encoder().encode


def prepare(db: sqlite3.Connection) -> None:
    """What `write_group` needs of a connection, once: amounts are exact, and SQLite's own numbers are not."""
    db.create_function("plus", 2, _plus, deterministic=True)


def _plus(amount: str, more: str) -> str:
    return str(EXACT.add(Decimal(amount), Decimal(more)))


def write_group(db: sqlite3.Connection, path: Path, commits: Sequence[Commit]) -> None:
    """Write `commits` into the open transaction of `db`, the file `path`.

    Raises:
        StoreConflictError: an instance or an intent is not as a commit expects.
        sqlite3.Error, ValueError, TypeError, ArithmeticError: a row is there already, or holds what no row can.
    """
    _write_instances(db, path, commits)
    _write_rows(db, _INSERT_AUDIT, [_audit_values(row) for commit in commits for row in commit.audit])
    identities: list[tuple[Any, ...]] = []
    intents: list[tuple[Any, ...]] = []
    finished: list[tuple[str, str, int]] = []
    entries: list[JournalEntry] = []
    reservations: dict[str, Reservation] = {}
    for commit in commits:
        for identity, receipt in commit.identities:
            identities.append((commit.instance, identity, commit.at, _encode(receipt)))
        intents += map(msgspec.structs.astuple, commit.requested)
        for intent_id, attempt, outcome in commit.finished:
            finished.append((outcome, intent_id, attempt))
        if commit.portfolio:
            entries += commit.portfolio.entries
            for reservation in commit.portfolio.reservations:
                reservations.pop(reservation.instance, None)  # the latest comes last
                reservations[reservation.instance] = reservation
    _write_rows(db, _INSERT_IDENTITY, identities)
    _write_rows(db, _INSERT_INTENT, intents)
    if finished and db.executemany(_FINISH_INTENT, finished).rowcount != len(finished):
        names = ", ".join(intent_id for _, intent_id, _ in finished)
        raise StoreConflictError(f"{path}: of the intents {names} one is finished, or at another attempt")
    if entries:
        _write_entries(db, entries)
    if reservations:
        _write_reservations(db, reservations.values())


def _write_rows(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        db.executemany(statement, rows)


def _write_instances(db: sqlite3.Connection, path: Path, commits: Sequence[Commit]) -> None:
    """One write per instance: each commit must follow the one before, the last one's snapshot stays."""
    found: dict[str, int] = {}
    versions: dict[str, int] = {}
    latest: dict[str, Commit] = {}
    for commit in commits:
        name, expected = commit.instance, commit.expected_version
        if name not in versions:
            found[name] = versions[name] = expected
        elif versions[name] != expected:
            raise _conflict(path, name, versions[name], expected)
        if commit.snapshot is not None:
            versions[name] = commit.version
            latest[name] = commit
    for name, expected in found.items():
        last = latest.get(name)
        if last is None:
            stored = _version(db, name)
            if stored != expected:
                raise _conflict(path, name, stored, expected)
            continue
        values = (last.machine, last.digest, last.version, last.phase, last.at, last.snapshot, name)
        written = db.execute(_NEXT_VERSION, (*values, expected)) if expected else db.execute(_NEW_INSTANCE, values)
        if written.rowcount != 1:
            raise _conflict(path, name, _version(db, name), expected)


def _version(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT version FROM instances WHERE instance = ?", (name,)).fetchone()
    return row[0] if row else 0


def _conflict(path: Path, name: str, stored: int, expected: int) -> StoreConflictError:
    return StoreConflictError(
        f"{path}: {name} is at version {stored}, not {expected}: somebody else has written to it. Nothing was "
        "committed. Make sure that only one bot runs on this database, then start again."
    )


def _audit_values(row: AuditRow) -> tuple[Any, ...]:
    # An enum's member is turned into its text here: SQLite would look for an adapter first, and take longer than that.
    return (
        row.instance,
        row.version,
        row.at,
        str(row.event),
        row.identity,
        str(row.outcome),
        row.phase_from,
        row.phase_to,
        row.branch,
        " ".join(row.actions),
        " ".join(row.requested),
        row.payload,
        row.reason,
        row.error,
        row.digest,
    )


def _write_entries(db: sqlite3.Connection, entries: Sequence[JournalEntry]) -> None:
    rows = [
        (entry.entry_id, entry.instance, entry.at, entry.kind, _encode(entry.details), _encode(entry.postings))
        for entry in entries
    ]
    db.executemany(_INSERT_ENTRY, rows)
    postings = (posting for entry in entries for posting in entry.postings)
    db.executemany(
        _ADD_TO_BALANCE,
        [(posting.account, posting.currency, str(EXACT.add(ZERO, posting.amount))) for posting in postings],
    )


def _write_reservations(db: sqlite3.Connection, reservations: Iterable[Reservation]) -> None:
    for one in reservations:
        if one:
            db.execute(_SET_RESERVATION, (one.instance, one.currency, str(one.cash), one.slots))
        else:
            db.execute(_DROP_RESERVATION, (one.instance,))
