"""When the connection breaks, or the server, while something is written: what became of it is found out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from breaking_wire import Break, BreakingWire
from msgspec.structs import replace
from postgres_accounts import hold, let_expire, shut_gate
from postgres_server import PostgresServer

from runtime.effects import Claim
from runtime.errors import StoreAwayError, StoreConflictError, StoreError, StoreFencedError
from runtime.postgres.connection import Database
from runtime.postgres.store import PostgresStore
from runtime.store import Store
from runtime.store_contract import commit_of, intent

PATIENCE = 20.0


@pytest.fixture
def wire(postgres: PostgresServer) -> Iterator[BreakingWire]:
    wire = BreakingWire(postgres.port)
    yield wire
    wire.close()


@pytest.fixture
def wired(wire: BreakingWire, postgres: PostgresServer, database_url: str) -> Iterator[Database]:
    database = Database(database_url.replace(str(postgres.port), str(wire.port)), "wired")
    yield database
    database.close()


def open_store(database: Database, account: str, patience: float = PATIENCE) -> PostgresStore:
    store = PostgresStore(database, account, hold(database, account), patience=patience)
    store.commit([replace(commit_of("A"), requested=[intent("one")])])
    return store


def versions(store: Store) -> list[int]:
    """The version that each audited event of A found."""
    return [row.version for row in store.audit("A")]


@pytest.mark.parametrize(
    "breaks",
    [
        [Break.BEFORE],
        [Break.AFTER],
        [Break.LATE],
        # The question what became of it breaks as well, before or after it was answered, and so does what follows.
        [Break.BEFORE, Break.BEFORE],
        [Break.BEFORE, Break.AFTER],
        [Break.AFTER, Break.BEFORE],
        [Break.AFTER, Break.AFTER],
        [Break.LATE, Break.AFTER],
        [Break.BEFORE, Break.AFTER, Break.AFTER, Break.AFTER],
        [Break.LATE, Break.LATE, Break.LATE],
    ],
    ids=lambda breaks: "-".join(one.name for one in breaks),
)
def test_a_write_whose_answer_is_lost_is_there_exactly_once(
    wire: BreakingWire, wired: Database, request: pytest.FixtureRequest, breaks: list[Break]
) -> None:
    store = open_store(wired, request.node.name)
    wire.break_next(*breaks)
    store.commit([commit_of("A", expected=1, snapshot=None)])  # nothing but the order of writes makes it unique
    store.commit([commit_of("A", expected=1)])
    wire.break_next(*breaks)
    store.claim(Claim("one", "A", 2, 5000, 6000))
    wire.break_next(*breaks)
    store.commit([replace(commit_of("A", expected=2), finished=[("one", 2, "DONE")])])
    wire.break_next(*breaks)
    store.set_label("key", "value")
    wire.break_next(*breaks)
    store.forget_identities(0)
    wire.break_next(*breaks)
    assert versions(store) == [0, 1, 1, 2]
    assert store.load().instances[0].version == 3


def test_what_arrives_late_is_refused(wire: BreakingWire, wired: Database) -> None:
    store = open_store(wired, "late")
    wire.break_next(Break.LATE)
    store.commit([commit_of("A", expected=1, snapshot=None)])
    assert b"PW002" in wire.deliver_late()
    assert versions(store) == [0, 1]
    wire.break_next(Break.LATE, Break.LATE)
    store.commit([commit_of("A", expected=1)])
    wire.deliver_late()
    assert b"PW002" in wire.deliver_late()  # the question what became of it: answered by now, and without a say
    store.commit([commit_of("A", expected=2)])
    assert versions(store) == [0, 1, 1, 2]


@pytest.mark.parametrize("lost", [Break.BEFORE, Break.AFTER, Break.LATE])
def test_a_lost_write_whose_account_was_taken_meanwhile_is_not_claimed_to_be_there(
    wire: BreakingWire, wired: Database, database: Database, lost: Break
) -> None:
    store = open_store(wired, f"taken {lost.name}")
    with ThreadPoolExecutor(1) as threads:
        wire.break_next(lost, *[Break.BEFORE] * 4)
        committing = threads.submit(store.commit, [commit_of("A", expected=1)])
        second = PostgresStore(database, store.account, hold(database, store.account, "second"))
        with pytest.raises(StoreFencedError):
            committing.result(30)
    assert versions(second) in ([0], [0, 1])
    second.commit([commit_of("A", expected=len(versions(second)))])


def test_a_database_that_stays_away_leaves_the_account_to_others(
    wire: BreakingWire, wired: Database, database: Database
) -> None:
    for lost, found in ((Break.BEFORE, [0]), (Break.AFTER, [0, 1])):
        store = open_store(wired, f"away {lost.name}", patience=0.5)
        wire.break_next(lost, *[Break.BEFORE] * 10_000)
        with pytest.raises(StoreFencedError, match="could not be found out"):
            store.commit([commit_of("A", expected=1)])
        wire.mend()
        assert versions(PostgresStore(database, store.account)) == found


def test_a_database_that_is_away_before_anything_is_sent_is_waited_for(wire: BreakingWire, wired: Database) -> None:
    store = open_store(wired, "away at first")
    wire.go_down()
    with ThreadPoolExecutor(1) as threads:
        committing = threads.submit(store.commit, [commit_of("A", expected=1)])
        wire.come_up()
        committing.result(30)
    assert versions(store) == [0, 1]


@pytest.mark.parametrize(
    ("failure", "is_away"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
    ],
)
def test_a_machine_whose_network_is_not_up_yet_may_find_the_database_later(
    monkeypatch: pytest.MonkeyPatch, failure: OSError, is_away: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(StoreError) as told:
        Database("postgresql://owner:hidden-word@database.example/bot", "test")
    assert isinstance(told.value, StoreAwayError) is is_away
    assert "hidden-word" not in str(told.value)


def test_a_reader_waits_too(wire: BreakingWire, wired: Database) -> None:
    store = open_store(wired, "reader")
    wire.break_next(Break.BEFORE, Break.AFTER)
    assert store.load().instances[0].version == 1
    wire.break_next(Break.AFTER)
    assert store.intent("one") == intent("one")


def test_a_lease_that_ran_out_while_the_answer_was_lost(
    wire: BreakingWire, wired: Database, database: Database
) -> None:
    for lost in (Break.BEFORE, Break.LATE):
        store = open_store(wired, f"ran out {lost.name}")
        let_expire(database, store.account)
        wire.break_next(lost)
        with pytest.raises(StoreFencedError):
            store.commit([commit_of("A", expected=1)])
        assert versions(store) == [0]


def test_a_take_over_waits_for_a_commit_that_is_under_way(database: Database, database_url: str) -> None:
    store = open_store(database, "under way")
    with psycopg.connect(database_url, autocommit=True) as gate, ThreadPoolExecutor(2) as threads:
        shut_gate(gate)
        committing = threads.submit(store.commit, [commit_of("A", expected=1)])
        _wait_for_waiters(gate, 1)
        taking = threads.submit(hold, database, store.account, "second")
        _wait_for_waiters(gate, 2)
        assert not taking.done()
        gate.execute("SELECT pg_advisory_unlock(1)")
        committing.result(30)
        second = PostgresStore(database, store.account, taking.result(30))
        gate.execute("DROP TRIGGER gate ON audit")
    assert versions(second) == [0, 1]
    second.commit([commit_of("A", expected=2)])


def test_a_server_process_that_is_ended_in_the_middle_of_a_commit(database: Database, database_url: str) -> None:
    store = open_store(database, "ended")
    with psycopg.connect(database_url, autocommit=True) as gate, ThreadPoolExecutor(1) as threads:
        shut_gate(gate)
        committing = threads.submit(store.commit, [commit_of("A", expected=1)])
        _wait_for_waiters(gate, 1)
        gate.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        gate.execute("SELECT pg_advisory_unlock(1)")
        committing.result(30)
        gate.execute("DROP TRIGGER gate ON audit")
    assert versions(store) == [0, 1]


def _wait_for_waiters(connection: psycopg.Connection, count: int) -> None:
    while True:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        if row is not None and row[0] >= count:
            return


def test_a_server_that_dies_and_comes_back_loses_and_doubles_nothing(
    postgres: PostgresServer, database: Database
) -> None:
    store = open_store(database, "restarts")
    stopping, running = Event(), Event()

    def commit_on() -> int:
        version = 1
        while not stopping.is_set():
            store.commit([commit_of("A", expected=version)])
            version += 1
            running.set()
        return version

    with ThreadPoolExecutor(1) as threads:
        committing = threads.submit(commit_on)
        try:
            for stop in (postgres.kill, postgres.stop):
                running.clear()
                assert running.wait(30)
                stop()
                postgres.start()
            running.clear()
            assert running.wait(30)
        finally:
            stopping.set()
        version = committing.result(60)
    assert versions(store) == list(range(version))
    assert store.load().instances[0].version == version


def test_a_restart_between_two_commits_is_not_noticed(postgres: PostgresServer, database: Database) -> None:
    store = open_store(database, "between")
    postgres.kill()
    postgres.start()
    store.commit([commit_of("A", expected=1)])
    assert versions(store) == [0, 1]


def test_a_server_that_refuses_has_written_nothing(database: Database, database_url: str) -> None:
    store = open_store(database, "refusing")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0], MESSAGE = ''no''; END'"
        )
        for state, advice in (("53100", "disk is full"), ("58030", "disk is failing"), ("57014", "statement_timeout")):
            owner.execute(
                f"CREATE TRIGGER refusing BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuse('{state}')"
            )
            with pytest.raises(StoreError, match=advice) as refused:
                store.commit([commit_of("A", expected=1)])
            assert not isinstance(refused.value, StoreFencedError | StoreConflictError)
            owner.execute("DROP TRIGGER refusing ON audit")
            assert versions(store) == [0]
    store.commit([commit_of("A", expected=1)])
    assert versions(store) == [0, 1]


def test_waiting_too_long_writes_nothing(database: Database, database_url: str) -> None:
    impatient = Database(f"{database_url}?options=-c%20lock_timeout%3D100ms", "impatient")
    try:
        store = open_store(impatient, "locked")
        with psycopg.connect(database_url) as other:
            other.execute("SELECT 1 FROM accounts WHERE account = 'locked' FOR UPDATE")
            with pytest.raises(StoreError, match="locked for too long"):
                store.commit([commit_of("A", expected=1)])
        store.commit([commit_of("A", expected=1)])
        assert versions(store) == [0, 1]
    finally:
        impatient.close()
