"""One account in a PostgreSQL database that several workers share: every write is one statement under a lease.

The statement calls a function of the schema that takes the account's row, checks the lease by the database's clock,
and writes everything or nothing. Each write also names the one before it. When the answer to one is lost, this makes it
possible to find out whether it was written, and to make sure that it never will be if it was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg import Connection, RawCursor
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from runtime.effects import Claim, Intent
from runtime.errors import StoreConflictError, StoreError, StoreFencedError
from runtime.events import Outcome
from runtime.ledger import JournalEntry
from runtime.portfolio import Reservation
from runtime.postgres.connection import Database, explained
from runtime.postgres.groups import group_values
from runtime.postgres.lease import Lease
from runtime.postgres.values import original, storable
from runtime.store import AuditRow, Commit, StoredInstance, StoredState, decode_postings, decode_receipt

ResultT = TypeVar("ResultT")
Row = tuple[Any, ...]

_FENCED, _CONFLICT = "PW001", "PW002"
_BUSY = ("55P03", "57014")
"""SQLSTATEs of waiting too long: for a lock, and for anything."""
_LOADING = 60.0
"""Seconds in which the first rows of anything that is loaded must come, and some more of them always."""
_INTENT = "intent_id, instance, effect, number, request, generation, created_at, attempt, claimed_at, deadline"
_JOURNAL = "SELECT entry_id, instance, at, kind, details::text, postings::text FROM journal WHERE account = %s"
_AUDIT = (
    "SELECT instance, version, at, event, identity, outcome, phase_from, phase_to, branch, actions, requested, "
    "payload, reason, error, digest FROM audit WHERE account = %s"
)


class PostgresStore:
    """The store of one account.

    Args:
        lease: the right to write; without it, the account can only be looked at.
        patience: seconds for which a database that has gone away is waited for, and for which one may say nothing. A
            lease should not outlive it.

    Raises:
        StoreError: the account is not there, or the database does not answer.
    """

    waits = True

    def __init__(self, database: Database, account: str, lease: Lease | None = None, *, patience: float = 30.0) -> None:
        if lease is not None and lease.account != account:
            raise ValueError(f"a lease on {lease.account} says nothing about {account}")
        self.account = account
        self._database = database
        self._lease = lease
        self._patience = patience
        self._limit = min(database.limit, patience)
        self._closed = False
        found = self._read(self._find)
        if found is None:
            known = ", ".join(accounts(database)) or "none yet"
            raise StoreError(
                f"{database.address}: there is no account {account!r}. It has {known}; --account says which one."
            )
        self.namespace, self._previous = found

    def _find(self, connection: Connection) -> tuple[str, UUID] | None:
        row = connection.execute(
            "SELECT namespace, last_commit FROM accounts WHERE account = %s", (storable(self.account),)
        ).fetchone()
        return None if row is None else (original(row[0]), row[1])

    # -- reading ---------------------------------------------------------------------------------------------------

    def load(self) -> StoredState:
        with self._explained("read"):
            state, self._previous = self._patiently(self._load, _is_lost, max(self._limit, _LOADING))
        return state

    def _load(self, connection: Connection) -> tuple[StoredState, UUID]:
        queries = (
            "SELECT last_commit FROM accounts WHERE account = %s",
            "SELECT instance, machine, digest, version, phase, updated_at, snapshot FROM instances "
            "WHERE account = %s ORDER BY instance",
            f"SELECT {_INTENT} FROM outbox WHERE account = %s AND outcome IS NULL ORDER BY created_at, intent_id",
            "SELECT instance, identity, at, receipt FROM identities WHERE account = %s ORDER BY at",
            f"{_JOURNAL} ORDER BY seq",
            "SELECT ledger_account, currency, amount FROM balances WHERE account = %s",
            "SELECT instance, currency, cash, slots FROM reservations WHERE account = %s",
        )
        # One look at all of it, in one round trip: nothing is open while nobody reads.
        with connection.pipeline():
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # Years of books may take longer than any statement else. Once rows come, they are not counted as silence.
            connection.execute("SET LOCAL statement_timeout = 0")
            cursors = [connection.execute(query.encode(), (storable(self.account),)) for query in queries]
            connection.execute("COMMIT")
        (head,), instances, intents, identities, entries, balances, reservations = map(_rows, cursors)
        state = StoredState(
            instances=tuple(StoredInstance(*row) for row in instances),
            open_intents=tuple(Intent(*row) for row in intents),
            identities=tuple(
                (instance, identity, at, decode_receipt(receipt)) for instance, identity, at, receipt in identities
            ),
            entries=tuple(map(_journal_entry, entries)),
            balances={(account, currency): amount for account, currency, amount in balances},
            reservations=tuple(Reservation(*row) for row in reservations),
        )
        return state, head[0]

    def last_event_at(self) -> int | None:
        rows = self._rows("SELECT at FROM audit WHERE account = %s ORDER BY seq DESC LIMIT 1")
        return rows[0][0] if rows else None

    def intent(self, intent_id: str) -> Intent | None:
        rows = self._rows(f"SELECT {_INTENT} FROM outbox WHERE account = %s AND intent_id = %s", intent_id)
        return Intent(*rows[0]) if rows else None

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        order = " ORDER BY seq DESC LIMIT %s"
        if instance is None:
            rows = self._rows(_AUDIT + order, limit)
        else:
            rows = self._rows(_AUDIT + " AND instance = %s" + order, instance, limit)
        return [_audit_row(row) for row in reversed(rows)]

    def journal(self, instance: str | None = None) -> list[JournalEntry]:
        if instance is None:
            rows = self._rows(f"{_JOURNAL} ORDER BY seq")
        else:
            rows = self._rows(f"{_JOURNAL} AND instance = %s ORDER BY seq", instance)
        with self._explained("read"):
            return [_journal_entry(row) for row in rows]

    def branch_counts(self) -> dict[str, int]:
        return dict(
            self._rows("SELECT branch, count(*) FROM audit WHERE account = %s AND branch <> '' GROUP BY branch")
        )

    def label(self, key: str) -> str | None:
        """What was written on the account under `key`, None when nothing was."""
        rows = self._rows("SELECT value FROM labels WHERE account = %s AND key = %s", key)
        return rows[0][0] if rows else None

    def _rows(self, query: str, *values: str | int | None) -> list[Row]:
        """What a query gives whose first value is the account."""
        sent = [storable(value) if isinstance(value, str) else value for value in (self.account, *values)]
        return self._read(lambda connection: _rows(connection.execute(query.encode(), sent)))

    def _read(self, work: Callable[[Connection], ResultT]) -> ResultT:
        with self._explained("read"):
            return self._patiently(work, _is_lost, self._limit)

    # -- writing ---------------------------------------------------------------------------------------------------

    def commit(self, commits: Sequence[Commit]) -> None:
        if commits:
            with self._explained("commit"):
                values = group_values(commits)
            self._write("commit", "commit_group", values)

    def claim(self, claim: Claim) -> None:
        values = (storable(claim.intent_id), claim.attempt, claim.claimed_at, claim.deadline)
        self._write("claim", "claim_intent", values)

    def forget_identities(self, before: int) -> int:
        return self._write("prune", "forget_identities", (before,)) or 0

    def set_label(self, key: str, value: str) -> None:
        """Write on the account what it belongs to; it replaces what was there under `key`.

        Raises:
            StoreFencedError: the account is another worker's by now.
        """
        self._write("write", "set_label", (storable(key), storable(value)))

    def clear(self, namespace: str) -> None:
        """Forget everything of the account, as if it had been made now.

        Raises:
            StoreFencedError: the account is another worker's by now.
        """
        self._write("clear", "clear_account", (storable(namespace),))
        self.namespace = namespace

    def _write(self, wish: str, function: str, values: Iterable[Any]) -> Any:
        """What the function returns; None when it was written but the answer was lost."""
        if self._lease is None:
            raise StoreError(
                f"{self._database.address}: cannot {wish}: account {self.account} was opened to be looked at only."
            )
        write = _Write(self._lease, self._previous, function, values)
        try:
            with self._explained(wish):
                return self._patiently(write, write.is_to_be_tried_again, self._limit)
        except StoreFencedError:
            raise
        except StoreError as error:
            if write.lost is None:
                raise
            raise StoreFencedError(
                f"{error} Whether the last change was written could not be found out within {self._patience:g} s, so "
                f"this process lets account {self.account} go: whoever takes it, reads what is true."
            ) from None
        finally:
            self._previous = write.previous

    def _patiently(
        self, work: Callable[[Connection], ResultT], again: Callable[[BaseException], bool], limit: float
    ) -> ResultT:
        """Do it on a lent connection or, should that turn out to be broken, on new ones. A connection is broken as well
        when nothing comes for `limit` seconds."""
        if self._closed or self._database.closed:
            raise StoreError(f"{self._database.address}: this store was closed before; open it anew.")
        try:
            with self._database.connection(limit=limit) as connection:
                return work(connection)
        except psycopg.Error as error:
            if not again(error):
                raise
        end = monotonic() + self._patience
        retrying = Retrying(
            retry=retry_if_exception(again),
            stop=stop_after_delay(self._patience),
            wait=wait_exponential(multiplier=0.02, max=1.0),
            reraise=True,
        )
        for attempt in retrying:
            left = max(end - monotonic(), 1.0)
            with attempt, self._database.new_connection(min(limit, left)) as connection:
                return work(connection)
        raise AssertionError("tenacity returns or raises")

    @contextmanager
    def _explained(self, wish: str) -> Iterator[None]:
        place = f"{self._database.address}, account {self.account}"
        try:
            with explained(self._database.address, wish):
                try:
                    yield
                except psycopg.Error as error:
                    text = error.diag.message_primary
                    if error.sqlstate == _FENCED:
                        raise StoreFencedError(
                            f"{place}: {text}. Nothing was written. Another worker goes on with what is committed."
                        ) from None
                    if error.sqlstate == _CONFLICT:
                        raise StoreConflictError(
                            f"{place}: {text}. Nothing was committed. Make sure that only one bot uses this account "
                            "under this name, then start again."
                        ) from None
                    raise
        except StoreConflictError as error:
            if str(error).startswith(place):
                raise
            raise StoreConflictError(f"{place}: {error}") from None

    def close(self) -> None:
        self._closed = True


class _Write:
    """One write, on as many connections as it takes until its fate is known.

    Attributes:
        previous: the latest write that is known to be there.
        lost: the name under which it was sent, while nobody knows what became of it.
    """

    def __init__(self, lease: Lease, previous: UUID, function: str, values: Iterable[Any]) -> None:
        self.previous = previous
        self.lost: UUID | None = None
        self._next = uuid4()
        self._holder = (storable(lease.account), storable(lease.worker), lease.epoch)
        self._values = list(values)
        places = ", ".join(f"${number}" for number in range(1, 6 + len(self._values)))
        self._query = f"SELECT {function}({places})".encode()

    def __call__(self, connection: Connection) -> Any:
        if self.lost is not None:
            row = connection.execute(
                "SELECT settle(%s, %s, %s, %s, %s, %s)", (*self._holder, self.previous, self.lost, self._next)
            ).fetchone()
            assert row is not None
            written, sent, self.lost = row[0], self.lost, None
            if written:
                self.previous = sent
                return None
            self.previous, self._next = self._next, uuid4()
        self.lost = name = uuid4()
        try:
            # With the server's own placeholders: to replace others takes as long as all else that the client does.
            cursor = RawCursor(connection)
            cursor.execute(self._query, (*self._holder, self.previous, name, *self._values))
            row = cursor.fetchone()
        except BaseException as error:
            if not _is_lost(error):
                self.lost = None
            raise
        self.previous, self.lost = name, None
        return row and row[0]

    def is_to_be_tried_again(self, error: BaseException) -> bool:
        return _is_lost(error) or (
            # Asked what became of the lost one, the database was still busy with it.
            self.lost is not None and isinstance(error, psycopg.Error) and error.sqlstate in _BUSY
        )


def accounts(database: Database) -> list[str]:
    """The names of all accounts. Raises StoreError when the database does not answer."""
    return [name for (name,) in database.execute("read", "SELECT account FROM accounts ORDER BY account")]


def _is_lost(error: BaseException) -> bool:
    """Whether the connection broke: the server has not said that it refused. (When it refuses, it says ERROR; FATAL
    and PANIC are its last words, which may come while a commit is on its way to the disk.)"""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError):
        return False
    return error.diag.severity_nonlocalized != "ERROR"


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return [tuple(map(original, row)) for row in cursor]


def _journal_entry(row: Row) -> JournalEntry:
    entry_id, instance, at, kind, details, postings = row
    return JournalEntry(
        entry_id,
        instance,
        at,
        kind,
        decode_postings(postings),
        msgspec.json.decode(details, type=dict[str, str]),
    )


def _audit_row(row: Row) -> AuditRow:
    values = list(row)
    values[5] = Outcome(values[5])
    values[9], values[10] = tuple(values[9].split()), tuple(values[10].split())
    return AuditRow(*values)
