"""How a process connects to PostgreSQL: limits on every wait, and errors that say what to do but never a password.

The connection string is a URL as libpq takes it, with all its parameters; what it says comes before what is set here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from runtime.errors import StoreAwayError, StoreError, StoreIntegrityError
from runtime.postgres.values import original, storable
from runtime.postgres.watched import WatchedConnection

SCHEMA = "0001"
"""The revision of the schema that this program reads and writes."""

# The pool would else write to standard error; what is wrong is told by whoever cannot get a connection.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_SESSION = {
    # A stopped process must not keep others waiting, nor a stopped server this one.
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    # Each statement of a function is to see what was committed while the one before waited for a lock.
    "default_transaction_isolation": "read\\ committed",
    "jit": "off",
}
_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
_MARGIN = 1.0
"""Seconds after the server's statement_timeout in which it must have said so."""
_UNFIT = ("22", "54")
"""Classes of SQLSTATEs that tell of a value: it is none of its type, or too large. Written again, it fails again."""
_PASSWORD_HINT = (
    "It is written postgresql://user@host:5432/database; in a password, each of @ : / ? # % must be percent-encoded "
    "(@ as %40). Better keep the password out of it, in PGPASSWORD or ~/.pgpass."
)


def is_url(text: str) -> bool:
    """Whether `text` names a PostgreSQL database, and not a file."""
    return text.startswith(("postgresql://", "postgres://"))


class Address:
    """Where a database is. `str()` of it has no password.

    Raises:
        StoreError: the URL cannot be understood.
    """

    def __init__(self, url: str) -> None:
        try:
            self._parameters = conninfo_to_dict(url)
        except psycopg.Error:
            raise StoreError(f"The database's URL cannot be understood. {_PASSWORD_HINT}") from None
        places = ("user", "host", "hostaddr", "port", "dbname")
        user, host, hostaddr, port, database = (str(self._parameters.get(name) or "") for name in places)
        if "@" in host + port + database or (not port.replace(",", "").isdigit() and port):
            # Whatever stands where the host belongs may be the end of a password: it is not repeated.
            raise StoreError(f"The database's URL cannot be understood. {_PASSWORD_HINT}")
        place = (host or hostaddr or "local socket") + (f":{port}" if port else "")
        self._text = f"postgresql://{user + '@' if user else ''}{place}/{database or user}"

    def __str__(self) -> str:
        return self._text

    def parameters(self, name: str, *, read_only: bool = False) -> dict[str, Any]:
        """What psycopg's `connect` is to be given. `name` tells the database's administrator who is connected."""
        session = {**_SESSION, "default_transaction_read_only": "on"} if read_only else _SESSION
        options = " ".join(f"-c {key}={value}" for key, value in session.items())
        return {
            **_NETWORK,
            "application_name": f"phasewright {name}",
            "client_encoding": "utf8",
            **self._parameters,
            "options": f"{options} {self._parameters.get('options') or ''}".strip(),
            "autocommit": True,
        }


@contextmanager
def explained(address: Address, wish: str) -> Iterator[None]:
    """Turn the database's errors into messages that say what to do."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise StoreIntegrityError(
            f"{address}: cannot {wish}: {_text(error)}. The database holds this already; nothing was written."
        ) from None
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] in _UNFIT:
            raise StoreIntegrityError(
                f"{address}: cannot {wish}: {_text(error)}. No row can hold such a value; nothing was written."
            ) from None
        kind = StoreAwayError if _is_away(error) else StoreError
        raise kind(f"{address}: cannot {wish}: {_text(error)}. {_advice(error)}") from None
    except (ValueError, TypeError, ArithmeticError) as error:
        advice = (
            "Something else than this program has written to the database; restore a backup."
            if wish == "read"
            else "No database can hold such a value; nothing was written."
        )
        raise StoreError(f"{address}: cannot {wish}: {error}. {advice}") from None


def connect(address: Address, name: str, *, read_only: bool = False) -> Connection:
    """A connection of one's own, on which every statement is a transaction.

    Raises:
        StoreError: there is none to be had; the message says why and what to do.
    """
    with explained(address, "connect"):
        return Connection.connect(**address.parameters(name, read_only=read_only))


class Database:
    """The database at `url`, as one process uses it: some connections, lent to whichever thread asks.

    Args:
        name: of this process, for the database's administrator.
        connections: how many at most.

    Attributes:
        limit: seconds after which a statement that nothing is heard of has failed: a little longer than the server's
            own limit, infinite if that sets none.

    Raises:
        StoreAwayError: it cannot be reached.
        StoreError: it refuses this user, its schema is not the one that this program knows, or it takes no writes
            (unless `read_only`).
    """

    def __init__(self, url: str, name: str, *, connections: int = 4, read_only: bool = False) -> None:
        self.address = Address(url)
        self.name = name
        self.read_only = read_only
        with connect(self.address, name, read_only=read_only) as connection:
            check_schema(self.address, connection)
            if not read_only:
                _check_writable(self.address, connection)
            self.limit = _silence(self.address, connection)
        self._pool = ConnectionPool(
            connection_class=WatchedConnection,
            kwargs=self.address.parameters(name, read_only=read_only),
            min_size=1,
            max_size=connections,
            name=f"phasewright {name}",
            num_workers=1,
            open=True,
        )

    @contextmanager
    def connection(self, timeout: float = 10.0, *, limit: float | None = None) -> Iterator[Connection]:
        """A connection, to be given back soon; `timeout` in seconds is how long to wait for one.

        Args:
            limit: as the attribute, for what may take less or more.

        Raises:
            psycopg.Error: none is to be had, or what the block does with it fails.
        """
        with self._pool.connection(timeout) as connection:
            connection.limit = self.limit if limit is None else limit
            yield connection

    def execute(self, wish: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that one statement gives; it is a transaction of its own. `wish` says in a message what it was for.

        Raises:
            StoreError: it failed.
        """
        sent = [storable(value) if isinstance(value, str) else value for value in values]
        with explained(self.address, wish), self.connection() as connection:
            cursor = connection.execute(query.encode(), sent)
            return [] if cursor.description is None else [tuple(map(original, row)) for row in cursor]

    def new_connection(self, limit: float) -> Connection:
        """One that is not lent but opened now and, by `with`, closed again. `limit` as of `connection`.

        Raises:
            psycopg.Error: none is to be had.
        """
        connection = WatchedConnection.connect(**self.address.parameters(self.name, read_only=self.read_only))
        connection.limit = limit
        return connection

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.closed

    def close(self) -> None:
        """Give every connection up."""
        self._pool.close(timeout=0)


def check_schema(address: Address, connection: Connection) -> None:
    """Raise StoreError unless the database's schema is the one that this program knows."""
    found = schema_revision(address, connection)
    if found is None:
        raise StoreError(
            f"{address}: there are no tables of phasewright here. Make them with `phasewright db upgrade URL`."
        )
    if found < SCHEMA:
        raise StoreError(
            f"{address}: the tables are of revision {found}, this program needs {SCHEMA}. Upgrade them with "
            "`phasewright db upgrade URL`; nothing was written."
        )
    if found > SCHEMA:
        raise StoreError(
            f"{address}: the tables are of revision {found}, this program knows them up to {SCHEMA}. Nothing was "
            "written. Use the version of phasewright that upgraded them, or a newer one."
        )


def schema_revision(address: Address, connection: Connection) -> str | None:
    """The revision of the schema, None where there is none."""
    with explained(address, "read"):
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
        return None if row is None or row[0] is None else str(row[0])


def _silence(address: Address, connection: Connection) -> float:
    """For how many seconds a server that works may say nothing."""
    with explained(address, "read"):
        row = connection.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'").fetchone()
    return row[0] / 1000 + _MARGIN if row is not None and row[0] else math.inf


def _check_writable(address: Address, connection: Connection) -> None:
    with explained(address, "read"):
        row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    if row is not None and row[0]:
        raise StoreError(
            f"{address}: this server is a standby, which repeats another one and takes no writes of its own. Give the "
            "address of the primary, or list all servers in the URL and add ?target_session_attrs=read-write."
        )
    if row is not None and row[1] == "on":
        raise StoreError(
            f"{address}: this database is read-only for this user (default_transaction_read_only is on). A bot must "
            "write; give it a user that may."
        )


def _text(error: psycopg.Error) -> str:
    """The error in one line, without a full stop. What libpq asks its reader is left out: our advice says it."""
    lines = (error.diag.message_primary or str(error) or type(error).__name__).splitlines()
    told = [line for line in lines if not line.endswith("?")] or lines
    return " ".join(" ".join(told).split()).rstrip(".?")


_BY_CLASS = {
    "28": "Check user and password: PGPASSWORD, ~/.pgpass or the URL; the server's pg_hba.conf says who may connect.",
    "53": "The server is out of disk space, memory or connections. Nothing of the last change was written.",
    "57": "The server is shutting down or starting up. What was committed is safe; start again when it is there.",
    "58": "The server's disk is failing. Nothing of the last change was written; look into the server's log.",
    "XX": "The server's files are damaged. Look into its log, and restore a backup.",
}
_BY_STATE = {
    "25006": "The server takes no writes: it is a standby, or read-only. Connect to the primary.",
    "3D000": "Create the database first (createdb), then run `phasewright db upgrade URL`.",
    "42501": "This user lacks a right that docs/postgresql.md lists.",
    "42703": "The tables are not as this program knows them. Run `phasewright db status URL`.",
    "42883": "The tables are not as this program knows them. Run `phasewright db status URL`.",
    "42P01": "The tables are not as this program knows them. Run `phasewright db status URL`.",
    "53100": "The server's disk is full. Nothing of the last change was written; free space and start again.",
    "55P03": "Somebody else kept a row or table locked for too long. Nothing was written; look at pg_locks.",
    "57014": "It took longer than the server lets it (statement_timeout). Nothing was written; look for what slows it.",
}
_BY_WORDS = (
    # What goes wrong while connecting comes from libpq without a code.
    (("password authentication failed", "no password supplied", "pg_hba", "authentication"), _BY_CLASS["28"]),
    (("does not exist",), "Create it first: docs/postgresql.md has the commands."),
    (("too many", "remaining connection slots"), "Raise max_connections, or run fewer processes."),
    (
        ("no answer",),
        "Something keeps the server, or what lies before it, from answering: see whether it is stopped, or waits for a "
        "standby.",
    ),
    (("starting up", "shutting down", "recovery"), _BY_CLASS["57"]),
)
_UNREACHABLE = "Check that the server runs, and that host and port are right."


_AWAY_STATES = ("08", "57P", "53300")
_AWAY_WORDS = (
    *("refused", "timeout", "timed out", "no answer", "closed the connection", "connection reset", "terminated"),
    *("unreachable", "no route", "temporary failure", "no such file", "too many", "remaining connection"),
    *("starting up", "shutting down", "not yet accepting", "recovery mode"),
)
_WRONG_WORDS = ("authentication", "no password", "pg_hba", "does not exist", "permission denied", "certificate")


def _is_away(error: psycopg.Error) -> bool:
    """Whether the same may go well later without anybody doing something to what is configured. What goes wrong while
    connecting comes from libpq without a code, and of each address in turn."""
    if error.sqlstate:
        return error.sqlstate.startswith(_AWAY_STATES)
    text = str(error).lower()
    away = isinstance(error, PoolTimeout) or any(word in text for word in _AWAY_WORDS)
    return away and not any(word in text for word in _WRONG_WORDS)


def _advice(error: psycopg.Error) -> str:
    state = error.sqlstate or ""
    if state:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or "Nothing was written."
    if isinstance(error, PoolTimeout):
        return _UNREACHABLE
    text = str(error)
    return next((advice for words, advice in _BY_WORDS if any(word in text for word in words)), _UNREACHABLE)
