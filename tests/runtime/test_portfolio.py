"""The portfolio by example, in numbers that can be followed by hand."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.ledger import JournalEntry, LedgerMismatch, Posting, TradeFill
from runtime.portfolio import InsufficientCash, NoFreeSlot, Portfolio, PortfolioChange, Reservation

D = Decimal
NOW = 1_570_000_000_000
BTC, ETH, LTC = "BTC/USD", "ETH/USD", "LTC/USD"


def fill(trade_id: str, side: str, qty: str, price: str, **changed: Any) -> TradeFill:
    given: dict[str, Any] = {
        "trade_id": trade_id,
        "symbol": BTC,
        "side": side,
        "base": "BTC",
        "quote": "USD",
        "qty": D(qty),
        "price": D(price),
        "at": NOW,
    }
    return TradeFill(**given | changed)


def funded(usd: str = "1000", slots: int = 2) -> Portfolio:
    portfolio = Portfolio(slots)
    with portfolio.begin("account", NOW) as tx:
        tx.deposit("opening", "USD", D(usd))
    return portfolio


def state(portfolio: Portfolio) -> tuple[Any, ...]:
    return portfolio.balances(), {r.instance: r for r in portfolio.reservations()}


def test_a_purchase_and_its_sale() -> None:
    portfolio = funded("1000")
    with portfolio.begin(BTC, NOW) as tx:
        assert tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("0.4"), fee_currency="USD"))
    assert portfolio.cash("USD") == D("599.6")
    assert portfolio.position(BTC, "BTC") == D("0.5")
    with portfolio.begin(BTC, NOW) as tx:
        assert tx.book_trade(fill("2", "sell", "0.5", "900", fee=D("0.45"), fee_currency="USD"))
    assert portfolio.cash("USD") == D("1049.15")
    assert portfolio.position(BTC, "BTC") == 0
    assert portfolio.balances() == {
        ("cash", "USD"): D("1049.15"),
        ("equity", "USD"): D("-1000"),
        ("fees", "USD"): D("0.85"),
        ("trading", "USD"): D("-50"),
    }
    assert portfolio.verify() == ()


def test_a_fee_in_base_currency_reduces_what_can_be_sold() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("0.0005"), fee_currency="BTC"))
    assert portfolio.position(BTC, "BTC") == D("0.4995")
    assert portfolio.cash("USD") == D("600")
    assert portfolio.balance("fees", "BTC") == D("0.0005")


def test_a_fee_in_a_third_currency_is_paid_from_its_cash() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        tx.deposit("for fees", "BNB", D("1"))
        tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("0.02"), fee_currency="BNB"))
    assert portfolio.cash("BNB") == D("0.98")
    assert portfolio.cash("USD") == D("600")
    assert portfolio.position(BTC, "BTC") == D("0.5")


def test_a_rebate_is_a_negative_fee() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("-0.1"), fee_currency="USD"))
    assert portfolio.cash("USD") == D("600.1")
    assert portfolio.balance("fees", "USD") == D("-0.1")


def test_a_deposit_reported_by_another_instance_is_the_same_deposit() -> None:
    portfolio = funded("1000")
    with portfolio.begin(BTC, NOW) as tx:
        assert not tx.deposit("opening", "USD", D("1000"))
    assert portfolio.cash("USD") == D("1000")


def test_the_change_holds_what_a_store_writes() -> None:
    portfolio = funded()
    tx = portfolio.begin(BTC, NOW)
    tx.reserve("USD", D("500"))
    tx.book_trade(fill("7", "buy", "0.5", "800", client_order_id="c1", round_trip="r1", at=NOW - 5))
    staged = tx.change
    assert tx.commit() == staged == tx.change
    assert staged.reservations == (Reservation(BTC, "USD", D("100"), 1),)
    (entry,) = staged.entries
    assert (entry.entry_id, entry.instance, entry.at, entry.kind) == ("BTC/USD:7", BTC, NOW - 5, "trade")
    assert entry.postings == (
        Posting("position:BTC/USD", "BTC", D("0.5")),
        Posting("trading", "BTC", D("-0.5")),
        Posting("cash", "USD", D("-400")),
        Posting("trading", "USD", D("400")),
    )
    assert entry.details["client_order_id"] == "c1"
    assert entry.details["round_trip"] == "r1"


def test_a_transaction_without_changes_gives_the_store_nothing() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("500"))
        tx.release()
    assert not tx.change
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("0"), slots=0)
    assert not tx.change


def test_a_trade_is_booked_once() -> None:
    portfolio = funded()
    trade = fill("1", "buy", "0.5", "800")
    with portfolio.begin(BTC, NOW) as tx:
        assert not tx.is_booked(trade.entry_id)
        assert tx.book_trade(trade)
        assert tx.is_booked(trade.entry_id)
        assert not tx.book_trade(trade)
    with portfolio.begin(BTC, NOW + 1) as tx:
        tx.reserve("USD", D("600"))
        assert not tx.book_trade(fill("1", "buy", "0.50", "800.0"))
        assert tx.reservation(BTC).cash == D("600")
    assert portfolio.cash("USD") == D("600")


@pytest.mark.parametrize("committed", [False, True])
def test_a_trade_reported_again_with_other_figures_is_a_mismatch(committed: bool) -> None:
    portfolio = funded()
    tx = portfolio.begin(BTC, NOW)
    tx.book_trade(fill("1", "buy", "0.5", "800"))
    if committed:
        tx.commit()
        tx = portfolio.begin(BTC, NOW)
    with pytest.raises(LedgerMismatch, match=r"BTC/USD:1 was booked before with other figures.*'qty': '0.6'"):
        tx.book_trade(fill("1", "buy", "0.6", "800"))
    assert tx.position(BTC, "BTC") == D("0.5")


def test_a_trade_booked_for_another_instance_is_a_mismatch() -> None:
    portfolio = funded()
    with portfolio.begin("first", NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.5", "800"))
    with portfolio.begin("second", NOW) as tx, pytest.raises(LedgerMismatch, match="for another instance"):
        tx.book_trade(fill("1", "buy", "0.5", "800"))


def test_trade_ids_are_unique_per_symbol_only() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        assert tx.book_trade(fill("1", "buy", "0.5", "800"))
    with portfolio.begin(ETH, NOW) as tx:
        assert tx.book_trade(fill("1", "buy", "2", "100", symbol=ETH, base="ETH"))
    assert portfolio.cash("USD") == D("400")


def test_a_deposit_is_booked_once_per_reference() -> None:
    portfolio = funded("1000")
    with portfolio.begin("account", NOW) as tx:
        assert not tx.deposit("opening", "USD", D("1000"))
        assert tx.deposit("second", "USD", D("5"))
        with pytest.raises(LedgerMismatch, match="deposit:opening"):
            tx.deposit("opening", "USD", D("2000"))
    assert portfolio.cash("USD") == D("1005")


@pytest.mark.parametrize("amount", ["0", "-1", "NaN"])
def test_a_deposit_must_be_above_zero(amount: str) -> None:
    with Portfolio(1).begin("account", NOW) as tx, pytest.raises(ValueError, match="deposit 'opening'"):
        tx.deposit("opening", "USD", D(amount))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"qty": D("0")}, "qty is 0: it must be above zero"),
        ({"qty": D("-1")}, "qty is -1: it must be above zero"),
        ({"qty": D("NaN")}, "qty is NaN"),
        ({"qty": D("Infinity")}, "qty is Infinity"),
        ({"qty": 0.1}, "qty is 0.1, a float"),
        ({"qty": D.from_float(0.1)}, "was it made from a float"),
        ({"qty": D("1e30")}, "at most 30 digits before and 40 behind"),
        ({"price": D("0")}, "price is 0: it must be above zero"),
        ({"price": D("sNaN")}, "price is sNaN"),
        ({"fee": D("NaN"), "fee_currency": "USD"}, "fee is NaN"),
        ({"fee": D("1")}, "a fee of 1 needs its currency"),
        ({"side": "BUY"}, "side is 'BUY', not 'buy' or 'sell'"),
        ({"base": ""}, "must be two currencies"),
        ({"base": "USD"}, "must be two currencies"),
        ({"symbol": ""}, "without a symbol"),
        ({"trade_id": ""}, "without a symbol and a trade id"),
    ],
)
def test_a_malformed_trade_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    portfolio = funded()
    before = state(portfolio)
    trade = replace(fill("1", "buy", "0.5", "800"), **changed)
    with portfolio.begin(BTC, NOW) as tx, pytest.raises(ValueError, match=f"^trade {trade.entry_id}: .*{said}"):
        tx.book_trade(trade)
    assert state(portfolio) == before


def test_sums_are_exact_beyond_the_default_precision() -> None:
    portfolio = funded("123456789012345678")
    with portfolio.begin(BTC, NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.000000000000000001", "0.000000000000000001"))
    assert str(portfolio.cash("USD")) == "123456789012345677.999999999999999999999999999999999999"


def test_reservations_share_cash_and_slots() -> None:
    portfolio = funded("1000", slots=2)
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("600"))
        assert (tx.free_cash("USD"), tx.slots_free) == (D("400"), 1)
        assert portfolio.free_cash("USD") == D("1000")
    with portfolio.begin(ETH, NOW) as tx:
        with pytest.raises(InsufficientCash, match=r"ETH/USD: cannot hold 400.01 USD aside.*400 are free"):
            tx.reserve("USD", D("400.01"))
        tx.reserve("USD", D("400"))
    with portfolio.begin(LTC, NOW) as tx, pytest.raises(NoFreeSlot, match=r"LTC/USD: .* 2 of 2 are taken"):
        tx.reserve("USD", D("0"))
    assert (portfolio.cash("USD"), portfolio.free_cash("USD"), portfolio.slots_free) == (D("1000"), D("0"), 0)
    with portfolio.begin(BTC, NOW) as tx:
        tx.release()
    assert (portfolio.free_cash("USD"), portfolio.slots_free) == (D("600"), 1)
    assert portfolio.reservation(BTC) == Reservation(BTC)


def test_a_reservation_replaces_the_one_before() -> None:
    portfolio = funded("1000", slots=1)
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("900"))
        tx.reserve("USD", D("1000"))
        tx.reserve("USD", D("50"))
        assert (tx.free_cash("USD"), tx.slots_free) == (D("950"), 0)
        with pytest.raises(InsufficientCash):
            tx.reserve("USD", D("1000.01"))
        assert tx.reservation(BTC) == Reservation(BTC, "USD", D("50"), 1)


def test_a_reservation_in_another_currency_replaces_the_whole_one() -> None:
    portfolio = funded("1000")
    with portfolio.begin(BTC, NOW) as tx:
        tx.deposit("euros", "EUR", D("10"))
        tx.reserve("USD", D("900"))
        with pytest.raises(InsufficientCash):
            tx.reserve("EUR", D("11"))
        tx.reserve("EUR", D("10"))
        assert (tx.free_cash("USD"), tx.free_cash("EUR")) == (D("1000"), D("0"))


@pytest.mark.parametrize(
    ("currency", "cash", "slots"), [("USD", D("-1"), 1), ("USD", D("NaN"), 1), ("USD", D("1"), -1), ("", D("1"), 1)]
)
def test_an_impossible_reservation_is_refused(currency: str, cash: D, slots: int) -> None:
    with funded().begin(BTC, NOW) as tx, pytest.raises(ValueError, match="BTC/USD"):
        tx.reserve(currency, cash, slots)


def test_a_purchase_uses_up_its_own_reservation() -> None:
    portfolio = funded("1000")
    with portfolio.begin(ETH, NOW) as tx:
        tx.reserve("USD", D("100"))
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("500"))
        tx.book_trade(fill("1", "buy", "0.25", "800", fee=D("1"), fee_currency="USD"))
        assert tx.reservation(BTC) == Reservation(BTC, "USD", D("299"), 1)
        assert tx.free_cash("USD") == D("400")
        tx.book_trade(fill("2", "buy", "0.5", "800"))
        assert tx.reservation(BTC).cash == 0
        assert tx.free_cash("USD") == D("299")
        tx.book_trade(fill("3", "sell", "0.75", "800"))
    assert portfolio.reservation(ETH).cash == D("100")
    assert portfolio.reservation(BTC) == Reservation(BTC, "USD", D("0"), 1)


def test_what_is_left_of_a_reservation_is_exact_and_can_be_loaded() -> None:
    portfolio = funded("1000")
    tiny = "0." + "0" * 29 + "1"
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("1"))
        tx.book_trade(fill("1", "buy", tiny, tiny))
    (left,) = portfolio.reservations()
    assert str(left.cash) == "0." + "9" * 60
    entries = [entry("deposit:opening", "1000", "-1000"), *tx.change.entries]
    assert state(Portfolio.load(2, entries, [left])) == state(portfolio)
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", portfolio.cash("USD"))
    assert portfolio.free_cash("USD") == 0


def test_a_trade_is_booked_even_when_the_cash_does_not_cover_it() -> None:
    portfolio = funded("100")
    with portfolio.begin(ETH, NOW) as tx:
        tx.reserve("USD", D("50"))
    with portfolio.begin(BTC, NOW) as tx:
        assert tx.book_trade(fill("1", "buy", "1", "120", fee=D("0.1"), fee_currency="BNB"))
        assert tx.book_trade(fill("2", "sell", "1.5", "1"))
    assert portfolio.cash("USD") == D("-18.5")
    assert portfolio.verify() == (
        "cash is -0.1 BNB, below zero",
        "cash is -18.5 USD, below zero",
        "position:BTC/USD is -0.5 BTC, below zero",
        "reservations exceed the cash by 68.5 USD",
    )
    with portfolio.begin(ETH, NOW) as tx:
        with pytest.raises(InsufficientCash):
            tx.reserve("USD", D("51"))
        tx.reserve("USD", D("40"))
        tx.release()
    assert portfolio.free_cash("USD") == D("-18.5")


def test_an_exception_in_the_block_rolls_back() -> None:
    portfolio = funded()
    before = state(portfolio)
    with pytest.raises(RuntimeError, match="the action failed"), portfolio.begin(BTC, NOW) as tx:  # noqa: PT012
        tx.reserve("USD", D("500"))
        tx.book_trade(fill("1", "buy", "0.5", "800"))
        raise RuntimeError("the action failed")
    assert state(portfolio) == before
    assert not portfolio.is_booked("BTC/USD:1")
    assert not tx.change
    with portfolio.begin(BTC, NOW) as tx:
        assert tx.book_trade(fill("1", "buy", "0.5", "800"))


def test_a_transaction_that_is_over_refuses_more() -> None:
    portfolio = funded()
    with portfolio.begin(BTC, NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.5", "800"))
        tx.commit()
    assert tx.position(BTC, "BTC") == D("0.5")
    with portfolio.begin(ETH, NOW) as dropped:
        dropped.reserve("USD", D("1"))
        dropped.rollback()
    assert dropped.free_cash("USD") == D("600")
    with portfolio.begin(BTC, NOW) as later:
        later.reserve("USD", D("10"))
    assert tx.reservation(BTC).cash == D("10")
    for over in (tx, dropped):
        with pytest.raises(RuntimeError, match="is over"):
            over.book_trade(fill("2", "buy", "0.5", "800"))
        with pytest.raises(RuntimeError, match="is over"):
            over.reserve("USD", D("1"))
        with pytest.raises(RuntimeError, match="is over"):
            over.release()
        with pytest.raises(RuntimeError, match="is over"):
            over.commit()
        with pytest.raises(RuntimeError, match="is over"):
            over.rollback()


def test_one_transaction_at_a_time() -> None:
    portfolio = funded()
    tx = portfolio.begin(BTC, NOW)
    for attempt in (
        lambda: portfolio.begin(ETH, NOW),
        lambda: portfolio.apply(PortfolioChange()),
        lambda: portfolio.undo(PortfolioChange()),
    ):
        with pytest.raises(RuntimeError, match="the portfolio transaction of BTC/USD is open"):
            attempt()
    tx.rollback()
    portfolio.begin(ETH, NOW).commit()


def test_a_group_that_could_not_be_stored_is_undone_newest_first() -> None:
    portfolio = funded("1000")
    before = state(portfolio)
    changes = []
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("500"))
    changes.append(tx.change)
    with portfolio.begin(ETH, NOW) as tx:
        tx.reserve("USD", D("500"))
    changes.append(tx.change)
    with portfolio.begin(BTC, NOW) as tx:
        tx.book_trade(fill("1", "buy", "0.5", "800"))
    changes.append(tx.change)
    after = state(portfolio)

    with pytest.raises(LedgerMismatch, match="out of order"):
        portfolio.undo(changes[0])
    assert state(portfolio) == after
    for change in reversed(changes):
        portfolio.undo(change)
    assert state(portfolio) == before
    assert not tx.is_booked("BTC/USD:1")
    with pytest.raises(LedgerMismatch, match="it is not in the ledger"):
        portfolio.undo(PortfolioChange(changes[2].entries))
    assert state(portfolio) == before


def test_a_change_is_applied_once_and_in_order() -> None:
    portfolio, follower = funded("1000"), funded("1000")
    with portfolio.begin(BTC, NOW) as first:
        first.reserve("USD", D("500"))
    with portfolio.begin(BTC, NOW) as second:
        second.book_trade(fill("1", "buy", "0.5", "800"))
    with pytest.raises(LedgerMismatch, match="out of order"):
        follower.apply(second.change)
    follower.apply(first.change)
    follower.apply(second.change)
    assert state(follower) == state(portfolio)
    with pytest.raises(LedgerMismatch, match="is in the ledger already"):
        follower.apply(PortfolioChange(second.change.entries))
    assert state(follower) == state(portfolio)


def entry(entry_id: str, *amounts: str) -> JournalEntry:
    postings = tuple(Posting("cash" if n == 0 else "equity", "USD", D(a)) for n, a in enumerate(amounts))
    return JournalEntry(entry_id, "account", NOW, "deposit", postings, {})


def test_an_unbalanced_entry_is_not_applied() -> None:
    portfolio = funded()
    before = state(portfolio)
    with pytest.raises(LedgerMismatch, match=r"entry x of account is off by 0.01 USD: cash 5 USD, equity -4.99 USD"):
        portfolio.apply(PortfolioChange((entry("good", "1", "-1"), entry("x", "5", "-4.99"))))
    with pytest.raises(LedgerMismatch, match="an entry twice"):
        portfolio.apply(PortfolioChange((entry("good", "1", "-1"), entry("good", "1", "-1"))))
    assert state(portfolio) == before


def test_a_restored_portfolio_is_the_same() -> None:
    portfolio = funded("1000")
    entries = [entry("deposit:opening", "1000", "-1000")]
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("500"))
        tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("0.0005"), fee_currency="BTC"))
    entries += tx.change.entries
    restored = Portfolio.load(2, entries, tx.change.reservations, portfolio.balances() | {("cash", "EUR"): D("0")})
    assert state(restored) == state(portfolio)
    assert restored.is_booked("BTC/USD:1")
    with restored.begin(BTC, NOW) as tx:
        assert not tx.book_trade(fill("1", "buy", "0.5", "800", fee=D("0.0005"), fee_currency="BTC"))


@pytest.mark.parametrize(
    ("entries", "reservations", "balances", "said"),
    [
        ([entry("a", "5", "-4")], [], None, "entry a of account is off by 1 USD"),
        ([entry("a", "5")], [], None, "off by 5 USD"),
        ([entry("a", "NaN", "-4")], [], None, "entry a: NaN USD in cash is no sum"),
        ([entry("a", "1E+999", "-1E+999")], [], None, "is no sum"),
        ([entry("a", "5", "-5"), entry("a", "5", "-5")], [], None, "entry a of account is in the ledger already"),
        ([entry("a", "5", "-5")], [], {("cash", "USD"): D("5")}, "equity: the stored balance is 0 USD.* sum to -5"),
        ([entry("a", "5", "-5")], [], {}, "cash: the stored balance is 0 USD, but its postings sum to 5"),
        ([], [], {("cash", "USD"): D("0.01")}, "cash: the stored balance is 0.01 USD, but its postings sum to 0"),
        ([], [Reservation(BTC, "USD", D("-1"), 1)], None, "BTC/USD: cannot hold -1 USD"),
        ([], [Reservation(BTC, "USD", D("1"), 1), Reservation(BTC, "USD", D("2"), 1)], None, "two stored reservations"),
    ],
)
def test_damaged_books_are_not_loaded(
    entries: list[JournalEntry],
    reservations: list[Reservation],
    balances: dict[tuple[str, str], D] | None,
    said: str,
) -> None:
    with pytest.raises(LedgerMismatch, match=said):
        Portfolio.load(2, entries, reservations, balances)


def test_fewer_slots_than_are_taken_are_reported_and_can_be_given_back() -> None:
    taken = [Reservation(BTC, "USD", D("0"), 1), Reservation(ETH, "USD", D("0"), 1)]
    portfolio = Portfolio.load(1, [], taken)
    assert portfolio.slots_free == -1
    assert portfolio.verify() == ("2 slots are taken of 1",)
    with portfolio.begin(BTC, NOW) as tx:
        tx.reserve("USD", D("0"), slots=1)
        with pytest.raises(NoFreeSlot):
            tx.reserve("USD", D("0"), slots=2)
    with portfolio.begin(BTC, NOW) as tx:
        tx.release()
    assert portfolio.verify() == ()
