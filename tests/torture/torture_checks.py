"""A bot's store against the venue's books, once nothing is under way."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.account_books import stored_books
from runtime.events import Outcome
from runtime.ledger import CLOSE, TRADE
from runtime.portfolio import Portfolio
from runtime.sqlite_store import SqliteStore
from runtime.store import Store


def violations(database: Path, books: dict[str, Any], slots: int) -> list[str]:
    """What must never be, a sentence each."""
    store = SqliteStore(database, read_only=True)
    try:
        return violations_of_orders(books["orders"]) + violations_at_rest(store, books, slots)
    finally:
        store.close()


def violations_of_orders(orders: list[dict[str, Any]]) -> list[str]:
    """What must never be at any time, by the venue's word alone."""
    return _live_at_once(orders) + _accepted_twice(orders)


def violations_at_rest(store: Store, books: dict[str, Any], slots: int) -> list[str]:
    """What must not be once nothing is under way."""
    found = _orphans(store, books["orders"]) + _trades(store, books["orders"]) + _balances(store, books)
    state = store.load()
    found += Portfolio.load(slots, state.entries, state.reservations, state.balances).verify()
    found += [f"an effect is still open: {one.effect} of {one.instance}" for one in state.open_intents]
    found += [
        f"{row.instance}: {row.event} failed in {row.phase_from}: {row.error[-300:]}"
        for row in store.audit()
        if row.outcome is Outcome.FAILED
    ]
    return found + [f"{one.instance} has a reservation and is at rest" for one in state.reservations if one.cash]


def lifecycles(database: Path) -> int:
    """How many trades were closed."""
    store = SqliteStore(database, read_only=True)
    try:
        return lifecycles_in(store)
    finally:
        store.close()


def lifecycles_in(store: Store) -> int:
    """How many trades were closed."""
    return sum(entry.kind == CLOSE for entry in store.journal())


def _live_at_once(orders: list[dict[str, Any]]) -> list[str]:
    found = []
    by_side = defaultdict(list)
    for order in orders:
        by_side[order["symbol"], order["side"]].append(order)
    for (symbol, side), known in by_side.items():
        for earlier, later in pairwise(sorted(known, key=lambda order: order["accepted_at"])):
            if earlier["closed_at"] is None or earlier["closed_at"] > later["accepted_at"]:
                found.append(
                    f"{symbol}: two {side} orders live at once: {earlier['client_order_id']} and "
                    f"{later['client_order_id']} from {later['accepted_at']} on"
                )
    return found


def _accepted_twice(orders: list[dict[str, Any]]) -> list[str]:
    times = Counter(order["client_order_id"] for order in orders)
    return [f"order {one} was accepted {count} times" for one, count in times.items() if count > 1]


def _orphans(store: Store, orders: list[dict[str, Any]]) -> list[str]:
    found = [
        f"order {order['client_order_id']} of {order['symbol']} is open at the venue, and the bot is at rest"
        for order in orders
        if order["status"] == "open"
    ]
    for order in orders:
        intent = store.intent(order["client_order_id"])
        if intent is None or intent.instance != order["symbol"]:
            found.append(f"order {order['client_order_id']} of {order['symbol']} is not in the bot's outbox")
    return found


def _trades(store: Store, orders: list[dict[str, Any]]) -> list[str]:
    booked = Counter(
        (
            entry.details["symbol"],
            entry.details["trade_id"],
            entry.details["side"],
            entry.details["client_order_id"],
            entry.details["fee_currency"],
            *(Decimal(entry.details[name]).normalize() for name in ("qty", "price", "fee")),
        )
        for entry in store.journal()
        if entry.kind == TRADE
    )
    made = Counter(
        (
            order["symbol"],
            str(trade["tradeId"]),
            order["side"],
            order["client_order_id"],
            trade["fee_currency"],
            *(Decimal(trade[name]).normalize() for name in ("qty", "price", "fee")),
        )
        for order in orders
        for trade in order["trades"]
    )
    told = [f"booked, but never traded so: {_plain(fact)}" for fact in (booked - made)]
    return told + [f"traded, but not booked so: {_plain(fact)}" for fact in (made - booked)]


def _balances(store: Store, books: dict[str, Any]) -> list[str]:
    nothing = Decimal(0)
    ours = stored_books(store.load(), store.namespace).totals
    theirs = {currency: Decimal(held["free"]) + Decimal(held["locked"]) for currency, held in books["balances"].items()}
    return [
        f"{currency}: the bot has {ours.get(currency, nothing)} in its books, the venue {theirs.get(currency, nothing)}"
        for currency in sorted({*ours, *theirs})
        if ours.get(currency, nothing) != theirs.get(currency, nothing)
    ]


def _plain(fact: tuple[Any, ...]) -> str:
    return " ".join(f"{part:f}" if isinstance(part, Decimal) else str(part) for part in fact)
