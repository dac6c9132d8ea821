"""What the exchange shows against what the books say: which difference it is, whose, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from live_world import LIVE, MINUTE, SETTINGS, LiveWorld  # type: ignore[import-not-found]

from engine.exchange.gateway import ExchangeTrade, GatewayError, OrderState, OrderStatus, Side, Unknown
from engine.exchange.history import Execution
from engine.live_notices import What
from engine.reconciliation import Difference, Kind, Remedy
from generated.trading import Effect, Phase
from runtime.effects import intent_id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LiveWorld]:
    made = LiveWorld(tmp_path)
    yield made
    made.close()


def differences(world: LiveWorld) -> list[Difference]:
    """What a look finds, of which nothing is done."""
    found: list[Difference] = world.do(world.bot.reconciling.reconciler.differences())
    return found


def only(found: list[Difference]) -> Difference:
    assert len(found) == 1, [difference.text for difference in found]
    return found[0]


def holding(world: LiveWorld) -> LiveWorld:
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    return world


def order_state(world: LiveWorld, order_id: str, status: OrderStatus = OrderStatus.OPEN) -> OrderState:
    return OrderState(order_id, "x-1", "BTC/USD", Side.BUY, status, Decimal(1), Decimal(0), (), world.clock.now())


def test_an_account_that_agrees_has_no_differences(world: LiveWorld) -> None:
    world.start()
    for _ in range(40):
        assert [one.text for one in differences(world) if one.needs_doing] == []
        world.wait(20_000)
    assert Phase.POST_TRADE in world.path()


def test_it_is_looked_at_as_often_as_configured(world: LiveWorld) -> None:
    world.start()
    world.exchange.gateway.failing = GatewayError("maintenance")
    world.wait(LIVE.reconcile_every - 5_000)
    assert world.lines(What.TROUBLE) == []
    world.wait(6_000)
    assert "maintenance" in world.lines(What.TROUBLE)[0]
    world.exchange.gateway.failing = None
    world.wait(LIVE.reconcile_every + 1_000)
    assert world.lines(What.WELL_AGAIN) == ["the exchange answers again"]


def test_what_became_of_one_symbol_is_looked_at_and_the_others_are_left_to_their_time(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path, "BTC/USD", "ETH/USD", settings=msgspec.structs.replace(SETTINGS, max_slots=2))
    try:
        world.start()
        world.wait(1_000)
        asked = world.exchange.gateway.asked_for_open
        del asked[:]
        world.bot.reconciling.soon("ETH/USD")
        world.wait(1_000)
        assert asked == ["ETH/USD"]
        world.bot.reconciling.soon()
        world.wait(1_000)
        assert asked == ["ETH/USD", "BTC/USD", "ETH/USD"]
        del asked[:]
        world.wait(LIVE.reconcile_every // 2)
        world.bot.reconciling.soon("BTC/USD")
        world.wait(LIVE.reconcile_every // 2)
        assert asked == ["BTC/USD", "BTC/USD", "ETH/USD"], "a look at one puts that at all off by nothing"
    finally:
        world.close()


def test_open_orders_are_asked_for_at_once_where_that_is_cheaper(world: LiveWorld) -> None:
    holding(world)
    foreign = msgspec.structs.replace(order_state(world, world.data().entry_order.client_order_id), client_order_id="x")
    world.exchange.open_at_once = {"BTC/USD": [foreign], "ETH/USD": [foreign]}
    world.exchange.gateway.asked_for_open = []
    assert only(differences(world)).kind == Kind.FOREIGN_ORDER
    assert world.exchange.gateway.asked_for_open == []
    world.exchange.open_at_once = {"ETH/USD": [foreign]}
    differences(world)
    assert world.exchange.gateway.asked_for_open == ["BTC/USD"], "what was left out is asked for by itself"
    world.exchange.open_at_once = GatewayError("maintenance")
    unread = only(differences(world))
    assert (unread.kind, unread.text) == (Kind.UNREADABLE, "maintenance")


# -- orders of ours --------------------------------------------------------------------------------------------------


def test_a_report_that_never_came_is_taken_over(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path)
    try:
        world.start()
        world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
        world._forget()
        world.wait_for(lambda: world.phase() == Phase.WAIT_FILL)
        world.wait(5_000)
        assert world.phase() == Phase.WAIT_FILL, "the report of its fill was lost"
        found = only([one for one in differences(world) if one.needs_doing])
        assert (found.kind, found.whose, found.remedy) == (Kind.REPORT_MISSED, "ours", Remedy.ADOPT)
        world.do(world.bot.reconciling.once())
        world.wait(100)
        assert world.phase() == Phase.POSITION
        assert world.bot.worker.portfolio.cash("USD") == world.paper.balances(world.clock.now())["USD"]
    finally:
        world.close()


def test_an_order_that_is_live_after_all_is_canceled_through_recovery(world: LiveWorld) -> None:
    holding(world)
    order = world.data().entry_order
    live = msgspec.structs.replace(
        order_state(world, order.client_order_id), amount=order.amount, exchange_order_id=order.exchange_order_id
    )
    world.exchange.gateway.shown[order.client_order_id] = live
    found = only(differences(world))
    assert (found.kind, found.whose, found.remedy) == (Kind.LIVE_AFTER_ALL, "ours", Remedy.RECOVER)
    assert "open" in found.exchange
    assert "filled" in found.books
    world.do(world.bot.reconciling.once())
    world.wait(20_000)
    assert world.path()[world.path().index(Phase.ERROR) :][:3] == [Phase.ERROR, Phase.RECOVERING, Phase.CANCEL_BUY]


def test_a_list_that_lags_behind_stops_nothing(world: LiveWorld) -> None:
    holding(world)
    order = world.data().entry_order.client_order_id
    world.exchange.gateway.shown[order] = order_state(world, order)
    world.live = LIVE

    async def look() -> list[Difference]:
        return await world.bot.reconciling.reconciler.differences()  # type: ignore[no-any-return]

    async def catching_up() -> list[Difference]:
        import asyncio

        looking = asyncio.create_task(look())
        await world.clock.sleep_until(world.clock.now() + LIVE.confirm_after - 1)
        world.exchange.gateway.shown.clear()
        return await looking

    assert world.do(catching_up()) == []


def test_an_earlier_order_of_ours_that_is_live_stops_its_symbol(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path, "BTC/USD", "ETH/USD", settings=msgspec.structs.replace(SETTINGS, max_slots=2))
    try:
        world.start()
        world.wait_for(lambda: world.path().count(Phase.POST_TRADE) == 2)
        world.wait_for(lambda: world.phase() == Phase.IDLE)
        earlier = world.data().past_orders[0]
        state = msgspec.structs.replace(order_state(world, earlier), symbol="BTC/USD")
        world.exchange.gateway.open, world.exchange.gateway.shown[earlier] = [state], state
        found = [one for one in differences(world) if one.symbol == "BTC/USD" and one.needs_doing]
        assert (only(found).kind, found[0].whose, found[0].remedy) == (Kind.LIVE_UNATTENDED, "ours", Remedy.STOP)
        world.do(world.bot.reconciling.once())
        assert world.phase("BTC/USD") == Phase.ERROR
        assert earlier in world.data("BTC/USD").last_error, "the evidence names the order"
        world.exchange.gateway.open = None
        assert world.phase("ETH/USD") != Phase.ERROR, "others trade on"
    finally:
        world.close()


def test_an_order_of_a_lost_database_is_proven_by_its_id(world: LiveWorld) -> None:
    world.start()
    later = world.bot.worker.instances["BTC/USD"].snapshot.intents + 300
    lost = intent_id(world.store.namespace, "BTC/USD", Effect.submit_buy, later)
    world.exchange.gateway.open = [order_state(world, lost)]
    found = only(differences(world))
    assert (found.kind, found.whose, found.remedy) == (Kind.NOT_IN_BOOKS, "ours", Remedy.STOP)
    assert "perhaps a backup" in found.text
    world.do(world.bot.reconciling.once())
    assert world.phase() == Phase.ERROR


@pytest.mark.parametrize("order_id", ["web_1", "", "0123456789abcdef0123456789abcdef"])
def test_a_foreign_order_is_left_alone(world: LiveWorld, order_id: str) -> None:
    world.start()
    world.exchange.gateway.open = [order_state(world, order_id)]
    found = only(differences(world))
    assert (found.kind, found.whose, found.remedy) == (Kind.FOREIGN_ORDER, "foreign", Remedy.NONE)
    world.do(world.bot.reconciling.once())
    assert world.phase() != Phase.ERROR


def test_the_machine_hears_nothing_of_foreign_orders(world: LiveWorld) -> None:
    world.start()
    world.by_hand("buy", 1)
    world.wait(5_000)
    assert Phase.ERROR not in world.path()
    assert [entry.kind for entry in world.store.journal()] == ["deposit"]


def test_an_order_that_is_not_shown_proves_nothing(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path)
    try:
        world.start()
        world.wait_for(lambda: world.phase() == Phase.PLACE_BUY)
        world._forget()
        world.wait_for(lambda: world.phase() == Phase.WAIT_FILL)
        world.exchange.gateway.shown[world.data().entry_order.client_order_id] = None
        found = only([one for one in differences(world) if one.kind is not Kind.SURPLUS])
        assert (found.kind, found.remedy) == (Kind.NOT_SHOWN, Remedy.NONE)
    finally:
        world.close()


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_trade_of_an_earlier_order_that_is_in_no_book_is_found(world: LiveWorld, side: Side) -> None:
    world.start()
    world.wait_for(lambda: world.path().count(Phase.POST_TRADE) == 2)
    world.wait_for(lambda: world.phase() == Phase.IDLE)
    booked = [entry.details for entry in world.store.journal() if entry.kind == "trade"]
    earlier = world.data().past_orders[0]

    def execution(trade_id: str, order: str, at: int) -> Execution:
        trade = ExchangeTrade(trade_id, Decimal("0.5"), Decimal(100), Decimal(0), "USD", at)
        return Execution(trade, side, "x-9", order)

    long_ago = world.clock.now() - 10 * MINUTE
    world.exchange.executions = [
        *(execution(one["trade_id"], one["client_order_id"], long_ago) for one in booked),
        execution("lost", earlier, long_ago),
        execution("on its way", earlier, world.clock.now()),
        execution("by hand", "web_1", long_ago),
        execution("without an id", "", long_ago),
    ]
    found = only([one for one in differences(world) if one.needs_doing])
    assert (found.kind, found.whose, found.remedy) == (Kind.TRADE_NOT_BOOKED, "ours", Remedy.NONE)
    assert "Trade lost of our earlier order" in found.text
    assert f"{side.value} 0.5 BTC at 100" in found.text
    assert [one.kind for one in differences(world) if one.needs_doing] == [Kind.TRADE_NOT_BOOKED], "until it is booked"
    world.wait(3 * MINUTE)
    late = [one for one in differences(world) if one.needs_doing]
    assert len(late) == 2, "nor did the one that was on its way arrive"
    world.do(world.bot.reconciling.once())
    assert Phase.ERROR not in world.path(), "nothing that is done could mend it"


# -- balances --------------------------------------------------------------------------------------------------------


def test_a_position_that_was_sold_by_hand_stops_its_symbol_alone(tmp_path: Path) -> None:
    world = LiveWorld(
        tmp_path,
        "BTC/USD",
        "ETH/USD",
        settings=msgspec.structs.replace(SETTINGS, max_slots=2),
        deposits={"USD": Decimal(20_000)},
        live=msgspec.structs.replace(LIVE, trading_cash=Decimal(10_000)),
    )
    try:
        world.start()
        world.wait_for(lambda: world.phase("BTC/USD") == world.phase("ETH/USD") == Phase.POSITION)
        held = world.bot.worker.portfolio.position("BTC/USD", "BTC")
        world.by_hand("sell", held)
        found = [one for one in differences(world) if one.needs_doing]
        assert (only(found).kind, found[0].symbol, found[0].remedy) == (Kind.BASE_MISSING, "BTC/USD", Remedy.STOP)
        assert f"still holds {held}" in found[0].text
        world.do(world.bot.reconciling.once())
        assert (world.phase("BTC/USD"), world.phase("ETH/USD")) == (Phase.ERROR, Phase.POSITION)
        assert world.bot.worker.portfolio.position("BTC/USD", "BTC") == held, "nothing is invented to make it fit"
        errors = len(world.store.audit("BTC/USD"))
        world.do(world.bot.reconciling.once())
        assert len(world.store.audit("BTC/USD")) == errors, "once is enough"
        assert len(world.lines(What.DIFFERENCE)) == 1

        world.by_hand("buy", held)
        _, phase, _ = world.do(world.bot.recover("BTC/USD", "a test"))
        assert phase == Phase.POSITION
        assert [one for one in differences(world) if one.needs_doing] == []
    finally:
        world.close()


def test_missing_cash_stops_purchases_until_it_is_back(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path)
    try:
        world.start()
        world.exchange.gateway.hidden = {"USD": Decimal(1)}
        found = only([one for one in differences(world) if one.needs_doing])
        assert "Bring 1 USD back" in found.text
        assert (found.kind, found.symbol, found.remedy) == (Kind.QUOTE_MISSING, "", Remedy.NO_ENTRIES)
        world.do(world.bot.reconciling.once())
        world.wait(30 * MINUTE)
        assert Phase.PLACE_BUY not in world.path()
        assert Phase.ERROR not in world.path()
        world.exchange.gateway.hidden = {}
        world.wait(30 * MINUTE)
        assert Phase.POST_TRADE in world.path()
    finally:
        world.close()


def test_a_look_in_which_the_books_moved_does_not_show_that_the_cash_is_back(world: LiveWorld) -> None:
    holding(world)
    world.exchange.gateway.hidden = {"USD": Decimal(1)}
    world.do(world.bot.reconciling.once())
    assert "Bring 1 USD back" in world.lines(What.DIFFERENCE)[0]
    world.exchange.gateway.lists_take = 10 * MINUTE
    assert world.do(world.bot.reconciling.once({"BTC/USD"})) == []
    assert Phase.PLACE_SELL in world.path(), "what is held is sold all the same"
    assert not world.bot.reconciling.may_buy("BTC/USD")


def test_foreign_funds_are_not_touched(tmp_path: Path) -> None:
    world = LiveWorld(tmp_path, deposits={"USD": Decimal(10_000), "BTC": Decimal(3)})
    try:
        holding(world)
        found = [one for one in differences(world) if one.kind is Kind.SURPLUS]
        assert "3 BTC more" in only(found).text
        assert world.lines(What.DIFFERENCE) == []
        world.wait_for(lambda: world.phase() == Phase.COOLDOWN)
        assert world.paper.balances(world.clock.now())["BTC"] == 3
    finally:
        world.close()


def test_what_cannot_be_read_concludes_nothing(world: LiveWorld) -> None:
    holding(world)
    world.exchange.gateway.failing = GatewayError("maintenance")
    found = differences(world)
    assert {one.kind for one in found} == {Kind.UNREADABLE}
    assert all(one.remedy is Remedy.NONE for one in found)
    world.exchange.gateway.failing = None
    world.exchange.gateway.shown[world.data().entry_order.client_order_id] = Unknown("no answer")
    assert only(differences(world)).kind is Kind.UNREADABLE
