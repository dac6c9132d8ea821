"""What a purchase and its sale came to, read from the journal."""

import itertools
from decimal import Decimal

import pytest

from runtime.ledger import JournalEntry, LedgerMismatch, RoundTrip, TradeFill, close_entry, round_trips, trade_entry

D = Decimal
BTC = "BTC/USD"


def trade(
    trade_id: int,
    side: str,
    qty: str,
    price: str,
    fee: str = "0",
    fee_currency: str = "USD",
    round_trip: str = "r1",
    quote: str = "USD",
) -> JournalEntry:
    return trade_entry(
        BTC,
        TradeFill(
            trade_id=str(trade_id),
            symbol=BTC,
            side=side,
            base="BTC",
            quote=quote,
            qty=D(qty),
            price=D(price),
            fee=D(fee),
            fee_currency=fee_currency,
            at=trade_id * 1000,
            round_trip=round_trip,
        ),
    )


def only(entries: list[JournalEntry]) -> RoundTrip:
    (found,) = round_trips(entries)
    return found


def test_a_round_trip_with_fees_in_quote_currency() -> None:
    entries = [
        trade(1, "buy", "0.3", "100", "0.03"),
        trade(2, "buy", "0.7", "110", "0.077"),
        trade(3, "sell", "1", "120", "0.12"),
        close_entry(BTC, 4000, "r1", "TAKE_PROFIT_HIT"),
    ]
    assert only(entries) == RoundTrip(
        instance=BTC,
        round_trip="r1",
        base="BTC",
        quote="USD",
        opened_at=1000,
        closed_at=4000,
        bought_qty=D("1"),
        bought_cost=D("107"),
        sold_qty=D("1"),
        sold_proceeds=D("120"),
        remaining_qty=D("0"),
        fees={"USD": D("0.227")},
        realised=D("12.773"),
        reason="TAKE_PROFIT_HIT",
    )


def test_the_order_of_the_entries_does_not_matter() -> None:
    entries = [
        trade(1, "buy", "1", "100", "0.001", "BTC"),
        trade(2, "sell", "0.5", "120", "0.06"),
        trade(3, "sell", "0.4", "90"),
        close_entry(BTC, 4000, "r1", "STOP_LOSS_HIT"),
    ]
    expected = round_trips(entries)
    assert all(round_trips(order) == expected for order in itertools.permutations(entries))


def test_a_base_fee_counts_at_the_entry_price_and_once() -> None:
    trip = only([trade(1, "buy", "1", "100", "0.001", "BTC"), trade(2, "sell", "0.999", "110", "0.1")])
    assert trip.remaining_qty == 0
    assert trip.fees == {"BTC": D("0.001"), "USD": D("0.1")}
    # What came in less what went out: 0.999 * 110 - 1 * 100 - 0.1
    assert trip.realised == D("9.79")
    assert trip.closed_at == 2000


def test_a_remainder_is_not_a_loss() -> None:
    bought_and_sold = [trade(1, "buy", "1", "100", "0.001", "BTC"), trade(2, "sell", "0.9", "110")]
    trip = only(bought_and_sold)
    assert trip.remaining_qty == D("0.099")
    # (110 - 100) * 0.9 on what was sold, less 100 * 0.001 for the fee
    assert trip.realised == D("8.9")
    assert trip.closed_at is None
    closed = only([*bought_and_sold, close_entry(BTC, 3000, "r1", "DUST")])
    assert (closed.closed_at, closed.remaining_qty, closed.reason) == (3000, D("0.099"), "DUST")


def test_the_share_of_a_remainder_is_rounded_far_below_a_cent() -> None:
    trip = only([trade(1, "buy", "3", "33.33333333"), trade(2, "buy", "4", "50"), trade(3, "sell", "1", "50")])
    assert trip.realised is not None
    assert abs(trip.realised * 7 - (350 - D("299.99999999"))) < D("1e-25")


def test_fees_in_a_third_currency_are_listed_and_not_converted() -> None:
    trip = only([trade(1, "buy", "1", "100", "0.02", "BNB"), trade(2, "sell", "1", "101", "0.03", "BNB")])
    assert trip.fees == {"BNB": D("0.05")}
    assert trip.realised == D("1")


def test_an_open_round_trip_has_realised_its_fee() -> None:
    trip = only([trade(1, "buy", "1", "100", "0.1")])
    assert (trip.closed_at, trip.remaining_qty, trip.realised) == (None, D("1"), D("-0.1"))


def test_a_sale_without_a_purchase_has_no_profit_that_could_be_known() -> None:
    trip = only([trade(1, "sell", "1", "100", "0.1")])
    assert (trip.realised, trip.remaining_qty) == (None, D("-1"))


def test_a_late_fill_belongs_to_the_round_trip_that_was_closed() -> None:
    trip = only([trade(1, "buy", "1", "100"), close_entry(BTC, 2000, "r1", "CANCELLED"), trade(3, "sell", "1", "99")])
    assert (trip.closed_at, trip.realised) == (2000, D("-1"))


def test_round_trips_are_told_apart_and_ordered_by_their_opening() -> None:
    entries = [
        trade(3, "buy", "1", "100", round_trip="a"),
        trade(1, "buy", "1", "100", round_trip="b"),
        trade(2, "sell", "1", "105", round_trip="b"),
        trade(4, "buy", "1", "100", round_trip=""),
        close_entry(BTC, 5000, "never bought", "CANCELLED"),
    ]
    assert [(trip.round_trip, trip.realised) for trip in round_trips(entries)] == [("b", D("5")), ("a", D("0"))]


def test_mixed_currencies_are_not_added_up() -> None:
    with pytest.raises(LedgerMismatch, match="round trip r1 of BTC/USD mixes currencies"):
        round_trips([trade(1, "buy", "1", "100"), trade(2, "sell", "1", "100", quote="EUR")])


def test_a_closing_needs_a_round_trip() -> None:
    with pytest.raises(ValueError, match="needs an id"):
        close_entry(BTC, 1000, "", "DUST")
