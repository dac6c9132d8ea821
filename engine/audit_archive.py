"""Old audit rows out of a bot's database and into a Parquet file that any tool reads, while the bot goes on.

First everything is in the file, on the disk, and read back; only then is it deleted. Whoever is killed in between has
the rows in both places, and `seq` tells that they are the same ones.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.errors import StoreError
from runtime.events import Outcome
from runtime.sqlite_store import SqliteStore
from runtime.store import AuditRow

_TEXTS = ("event", "identity", "outcome", "phase_from", "phase_to", "branch", "actions", "requested")
_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("instance", pa.string()),
        ("version", pa.int64()),
        ("at", pa.timestamp("ms", tz="UTC")),
        *((name, pa.string()) for name in _TEXTS),
        ("payload", pa.binary()),
        ("reason", pa.string()),
        ("error", pa.string()),
        ("digest", pa.string()),
    ]
)
_STORED = _SCHEMA.set(_SCHEMA.get_field_index("at"), pa.field("at", pa.int64()))
"""The same as the database has it: instants are numbers of milliseconds."""
_COLUMNS = ", ".join(_SCHEMA.names)
_PER_GROUP = 100_000
_PER_DELETE = 2_000
"""Rows that are deleted in one transaction: a running bot waits no longer than that takes."""


_PATIENCE = 30
"""How long (seconds) a bot that is writing is waited for."""


class Archived(msgspec.Struct, frozen=True):
    """What was moved: how many rows, the instants of the first and the last (milliseconds), and the file's bytes."""

    rows: int
    first_at: int
    last_at: int
    bytes: int


def archive_audit(database: Path, before: int, target: Path) -> Archived | None:
    """Move the audit rows that were written before `before` (milliseconds since the epoch, UTC) into `target`.

    The latest row stays in any case, and whatever follows the first row that is not older. The space in the database is
    used again, the file does not shrink. None when there is nothing so old.

    Raises:
        StoreError: there is a file of that name already, or one of the two cannot be used. Nothing was deleted, unless
            the message says so.
    """
    SqliteStore(database, read_only=True).close()  # whether it is ours, and whole
    if target.exists():
        raise StoreError(f"{target}: there is a file of this name, and an archive is never overwritten. Name another.")
    with _explained(database, "the archive cannot be made", " Nothing was deleted."), closing(_open(database)) as db:
        last = _last_seq(db, before)
        if last is None:
            return None
        partial = target.with_name(f"{target.name}.partial")
        try:
            archived = _read_back(partial, _write(db, last, partial), last)
            partial.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _delete(db, last, target)
    return archived


def archived_rows(archive: Path, instance: str, limit: int) -> list[AuditRow]:
    """The latest rows of an instance in an archive, oldest first.

    Raises:
        StoreError: the file cannot be read as one.
    """
    with _explained(archive, "the archive cannot be read"):
        table = pq.read_table(archive, schema=_SCHEMA, filters=pc.field("instance") == instance)
        rows = table.slice(max(table.num_rows - limit, 0)).cast(_STORED).drop_columns("seq").to_pylist()
    for row in rows:
        row["outcome"] = Outcome(row["outcome"])
        row["actions"], row["requested"] = tuple(row["actions"].split()), tuple(row["requested"].split())
    return [AuditRow(**row) for row in rows]


def _open(database: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_PATIENCE)
    db.execute("PRAGMA synchronous = FULL")
    return db


def _last_seq(db: sqlite3.Connection, before: int) -> int | None:
    """The last row to go. A clock that was set back leaves rows out of order; those after the first young one stay."""
    (young,) = db.execute("SELECT min(seq) FROM audit WHERE at >= ?", (before,)).fetchone()
    (latest,) = db.execute("SELECT max(seq) FROM audit").fetchone()
    (last,) = db.execute("SELECT max(seq) FROM audit WHERE seq < ?", (latest if young is None else young,)).fetchone()
    return None if last is None else int(last)


def _write(db: sqlite3.Connection, last: int, path: Path) -> int:
    """Write every row up to `last`. Returns how many there are."""
    count = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        after = 0
        while rows := db.execute(
            f"SELECT {_COLUMNS} FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_PER_GROUP}", (after, last)
        ).fetchall():
            columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
            writer.write_table(pa.table(columns, schema=_STORED).cast(_SCHEMA))
            after, count = rows[-1][0], count + len(rows)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return count


def _read_back(path: Path, rows: int, last: int) -> Archived:
    instants = pq.read_table(path, columns=["seq", "at"])
    if instants.num_rows != rows or instants["seq"][-1].as_py() != last:
        raise StoreError(f"{path}: the archive does not read back as it was written. Nothing was deleted; try again.")
    at = instants["at"].cast(pa.int64())
    return Archived(rows, at[0].as_py(), at[-1].as_py(), path.stat().st_size)


def _delete(db: sqlite3.Connection, last: int, target: Path) -> None:
    try:
        while db.execute(
            f"DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE seq <= ? ORDER BY seq LIMIT {_PER_DELETE})",
            (last,),
        ).rowcount:
            pass
    except sqlite3.Error as error:
        raise StoreError(
            f"{target} is complete, but not all of its rows could be deleted from the database ({error}). They are in "
            "both; the next archive will have the rest once more, with the same seq."
        ) from None


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _explained(path: Path, what: str, comfort: str = "") -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        text = str(error).rstrip(". ")
        raise StoreError(f"{path}: {what}: {text}.{comfort}") from None
