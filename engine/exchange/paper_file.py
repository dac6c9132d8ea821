"""The paper exchange's file: what it was made for, how it is made, and which files are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from os import SEEK_END
from pathlib import Path
from typing import Literal

import msgspec

from engine.exchange.faults import FaultProfile
from engine.exchange.gateway import Market
from runtime.errors import StoreError

APPLICATION_ID = 0x50575058
SCHEMA_VERSION = 1
Synchronous = Literal["OFF", "NORMAL", "FULL"]
"""How much of the books a failure of the machine may take: with OFF anything, with NORMAL the latest changes."""

_SCHEMA = """
CREATE TABLE settings (body BLOB NOT NULL);
CREATE TABLE balances (
    currency TEXT PRIMARY KEY, deposited TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE requests (
    client_order_id TEXT NOT NULL, kind INTEGER NOT NULL, claimed_at INTEGER NOT NULL, deadline INTEGER NOT NULL,
    symbol TEXT NOT NULL, body BLOB, fate TEXT NOT NULL, sent_at INTEGER NOT NULL, arrives_at INTEGER NOT NULL,
    reply_at INTEGER NOT NULL, outcome TEXT, reason TEXT NOT NULL, order_seq INTEGER,
    PRIMARY KEY (client_order_id, kind, claimed_at)
) WITHOUT ROWID;
CREATE TABLE orders (
    seq INTEGER PRIMARY KEY, exchange_order_id TEXT NOT NULL, client_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, amount TEXT NOT NULL, price TEXT,
    claimed_at INTEGER NOT NULL, accepted_at INTEGER NOT NULL, status TEXT NOT NULL, closed_at INTEGER,
    filled TEXT NOT NULL, locked TEXT NOT NULL, next_fill INTEGER,
    reports INTEGER NOT NULL, reported_until INTEGER NOT NULL
);
CREATE INDEX orders_by_client_id ON orders (client_order_id);
CREATE INDEX orders_by_symbol ON orders (symbol);
CREATE TABLE trades (
    order_seq INTEGER NOT NULL, number INTEGER NOT NULL, trade_id TEXT NOT NULL, qty TEXT NOT NULL,
    price TEXT NOT NULL, fee TEXT NOT NULL, fee_currency TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (order_seq, number)
) WITHOUT ROWID;
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY, order_seq INTEGER NOT NULL, deliver_at INTEGER, body BLOB NOT NULL
);
CREATE TABLE slices (symbol TEXT PRIMARY KEY, ends_at INTEGER NOT NULL, used TEXT NOT NULL) WITHOUT ROWID;
"""


class PaperExchangeError(StoreError):
    """The paper exchange cannot open or go on with its file. The message says where, why and what to do."""


class PaperSettings(msgspec.Struct, frozen=True):
    """What the exchange is: it cannot change in the life of its file. `participation` is a fraction of the volume."""

    markets: tuple[Market, ...]
    balances: dict[str, Decimal]
    seed: int
    profile: FaultProfile
    participation: Decimal = Decimal("0.1")
    slice_ms: int = 10_000
    first_order: int = 1
    """The number of the first order, for exchanges of several accounts whose orders are to have different numbers."""


def create(path: Path, settings: bytes, deposits: Mapping[str, str], synchronous: Synchronous) -> None:
    """Make an empty set of books with these balances (plain decimals by currency).

    Raises:
        PaperExchangeError: there is no room for it, or no right to write there.
    """
    # Made beside its place and moved there whole: a file under its own name is complete, or it is damaged.
    draft = path.with_name(path.name + ".new")
    try:
        for left_over in (draft.name, f"{draft.name}-journal", f"{path.name}-wal", f"{path.name}-shm"):
            # SQLite would play a stranger's journal into the new file.
            path.with_name(left_over).unlink(missing_ok=True)
        with closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute(f"PRAGMA synchronous = {'OFF' if synchronous == 'OFF' else 'FULL'}")
            db.executescript(f"BEGIN; {_SCHEMA}")
            db.execute("INSERT INTO settings VALUES (?)", (settings,))
            db.executemany(
                "INSERT INTO balances VALUES (?, ?, ?, '0')",
                [(currency, amount, amount) for currency, amount in deposits.items()],
            )
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        draft.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise PaperExchangeError(
            f"{path}: cannot be created ({error}). The paper exchange keeps its books there; "
            "choose a folder that exists, can be written and has room."
        ) from error


def refuse_unreadable(path: Path) -> None:
    """Raise PaperExchangeError unless `path` looks whole, ours, and of this version."""
    # From the header's bytes: opening a stranger's file with SQLite could change it.
    try:
        with path.open("rb") as file:
            header = file.read(100)
            size = file.seek(0, SEEK_END)
    except OSError as error:
        raise PaperExchangeError(
            f"{path}: cannot be read ({error.strerror}). The paper exchange keeps its books there; "
            "see to the file's permissions, or choose another file."
        ) from error
    if len(header) < 100:
        raise damaged(path)
    if header[:16] != b"SQLite format 3\x00" or int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise PaperExchangeError(
            f"{path}: this is not a paper exchange's file. Writing to it could destroy someone's data; "
            "choose another file."
        )
    version = int.from_bytes(header[60:64])
    if version != SCHEMA_VERSION:
        raise PaperExchangeError(
            f"{path}: written by a newer version of the paper exchange (format {version}, this one reads "
            f"{SCHEMA_VERSION}). It would be misread; use the newer version, or choose another file."
        )
    # SQLite reads zeros where a page is cut. With a journal beside it the file may lawfully be short of pages.
    page_size, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    if not path.with_name(f"{path.name}-wal").exists() and size < page_size * pages:
        raise damaged(path)


def damaged(path: Path) -> PaperExchangeError:
    """What to raise about a file that is ours and cannot be trusted."""
    return PaperExchangeError(
        f"{path}: the file is cut short or damaged. Its books cannot be trusted, so nothing is traded on them; "
        "restore it from a copy, or remove it (with the files beside it that begin with its name) to begin anew."
    )
