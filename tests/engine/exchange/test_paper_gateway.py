"""The paper exchange through the gateway: what is answered, what is not, and what can be found out afterwards."""

from collections import Counter
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paper_world import BAR, DEPOSITS, FLAT, PROMPT, START, WINDOW, World, limit, market

from engine.exchange.faults import HOSTILE, FaultProfile
from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    Gateway,
    OrderState,
    OrderStatus,
    Rejected,
    Stamp,
    Unknown,
    Unsent,
)

ALWAYS = 10_000
REPLY_LOST = msgspec.structs.replace(PROMPT, reply_lost=ALWAYS)
DROPPED = msgspec.structs.replace(PROMPT, dropped=ALWAYS)
UNSENT = msgspec.structs.replace(PROMPT, unsent=ALWAYS)
ORDER = limit("a", "buy", 1, 100)
HIGH_ORDER = limit("a", "buy", 1, 50)  # rests


def timed(world: World, call: Coroutine[Any, Any, object]) -> tuple[object, int]:
    """What a call returns, and at which instant after START."""
    return world.one(call), world.clock.now() - START


def test_it_is_a_gateway(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        gateway: Gateway = world.gateway
        assert gateway.name == "paper"
        assert set(world.one(gateway.markets())) == {"BTC/USD", "ETH/USD"}
        assert world.one(gateway.balances()) == DEPOSITS


def test_an_answer_takes_the_way_up_and_the_way_down(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        outcome, took = timed(world, world.gateway.submit(ORDER, world.claim()))
        assert took == 20
        assert isinstance(outcome, Accepted)
        assert (outcome.client_order_id, outcome.at) == ("a", START + 10)


def test_reports_come_in_order_with_all_trades_so_far(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 60)) as world:
        world.run(world.gateway.submit(limit("a", "buy", 2, 100), world.claim()), until=START + BAR)
        seen = [(at - START, state.status, state.filled, len(state.trades)) for at, state in world.reports]
        assert seen == [(20, "open", 0, 0), (20, "open", 1, 1), (10_010, "filled", 2, 2)]
        assert world.one(world.gateway.look_up("BTC/USD", "a")) == world.reports[-1][1]
        assert world.one(world.gateway.look_up("ETH/USD", "a")) is None
        assert world.one(world.gateway.look_up("BTC/USD", "b")) is None


def test_open_orders_are_those_of_the_symbol_that_are_still_open(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        orders = [HIGH_ORDER, ORDER, limit("c", "buy", 1, 50, "ETH/USD")]
        orders[1] = msgspec.structs.replace(ORDER, client_order_id="b")
        world.run(*(world.gateway.submit(order, world.claim()) for order in orders))
        assert [state.client_order_id for state in world.one(world.gateway.open_orders("BTC/USD"))] == ["a"]


@pytest.mark.parametrize(
    ("profile", "direct", "at", "found", "found_at", "orders"),
    [
        (PROMPT, Accepted, 20, Accepted, 20, 1),
        (REPLY_LOST, Unknown, WINDOW, Accepted, WINDOW, 1),
        (DROPPED, Unknown, WINDOW, Absent, WINDOW, 0),
        (UNSENT, Unsent, 10, Absent, 10, 0),
    ],
    ids=["answered", "reply lost", "dropped", "unsent"],
)
@pytest.mark.parametrize("killed", [False, True])
def test_what_submit_says_and_what_recover_finds(
    tmp_path: Path,
    profile: FaultProfile,
    direct: type,
    at: int,
    found: type,
    found_at: int,
    orders: int,
    killed: bool,
) -> None:
    with World(tmp_path / "x", profile=profile) as world:
        claim = world.claim()
        if killed:
            world.exchange.send_order(ORDER, claim, START)
        else:
            outcome, took = timed(world, world.gateway.submit(ORDER, claim))
            assert (type(outcome), took) == (direct, at)
    # A new process, or the same one: it is told the same, at the same instant.
    with World(tmp_path / "x", profile=profile, now=START if killed else START + at) as world:
        outcome, took = timed(world, world.gateway.recover(ORDER, claim))
        assert (type(outcome), took) == (found, found_at)
        world.run(until=START + BAR)
        assert len(world.exchange.orders()) == orders


@pytest.mark.parametrize(
    "profile", [PROMPT, REPLY_LOST, DROPPED, UNSENT], ids=["answered", "lost", "dropped", "unsent"]
)
def test_resume_answers_as_submit_would_have(tmp_path: Path, profile: FaultProfile) -> None:
    with World(tmp_path / "living", profile=profile) as world:
        claim = world.claim()
        expected = timed(world, world.gateway.submit(ORDER, claim))
    with World(tmp_path / "killed", profile=profile) as world:
        world.exchange.send_order(ORDER, claim, START)
    with World(tmp_path / "killed", profile=profile) as world:
        assert timed(world, world.gateway.resume(ORDER, claim)) == expected
        assert len(world.exchange.requests()) == 1
    with World(tmp_path / "killed before it was sent", profile=profile) as world:
        assert timed(world, world.gateway.resume(ORDER, claim)) == expected
        assert len(world.exchange.requests()) == 1


def test_resume_after_the_instant_of_a_claim_that_was_never_sent_is_absent(tmp_path: Path) -> None:
    with World(tmp_path / "x", now=START + 1) as world:
        assert world.one(world.gateway.resume(ORDER, Stamp(1, START, START + WINDOW))) == Absent()
        assert world.exchange.requests() == []


def test_a_claim_that_was_never_sent_is_absent_at_once(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        assert timed(world, world.gateway.recover(ORDER, world.claim())) == (Absent(), 0)
        assert world.exchange.requests() == []


def test_an_unsent_second_claim_of_an_order_that_is_there_is_accepted(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        first = world.one(world.gateway.submit(ORDER, world.claim()))
        second = world.one(world.gateway.recover(ORDER, Stamp(2, START + 20, START + 20 + WINDOW)))
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert first.exchange_order_id == second.exchange_order_id


def test_recover_tells_a_refusal_whose_reply_was_lost(tmp_path: Path) -> None:
    with World(tmp_path / "x", profile=REPLY_LOST) as world:
        claim, order = world.claim(), limit("a", "buy", "0.001", 100)
        assert isinstance(world.one(world.gateway.submit(order, claim)), Unknown)
        assert world.one(world.gateway.recover(order, claim)) == Rejected("amount 0.001 is below the minimum 0.002")


def test_a_slow_request_is_never_carried_out_after_its_deadline(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(REPLY_LOST, slow=ALWAYS, slow_ms=(WINDOW, WINDOW))
    with World(tmp_path / "x", profile=slow) as world:
        claim = world.claim()
        assert isinstance(world.one(world.gateway.submit(ORDER, claim)), Unknown)
        assert timed(world, world.gateway.recover(ORDER, claim)) == (Absent(), WINDOW)
        world.run(until=START + BAR)
        assert world.exchange.orders() == []
        assert world.one(world.gateway.recover(ORDER, claim)) == Absent()


def test_a_cancel_ends_an_order_and_says_what_it_filled(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 600)) as world:
        order = limit("a", "buy", 12, 100)
        world.one(world.gateway.submit(order, world.claim()))
        outcome, took = timed(world, world.gateway.cancel("BTC/USD", "a", world.claim()))
        assert took == 40
        assert isinstance(outcome, Canceled)
        assert (outcome.order.status, outcome.order.filled, len(outcome.order.trades)) == ("canceled", 10, 1)
        world.run(until=START + BAR)
        assert world.reports[-1] == (START + 40, outcome.order)
        # Again, it is still so.
        assert world.one(world.gateway.cancel("BTC/USD", "a", world.claim())) == outcome


@pytest.mark.parametrize(("before", "status"), [(11, "canceled"), (10, "filled"), (9, "filled")])
def test_an_order_can_fill_while_its_cancel_is_on_the_way(tmp_path: Path, before: int, status: str) -> None:
    falling = (100, 100, 80, 90, 1_000_000)
    fills_at = START + BAR // 3 + BAR // 6
    with World(tmp_path / "x", falling) as world:
        world.one(world.gateway.submit(limit("a", "buy", 1, 90), world.claim()))
        world.run(until=fills_at - before)
        outcome = world.one(world.gateway.cancel("BTC/USD", "a", world.claim()))
        assert isinstance(outcome, Canceled)
        assert outcome.order.status == status
        assert outcome.order.filled == (status == "filled")


def test_a_cancel_of_nothing_is_absent(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        assert world.one(world.gateway.cancel("BTC/USD", "a", world.claim())) == Absent()


def test_a_cancel_of_an_order_that_is_sent_later_is_absent_too(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        claim = world.claim()
        world.exchange.send_cancel("BTC/USD", "a", claim, START)
        world.exchange.send_order(ORDER, Stamp(1, START + 15, START + WINDOW), START + 15)
        assert world.one(world.gateway.cancel("BTC/USD", "a", claim)) == Absent()


def test_reads_are_up_to_date_whoever_moves_the_clock(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        world.exchange.send_order(ORDER, world.claim(), START)
        world.clock.advance_to(START + BAR)
        assert world.one(world.gateway.balances())["BTC"] == DEPOSITS["BTC"] + 1


def test_a_cancel_that_overtakes_its_order_proves_nothing(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(PROMPT, slow=5_000, slow_ms=(1_000, 1_000))
    for seed in range(50):
        with World(tmp_path / str(seed), profile=slow, seed=seed) as world:
            sent = world.exchange.send_order(HIGH_ORDER, world.claim(), START)
            cancel = world.exchange.send_cancel("BTC/USD", "a", world.claim(), START)
            if cancel.arrives_at >= sent.arrives_at:
                continue
            assert isinstance(world.one(world.gateway.cancel("BTC/USD", "a", world.claim())), Unknown)
            world.run(until=START + BAR)
            assert world.exchange.orders()[0].status is OrderStatus.OPEN
            return
    pytest.fail("no seed lets the cancel overtake")


def test_a_cancel_whose_reply_is_lost_is_unknown_and_was_carried_out(tmp_path: Path) -> None:
    with World(tmp_path / "x", profile=REPLY_LOST) as world:
        world.one(world.gateway.submit(HIGH_ORDER, world.claim()))
        assert isinstance(world.one(world.gateway.cancel("BTC/USD", "a", world.claim())), Unknown)
        state = world.one(world.gateway.look_up("BTC/USD", "a"))
        assert isinstance(state, OrderState)
        assert state.status is OrderStatus.CANCELED
        assert world.exchange.free() == DEPOSITS


@pytest.mark.parametrize(("profile", "outcome"), [(DROPPED, Unknown), (UNSENT, Unsent)], ids=["dropped", "unsent"])
def test_a_cancel_that_never_arrives_changes_nothing(tmp_path: Path, profile: FaultProfile, outcome: type) -> None:
    with World(tmp_path / "x", profile=profile) as world:
        assert isinstance(world.one(world.gateway.cancel("BTC/USD", "a", world.claim())), outcome)
        assert world.exchange.requests()[0].outcome is None


def test_a_cancel_after_its_deadline_is_not_carried_out(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        world.one(world.gateway.submit(HIGH_ORDER, world.claim()))
        assert world.one(world.gateway.cancel("BTC/USD", "a", world.claim(window=5))) == Unknown(
            "arrived 5 ms after its deadline"
        )
        assert world.exchange.orders()[0].status is OrderStatus.OPEN


def reports_with(tmp_path: Path, **changes: object) -> list[tuple[int, OrderState]]:
    profile = msgspec.structs.replace(PROMPT, report_delay_ms=(500, 20_000), **changes)
    with World(tmp_path / "x", (100, 100, 100, 100, 60), profile=profile) as world:
        world.run(world.gateway.submit(limit("a", "buy", 6, 100), world.claim()), until=START + 3 * BAR)
        assert [state.status for state in world.exchange.orders()] == ["filled"]
        return world.reports


def test_reports_can_come_late_and_keep_their_order(tmp_path: Path) -> None:
    filled = [state.filled for _, state in reports_with(tmp_path, report_delayed=ALWAYS)]
    assert filled == [0, 1, 2, 3, 4, 5, 6]


def test_reports_can_overtake_each_other(tmp_path: Path) -> None:
    filled = [state.filled for _, state in reports_with(tmp_path, report_reordered=ALWAYS)]
    assert sorted(filled) == [0, 1, 2, 3, 4, 5, 6] != filled


def test_reports_can_come_twice(tmp_path: Path) -> None:
    filled = Counter(state.filled for _, state in reports_with(tmp_path, report_duplicated=ALWAYS))
    assert filled == {Decimal(n): 2 for n in range(7)}


def test_reports_can_be_lost_and_the_order_looked_up(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(PROMPT, report_lost=ALWAYS)
    with World(tmp_path / "x", profile=profile) as world:
        world.run(world.gateway.submit(ORDER, world.claim()), until=START + BAR)
        assert world.reports == []
        state = world.one(world.gateway.look_up("BTC/USD", "a"))
        assert isinstance(state, OrderState)
        assert state.status is OrderStatus.FILLED


def test_a_look_up_can_stay_without_an_answer(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(REPLY_LOST, read_lost=5_000)
    with World(tmp_path / "x", profile=profile) as world:
        claim = world.claim()
        world.one(world.gateway.submit(ORDER, claim))
        answers = set()
        for _ in range(20):
            answers.add(type(world.one(world.gateway.recover(ORDER, claim))))
            answers.add(type(world.one(world.gateway.look_up("BTC/USD", "a"))))
            world.run(until=world.clock.now() + 1)
        assert answers == {Unknown, Accepted, OrderState}


def test_a_hostile_run_leaves_no_request_without_an_answer_or_a_deadline(tmp_path: Path) -> None:
    with World(tmp_path / "x", *(FLAT,) * 10, profile=HOSTILE) as world:
        calls = [world.gateway.submit(market(f"o{n}", "buy", 1), world.claim()) for n in range(200)]
        outcomes = world.run(*calls)
        assert {type(outcome) for outcome in outcomes} == {Accepted, Rejected, Unknown, Unsent}
        accepted = {outcome.client_order_id for outcome in outcomes if isinstance(outcome, Accepted)}
        there = {state.client_order_id for state in world.exchange.orders()}
        lost = {f"o{n}" for n, outcome in enumerate(outcomes) if isinstance(outcome, Unknown)}
        assert accepted <= there <= accepted | lost
        assert there & lost
        assert lost - there
