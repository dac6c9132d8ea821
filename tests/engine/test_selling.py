"""From a position to a closed trade, through every way in which a sell order can go."""

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
from engine.strategy.strategy import ExitReason
from generated.trading import (
    Config,
    ExitCheckDue,
    NoExit,
    OrderOutcomeUnknown,
    Phase,
    SellOrderAbsent,
    SellOrderPlaced,
    SellOrderRejected,
    StopLossHit,
)
from runtime.events import Outcome
from runtime.ledger import RoundTrip, round_trips

OPEN, FILLED, CANCELED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED
DAY = 86_400 * SECOND
BASE_FEES = msgspec.structs.replace(BTC, fee_in_base=True)


@pytest.fixture
def world() -> Iterator[TradingWorld]:
    with TradingWorld() as made:
        yield holding(made)


def holding(world: TradingWorld, qty: str = "10", fee: str = "0", currency: str = "USD") -> TradingWorld:
    """A position, bought at 100."""
    world.bar()
    world.gateway.answers["cancel"] = [Canceled(state(world.entry, CANCELED, trade("b1", qty, 100, fee, currency)))]
    world.wait(world.config.buy_fill_timeout)
    assert world.phase is Phase.POSITION
    return world


def judge(world: TradingWorld, reason: ExitReason | None, price: str = "110") -> None:
    """A bar closes, and the strategy says this."""
    world.wait(SECOND)
    world.strategy.exit_reason, world.strategy.exit_price = reason, Decimal(price)
    world.send(ExitCheckDue(bar_at=world.clock.now()))


def selling(world: TradingWorld, reason: ExitReason = ExitReason.STOP_LOSS, price: str = "95") -> TradingWorld:
    """A sell order for the position is live."""
    judge(world, reason, price)
    assert world.phase is Phase.WAIT_SELL_FILL
    return world


def the_trip(world: TradingWorld) -> RoundTrip:
    (trip,) = round_trips(world.store.journal())
    return trip


def test_a_sold_position_closes_the_trade_and_frees_cash_and_slot(world: TradingWorld) -> None:
    selling(world, ExitReason.TAKE_PROFIT, "110")
    world.report(world.exit, FILLED, trade("s1", 10, 110, "1.1"))
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)
    assert world.path()[-2:] == [Phase.POST_TRADE, Phase.COOLDOWN]
    assert world.free_cash == CASH + 100 - Decimal("1.1")
    assert world.worker.portfolio.slots_free == 1
    trip = the_trip(world)
    assert (trip.realised, trip.reason, trip.remaining_qty) == (Decimal("98.9"), "take_profit", 0)
    world.wait(world.config.cooldown - 1)
    assert world.phase is Phase.COOLDOWN
    world.wait(1)
    assert world.phase is Phase.IDLE


@pytest.mark.parametrize(
    ("reason", "type_", "price"),
    [
        (ExitReason.TAKE_PROFIT, OrderType.LIMIT, Decimal(110)),
        (ExitReason.STOP_LOSS, OrderType.MARKET, None),
        (ExitReason.TRAILING_STOP, OrderType.MARKET, None),
        (ExitReason.POSITION_TIMEOUT, OrderType.MARKET, None),
    ],
)
def test_a_profit_is_offered_and_a_loss_is_cut(
    world: TradingWorld, reason: ExitReason, type_: OrderType, price: Decimal | None
) -> None:
    selling(world, reason, "110")
    order = world.gateway.orders[-1]
    assert (order.side, order.type, order.price, order.amount) == (Side.SELL, type_, price, 10)
    world.report(world.exit, FILLED, trade("s1", 10, 110))
    assert the_trip(world).reason == reason


def test_a_position_that_the_strategy_keeps_stays(world: TradingWorld) -> None:
    judge(world, None)
    assert (world.phase, len(world.gateway.orders)) == (Phase.POSITION, 1)


def test_a_position_held_for_too_long_is_sold_at_market() -> None:
    with TradingWorld(config=Config(position_max_hold=DAY)) as world:
        holding(world)
        opened_at = world.data.opened_at
        assert opened_at is not None
        judge(world, None)
        world.wait(opened_at + DAY - world.clock.now() - 1)
        assert world.phase is Phase.POSITION
        world.wait(1)
        assert (world.phase, world.gateway.orders[-1].type) == (Phase.WAIT_SELL_FILL, OrderType.MARKET)
        world.report(world.exit, FILLED, trade("s1", 10, 90))
        assert the_trip(world).reason == "position_timeout"


def test_only_what_the_fees_left_is_sold_and_the_rest_is_dust() -> None:
    with TradingWorld(BASE_FEES) as world:
        holding(world, "9.999", "0.0099991", "BTC")
        assert world.position == Decimal("9.9890009")
        selling(world)
        assert world.gateway.orders[-1].amount == Decimal("9.989")
        world.report(world.exit, FILLED, trade("s1", "9.989", 95))
        assert (world.phase, world.position, world.dust) == (Phase.COOLDOWN, 0, Decimal("0.0000009"))
        assert the_trip(world).remaining_qty == Decimal("0.0000009")


def test_partly_sold_then_canceled_goes_on_with_the_rest_at_market(world: TradingWorld) -> None:
    selling(world, ExitReason.TAKE_PROFIT, "110")
    first = world.exit
    world.gateway.answers["cancel"] = [Canceled(state(first, CANCELED, trade("s1", 4, 110)))]
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.position) == (Phase.WAIT_SELL_FILL, 6)
    rest = world.gateway.orders[-1]
    assert (rest.amount, rest.type) == (6, OrderType.MARKET)
    assert rest.client_order_id != first.client_order_id
    world.report(world.exit, FILLED, trade("s2", 6, 105))
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)
    assert the_trip(world).sold_qty == 10


def test_late_reports_of_the_first_sale_do_not_touch_the_second(world: TradingWorld) -> None:
    selling(world)
    first = world.exit
    world.gateway.answers["cancel"] = [Canceled(state(first, CANCELED, trade("s1", 4, 95)))]
    world.gateway.answers["submit"] = [After(2 * SECOND, Accepted("?", "x", 0))]
    world.wait(world.config.sell_fill_timeout)
    assert world.phase is Phase.PLACE_SELL
    late = (
        SellOrderPlaced(client_order_id=first.client_order_id, exchange_order_id="x"),
        SellOrderRejected(client_order_id=first.client_order_id, reason="late"),
        SellOrderAbsent(client_order_id=first.client_order_id),
        OrderOutcomeUnknown(client_order_id=first.client_order_id, reason="late"),
    )
    for payload in late:
        assert world.send(payload, id=f"late {payload.event}").outcome is Outcome.IGNORED
    world.report(first, OPEN, trade("s1", 4, 95))
    assert world.phase is Phase.PLACE_SELL
    world.wait(2 * SECOND)
    assert (world.phase, world.position, world.exit.exchange_order_id) == (Phase.WAIT_SELL_FILL, 6, "x")


def test_a_sale_that_found_no_buyer_waits_for_the_next_bar(world: TradingWorld) -> None:
    selling(world)
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.position, len(world.gateway.orders)) == (Phase.POSITION, 10, 2)
    selling(world)
    assert len(world.gateway.orders) == 3


def test_a_remainder_under_the_minimum_notional_is_dust(world: TradingWorld) -> None:
    selling(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.exit, CANCELED, trade("s1", "9.9", 95)))]
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.position, world.dust) == (Phase.COOLDOWN, 0, Decimal("0.1"))
    assert world.path()[-3:] == [Phase.DUST, Phase.POST_TRADE, Phase.COOLDOWN]


def test_the_remainder_is_judged_at_what_the_market_just_paid(world: TradingWorld) -> None:
    # 0.105 BTC: 10.5 USD at the entry's price, 9.975 USD at the sale's.
    selling(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.exit, CANCELED, trade("s1", "9.895", 95)))]
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.dust) == (Phase.COOLDOWN, Decimal("0.105"))


def test_a_position_that_has_become_unsellable_is_dust() -> None:
    with TradingWorld() as world:
        holding(world, "0.2")
        judge(world, ExitReason.STOP_LOSS, "49")
        assert (world.phase, world.position, world.dust) == (Phase.COOLDOWN, 0, Decimal("0.2"))
        assert the_trip(world).reason == "stop_loss"


def test_a_cancel_refused_because_the_order_filled_closes_the_trade(world: TradingWorld) -> None:
    selling(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.exit, FILLED, trade("s1", 10, 95)))]
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)


def test_an_unknown_cancel_is_asked_for_again(world: TradingWorld) -> None:
    selling(world)
    world.gateway.answers["cancel"] = [Unknown("timed out")]
    world.wait(world.config.sell_fill_timeout)
    assert world.phase is Phase.CANCEL_SELL
    world.report(world.exit, OPEN, trade("s1", 1, 95))
    assert (world.phase, world.position) == (Phase.CANCEL_SELL, 9)
    world.gateway.answers["cancel"] = [Canceled(state(world.exit, FILLED, trade("s1", 1, 95), trade("s2", 9, 95)))]
    world.wait(world.config.cancel_retry_interval)
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)


def test_a_fill_that_overtakes_its_acknowledgement_waits_for_it(world: TradingWorld) -> None:
    world.gateway.answers["submit"] = [After(SECOND, Accepted("?", "x", 0))]
    judge(world, ExitReason.STOP_LOSS)
    early = world.report(world.exit, FILLED, trade("s1", 10, 95))
    assert (early.outcome, world.phase, world.position) == (Outcome.DEFERRED, Phase.PLACE_SELL, 10)
    world.wait(SECOND)
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)


def test_a_lost_reply_is_looked_up_and_nothing_is_sold_twice(world: TradingWorld) -> None:
    world.gateway.answers["submit"] = [Unknown("no reply")]
    world.gateway.answers["recover"] = [Unknown("no answer"), Accepted("?", "x", 0)]
    judge(world, ExitReason.STOP_LOSS)
    assert (world.phase, world.exit.status) == (Phase.SELL_UNKNOWN, "unknown")
    world.wait(world.config.resolve_interval)
    assert (world.phase, world.exit.status) == (Phase.WAIT_SELL_FILL, OPEN)
    assert len(world.gateway.orders) == 2


def test_a_partial_fill_settles_what_was_unknown(world: TradingWorld) -> None:
    world.gateway.answers["submit"] = [Unknown("no reply")]
    world.gateway.answers["recover"] = [After(5 * SECOND, Accepted("?", "x", 0))]
    judge(world, ExitReason.STOP_LOSS)
    world.report(world.exit, OPEN, trade("s1", 4, 95))
    assert (world.phase, world.position) == (Phase.WAIT_SELL_FILL, 6)
    world.wait(5 * SECOND)
    assert world.phase is Phase.WAIT_SELL_FILL


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"submit": [Rejected("notional")]}, "rejected"),
        ({"submit": [Unknown("no reply")], "recover": [Absent()]}, "absent"),
        ({"submit": [Unsent("refused")] * 3}, "rejected"),
    ],
    ids=["rejected", "absent", "unsent"],
)
def test_a_sale_that_never_began_is_tried_again_at_the_next_bar(
    world: TradingWorld, answers: dict[str, list[object]], status: str
) -> None:
    world.gateway.answers.update(answers)
    judge(world, ExitReason.TAKE_PROFIT)
    world.wait(10 * SECOND)
    assert (world.phase, world.exit.status, world.data.exit_attempts) == (Phase.POSITION, status, 1)
    selling(world, ExitReason.TAKE_PROFIT)
    assert world.gateway.orders[-1].type is OrderType.MARKET, "after a refusal it must get out"


def test_a_sale_refused_again_and_again_asks_for_a_person(world: TradingWorld) -> None:
    world.gateway.answers["submit"] = [Rejected("minimum")] * 9
    for attempt in range(1, world.config.max_exit_attempts):
        judge(world, ExitReason.STOP_LOSS)
        assert (world.phase, world.data.exit_attempts) == (Phase.POSITION, attempt)
    judge(world, ExitReason.STOP_LOSS)
    assert (world.phase, world.position) == (Phase.ERROR, 10)
    assert "minimum" in str(world.data.last_error)
    assert world.worker.portfolio.slots_free == 0, "what is held still takes its slot"


def test_a_sale_that_sells_something_resets_the_count(world: TradingWorld) -> None:
    world.gateway.answers["submit"] = [Rejected("halted")]
    judge(world, ExitReason.STOP_LOSS)
    selling(world)
    world.report(world.exit, OPEN, trade("s1", 4, 95))
    assert world.data.exit_attempts == 0


@pytest.mark.parametrize(("qty", "held"), [("10.5", Decimal("-0.5")), ("20", Decimal(-10))])
def test_more_than_was_offered_is_booked_and_stops_the_symbol(world: TradingWorld, qty: str, held: Decimal) -> None:
    selling(world)
    world.report(world.exit, FILLED, trade("s1", qty, 95))
    assert (world.phase, world.position) == (Phase.ERROR, held)


def test_a_sale_reported_after_its_cancel_was_confirmed_stops_the_symbol(world: TradingWorld) -> None:
    selling(world)
    world.wait(world.config.sell_fill_timeout)
    assert world.phase is Phase.POSITION
    world.report(world.exit, FILLED, trade("s1", 10, 95))
    assert (world.phase, world.position) == (Phase.ERROR, 0)


def test_a_late_answer_of_the_strategy_is_not_taken_for_the_present_bar() -> None:
    with TradingWorld(effects=SlowEvaluation) as world:
        world.bar()
        world.wait(DAY)
        assert world.phase is Phase.IDLE, "it took too long"
    with TradingWorld() as first:
        holding(first)
        with TradingWorld(
            effects=SlowEvaluation, store=first.store, gateway=first.gateway, now=first.clock.now()
        ) as world:
            judge(world, ExitReason.STOP_LOSS)
            assert world.phase is Phase.EXIT_EVAL
            stale = world.clock.now() - 1
            assert world.send(StopLossHit(bar_at=stale, price=Decimal(95))).outcome is Outcome.IGNORED
            assert world.send(NoExit(bar_at=stale)).outcome is Outcome.IGNORED
            assert (world.phase, len(world.gateway.orders)) == (Phase.EXIT_EVAL, 1)
            world.wait(world.config.evaluation_timeout)
            assert world.phase is Phase.POSITION


@pytest.mark.parametrize("market", [BTC, BASE_FEES], ids=["fee in quote", "fee in base"])
def test_the_books_balance_after_a_trade(market: Market) -> None:
    fee, currency = ("0.01", "BTC") if market.fee_in_base else ("1", "USD")
    with TradingWorld(market) as world:
        holding(world, "10", fee, currency)
        selling(world)
        world.report(world.exit, FILLED, trade("s1", world.exit.amount, 95, "0.95"))
        assert world.phase is Phase.COOLDOWN
        assert world.worker.portfolio.verify() == ()
