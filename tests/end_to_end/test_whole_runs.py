"""What must hold of every run from its first bar to its last, whatever the exchange does to the bot."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from agreement import assert_books_agree
from bots import Bots
from small_market import Variant, on_record, open_run, run_to_the_end, write_market

from engine.exchange.faults import Fate, RequestKind
from engine.exchange.gateway import OrderStatus, Side
from engine.recorded_run import RecordedRun
from generated.trading import Phase
from runtime.events import Outcome
from runtime.ledger import CASH, CLOSE, DUST, round_trips
from runtime.store import AuditRow

VARIANTS = [
    Variant("calm", seed=11),
    Variant("realistic", seed=12),
    Variant("realistic", seed=13, fee_in_base=True),
    *(Variant("hostile", seed, fee_in_base=seed % 2 == 0) for seed in range(21, 27)),
]
FOREVER = 1 << 60
WITHOUT_ORDERS = {Phase.WARMUP, Phase.IDLE, Phase.ENTRY_EVAL, Phase.POSITION, Phase.EXIT_EVAL, Phase.COOLDOWN}
WITHOUT_SLOT = {Phase.WARMUP, Phase.IDLE, Phase.ENTRY_EVAL, Phase.COOLDOWN}
PATIENT = {Phase.WARMUP, Phase.IDLE, Phase.POSITION}
"""Phases that wait for the market; every other one is over within minutes."""
MINUTES = 60_000

Span = tuple[int, int]


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedRun]:
    folder = tmp_path_factory.mktemp("run")
    write_market(folder / "market")
    made = open_run(folder / "market", request.param, folder / "books", durable=False)
    asyncio.run(run_to_the_end(made))
    yield made
    made.exchange.close()


def order_spans(run: RecordedRun, side: Side | None = None) -> dict[str, list[Span]]:
    """From when to when each order was live at the exchange, by symbol."""
    accepted = {
        (request.client_order_id): request.arrives_at
        for request in run.exchange.requests()
        if request.kind is RequestKind.SUBMIT and request.outcome == "accepted"
    }
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for order in run.exchange.orders():
        if side in (None, order.side):
            ends = FOREVER if order.status is OrderStatus.OPEN else order.updated_at
            spans[order.symbol].append((accepted[order.client_order_id], ends))
    return {symbol: sorted(found) for symbol, found in spans.items()}


def visits(run: RecordedRun) -> dict[str, list[tuple[Phase, Span]]]:
    """From when to when each symbol was in each phase, the last visit until for ever."""
    entered: defaultdict[str, list[tuple[Phase, int]]] = defaultdict(list)
    for row in run.store.audit():
        if row.phase_to != row.phase_from:
            entered[row.instance].append((Phase(row.phase_to), row.at))
    return {
        symbol: [(phase, (at, until)) for (phase, at), (_, until) in pairwise([*steps, (Phase.ERROR, FOREVER)])]
        for symbol, steps in entered.items()
    }


def failures(run: RecordedRun) -> list[str]:
    return [describe(row) for row in run.store.audit() if went_wrong(row)]


def went_wrong(row: AuditRow) -> bool:
    unwanted = row.outcome in (Outcome.FAILED, Outcome.REJECTED)
    return unwanted or (row.phase_to == Phase.ERROR and row.phase_from != Phase.ERROR)


def describe(row: AuditRow) -> str:
    return f"{row.at} {row.instance} {row.phase_from}->{row.phase_to} {row.event} {row.payload!r} {row.reason}"


def test_the_two_books_agree(run: RecordedRun) -> None:
    assert_books_agree(run)


def test_nothing_fails_and_nobody_is_asked(run: RecordedRun) -> None:
    assert failures(run) == []
    assert not run.worker.quarantined


def test_never_two_live_orders_of_one_symbol(run: RecordedRun) -> None:
    for symbol, spans in order_spans(run).items():
        assert len(spans) > 10, f"{symbol} hardly traded: the test shows nothing"
        for (_, ends), (begins, _) in pairwise(spans):
            assert ends <= begins, f"{symbol}: two live orders at {begins}"


def test_one_order_per_intent(run: RecordedRun) -> None:
    orders = Counter(order.client_order_id for order in run.exchange.orders())
    assert set(orders.values()) == {1}


def test_no_order_is_live_that_nobody_watches(run: RecordedRun) -> None:
    spans = order_spans(run)
    for symbol, found in visits(run).items():
        for phase, (entered, left) in found:
            if phase in WITHOUT_ORDERS:
                orphans = [span for span in spans.get(symbol, []) if span[0] < left and entered < span[1]]
                assert not orphans, f"{symbol} in {phase} from {entered} to {left}, but live at the exchange: {orphans}"


def test_nothing_is_stuck(run: RecordedRun) -> None:
    end = run.clock.now()
    for symbol, found in visits(run).items():
        for phase, (entered, left) in found:
            if phase not in PATIENT:
                assert min(left, end) - entered <= 3 * MINUTES, f"{symbol} in {phase} from {entered} to {left}"


def test_slots_are_never_oversubscribed(run: RecordedRun) -> None:
    taken = Counter[str]()
    most = 0
    changes = [row for row in run.store.audit() if row.phase_to != row.phase_from]
    for row in changes:
        taken[row.instance] = 0 if Phase(row.phase_to) in WITHOUT_SLOT else 1
        most = max(most, taken.total())
    assert most == run.worker.portfolio.slots


def test_cash_is_never_spent_twice(run: RecordedRun) -> None:
    cash = Decimal(0)
    for entry in run.store.journal():
        cash += sum((posting.amount for posting in entry.postings if posting.account == CASH), Decimal(0))
        assert cash >= 0, f"{entry.entry_id} leaves {cash}"


def test_every_trade_that_is_closed_sold_what_it_bought(run: RecordedRun) -> None:
    journal = run.store.journal()
    dust = {
        (entry.instance, entry.details["round_trip"]): entry.postings[1].amount
        for entry in journal
        if entry.kind == DUST
    }
    closed = {(entry.instance, entry.details["round_trip"]) for entry in journal if entry.kind == CLOSE}
    trips = round_trips(journal)
    assert len(closed) > 10
    for trip in trips:
        name = (trip.instance, trip.round_trip)
        if name in closed:
            assert trip.remaining_qty == dust.get(name, 0), trip
            assert trip.reason
        else:
            assert run.worker.instances[trip.instance].data.round_trip == trip.round_trip, f"never closed: {trip}"


def test_it_went_through_what_it_was_made_for(run: RecordedRun) -> None:
    """So that the other tests cannot pass for lack of trouble."""
    phases = Counter(phase for found in visits(run).values() for phase, _ in found)
    expected = {Phase.CANCEL_BUY, Phase.CANCEL_SELL, Phase.POST_TRADE, Phase.COOLDOWN}
    lost = sum(request.fate in (Fate.REPLY_LOST, Fate.DROPPED) for request in run.exchange.requests())
    if lost > 20:
        assert phases[Phase.BUY_UNKNOWN] + phases[Phase.SELL_UNKNOWN] > 5
    if any(market.fee_in_base for market in run.markets.values()):
        expected.add(Phase.DUST)
    assert expected <= set(phases)
    assert any(len(order.trades) > 1 for order in run.exchange.orders())


def test_the_same_again_without_a_database_and_with_one(tmp_path: Path) -> None:
    write_market(tmp_path / "market", bars=250)
    records = []
    for number, durable in enumerate((False, False, True)):
        made = open_run(tmp_path / "market", Variant("hostile", seed=31), tmp_path / str(number), durable=durable)
        asyncio.run(run_to_the_end(made))
        records.append(on_record(made))
        made.store.close()
        made.exchange.close()
    assert records[0] == records[1]
    assert records[0] == records[2]


def test_the_same_whatever_order_the_interpreter_keeps_its_sets_in(tmp_path: Path) -> None:
    write_market(tmp_path / "market", bars=250)
    variant, records = Variant("hostile", seed=32), []
    for hash_seed in ("1", "2"):
        with Bots(tmp_path / "market", hash_seed=hash_seed) as bots:
            assert bots.live(variant, tmp_path / hash_seed) == "done"
        made = open_run(tmp_path / "market", variant, tmp_path / hash_seed)
        records.append(on_record(made))
        made.store.close()
        made.exchange.close()
    assert records[0] == records[1]
