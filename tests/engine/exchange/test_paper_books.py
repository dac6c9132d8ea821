"""The books, whatever the orders, the steps in which time is advanced, and the restarts in between."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from paper_world import BTC, DEPOSITS, ETH, ROUGH, ROUGH_END, START, Step, World, books, limit, market, path_of, send

from engine.exchange.faults import CALM, HOSTILE, FaultProfile
from engine.exchange.gateway import OrderRequest, OrderStatus, Side

amounts = st.integers(100, 12_000).map(lambda n: Decimal(n) / 1000)
levels = st.integers(940, 1060).map(lambda n: Decimal(n) / 10)


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    steps = []
    for number in range(draw(st.integers(1, 8))):
        # Few ids, so that some are taken again after a fill and some while the order is open.
        order_id = f"o{draw(st.integers(0, number))}"
        side, symbol = draw(st.sampled_from(["buy", "sell"])), draw(st.sampled_from(["BTC/USD", "ETH/USD"]))
        order: OrderRequest
        if draw(st.integers(0, 3)):
            order = limit(order_id, side, draw(amounts), draw(levels), symbol)
        else:
            order = market(order_id, side, draw(amounts), symbol)
        # Instants differ: one stamp under one id is one message.
        sent_at = START + draw(st.integers(0, 550)) * 1_000 + number
        steps.append(Step(sent_at, order, draw(st.none() | st.integers(1, 200_000))))
    return sorted(steps, key=lambda step: step.sent_at)


cuts = st.lists(st.integers(START, ROUGH_END), max_size=30).map(sorted)
profiles = st.sampled_from([CALM, HOSTILE])


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def played(path: Path, script: list[Step], steps: Sequence[int], profile: FaultProfile, reopen: bool = False) -> object:
    """The books after the script, sent and advanced step by step."""
    world = World(path, *ROUGH, profile=profile)
    before = START - 1
    for at in (*steps, ROUGH_END):
        send(world.exchange, script, before, at)
        world.exchange.advance(at)
        if reopen:
            world.exchange.close()
            world = World(path, *ROUGH, profile=profile)
        before = at
    with world:
        return books(world.exchange)


@settings(max_examples=60, deadline=None)
@given(scripts(), cuts, profiles)
def test_the_size_of_the_steps_and_restarts_do_not_matter(
    script: list[Step], cuts: list[int], profile: FaultProfile
) -> None:
    with folder() as path:
        at_once = played(path / "once", script, [], profile)
        assert played(path / "steps", script, cuts, profile) == at_once
        assert played(path / "restarts", script, cuts, profile, reopen=True) == at_once


@settings(max_examples=40, deadline=None)
@given(scripts(), st.lists(st.tuples(st.integers(START, ROUGH_END), st.booleans()), max_size=12).map(sorted), profiles)
def test_what_a_group_did_not_keep_is_played_again_to_the_same_end(
    script: list[Step], cuts: list[tuple[int, bool]], profile: FaultProfile
) -> None:
    with folder() as path:
        at_once = played(path / "once", script, [], profile)
        world, before = World(path / "x", *ROUGH, profile=profile, grouped=True), START - 1
        for at, keeps in (*cuts, (ROUGH_END, True)):
            send(world.exchange, script, before, at)
            world.exchange.advance(at)
            before = at
            if keeps:
                world.exchange.flush()
            else:
                world.exchange.close()
                # Everything is sent again: what is in the file is known there.
                world, before = World(path / "x", *ROUGH, profile=profile, grouped=True), START - 1
        with world:
            assert books(world.exchange) == at_once
        with World(path / "x", *ROUGH, profile=profile) as world:
            assert books(world.exchange) == at_once


@settings(max_examples=40, deadline=None)
@given(scripts(), profiles)
def test_the_next_event_is_announced_exactly(script: list[Step], profile: FaultProfile) -> None:
    """Going from event to event gives the same books as going by the second, and each event changes something."""
    with folder() as path:
        by_the_second = played(path / "seconds", script, range(START, ROUGH_END, 1_000), profile)
        with World(path / "events", *ROUGH, profile=profile) as world:
            send(world.exchange, script, START - 1, ROUGH_END)
            seen = books(world.exchange)
            while (at := world.exchange.next_event_at()) is not None and at <= ROUGH_END:
                delivered = len(world.reports)
                world.exchange.advance(at - 1)
                assert books(world.exchange) == seen
                world.move(at)
                assert (books(world.exchange), len(world.reports)) != (seen, delivered)
                seen = books(world.exchange)
            assert seen == by_the_second


@settings(max_examples=60, deadline=None)
@given(scripts(), cuts)
def test_money_is_conserved_and_fills_sum(script: list[Step], cuts: list[int]) -> None:
    with folder() as path, World(path / "x", *ROUGH) as world:
        exchange, before = world.exchange, START - 1
        for at in (*cuts, ROUGH_END):
            send(exchange, script, before, at)
            exchange.advance(at)
            before = at
            expected = dict(DEPOSITS)
            for one in exchange.trades():
                rules, sign = {"BTC/USD": BTC, "ETH/USD": ETH}[one.symbol], 1 if one.side is Side.BUY else -1
                expected[rules.base] += sign * one.trade.qty
                expected[rules.quote] -= sign * one.trade.qty * one.trade.price
                expected[one.trade.fee_currency] -= one.trade.fee
            assert exchange.balances(at) == expected
            free = exchange.free()
            assert all(0 <= free[currency] <= total for currency, total in expected.items())
            for state in exchange.orders():
                assert sum(trade.qty for trade in state.trades) == state.filled <= state.amount
                assert (state.status is OrderStatus.FILLED) == (state.filled == state.amount)
                assert all(trade.qty % BTC.amount_step == 0 < trade.qty for trade in state.trades)
            if not any(state.status is OrderStatus.OPEN for state in exchange.orders()):
                assert free == expected
        ids = [(one.symbol, one.trade.trade_id) for one in exchange.trades()]
        assert len(ids) == len(set(ids))


@settings(max_examples=60, deadline=None)
@given(scripts())
def test_every_trade_keeps_to_its_limit_the_market_and_the_volume(script: list[Step]) -> None:
    path_of_all = path_of(*ROUGH)
    with folder() as path, World(path / "x", *ROUGH) as world:
        send(world.exchange, script, START - 1, ROUGH_END)
        world.exchange.advance(ROUGH_END)
        orders = world.exchange.orders()
        sent = [request for request in world.exchange.requests() if request.order and request.outcome == "accepted"]
        asked = {orders[(request.order_seq or 0) - 1].exchange_order_id: request.order for request in sent}
        taken: Counter[tuple[str, int]] = Counter()
        for one in world.exchange.trades():
            limit_price, at, sign = asked[one.exchange_order_id].price, one.trade.at, 1 if one.side is Side.BUY else -1
            there = path_of_all.price_at(at)
            assert there is not None
            assert limit_price is None or sign * one.trade.price <= sign * limit_price
            assert sign * there <= sign * one.trade.price
            taken[one.symbol, (at - START) // 10_000] += one.trade.qty
        for (_, piece), qty in taken.items():
            bar = path_of_all.bar_at(START + piece * 10_000)
            assert bar is not None
            assert qty <= bar.volume / 10 / 6 + BTC.amount_step


@settings(max_examples=40, deadline=None)
@given(scripts())
def test_who_asks_from_the_past_sees_the_books_of_the_past(script: list[Step]) -> None:
    ids = sorted({step.order.client_order_id for step in script})
    symbols = ["BTC/USD", "ETH/USD"]
    with folder() as path, World(path / "x", *ROUGH) as world:
        exchange = world.exchange

        def seen(at: int) -> object:
            looked_up = [exchange.look_up(symbol, order_id, at) for symbol in symbols for order_id in ids]
            opened = [exchange.open_orders(symbol, at) for symbol in symbols]
            assert all(state.status is OrderStatus.OPEN for states in opened for state in states)
            return looked_up, opened, exchange.balances(at)

        then = {}
        send(exchange, script, START - 1, ROUGH_END)
        while (at := exchange.next_event_at()) is not None and at <= ROUGH_END:
            for instant in (at - 1, at):
                world.move(max(instant, world.clock.now()))
                then[instant] = seen(instant)
        assert {at: seen(at) for at in then} == then


@settings(max_examples=30, deadline=None)
@given(scripts(), st.integers(START, ROUGH_END))
def test_after_a_restart_every_report_from_then_on_is_delivered(script: list[Step], restart: int) -> None:
    with folder() as path:
        with World(path / "x", *ROUGH, profile=HOSTILE) as world:
            send(world.exchange, script, START - 1, ROUGH_END)
            while (at := world.exchange.next_event_at()) is not None and at <= ROUGH_END:
                world.move(at)
            uninterrupted = list(world.reports)
        with World(path / "x", *ROUGH, profile=HOSTILE, now=restart) as world:
            while (at := world.exchange.next_event_at()) is not None and at <= ROUGH_END:
                world.move(at)
            assert world.reports == [(at, state) for at, state in uninterrupted if at >= restart]
