"""Where a bot's database is: a file of its own, or an account in PostgreSQL. All that tells the two apart is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.settings import Settings
from runtime.errors import ConfigError, StoreError
from runtime.grouped_store import GroupedSqliteStore
from runtime.memory_store import MemoryStore
from runtime.sqlite_store import SqliteStore
from runtime.store import Store

if TYPE_CHECKING:
    from runtime.postgres.connection import Database
    from runtime.postgres.sole import SoleStore
    from runtime.postgres.store import PostgresStore

DATABASE = "recorded.db"
ACCOUNT = "account"
"""The label of a database whose bot trades on an exchange."""


class SharedPlace(msgspec.Struct, frozen=True):
    """The account `account` (None: the only one) in the PostgreSQL database at `url`. `files` is the folder of what
    goes with it on this machine."""

    url: str
    account: str | None
    files: Path

    def __str__(self) -> str:
        from runtime.postgres.connection import Address

        return f"{Address(self.url)}{f', account {self.account}' if self.account else ''}"


Place = Path | SharedPlace


def is_shared(db: str) -> bool:
    """Whether `--db` names a PostgreSQL database, and not a file."""
    return db.startswith(("postgresql://", "postgres://"))


def place_of(db: str | None, account: str | None, environment: Mapping[str, str]) -> Place:
    """What `--db` and `--account` mean.

    Raises:
        ConfigError: there is no account in a file.
    """
    folder = Path(Settings.from_environment(environment).snapshot_dir)
    if db is not None and is_shared(db):
        return SharedPlace(db, account, folder)
    if account is not None:
        raise ConfigError("--account names one of the accounts in a PostgreSQL database; give its URL with --db.")
    return folder / DATABASE if db is None else Path(db)


def local_file(place: Place) -> Path:
    """The name on this machine after which the report and the paper exchange's books are called."""
    return place if isinstance(place, Path) else place.files / f"{place.account or Path(DATABASE).stem}.db"


def exchange_database(place: Place) -> Path:
    """Where the paper exchange keeps its own books for a bot with this database."""
    path = local_file(place)
    return path.with_name(f"{path.stem}.exchange.db")


@contextmanager
def reading(place: Place) -> Iterator[SqliteStore | PostgresStore]:
    """The database, to be looked at while a bot may be running on it."""
    if isinstance(place, Path):
        file = SqliteStore(place, read_only=True)
        try:
            yield file
        finally:
            file.close()
        return
    from runtime.postgres.store import PostgresStore

    with _looking(place) as database:
        yield PostgresStore(database, _only_account(place, database))


def account_of(place: SharedPlace) -> str:
    """The name of its account.

    Raises:
        StoreError: there is not exactly one, and none was named.
    """
    with _looking(place) as database:
        return _only_account(place, database)


@contextmanager
def _looking(place: SharedPlace) -> Iterator[Database]:
    from runtime.postgres.connection import Database

    database = Database(place.url, "reader", connections=1, read_only=True)
    try:
        yield database
    finally:
        database.close()


def _only_account(place: SharedPlace, database: Database) -> str:
    from runtime.postgres.store import accounts

    if place.account is not None:
        return place.account
    known = accounts(database)
    if len(known) != 1:
        raise StoreError(
            f"{place}: it has {'the accounts ' + ', '.join(known) if known else 'no account yet'}. Say with --account "
            "which one you mean."
        )
    return known[0]


def open_recorded(place: Place | None, namespace: str) -> Store:
    """The store of a recorded run, for it alone; None keeps nothing.

    Raises:
        StoreError: it cannot be used, another process uses it, or it belongs to another run.
    """
    if place is None:
        return MemoryStore(namespace)
    if isinstance(place, Path):
        store: Store = GroupedSqliteStore(place, namespace=namespace)
    else:
        store = _sole(place, namespace)
    if store.namespace != namespace:
        store.close()
        raise StoreError(
            f"{place}: this database belongs to a run with other data or settings. Going on would mix the two. "
            "Use the data and settings that it was started with, another file (--db), or start anew (--fresh)."
        )
    return store


def start_anew(place: Place, namespace: str) -> None:
    """Forget the bot's database and the paper exchange's books.

    Raises:
        StoreError: a bot is running on them, or they are not a recorded run's; nothing was deleted.
    """
    if isinstance(place, SharedPlace):
        store = _sole(place, namespace)
        try:
            _refuse_exchange(place, store.label(ACCOUNT))
            store.clear(namespace)
        finally:
            store.close()
    elif place.exists():
        SqliteStore.refuse_if_in_use(place)
        with reading(place) as found:
            _refuse_exchange(place, found.label(ACCOUNT))
    files = (local_file(place), exchange_database(place)) if isinstance(place, Path) else (exchange_database(place),)
    for path in files:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sole(place: SharedPlace, namespace: str) -> SoleStore:
    from engine.sharing import worker_name
    from runtime.postgres.sole import SoleStore

    return SoleStore(place.url, place.account or Path(DATABASE).stem, worker_name(None), namespace)


def _refuse_exchange(place: Place, label: str | None) -> None:
    if label is not None:
        raise StoreError(
            f"{place}: this database has the books of a bot that trades on an exchange, and they are nowhere else. It "
            "was not deleted. Give the recorded run another one with --db."
        )
