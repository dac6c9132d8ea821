"""From a signal to a position, through every way in which a buy order can go."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from trading_world import BTC, CASH, SECOND, After, SlowEvaluation, TradingWorld, state, trade

from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    Market,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    Unknown,
    Unsent,
)
from generated.trading import (
    BuyOrderAbsent,
    BuyOrderPlaced,
    BuyOrderRejected,
    Config,
    NoSignal,
    OrderOutcomeUnknown,
    Phase,
    SignalDetected,
)
from runtime.events import Outcome

OPEN, FILLED, CANCELED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED
WHOLE = trade("1", 10, fee=1)
FIRST, SECOND_PART = trade("1", 4, fee="0.4"), trade("2", 6, fee="0.6")


@pytest.fixture
def world() -> Iterator[TradingWorld]:
    with TradingWorld() as made:
        yield made


def buying(world: TradingWorld) -> TradingWorld:
    """A buy order for 10 BTC at 100 is live."""
    world.bar()
    assert world.phase is Phase.WAIT_FILL
    return world


def test_a_filled_order_becomes_a_position(world: TradingWorld) -> None:
    buying(world)
    assert world.free_cash == 0
    receipt = world.report(world.entry, FILLED, trade("1", 10, price="99.5", fee="0.995"))
    assert receipt.handled
    assert (world.phase, world.position) == (Phase.POSITION, 10)
    assert world.free_cash == CASH - Decimal("995.995"), "what the order did not cost is free again"
    assert world.worker.portfolio.slots_free == 0
    assert world.entry.status == FILLED


def test_a_position_is_open_from_its_first_fill_however_late_it_is_reported(world: TradingWorld) -> None:
    buying(world)
    world.wait(5 * SECOND)
    world.report(world.entry, OPEN, FIRST)
    world.wait(5 * SECOND)
    world.report(world.entry, FILLED, FIRST, SECOND_PART)
    assert world.data.opened_at == FIRST.at == world.clock.now() - 10 * SECOND


def test_the_order_is_the_one_that_was_planned(world: TradingWorld) -> None:
    buying(world)
    (order,) = world.gateway.orders
    assert (order.side, order.type, order.amount, order.price) == (Side.BUY, OrderType.LIMIT, 10, 100)
    assert order.client_order_id == world.entry.client_order_id == world.data.round_trip
    assert len(order.client_order_id) == 32
    assert int(order.client_order_id, 16)


def test_fills_are_summed_and_booked_once_each(world: TradingWorld) -> None:
    buying(world)
    world.report(world.entry, OPEN, FIRST)
    assert (world.phase, world.position) == (Phase.WAIT_FILL, 4)
    world.report(world.entry, FILLED, FIRST, SECOND_PART)
    assert (world.phase, world.position) == (Phase.POSITION, 10)
    assert len(world.entry.fills) == 2


def test_a_report_delivered_twice_is_a_duplicate(world: TradingWorld) -> None:
    buying(world)
    assert world.report(world.entry, OPEN, FIRST).outcome is Outcome.HANDLED
    assert world.report(world.entry, OPEN, FIRST).outcome is Outcome.DUPLICATE
    assert world.position == 4


def test_reports_out_of_order_end_in_the_same_position(world: TradingWorld) -> None:
    buying(world)
    world.report(world.entry, FILLED, FIRST, SECOND_PART)
    late = world.report(world.entry, OPEN, FIRST)
    assert (late.outcome, world.phase, world.position) == (Outcome.IGNORED, Phase.POSITION, 10)


def test_a_report_after_its_identity_is_forgotten_books_nothing_twice(world: TradingWorld) -> None:
    buying(world)
    world.report(world.entry, FILLED, WHOLE)
    world.wait(3_600 * SECOND)
    late = world.report(world.entry, FILLED, WHOLE)
    assert (late.outcome, world.phase, world.position) == (Outcome.IGNORED, Phase.POSITION, 10)


def test_a_fill_that_overtakes_its_acknowledgement_waits_for_it() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(2 * SECOND, Accepted("?", "x", 0))]
        world.bar()
        early = world.report(world.entry, FILLED, WHOLE)
        assert (early.outcome, world.phase, world.position) == (Outcome.DEFERRED, Phase.PLACE_BUY, 0)
        world.wait(2 * SECOND)
        assert (world.phase, world.position) == (Phase.POSITION, 10)
        assert world.path()[-2:] == [Phase.WAIT_FILL, Phase.POSITION]


def test_partly_filled_then_canceled_keeps_what_was_bought(world: TradingWorld) -> None:
    buying(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.entry, CANCELED, FIRST))]
    world.wait(world.config.buy_fill_timeout)
    assert (world.phase, world.position, world.entry.status) == (Phase.POSITION, 4, CANCELED)
    assert world.free_cash == CASH - Decimal("400.4")


def test_canceled_without_a_fill_gives_everything_back(world: TradingWorld) -> None:
    buying(world)
    world.wait(world.config.buy_fill_timeout - 1)
    assert (world.phase, world.gateway.sent("cancel")) == (Phase.WAIT_FILL, [])
    world.wait(1)
    assert (world.phase, world.free_cash) == (Phase.COOLDOWN, CASH)
    assert world.worker.portfolio.slots_free == 1
    world.wait(world.config.cooldown)
    assert world.phase is Phase.IDLE


def test_a_remainder_that_cannot_be_sold_is_set_aside_as_dust(world: TradingWorld) -> None:
    buying(world)
    speck = trade("1", "0.05")
    world.gateway.answers["cancel"] = [Canceled(state(world.entry, CANCELED, speck))]
    world.wait(world.config.buy_fill_timeout)
    assert (world.phase, world.position, world.dust) == (Phase.COOLDOWN, 0, Decimal("0.05"))
    assert world.path()[-3:] == [Phase.DUST, Phase.POST_TRADE, Phase.COOLDOWN]
    assert world.worker.portfolio.slots_free == 1
    assert "dust" in {entry.kind for entry in world.store.journal()}


def test_a_cancel_refused_because_the_order_filled_is_a_position(world: TradingWorld) -> None:
    buying(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.entry, FILLED, WHOLE))]
    world.wait(world.config.buy_fill_timeout)
    assert (world.phase, world.position) == (Phase.POSITION, 10)


def test_a_fill_while_the_cancel_is_under_way_is_booked(world: TradingWorld) -> None:
    buying(world)
    filled = Canceled(state(world.entry, FILLED, WHOLE))
    world.gateway.answers["cancel"] = [After(2 * SECOND, filled)]
    world.wait(world.config.buy_fill_timeout)
    assert world.phase is Phase.CANCEL_BUY
    world.report(world.entry, FILLED, WHOLE)
    assert (world.phase, world.position) == (Phase.POSITION, 10)
    world.wait(2 * SECOND)
    assert (world.phase, world.position) == (Phase.POSITION, 10), "the answer to the cancel is no news by now"


def test_an_unknown_cancel_is_asked_for_again_and_never_assumed(world: TradingWorld) -> None:
    buying(world)
    world.gateway.answers["cancel"] = [Unknown("timed out"), Unknown("timed out")]
    world.wait(world.config.buy_fill_timeout)
    assert world.phase is Phase.CANCEL_BUY
    world.wait(world.config.cancel_retry_interval)
    assert (world.phase, len(world.gateway.sent("cancel"))) == (Phase.CANCEL_BUY, 2)
    assert world.free_cash == 0, "the order may still fill: its cash stays reserved"
    world.wait(world.config.cancel_retry_interval)
    assert (world.phase, len(world.gateway.sent("cancel"))) == (Phase.COOLDOWN, 3)


def test_an_unsent_cancel_is_tried_again_soon(world: TradingWorld) -> None:
    buying(world)
    world.gateway.answers["cancel"] = [Unsent("refused")]
    world.wait(world.config.buy_fill_timeout)
    assert world.phase is Phase.CANCEL_BUY
    world.wait(SECOND)
    assert (world.phase, len(world.gateway.sent("cancel"))) == (Phase.COOLDOWN, 2)


def test_a_lost_reply_is_looked_up_and_nothing_is_sent_twice() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unknown("no reply")]
        world.gateway.answers["recover"] = [After(SECOND, Accepted("?", "x", 0))]
        world.bar()
        assert (world.phase, world.entry.status) == (Phase.BUY_UNKNOWN, "unknown")
        assert world.free_cash == 0
        world.wait(SECOND)
        assert (world.phase, world.entry.status, world.entry.exchange_order_id) == (Phase.WAIT_FILL, OPEN, "x")
        ((sent, claim),) = world.gateway.sent("submit")
        assert world.gateway.sent("recover") == [(sent, claim)], "looked up under the claim that was sent"
        world.report(world.entry, FILLED, WHOLE)
        assert (world.phase, world.position) == (Phase.POSITION, 10)
        assert len(world.gateway.orders) == 1


def test_a_fate_that_stays_unknown_is_asked_for_again() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unknown("no reply")]
        world.gateway.answers["recover"] = [Unknown("no answer")] * 3
        world.bar()
        for asked in range(1, 4):
            assert (world.phase, len(world.gateway.sent("recover"))) == (Phase.BUY_UNKNOWN, asked)
            world.wait(world.config.resolve_interval)
        assert (world.phase, world.free_cash) == (Phase.COOLDOWN, CASH)


def test_a_fill_settles_what_was_unknown() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unknown("no reply")]
        world.gateway.answers["recover"] = [After(5 * SECOND, Accepted("?", "x", 0))]
        world.bar()
        world.report(world.entry, OPEN, FIRST)
        assert (world.phase, world.position, world.entry.status) == (Phase.WAIT_FILL, 4, OPEN)
        world.wait(5 * SECOND)
        assert world.phase is Phase.WAIT_FILL, "the answer to the look-up is no contradiction"
        world.report(world.entry, FILLED, FIRST, SECOND_PART)
        assert (world.phase, world.position) == (Phase.POSITION, 10)


@pytest.mark.parametrize(
    ("bought", "phase", "dust"), [("4", Phase.POSITION, 0), ("0.05", Phase.COOLDOWN, Decimal("0.05"))]
)
def test_an_order_shown_as_absent_after_partial_fills_leaves_a_position(
    world: TradingWorld, bought: str, phase: Phase, dust: Decimal
) -> None:
    buying(world)
    world.report(world.entry, OPEN, trade("1", bought))
    world.gateway.answers["cancel"] = [Absent()]
    world.wait(world.config.buy_fill_timeout)
    assert world.path()[-1] == phase
    assert Phase.BUY_UNKNOWN in world.path()
    assert world.position + world.dust == Decimal(bought)
    assert world.dust == dust
    late = world.report(world.entry, OPEN)
    assert (late.outcome, world.phase) == (Outcome.IGNORED, phase), "its fills prove that the exchange had it"


def test_an_unsent_order_is_sent_again_under_the_same_id_with_a_fresh_claim() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unsent("refused"), Unsent("refused")]
        world.bar()
        start = world.clock.now()
        world.wait(3 * SECOND)
        assert world.phase is Phase.WAIT_FILL
        sent = world.gateway.sent("submit")
        assert len({order_id for order_id, _ in sent}) == 1
        claims = [claim for _, claim in sent if claim is not None]
        assert [(claim.attempt, claim.claimed_at - start) for claim in claims] == [(1, 0), (2, SECOND), (3, 3 * SECOND)]
        assert all(claim.deadline - claim.claimed_at == world.config.order_window for claim in claims)


def test_an_order_that_never_leaves_is_given_up_after_the_attempts_allowed() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unsent("refused")] * 9
        world.bar()
        world.wait(10 * SECOND)
        assert len(world.gateway.sent("submit")) == world.config.order_retry_max_attempts
        assert (world.phase, world.free_cash) == (Phase.COOLDOWN, CASH)


def test_a_rejected_order_gives_everything_back() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Rejected("notional")]
        world.bar()
        assert (world.phase, world.free_cash, world.entry.status) == (Phase.COOLDOWN, CASH, "rejected")
        assert world.worker.portfolio.slots_free == 1


def test_no_answer_at_all_ends_in_a_look_up() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(10**9, Unknown("never"))]
        world.gateway.answers["recover"] = [Unknown("no answer")]
        world.bar()
        world.wait(world.config.placement_timeout)
        assert (world.phase, len(world.gateway.sent("recover"))) == (Phase.BUY_UNKNOWN, 1)


def test_an_order_between_two_attempts_is_not_taken_for_absent() -> None:
    with TradingWorld(config=Config(placement_timeout=SECOND // 2)) as world:
        world.gateway.answers["submit"] = [Unsent("no route")]
        world.gateway.answers["recover"] = [Absent()] * 9
        world.bar()
        world.wait(SECOND // 2)
        assert (world.phase, world.free_cash) == (Phase.BUY_UNKNOWN, 0)
        world.wait(SECOND // 2)
        assert (world.phase, len(world.gateway.sent("submit"))) == (Phase.WAIT_FILL, 2)


@pytest.mark.parametrize("qty", ["10.001", "11"])
def test_more_than_was_ordered_is_booked_and_stops_the_symbol(world: TradingWorld, qty: str) -> None:
    buying(world)
    world.report(world.entry, FILLED, trade("1", qty))
    assert (world.phase, world.position) == (Phase.ERROR, Decimal(qty))
    assert "BUY_ORDER_FILLED" in str(world.data.last_error)


def test_a_fill_after_the_confirmed_cancel_is_booked_and_stops_the_symbol(world: TradingWorld) -> None:
    buying(world)
    world.wait(world.config.buy_fill_timeout)
    assert world.phase is Phase.COOLDOWN
    world.report(world.entry, FILLED, WHOLE)
    assert (world.phase, world.position) == (Phase.ERROR, 10)
    assert world.entry.client_order_id in str(world.data.last_error)


def test_an_order_placed_after_it_was_proven_absent_stops_the_symbol() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unknown("no reply")]
        world.bar()
        assert (world.phase, world.entry.status) == (Phase.COOLDOWN, "absent")
        world.report(world.entry, OPEN)
        assert world.phase is Phase.ERROR


def test_a_trade_reported_with_other_figures_changes_nothing_and_stops_the_symbol(world: TradingWorld) -> None:
    buying(world)
    world.report(world.entry, OPEN, FIRST)
    receipt = world.report(world.entry, FILLED, trade("1", 5, fee="0.4"), trade("2", 5))
    assert receipt.outcome is Outcome.FAILED
    assert (world.phase, world.position) == (Phase.ERROR, 4)
    assert "other figures" in str(world.data.last_error)


def test_reports_about_an_earlier_order_do_not_touch_the_present_one(world: TradingWorld) -> None:
    buying(world)
    first = world.entry
    world.wait(world.config.buy_fill_timeout + world.config.cooldown)
    world.gateway.answers["submit"] = [After(2 * SECOND, Accepted("?", "x", 0))]
    world.bar()
    assert (world.phase, world.entry.client_order_id != first.client_order_id) == (Phase.PLACE_BUY, True)
    late = (
        BuyOrderPlaced(client_order_id=first.client_order_id, exchange_order_id="x"),
        BuyOrderRejected(client_order_id=first.client_order_id, reason="late"),
        BuyOrderAbsent(client_order_id=first.client_order_id),
        OrderOutcomeUnknown(client_order_id=first.client_order_id, reason="late"),
    )
    for payload in late:
        assert world.send(payload, id=f"late {payload.event}").outcome is Outcome.IGNORED
    assert world.phase is Phase.PLACE_BUY
    world.wait(2 * SECOND)
    assert world.phase is Phase.WAIT_FILL


def test_a_strategy_that_raises_stops_its_symbol(world: TradingWorld) -> None:
    world.strategy.fail = True
    world.bar()
    assert world.phase is Phase.ERROR
    assert "the strategy has a defect" in str(world.data.last_error)


def test_a_signal_that_nobody_asked_for_is_ignored(world: TradingWorld) -> None:
    world.send(SignalDetected(bar_at=world.clock.now(), signal_type="x", price=Decimal(100)))
    assert (world.phase, world.gateway.orders) == (Phase.IDLE, [])


def test_a_late_answer_of_the_strategy_is_not_taken_for_the_present_bar() -> None:
    with TradingWorld(effects=SlowEvaluation) as world:
        world.bar()
        assert world.phase is Phase.ENTRY_EVAL
        stale = SignalDetected(bar_at=world.clock.now() - 1, signal_type="x", price=Decimal(100))
        assert world.send(stale).outcome is Outcome.IGNORED
        assert world.send(NoSignal(bar_at=world.clock.now() - 1)).outcome is Outcome.IGNORED
        assert (world.phase, world.gateway.orders) == (Phase.ENTRY_EVAL, [])
        world.wait(world.config.evaluation_timeout)
        assert world.phase is Phase.IDLE


def test_no_signal_no_order(world: TradingWorld) -> None:
    world.strategy.entry_price = None
    world.bar()
    assert (world.phase, world.gateway.orders) == (Phase.IDLE, [])


@pytest.mark.parametrize(
    ("market", "cash"),
    [
        (BTC, Decimal(9)),
        (msgspec.structs.replace(BTC, min_notional=Decimal(960)), CASH),
        (msgspec.structs.replace(BTC, min_amount=Decimal(10), fee_in_base=True), CASH),
    ],
    ids=["too little cash", "not sellable at the stop", "not sellable after the fee"],
)
def test_what_could_not_be_sold_again_is_not_bought(market: Market, cash: Decimal) -> None:
    with TradingWorld(market, cash=cash) as world:
        world.bar()
        assert (world.phase, world.gateway.orders) == (Phase.IDLE, [])
        assert world.free_cash == cash
        assert world.path()[-2:] == [Phase.ENTRY_EVAL, Phase.IDLE]


def test_a_fee_in_base_currency_reduces_what_is_held() -> None:
    with TradingWorld(msgspec.structs.replace(BTC, fee_in_base=True)) as world:
        world.bar()
        world.report(world.entry, FILLED, trade("1", 10, fee="0.0105", currency="BTC"))
        assert (world.phase, world.position) == (Phase.POSITION, Decimal("9.9895"))


def test_what_the_fee_in_base_makes_unsellable_is_dust() -> None:
    with TradingWorld(msgspec.structs.replace(BTC, fee_in_base=True)) as world:
        world.bar()
        speck = trade("1", "0.1", fee="0.0001", currency="BTC")  # worth 10 USD, the minimum, before the fee
        world.gateway.answers["cancel"] = [Canceled(state(world.entry, CANCELED, speck))]
        world.wait(world.config.buy_fill_timeout)
        assert (world.phase, world.position, world.dust) == (Phase.COOLDOWN, 0, Decimal("0.0999"))


@pytest.mark.parametrize(
    ("answer", "phase", "attempts"),
    [
        (Accepted("?", "x", 0), Phase.WAIT_FILL, [1]),
        (Rejected("minimum"), Phase.COOLDOWN, [1]),
        (Unknown("no reply"), Phase.BUY_UNKNOWN, [1]),
        (Unsent("no route"), Phase.WAIT_FILL, [1, 2]),
        (Absent(), Phase.WAIT_FILL, [1, 2]),
    ],
    ids=["accepted", "rejected", "unknown", "unsent", "never sent"],
)
def test_after_a_crash_the_answer_is_asked_for_before_anything_is_sent(
    world: TradingWorld, answer: object, phase: Phase, attempts: list[int]
) -> None:
    world.gateway.answers["submit"] = [After(10**9, Unknown("the sender is dead"))]
    world.bar()
    assert world.phase is Phase.PLACE_BUY
    world.gateway.answers["resume"] = [answer]
    world.gateway.answers["recover"] = [Unknown("no answer")]
    with TradingWorld(store=world.store, gateway=world.gateway, now=world.clock.now() + 5 * SECOND) as again:
        again.wait(2 * SECOND)
        assert again.phase is phase
        sent = again.gateway.sent("submit")
        assert [claim.attempt for _, claim in sent if claim] == attempts
        assert len({order_id for order_id, _ in sent}) == 1
        assert len(again.gateway.sent("resume")) == 1
