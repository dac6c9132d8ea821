"""Double-entry journal entries in exact Decimal, and the round trips that can be read from them.

An entry moves amounts between accounts and sums to zero in every currency by itself. The accounts:

    cash                  what can be spent, one balance per currency
    position:<instance>   what an instance holds of what it bought
    trading               the other side of every conversion of one currency into another
    fees                  what the exchange has taken, in the currency in which it was taken
    equity                the other side of deposits
    dust:<instance>       what an instance could not sell and set aside

Instants are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

from msgspec import Struct

from runtime.errors import PhasewrightError

CASH = "cash"
TRADING = "trading"
FEES = "fees"
EQUITY = "equity"

TRADE = "trade"
DEPOSIT = "deposit"
CLOSE = "close"
DUST = "dust"

ZERO = Decimal(0)

# Python's own context rounds at 28 digits without a word. The limits below keep every product and every sum within
# 200 digits; the trap is there for the day that this reasoning is wrong.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_VALUATION = Context(prec=50)
_INTEGER_DIGITS = 30
_DECIMALS = 40


class LedgerMismatch(PhasewrightError):  # noqa: N818
    """The books contradict themselves or what is to be booked. The message holds the evidence."""


class Posting(Struct, frozen=True):
    """One side of an entry: `amount`, in units of `currency`, flows into the account (out of it when negative)."""

    account: str
    currency: str
    amount: Decimal


class JournalEntry(Struct, frozen=True):
    """One booked fact. `entry_id` is unique in the ledger for ever, `at` is the instant at which it happened."""

    entry_id: str
    instance: str
    at: int
    kind: str
    postings: tuple[Posting, ...]
    details: dict[str, str]


class TradeFill(Struct, frozen=True, kw_only=True):
    """One trade as the exchange reports it.

    `qty` is in the base currency and `price` in quote per base; `fee` is in `fee_currency`, negative for a rebate.
    `round_trip` names the purchase and sale that the trade belongs to; empty, it belongs to none.
    """

    trade_id: str
    symbol: str
    side: str
    base: str
    quote: str
    qty: Decimal
    price: Decimal
    at: int
    fee: Decimal = ZERO
    fee_currency: str = ""
    client_order_id: str = ""
    round_trip: str = ""

    @property
    def entry_id(self) -> str:
        """The id of this trade's journal entry: exchanges number trades per symbol."""
        return f"{self.symbol}:{self.trade_id}"


class RoundTrip(Struct, frozen=True, kw_only=True):
    """What one purchase and its sale came to. Quantities in base, cost, proceeds and `realised` in quote currency.

    `fees` is by currency. `realised` is the proceeds, less what the sold quantity and the fees in base currency had
    cost at the average entry price, less the fees in quote currency. Fees in a third currency are not converted and
    not part of it. It is None when there were sales and no purchase, hence no entry price.

    `remaining_qty` is bought and neither sold nor taken as a fee; negative when a remainder of an earlier round trip
    was sold along with this one (at this one's entry price).

    `closed_at` and `reason` are those of the closing; a round trip that was never closed but sold to the last digit
    closed with its last trade.
    """

    instance: str
    round_trip: str
    base: str
    quote: str
    opened_at: int
    closed_at: int | None
    bought_qty: Decimal
    bought_cost: Decimal
    sold_qty: Decimal
    sold_proceeds: Decimal
    remaining_qty: Decimal
    fees: dict[str, Decimal]
    realised: Decimal | None
    reason: str


def position_account(instance: str) -> str:
    """The name of the account that holds what `instance` bought."""
    return f"position:{instance}"


def dust_account(instance: str) -> str:
    """The name of the account that holds what `instance` could not sell."""
    return f"{DUST}:{instance}"


def check_amount(value: Decimal, what: str, factors: int = 1) -> None:
    """Raise ValueError, beginning with `what`, unless `value` is a Decimal that can be booked without rounding.

    `factors` is how many such numbers may have been multiplied to make it: 2 for what comes out of quantity by price.
    """
    if not isinstance(value, Decimal):
        raise ValueError(f"{what} is {value!r}, a {type(value).__name__}: money is Decimal, made from the text")
    if not value.is_finite():
        raise ValueError(f"{what} is {value}: nothing can be booked that is not a number")
    if not _is_bookable(value, factors):
        raise ValueError(
            f"{what} is {value}: at most {factors * _INTEGER_DIGITS} digits before and {factors * _DECIMALS} behind "
            "the point can be booked exactly; was it made from a float instead of from the text?"
        )


def trade_entry(instance: str, trade: TradeFill) -> JournalEntry:
    """The entry that books `trade` for `instance`.

    A fee in the base currency leaves the position (it cannot be sold), any other leaves cash.

    Raises:
        ValueError: the trade is malformed; the message names it.
    """
    _check_trade(trade)
    qty = trade.qty if trade.side == "buy" else trade.qty.copy_negate()
    value = EXACT.multiply(qty, trade.price)
    held = position_account(instance)
    postings = [
        Posting(held, trade.base, qty),
        Posting(TRADING, trade.base, qty.copy_negate()),
        Posting(CASH, trade.quote, value.copy_negate()),
        Posting(TRADING, trade.quote, value),
    ]
    if trade.fee:
        payer = held if trade.fee_currency == trade.base else CASH
        postings.append(Posting(payer, trade.fee_currency, trade.fee.copy_negate()))
        postings.append(Posting(FEES, trade.fee_currency, trade.fee))
    details = {
        "symbol": trade.symbol,
        "trade_id": trade.trade_id,
        "side": trade.side,
        "base": trade.base,
        "quote": trade.quote,
        "qty": str(trade.qty),
        "price": str(trade.price),
        "fee": str(trade.fee),
        "fee_currency": trade.fee_currency,
        "client_order_id": trade.client_order_id,
        "round_trip": trade.round_trip,
    }
    return JournalEntry(trade.entry_id, instance, trade.at, TRADE, tuple(postings), details)


def deposit_entry(instance: str, at: int, reference: str, currency: str, amount: Decimal) -> JournalEntry:
    """The entry that brings `amount` of `currency` into cash.

    Raises:
        ValueError: the amount is not positive, or a name is missing.
    """
    what = f"deposit {reference!r}: amount"
    check_amount(amount, what)
    if amount <= 0:
        raise ValueError(f"{what} is {amount}: it must be above zero")
    if not reference or not currency:
        raise ValueError(f"deposit {reference!r} of {amount} {currency!r}: it needs a reference and a currency")
    postings = (Posting(CASH, currency, amount), Posting(EQUITY, currency, amount.copy_negate()))
    return JournalEntry(f"{DEPOSIT}:{reference}", instance, at, DEPOSIT, postings, {"reference": reference})


def close_entry(instance: str, at: int, round_trip: str, reason: str) -> JournalEntry:
    """The entry, without postings, that declares a round trip over, whatever remainder it left."""
    if not round_trip:
        raise ValueError(f"{instance}: a round trip needs an id to be closed")
    details = {"round_trip": round_trip, "reason": reason}
    return JournalEntry(f"{CLOSE}:{instance}:{round_trip}", instance, at, CLOSE, (), details)


def dust_entry(instance: str, at: int, round_trip: str, currency: str, amount: Decimal) -> JournalEntry:
    """The entry that moves `amount` of `currency` from the position to the dust of `instance`."""
    postings = (
        Posting(position_account(instance), currency, amount.copy_negate()),
        Posting(dust_account(instance), currency, amount),
    )
    return JournalEntry(f"{DUST}:{instance}:{round_trip}", instance, at, DUST, postings, {"round_trip": round_trip})


def check_entry(entry: JournalEntry) -> None:
    """Raise LedgerMismatch unless every amount can be added up and the entry sums to zero in every currency."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for posting in entry.postings:
        amount = posting.amount
        if not _is_bookable(amount, factors=2):
            raise LedgerMismatch(f"entry {entry.entry_id}: {amount} {posting.currency} in {posting.account} is no sum")
        sums[posting.currency] = EXACT.add(sums[posting.currency], amount)
    for currency, total in sums.items():
        if total:
            raise LedgerMismatch(
                f"entry {entry.entry_id} of {entry.instance} is off by {total} {currency}: {_listed(entry)}"
            )


def round_trips(entries: Iterable[JournalEntry]) -> list[RoundTrip]:
    """The round trips in `entries`, by the instant at which they opened. The order of the entries does not matter.

    Raises:
        LedgerMismatch: the trades of one round trip are not all of the same base and quote currency.
    """
    groups: defaultdict[tuple[str, str], list[JournalEntry]] = defaultdict(list)
    for entry in entries:
        if name := entry.details.get("round_trip"):
            groups[entry.instance, name].append(entry)
    found = [
        _round_trip(instance, name, trades, next((entry for entry in group if entry.kind == CLOSE), None))
        for (instance, name), group in groups.items()
        if (trades := [entry for entry in group if entry.kind == TRADE])
    ]
    return sorted(found, key=lambda trip: (trip.opened_at, trip.instance, trip.round_trip))


def _round_trip(instance: str, name: str, trades: list[JournalEntry], closing: JournalEntry | None) -> RoundTrip:
    pairs = sorted({(trade.details["base"], trade.details["quote"]) for trade in trades})
    if len(pairs) > 1:
        raise LedgerMismatch(f"round trip {name} of {instance} mixes currencies: {pairs}")
    base, quote = pairs[0]
    # The trading account sees each conversion whole, fees apart: a purchase takes base out of it and brings quote in.
    taken: defaultdict[str, Decimal] = defaultdict(Decimal)
    brought: defaultdict[str, Decimal] = defaultdict(Decimal)
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    for posting in (posting for trade in trades for posting in trade.postings):
        if posting.account == FEES:
            fees[posting.currency] = EXACT.add(fees[posting.currency], posting.amount)
        elif posting.account == TRADING:
            side = brought if posting.amount > 0 else taken
            side[posting.currency] = EXACT.add(side[posting.currency], posting.amount.copy_abs())
    bought_qty, bought_cost, sold_qty, sold_proceeds = taken[base], brought[quote], brought[base], taken[quote]
    disposed = EXACT.add(sold_qty, fees.get(base, ZERO))
    remaining = EXACT.subtract(bought_qty, disposed)
    closed_at = max(trade.at for trade in trades) if remaining <= 0 else None
    return RoundTrip(
        instance=instance,
        round_trip=name,
        base=base,
        quote=quote,
        opened_at=min(trade.at for trade in trades),
        closed_at=closing.at if closing else closed_at,
        bought_qty=bought_qty,
        bought_cost=bought_cost,
        sold_qty=sold_qty,
        sold_proceeds=sold_proceeds,
        remaining_qty=remaining,
        fees=dict(sorted(fees.items())),
        realised=_realised(bought_qty, bought_cost, disposed, sold_proceeds, fees.get(quote, ZERO)),
        reason=closing.details["reason"] if closing else "",
    )


def _realised(
    bought_qty: Decimal, bought_cost: Decimal, disposed: Decimal, proceeds: Decimal, quote_fees: Decimal
) -> Decimal | None:
    if not bought_qty:
        return None
    # Sold to the last digit, the cost is exact; only the share of a remainder needs a division.
    share = bought_cost if disposed == bought_qty else _share(bought_cost, disposed, bought_qty)
    return EXACT.subtract(EXACT.subtract(proceeds, share), quote_fees)


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return _VALUATION.divide(EXACT.multiply(cost, part), whole)


def _check_trade(trade: TradeFill) -> None:
    what = f"trade {trade.entry_id}"
    if not trade.symbol or not trade.trade_id:
        raise ValueError(f"{what}: without a symbol and a trade id it cannot be told from another trade")
    if trade.side not in ("buy", "sell"):
        raise ValueError(f"{what}: side is {trade.side!r}, not 'buy' or 'sell'")
    if not trade.base or not trade.quote or trade.base == trade.quote:
        raise ValueError(f"{what}: base {trade.base!r} and quote {trade.quote!r} must be two currencies")
    for name, value in (("qty", trade.qty), ("price", trade.price)):
        check_amount(value, f"{what}: {name}")
        if value <= 0:
            raise ValueError(f"{what}: {name} is {value}: it must be above zero")
    check_amount(trade.fee, f"{what}: fee")
    if trade.fee and not trade.fee_currency:
        raise ValueError(f"{what}: a fee of {trade.fee} needs its currency")


def _is_bookable(value: Decimal, factors: int) -> bool:
    exponent = value.as_tuple().exponent
    return (
        isinstance(exponent, int)
        and exponent >= -factors * _DECIMALS
        and (not value or value.adjusted() < factors * _INTEGER_DIGITS)
    )


def _listed(entry: JournalEntry) -> str:
    return ", ".join(f"{posting.account} {posting.amount} {posting.currency}" for posting in entry.postings)
