"""What holds for the portfolio after any sequence of changes. Exactness is judged by fractions."""

import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from runtime.ledger import JournalEntry, TradeFill, round_trips
from runtime.portfolio import InsufficientCash, NoFreeSlot, Portfolio, PortfolioChange

D = Decimal
NOW = 1_570_000_000_000
SYMBOLS = ("BTC/USD", "ETH/USD", "ETH/BTC")
SLOTS = 2

quick = settings(max_examples=30, deadline=None)
amounts = st.integers(1, 10**30).map(lambda units: D(f"{units}E-18"))
instances = st.sampled_from(SYMBOLS)


@st.composite
def fills(draw: st.DrawFn, lowest_id: int = 0) -> TradeFill:
    symbol = draw(instances)
    base, quote = symbol.split("/")
    return TradeFill(
        trade_id=str(lowest_id + draw(st.integers(0, 10**6))),
        symbol=symbol,
        side=draw(st.sampled_from(("buy", "sell"))),
        base=base,
        quote=quote,
        qty=draw(amounts),
        price=draw(amounts),
        at=NOW + draw(st.integers(0, 10**6)),
        fee=draw(st.one_of(st.just(D(0)), amounts, amounts.map(D.copy_negate))),
        fee_currency=draw(st.sampled_from((base, quote, "BNB"))),
        round_trip=draw(st.sampled_from(("r1", "r2"))),
    )


histories = st.lists(fills(), max_size=8, unique_by=lambda trade: trade.entry_id)


def state(portfolio: Portfolio) -> tuple[Any, ...]:
    return portfolio.balances(), {r.instance: r for r in portfolio.reservations()}


def booked(history: list[TradeFill]) -> tuple[Portfolio, list[JournalEntry]]:
    portfolio = Portfolio(SLOTS)
    entries: list[JournalEntry] = []
    for trade in history:
        with portfolio.begin(trade.symbol, NOW) as tx:
            assert tx.book_trade(trade)
        entries += tx.change.entries
    return portfolio, entries


def sums_by_currency(portfolio: Portfolio) -> dict[str, Fraction]:
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for (_, currency), amount in portfolio.balances().items():
        sums[currency] += Fraction(amount)
    return sums


def signed(trade: TradeFill) -> Fraction:
    return Fraction(trade.qty) if trade.side == "buy" else -Fraction(trade.qty)


@quick
@given(histories)
def test_balances_sum_to_zero_and_equal_the_sum_of_the_fills(history: list[TradeFill]) -> None:
    portfolio, _ = booked(history)
    assert not any(sums_by_currency(portfolio).values())
    for symbol in SYMBOLS:
        base, _ = symbol.split("/")
        mine = [trade for trade in history if trade.symbol == symbol]
        assert Fraction(portfolio.position(symbol, base)) == sum(
            (signed(trade) - (Fraction(trade.fee) if trade.fee_currency == base else 0) for trade in mine), Fraction()
        )
    for currency in ("USD", "BTC", "BNB"):
        spent = sum(
            (signed(trade) * Fraction(trade.price) for trade in history if trade.quote == currency), Fraction()
        ) + sum(
            (Fraction(t.fee) for t in history if t.fee_currency == currency and t.fee_currency != t.base), Fraction()
        )
        assert Fraction(portfolio.cash(currency)) == -spent


@quick
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_booking_does_not_matter(history: list[TradeFill], order: random.Random) -> None:
    shuffled = order.sample(history, len(history))
    (first, entries), (second, other_entries) = booked(history), booked(shuffled)
    assert state(first) == state(second)
    assert round_trips(entries) == round_trips(other_entries)


@quick
@given(histories.filter(bool), st.data())
def test_a_duplicate_changes_nothing(history: list[TradeFill], data: st.DataObject) -> None:
    portfolio, _ = booked(history)
    before = state(portfolio)
    for trade in data.draw(st.lists(st.sampled_from(history), min_size=1)):
        with portfolio.begin(trade.symbol, NOW) as tx:
            assert not tx.book_trade(trade)
        assert not tx.change
    assert state(portfolio) == before


@quick
@given(histories)
def test_the_books_survive_storing_and_loading(history: list[TradeFill]) -> None:
    portfolio, entries = booked(history)
    restored = Portfolio.load(SLOTS, reversed(entries), portfolio.reservations(), portfolio.balances())
    assert state(restored) == state(portfolio)
    assert all(restored.is_booked(trade.entry_id) for trade in history)


@quick
@given(st.lists(fills(), min_size=1, max_size=6, unique_by=lambda trade: trade.entry_id), amounts)
def test_a_round_trip_sold_to_the_last_digit_realises_what_its_cash_did(bought: list[TradeFill], price: D) -> None:
    symbol = "BTC/USD"
    pair = {"symbol": symbol, "base": "BTC", "quote": "USD", "round_trip": "r"}
    portfolio = Portfolio(SLOTS)
    with portfolio.begin(symbol, NOW) as tx:
        for number, trade in enumerate(bought):
            currency = "BTC" if trade.fee_currency == trade.base else "USD"
            fee = D(0) if currency == "BTC" and trade.fee >= trade.qty else trade.fee
            tx.book_trade(replace(trade, **pair, trade_id=str(number), side="buy", fee=fee, fee_currency=currency))
        held = tx.position(symbol, "BTC")
        tx.book_trade(replace(bought[0], **pair, trade_id="sale", side="sell", qty=held, price=price, fee=D(0)))
    (trip,) = round_trips(tx.change.entries)
    assert trip.remaining_qty == 0
    assert trip.closed_at is not None
    assert trip.realised == portfolio.cash("USD")


class Books(RuleBasedStateMachine):
    """Any interleaving of transactions, checked against a plain model and against a follower fed with the changes."""

    @initialize(usd=st.decimals("0.01", "100000", places=2))
    def open(self, usd: D) -> None:
        self.portfolio = Portfolio(SLOTS)
        self.changes: list[PortfolioChange] = []
        self.overdrawn = False
        self.commit("account", lambda tx: tx.deposit("opening", "USD", usd))

    def commit(self, instance: str, work: Any) -> None:
        with self.portfolio.begin(instance, NOW) as tx:
            work(tx)
            seen = self.seen(tx)
        assert self.seen(self.portfolio) == seen
        self.changes.append(tx.change)

    @staticmethod
    def seen(view: Any) -> tuple[Any, ...]:
        return (
            [(view.cash(c), view.free_cash(c)) for c in ("USD", "BTC", "BNB")],
            [(view.reservation(s), view.position(s, s.split("/")[0])) for s in SYMBOLS],
            view.slots_free,
        )

    @rule(trade=fills())
    def book(self, trade: TradeFill) -> None:
        if self.portfolio.is_booked(trade.entry_id):
            return
        self.commit(trade.symbol, lambda tx: tx.book_trade(trade))
        self.overdrawn = True

    @rule(instance=instances, cash=st.decimals("0", "60000", places=2), slots=st.integers(0, 2))
    def reserve(self, instance: str, cash: D, slots: int) -> None:
        free, slots_free = self.portfolio.free_cash("USD"), self.portfolio.slots_free
        held = self.portfolio.reservation(instance)
        fits = cash <= held.cash or cash - held.cash <= free
        slot_fits = slots <= held.slots or slots - held.slots <= slots_free
        if fits and slot_fits:
            self.commit(instance, lambda tx: tx.reserve("USD", cash, slots))
            return
        before = state(self.portfolio)
        refusal = InsufficientCash if not fits else NoFreeSlot
        with pytest.raises(refusal), self.portfolio.begin(instance, NOW) as tx:
            tx.reserve("USD", cash, slots)
        assert state(self.portfolio) == before

    @rule(instance=instances)
    def release(self, instance: str) -> None:
        self.commit(instance, lambda tx: tx.release())

    @rule(trade=fills(lowest_id=10**9))
    def roll_back(self, trade: TradeFill) -> None:
        before = state(self.portfolio)
        tx = self.portfolio.begin(trade.symbol, NOW)
        tx.release()
        assert tx.book_trade(trade)
        tx.rollback()
        assert state(self.portfolio) == before
        assert not self.portfolio.is_booked(trade.entry_id)

    @rule(count=st.integers(1, 4))
    def undo(self, count: int) -> None:
        for _ in range(min(count, len(self.changes) - 1)):
            change = self.changes.pop()
            self.portfolio.undo(change)
            assert not any(self.portfolio.is_booked(entry.entry_id) for entry in change.entries)

    @invariant()
    def currencies_sum_to_zero(self) -> None:
        assert not any(sums_by_currency(self.portfolio).values())

    @invariant()
    def reservations_are_covered(self) -> None:
        reserved = sum((Fraction(r.cash) for r in self.portfolio.reservations()), Fraction())
        assert Fraction(self.portfolio.free_cash("USD")) == Fraction(self.portfolio.cash("USD")) - reserved
        assert 0 <= sum(r.slots for r in self.portfolio.reservations()) <= SLOTS
        if not self.overdrawn:
            assert 0 <= reserved <= self.portfolio.cash("USD")
            assert self.portfolio.verify() == ()

    @invariant()
    def the_changes_rebuild_the_state(self) -> None:
        follower = Portfolio(SLOTS)
        for change in self.changes:
            follower.apply(change)
        assert state(follower) == state(self.portfolio)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
