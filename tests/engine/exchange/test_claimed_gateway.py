"""The claim protocol over a wire that a test pulls the strings of, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.exchange.claimed_gateway import LONGEST_PAUSE, MAX_OFFSET, ClaimedGateway, ClaimSettings
from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    ExchangeTrade,
    Gateway,
    GatewayError,
    Market,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    Rejected,
    Side,
    Stamp,
    Unknown,
    Unsent,
)
from engine.exchange.wire import Cause, Failed, Reply, WireOrder, utc
from runtime.clock import VirtualClock

START, WINDOW, LATENCY = 1_000_000, 10_000, 40
GRACE = ClaimSettings().grace
ORDER = OrderRequest("a", "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal(2), Decimal(100))
OPEN = WireOrder("77", "a", "BTC/USDT", Side.BUY, "open", Decimal(2), Decimal(0), START)
HOLLOW = WireOrder(None, None)
LOST = Failed(Cause.TIMEOUT, "RequestTimeout")
GONE = Failed(Cause.ANSWERED, "OrderNotFound", 400, "-2013", "Order does not exist.")
REFUSED_TIME = Failed(Cause.ANSWERED, "InvalidNonce", 400, "-1021", "Timestamp")
ONE = ExchangeTrade("1", Decimal(1), Decimal(100), Decimal("0.1"), "BNB", START)
TWO = ExchangeTrade("2", Decimal(1), Decimal(99), Decimal("0.001"), "BTC", START + 1)

Scripted = list[Any]


class ScriptedWire:
    """Answers in turn, the last one for ever, each after LATENCY. The exchange's clock is `ahead` of ours."""

    name = "binance"
    max_window: int | None = 60_000

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.ahead = 0
        self.creates: Scripted = [OPEN]
        self.orders: Scripted = [GONE]
        self.cancels: Scripted = [OPEN]
        self.fills: Scripted = [()]
        self.times: Scripted = [None]
        self.asked: list[tuple[str, int]] = []
        self.sent: list[tuple[int, int]] = []

    async def _answer(self, what: str, script: Scripted) -> Any:
        self.asked.append((what, self._clock.now() - START))
        said = script.pop(0) if len(script) > 1 else script[0]
        await self._clock.sleep_until(self._clock.now() + LATENCY)
        if said == "silent":
            await asyncio.Event().wait()
        return said

    def count(self, what: str) -> int:
        return sum(name == what for name, _ in self.asked)

    def last(self, what: str) -> int:
        return [at for name, at in self.asked if name == what][-1]

    async def server_time(self) -> int | Failed:
        said = await self._answer("time", self.times)
        return said if isinstance(said, Failed) else self._clock.now() + self.ahead

    async def markets(self) -> Mapping[str, Market] | Failed:
        raise NotImplementedError

    async def balances(self) -> Mapping[str, Decimal] | Failed:
        return await self._answer("balances", self.orders)  # type: ignore[no-any-return]

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        self.sent.append((timestamp, window))
        return await self._answer("create", self.creates)  # type: ignore[no-any-return]

    async def cancel(self, symbol: str, client_order_id: str) -> Reply:
        return await self._answer("cancel", self.cancels)  # type: ignore[no-any-return]

    async def order(self, symbol: str, client_order_id: str) -> Reply:
        return await self._answer("order", self.orders)  # type: ignore[no-any-return]

    async def trades(self, symbol: str, exchange_order_id: str) -> Sequence[ExchangeTrade] | Failed:
        return await self._answer("trades", self.fills)  # type: ignore[no-any-return]

    async def open_orders(self, symbol: str) -> Sequence[WireOrder] | Failed:
        return await self._answer("open orders", self.orders)  # type: ignore[no-any-return]

    async def close(self) -> None: ...


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.wire = ScriptedWire(self.clock)
        self.elapsed = self.clock.now
        self.gateway = ClaimedGateway(self.wire, self.clock, elapsed=lambda: self.elapsed())

    def run(self, ask: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(self._run(ask))

    async def _run(self, ask: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.ensure_future(ask)
        while not task.done():
            for _ in range(20):
                await asyncio.sleep(0)
            if not task.done():
                wake = self.clock.next_wake()
                assert wake is not None, "everybody waits for ever"
                self.clock.advance_to(wake)
        return task.result()

    @property
    def now(self) -> int:
        return self.clock.now() - START

    def stamp(self, attempt: int = 1) -> Stamp:
        return Stamp(attempt, self.clock.now(), self.clock.now() + WINDOW)

    def submit(self) -> Any:
        return self.run(self.gateway.submit(ORDER, self.stamp()))


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_a_gateway(world: World) -> None:
    gateway: Gateway = world.gateway
    assert gateway.name == "binance"


# --- submitting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [0, 3_000, -3_000])
def test_the_request_carries_the_claim_by_the_exchanges_clock(world: World, ahead: int) -> None:
    world.wire.ahead = ahead
    stamp = world.stamp()
    assert world.run(world.gateway.submit(ORDER, stamp)) == Accepted("a", "77", START)
    [(timestamp, window)] = world.wire.sent
    assert timestamp == stamp.claimed_at + ahead, "however long the measuring of the clock took"
    assert window == WINDOW


def test_a_timestamp_is_never_ahead_of_the_exchanges_clock(world: World) -> None:
    world.run(world.gateway.submit(ORDER, world.stamp()))
    [(timestamp, _)] = world.wire.sent
    assert timestamp <= START


def test_a_window_is_as_long_as_the_exchange_allows(world: World) -> None:
    world.wire.max_window = 4_000
    world.submit()
    assert world.wire.sent == [(START, 4_000)]


def test_too_late_is_not_sent(world: World) -> None:
    stamp = world.stamp()
    world.clock.advance_to(START + WINDOW)
    assert isinstance(world.run(world.gateway.submit(ORDER, stamp)), Unsent)
    assert world.wire.sent == []


def test_who_may_have_lost_the_account_sends_nothing_and_may_again_once_it_has_it(world: World) -> None:
    mine = False
    gateway = ClaimedGateway(world.wire, world.clock, elapsed=world.clock.now, may_send=lambda: mine)
    assert isinstance(world.run(gateway.submit(ORDER, Stamp(1, START, START + WINDOW))), Unsent)
    assert world.wire.sent == []
    mine = True
    assert isinstance(world.run(gateway.submit(ORDER, Stamp(1, START, START + WINDOW))), Accepted)
    assert len(world.wire.sent) == 1


def test_a_clock_that_is_far_off_sends_nothing(world: World) -> None:
    world.wire.ahead = MAX_OFFSET + 100
    answer = world.submit()
    assert isinstance(answer, Unsent)
    assert "NTP" in answer.reason
    world.wire.ahead = 0  # set right, and noticed at once
    assert isinstance(world.submit(), Accepted)


def test_without_the_exchanges_clock_nothing_is_sent(world: World) -> None:
    world.wire.times = [LOST]
    assert isinstance(world.submit(), Unsent)
    assert world.wire.sent == []


def test_the_clock_is_measured_seldom_and_again_when_it_is_old_or_disagreed_with(world: World) -> None:
    world.submit()
    world.submit()
    assert world.wire.count("time") == 1
    world.clock.advance_to(world.clock.now() + 61_000)
    world.submit()
    assert world.wire.count("time") == 2
    world.wire.creates = [REFUSED_TIME, OPEN]
    assert isinstance(world.submit(), Unsent)
    assert isinstance(world.submit(), Accepted)
    assert world.wire.count("time") == 3


def test_orders_that_leave_together_measure_the_clock_once(world: World) -> None:
    async def burst(count: int, stopped: int = 0) -> list[Any]:
        sending = [asyncio.create_task(world.gateway.submit(ORDER, world.stamp())) for _ in range(count)]
        await asyncio.sleep(0)
        for task in sending[:stopped]:
            task.cancel()
        return await asyncio.gather(*sending[stopped:])

    outcomes = world.run(burst(5))
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 5
    assert world.wire.count("time") == 1
    world.clock.advance_to(world.clock.now() + 10 * ClaimSettings().refresh)
    assert [type(outcome) for outcome in world.run(burst(3, stopped=1))] == [Accepted] * 2
    assert world.wire.count("time") == 3, "whoever measured was stopped, and one of the others measured"
    world.clock.advance_to(world.clock.now() + 10 * ClaimSettings().refresh)
    world.wire.times = [Failed(Cause.TIMEOUT), None]
    assert [type(outcome) for outcome in world.run(burst(3))] == [Unsent] * 3
    assert world.wire.count("time") == 4


def test_a_jump_of_our_own_clock_is_noticed(world: World) -> None:
    frozen = world.clock.now()
    world.submit()
    jump = 2_000
    world.elapsed = lambda: world.clock.now() - jump
    world.clock.advance_to(world.clock.now() + jump)
    world.wire.ahead = -jump
    world.submit()
    assert world.wire.count("time") == 2
    timestamp, _ = world.wire.sent[-1]
    assert timestamp - frozen < 1_000


def test_an_answer_is_waited_for_until_the_deadline_and_no_longer(world: World) -> None:
    world.wire.creates = ["silent"]
    stamp = world.stamp()
    assert isinstance(world.run(world.gateway.submit(ORDER, stamp)), Unknown)
    assert world.now == WINDOW
    assert len(world.wire.sent) == 1


@pytest.mark.parametrize(
    "reply",
    [
        LOST,
        Failed(Cause.RESET, "ExchangeError"),
        Failed(Cause.ANSWERED, "ExchangeNotAvailable", 502),
        WireOrder(None, None),
        WireOrder("77", "somebody else's"),
    ],
)
def test_a_create_is_sent_once_whatever_is_answered(world: World, reply: Reply) -> None:
    world.wire.creates = [reply]
    assert isinstance(world.submit(), Unknown)
    assert len(world.wire.sent) == 1


def test_a_duplicate_is_looked_up(world: World) -> None:
    world.wire.creates = [Failed(Cause.ANSWERED, "InvalidOrder", 400, "-2010", "Duplicate order sent.")]
    world.wire.orders = [OPEN]
    assert isinstance(world.submit(), Accepted)
    world.wire.orders = [GONE]
    assert isinstance(world.submit(), Unknown)


def test_a_refusal_is_a_refusal(world: World) -> None:
    world.wire.creates = [Failed(Cause.ANSWERED, "InsufficientFunds", 400, "-2010", "Account has insufficient balance")]
    assert isinstance(world.submit(), Rejected)


# --- finding out ----------------------------------------------------------------------------------------------------


def recovered(world: World, stamp: Stamp) -> Any:
    return world.run(world.gateway.recover(ORDER, stamp))


def test_a_key_that_was_refused_for_a_moment_is_good_again_with_the_next_order(world: World) -> None:
    world.wire.creates = [Failed(Cause.ANSWERED, "DDoSProtection", 401, "-2015", "Invalid API-key."), OPEN]
    assert isinstance(world.submit(), Rejected)
    assert "-2015" in world.gateway.key_refusal
    assert isinstance(world.submit(), Accepted)
    assert world.gateway.key_refusal == ""


def test_what_is_shown_is_accepted_at_once(world: World) -> None:
    world.wire.orders = [OPEN]
    assert isinstance(recovered(world, world.stamp()), Accepted)
    assert world.now == LATENCY


@pytest.mark.parametrize("ahead", [0, 4_000, -4_000, 3_600_000, -3_600_000])
def test_absence_is_believed_by_the_exchanges_clock_alone(world: World, ahead: int) -> None:
    world.wire.ahead = ahead
    stamp = world.stamp()
    assert isinstance(recovered(world, stamp), Absent)
    by_the_exchange = START + world.wire.last("order") + ahead
    assert by_the_exchange > stamp.deadline + MAX_OFFSET + GRACE


@pytest.mark.parametrize("then", [MAX_OFFSET, -MAX_OFFSET, 0])
@pytest.mark.parametrize("since", [0, 7_200_000, -7_200_000])
def test_no_request_can_arrive_after_its_absence_was_believed(then: int, since: int) -> None:
    """Whatever the offset was when it was sent, and whatever happened to our clock since."""
    sending = World()
    sending.wire.ahead = then
    stamp = sending.stamp()
    sending.run(sending.gateway.submit(ORDER, stamp))
    [(timestamp, window)] = sending.wire.sent
    asking = World()
    asking.wire.ahead = then + since
    assert isinstance(recovered(asking, stamp), Absent)
    assert START + asking.wire.last("order") + then + since > timestamp + window + GRACE


def test_an_order_that_arrives_while_its_absence_is_waited_for_is_found(world: World) -> None:
    world.wire.orders = [GONE, OPEN]
    assert isinstance(recovered(world, world.stamp()), Accepted)
    assert world.wire.count("order") == 2


def test_no_number_of_failed_look_ups_makes_an_order_absent(world: World) -> None:
    world.wire.orders = [LOST]
    assert isinstance(recovered(world, world.stamp()), Unknown)
    assert world.wire.count("order") > 2


def test_without_the_exchanges_clock_nothing_is_absent(world: World) -> None:
    world.wire.times = [LOST]
    assert isinstance(recovered(world, world.stamp()), Unknown)


def test_where_requests_do_not_expire_nothing_is_ever_absent(world: World) -> None:
    world.wire.max_window = None
    stamp = world.stamp()
    world.clock.advance_to(START + 10**9)
    answer = recovered(world, stamp)
    assert isinstance(answer, Unknown)
    assert "do not expire" in answer.reason
    world.wire.orders = [OPEN]
    assert isinstance(recovered(world, stamp), Accepted)


def test_after_a_crash_the_same_is_found_out(world: World) -> None:
    stamp = world.stamp()
    assert isinstance(world.run(world.gateway.resume(ORDER, stamp)), Absent)
    assert START + world.wire.last("order") > stamp.deadline + MAX_OFFSET + GRACE
    # Shown, it was accepted, whatever became of it then: as a refusal it would contradict an answer that comes late.
    world.wire.orders = [msgspec.structs.replace(OPEN, status="rejected")]
    assert isinstance(world.run(world.gateway.resume(ORDER, stamp)), Accepted)


# --- reports --------------------------------------------------------------------------------------------------------


def filled(amount: int, status: str = "closed") -> WireOrder:
    return msgspec.structs.replace(OPEN, status=status, filled=Decimal(amount))


def look_up(world: World) -> Any:
    return world.run(world.gateway.look_up("BTC/USDT", "a"))


def test_a_report_is_withheld_until_its_trades_sum(world: World) -> None:
    world.wire.orders, world.wire.fills = [filled(2)], [(ONE,), (ONE, ONE), (TWO, ONE)]
    state = look_up(world)
    assert isinstance(state, OrderState)
    assert state.trades == (ONE, TWO), "each once, by its id, whatever the order in which they are shown"
    assert {trade.fee_currency for trade in state.trades} == {"BNB", "BTC"}
    world.wire.fills = [(ONE,)]
    assert isinstance(look_up(world), Unknown)


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (filled(2), OrderStatus.FILLED),
        (filled(1), OrderStatus.CANCELED),
        (filled(1, "canceled"), OrderStatus.CANCELED),
        (filled(1, "expired"), OrderStatus.CANCELED),
        (filled(0, "rejected"), OrderStatus.CANCELED),
        (filled(0, "PENDING_NEW"), OrderStatus.OPEN),
        (filled(1, "canceling"), OrderStatus.OPEN),
        (filled(1, "SOMETHING_NEW"), OrderStatus.OPEN),
    ],
)
def test_a_status_is_final_only_by_a_word_that_says_so(world: World, shown: WireOrder, status: OrderStatus) -> None:
    world.wire.orders, world.wire.fills = [shown], [(ONE, TWO)[: int(shown.filled or 0)]]
    assert look_up(world).status is status


def test_an_order_that_is_not_shown_is_none_and_one_that_cannot_be_read_unknown(world: World) -> None:
    assert look_up(world) is None
    world.wire.orders = [WireOrder(None, None)]
    assert isinstance(look_up(world), Unknown)
    world.wire.orders = [msgspec.structs.replace(OPEN, amount=None)]
    assert isinstance(look_up(world), Unknown)


# --- cancels --------------------------------------------------------------------------------------------------------

TOO_LATE = Failed(Cause.ANSWERED, "OrderNotFound", 400, "-2011", "Unknown order sent.")


@pytest.mark.parametrize("answer", [OPEN, TOO_LATE, LOST, Failed(Cause.ANSWERED, "OperationFailed", 400, "-1001")])
def test_a_cancel_is_what_the_order_became_whatever_was_answered(world: World, answer: Reply) -> None:
    world.wire.cancels, world.wire.orders = [answer], [filled(2)]
    world.wire.fills = [(ONE, TWO)]
    canceled = world.run(world.gateway.cancel("BTC/USDT", "a", world.stamp()))
    assert isinstance(canceled, Canceled)
    assert (canceled.order.status, canceled.order.filled) == (OrderStatus.FILLED, 2)


@pytest.mark.parametrize("shown", [OPEN, GONE, LOST])
def test_a_cancel_without_a_final_state_is_unknown(world: World, shown: Reply) -> None:
    world.wire.orders = [shown]
    assert isinstance(world.run(world.gateway.cancel("BTC/USDT", "a", world.stamp())), Unknown)


def test_a_cancel_that_never_left_may_be_sent_again(world: World) -> None:
    world.wire.cancels = [Failed(Cause.NOT_CONNECTED, "ExchangeNotAvailable")]
    assert isinstance(world.run(world.gateway.cancel("BTC/USDT", "a", world.stamp())), Unsent)
    assert world.wire.count("cancel") == ClaimSettings().read_attempts


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_pause_that_is_asked_for_holds_for_every_request(world: World) -> None:
    world.submit()
    world.wire.orders = [Failed(Cause.ANSWERED, "DDoSProtection", 429, "-1003", "", 8_000), OPEN]
    paused_at = world.now
    assert isinstance(look_up(world), OrderState)
    assert world.wire.last("order") >= paused_at + 8_000


def test_during_a_long_pause_an_order_is_not_sent_at_all(world: World) -> None:
    world.submit()
    banned = Failed(Cause.ANSWERED, "DDoSProtection", 418, "-1003", "banned", 120_000)
    world.wire.creates = [banned, OPEN]
    assert isinstance(world.submit(), Unsent)
    told_at = world.now
    assert isinstance(world.submit(), Unsent)
    assert world.now == told_at, "and that is told at once"
    assert len(world.wire.sent) == 2
    world.clock.advance_to(world.clock.now() + 120_000)
    assert isinstance(world.submit(), Accepted)


DAY = 86_400_000


@pytest.mark.parametrize(
    ("status", "asked", "kept"),
    [
        (429, 30_000, 30_000),
        (429, None, ClaimSettings().pause),
        (429, 9_999_999_000, LONGEST_PAUSE),
        (503, 9_999_999_000, LONGEST_PAUSE),
        (418, 120_000, 120_000),
        (418, None, ClaimSettings().ban),
        (418, 3 * DAY, 3 * DAY),
        (418, 9_999_999_000, 3 * DAY),
    ],
)
def test_a_pause_is_kept_as_long_as_it_can_be_meant_and_told(
    world: World, status: int, asked: int | None, kept: int
) -> None:
    world.submit()
    world.wire.creates = [Failed(Cause.ANSWERED, "DDoSProtection", status, "-1003", "slow down", asked), OPEN]
    world.submit()
    begun, sent = world.clock.now(), len(world.wire.sent)
    refused = world.submit()
    assert isinstance(refused, Unsent)
    assert ("banned" in refused.reason) is (status == 418)
    assert f"before {utc(begun + kept)}" in refused.reason
    assert ("It asked for 9999999 s" in refused.reason) is (asked == 9_999_999_000)
    assert len(world.wire.sent) == sent
    world.clock.advance_to(begun + kept - 20_000)
    asked_before = len(world.wire.asked)
    assert isinstance(world.submit(), Unsent)
    assert len(world.wire.asked) == asked_before, "nothing at all is asked before, not even the time"
    world.clock.advance_to(begun + kept)
    assert isinstance(world.submit(), Accepted)


@pytest.mark.parametrize("hollow", [HOLLOW, msgspec.structs.replace(OPEN, client_order_id="another")])
def test_a_look_up_whose_answer_names_no_order_is_asked_again(world: World, hollow: WireOrder) -> None:
    world.wire.orders = [hollow, hollow, OPEN]
    assert isinstance(look_up(world), OrderState)
    assert world.wire.count("order") == 3
    world.wire.orders = [hollow]
    shown = look_up(world)
    assert isinstance(shown, Unknown)
    assert "does not name the order" in shown.reason
    assert world.wire.count("order") == 3 + ClaimSettings().read_attempts


def test_a_time_out_tells_when(world: World) -> None:
    world.wire.orders = ["silent"]
    shown = look_up(world)
    assert shown.reason.startswith("timeout: no answer by 1970-01-01 00:1")
    assert shown.reason.endswith(" UTC")


def test_reads_are_tried_again_within_limits(world: World) -> None:
    world.wire.orders = [LOST, LOST, {"USDT": Decimal(5)}]
    assert world.run(world.gateway.balances()) == {"USDT": Decimal(5)}
    world.wire.orders = ["silent"]
    with pytest.raises(GatewayError, match="balances"):
        world.run(world.gateway.balances())


def test_open_orders_are_ours_and_others(world: World) -> None:
    other = msgspec.structs.replace(OPEN, exchange_order_id="78", client_order_id="by hand")
    world.wire.orders = [(OPEN, other)]
    shown = world.run(world.gateway.open_orders("BTC/USDT"))
    assert [state.client_order_id for state in shown] == ["a", "by hand"]
