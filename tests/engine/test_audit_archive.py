"""Old audit rows go into a Parquet file, and out of the database only after that."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from engine import audit_archive
from engine.audit_archive import Archived, archive_audit, archived_rows
from runtime.errors import StoreError
from runtime.sqlite_store import SqliteStore
from runtime.store_contract import commit_of


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Ten events each of two instances, a second apart, the first at 1000."""
    path = tmp_path / "bot.db"
    store = SqliteStore(path)
    for version in range(10):
        at = 1000 * (version + 1)
        awkward = commit_of("B", expected=version, at=at)
        awkward.audit = [replace(awkward.audit[0], payload=b"\x00\xff", error="Ünï\n\tcödé", identity="")]
        store.commit([commit_of("A", expected=version, at=at), awkward])
    store.close()
    return path


def audit_of(path: Path, instance: str) -> list[int]:
    store = SqliteStore(path, read_only=True)
    try:
        return [row.at for row in store.audit(instance)]
    finally:
        store.close()


def test_old_rows_are_in_the_archive_as_they_were_and_no_longer_in_the_database(database: Path, tmp_path: Path) -> None:
    store = SqliteStore(database, read_only=True)
    before = store.audit("A"), store.audit("B")
    store.close()
    archive = tmp_path / "old.parquet"
    moved = archive_audit(database, 6000, archive)
    assert moved == Archived(10, 1000, 5000, archive.stat().st_size)
    assert archived_rows(archive, "A", 99) == before[0][:5]
    assert archived_rows(archive, "B", 2) == before[1][3:5]
    assert audit_of(database, "A") == audit_of(database, "B") == [6000, 7000, 8000, 9000, 10000]


def test_a_bot_writes_on_while_its_rows_are_moved(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_archive, "_PER_DELETE", 1)
    store = SqliteStore(database)
    archive_audit(database, 6000, tmp_path / "old.parquet")
    store.commit([commit_of("A", expected=10, at=11_000)])
    assert store.load().instances[0].version == 11
    assert store.last_event_at() == 11_000
    store.close()


def test_the_latest_row_stays_and_a_second_archive_has_what_the_first_has_not(database: Path, tmp_path: Path) -> None:
    archive_audit(database, 3000, tmp_path / "one.parquet")
    archive_audit(database, 99_000, tmp_path / "two.parquet")
    assert audit_of(database, "A") == []
    assert audit_of(database, "B") == [10_000]
    assert len(archived_rows(tmp_path / "one.parquet", "A", 99)) == 2
    assert len(archived_rows(tmp_path / "two.parquet", "A", 99)) == 8
    assert archive_audit(database, 99_000, tmp_path / "three.parquet") is None
    assert not (tmp_path / "three.parquet").exists()


def test_rows_of_a_clock_that_was_set_back_stay_behind_the_first_young_one(database: Path, tmp_path: Path) -> None:
    store = SqliteStore(database)
    store.commit([commit_of("A", expected=10, at=500)])
    store.commit([commit_of("A", expected=11, at=20_000)])
    store.close()
    archive_audit(database, 6000, tmp_path / "old.parquet")
    assert audit_of(database, "A")[-2:] == [500, 20_000]


def test_an_archive_is_never_overwritten(database: Path, tmp_path: Path) -> None:
    archive = tmp_path / "old.parquet"
    archive.write_text("precious")
    with pytest.raises(StoreError, match="never overwritten"):
        archive_audit(database, 6000, archive)
    assert archive.read_text() == "precious"
    assert len(audit_of(database, "A")) == 10


def test_what_cannot_be_written_is_not_deleted(database: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Nothing was deleted"):
        archive_audit(database, 6000, tmp_path / "no such folder" / "old.parquet")
    assert len(audit_of(database, "A")) == 10


def test_nothing_is_deleted_of_an_archive_that_reads_back_otherwise(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pq.read_table
    monkeypatch.setattr(pq, "read_table", lambda *args, **kwargs: whole(*args, **kwargs).slice(1))
    with pytest.raises(StoreError, match="does not read back"):
        archive_audit(database, 6000, tmp_path / "old.parquet")
    assert len(audit_of(database, "A")) == 10
    assert list(tmp_path.glob("*.parquet*")) == []


def test_a_database_that_is_locked_for_good_keeps_its_rows(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_archive, "_PATIENCE", 0.01)
    held = sqlite3.connect(database, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"They are in\s+both"):
        archive_audit(database, 6000, tmp_path / "old.parquet")
    held.execute("ROLLBACK")
    held.close()
    assert len(audit_of(database, "A")) == 10
    assert len(archived_rows(tmp_path / "old.parquet", "A", 99)) == 5


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(StoreError, match="cannot be read"):
        archived_rows(tmp_path / "notes.txt", "A", 1)
