"""The paper exchange's books on disk: one SQLite file, one owner at a time, one transaction per change or per group."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from engine.exchange.faults import Fate, RequestKind
from engine.exchange.gateway import ExchangeTrade, OrderRequest, OrderState, OrderStatus, OrderType, Side
from engine.exchange.paper_file import PaperExchangeError, Synchronous, create, damaged, refuse_unreadable

_AT_HAND = 256
"""How many requests are kept in memory after they were written."""

_ENCODER = msgspec.msgpack.Encoder()
_RequestKey = tuple[str, int, int]
_Row = tuple[object, ...]


class Request(msgspec.Struct, frozen=True):
    """A request as it was sent, and what became of it. The outcome is None until it arrives, for ever if it cannot.

    `outcome` of a submit: accepted, refused, duplicate or expired; of a cancel: final, absent, under_way or expired.
    """

    client_order_id: str
    kind: RequestKind
    claimed_at: int
    deadline: int
    symbol: str
    order: OrderRequest | None
    fate: Fate
    sent_at: int
    arrives_at: int
    reply_at: int
    outcome: str | None = None
    reason: str = ""
    order_seq: int | None = None


class BookOrder(msgspec.Struct):
    """An order in the exchange's books. Amounts in base currency; `locked` in quote for a buy, in base for a sell."""

    seq: int
    exchange_order_id: str
    request: OrderRequest
    claimed_at: int
    accepted_at: int
    status: OrderStatus
    closed_at: int | None
    filled: Decimal
    locked: Decimal
    next_fill: int | None
    """When more of it fills, unless something changes before; None while it is open: not within the known bars."""
    reports: int
    reported_until: int
    """Delivery of the latest report that keeps its place."""
    trades: list[ExchangeTrade]

    def state(self, instant: int) -> OrderState | None:
        """The order as it stood at `instant`, None when it was not there yet."""
        if self.accepted_at > instant:
            return None
        trades = tuple([trade for trade in self.trades if trade.at <= instant])
        closed_at = self.closed_at if self.closed_at is not None and self.closed_at <= instant else None
        traded_at = trades[-1].at if trades else self.accepted_at
        return OrderState(
            client_order_id=self.request.client_order_id,
            exchange_order_id=self.exchange_order_id,
            symbol=self.request.symbol,
            side=self.request.side,
            status=OrderStatus.OPEN if closed_at is None else self.status,
            amount=self.request.amount,
            filled=sum([trade.qty for trade in trades], Decimal(0)),
            trades=trades,
            updated_at=traded_at if closed_at is None else closed_at,
        )


class Balance(msgspec.Struct):
    """The money of one currency; `deposited` is what the account began with."""

    deposited: Decimal
    free: Decimal
    locked: Decimal


class PaperStore:
    """Reads and writes the books. Writes belong inside `transaction()`; when `grouped`, `flush` is what keeps them.

    Raises:
        PaperExchangeError: the file is owned by another process, damaged, foreign, newer, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: bytes,
        deposits: Mapping[str, Decimal],
        synchronous: Synchronous,
        *,
        grouped: bool = False,
    ) -> None:
        self._path = path
        self._grouped = grouped
        self._failed = False
        # The latest requests, and all that are not written yet.
        self._requests: dict[_RequestKey, Request] = {}
        self._changed_requests: dict[_RequestKey, Request] = {}
        self._changed_orders: dict[int, BookOrder] = {}
        self._changed_balances: dict[str, Balance] = {}
        self._changed_slices: dict[str, tuple[int, Decimal]] = {}
        self._new_trades: list[_Row] = []
        self._new_reports: list[_Row] = []
        self._lock = FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise PaperExchangeError(
                f"{path}: another process runs this paper exchange. Two of them would write the same books; "
                "stop the other one, or give this one a file of its own."
            ) from error
        except OSError as error:
            raise PaperExchangeError(
                f"{path}: cannot be created or locked ({error.strerror}). The paper exchange keeps its books there; "
                "choose a folder that exists and can be written."
            ) from error
        try:
            if not path.exists():
                create(path, settings, {currency: plain(amount) for currency, amount in deposits.items()}, synchronous)
            refuse_unreadable(path)
            self._db = sqlite3.connect(path, isolation_level=None)
            try:
                self._prepare(synchronous)
                self._next_report = self._next_in("reports")
                self._latest_claim = int(self._read("SELECT coalesce(max(claimed_at), 0) FROM requests").fetchone()[0])
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _prepare(self, synchronous: Synchronous) -> None:
        try:
            if self._db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise damaged(self._path)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
        except sqlite3.OperationalError as error:
            raise self._stopped(error) from error
        except sqlite3.DatabaseError as error:
            raise damaged(self._path) from error

    def close(self) -> None:
        """Release the file to others. Safe to call twice."""
        self._db.close()
        self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the writes within, or none. After a failure the store refuses everything until it is opened again.

        Raises:
            PaperExchangeError: the change could not be written, or an earlier one could not.
        """
        with self._or_never_again():
            yield
            if not self._grouped:
                self._keep()

    @contextmanager
    def _or_never_again(self) -> Iterator[None]:
        if self._failed:
            raise self._stopped("an earlier change could not be written")
        try:
            yield
        except BaseException as error:
            self._failed = True
            self._take_changed()
            if self._in_transaction():
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._stopped(error) from error
            raise

    def flush(self) -> None:
        """Keep everything that was written since the last call, all of it or nothing. Raises as `transaction`."""
        with self.transaction():
            self._keep()

    def _keep(self) -> None:
        self._write_changed()
        if self._in_transaction():
            self._db.execute("COMMIT")

    def _in_transaction(self) -> bool:
        try:
            return self._db.in_transaction
        except sqlite3.ProgrammingError:
            return False

    def _stopped(self, error: object) -> PaperExchangeError:
        return PaperExchangeError(
            f"{self._path}: the paper exchange stopped ({error}). Its books hold every change up to this one; "
            "see to the disk and the file's permissions, then start again."
        )

    def _read(self, sql: str, values: _Row = ()) -> sqlite3.Cursor:
        """Ask the file, in which what was not written yet is written before."""
        with self._or_never_again():
            self._write_changed()
        return self._execute(sql, values)

    def _execute(self, sql: str, values: _Row = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise self._stopped(error) from error

    def settings(self) -> bytes:
        return bytes(self._execute("SELECT body FROM settings").fetchone()[0])

    def balances(self) -> dict[str, Balance]:
        rows = self._read("SELECT currency, deposited, free, locked FROM balances ORDER BY currency")
        return {row[0]: Balance(Decimal(row[1]), Decimal(row[2]), Decimal(row[3])) for row in rows}

    def save_balance(self, currency: str, balance: Balance) -> None:
        """Have it written, as it then is, with everything else."""
        self._changed_balances[currency] = balance

    def _write_changed(self) -> None:
        """Each row that is new or changed is written once, as it now is: when the changes are to last, or somebody
        reads."""
        rows = self._take_changed()
        if not rows:
            return
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        for sql, values in rows:
            self._db.executemany(sql, values)

    def _take_changed(self) -> list[tuple[str, list[_Row]]]:
        rows: list[tuple[str, list[_Row]]] = []
        if self._changed_requests:
            rows.append((_WRITE_REQUEST, [_request_row(request) for request in self._changed_requests.values()]))
            self._changed_requests.clear()
            while len(self._requests) > _AT_HAND:
                del self._requests[next(iter(self._requests))]
        if self._changed_orders:
            rows.append((_WRITE_ORDER, [_order_row(order) for order in self._changed_orders.values()]))
            self._changed_orders.clear()
        if self._new_trades:
            rows.append((_ADD_TRADE, self._new_trades))
            self._new_trades = []
        if self._new_reports:
            rows.append((_ADD_REPORT, self._new_reports))
            self._new_reports = []
        if self._changed_balances:
            balances = self._changed_balances.items()
            rows.append((_WRITE_BALANCE, [(plain(one.free), plain(one.locked), name) for name, one in balances]))
            self._changed_balances.clear()
        if self._changed_slices:
            slices = self._changed_slices.items()
            rows.append((_WRITE_SLICE, [(symbol, ends_at, plain(used)) for symbol, (ends_at, used) in slices]))
            self._changed_slices.clear()
        return rows

    def save_request(self, request: Request) -> None:
        """Have it written, new or with another outcome. It is kept at hand: its answer is asked for soon."""
        key = (request.client_order_id, request.kind, request.claimed_at)
        self._requests[key] = self._changed_requests[key] = request
        self._latest_claim = max(self._latest_claim, request.claimed_at)

    def request(self, client_order_id: str, kind: RequestKind, claimed_at: int) -> Request | None:
        known = self._requests.get((client_order_id, kind, claimed_at))
        if known is not None or claimed_at > self._latest_claim:
            return known
        # All that are not written yet are known.
        row = self._execute(
            "SELECT * FROM requests WHERE client_order_id = ? AND kind = ? AND claimed_at = ?",
            (client_order_id, int(kind), claimed_at),
        ).fetchone()
        return None if row is None else _request(row)

    def requests(self) -> list[Request]:
        """Every request ever sent, in the order of sending."""
        rows = self._read("SELECT * FROM requests ORDER BY sent_at, client_order_id, kind, claimed_at")
        return [_request(row) for row in rows]

    def requests_under_way(self) -> list[Request]:
        rows = self._read(
            "SELECT * FROM requests WHERE outcome IS NULL AND fate IN (?, ?)",
            (Fate.ANSWERED.value, Fate.REPLY_LOST.value),
        )
        return [_request(row) for row in rows]

    def next_order_seq(self) -> int:
        return self._next_in("orders")

    def _next_in(self, table: str) -> int:
        return int(self._read(f"SELECT coalesce(max(seq), 0) + 1 FROM {table}").fetchone()[0])

    def latest_change(self) -> int:
        """The latest instant at which an order was accepted, traded or closed; 0 when there is no order."""
        latest = "SELECT max(coalesce(max(accepted_at), 0), coalesce(max(closed_at), 0)) FROM orders"
        traded = "SELECT coalesce(max(at), 0) FROM trades"
        return max(int(self._read(query).fetchone()[0]) for query in (latest, traded))

    def save_order(self, order: BookOrder) -> None:
        """Have it written, as it then is; its trades are added one by one."""
        self._changed_orders[order.seq] = order

    def add_trade(self, order_seq: int, number: int, trade: ExchangeTrade) -> None:
        qty, price, fee = plain(trade.qty), plain(trade.price), plain(trade.fee)
        self._new_trades.append((order_seq, number, trade.trade_id, qty, price, fee, trade.fee_currency, trade.at))

    def order(self, seq: int) -> BookOrder:
        (found,) = self._orders("WHERE seq = ?", (seq,))
        return found

    def orders_of(self, client_order_id: str) -> list[BookOrder]:
        """Every order that ever had this client order id, the latest first."""
        return self._orders("WHERE client_order_id = ? ORDER BY seq DESC", (client_order_id,))

    def orders_on(self, symbol: str) -> list[BookOrder]:
        return self._orders("WHERE symbol = ? ORDER BY seq", (symbol,))

    def orders_open_at(self, symbol: str, instant: int) -> list[BookOrder]:
        return self._orders(
            "WHERE symbol = ? AND accepted_at <= ? AND (closed_at IS NULL OR closed_at > ?) ORDER BY seq",
            (symbol, instant, instant),
        )

    def open_orders(self) -> list[BookOrder]:
        return self._orders("WHERE status = 'open' ORDER BY seq", ())

    def orders(self) -> list[BookOrder]:
        return self._orders("ORDER BY seq", ())

    def orders_traded_after(self, instant: int) -> list[BookOrder]:
        return self._orders("WHERE seq IN (SELECT order_seq FROM trades WHERE at > ?) ORDER BY seq", (instant,))

    def _orders(self, condition: str, values: tuple[object, ...]) -> list[BookOrder]:
        rows = self._read(f"SELECT * FROM orders {condition}", values).fetchall()
        return [_order(row, self._trades_of(row[0])) for row in rows]

    def _trades_of(self, order_seq: int) -> list[ExchangeTrade]:
        rows = self._execute(
            "SELECT trade_id, qty, price, fee, fee_currency, at FROM trades WHERE order_seq = ? ORDER BY number",
            (order_seq,),
        )
        return [
            ExchangeTrade(row[0], Decimal(row[1]), Decimal(row[2]), Decimal(row[3]), row[4], row[5]) for row in rows
        ]

    def add_report(self, order_seq: int, deliver_at: int | None, state: OrderState) -> int:
        """Log a report; `deliver_at` None says that it was lost. Returns its place in the log."""
        place = self._next_report
        self._next_report += 1
        self._new_reports.append((place, order_seq, deliver_at, _ENCODER.encode(state)))
        return place

    def reports_from(self, instant: int) -> list[tuple[int, int, OrderState]]:
        """Reports whose delivery is at `instant` or later: (delivery, place in the log, state)."""
        rows = self._read("SELECT deliver_at, seq, body FROM reports WHERE deliver_at >= ?", (instant,))
        return [(row[0], row[1], msgspec.msgpack.decode(row[2], type=OrderState)) for row in rows]

    def slices(self) -> dict[str, tuple[int, Decimal]]:
        """By symbol: the end of the slice that was traded in last, and how much of its volume we took."""
        rows = self._read("SELECT symbol, ends_at, used FROM slices")
        return {row[0]: (row[1], Decimal(row[2])) for row in rows}

    def save_slice(self, symbol: str, ends_at: int, used: Decimal) -> None:
        self._changed_slices[symbol] = (ends_at, used)


_WRITE_REQUEST = (
    f"INSERT INTO requests VALUES ({', '.join('?' * 13)}) ON CONFLICT DO UPDATE"
    " SET outcome = excluded.outcome, reason = excluded.reason, order_seq = excluded.order_seq"
)
_WRITE_ORDER = (
    f"INSERT INTO orders VALUES ({', '.join('?' * 17)}) ON CONFLICT (seq) DO UPDATE"
    " SET status = excluded.status, closed_at = excluded.closed_at, filled = excluded.filled, locked = excluded.locked,"
    " next_fill = excluded.next_fill, reports = excluded.reports, reported_until = excluded.reported_until"
)
_ADD_TRADE = "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_REPORT = "INSERT INTO reports VALUES (?, ?, ?, ?)"
_WRITE_BALANCE = "UPDATE balances SET free = ?, locked = ? WHERE currency = ?"
_WRITE_SLICE = "INSERT OR REPLACE INTO slices VALUES (?, ?, ?)"


def plain(value: Decimal) -> str:
    """One text per value, whatever its history: 1, 1.0 and 1E0 are all written `1`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _request_row(request: Request) -> _Row:
    return (
        request.client_order_id,
        int(request.kind),
        request.claimed_at,
        request.deadline,
        request.symbol,
        None if request.order is None else _ENCODER.encode(request.order),
        request.fate.value,
        request.sent_at,
        request.arrives_at,
        request.reply_at,
        request.outcome,
        request.reason,
        request.order_seq,
    )


def _request(row: tuple[Any, ...]) -> Request:
    body = None if row[5] is None else msgspec.msgpack.decode(row[5], type=OrderRequest)
    return Request(row[0], RequestKind(row[1]), row[2], row[3], row[4], body, Fate(row[6]), *row[7:])


def _order_row(order: BookOrder) -> _Row:
    request = order.request
    return (
        order.seq,
        order.exchange_order_id,
        request.client_order_id,
        request.symbol,
        request.side.value,
        request.type.value,
        plain(request.amount),
        None if request.price is None else plain(request.price),
        order.claimed_at,
        order.accepted_at,
        order.status.value,
        order.closed_at,
        plain(order.filled),
        plain(order.locked),
        order.next_fill,
        order.reports,
        order.reported_until,
    )


def _order(row: tuple[Any, ...], trades: list[ExchangeTrade]) -> BookOrder:
    price = None if row[7] is None else Decimal(row[7])
    request = OrderRequest(row[2], row[3], Side(row[4]), OrderType(row[5]), Decimal(row[6]), price)
    return BookOrder(
        seq=row[0],
        exchange_order_id=row[1],
        request=request,
        claimed_at=row[8],
        accepted_at=row[9],
        status=OrderStatus(row[10]),
        closed_at=row[11],
        filled=Decimal(row[12]),
        locked=Decimal(row[13]),
        next_fill=row[14],
        reports=row[15],
        reported_until=row[16],
        trades=trades,
    )
