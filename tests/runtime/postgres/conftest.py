"""The servers that the tests here use, and the contract's assertions to tell as much as a test's own."""

import pytest
from postgres_server import database_url, postgres

__all__ = ["database_url", "postgres"]

pytest.register_assert_rewrite("runtime.store_contract", "runtime.shared_store_contract")
