"""The store on PostgreSQL keeps both contracts: that of every store, and that of stores which several workers share."""

from pathlib import Path

import pytest
from postgres_accounts import hold, let_expire

from runtime.postgres.connection import Database
from runtime.postgres.lease import Lease
from runtime.postgres.store import PostgresStore
from runtime.shared_store_contract import SharedStoreContract
from runtime.store_contract import StoreContract


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
