"""What our books say of an account, in the form in which it can be held against what the exchange says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from engine.order_status import ABSENT, PLANNED, UNKNOWN, is_settled
from generated.trading import OrderContext, Phase, StateData
from runtime.errors import StoreError
from runtime.ledger import CASH, DUST, ZERO, position_account
from runtime.machine import Snapshot
from runtime.portfolio import Reservation
from runtime.store import StoredState
from runtime.worker import Worker

_POSITION = position_account("")
_BUSY = {
    Phase.PLACE_BUY,
    Phase.CANCEL_BUY,
    Phase.BUY_UNKNOWN,
    Phase.PLACE_SELL,
    Phase.CANCEL_SELL,
    Phase.SELL_UNKNOWN,
    Phase.RECOVERING,
}
"""Phases in which the machine itself is asking the exchange, so that nobody else need to."""


class SymbolBooks(msgspec.Struct, frozen=True):
    """One symbol in our books. `held` is its position in base currency, without what is set aside as dust; `intents`
    counts the effects asked for so far, of which each order has the id."""

    symbol: str
    phase: str
    version: int
    data: StateData
    held: Decimal
    intents: int

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def orders(self) -> tuple[OrderContext, ...]:
        """The latest buy and sell order."""
        return _orders(self.data)

    @property
    def is_asking(self) -> bool:
        return self.phase in _BUSY

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held, and no order can be live."""
        return not self.held and all(is_settled(order) for order in self.orders)

    @property
    def being_sold(self) -> Decimal:
        """How much of `held` an order of ours may have sold without our having heard of it."""
        return sum(
            (order.amount - sum((fill.qty for fill in order.fills), ZERO) for order in self.orders if _may_sell(order)),
            ZERO,
        )


class Books(msgspec.Struct, frozen=True):
    """The account in our books: totals by currency, cash by currency, and what of it is reserved for orders."""

    namespace: str
    symbols: dict[str, SymbolBooks]
    totals: dict[str, Decimal]
    cash: dict[str, Decimal]
    reserved: dict[str, Decimal]


class Worth(msgspec.Struct, frozen=True):
    """What a symbol holds, and what the best bid would bring for it (in quote currency, before fees)."""

    held: Decimal
    bid: Decimal
    value: Decimal


def books_of(worker: Worker, namespace: str) -> Books:
    """The books of a running bot."""
    balances = worker.portfolio.balances()
    symbols = {
        name: _symbol(name, instance.snapshot, instance.version, balances)
        for name, instance in worker.instances.items()
    }
    return _books(namespace, symbols, balances, worker.portfolio.reservations())


def stored_books(state: StoredState, namespace: str) -> Books:
    """The books as of the last commit.

    Raises:
        StoreError: a symbol's snapshot cannot be read.
    """
    symbols = {}
    for stored in state.instances:
        try:
            snapshot: Snapshot[StateData] = msgspec.json.decode(stored.snapshot, type=Snapshot[StateData])
        except msgspec.MsgspecError as error:
            raise StoreError(f"{stored.instance}: its snapshot cannot be read: {error}") from None
        symbols[stored.instance] = _symbol(stored.instance, snapshot, stored.version, state.balances)
    return _books(namespace, symbols, state.balances, state.reservations)


def live_orders(symbols: Iterable[tuple[str, StateData]]) -> list[tuple[str, str]]:
    """Symbol and client order id of every order that may be live at the exchange: also of those of which we have no
    answer yet, because a report may overtake it."""
    return [
        (symbol, order.client_order_id) for symbol, data in symbols for order in _orders(data) if not is_settled(order)
    ]


def _orders(data: StateData) -> tuple[OrderContext, ...]:
    return tuple(order for order in (data.entry_order, data.exit_order) if order is not None)


def is_watched(order: OrderContext) -> bool:
    """Whether the books hold the order for live, and nobody else is asking about it."""
    return not is_settled(order) and order.status not in (PLANNED, UNKNOWN)


def _may_sell(order: OrderContext) -> bool:
    return order.side == "sell" and order.status != ABSENT and not is_settled(order)


def _symbol(
    name: str, snapshot: Snapshot[StateData], version: int, balances: Mapping[tuple[str, str], Decimal]
) -> SymbolBooks:
    held = balances.get((position_account(name), name.partition("/")[0]), ZERO)
    return SymbolBooks(name, snapshot.phase, version, snapshot.data, held, snapshot.intents)


def _books(
    namespace: str,
    symbols: dict[str, SymbolBooks],
    balances: Mapping[tuple[str, str], Decimal],
    reservations: Iterable[Reservation],
) -> Books:
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    cash: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (account, currency), amount in balances.items():
        if account == CASH or account.startswith((_POSITION, f"{DUST}:")):
            totals[currency] += amount
        if account == CASH:
            cash[currency] += amount
    reserved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for reservation in reservations:
        if reservation.cash:
            reserved[reservation.currency] += reservation.cash
    return Books(namespace, symbols, dict(totals), dict(cash), dict(reserved))
