"""Old audit rows out of a bot's database and into a Parquet file that any tool reads, while the bot goes on.

First everything is in the file, on the disk, and read back; only then is it deleted. Whoever is killed in between has
the rows in both places, and `seq` tells that they are the same ones. No lease is needed in PostgreSQL: old rows are
never written again, and whoever trades reads none of them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.stores import Place, SharedPlace, account_of
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

_Query = Callable[..., list[tuple[Any, ...]]]
"""Does a statement in a transaction of its own, and gives its rows. What it is about begins with `{audit}`, the rows of
one bot, and goes on with `AND`; its values stand at the question marks."""


class Archived(msgspec.Struct, frozen=True):
    """What was moved: how many rows, the instants of the first and the last (milliseconds), and the file's bytes."""

    rows: int
    first_at: int
    last_at: int
    bytes: int


def archive_audit(place: Place, before: int, target: Path) -> Archived | None:
    """Move the audit rows that were written before `before` (milliseconds since the epoch, UTC) into `target`.

    The latest row stays in any case, and whatever follows the first row that is not older. The space in the database is
    used again, the file does not shrink. None when there is nothing so old.

    Raises:
        StoreError: there is a file of that name already, or one of the two cannot be used. Nothing was deleted, unless
            the message says so.
    """
    if target.exists():
        raise StoreError(f"{target}: there is a file of this name, and an archive is never overwritten. Name another.")
    if not target.parent.is_dir():
        raise StoreError(
            f"{target}: there is no folder {target.parent}. Nothing was archived; make it, or name another."
        )
    with _explained(place, "the archive cannot be made", " Nothing was deleted."), _opened(place) as query:
        last = _last_seq(query, before)
        if last is None:
            return None
        partial = target.with_name(f"{target.name}.partial")
        # Of one that was killed; one that is at work keeps its file without the name, and finds nothing to read back.
        partial.unlink(missing_ok=True)
        try:
            archived = _read_back(partial, _write(query, last, partial), last)
            os.link(partial, target)  # refused if another archive has got the name by now
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
        _delete(query, last, target)
    return archived


def archived_rows(archive: Path, instance: str, limit: int) -> list[AuditRow]:
    """The latest rows of an instance in an archive, oldest first.

    Raises:
        StoreError: the file cannot be read as one.
    """
    if not archive.is_file():
        raise StoreError(f"{archive}: there is no such file. Name one that `phasewright archive` wrote.")
    with _explained(archive, "the archive cannot be read", " Name a file that `phasewright archive` wrote."):
        table = pq.read_table(archive, schema=_SCHEMA, filters=pc.field("instance") == instance)
        rows = table.slice(max(table.num_rows - limit, 0)).cast(_STORED).drop_columns("seq").to_pylist()
    for row in rows:
        row["outcome"] = Outcome(row["outcome"])
        row["actions"], row["requested"] = tuple(row["actions"].split()), tuple(row["requested"].split())
    return [AuditRow(**row) for row in rows]


@contextmanager
def _opened(place: Place) -> Iterator[_Query]:
    if isinstance(place, SharedPlace):
        from runtime.postgres.connection import Database

        account = account_of(place)
        with closing(Database(place.url, "archive", connections=1)) as database:
            yield lambda text, *values: database.execute(
                "archive", text.format(audit="audit WHERE account = %s").replace("?", "%s"), account, *values
            )
        return
    SqliteStore(place, read_only=True).close()  # whether it is ours, and whole
    found = f"{place.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(found, uri=True, isolation_level=None, timeout=_PATIENCE)) as file:
        file.execute("PRAGMA synchronous = FULL")
        yield lambda text, *values: file.execute(text.format(audit="audit WHERE TRUE"), values).fetchall()


def _last_seq(query: _Query, before: int) -> int | None:
    """The last row to go. A clock that was set back leaves rows out of order; those after the first young one stay."""
    ((young,),) = query("SELECT min(seq) FROM {audit} AND at >= ?", before)
    ((latest,),) = query("SELECT max(seq) FROM {audit}")
    ((last,),) = query("SELECT max(seq) FROM {audit} AND seq < ?", latest if young is None else young)
    return None if last is None else int(last)


def _write(query: _Query, last: int, path: Path) -> int:
    """Write every row up to `last`. Returns how many there are."""
    count = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        after = 0
        while rows := query(
            f"SELECT {_COLUMNS} FROM {{audit}} AND seq > ? AND seq <= ? ORDER BY seq LIMIT {_PER_GROUP}", after, last
        ):
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


def _delete(query: _Query, last: int, target: Path) -> None:
    oldest = f"SELECT max(seq) FROM (SELECT seq FROM {{audit}} AND seq <= ? ORDER BY seq LIMIT {_PER_DELETE}) AS oldest"
    try:
        while (up_to := query(oldest, last)[0][0]) is not None:
            query("DELETE FROM {audit} AND seq <= ?", up_to)
    except (sqlite3.Error, StoreError) as error:
        raise StoreError(
            f"{target} is complete, but not all of its rows could be deleted from the database "
            f"({str(error).rstrip('.')}). They are in both; the next archive will have the rest once more, with the "
            "same seq."
        ) from None


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _explained(path: Place, what: str, comfort: str = "") -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        text = str(error).rstrip(". ")
        raise StoreError(f"{path}: {what}: {text}.{comfort}") from None
