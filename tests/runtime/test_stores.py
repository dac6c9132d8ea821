"""Both stores of this project keep the contract that every store must keep."""

from runtime.memory_store import MemoryStore
from runtime.sqlite_store import SqliteStore
from runtime.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    open_store = staticmethod(lambda folder: MemoryStore())
    forgets = True


class TestSqliteStore(StoreContract):
    open_store = staticmethod(lambda folder: SqliteStore(folder / "bot.db"))
