"""Prices, amounts and money of the paper exchange: one order at a time, or a few that compete."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from paper_world import BAR, BTC, DEPOSITS, ETH, FLAT, PROMPT, START, WINDOW, World, limit, market

from engine.exchange.gateway import Accepted, ExchangeTrade, Market, OrderRequest, OrderStatus, Rejected, Stamp

D = Decimal
FALLING = (100, 100, 80, 90, 1_000_000)  # 100, 100, 80, 90 at the thirds: flat, down, up
THIRD = BAR // 3


def trades_of(world: World, order_id: str) -> list[ExchangeTrade]:
    return [one.trade for one in world.exchange.trades() if one.client_order_id == order_id]


def test_a_marketable_limit_takes_the_price_of_its_arrival_and_pays_the_taker_fee(tmp_path: Path) -> None:
    with World(tmp_path / "x", FALLING) as world:
        world.run(until=START + THIRD + 5_000)
        world.run(world.gateway.submit(limit("a", "buy", 2, 110), world.claim()), until=START + BAR)
        (trade,) = trades_of(world, "a")
        # 10 ms after 95: 94.99, and a buyer's price is rounded up to the tick.
        assert (trade.price, trade.qty, trade.at) == (D("95.0"), D(2), START + THIRD + 5_010)
        assert (trade.fee, trade.fee_currency) == (D("0.38"), "USD")
        assert world.exchange.free()["USD"] == DEPOSITS["USD"] - 190 - D("0.38")


def test_a_resting_limit_fills_at_its_limit_when_the_path_gets_there_and_pays_the_maker_fee(tmp_path: Path) -> None:
    with World(tmp_path / "x", FALLING) as world:
        world.run(world.gateway.submit(limit("a", "buy", 2, 90), world.claim()), until=START + BAR)
        (trade,) = trades_of(world, "a")
        assert (trade.price, trade.qty, trade.at) == (D(90), D(2), START + THIRD + THIRD // 2)
        assert trade.fee == D("0.18")


def test_a_sell_gets_the_lower_tick_and_pays_its_fee_in_quote(tmp_path: Path) -> None:
    with World(tmp_path / "x", FALLING) as world:
        world.run(until=START + THIRD + 5_000)
        world.run(world.gateway.submit(market("a", "sell", 2, "ETH/USD"), world.claim()), until=START + BAR)
        (trade,) = trades_of(world, "a")
        assert (trade.price, trade.fee, trade.fee_currency) == (D("94.9"), D("0.3796"), "USD")
        assert world.exchange.free()["ETH"] == 48
        assert world.exchange.free()["USD"] == DEPOSITS["USD"] + D("189.8") - D("0.3796")


def test_a_buy_can_pay_its_fee_in_base_rounded_down_to_eight_decimals(tmp_path: Path) -> None:
    fee = D("0.000333333333")
    with World(tmp_path / "x", markets=[msgspec.structs.replace(ETH, taker_fee=fee)]) as world:
        world.run(world.gateway.submit(limit("a", "buy", 2, 100, "ETH/USD"), world.claim()), until=START + BAR)
        (trade,) = trades_of(world, "a")
        assert (trade.fee, trade.fee_currency) == (D("0.00066666"), "ETH")
        assert world.exchange.free() == DEPOSITS | {"ETH": D("51.99933334"), "USD": D(99_800)}


def test_a_large_order_takes_a_tenth_of_the_volume_slice_by_slice(tmp_path: Path) -> None:
    # 600 in 60 s: a slice of 10 s sees 100, and 10 of them are ours.
    with World(tmp_path / "x", (100, 100, 100, 100, 600)) as world:
        world.run(world.gateway.submit(limit("a", "buy", 25, 100), world.claim()), until=START + BAR)
        assert [(trade.at - START, trade.qty) for trade in trades_of(world, "a")] == [
            (10, D(10)),
            (10_000, D(10)),
            (20_000, D(5)),
        ]
        statuses = [(state.status, state.filled) for _, state in world.reports]
        assert statuses == [("open", 0), ("open", 10), ("open", 20), ("filled", 25)]
        assert [len(state.trades) for _, state in world.reports] == [0, 1, 2, 3]


def test_the_fraction_of_a_step_that_a_slice_leaves_over_counts_in_the_next(tmp_path: Path) -> None:
    # 0.0015 a slice at a step of 0.001: 1, 2, 1, 2, 1, 2 thousandths.
    with World(tmp_path / "x", (10_000, 10_000, 10_000, 10_000, "0.09")) as world:
        world.run(world.gateway.submit(market("a", "sell", "0.009"), world.claim()), until=START + BAR)
        assert [trade.qty * 1000 for trade in trades_of(world, "a")] == [1, 2, 1, 2, 1, 2]


def test_our_orders_share_the_volume_best_price_first_then_the_earlier_one(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 60), (90, 90, 90, 90, 600)) as world:
        for order in (limit("low", "buy", 8, 95), limit("early", "buy", 8, 96), limit("late", "buy", 8, 96)):
            world.one(world.gateway.submit(order, world.claim()))
        world.run(until=START + 2 * BAR)
        filled = [(one.client_order_id, one.trade.at - START - BAR, one.trade.qty) for one in world.exchange.trades()]
        assert filled == [
            ("early", 0, 8),
            ("late", 0, 2),
            ("low", 10_000, 4),
            ("late", 10_000, 6),
            ("low", 20_000, 4),
        ]


def test_small_orders_together_take_no_more_than_a_large_one(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 600)) as world:
        orders = [limit(order_id, "buy", 4, 100) for order_id in ("a", "b", "c", "d")]
        world.run(*(world.gateway.submit(order, world.claim()) for order in orders), until=START + BAR)
        filled = [(one.client_order_id, one.trade.at - START, one.trade.qty) for one in world.exchange.trades()]
        assert filled == [("a", 10, 4), ("b", 10, 4), ("c", 10, 2), ("c", 10_000, 2), ("d", 10_000, 4)]


def test_a_split_order_is_filled_in_parts_seconds_apart(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(PROMPT, split=10_000, split_gap_ms=(3_000, 4_000))
    with World(tmp_path / "x", profile=profile) as world:
        orders = [limit(f"o{n}", "buy", 1, 100) for n in range(8)]
        world.run(*(world.gateway.submit(order, world.claim()) for order in orders), until=START + BAR)
        for order in orders:
            parts = trades_of(world, order.client_order_id)
            assert sum(part.qty for part in parts) == 1
            gaps = [later.at - earlier.at for earlier, later in pairwise(parts)]
            assert 1 <= len(gaps) <= 2
            assert all(3_000 <= gap <= 4_000 for gap in gaps)


def test_an_order_rests_while_the_market_is_halted(tmp_path: Path) -> None:
    with World(tmp_path / "x", FLAT, None, None, (90, 90, 90, 90, 1_000_000)) as world:
        world.run(until=START + BAR)
        orders = [limit("a", "buy", 1, 95), market("b", "sell", 1)]
        outcomes = world.run(*(world.gateway.submit(order, world.claim()) for order in orders))
        assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
        world.run(until=START + 3 * BAR - 1)
        assert world.exchange.trades() == []
        world.run(until=START + 3 * BAR)
        assert trades_of(world, "a")[0].price == 95
        assert trades_of(world, "b")[0].price == 90


def test_nothing_trades_in_a_bar_without_volume(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 0), FLAT) as world:
        world.run(world.gateway.submit(market("a", "buy", 1), world.claim()), until=START + 2 * BAR)
        assert trades_of(world, "a")[0].at == START + BAR


def test_price_improvement_is_given_back_and_a_cancel_unlocks(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 600)) as world:
        world.one(world.gateway.submit(limit("a", "buy", 20, 110), world.claim()))
        # 10 bought at 100 with 0.2 %; 10 more locked at 110 with 0.2 %.
        assert world.exchange.free()["USD"] == D(100_000) - D(1_002) - D("1102.2")
        assert world.exchange.balances(world.clock.now())["USD"] == D(100_000) - D(1_002)
        world.one(world.gateway.cancel("BTC/USD", "a", world.claim()))
        assert world.exchange.free()["USD"] == D(100_000) - D(1_002)


def test_a_market_buy_that_the_account_can_no_longer_pay_for_ends_canceled(tmp_path: Path) -> None:
    rising = (150, 200, 100, 100, 600)
    with World(tmp_path / "x", rising, deposits={"USD": D(4_500)}) as world:
        outcome = world.one(world.gateway.submit(market("a", "buy", 28), world.claim()))
        assert isinstance(outcome, Accepted)
        world.run(until=START + BAR)
        (order,) = world.exchange.orders()
        assert order.status is OrderStatus.CANCELED
        assert order.filled == 20
        spent = sum(trade.qty * trade.price + trade.fee for trade in order.trades)
        assert world.exchange.free()["USD"] == 4_500 - spent >= 0


BAD_ORDERS = [
    (limit("a", "buy", "0.001", 100_000), "amount 0.001 is below the minimum 0.002"),
    (limit("a", "buy", "-1", 100), "amount -1 is below the minimum 0.002"),
    (limit("a", "buy", "1.0005", 100), "amount 1.0005 is no multiple of the step 0.001"),
    (limit("a", "buy", 1, "100.05"), "price 100.05 is no multiple of the tick 0.1"),
    (limit("a", "buy", 1, "0"), "price 0 is no multiple of the tick 0.1"),
    (limit("a", "buy", "0.099", 100), "notional 9.9 is below the minimum 10"),
    (market("a", "sell", "0.099"), "notional 9.9 is below the minimum 10"),
    (limit("a", "buy", 1000, 100), "insufficient balance: 100200 USD needed, 100000 free"),
    (market("a", "buy", 1000), "insufficient balance: 100200 USD needed, 100000 free"),
    (limit("a", "sell", 51, 100), "insufficient balance: 51 BTC needed, 50 free"),
    (limit("a", "buy", "1E+1000", 100), "1E+1000 is out of range"),
    (limit("a", "sell", 1, "Infinity"), "Infinity is out of range"),
    (limit("a", "buy", 1, 100, "DOGE/USD"), "unknown symbol 'DOGE/USD'"),
    (
        msgspec.structs.replace(market("a", "buy", 1), price=D(100)),
        "a limit order has a price, a market order has none",
    ),
]


@pytest.mark.parametrize(("order", "reason"), BAD_ORDERS, ids=[reason for _, reason in BAD_ORDERS])
def test_an_order_against_the_rules_is_refused_with_the_reason(
    tmp_path: Path, order: OrderRequest, reason: str
) -> None:
    with World(tmp_path / "x") as world:
        assert world.one(world.gateway.submit(order, world.claim())) == Rejected(reason)
        world.run(until=START + BAR)
        assert world.exchange.orders() == []
        assert world.reports == []
        assert world.exchange.free() == DEPOSITS


def at_the_minimum(rules: Market) -> OrderRequest:
    return limit("a", "buy", rules.min_notional / 100, 100)


def test_the_minima_are_inclusive_and_the_whole_balance_can_be_spent(tmp_path: Path) -> None:
    with World(tmp_path / "x", deposits={"USD": D("10.02")}) as world:
        assert isinstance(world.one(world.gateway.submit(at_the_minimum(BTC), world.claim())), Accepted)
        assert world.exchange.free()["USD"] == 0


def test_an_order_that_arrives_after_its_deadline_is_refused(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        claim = world.claim()
        world.run(until=claim.deadline - 9)
        outcome = world.one(world.gateway.submit(limit("late", "buy", 1, 100), claim))
        assert outcome == Rejected("arrived 1 ms after its deadline")
        claim = Stamp(1, claim.claimed_at + 1, world.clock.now() + 10)
        assert isinstance(world.one(world.gateway.submit(limit("in time", "buy", 1, 100), claim)), Accepted)
        assert [order.client_order_id for order in world.exchange.orders()] == ["in time"]


def test_a_client_id_is_unique_among_open_orders_only(tmp_path: Path) -> None:
    with World(tmp_path / "x", (100, 100, 100, 100, 600)) as world:
        order = limit("a", "buy", 20, 100)
        first = world.one(world.gateway.submit(order, world.claim()))
        second = world.one(world.gateway.submit(order, world.claim()))
        assert isinstance(first, Accepted)
        # The refusal says that the exchange has it, and the answer names the order that has the id.
        assert isinstance(second, Accepted)
        assert first.exchange_order_id == second.exchange_order_id
        world.run(until=START + BAR - 1_000)
        assert [state.filled for state in world.exchange.orders()] == [20]
        # Filled, the id is free: the hazard that a bot has to live with.
        world.run(world.gateway.submit(order, world.claim()), until=START + BAR)
        assert [state.client_order_id for state in world.exchange.orders()] == ["a", "a"]
        assert world.one(world.gateway.look_up("BTC/USD", "a")) == world.exchange.orders()[1]


def test_the_same_message_twice_is_one_order(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        order, claim = limit("a", "buy", 1, 100), world.claim()
        first, second = world.run(world.gateway.submit(order, claim), world.gateway.submit(order, claim))
        assert first == second
        world.run(until=START + WINDOW)
        assert world.one(world.gateway.submit(order, claim)) == first
        assert len(world.exchange.orders()) == 1


@pytest.mark.parametrize(("amount", "price"), [("NaN", 100), (1, "sNaN")])
def test_what_is_no_number_is_never_sent(tmp_path: Path, amount: object, price: object) -> None:
    with World(tmp_path / "x") as world:
        with pytest.raises(ValueError, match="not a number"):
            world.one(world.gateway.submit(limit("a", "buy", amount, price), world.claim()))
        assert world.exchange.requests() == []


def test_one_stamp_for_two_different_orders_is_the_callers_mistake(tmp_path: Path) -> None:
    with World(tmp_path / "x") as world:
        claim = world.claim()
        world.one(world.gateway.submit(limit("a", "buy", 1, 100), claim))
        with pytest.raises(ValueError, match="belongs to another order"):
            world.one(world.gateway.submit(limit("a", "buy", 2, 100), claim))
