"""Several symbols, one account: slots and cash are given out once."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import msgspec
import pytest
from trading_world import BTC, TradingWorld

from engine.exchange.gateway import Rejected, Unknown
from generated.trading import Phase, SlotAvailable
from runtime.events import Outcome

NAMES = ("ADA", "BTC", "ETH")
MARKETS = tuple(msgspec.structs.replace(BTC, symbol=f"{name}/USD", base=name) for name in NAMES)
SYMBOLS = tuple(market.symbol for market in MARKETS)
CASH = Decimal(3_003)


def all_at_once(world: TradingWorld, *symbols: str) -> None:
    world.send_together(*((symbol, SlotAvailable(bar_at=world.clock.now())) for symbol in symbols))


def phases(world: TradingWorld) -> list[str]:
    return [world.worker.instances[symbol].phase for symbol in SYMBOLS]


@pytest.mark.parametrize("order", list(permutations(SYMBOLS)), ids=",".join)
def test_a_slot_goes_to_one_symbol_whatever_the_order_of_the_signals(order: tuple[str, ...]) -> None:
    with TradingWorld(*MARKETS, slots=2, cash=CASH) as world:
        all_at_once(world, *order)
        assert phases(world) == [Phase.WAIT_FILL, Phase.WAIT_FILL, Phase.IDLE]
        assert world.worker.portfolio.slots_free == 0
        assert [order.amount for order in world.gateway.orders] == [15, 15]


def test_each_slot_gets_an_equal_share_of_the_cash() -> None:
    with TradingWorld(*MARKETS, slots=3, cash=CASH) as world:
        all_at_once(world, *SYMBOLS)
        assert [order.amount for order in world.gateway.orders] == [10, 10, 10]
        assert world.free_cash == 0


def test_a_symbol_that_found_no_slot_asks_again_at_its_next_bar() -> None:
    with TradingWorld(*MARKETS, slots=1, cash=CASH) as world:
        all_at_once(world, *SYMBOLS)
        assert phases(world) == [Phase.WAIT_FILL, Phase.IDLE, Phase.IDLE]
        world.wait(world.config.buy_fill_timeout)
        assert phases(world) == [Phase.COOLDOWN, Phase.IDLE, Phase.IDLE]
        all_at_once(world, *SYMBOLS)
        assert phases(world) == [Phase.COOLDOWN, Phase.WAIT_FILL, Phase.IDLE]


def test_without_a_free_slot_the_strategy_is_not_even_asked() -> None:
    with TradingWorld(*MARKETS, slots=1, cash=CASH) as world:
        world.bar(SYMBOLS[0])
        world.strategies[SYMBOLS[1]].fail = True
        receipt = world.bar(SYMBOLS[1])
        assert (receipt.outcome, receipt.reason) == (
            Outcome.IGNORED,
            "No trading slot is free; the next bar asks again.",
        )


def test_an_order_of_unknown_fate_keeps_its_slot_and_its_cash() -> None:
    with TradingWorld(*MARKETS, slots=1, cash=CASH) as world:
        world.gateway.answers.update(submit=[Unknown("no reply")], recover=[Unknown("no answer")] * 3)
        world.bar(SYMBOLS[0])
        world.bar(SYMBOLS[1])
        assert phases(world) == [Phase.BUY_UNKNOWN, Phase.IDLE, Phase.IDLE]
        assert world.free_cash == 0


def test_a_rejected_order_leaves_its_slot_and_its_cash_to_the_others() -> None:
    with TradingWorld(*MARKETS, slots=1, cash=CASH) as world:
        world.gateway.answers["submit"] = [Rejected("minimum")]
        world.bar(SYMBOLS[0])
        world.bar(SYMBOLS[1])
        assert phases(world) == [Phase.COOLDOWN, Phase.WAIT_FILL, Phase.IDLE]
        assert world.gateway.orders[-1].amount == 30


def test_what_goes_wrong_with_one_symbol_leaves_the_others_alone() -> None:
    with TradingWorld(*MARKETS, slots=3, cash=CASH) as world:
        world.strategies[SYMBOLS[1]].fail = True
        all_at_once(world, *SYMBOLS)
        assert phases(world) == [Phase.WAIT_FILL, Phase.ERROR, Phase.WAIT_FILL]


def test_the_bot_never_asks_for_more_than_the_exchange_would_lock() -> None:
    """What is reserved for an order covers the worst cost that the paper exchange can lock for it."""
    with TradingWorld(*MARKETS, slots=3, cash=Decimal("1234.56789")) as world:
        for symbol in SYMBOLS:
            world.strategies[symbol].entry_price = Decimal("33.37")
        all_at_once(world, *SYMBOLS)
        fee = BTC.taker_fee
        for order, symbol in zip(world.gateway.orders, SYMBOLS, strict=True):
            assert order.price is not None
            reserved = world.worker.portfolio.reservation(symbol).cash
            assert reserved >= order.amount * order.price * (1 + fee)
        assert world.free_cash >= 0
