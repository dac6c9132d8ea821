"""A file that cannot be used: one message that says where and what to do, nothing lost, nothing written."""

import hashlib
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime import sqlite_store
from runtime.errors import StoreError
from runtime.sqlite_store import APPLICATION_ID, SCHEMA_VERSION, SqliteStore
from runtime.store_contract import commit_of, everything, full_commit, prepare


def written(path: Path) -> Path:
    store = SqliteStore(path)
    prepare(store)
    store.close()
    return path


def refused(path: Path, *texts: str, **how: Any) -> None:
    """Opening must fail with one message that names the file and every one of `texts`, and leave the file alone."""
    before = files(path.parent) if path.parent.is_dir() else {}
    with pytest.raises(StoreError) as caught:
        SqliteStore(path, **how)
    message = str(caught.value)
    for text in (str(path), *texts):
        assert text in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert (files(path.parent) if path.parent.is_dir() else {}) == before


def files(folder: Path) -> dict[str, str]:
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.iterdir()
        if one.is_file() and one.suffix != ".lock"
    }


def child(code: str, *args: object) -> "subprocess.Popen[str]":
    """Another process that has the runtime at hand."""
    prelude = "import sys; from pathlib import Path; from runtime.sqlite_store import SqliteStore\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- two at once ---------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_may_look(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    other = child("s = SqliteStore(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read(); s.close()", path)
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    refused(path, "another process is using this database", "Stop the other one")
    looking = SqliteStore(path, read_only=True)
    assert looking.load().instances[0].instance == "BTC/USD"
    looking.close()
    other.communicate("")
    assert other.returncode == 0
    SqliteStore(path).close()


def test_a_second_process_is_refused_under_another_name_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    store = SqliteStore(path)
    refused(link, "another process")
    store.close()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    other = child("s = SqliteStore(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()", path)
    assert other.stdout is not None
    other.stdout.readline()
    other.kill()
    other.communicate()
    SqliteStore(path).close()


def test_whoever_looks_cannot_write(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    looking = SqliteStore(path, read_only=True)
    before = everything(looking)
    with pytest.raises(StoreError):
        looking.commit([commit_of("B")])
    with pytest.raises(StoreError):
        looking.forget_identities(10**15)
    assert everything(looking) == before
    looking.close()


def test_a_reader_sees_what_is_committed_meanwhile(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "bot.db")
    looking = SqliteStore(tmp_path / "bot.db", read_only=True)
    assert looking.load().instances == ()
    store.commit([full_commit()])
    assert everything(looking) == everything(store)
    looking.close()
    store.close()


def test_another_program_that_holds_the_file_is_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    store = SqliteStore(path)
    store._db.execute("PRAGMA busy_timeout = 0")
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="Another program holds it"):
        store.commit([commit_of("B")])
    shell.execute("ROLLBACK")
    shell.close()
    store.commit([commit_of("B")])
    store.close()


# -- files that are not what they should be ------------------------------------------------------------------------


def test_a_missing_file_cannot_be_looked_at_and_is_not_made(tmp_path: Path) -> None:
    refused(tmp_path / "bot.db", "there is no such database", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_can_become_a_database_but_not_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    path.touch()
    refused(path, "empty", read_only=True)
    SqliteStore(path).close()
    SqliteStore(path, read_only=True).close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "photos.db"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE photos (name TEXT)")
    foreign.commit()
    foreign.close()
    refused(path, "another program", "Nothing was written", "--db", read_only=read_only)
    assert path.read_bytes()[18:20] == b"\x01\x01", "not even switched to WAL"


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    refused(path, f"schema version {SCHEMA_VERSION + 1}", f"reads version {SCHEMA_VERSION}", "Nothing was written")
    refused(path, f"schema version {SCHEMA_VERSION + 1}", read_only=True)


@pytest.mark.parametrize(
    "content",
    [b"time,open,close\n1,2,3\n" * 100, b"\x00" * 8192, random.Random(1).randbytes(8192), b"SQLite format 3\x00"],
    ids=["text", "zeros", "noise", "a header"],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, read_only: bool) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(content)
    refused(path, "damaged or not a database", "backup", read_only=read_only)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = written(tmp_path / "whole.db")
    whole = path.read_bytes()
    for length in (50, 1_000, 4096, 4096 * 2, 4096 * 5, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        (tmp_path / str(length)).mkdir()
        cut = tmp_path / str(length) / "bot.db"
        cut.write_bytes(whole[:length])
        refused(cut, "damaged", "restore a backup")


def test_a_flipped_page_is_noticed_at_the_start(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    whole = bytearray(path.read_bytes())
    for page in range(1, len(whole) // 4096):
        spoiled = whole.copy()
        spoiled[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
        (tmp_path / str(page)).mkdir()
        cut = tmp_path / str(page) / "bot.db"
        cut.write_bytes(spoiled)
        refused(cut, "damaged")


def test_of_a_long_history_only_what_a_start_needs_is_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "bot.db")
    with sqlite3.connect(path) as db:
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))
    whole = path.read_bytes()

    def spoil(table: str) -> None:
        at = (roots[table] - 1) * 4096
        path.write_bytes(whole[:at] + b"\xa5" * 64 + whole[at + 64 :])

    monkeypatch.setattr(sqlite_store, "_CHECKED_WHOLE", 0)
    for table in ("instances", "outbox", "journal", "balances", "identities"):
        spoil(table)
        refused(path, "damaged")
    spoil("audit")
    store = SqliteStore(path)
    assert len(store.load().instances) == 1
    with pytest.raises(StoreError, match="damaged"):
        store.audit()
    store.close()


@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("UPDATE identities SET receipt = x'00'", "load"),
        ("UPDATE journal SET postings = x'5b7b'", "load"),
        ("UPDATE balances SET amount = 'a lot'", "load"),
        ("UPDATE reservations SET cash = ''", "load"),
        ("UPDATE audit SET outcome = 'shrugged'", "audit"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, statement: str, call: str) -> None:
    path = written(tmp_path / "bot.db")
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="damaged"):
        getattr(store, call)()
    store.close()


def test_a_value_that_no_database_can_hold_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "bot.db")
    for bad in (commit_of("half a pair \ud800"), commit_of("A", at=2**63)):
        with pytest.raises(StoreError, match="No database can hold"):
            store.commit([commit_of("innocent"), bad])
    assert store.load().instances == ()
    assert store.audit() == []
    store.close()


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("in the way")
    for path in (in_the_way / "bot.db", in_the_way / "folder" / "bot.db"):
        refused(path, "Choose another place with --db")
    refused(tmp_path, "unable to open", "Check that the folder exists")


def test_a_name_that_means_something_to_sqlite_is_a_name(tmp_path: Path) -> None:
    for name in ("what?.db", "100%.db", "a#b.db", "a b.db", ":memory:", "Ünïcödé.db"):
        store = SqliteStore(tmp_path / name)
        store.commit([commit_of("A")])
        store.close()
        assert (tmp_path / name).stat().st_size > 0
        looking = SqliteStore(tmp_path / name, read_only=True)
        assert len(looking.load().instances) == 1
        looking.close()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "a" / "b" / "bot.db").close()


# -- how it writes -------------------------------------------------------------------------------------------------


def test_a_live_bot_waits_for_the_disk(tmp_path: Path) -> None:
    for durable, synchronous in ((True, 2), (False, 1)):
        store = SqliteStore(tmp_path / f"{durable}.db", durable=durable)
        assert store._one("PRAGMA journal_mode") == "wal"
        assert store._one("PRAGMA synchronous") == synchronous
        assert store._one("PRAGMA application_id") == APPLICATION_ID
        store.close()


def test_a_namespace_is_kept_and_can_be_anything(tmp_path: Path) -> None:
    for number, name in enumerate(("it's", 'a "name"', "'); DROP TABLE meta; --")):
        path = tmp_path / f"{number}.db"
        SqliteStore(path, namespace=name).close()
        store = SqliteStore(path, namespace="another")
        assert store.namespace == name
        store.close()


FULL_DISK = """
import resource, json
from runtime.store_contract import commit_of, everything
from runtime.errors import StoreError
from msgspec.structs import replace
path = Path(sys.argv[1])
store = SqliteStore(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
acknowledged = 0
try:
    while True:
        commit = commit_of("A", expected=acknowledged, snapshot=b"x" * 5_000)
        store.commit([commit, commit_of(f"other {acknowledged}")])
        acknowledged += 1
except StoreError as error:
    print(json.dumps([acknowledged, str(error), len(store.audit("A")), store.load().instances[0].version]))
"""


def test_a_full_disk_stops_with_one_message_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writes beyond it fail as they do on a full one."""
    path = tmp_path / "bot.db"
    other = child(FULL_DISK, path)
    out, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    acknowledged, message, rows, version = json.loads(out)
    assert acknowledged > 3
    assert rows == version == acknowledged, "the process that was refused sees nothing of what was refused"
    for text in (str(path), "cannot commit", "free space and start again"):
        assert text in message
    store = SqliteStore(path)
    instances = store.load().instances
    assert instances[0].version == len(store.audit("A")) == acknowledged
    assert len(instances) == acknowledged + 1
    store.commit([commit_of("A", expected=acknowledged)])
    store.close()


def test_a_label_stays_on_the_file_and_can_be_replaced(tmp_path: Path) -> None:
    path = written(tmp_path / "bot.db")
    store = SqliteStore(path)
    before = everything(store)
    assert store.label("account") is None
    store.set_label("account", "mine")
    store.set_label("account", "still mine")
    assert everything(store) == before
    store.close()
    reader = SqliteStore(path, read_only=True)
    assert reader.label("account") == "still mine"
    assert reader.label("another") is None
    with pytest.raises(StoreError, match="cannot write"):
        reader.set_label("account", "theirs")
    reader.close()
