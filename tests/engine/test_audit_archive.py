"""Old audit rows go into a Parquet file, and out of the database only after that."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from engine import audit_archive
from engine.audit_archive import Archived, archive_audit, archived_rows
from engine.stores import Place, SharedPlace, reading
from runtime.errors import StoreError
from runtime.postgres.connection import Database
from runtime.postgres.store import PostgresStore
from runtime.sqlite_store import SqliteStore
from runtime.store import AuditRow
from runtime.store_contract import commit_of

sys.path.append(str(Path(__file__).parents[1] / "runtime" / "postgres"))

from postgres_accounts import hold
from postgres_server import PostgresServer, database_url, postgres

__all__ = ["database_url", "postgres"]


class Bot:
    """A running bot with ten events each of two instances, a second apart, the first at 1000."""

    def __init__(self, place: Place, store: SqliteStore | PostgresStore) -> None:
        self.place = place
        self.store = store
        write_events(store)

    def audit(self, instance: str) -> list[AuditRow]:
        with reading(self.place) as store:
            return store.audit(instance)

    def instants(self, instance: str) -> list[int]:
        return [row.at for row in self.audit(instance)]


def write_events(store: SqliteStore | PostgresStore) -> None:
    for version in range(10):
        at = 1000 * (version + 1)
        awkward = commit_of("B", expected=version, at=at)
        awkward.audit = [replace(awkward.audit[0], payload=b"\x00\xff", error="Ünï\n\tcödé\0", identity="")]
        store.commit([commit_of("A", expected=version, at=at), awkward])


@pytest.fixture
def file_bot(tmp_path: Path) -> Iterator[Bot]:
    path = tmp_path / "bot.db"
    store = SqliteStore(path)
    yield Bot(path, store)
    store.close()


@pytest.fixture
def shared_bot(postgres: PostgresServer, tmp_path: Path) -> Iterator[Bot]:
    url = postgres.new_database()
    database = Database(url, "bot")
    for account in ("neighbour", "ours"):
        store = PostgresStore(database, account, hold(database, account))
        if account == "neighbour":
            write_events(store)
    yield Bot(SharedPlace(url, "ours", tmp_path), store)
    database.close()


@pytest.fixture(params=["file_bot", "shared_bot"])
def bot(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_old_rows_are_in_the_archive_as_they_were_and_no_longer_in_the_database(bot: Bot, tmp_path: Path) -> None:
    before = bot.audit("A"), bot.audit("B")
    archive = tmp_path / "old.parquet"
    moved = archive_audit(bot.place, 6000, archive)
    assert moved == Archived(10, 1000, 5000, archive.stat().st_size)
    assert archived_rows(archive, "A", 99) == before[0][:5]
    assert archived_rows(archive, "B", 2) == before[1][3:5]
    assert bot.instants("A") == bot.instants("B") == [6000, 7000, 8000, 9000, 10000]


def test_a_bot_writes_on_while_its_rows_are_moved(bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_archive, "_PER_DELETE", 1)
    monkeypatch.setattr(audit_archive, "_PER_GROUP", 3)
    read_back = audit_archive._read_back

    def meanwhile(*written: Any) -> Archived:
        bot.store.commit([commit_of("A", expected=10, at=11_000)])
        return read_back(*written)

    monkeypatch.setattr(audit_archive, "_read_back", meanwhile)
    archive_audit(bot.place, 6000, tmp_path / "old.parquet")
    bot.store.commit([commit_of("A", expected=11, at=12_000)])
    assert bot.store.load().instances[0].version == 12
    assert bot.store.last_event_at() == 12_000
    assert bot.instants("A") == [6000, 7000, 8000, 9000, 10_000, 11_000, 12_000]


def test_the_latest_row_stays_and_a_second_archive_has_what_the_first_has_not(bot: Bot, tmp_path: Path) -> None:
    archive_audit(bot.place, 3000, tmp_path / "one.parquet")
    archive_audit(bot.place, 99_000, tmp_path / "two.parquet")
    assert bot.instants("A") == []
    assert bot.instants("B") == [10_000]
    assert len(archived_rows(tmp_path / "one.parquet", "A", 99)) == 2
    assert len(archived_rows(tmp_path / "two.parquet", "A", 99)) == 8
    assert archive_audit(bot.place, 99_000, tmp_path / "three.parquet") is None
    assert not (tmp_path / "three.parquet").exists()


def test_rows_of_a_clock_that_was_set_back_stay_behind_the_first_young_one(bot: Bot, tmp_path: Path) -> None:
    bot.store.commit([commit_of("A", expected=10, at=500)])
    bot.store.commit([commit_of("A", expected=11, at=20_000)])
    archive_audit(bot.place, 6000, tmp_path / "old.parquet")
    assert bot.instants("A")[-2:] == [500, 20_000]


def test_an_archive_is_never_overwritten(bot: Bot, tmp_path: Path) -> None:
    archive = tmp_path / "old.parquet"
    archive.write_text("precious")
    with pytest.raises(StoreError, match="never overwritten"):
        archive_audit(bot.place, 6000, archive)
    assert archive.read_text() == "precious"
    assert len(bot.audit("A")) == 10


def test_nor_is_one_that_was_begun_at_the_same_time_and_is_done_first(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, archive = audit_archive._write, tmp_path / "old.parquet"

    def meanwhile(*what: Any) -> int:
        monkeypatch.setattr(audit_archive, "_write", write)
        archive_audit(bot.place, 3000, archive)
        return write(*what)

    monkeypatch.setattr(audit_archive, "_write", meanwhile)
    with pytest.raises(StoreError, match=r"File exists.* Nothing was deleted"):
        archive_audit(bot.place, 6000, archive)
    assert len(archived_rows(archive, "A", 99)) == 2
    assert bot.instants("A") == [3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]
    assert [path.name for path in tmp_path.glob("*.parquet*")] == ["old.parquet"]


def test_what_cannot_be_written_is_not_deleted(bot: Bot, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no folder .* Nothing was archived"):
        archive_audit(bot.place, 6000, tmp_path / "no such folder" / "old.parquet")
    (tmp_path / "old.parquet.partial").mkdir()
    with pytest.raises(StoreError, match="Nothing was deleted"):
        archive_audit(bot.place, 6000, tmp_path / "old.parquet")
    assert len(bot.audit("A")) == 10


def test_nothing_is_deleted_of_an_archive_that_reads_back_otherwise(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pq.read_table
    monkeypatch.setattr(pq, "read_table", lambda *args, **kwargs: whole(*args, **kwargs).slice(1))
    with pytest.raises(StoreError, match="does not read back"):
        archive_audit(bot.place, 6000, tmp_path / "old.parquet")
    assert len(bot.audit("A")) == 10
    assert list(tmp_path.glob("*.parquet*")) == []


def test_a_database_that_is_locked_for_good_keeps_its_rows(
    file_bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_archive, "_PATIENCE", 0.01)
    held = sqlite3.connect(str(file_bot.place), isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"They are in\s+both"):
        archive_audit(file_bot.place, 6000, tmp_path / "old.parquet")
    held.execute("ROLLBACK")
    held.close()
    assert len(file_bot.audit("A")) == 10
    assert len(archived_rows(tmp_path / "old.parquet", "A", 99)) == 5


def test_nothing_is_archived_where_nothing_may_be_deleted(shared_bot: Bot, tmp_path: Path) -> None:
    place = shared_bot.place
    assert isinstance(place, SharedPlace)
    looking = replace(place, url=f"{place.url}?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(StoreError, match="this database is read-only for this user"):
        archive_audit(looking, 6000, tmp_path / "old.parquet")
    assert not (tmp_path / "old.parquet").exists()


def test_another_account_keeps_its_rows(shared_bot: Bot, tmp_path: Path) -> None:
    place = shared_bot.place
    assert isinstance(place, SharedPlace)
    archive_audit(place, 99_000, tmp_path / "old.parquet")
    with reading(replace(place, account="neighbour")) as store:
        assert len(store.audit()) == 20


def test_which_account_must_be_said_where_there_are_several(shared_bot: Bot, tmp_path: Path) -> None:
    place = shared_bot.place
    assert isinstance(place, SharedPlace)
    with pytest.raises(StoreError, match="neighbour, ours"):
        archive_audit(replace(place, account=None), 99_000, tmp_path / "old.parquet")


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(StoreError, match=r"cannot be read.*that `phasewright archive` wrote"):
        archived_rows(tmp_path / "notes.txt", "A", 1)
    with pytest.raises(StoreError, match="there is no such file"):
        archived_rows(tmp_path / "none.parquet", "A", 1)
