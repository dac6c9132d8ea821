"""The default store: one SQLite file in WAL mode, one transaction per group of commits."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from runtime.effects import Claim, Intent
from runtime.errors import StoreConflictError, StoreError, StoreIntegrityError
from runtime.events import Outcome
from runtime.ledger import JournalEntry
from runtime.portfolio import Reservation
from runtime.sqlite_commits import prepare, write_group
from runtime.store import AuditRow, Commit, StoredInstance, StoredState, decode_postings, decode_receipt

APPLICATION_ID = 0x50485357  # "PHSW"
SCHEMA_VERSION = 2
MOVED = 1_000_000
"""Added to the schema version of a database whose bot is elsewhere now."""
_MOVED_TO = "SELECT value FROM meta WHERE key = 'moved to'"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE instances (
    instance TEXT PRIMARY KEY, machine TEXT NOT NULL, digest TEXT NOT NULL, version INTEGER NOT NULL,
    phase TEXT NOT NULL, updated_at INTEGER NOT NULL, snapshot BLOB NOT NULL
) STRICT;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, instance TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    event TEXT NOT NULL, identity TEXT NOT NULL, outcome TEXT NOT NULL, phase_from TEXT NOT NULL,
    phase_to TEXT NOT NULL, branch TEXT NOT NULL, actions TEXT NOT NULL, requested TEXT NOT NULL,
    payload BLOB NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_instance ON audit (instance, seq);
CREATE TABLE identities (
    instance TEXT NOT NULL, identity TEXT NOT NULL, at INTEGER NOT NULL, receipt BLOB NOT NULL,
    PRIMARY KEY (instance, identity)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    intent_id TEXT PRIMARY KEY, instance TEXT NOT NULL, effect TEXT NOT NULL, number INTEGER NOT NULL,
    request BLOB NOT NULL, generation INTEGER NOT NULL, created_at INTEGER NOT NULL, attempt INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL, deadline INTEGER NOT NULL, outcome TEXT
) STRICT;
CREATE INDEX outbox_open ON outbox (created_at) WHERE outcome IS NULL;
CREATE TABLE journal (
    entry_id TEXT PRIMARY KEY, instance TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
    details BLOB NOT NULL, postings BLOB NOT NULL
) STRICT;
CREATE TABLE balances (
    account TEXT NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL, PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservations (
    instance TEXT PRIMARY KEY, currency TEXT NOT NULL, cash TEXT NOT NULL, slots INTEGER NOT NULL
) STRICT;
"""

_SELECT_INTENT = (
    "SELECT intent_id, instance, effect, number, request, generation, created_at, attempt, claimed_at, deadline "
    "FROM outbox"
)
_CHECKED_WHOLE = 100_000_000
"""Bytes up to which all of a file is read through at every start, to see whether it is whole."""
_LIVE = ("meta", "instances", "identities", "outbox", "journal", "balances", "reservations")
"""What is read through of a longer one: all but the audit, which is history."""
_DAMAGED = (
    "The file is damaged or not a database. Keep a copy of it and of its -wal file, and restore a backup; the exchange "
    "still knows every order and trade."
)


class SqliteStore:
    """A store in the file `path`.

    Args:
        namespace: for a new file; by default one that no other store has.
        durable: True waits for the disk at every commit, so that not even a power cut undoes one. False survives the
            death of the process only.
        read_only: look, whatever else has the file open; `commit` and `claim` then fail.

    Raises:
        StoreError: the file cannot be used; the message says why and what to do.
    """

    waits = True

    def __init__(
        self, path: Path, *, namespace: str | None = None, durable: bool = True, read_only: bool = False
    ) -> None:
        self.path = path
        self._lock: FileLock | None = None
        if read_only and not path.is_file():
            raise StoreError(f"{path}: there is no such database. Start one with `phasewright run --db {path}`.")
        if not read_only:
            self._lock = self._acquire(path)
        try:
            with self._explained("open"):
                target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
                self._db = sqlite3.connect(target, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
                is_new = self._is_new()
                if is_new and read_only:
                    raise StoreError(f"{path}: the database is empty. Start a bot with `phasewright run --db {path}`.")
                if not read_only:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                if is_new:
                    self._create(namespace)
                prepare(self._db)
                self.namespace = str(self._one("SELECT value FROM meta WHERE key = 'namespace'"))
        except BaseException:
            if hasattr(self, "_db"):
                self._db.close()
            self._release()
            raise

    @staticmethod
    def refuse_if_in_use(path: Path) -> None:
        """Raise StoreError when another process has the database open for writing."""
        SqliteStore._acquire(path).release()

    @staticmethod
    def _acquire(path: Path) -> FileLock:
        try:
            lock = FileLock(f"{path.resolve()}.lock", thread_local=False)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{path}: another process is using this database. Two bots on one database would trade against each "
                "other's decisions. Stop the other one, or give this one its own file with --db."
            ) from None
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be opened for writing: {error}. Choose another place with --db."
            ) from None
        return lock

    def _is_new(self) -> bool:
        """Whether nothing is in the file. Raises StoreError, before anything is written, when it is not ours."""
        application, version = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        if application == 0 and version == 0 and not self._one("SELECT count(*) FROM sqlite_schema"):
            return True
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path}: this is a database of another program. Nothing was written to it. "
                "Give another file with --db."
            )
        if version >= MOVED:
            raise StoreError(
                f"{self.path}: this database was moved to {self._one(_MOVED_TO)}. Go on there, with --db and "
                "--account. If it is not there, the move was interrupted: `phasewright db move` takes it up again."
            )
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: the database has schema version {version}, this program reads version "
                f"{SCHEMA_VERSION}. Nothing was written. Use the version of phasewright that wrote it, or a newer one."
            )
        for part in ("1",) if self.path.stat().st_size < _CHECKED_WHOLE else _LIVE:
            found = self._one(f"PRAGMA quick_check({part})")
            if found != "ok":
                raise sqlite3.DatabaseError(" ".join(str(found).split()))
        wal = Path(f"{self.path}-wal")
        if self.path.stat().st_size % self._one("PRAGMA page_size") and not (wal.exists() and wal.stat().st_size):
            raise sqlite3.DatabaseError("the last page is incomplete")  # SQLite reads it, padded with zeros
        return False

    def _create(self, namespace: str | None) -> None:
        name = (namespace or uuid.uuid4().hex).replace("'", "''")
        self._db.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; INSERT INTO meta VALUES ('namespace', '{name}'); COMMIT;"
        )

    def _one(self, query: str, *values: Any) -> Any:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _explained(self, wish: str) -> Iterator[None]:
        """Turn SQLite's errors into messages that say what to do."""
        try:
            yield
        except Exception as error:
            raise self._explanation(wish, error) from None

    def _explanation(self, wish: str, error: Exception) -> Exception:
        """What to tell of `error`: itself, unless it is SQLite's or about a value."""
        if isinstance(error, sqlite3.IntegrityError):
            return StoreIntegrityError(
                f"{self.path}: cannot {wish}: {error}. The database holds this already; nothing was written."
            )
        if isinstance(error, sqlite3.Error | OSError):
            text = str(error)
            if "full" in text or "disk I/O" in text:
                advice = (
                    "The disk is full or failing. Nothing of the last change was written; free space and start again."
                )
            elif "closed database" in text:
                advice = "This store was closed before; open it anew."
            elif "locked" in text:
                advice = "Another program holds it. Close that program and start again."
            elif "readonly" in text or "unable to open" in text:
                advice = "Check that the folder exists and may be written."
            else:
                advice = _DAMAGED
            return StoreError(f"{self.path}: cannot {wish}: {text}. {advice}")
        if isinstance(error, ValueError | TypeError | ArithmeticError):
            advice = _DAMAGED if wish in ("open", "read") else "No database can hold such a value; nothing was written."
            return StoreError(f"{self.path}: cannot {wish}: {error}. {advice}")
        return error

    def label(self, key: str) -> str | None:
        """What was written on the database under `key`, None when nothing was."""
        with self._explained("read"):
            found = self._one("SELECT value FROM meta WHERE key = ?", f"label:{key}")
            return None if found is None else str(found)

    def set_label(self, key: str, value: str) -> None:
        """Write on the database what it belongs to; it replaces what was there under `key`."""
        with self._explained("write"), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"label:{key}", value))

    @staticmethod
    def moved_to(path: Path) -> str | None:
        """Where a database was moved to, or was about to be when the move was interrupted; None for any other file."""
        if not path.is_file():
            return None
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db, suppress(sqlite3.Error):
            if db.execute("PRAGMA user_version").fetchone()[0] >= MOVED:
                return str(db.execute(_MOVED_TO).fetchone()[0])
        return None

    def move_away(self, to: str) -> None:
        """Let nobody open the file any more, and tell whoever tries that its bot is at `to`. This store still can."""
        with self._explained("write"), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('moved to', ?)", (to,))
            self._db.execute(f"PRAGMA user_version = {MOVED + SCHEMA_VERSION}")

    @staticmethod
    def move_back(path: Path) -> None:
        """Undo `move_away`. Raises StoreError when another process uses the file."""
        lock = SqliteStore._acquire(path)
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                db.execute(f"PRAGMA user_version = {version - MOVED}")
        finally:
            lock.release()

    def load(self) -> StoredState:
        with self._explained("read"):
            return StoredState(
                instances=tuple(
                    StoredInstance(*row)
                    for row in self._db.execute(
                        "SELECT instance, machine, digest, version, phase, updated_at, snapshot FROM instances "
                        "ORDER BY instance"
                    )
                ),
                open_intents=tuple(
                    Intent(*row)
                    for row in self._db.execute(
                        f"{_SELECT_INTENT} WHERE outcome IS NULL ORDER BY created_at, intent_id"
                    )
                ),
                identities=tuple(
                    (instance, identity, at, decode_receipt(receipt))
                    for instance, identity, at, receipt in self._db.execute(
                        "SELECT instance, identity, at, receipt FROM identities ORDER BY at"
                    )
                ),
                entries=tuple(self.journal()),
                balances={
                    (account, currency): Decimal(amount)
                    for account, currency, amount in self._db.execute("SELECT account, currency, amount FROM balances")
                },
                reservations=tuple(
                    Reservation(instance, currency, Decimal(cash), slots)
                    for instance, currency, cash, slots in self._db.execute(
                        "SELECT instance, currency, cash, slots FROM reservations"
                    )
                ),
            )

    def last_event_at(self) -> int | None:
        with self._explained("read"):
            at = self._one("SELECT at FROM audit ORDER BY seq DESC LIMIT 1")
            return None if at is None else int(at)

    def commit(self, commits: Sequence[Commit]) -> None:
        execute = self._db.execute
        try:
            execute("BEGIN IMMEDIATE")
            write_group(self._db, self.path, commits)
            execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if not isinstance(error, Exception):
                raise
            raise self._explanation("commit", error) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # A disk that is full may refuse this too; without its COMMIT the transaction is void all the same.
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def claim(self, claim: Claim) -> None:
        with self._explained("claim"), self._transaction():
            written = self._db.execute(
                "UPDATE outbox SET attempt = ?, claimed_at = ?, deadline = ? "
                "WHERE intent_id = ? AND attempt = ? AND outcome IS NULL",
                (claim.attempt, claim.claimed_at, claim.deadline, claim.intent_id, claim.attempt - 1),
            )
            if written.rowcount != 1:
                raise StoreConflictError(
                    f"{self.path}: intent {claim.intent_id} is finished, or not at attempt {claim.attempt - 1}"
                )

    def intent(self, intent_id: str) -> Intent | None:
        with self._explained("read"):
            row = self._db.execute(f"{_SELECT_INTENT} WHERE intent_id = ?", (intent_id,)).fetchone()
            return None if row is None else Intent(*row)

    def journal(self, instance: str | None = None) -> list[JournalEntry]:
        with self._explained("read"):
            return [
                JournalEntry(
                    entry_id,
                    owner,
                    at,
                    kind,
                    decode_postings(postings),
                    msgspec.json.decode(details, type=dict[str, str]),
                )
                for entry_id, owner, at, kind, details, postings in self._db.execute(
                    "SELECT entry_id, instance, at, kind, details, postings FROM journal "
                    "WHERE ?1 IS NULL OR instance = ?1 ORDER BY rowid",
                    (instance,),
                )
            ]

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        with self._explained("read"):
            rows = self._db.execute(
                "SELECT instance, version, at, event, identity, outcome, phase_from, phase_to, branch, actions, "
                "requested, payload, reason, error, digest FROM audit WHERE ?1 IS NULL OR instance = ?1 "
                "ORDER BY seq DESC LIMIT ?2",
                (instance, -1 if limit is None else limit),
            ).fetchall()
            return [_audit_row(row) for row in reversed(rows)]

    def branch_counts(self) -> dict[str, int]:
        with self._explained("read"):
            return dict(
                self._db.execute("SELECT branch, count(*) FROM audit WHERE branch != '' GROUP BY branch").fetchall()
            )

    def forget_identities(self, before: int) -> int:
        with self._explained("prune"), self._transaction():
            return self._db.execute("DELETE FROM identities WHERE at < ?", (before,)).rowcount

    def close(self) -> None:
        self._db.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _audit_row(row: tuple[Any, ...]) -> AuditRow:
    values = list(row)
    values[5] = Outcome(values[5])
    values[9], values[10] = tuple(values[9].split()), tuple(values[10].split())
    return AuditRow(*values)
