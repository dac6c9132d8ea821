"""One account's portfolio in memory: balances, booked entries, and what each instance holds aside.

Changes are made in a transaction of one instance and come out as data, a `PortfolioChange`, which a store writes in the
same commit as the transition that made them:

    with portfolio.begin("BTC/USD", now) as tx:
        tx.book_trade(trade)
        tx.release()
    store.write(tx.change)

A transaction's commit reaches memory at once, so that the next one of the same group sees it. When the store then
fails to write the group, `undo` each of its changes, newest first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Self

from msgspec import Struct

from runtime.ledger import (
    CASH,
    EXACT,
    ZERO,
    JournalEntry,
    LedgerMismatch,
    Posting,
    TradeFill,
    check_amount,
    check_entry,
    close_entry,
    deposit_entry,
    dust_entry,
    position_account,
    trade_entry,
)


class ReservationRefused(Exception):  # noqa: N818
    """There is not enough left for what an instance asked to hold aside. Nothing has changed."""


class InsufficientCash(ReservationRefused):
    """The free cash does not cover the reservation."""


class NoFreeSlot(ReservationRefused):
    """Every trading slot is taken."""


class Reservation(Struct, frozen=True):
    """What an instance holds aside: `cash` in units of `currency`, and trading slots. Empty when both are zero."""

    instance: str
    currency: str = ""
    cash: Decimal = ZERO
    slots: int = 0

    def __bool__(self) -> bool:
        return bool(self.cash or self.slots)


class PortfolioChange(Struct, frozen=True):
    """What a store writes: new entries, and for each changed instance its new reservation (empty: delete it).

    `replaced` holds the reservations as they were before, for `undo`; a store need not keep it.
    """

    entries: tuple[JournalEntry, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    replaced: tuple[Reservation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.reservations)


_NO_CHANGE = PortfolioChange()


class PortfolioView(ABC):
    """What guards and actions may read. Amounts are in units of the currency asked for."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many trading slots there are."""

    @abstractmethod
    def balance(self, account: str, currency: str) -> Decimal:
        """The sum of what was posted to `account` in `currency`; zero when nothing was."""

    @abstractmethod
    def reservation(self, instance: str) -> Reservation:
        """What `instance` holds aside; an empty reservation when nothing."""

    @abstractmethod
    def reservations(self) -> Collection[Reservation]:
        """Every reservation that is not empty."""

    @abstractmethod
    def is_booked(self, entry_id: str) -> bool:
        """Whether the ledger has an entry of this id."""

    def cash(self, currency: str) -> Decimal:
        """All cash, reserved or not. Below zero when trades cost more than there was."""
        return self.balance(CASH, currency)

    def free_cash(self, currency: str) -> Decimal:
        """Cash that no instance holds aside."""
        free = self.cash(currency)
        for reservation in self.reservations():
            if reservation.currency == currency:
                free = EXACT.subtract(free, reservation.cash)
        return free

    def position(self, instance: str, currency: str) -> Decimal:
        """What `instance` holds: its fills less the fees taken in `currency`, not yet rounded to what can be sold."""
        return self.balance(position_account(instance), currency)

    @property
    def slots_free(self) -> int:
        """Slots that no instance holds. Below zero when the portfolio was reopened with fewer than were taken."""
        return self.slots - sum(reservation.slots for reservation in self.reservations())


class Portfolio(PortfolioView):
    """The state of one account in memory. Not for use by several threads."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._balances: dict[tuple[str, str], Decimal] = {}
        self._booked: dict[str, int] = {}
        self._reservations: dict[str, Reservation] = {}
        self._open: PortfolioTransaction | None = None

    @classmethod
    def load(
        cls,
        slots: int,
        entries: Iterable[JournalEntry],
        reservations: Iterable[Reservation] = (),
        balances: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> Portfolio:
        """The portfolio that the stored `entries` and `reservations` make.

        Raises:
            LedgerMismatch: an entry does not sum to zero or is there twice, a reservation is impossible or there
                twice, or `balances`, by (account, currency), are given and differ from the sum of the postings.
        """
        portfolio = cls(slots)
        for entry in entries:
            portfolio._check_new(entry)
            portfolio._book(entry)
        for reservation in reservations:
            try:
                _check_reservation(reservation)
            except ValueError as error:
                raise LedgerMismatch(f"stored reservation: {error}") from None
            if reservation.instance in portfolio._reservations:
                raise LedgerMismatch(f"{reservation.instance} has two stored reservations")
            portfolio._set_reservation(reservation)
        if balances is not None:
            portfolio._check_balances(balances)
        return portfolio

    @property
    def slots(self) -> int:
        return self._slots

    def balance(self, account: str, currency: str) -> Decimal:
        return self._balances.get((account, currency), ZERO)

    def balances(self) -> dict[tuple[str, str], Decimal]:
        """Every balance that is not zero, by (account, currency)."""
        return dict(self._balances)

    def reservation(self, instance: str) -> Reservation:
        return self._reservations.get(instance) or Reservation(instance)

    def reservations(self) -> Collection[Reservation]:
        return self._reservations.values()

    def is_booked(self, entry_id: str) -> bool:
        return entry_id in self._booked

    def begin(self, instance: str, at: int) -> PortfolioTransaction:
        """Open the transaction of `instance` at the instant `at`.

        Raises:
            RuntimeError: another is open. Two at once could both reserve the same cash.
        """
        self._require_idle("begin another")
        self._open = PortfolioTransaction(self, instance, at)
        return self._open

    def apply(self, change: PortfolioChange) -> None:
        """Take over a change that was made elsewhere and is in the store.

        Raises:
            LedgerMismatch: it does not follow from this state, or an entry does not sum to zero; nothing has changed.
            RuntimeError: a transaction is open.
        """
        self._require_idle("apply a change")
        self._apply(change)

    def undo(self, change: PortfolioChange) -> None:
        """Take back a change that was committed or applied; several of them newest first.

        Raises:
            LedgerMismatch: its entries are not in the ledger, or its reservations have changed since (a newer change
                was not taken back first); nothing has changed.
            RuntimeError: a transaction is open.
        """
        self._require_idle("undo a change")
        self._check_reservations(change.reservations, "undo")
        for entry in change.entries:
            if self._booked.get(entry.entry_id) != _fingerprint(entry):
                raise LedgerMismatch(f"entry {entry.entry_id} cannot be undone: it is not in the ledger")
        for entry in change.entries:
            del self._booked[entry.entry_id]
            self._add(Posting(p.account, p.currency, p.amount.copy_negate()) for p in entry.postings)
        for reservation in change.replaced:
            self._set_reservation(reservation)

    def verify(self) -> tuple[str, ...]:
        """What is wrong with the books, a sentence each; empty when all is well.

        Negative cash, a negative position and reservations beyond the cash are facts that someone must look at (a fill
        that cost more than was set aside, a fee in a currency that was never deposited). A currency that does not sum
        to zero is a defect.
        """
        found = []
        sums: dict[str, Decimal] = {}
        for (account, currency), amount in sorted(self._balances.items()):
            sums[currency] = EXACT.add(sums.get(currency, ZERO), amount)
            if amount < 0 and (account == CASH or account.startswith(position_account(""))):
                found.append(f"{account} is {amount} {currency}, below zero")
        found += [
            f"the accounts in {currency} sum to {total}, not to zero" for currency, total in sums.items() if total
        ]
        for currency in sorted({r.currency for r in self.reservations() if r.cash}):
            if (free := self.free_cash(currency)) < 0:
                found.append(f"reservations exceed the cash by {free.copy_negate()} {currency}")
        if self.slots_free < 0:
            found.append(f"{self.slots - self.slots_free} slots are taken of {self.slots}")
        return tuple(found)

    def _require_idle(self, wish: str) -> None:
        if self._open is not None:
            raise RuntimeError(
                f"cannot {wish}: the portfolio transaction of {self._open.instance} is open; "
                "commit or roll it back first (a `with` block must not await)"
            )

    def _close(self, change: PortfolioChange) -> None:
        if change:
            self._apply(change)
        self._open = None

    def _drop(self) -> None:
        self._open = None

    def _apply(self, change: PortfolioChange) -> None:
        for entry in change.entries:
            self._check_new(entry)
        if len({entry.entry_id for entry in change.entries}) < len(change.entries):
            raise LedgerMismatch(f"a change holds an entry twice: {[entry.entry_id for entry in change.entries]}")
        self._check_reservations(change.replaced, "apply")
        for entry in change.entries:
            self._book(entry)
        for reservation in change.reservations:
            self._set_reservation(reservation)

    def _check_new(self, entry: JournalEntry) -> None:
        check_entry(entry)
        if self.is_booked(entry.entry_id):
            raise LedgerMismatch(f"entry {entry.entry_id} of {entry.instance} is in the ledger already")

    def _check_balances(self, stored: Mapping[tuple[str, str], Decimal]) -> None:
        for account, currency in sorted({*self._balances, *stored}):
            expected, found = self.balance(account, currency), stored.get((account, currency), ZERO)
            if found != expected:
                raise LedgerMismatch(
                    f"{account}: the stored balance is {found} {currency}, but its postings sum to {expected}"
                )

    def _check_reservations(self, expected: Iterable[Reservation], wish: str) -> None:
        for reservation in expected:
            if (found := self.reservation(reservation.instance)) != reservation:
                raise LedgerMismatch(f"cannot {wish} a change out of order: expected {reservation}, found {found}")

    def _book(self, entry: JournalEntry) -> None:
        self._add(entry.postings)
        self._booked[entry.entry_id] = _fingerprint(entry)

    def _add(self, postings: Iterable[Posting]) -> None:
        for posting in postings:
            key = posting.account, posting.currency
            if amount := EXACT.add(self._balances.get(key, ZERO), posting.amount):
                self._balances[key] = amount
            else:
                self._balances.pop(key, None)

    def _set_reservation(self, reservation: Reservation) -> None:
        if reservation:
            self._reservations[reservation.instance] = reservation
        else:
            self._reservations.pop(reservation.instance, None)


class PortfolioTransaction(PortfolioView):
    """The changes of one instance, staged. Reads see them; the portfolio does not before `commit`.

    As a context manager it commits when the block ends and rolls back when the block raises.
    """

    def __init__(self, portfolio: Portfolio, instance: str, at: int) -> None:
        self.instance = instance
        self.at = at
        self._portfolio = portfolio
        self._entries: dict[str, JournalEntry] = {}
        self._before = self._after = portfolio.reservation(instance)
        self._open = True

    @property
    def slots(self) -> int:
        return self._portfolio.slots

    def balance(self, account: str, currency: str) -> Decimal:
        amount = self._portfolio.balance(account, currency)
        if not self._open:
            return amount
        for entry in self._entries.values():
            for posting in entry.postings:
                if posting.account == account and posting.currency == currency:
                    amount = EXACT.add(amount, posting.amount)
        return amount

    def reservation(self, instance: str) -> Reservation:
        return self._after if self._open and instance == self.instance else self._portfolio.reservation(instance)

    def reservations(self) -> Collection[Reservation]:
        others = [r for r in self._portfolio.reservations() if r.instance != self.instance]
        own = self.reservation(self.instance)
        return [*others, own] if own else others

    def is_booked(self, entry_id: str) -> bool:
        return (self._open and entry_id in self._entries) or self._portfolio.is_booked(entry_id)

    def deposit(self, reference: str, currency: str, amount: Decimal) -> bool:
        """Bring `amount` into cash. False, and nothing changes, when `reference` was deposited before.

        Raises:
            ValueError: the amount is not above zero or not a Decimal.
            LedgerMismatch: `reference` was deposited with another amount or currency.
        """
        return self._stage(deposit_entry(self.instance, self.at, reference, currency, amount))

    def book_trade(self, trade: TradeFill) -> bool:
        """Book one trade. False, and nothing changes, when it is in the ledger or in this transaction already.

        A trade is a fact: it is booked whether or not the cash covers it. A purchase uses up the cash that this
        instance holds aside in the quote currency, by its cost and its fee; cash beyond that comes out of what is free.

        Raises:
            ValueError: the trade is malformed; the message names it.
            LedgerMismatch: a trade of this id was booked with other figures, or for another instance.
        """
        entry = trade_entry(self.instance, trade)
        if not self._stage(entry):
            return False
        if trade.side == "buy" and self._after.currency == trade.quote:
            self._use_up(entry)
        return True

    def close_round_trip(self, round_trip: str, reason: str) -> bool:
        """Declare a round trip over, with the reason of its exit. False when it was closed before.

        Raises:
            ValueError: the round trip has no id.
        """
        return self._stage(close_entry(self.instance, self.at, round_trip, reason))

    def set_dust_aside(self, round_trip: str, currency: str) -> Decimal:
        """Move what is left of the position to the instance's dust account. Returns how much, in `currency`."""
        remainder = self.position(self.instance, currency)
        if remainder:
            self._stage(dust_entry(self.instance, self.at, round_trip, currency, remainder))
        return remainder

    def reserve(self, currency: str, cash: Decimal, slots: int = 1) -> None:
        """Hold aside `cash` of `currency` and `slots`, in place of what this instance held before.

        Holding less than before always succeeds.

        Raises:
            InsufficientCash: more cash than before, and more than is free.
            NoFreeSlot: more slots than before, and more than are free.
            ValueError: a negative amount, or not a Decimal.
        """
        self._require_open()
        wanted = Reservation(self.instance, currency, cash, slots)
        _check_reservation(wanted)
        held = self._after
        more_cash = EXACT.subtract(cash, held.cash) if held.currency == currency else cash
        if more_cash > max(free := self.free_cash(currency), ZERO):
            raise InsufficientCash(
                f"{self.instance}: cannot hold {cash} {currency} aside: {more_cash} more are needed, {free} are free"
            )
        if slots - held.slots > max(self.slots_free, 0):
            raise NoFreeSlot(
                f"{self.instance}: no trading slot is free: {self.slots - self.slots_free} of {self.slots} are taken"
            )
        self._after = _normal(wanted)

    def release(self) -> None:
        """Give back the cash and the slots that this instance holds aside."""
        self._require_open()
        self._after = Reservation(self.instance)

    @property
    def is_open(self) -> bool:
        """Whether it can still be changed, committed or rolled back."""
        return self._open

    @property
    def change(self) -> PortfolioChange:
        """What this transaction changes; nothing after a rollback."""
        entries = tuple(self._entries.values())
        if self._after == self._before:
            return PortfolioChange(entries) if entries else _NO_CHANGE
        return PortfolioChange(entries, (self._after,), (self._before,))

    def commit(self) -> PortfolioChange:
        """Make the changes the portfolio's, and return them for the store.

        Raises:
            RuntimeError: the transaction is over.
        """
        self._require_open()
        change = self.change
        self._portfolio._close(change)
        self._open = False
        return change

    def rollback(self) -> None:
        """Drop the changes.

        Raises:
            RuntimeError: the transaction is over.
        """
        self._require_open()
        self._portfolio._drop()
        self._open = False
        self._entries = {}
        self._after = self._before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._open:
            return
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def _stage(self, entry: JournalEntry) -> bool:
        self._require_open()
        staged = self._entries.get(entry.entry_id)
        known = _fingerprint(staged) if staged else self._portfolio._booked.get(entry.entry_id)
        if known is None:
            self._entries[entry.entry_id] = entry
            return True
        if known != _fingerprint(entry):
            raise LedgerMismatch(
                f"entry {entry.entry_id} was booked before with other figures or for another instance; now it is "
                f"reported for {self.instance} with {entry.details}. Nothing was booked; compare both with the exchange"
            )
        return False

    def _use_up(self, purchase: JournalEntry) -> None:
        held = self._after
        cash = held.cash
        for posting in purchase.postings:
            if posting.account == CASH and posting.currency == held.currency:
                cash = EXACT.add(cash, posting.amount)
        self._after = _normal(Reservation(held.instance, held.currency, max(cash, ZERO), held.slots))

    def _require_open(self) -> None:
        if not self._open:
            raise RuntimeError(f"the portfolio transaction of {self.instance} is over; begin another")


def _fingerprint(entry: JournalEntry) -> int:
    """Tells two entries of one id apart within this process, without keeping every entry in memory."""
    return hash(entry.postings)


def _normal(reservation: Reservation) -> Reservation:
    """Every empty reservation of an instance is the same one, whatever its currency was."""
    return reservation if reservation else Reservation(reservation.instance)


def _check_reservation(reservation: Reservation) -> None:
    check_amount(reservation.cash, f"{reservation.instance}: the cash to hold aside", factors=2)
    if reservation.cash < 0 or reservation.slots < 0:
        raise ValueError(
            f"{reservation.instance}: cannot hold {reservation.cash} {reservation.currency} and "
            f"{reservation.slots} slots aside: neither can be negative"
        )
    if reservation.cash and not reservation.currency:
        raise ValueError(f"{reservation.instance}: the {reservation.cash} to hold aside need a currency")
