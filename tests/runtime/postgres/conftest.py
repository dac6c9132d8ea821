"""The servers that the tests here use, and the contract's assertions to tell as much as a test's own."""

from collections.abc import Iterator

import pytest
from postgres_server import database_url, postgres

from runtime.postgres.connection import Database

__all__ = ["database", "database_url", "postgres"]

pytest.register_assert_rewrite("runtime.store_contract", "runtime.shared_store_contract")


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, "test")
    yield opened
    opened.close()
