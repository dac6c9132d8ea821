"""The claim protocol: the only way by which an order leaves the process for a real exchange.

A create is sent once per claim. Its bytes carry the claim's instant and its window, so the exchange refuses them when
they arrive late, however long the process slept between the claim and the sending. Whether an unanswered create was
carried out is found out by looking it up; that it was not is believed only when the exchange's own clock has passed
the instant up to which any request under the claim could have been accepted, and then a grace. Nothing is concluded
from a number of failed look-ups, and nothing from our own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from engine.exchange.gateway import (
    Absent,
    Accepted,
    Canceled,
    CancelOutcome,
    ExchangeTrade,
    GatewayError,
    KeyRefusedError,
    Market,
    OrderRequest,
    OrderState,
    OrderStatus,
    RecoverOutcome,
    Rejected,
    ResumeOutcome,
    Stamp,
    SubmitOutcome,
    Unknown,
    Unsent,
)
from engine.exchange.order_states import order_state
from engine.exchange.outcomes import Verdict, refuses_key, verdict
from engine.exchange.server_clock import ServerClock, monotonic
from engine.exchange.wire import Ask, Cause, Failed, Reply, Wire, WireOrder, utc
from runtime.clock import Clock

MAX_OFFSET = 5_000
"""How far (ms) our clock may be from the exchange's for an order to be sent. It bounds what a lost request can carry:
it expires by the exchange's clock at deadline + MAX_OFFSET or before, whatever our clock showed when it was sent.
Not a setting: the process that asks for an order's fate may be another than the one that sent it."""

MAX_READ_PAUSE = 10_000
_BANNED = 418
_LONGEST_PAUSES = {_BANNED: 3 * 86_400_000}
"""The longest pause (ms) that is kept after an answer with this status: binance bans an address for 2 minutes to 3
days. After any other, LONGEST_PAUSE."""
LONGEST_PAUSE = 3_600_000
_UNDECIDED = (Verdict.UNKNOWN, Verdict.UNSENT)

AnswerT = TypeVar("AnswerT")
Asked = Callable[[], Coroutine[Any, Any, AnswerT | Failed]]


class ClaimSettings(msgspec.Struct, frozen=True):
    """Durations in milliseconds.

    `grace` is what the exchange may take, after a request has passed its check of the timestamp, until a look-up shows
    the order: binance gives up on its own engine after 10 s (-1007), and 5 s more are for its reads to catch up.
    `pause` is how long nothing is asked after the exchange said "too many requests" without saying for how long,
    `ban` after it said that it has banned this address.
    """

    grace: int = 15_000
    refresh: int = 60_000
    read_attempts: int = 4
    read_pause: int = 500
    read_timeout: int = 15_000
    pause: int = 60_000
    ban: int = 600_000


class ClaimedGateway:
    """A `Gateway` over a `Wire`.

    Args:
        elapsed: milliseconds that pass evenly; in virtual time, the virtual clock's own.
        may_send: whether orders are this process's to send, as far as it can tell at once. What is already claimed is
            safe either way; that it is not sent only saves the others a look.
    """

    def __init__(
        self,
        wire: Wire,
        clock: Clock,
        settings: ClaimSettings = ClaimSettings(),  # noqa: B008
        elapsed: Callable[[], int] = monotonic,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = wire.name
        self._may_send = may_send
        self._wire = wire
        self._clock = clock
        self._settings = settings
        self._server_clock = ServerClock(self.server_time, clock, elapsed, settings.refresh)
        self._listeners: list[Callable[[OrderState], None]] = []
        # Nothing is asked before this instant, for this reason.
        self.paused_until = 0
        self._pause_reason = ""
        # Why the exchange refused an order for its key, or for the permissions of the key; empty while it did not, and
        # again once it takes one.
        self.key_refusal = ""

    # --- reports ----------------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[OrderState], None]) -> None:
        self._listeners.append(listener)

    def deliver(self, state: OrderState) -> None:
        """Hand a report to every listener; for the feed of orders."""
        for listener in self._listeners:
            listener(state)

    # --- creates ----------------------------------------------------------------------------------------------

    async def submit(self, order: OrderRequest, stamp: Stamp) -> SubmitOutcome:
        offset = await self._server_clock.offset()
        if isinstance(offset, Failed):
            return Unsent(f"the exchange's clock cannot be read: {offset}")
        if offset.low > MAX_OFFSET or offset.high < -MAX_OFFSET or offset.high - offset.low > 2 * MAX_OFFSET:
            self._server_clock.forget()
            return Unsent(
                f"the exchange's clock is {offset.low} to {offset.high} ms ahead of ours, and {MAX_OFFSET} ms are the "
                "limit for orders; set the machine's clock (NTP)"
            )
        window = stamp.deadline - stamp.claimed_at
        if self._wire.max_window is not None:
            window = min(window, self._wire.max_window)
        if self._clock.now() >= stamp.claimed_at + window:
            return Unsent(f"too late: the claim ended at {stamp.claimed_at + window}")
        if not self._may_send():
            return Unsent("the account may be another worker's by now")
        # The lower bound is never ahead of the exchange's clock, and within MAX_OFFSET above whatever was measured.
        timestamp = stamp.claimed_at + max(min(offset.low, MAX_OFFSET), -MAX_OFFSET)
        reply = await self._ask(lambda: self._wire.create(order, timestamp, window), stamp.claimed_at + window)
        return await self._submitted(order, reply)

    async def _submitted(self, order: OrderRequest, reply: Reply) -> SubmitOutcome:
        match verdict(self.name, Ask.CREATE, order.client_order_id, reply):
            case Verdict.ACCEPTED if isinstance(reply, WireOrder):
                self.key_refusal = ""
                return _accepted(reply, self._clock.now())
            case Verdict.REJECTED:
                if isinstance(reply, Failed) and refuses_key(self.name, reply):
                    self.key_refusal = str(reply)
                return Rejected(str(reply))
            case Verdict.UNSENT:
                self._server_clock.forget()
                return Unsent(str(reply))
            case Verdict.LOOK:
                found = await self._find(order)
                return found if isinstance(found, Accepted) else Unknown(f"{reply}; it is not shown yet")
        return Unknown(_told(reply))

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        return await self.recover(order, stamp)

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        # What is shown is proof at any time; only absence has to be waited for.
        found = await self._find(order)
        if isinstance(found, Accepted):
            return found
        if self._wire.max_window is None:
            return Unknown(
                f"{self.name} does not show the order, and its requests do not expire, so that it may yet come; look "
                "on the exchange, and cancel it there if it is open"
            )
        waited = await self._wait_for_server(stamp.deadline + MAX_OFFSET + self._settings.grace)
        if isinstance(waited, Failed):
            return Unknown(f"the exchange's clock cannot be read: {waited}")
        return await self._find(order)

    async def _find(self, order: OrderRequest) -> Accepted | Absent | Unknown:
        reply = await self._order(order.symbol, order.client_order_id)
        match verdict(self.name, Ask.ORDER, order.client_order_id, reply):
            case Verdict.ABSENT:
                return Absent()
            case Verdict.ACCEPTED if isinstance(reply, WireOrder):
                return _accepted(reply, self._clock.now())
        return Unknown(_told(reply))

    async def _wait_for_server(self, instant: int) -> Failed | None:
        """Return once the exchange's clock has passed `instant`, by its own word."""
        while True:
            shown = await self._read(self._wire.server_time)
            if isinstance(shown, Failed):
                return shown
            if shown > instant:
                return None
            await self._clock.sleep_until(self._clock.now() + instant - shown + 1)

    # --- cancels and reads ------------------------------------------------------------------------------------

    async def cancel(self, symbol: str, client_order_id: str, stamp: Stamp) -> CancelOutcome:
        reply = await self._read(lambda: self._wire.cancel(symbol, client_order_id), Ask.CANCEL)
        if verdict(self.name, Ask.CANCEL, client_order_id, reply) is Verdict.UNSENT:
            return Unsent(str(reply))
        # Whatever was answered, the order itself says what became of it. Its own claim may still be open, so that
        # it is not shown proves nothing here.
        state = await self.look_up(symbol, client_order_id)
        if isinstance(state, Unknown):
            return state
        if state is None:
            return Unknown(f"the exchange does not show the order; to the cancel it answered: {_told(reply)}")
        if state.status is OrderStatus.OPEN:
            return Unknown(f"the order is still open; to the cancel it answered: {_told(reply)}")
        return Canceled(state)

    async def look_up(self, symbol: str, client_order_id: str) -> OrderState | Unknown | None:
        reply = await self._order(symbol, client_order_id)
        match verdict(self.name, Ask.ORDER, client_order_id, reply):
            case Verdict.ABSENT:
                return None
            case Verdict.ACCEPTED if isinstance(reply, WireOrder):
                return await self.with_trades(symbol, reply)
        return Unknown(_told(reply))

    async def with_trades(self, symbol: str, shown: WireOrder) -> OrderState | Unknown:
        """The order with its trades, read until they sum to what it says is filled."""
        first = True

        async def once() -> OrderState | Failed:
            nonlocal first
            order: Reply = shown
            if not first and shown.client_order_id is not None:
                client_order_id = shown.client_order_id
                order = await self._named(symbol, client_order_id)
            first = False
            if isinstance(order, Failed):
                return order
            trades: Sequence[ExchangeTrade] | Failed = ()
            if order.exchange_order_id is not None and order.filled != 0:
                exchange_order_id = order.exchange_order_id
                trades = await self._ask(lambda: self._wire.trades(symbol, exchange_order_id))
            return trades if isinstance(trades, Failed) else order_state(symbol, order, trades)

        state = await self._retried(once)
        return Unknown(str(state)) if isinstance(state, Failed) else state

    async def open_orders(self, symbol: str) -> Sequence[OrderState]:
        shown = _readable(await self._read(lambda: self._wire.open_orders(symbol)), f"the open orders of {symbol}")
        states = [await self.with_trades(symbol, order) for order in shown]
        return [_readable(state, f"an open order of {symbol}") for state in states]

    async def read(self, ask: Asked[AnswerT], what: str) -> AnswerT:
        """Read something else under the same limits and pauses. Raises GatewayError, which names it as `what`."""
        return _readable(await self._read(ask), what)

    async def server_time(self) -> int | Failed:
        """The exchange's clock, asked once, under the same pauses."""
        return await self._ask(self._wire.server_time)

    async def markets(self) -> Mapping[str, Market]:
        return _readable(await self._read(self._wire.markets), "the markets")

    async def balances(self) -> Mapping[str, Decimal]:
        shown = await self._read(self._wire.balances)
        if isinstance(shown, Failed) and refuses_key(self.name, shown):
            raise KeyRefusedError(f"{self.name} refuses the key: {shown}")
        return _readable(shown, "the balances")

    async def _order(self, symbol: str, client_order_id: str) -> Reply:
        return await self._retried(lambda: self._named(symbol, client_order_id), Ask.ORDER)

    async def _named(self, symbol: str, client_order_id: str) -> Reply:
        """One look-up. An answer without the order's ids is as good as none: `{}`, for one, or half a body."""
        reply = await self._ask(lambda: self._wire.order(symbol, client_order_id))
        if isinstance(reply, WireOrder) and not (reply.exchange_order_id and reply.client_order_id == client_order_id):
            return Failed(Cause.UNREADABLE, message=_told(reply))
        return reply

    # --- limits -----------------------------------------------------------------------------------------------

    async def _read(self, ask: Asked[AnswerT], kind: Ask = Ask.READ) -> AnswerT | Failed:
        return await self._retried(lambda: self._ask(ask), kind)

    async def _retried(self, ask: Asked[AnswerT], kind: Ask = Ask.READ) -> AnswerT | Failed:
        """Ask again, within limits, as long as the answer decides nothing. Never for a create."""
        # A loop, not tenacity: nearly every answer needs no second question, and in the simulation this is the
        # innermost of all that runs.
        answer = await ask()
        for attempt in range(1, self._settings.read_attempts):
            if not isinstance(answer, Failed) or verdict(self.name, kind, "", answer) not in _UNDECIDED:
                break
            pause = min(self._settings.read_pause << (attempt - 1), MAX_READ_PAUSE)
            await self._clock.sleep_until(self._clock.now() + pause)
            answer = await ask()
        return answer

    async def _ask(self, ask: Asked[AnswerT], by: int | None = None) -> AnswerT | Failed:
        """One request, ended at the instant `by`. It waits for a pause that the exchange asked for, or is not begun."""
        by = self._clock.now() + self._settings.read_timeout if by is None else by
        if self.paused_until >= by:
            return Failed(Cause.LOCAL, message=self._pause_reason)
        await self._clock.sleep_until(self.paused_until)
        answer = await self._ended_at(by, ask())
        if isinstance(answer, Failed) and (answer.retry_after is not None or answer.status in (_BANNED, 429)):
            self._pause(answer)
        return answer

    def _pause(self, answer: Failed) -> None:
        """Keep the pause that the exchange asks for, up to the longest that it can mean."""
        is_ban = answer.status == _BANNED
        usual = self._settings.ban if is_ban else self._settings.pause
        asked = usual if answer.retry_after is None else answer.retry_after
        pause = min(asked, _LONGEST_PAUSES.get(answer.status or 0, LONGEST_PAUSE))
        until = self._clock.now() + pause
        if until <= self.paused_until:
            return
        self.paused_until = until
        why = "has banned this address for too many requests" if is_ban else "asked for a pause"
        longer = f" It asked for {asked // 1000} s, which is more than it can mean." if asked > pause else ""
        self._pause_reason = (
            f"{self.name} {why} (HTTP {answer.status}). Nothing is asked of it before {utc(until)}; orders that are "
            f"live stay live.{longer}"
        )

    async def _ended_at(self, instant: int, request: Coroutine[Any, Any, AnswerT | Failed]) -> AnswerT | Failed:
        """As `asyncio.timeout_at`, but by the clock that the claims are made by."""
        task = asyncio.current_task()
        assert task is not None
        cancelled, ended = task.cancelling(), False

        async def end() -> None:
            nonlocal ended
            await self._clock.sleep_until(instant)
            ended = True
            task.cancel()

        alarm = asyncio.create_task(end())
        try:
            return await request
        except asyncio.CancelledError:
            if not ended or task.cancelling() > cancelled + 1:
                raise
            return Failed(Cause.TIMEOUT, message=f"no answer by {utc(instant)}")
        finally:
            alarm.cancel()
            if ended:
                task.uncancel()


def _accepted(order: WireOrder, now: int) -> Accepted:
    assert order.client_order_id is not None
    assert order.exchange_order_id is not None
    return Accepted(order.client_order_id, order.exchange_order_id, order.updated_at or now)


def _told(reply: Reply) -> str:
    if isinstance(reply, Failed):
        return str(reply)
    return f"an answer that does not name the order by both ids: {reply.exchange_order_id}, {reply.client_order_id}"


def _readable(answer: AnswerT | Failed | Unknown, what: str) -> AnswerT:
    if isinstance(answer, Failed | Unknown):
        why = str(answer) if isinstance(answer, Failed) else answer.reason
        raise GatewayError(f"Cannot read {what} from the exchange: {why}")
    return answer
