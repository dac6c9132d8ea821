"""The store on PostgreSQL keeps both contracts: that of every store, and that of stores which several workers share."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from postgres_accounts import hold, let_expire

from runtime.errors import StoreConflictError, StoreError, StoreIntegrityError
from runtime.postgres.connection import Database
from runtime.postgres.lease import Lease
from runtime.postgres.store import PostgresStore
from runtime.shared_store_contract import SharedStoreContract
from runtime.store_contract import StoreContract, commit_of


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        def open_store(folder: Path) -> PostgresStore:
            return PostgresStore(database, str(folder), hold(database, str(folder)))

        self.open_store = open_store


class TestSharedPostgresStore(SharedStoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def take(self, account: str, worker: str) -> Lease:
        return hold(self.database, account, worker)

    def let_expire(self, account: str) -> None:
        let_expire(self.database, account)

    def open_store(self, lease: Lease) -> PostgresStore:
        return PostgresStore(self.database, lease.account, lease)


def test_an_answered_message_leaves_the_inbox_with_the_commit_or_not_at_all(database: Database) -> None:
    store = PostgresStore(database, "inbox", hold(database, "inbox"))
    messages = [
        database.execute(
            "send",
            "INSERT INTO inbox (account, instance, event, payload, at) VALUES (%s, 'A', 'E', '', 1) RETURNING message",
            account,
        )[0][0]
        for account in ("inbox", "inbox", "another account")
    ]

    def waiting() -> list[int]:
        rows = database.execute("read", "SELECT message FROM inbox WHERE message = ANY (%s) ORDER BY 1", messages)
        return [message for (message,) in rows]

    with pytest.raises(StoreConflictError):
        store.commit([replace(commit_of("A"), answered=messages[:1]), commit_of("B", expected=7)])
    assert waiting() == messages
    store.commit([replace(commit_of("A"), answered=messages[:1]), replace(commit_of("B"), answered=messages[2:])])
    assert waiting() == messages[1:]


def test_the_rows_say_when_a_timer_is_due_and_under_which_lease_they_were_written(database: Database) -> None:
    for worker in ("first", "second"):
        store = PostgresStore(database, "seen", hold(database, "seen", worker))
        snapshot = b'{"phase":"IDLE","timer":{"event":"TIMED_OUT","due_at":4711,"generation":3}}'
        store.commit([commit_of(worker, snapshot=snapshot), commit_of(f"{worker}'s idle", snapshot=b'{"timer":null}')])
    due = database.execute("read", "SELECT due_at FROM instances WHERE account = 'seen' ORDER BY instance")
    assert due == [(4711,), (None,), (4711,), (None,)]
    epochs = database.execute("read", "SELECT instance, epoch FROM audit WHERE account = 'seen' ORDER BY seq")
    assert epochs == [("first", 1), ("first's idle", 1), ("second", 2), ("second's idle", 2)]


def test_a_store_that_only_looks_refuses_to_write(database: Database) -> None:
    hold(database, "looked at")
    store = PostgresStore(database, "looked at")
    with pytest.raises(StoreError, match="to be looked at only"):
        store.commit([commit_of("A")])
    with pytest.raises(StoreError, match="there is no account 'nowhere'"):
        PostgresStore(database, "nowhere")


def test_a_conflict_names_the_instance(database: Database) -> None:
    """Also where the store has the very version that was to be written: two that decided from the same state."""
    store = PostgresStore(database, "conflict", hold(database, "conflict"))
    store.commit([commit_of("A")])
    with pytest.raises(StoreConflictError, match="A: written by somebody else"):
        store.commit([commit_of("A")])
    with pytest.raises(StoreConflictError, match="A is at version 1, not 4"):
        store.commit([commit_of("A", expected=4)])


def test_no_two_accounts_are_marked_as_the_same(database: Database) -> None:
    """Two workers that begin with one key at the same instant find no other account that has it, before they mark."""
    first, second = (PostgresStore(database, name, hold(database, name)) for name in ("first", "second"))
    for store in (first, second):
        store.set_label("note", "the same")
    first.set_label("account", "whose it is")
    with pytest.raises(StoreIntegrityError):
        second.set_label("account", "whose it is")
    first.set_label("account", "whose it is")
    assert (first.label("account"), second.label("account")) == ("whose it is", None)
