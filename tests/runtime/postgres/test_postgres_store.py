"""The store on PostgreSQL keeps the contract that every store must keep."""

from pathlib import Path

import pytest
from postgres_accounts import hold

from runtime.postgres.connection import Database
from runtime.postgres.store import PostgresStore
from runtime.store_contract import StoreContract


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        def open_store(folder: Path) -> PostgresStore:
            return PostgresStore(database, str(folder), hold(database, str(folder)))

        self.open_store = open_store
