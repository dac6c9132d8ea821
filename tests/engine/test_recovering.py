"""A symbol in ERROR: what still happens to it, and where a recovery leads. The exchange is asked, never remembered."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from trading_world import CASH, SECOND, After, TradingWorld, state, trade

from engine.exchange.gateway import Absent, Accepted, Canceled, OrderStatus, Rejected, Unknown, Unsent
from engine.strategy.strategy import ExitReason
from generated.trading import ErrorOccurred, ExitCheckDue, Phase, RecoverRequested
from runtime.events import Outcome
from runtime.ledger import CLOSE, DUST

OPEN, FILLED, CANCELED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED


@pytest.fixture
def world() -> Iterator[TradingWorld]:
    with TradingWorld() as made:
        yield made


def fail(world: TradingWorld) -> None:
    world.send(ErrorOccurred(error="a defect", failed_event="ANY"))
    assert (world.phase, world.data.last_error) == (Phase.ERROR, "ANY: a defect")


def recover(world: TradingWorld) -> Phase:
    assert world.send(RecoverRequested(requested_by="a person")).handled
    return world.phase


def bought(world: TradingWorld, qty: object = 10) -> None:
    world.bar()
    world.report(world.entry, FILLED if qty == 10 else CANCELED, trade("b1", qty))
    assert world.phase is Phase.POSITION


def offered(world: TradingWorld) -> None:
    bought(world)
    judge(world)
    assert world.phase is Phase.WAIT_SELL_FILL


def judge(world: TradingWorld) -> None:
    world.wait(SECOND)
    world.strategy.exit_reason, world.strategy.exit_price = ExitReason.STOP_LOSS, Decimal(95)
    world.send(ExitCheckDue(bar_at=world.clock.now()))


def test_with_nothing_going_on_the_symbol_goes_on(world: TradingWorld) -> None:
    fail(world)
    assert recover(world) is Phase.COOLDOWN
    world.wait(world.config.cooldown)
    assert world.phase is Phase.IDLE


def test_a_live_buy_is_canceled_and_what_it_bought_is_kept(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    some = trade("b1", 4)
    world.gateway.answers["look_up"] = [state(world.entry, OPEN, some)]
    world.gateway.answers["cancel"] = [After(SECOND, Canceled(state(world.entry, CANCELED, some)))]
    assert recover(world) is Phase.CANCEL_BUY
    assert world.position == 4
    world.wait(SECOND)
    assert (world.phase, world.free_cash) == (Phase.POSITION, CASH - 400)


def test_a_live_sell_is_canceled_and_the_rest_is_kept(world: TradingWorld) -> None:
    offered(world)
    fail(world)
    some = trade("s1", 4, 95)
    world.gateway.answers["look_up"] = [
        state(world.entry, FILLED, trade("b1", 10)),
        state(world.exit, OPEN, some),
    ]
    world.gateway.answers["cancel"] = [After(SECOND, Canceled(state(world.exit, CANCELED, some)))]
    assert recover(world) is Phase.CANCEL_SELL
    world.wait(SECOND)
    assert (world.phase, world.position) == (Phase.WAIT_SELL_FILL, 6), "what is left goes on being sold"


def test_a_position_is_held_on_and_can_be_sold(world: TradingWorld) -> None:
    bought(world)
    fail(world)
    world.gateway.answers["look_up"] = [state(world.entry, FILLED, trade("b1", 10))]
    assert recover(world) is Phase.POSITION
    assert (world.position, world.worker.portfolio.slots_free) == (10, 0)
    judge(world)
    world.report(world.exit, FILLED, trade("s1", 10, 95))
    assert (world.phase, world.position) == (Phase.COOLDOWN, 0)


def test_a_fill_that_nobody_reported_is_found(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    world.gateway.answers["look_up"] = [state(world.entry, FILLED, trade("b1", 10, 99))]
    assert recover(world) is Phase.POSITION
    assert (world.position, world.entry.status) == (10, FILLED)
    assert world.free_cash == CASH - 990, "what the order did not cost is free again"


def test_a_fill_reported_while_in_error_is_booked_once(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    assert world.report(world.entry, FILLED, trade("b1", 10)).handled
    assert (world.phase, world.position) == (Phase.ERROR, 10)
    world.gateway.answers["look_up"] = [state(world.entry, FILLED, trade("b1", 10))]
    assert recover(world) is Phase.POSITION
    assert world.position == 10


def test_a_fill_reported_while_recovering_is_booked_once(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    world.gateway.answers["look_up"] = [After(SECOND, state(world.entry, FILLED, trade("b1", 10)))]
    assert recover(world) is Phase.RECOVERING
    world.report(world.entry, FILLED, trade("b1", 10))
    assert (world.phase, world.position) == (Phase.RECOVERING, 10)
    world.wait(SECOND)
    assert (world.phase, world.position) == (Phase.POSITION, 10)


def test_a_position_sold_meanwhile_closes_the_trade(world: TradingWorld) -> None:
    offered(world)
    fail(world)
    world.gateway.answers["look_up"] = [
        state(world.entry, FILLED, trade("b1", 10)),
        state(world.exit, FILLED, trade("s1", 10, 95)),
    ]
    assert recover(world) is Phase.COOLDOWN
    assert (world.position, world.worker.portfolio.slots_free) == (0, 1)
    (closing,) = [entry for entry in world.store.journal() if entry.kind == CLOSE]
    assert closing.details["reason"] == "stop_loss"


def test_a_remainder_is_dust(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    world.gateway.answers["look_up"] = [state(world.entry, CANCELED, trade("b1", "0.05"))]
    assert recover(world) is Phase.COOLDOWN
    assert (world.position, world.dust) == (0, Decimal("0.05"))


def test_an_order_that_the_exchange_never_had_gives_everything_back() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(10 * SECOND, Unknown("no reply"))]
        world.bar()
        fail(world)
        world.wait(10 * SECOND)
        world.gateway.answers["recover"] = [Absent()]
        assert recover(world) is Phase.COOLDOWN
        assert (world.free_cash, world.entry.status) == (CASH, "absent")
        assert world.gateway.sent("recover"), "that it is not shown is believed only once it can no longer come"


def test_an_order_that_is_about_to_be_sent_again_is_not_given_up() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unsent("no route")]
        world.bar()
        fail(world)
        world.gateway.answers["recover"] = [Absent()] * 2
        assert recover(world) is Phase.RECOVERING
        assert world.free_cash == 0
        world.gateway.answers["look_up"] = [state(world.entry, OPEN)]
        world.wait(SECOND)
        assert (world.phase, world.entry.status) == (Phase.COOLDOWN, CANCELED)
        assert world.path()[-3:] == [Phase.RECOVERING, Phase.CANCEL_BUY, Phase.COOLDOWN]
        assert len(world.gateway.sent("submit")) == 2


def test_an_order_that_the_exchange_refused_gives_everything_back() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(SECOND, Rejected("notional"))]
        world.bar()
        fail(world)
        world.wait(SECOND)
        world.gateway.answers["recover"] = [Rejected("notional")]
        assert recover(world) is Phase.COOLDOWN
        assert world.free_cash == CASH


def test_an_order_accepted_while_in_error_is_known_to_be_placed() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(SECOND, Accepted("?", "x-1", 0))]
        world.bar()
        fail(world)
        world.wait(SECOND)
        assert (world.phase, world.entry.status, world.entry.exchange_order_id) == (Phase.ERROR, OPEN, "x-1")
        assert world.data.last_error == "ANY: a defect"


def test_an_order_that_is_accepted_but_not_shown_is_no_ground_to_go_on() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [After(SECOND, Unknown("no reply"))]
        world.bar()
        fail(world)
        world.wait(SECOND)
        world.gateway.answers["recover"] = [Accepted("?", "x", 0)] * 9
        assert recover(world) is Phase.RECOVERING
        world.wait(60 * SECOND)
        assert world.phase is Phase.ERROR
        assert "not shown" in str(world.data.last_error)
        assert world.free_cash == 0


def test_an_order_of_which_the_outbox_knows_nothing_is_no_ground_to_go_on(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    with TradingWorld(gateway=world.gateway, now=world.clock.now()) as other:
        other.data.entry_order = world.entry
        fail(other)
        assert recover(other) is Phase.RECOVERING
        other.wait(60 * SECOND)
        assert other.phase is Phase.ERROR
        assert "no intent" in str(other.data.last_error)


def test_an_unreachable_exchange_is_asked_again_and_then_the_symbol_stays_in_error(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    world.gateway.answers["look_up"] = [Unknown("down")] * 9
    assert recover(world) is Phase.RECOVERING
    world.wait(60 * SECOND)
    assert world.phase is Phase.ERROR
    assert "down" in str(world.data.last_error)
    assert len(world.gateway.sent("look_up")) == 5
    world.gateway.answers["look_up"] = [state(world.entry, FILLED, trade("b1", 10))]
    assert recover(world) is Phase.POSITION


def test_an_exchange_that_never_answers_is_not_waited_for(world: TradingWorld) -> None:
    world.bar()
    fail(world)
    world.gateway.answers["look_up"] = [After(10**9, Unknown("never"))]
    assert recover(world) is Phase.RECOVERING
    world.wait(world.config.placement_timeout)
    assert world.phase is Phase.ERROR


def test_only_a_symbol_in_error_can_be_recovered(world: TradingWorld) -> None:
    receipt = world.send(RecoverRequested(requested_by="a person"))
    assert (receipt.outcome, world.phase) == (Outcome.REJECTED, Phase.IDLE)
    assert "not in ERROR" in receipt.reason


def test_a_bar_changes_nothing_in_error(world: TradingWorld) -> None:
    fail(world)
    assert world.bar().outcome is Outcome.IGNORED
    assert world.gateway.orders == []


def test_a_second_error_is_noted(world: TradingWorld) -> None:
    fail(world)
    world.send(ErrorOccurred(error="another", failed_event="OTHER"))
    assert (world.phase, world.data.last_error) == (Phase.ERROR, "OTHER: another")


def test_a_late_fill_after_the_trade_was_closed_can_be_recovered_and_sold(world: TradingWorld) -> None:
    bought(world, 4)
    judge(world)
    world.report(world.exit, FILLED, trade("s1", 4, 95))
    assert world.phase is Phase.COOLDOWN
    late = (trade("b1", 4), trade("b2", 6))
    world.report(world.entry, FILLED, *late)
    assert (world.phase, world.position) == (Phase.ERROR, 6)
    world.gateway.answers["look_up"] = [
        state(world.entry, FILLED, *late),
        state(world.exit, FILLED, trade("s1", 4, 95)),
    ]
    assert recover(world) is Phase.POSITION
    judge(world)
    world.report(world.exit, FILLED, trade("s2", 6, 95))
    assert (world.phase, world.position, world.worker.portfolio.verify()) == (Phase.COOLDOWN, 0, ())


def test_a_recovery_does_not_reopen_a_trade_that_is_closed(world: TradingWorld) -> None:
    offered(world)
    world.report(world.exit, FILLED, trade("s1", 10, 95))
    assert (world.phase, world.data.opened_at) == (Phase.COOLDOWN, None)
    fail(world)
    world.gateway.answers["look_up"] = [
        state(world.entry, FILLED, trade("b1", 10)),
        state(world.exit, FILLED, trade("s1", 10, 95)),
    ]
    assert recover(world) is Phase.COOLDOWN
    assert world.data.opened_at is None
    assert len([entry for entry in world.store.journal() if entry.kind == CLOSE]) == 1


def test_a_second_remainder_of_one_trade_is_set_aside_too(world: TradingWorld) -> None:
    bought(world, 4)
    judge(world)
    world.gateway.answers["cancel"] = [Canceled(state(world.exit, CANCELED, trade("s1", "3.95", 95)))]
    world.wait(world.config.sell_fill_timeout)
    assert (world.phase, world.dust) == (Phase.COOLDOWN, Decimal("0.05"))
    late = (trade("b1", 4), trade("b2", "0.02"))
    world.report(world.entry, CANCELED, *late)
    assert world.phase is Phase.ERROR
    world.gateway.answers["look_up"] = [
        state(world.entry, CANCELED, *late),
        state(world.exit, CANCELED, trade("s1", "3.95", 95)),
    ]
    assert recover(world) is Phase.COOLDOWN
    assert (world.position, world.dust) == (0, Decimal("0.07"))
    assert len([entry for entry in world.store.journal() if entry.kind == DUST]) == 2
