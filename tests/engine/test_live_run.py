"""The bot on the real clock: starting, trading, being killed, and what it tells of trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_world import LIVE, MINUTE, PROMPT, SETTINGS, START, LiveWorld  # type: ignore[import-not-found]

from engine.exchange.gateway import GatewayError, OrderState
from engine.exchange.key_rights import KeyRights
from engine.exchange.outcomes import refuses_key
from engine.exchange.wire import Cause, Failed
from engine.live_commands import recover_in
from engine.live_errors import TradeError
from engine.live_events import process
from engine.live_notices import What
from engine.live_run import prepare_patiently
from generated.trading import ErrorOccurred, Phase
from runtime.errors import StoreError
from runtime.events import Outcome

MakeWorld = Callable[..., LiveWorld]
SLOW = msgspec.structs.replace(PROMPT, name="slow", up_ms=(400, 400), down_ms=(400, 400))
TWO_SLOTS = msgspec.structs.replace(SETTINGS, max_slots=2)
CRASH = [100, 100, 101, 101, 101, 102, 99, 99, 99, 99, *[60] * 9]
"""Prices at which something is bought, and at which it must be sold at once."""


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    with ExitStack() as made:

        def make(*symbols: str, **how: Any) -> LiveWorld:
            return made.enter_context(closing(LiveWorld(tmp_path, *symbols, **how)))

        yield make


@pytest.fixture
def world(make_world: MakeWorld) -> LiveWorld:
    return make_world()


# -- trading -------------------------------------------------------------------------------------------------------


def test_closed_bars_and_reports_of_orders_make_whole_trades(world: LiveWorld) -> None:
    world.start()
    world.wait(24 * MINUTE)
    path = world.path()
    assert path.count(Phase.POST_TRADE) == 3
    assert Phase.ERROR not in path
    ours, there = world.bot.worker.portfolio, world.paper.balances(world.clock.now())
    assert ours.cash("USD") == there["USD"] != 10_000
    assert [line for line in world.lines() if line.startswith("WAIT_FILL -> POSITION  BUY_ORDER_FILLED, ")]


def test_an_open_bar_is_not_judged(world: LiveWorld) -> None:
    world.start()
    seen = []
    world.bot._bars.strategies["BTC/USD"].observe = lambda candle: seen.append((candle.closed_at, world.clock.now()))  # type: ignore[method-assign]
    world.wait(5 * MINUTE + 1_000)
    assert len(seen) == 5
    assert all(closed_at <= now <= closed_at + 2_000 for closed_at, now in seen)


@pytest.mark.parametrize("offset", [-4_000, 4_000])
def test_bars_close_by_the_exchange_s_clock(world: LiveWorld, offset: int) -> None:
    world.exchange.offset = offset
    world.start()
    seen = []
    world.bot._bars.strategies["BTC/USD"].observe = lambda candle: seen.append((candle.closed_at, world.clock.now()))  # type: ignore[method-assign]
    world.wait(3 * MINUTE)
    assert seen
    assert all(closed_at <= now + offset <= closed_at + 2_000 for closed_at, now in seen)


def test_reports_that_come_twice_or_late_change_nothing(world: LiveWorld) -> None:
    async def again() -> None:
        for _, state in reversed(world.paper.reports() * 2):
            world.bot.reports.take(state)

    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    before = world.bot.worker.portfolio.balances()
    world.do(again())
    world.wait(1_000)
    assert world.phase() == Phase.POSITION
    assert world.bot.worker.portfolio.balances() == before


def test_after_an_absence_a_position_is_judged_at_once_and_nothing_is_bought_on_an_old_bar(
    make_world: MakeWorld,
) -> None:
    world = make_world(closes=CRASH)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.kill()
    world.clock.advance_to(START + 13 * MINUTE + 20_000)
    world.start()
    world.wait(5_000)
    assert Phase.PLACE_SELL in world.path(), "the stop loss does not wait for another bar"
    assert world.path().count(Phase.PLACE_BUY) == 1


def test_a_position_is_judged_while_the_exchange_takes_its_time_to_show_its_orders(make_world: MakeWorld) -> None:
    world = make_world(closes=CRASH)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.kill()
    world.clock.advance_to(START + 13 * MINUTE + 20_000)
    world.exchange.gateway.lists_fail_after = 45_000
    world.start()
    world.wait(1_000)
    assert Phase.PLACE_SELL in world.path(), "the stop loss waits for no list"


def test_nothing_is_bought_until_the_books_were_compared(world: LiveWorld) -> None:
    world.exchange.gateway.lists_fail_after = 45_000
    world.start()
    world.wait(20 * MINUTE)
    assert Phase.PLACE_BUY not in world.path()
    assert "no answer. Nothing is bought there until it can" in world.lines(What.TROUBLE)[0]
    world.exchange.gateway.lists_fail_after = None
    world.wait(25 * MINUTE)
    assert Phase.POST_TRADE in world.path()
    before = world.path().count(Phase.POST_TRADE)
    world.exchange.gateway.lists_fail_after = 45_000
    world.wait(25 * MINUTE)
    assert world.path().count(Phase.POST_TRADE) > before, "once they were, an outage of the lists stops nothing"


def test_a_symbol_without_prices_at_the_start_keeps_the_bot_from_no_other(make_world: MakeWorld) -> None:
    world = make_world("BTC/USD", "ETH/USD", settings=TWO_SLOTS)
    world.exchange.bars_fail = "ETH/USD"
    world.start()
    assert "no prices" in world.lines(What.TROUBLE)[0]
    world.wait(20 * MINUTE)
    assert Phase.POST_TRADE in world.path("BTC/USD")
    assert Phase.PLACE_BUY not in world.path("ETH/USD")
    world.exchange.bars_fail = False
    world.wait(20 * MINUTE)
    assert Phase.POST_TRADE in world.path("ETH/USD")


@pytest.mark.parametrize("after", [*range(0, 1_000, 90), 1_200, 5_000, 61_000])
def test_a_kill_at_any_moment_loses_nothing(make_world: MakeWorld, after: int) -> None:
    world = make_world(profile=SLOW)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
    world.wait(after)
    world.kill()
    world.start()
    world.wait(3 * MINUTE)
    orders = [state for state in world.paper.orders() if state.side == "buy"]
    assert len({state.client_order_id for state in orders}) == len(orders) == 1
    world.wait_for(lambda: world.phase() == Phase.IDLE)
    assert world.bot.worker.portfolio.cash("USD") == world.paper.balances(world.clock.now())["USD"]
    assert Phase.ERROR not in world.path()


def test_a_stop_tells_of_the_orders_that_stay_live(make_world: MakeWorld) -> None:
    world = make_world(profile=SLOW)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
    order = world.data().entry_order.client_order_id
    assert world.bot.live_orders() == [("BTC/USD", order)]
    world.stop()
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    assert world.data().entry_order.client_order_id == order


def test_whoever_stops_hears_the_answer_to_its_order_first(make_world: MakeWorld) -> None:
    world = make_world(profile=msgspec.structs.replace(SLOW, up_ms=(1_000, 1_000), down_ms=(1_000, 1_000)))
    world.start()
    world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
    began = world.clock.now()
    world.stop()
    assert world.phase() not in (Phase.PLACE_BUY, Phase.BUY_UNKNOWN)
    assert world.clock.now() - began < 3_000


def test_an_answer_that_does_not_come_is_not_waited_for_long(make_world: MakeWorld) -> None:
    world = make_world(profile=msgspec.structs.replace(SLOW, up_ms=(60_000, 60_000)))
    world.start()
    world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
    began = world.clock.now()
    world.stop()
    assert world.phase() == Phase.PLACE_BUY
    assert world.clock.now() - began == 5_000


def test_whoever_has_lost_the_account_waits_for_no_answer(make_world: MakeWorld) -> None:
    world = make_world(profile=SLOW)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
    world.may_act = False
    began = world.clock.now()
    world.stop()
    assert world.clock.now() == began


# -- money ---------------------------------------------------------------------------------------------------------


def test_the_first_start_takes_what_is_free_and_no_later_one_takes_more(world: LiveWorld) -> None:
    world.start()
    assert world.bot.worker.portfolio.cash("USD") == 10_000
    world.kill()
    world.live = msgspec.structs.replace(LIVE, trading_cash=Decimal(5_000))
    world.start()
    assert world.bot.worker.portfolio.cash("USD") == 10_000
    [told] = [line for line in world.lines(What.NOTE) if "TRADING_CASH" in line]
    assert "is 5000, but this database was opened with 10000 USD" in told
    world.kill()
    world.live = msgspec.structs.replace(LIVE, trading_cash=Decimal("10000.0"))
    world.start()
    assert len([line for line in world.lines(What.NOTE) if "TRADING_CASH" in line]) == 1, "the same amount is no news"
    assert len([entry for entry in world.store.journal() if entry.kind == "deposit"]) == 1


def test_a_configured_amount_is_what_the_bot_gets(world: LiveWorld) -> None:
    world.live = msgspec.structs.replace(LIVE, trading_cash=Decimal(2_500))
    world.start()
    assert world.bot.worker.portfolio.cash("USD") == 2_500
    assert world.lines(What.DIFFERENCE) == [], "the rest of the account is not the bot's"


def test_more_than_is_there_is_refused(world: LiveWorld) -> None:
    world.live = msgspec.structs.replace(LIVE, trading_cash=Decimal(10_001))
    with pytest.raises(TradeError, match=r"TRADING_CASH is 10001, but only 10000 USD are free"):
        world.start()
    assert world.store.load().entries == ()


def test_too_little_for_the_smallest_order_is_refused(make_world: MakeWorld) -> None:
    world = make_world(deposits={"USD": Decimal(25)}, settings=msgspec.structs.replace(SETTINGS, max_slots=3))
    with pytest.raises(TradeError, match=r"With 25 USD in 3 parts, .* at least 10 USD.*MAX_SLOTS"):
        world.start()


def test_an_account_that_pays_fees_in_a_third_currency_is_not_begun_with(world: LiveWorld) -> None:
    world.exchange.key_rights = KeyRights(may_trade=True, burns_token=True)
    with pytest.raises(TradeError, match=r"pays its fees in paper's own coin.*Nothing was sent"):
        world.start()
    world.exchange.key_rights = KeyRights(may_trade=True)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.kill()
    world.exchange.key_rights = KeyRights(may_trade=True, burns_token=True)
    world.start()
    assert "pays its fees in paper's own coin" in world.lines(What.TROUBLE)[-1], "what is held is looked after"
    world.wait_for(lambda: world.phase() == Phase.IDLE)


def test_the_first_fee_in_a_third_currency_is_told(world: LiveWorld) -> None:
    subscribe = world.exchange.gateway.subscribe

    def in_bnb(state: OrderState) -> OrderState:
        trades = tuple(msgspec.structs.replace(one, fee=Decimal("0.01"), fee_currency="BNB") for one in state.trades)
        return msgspec.structs.replace(state, trades=trades)

    world.exchange.gateway.subscribe = lambda take: subscribe(lambda state: take(in_bnb(state)))  # type: ignore[method-assign]
    world.start()
    world.wait_for(lambda: world.phase() == Phase.COOLDOWN)
    told = [line for line in world.lines(What.TROUBLE) if "BNB" in line]
    assert len(told) == 1, "for the purchase, and not again for the sale"
    assert "was 0.01 BNB: such fees are booked in their own currency" in told[0]
    assert world.bot.worker.portfolio.cash("BNB") < 0


# -- what cannot be traded -------------------------------------------------------------------------------------------


def test_an_unknown_symbol_is_refused_with_what_was_meant(world: LiveWorld) -> None:
    with pytest.raises(TradeError, match=r"does not trade BTC/USDX .*Did you mean BTC/USD\?"):
        world.start("BTC/USDX")


def test_a_market_that_is_halted_is_not_begun_on(world: LiveWorld) -> None:
    world.exchange.gateway.halted = {"BTC/USD"}
    with pytest.raises(TradeError, match=r"does not trade BTC/USD at present"):
        world.start()


def test_a_market_that_is_halted_while_the_bot_was_away_keeps_it_from_nothing_else(make_world: MakeWorld) -> None:
    world = make_world("BTC/USD", "ETH/USD", settings=TWO_SLOTS)
    world.start()
    world.wait_for(lambda: world.phase("ETH/USD") == Phase.POSITION)
    world.kill()
    world.exchange.gateway.halted = {"ETH/USD"}
    world.start()
    assert any("is in POSITION, but paper does not trade it" in line for line in world.lines(What.TROUBLE))
    # The market goes on, and so does what was held there.
    world.wait_for(lambda: world.phase("ETH/USD") == Phase.IDLE)
    assert Phase.ERROR not in world.path("ETH/USD")
    assert Phase.POST_TRADE in world.path("ETH/USD")
    assert Phase.POST_TRADE in world.path("BTC/USD")


@pytest.mark.parametrize(("offset", "told"), [(312_000, "312.0 s behind"), (-6_000, "6.0 s ahead of")])
def test_a_wrong_clock_is_refused(world: LiveWorld, offset: int, told: str) -> None:
    world.exchange.offset = offset
    with pytest.raises(TradeError, match=told):
        world.start()


def test_a_symbol_that_is_no_longer_asked_for_is_looked_after_and_not_bought_again(make_world: MakeWorld) -> None:
    world = make_world("BTC/USD", "ETH/USD", settings=TWO_SLOTS)
    world.start()
    world.wait_for(lambda: world.phase("ETH/USD") == Phase.POSITION)
    world.kill()
    world.start("BTC/USD")
    world.wait(20 * MINUTE)
    assert world.path("BTC/USD").count(Phase.POST_TRADE) >= 2
    assert world.path("ETH/USD").count(Phase.POST_TRADE) == 1
    assert world.phase("ETH/USD") == Phase.IDLE
    assert any("looked after until it is flat" in line for line in world.lines(What.NOTE))


# -- trouble -------------------------------------------------------------------------------------------------------


def prepare_and(world: LiveWorld, after: int, then: Callable[[asyncio.Event], None]) -> bool:
    """Prepare a bot patiently and, `after` milliseconds, do something: the event tells it to stop."""

    async def prepare() -> bool:
        stopping = asyncio.Event()
        waiting = asyncio.create_task(prepare_patiently(world.new_bot(), world.notices.append, stopping))
        await world.clock.sleep_until(world.clock.now() + after)
        then(stopping)
        return await asyncio.wait_for(waiting, 5)

    return world.do(prepare())


def test_an_exchange_that_is_down_at_the_start_is_waited_for(world: LiveWorld) -> None:
    world.exchange.gateway.failing = GatewayError("nobody answers")
    assert prepare_and(world, 60_000, lambda _: setattr(world.exchange.gateway, "failing", None))
    assert world.lines(What.TROUBLE)[0] == "nobody answers. Nothing was sent; asking again in 2 s (Ctrl-C ends)"
    assert 3 <= len(world.lines(What.TROUBLE)) <= 6, "its pauses grow"


def test_waiting_for_an_exchange_ends_when_told_to(world: LiveWorld) -> None:
    world.exchange.gateway.failing = GatewayError("nobody answers")
    assert not prepare_and(world, 1_000, asyncio.Event.set)


def test_whoever_stops_a_bot_that_still_prepares_need_not_wait_for_an_answer(world: LiveWorld) -> None:
    async def silent() -> None:
        await asyncio.Event().wait()

    world.exchange.gateway.markets = silent  # type: ignore[method-assign, assignment]
    assert not prepare_and(world, 1_000, asyncio.Event.set)


def test_a_key_that_is_refused_at_the_start_is_not_asked_again(world: LiveWorld) -> None:
    world.exchange.gateway.refused = "-2015"
    bot = world.new_bot()
    with pytest.raises(TradeError, match=r"refuses the key .*-2015.*same command goes on"):
        world.do(prepare_patiently(bot, world.notices.append, asyncio.Event()))


def test_a_key_that_is_revoked_ends_the_run_and_keeps_the_books(world: LiveWorld) -> None:
    world.live = msgspec.structs.replace(LIVE, reconcile_every=10_000)
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.exchange.gateway.refused = "-2015"
    with pytest.raises(TradeError, match="orders that are live stay live"):
        world.wait(30 * MINUTE)
    held = world.bot.worker.portfolio.position("BTC/USD", "BTC")
    world.kill()
    world.exchange.gateway.refused = ""
    world.start()
    assert world.bot.worker.portfolio.position("BTC/USD", "BTC") == held > 0
    world.wait_for(lambda: world.phase() == Phase.IDLE)


def test_a_key_that_hiccups_once_does_not(world: LiveWorld) -> None:
    world.start()
    world.exchange.gateway.refused = "-2015"
    world.bot.reconciling.soon()
    world.wait(3_000)
    world.exchange.gateway.refused = ""
    world.wait(20 * MINUTE)
    assert Phase.POST_TRADE in world.path()


def test_a_key_that_may_not_trade_ends_the_run(world: LiveWorld) -> None:
    world.start()
    world.exchange.key_refusal = "answered (PermissionDenied, HTTP 401, code -2015)"
    world.bot.reconciling.soon()
    with pytest.raises(TradeError, match=r"-2015\)\), and still answers what it reads: the right to trade was"):
        world.wait(MINUTE)


def test_a_key_that_is_refused_for_orders_and_for_all_else_is_told_as_refused(world: LiveWorld) -> None:
    world.start()
    world.wait(5_000)
    world.exchange.key_refusal = world.exchange.gateway.refused = "answered (PermissionDenied, HTTP 401, code -2015)"
    world.bot.reconciling.soon()
    with pytest.raises(TradeError, match=r"refuses the key or what it may do: .*-2015.*may trade on the spot market"):
        world.wait(MINUTE)


def test_a_key_without_the_right_to_trade_is_refused_at_the_start(world: LiveWorld) -> None:
    world.exchange.key_rights = KeyRights(may_trade=False)
    with pytest.raises(TradeError, match=r"may not trade on the spot market; it may be read.*Nothing was sent"):
        world.start()
    assert world.store.load().entries == ()


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        (KeyRights(may_trade=True, may_withdraw=False, is_bound=True), []),
        (KeyRights(), ["was not checked: paper did not say"]),
        (GatewayError("no answer"), ["was not checked"]),
        (KeyRights(True, True, False), ["may withdraw too", "works from every address"]),
    ],
)
def test_what_a_key_may_do_besides_is_told_at_the_start(
    world: LiveWorld, rights: KeyRights | GatewayError, told: list[str]
) -> None:
    world.exchange.key_rights = rights
    world.start()
    notes = world.lines(What.NOTE)
    assert len(notes) == len(told)
    assert all(part in note for part, note in zip(told, notes, strict=True))


@pytest.mark.parametrize("error", ["AuthenticationError", "DDoSProtection"])
def test_ccxt_s_other_word_for_a_revoked_key_is_understood(error: str) -> None:
    assert refuses_key("binance", Failed(Cause.ANSWERED, error, 401, "-2015"))
    assert not refuses_key("binance", Failed(Cause.ANSWERED, "DDoSProtection", 429, "-1003"))


def test_without_prices_nothing_is_judged_and_it_is_told_once(world: LiveWorld) -> None:
    world.start()
    world.exchange.bars_fail = True
    world.wait(10 * MINUTE)
    assert len(world.lines(What.TROUBLE)) == 1
    world.exchange.bars_fail = False
    world.wait(10 * MINUTE)
    assert world.lines(What.WELL_AGAIN) == ["prices again"]
    assert Phase.POSITION in world.path()


def test_a_market_that_stands_still_is_told(make_world: MakeWorld) -> None:
    world = make_world(closes=[100] * 8)
    world.start()
    world.wait(30 * MINUTE)
    assert len(world.lines(What.TROUBLE)) == 1
    assert "no bar for 3 bars: halted, delisted" in world.lines(What.TROUBLE)[0]


@pytest.mark.parametrize("step", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_while_the_bot_runs_changes_nothing_and_is_told(world: LiveWorld, step: int) -> None:
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.clock.set_ahead = step
    world.wait(20 * MINUTE)
    assert world.path().count(Phase.POST_TRADE) >= 2, "it sells and buys all the same"
    way = "back" if step < 0 else "forward"
    told = [line for line in world.lines(What.TROUBLE) if "clock" in line]
    assert len(told) == 1
    assert f"clock was set {way} by 3600 s while the bot ran" in told[0]
    world.clock.set_ahead = 0
    world.wait(2 * MINUTE)
    assert world.lines(What.WELL_AGAIN) == ["this machine's clock is right again"]


@pytest.mark.parametrize("step", [-40_000, 40_000])
def test_a_clock_that_is_set_right_is_followed(world: LiveWorld, step: int) -> None:
    world.start()
    world.exchange.offset = step
    world.wait(11 * MINUTE)
    assert [line for line in world.lines(What.TROUBLE) if "40.0 s off" in line]
    world.clock.set_ahead = step
    world.wait(2 * MINUTE)
    assert world.clock.set_ahead == 0, "followed"
    assert world.lines(What.WELL_AGAIN) == ["the clock is right again"]
    assert any("agrees with paper's now" in line for line in world.lines(What.NOTE))
    world.wait(15 * MINUTE)
    assert Phase.POST_TRADE in world.path()
    assert world.exchange.now_taken_for == 0, "what others read of the same bars rests on it"


def test_a_clock_that_goes_wrong_is_told(world: LiveWorld) -> None:
    world.start()
    world.exchange.offset = 40_000
    world.wait(11 * MINUTE)
    assert [line for line in world.lines(What.TROUBLE) if "40.0 s off" in line]


# -- recovering ------------------------------------------------------------------------------------------------------


def break_down(world: LiveWorld) -> None:
    failed = ErrorOccurred(error="told to", failed_event="TEST")
    world.do(process(world.bot.worker, "BTC/USD", world.clock.now(), failed))


def test_a_running_bot_recovers_a_symbol_when_it_is_asked(world: LiveWorld) -> None:
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    break_down(world)
    receipt, phase, note = world.do(world.bot.recover("BTC/USD", "a test"))
    assert (receipt.outcome, phase, note) == (Outcome.HANDLED, Phase.POSITION, "")
    receipt, phase, _ = world.do(world.bot.recover("BTC/USD", "a test"))
    assert receipt.outcome is Outcome.REJECTED


def test_a_recovery_that_would_be_undone_at_once_is_refused_with_what_to_do(make_world: MakeWorld) -> None:
    world = make_world(
        deposits={"USD": Decimal(20_000)},
        live=msgspec.structs.replace(LIVE, trading_cash=Decimal(10_000)),
    )
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    held = world.bot.worker.portfolio.position("BTC/USD", "BTC")
    world.by_hand("sell", held)
    world.do(world.bot.reconciling.once())
    assert world.phase() == Phase.ERROR
    rows = len(world.store.audit("BTC/USD"))
    answer = world.do(recover_in(world.bot, "BTC/USD"))
    assert f"still holds {held}" in answer.refused
    assert answer.refused.endswith("It would be stopped again at once. Nothing was changed.")
    assert len(world.store.audit("BTC/USD")) == rows
    world.by_hand("buy", held)
    answer = world.do(recover_in(world.bot, "BTC/USD"))
    assert (answer.phase_to, answer.note, answer.refused) == (Phase.POSITION, "", "")


def test_a_recovery_answers_with_what_became_of_the_symbol_in_the_end(make_world: MakeWorld) -> None:
    world = make_world(
        deposits={"USD": Decimal(20_000)},
        live=msgspec.structs.replace(LIVE, trading_cash=Decimal(10_000)),
    )
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    break_down(world)
    in_the_way = world.bot.reconciling.in_the_way

    async def sold_meanwhile(symbol: str) -> str:
        found: str = await in_the_way(symbol)
        world.exchange.gateway.hidden = {"BTC": world.bot.worker.portfolio.position(symbol, "BTC")}
        return found

    world.bot.reconciling.in_the_way = sold_meanwhile  # type: ignore[method-assign]
    answer = world.do(recover_in(world.bot, "BTC/USD"))
    assert answer.phase_to == Phase.ERROR
    assert "still holds" in answer.note


def test_a_store_that_fails_ends_the_run_with_its_reason(world: LiveWorld) -> None:
    world.start()

    def full(commits: object) -> None:
        raise StoreError("the disk is full")

    world.store.commit = full  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="the disk is full"):
        world.wait(30 * MINUTE)
