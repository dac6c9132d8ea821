"""What a bot's database says, put together for people: positions, trades, equity and the diagram of what happened.

Money in quote currency, instants in milliseconds since the epoch (UTC).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from xml.etree import ElementTree

import msgspec

from engine.fills import average_price
from engine.market_data.candles import Series
from engine.report.figures import RoundTrip, RunFigures
from generated.trading import DEFINITION, Phase, StateData
from runtime.errors import StoreError
from runtime.ledger import CASH, DEPOSIT, DUST, ZERO, JournalEntry, dust_account, position_account, round_trips
from runtime.machine import Snapshot
from runtime.store import AuditRow, Store, StoredInstance, StoredState

_DAY = 86_400_000
COUNTED_LATE = "Old audit rows were archived: how often each edge was taken is counted without them."


class SymbolStatus(msgspec.Struct, frozen=True):
    """One symbol now. Quantities in base currency; `order` is the client order id of a live or unsettled order."""

    symbol: str
    phase: str
    since: int | None
    position: Decimal
    entry_price: Decimal | None
    order: str
    reserved: Decimal
    dust: Decimal
    note: str


class AccountStatus(msgspec.Struct, frozen=True):
    """The account now. `faults` lists what is wrong with the books, a sentence each."""

    cash: dict[str, Decimal]
    slots_taken: int
    fees: dict[str, Decimal]
    symbols: tuple[SymbolStatus, ...]
    faults: tuple[str, ...]


def account_status(state: StoredState) -> AccountStatus:
    """The account as the last commit left it."""
    reserved = {reservation.instance: reservation for reservation in state.reservations}
    balances = {key: amount for key, amount in state.balances.items() if amount}
    symbols = tuple(
        _symbol_status(stored, balances, reserved[stored.instance].cash if stored.instance in reserved else ZERO)
        for stored in state.instances
    )
    return AccountStatus(
        cash=_by_currency(balances, CASH),
        slots_taken=sum(reservation.slots for reservation in state.reservations),
        fees=_by_currency(balances, "fees"),
        symbols=symbols,
        faults=_unbalanced(balances),
    )


def _symbol_status(
    stored: StoredInstance, balances: Mapping[tuple[str, str], Decimal], reserved: Decimal
) -> SymbolStatus:
    base = stored.instance.partition("/")[0]
    position = balances.get((position_account(stored.instance), base), ZERO)
    dust = balances.get((dust_account(stored.instance), base), ZERO)
    try:
        snapshot: Snapshot[StateData] = msgspec.json.decode(stored.snapshot, type=Snapshot[StateData])
    except msgspec.MsgspecError as error:
        note = f"its snapshot cannot be read: {error}"
        return SymbolStatus(stored.instance, stored.phase, None, position, None, "", reserved, dust, note)
    data = snapshot.data
    buying = stored.phase in (Phase.PLACE_BUY, Phase.WAIT_FILL, Phase.CANCEL_BUY, Phase.BUY_UNKNOWN)
    selling = stored.phase in (Phase.PLACE_SELL, Phase.WAIT_SELL_FILL, Phase.CANCEL_SELL, Phase.SELL_UNKNOWN)
    order = data.entry_order if buying else data.exit_order if selling else None
    note = data.last_error or "" if stored.phase in (Phase.ERROR, Phase.RECOVERING) else ""
    if stored.digest != DEFINITION.digest:
        note = f"written under another version of {DEFINITION.source}; a start needs a migration. {note}".strip()
    return SymbolStatus(
        symbol=stored.instance,
        phase=stored.phase,
        since=snapshot.entered_at,
        position=position,
        entry_price=average_price(data.entry_order.fills) if position and data.entry_order else None,
        order=order.client_order_id if order else "",
        reserved=reserved,
        dust=dust,
        note=note,
    )


def _by_currency(balances: Mapping[tuple[str, str], Decimal], account: str) -> dict[str, Decimal]:
    return {currency: amount for (name, currency), amount in sorted(balances.items()) if name == account}


def _unbalanced(balances: Mapping[tuple[str, str], Decimal]) -> tuple[str, ...]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (_, currency), amount in balances.items():
        sums[currency] += amount
    return tuple(f"the accounts in {currency} sum to {total}, not to zero" for currency, total in sums.items() if total)


def closed_round_trips(entries: Iterable[JournalEntry]) -> list[RoundTrip]:
    """The round trips that are over, as a report shows them: by the instant of their closing.

    Fees are in quote currency; those taken in base currency are valued at the entry price, others are left out.
    """
    trips = []
    for trip in round_trips(entries):
        if trip.closed_at is None or trip.realised is None or not trip.sold_qty:
            continue
        entry_price = trip.bought_cost / trip.bought_qty
        fees = trip.fees.get(trip.quote, ZERO) + trip.fees.get(trip.base, ZERO) * entry_price
        trips.append(
            RoundTrip(
                symbol=trip.instance,
                opened_at=trip.opened_at,
                closed_at=trip.closed_at,
                entry_price=entry_price,
                exit_price=trip.sold_proceeds / trip.sold_qty,
                qty=trip.bought_qty,
                realised=trip.realised,
                fees=fees,
                reason=trip.reason,
            )
        )
    return sorted(trips, key=lambda trip: (trip.closed_at, trip.symbol))


def run_figures(store: Store, series: Mapping[str, Series], quote: str, notes: Sequence[str] = ()) -> RunFigures:
    """Everything that a report on this database shows.

    Raises:
        StoreError: the database cannot be read, or holds no trading on these symbols.
    """
    entries = store.journal()
    strangers = sorted({entry.instance for entry in entries if entry.kind != "deposit"} - set(series))
    if strangers:
        raise StoreError(
            f"the database has traded {', '.join(strangers)}, of which the data has no bars. "
            "Give the data that the run was made with (--data)."
        )
    trips = closed_round_trips(entries)
    audits = ((store.audit(one.instance), one.version) for one in store.load().instances)
    counted = [COUNTED_LATE] if any(begins_late(rows, version) for rows, version in audits) else []
    diagram = resources.files("generated.trading").joinpath("machine.svg").read_text(encoding="utf-8")
    return RunFigures(
        title="Phasewright: recorded market",
        quote=quote,
        symbols=tuple(series),
        equity=equity_curve(entries, series, quote),
        round_trips=trips,
        candles={symbol: one.candles for symbol, one in series.items()},
        diagram=diagram,
        edge_counts=edge_counts(diagram, store.branch_counts()),
        notes=(*notes, *counted),
    )


def begins_late(rows: Sequence[AuditRow], version: int) -> bool:
    """Whether the oldest rows of an instance are missing in its audit, because they were archived."""
    return version > 1 if not rows else rows[0].version > 1


def equity_curve(
    entries: Sequence[JournalEntry], series: Mapping[str, Series], quote: str
) -> list[tuple[int, Decimal]]:
    """Cash plus what is held, valued at the latest close: at the deposit, then at the end of every day (UTC)."""
    closes = sorted(
        (candle.closed_at, symbol, candle.close) for symbol, one in series.items() for candle in one.candles
    )
    booked = sorted(entries, key=lambda entry: entry.at)
    price: dict[str, Decimal] = {}
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    cash = Decimal(0)
    paid_in = [
        posting.amount
        for entry in booked
        if entry.kind == DEPOSIT
        for posting in entry.postings
        if posting.account == CASH and posting.currency == quote
    ]
    curve = [(booked[0].at, sum(paid_in, Decimal(0)))] if paid_in else []
    place = 0
    for number, (instant, symbol, close) in enumerate(closes):
        price[symbol] = close
        last = number + 1 == len(closes)
        if not last and closes[number + 1][0] // _DAY == instant // _DAY:
            continue
        while place < len(booked) and booked[place].at <= instant:
            for posting in booked[place].postings:
                if posting.account == CASH and posting.currency == quote:
                    cash += posting.amount
                elif posting.account.startswith((position_account(""), f"{DUST}:")):
                    held[posting.account.partition(":")[2]] += posting.amount
            place += 1
        worth = sum((qty * price[name] for name, qty in held.items() if name in price), Decimal(0))
        curve.append((instant, cash + worth))
    return curve


def edge_counts(svg: str, branch_counts: Mapping[str, int]) -> dict[str, int]:
    """How often each edge of the map was taken: the sum over the rows that it stands for."""
    counts: dict[str, int] = {}
    for element in ElementTree.fromstring(svg).iter():
        branches = element.get("data-branches")
        if branches is not None and (edge := element.get("id")):
            counts[edge] = sum(branch_counts.get(branch, 0) for branch in branches.split())
    return counts
