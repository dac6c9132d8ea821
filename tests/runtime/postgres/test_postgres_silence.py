"""When nothing comes from the server any more and no connection breaks: nobody waits for it without end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from breaking_wire import Break, BreakingWire
from postgres_accounts import hold, shut_gate
from postgres_server import PostgresServer

from runtime.errors import StoreError, StoreFencedError
from runtime.postgres.connection import Database
from runtime.postgres.leases import PostgresLeases
from runtime.postgres.store import PostgresStore
from runtime.store import Store
from runtime.store_contract import commit_of

PATIENCE = 1.5
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def alone(database_url: str) -> Iterator[Database]:
    """With one connection, so that a test knows which one comes next."""
    database = Database(database_url, "alone", connections=1)
    yield database
    database.close()


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


def open_store(database: Database, account: str) -> PostgresStore:
    store = PostgresStore(database, account, hold(database, account), patience=PATIENCE)
    store.commit([commit_of("A")])
    return store


def versions(store: Store) -> list[int]:
    return [row.version for row in store.audit("A")]


@contextmanager
def stopped(owner: psycopg.Connection, name: str) -> Iterator[None]:
    """The server's one process for the client of this name does nothing; afterwards it goes on until it has seen that
    its client is gone."""
    (pid,) = _one(owner, "SELECT pid FROM pg_stat_activity WHERE application_name = %s", name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
    while _one(owner, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) != (0,):
        pass


def _one(connection: psycopg.Connection, query: str, *values: object) -> tuple[int]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return (row[0],)


def test_a_commit_that_a_stopped_server_process_has_before_it_is_written_elsewhere_and_there_once(
    owner: psycopg.Connection, alone: Database
) -> None:
    store = open_store(alone, "stopped")
    with stopped(owner, "phasewright alone"):
        store.commit([commit_of("A", expected=1, snapshot=None)])
        store.commit([commit_of("A", expected=1)])
        assert versions(store) == [0, 1, 1]
    assert versions(store) == [0, 1, 1]
    store.commit([commit_of("A", expected=2)])


def test_a_server_process_that_stops_in_the_middle_of_a_commit_and_keeps_its_locks(
    owner: psycopg.Connection, alone: Database, database: Database
) -> None:
    store = open_store(alone, "in the middle")
    shut_gate(owner)
    with ThreadPoolExecutor(1) as threads:
        committing = threads.submit(store.commit, [commit_of("A", expected=1)])
        while _one(owner, "SELECT count(*) FROM pg_locks WHERE NOT granted") != (1,):
            pass
        with stopped(owner, "phasewright alone"):
            with pytest.raises(StoreFencedError, match="could not be found out"):
                committing.result(30)
            owner.execute("SELECT pg_advisory_unlock(1)")
    owner.execute("DROP TRIGGER gate ON audit")
    second = PostgresStore(database, store.account, hold(database, store.account, "second"))
    found = versions(second)
    assert found in ([0], [0, 1])
    second.commit([commit_of("A", expected=len(found))])


def test_an_answer_that_never_comes_is_found_out(wire: BreakingWire, wired: Database) -> None:
    store = open_store(wired, "stuck")
    wire.break_next(Break.STUCK)
    store.commit([commit_of("A", expected=1, snapshot=None)])
    wire.break_next(Break.STUCK)
    assert versions(store) == [0, 1]


def test_a_database_that_stays_silent_leaves_the_account_to_others(
    wire: BreakingWire, wired: Database, database: Database
) -> None:
    store = open_store(wired, "silent")
    wire.break_next(*[Break.STUCK] * 100)
    with pytest.raises(StoreFencedError, match="could not be found out"):
        store.commit([commit_of("A", expected=1)])
    with pytest.raises(StoreError, match="see whether it is stopped"):
        store.audit()
    assert versions(PostgresStore(database, store.account)) == [0, 1]


def test_leases_are_renewed_on_another_connection(owner: psycopg.Connection, alone: Database) -> None:
    async def renew() -> None:
        leases = PostgresLeases(alone.address, "silent", 3_000)
        await leases.renew([], set())
        with stopped(owner, "phasewright silent leases"):
            async with asyncio.timeout(3):
                with pytest.raises(StoreError, match="no answer in"):
                    await leases.renew([], set())
                await leases.renew([], {"a"})
        await leases.close()

    asyncio.run(renew())
