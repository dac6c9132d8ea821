"""Bars that many accounts ask for are read once, and nobody gets one that was not finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest

from engine.exchange.wire import Cause, Failed
from engine.market_data.candles import Candle
from engine.market_data.tape import MOST, Tape

LENGTH = 60_000
SETTLING = 1_000
PAGE = 500
NO_ANSWER = Failed(Cause.TIMEOUT)


class Exchange:
    """Shows a bar for every minute; the open one changes with each look."""

    def __init__(self) -> None:
        self.now = 0
        self.asked: list[int] = []
        self.failing = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def read(self, since: int) -> Sequence[Candle] | Failed:
        self.asked.append(since)
        answer = [self._bar(at) for at in range(-(-since // LENGTH) * LENGTH, self.now + 1, LENGTH)][:PAGE]
        failing = self.failing
        await self.answering.wait()
        return NO_ANSWER if failing else answer

    def _bar(self, opened_at: int) -> Candle:
        # One that closed less than SETTLING ago is not finished either.
        seen = min(self.now - opened_at, LENGTH + SETTLING)
        return Candle(opened_at, Decimal(1), Decimal(2), Decimal(1), Decimal(seen), Decimal(1), LENGTH)


def finished(bars: Sequence[Candle] | Failed, now: int) -> list[tuple[int, Decimal]]:
    assert not isinstance(bars, Failed)
    return [(bar.opened_at // LENGTH, bar.close) for bar in bars if bar.closed_at <= now]


WHOLE = Decimal(LENGTH + SETTLING)


def played(story: Callable[[Exchange, Tape[Failed]], Awaitable[None]]) -> None:
    async def play() -> None:
        exchange = Exchange()
        await story(exchange, Tape(exchange.read, LENGTH, SETTLING))

    asyncio.run(play())


def test_bars_that_one_has_read_cost_the_others_nothing() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 10 * LENGTH + 5_000
        first = await tape.since(3 * LENGTH, now)
        again = await tape.since(3 * LENGTH, now)
        later = await tape.since(7 * LENGTH, now)
        assert finished(first, now) == finished(again, now) == [(place, WHOLE) for place in range(3, 10)]
        assert finished(later, now) == [(place, WHOLE) for place in range(7, 10)]
        assert exchange.asked == [3 * LENGTH]

    played(story)


def test_all_who_ask_at_a_close_are_answered_by_one_request() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        exchange.now = 10 * LENGTH + 5_000
        await tape.since(3 * LENGTH, exchange.now)
        now = exchange.now = 11 * LENGTH + SETTLING
        exchange.answering.clear()
        asking = [asyncio.create_task(tape.since(10 * LENGTH, now)) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()
        await asyncio.sleep(0)
        exchange.answering.set()
        answers = await asyncio.gather(*asking[1:])
        assert all(finished(answer, now) == [(10, WHOLE)] for answer in answers)
        assert exchange.asked == [3 * LENGTH, 10 * LENGTH]

    played(story)


def test_a_bar_that_may_still_change_is_kept_for_nobody() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 10 * LENGTH + SETTLING - 1
        early = await tape.since(8 * LENGTH, now)
        assert finished(early, now) == [(8, WHOLE), (9, WHOLE - 1)]
        now = exchange.now = 10 * LENGTH + SETTLING
        assert finished(await tape.since(9 * LENGTH, now), now) == [(9, WHOLE)]

    played(story)


def test_a_page_that_was_asked_for_before_the_close_is_no_answer_after_it() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        exchange.now = 10 * LENGTH - 10
        exchange.answering.clear()
        early = asyncio.create_task(tape.since(9 * LENGTH, exchange.now))
        await asyncio.sleep(0)
        now = exchange.now = 10 * LENGTH + SETTLING
        late = asyncio.create_task(tape.since(9 * LENGTH, now))
        await asyncio.sleep(0)
        exchange.answering.set()
        assert finished(await late, now) == [(9, WHOLE)]
        assert finished(await early, 10 * LENGTH - 10) == []
        assert finished(await tape.since(9 * LENGTH, now), now) == [(9, WHOLE)]

    played(story)


def test_a_reader_whose_clock_is_ahead_spoils_no_bar_for_the_others() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        exchange.now = 10 * LENGTH - 1_000
        await tape.since(8 * LENGTH, exchange.now + 3_000)
        now = exchange.now = 10 * LENGTH + SETTLING
        assert finished(await tape.since(8 * LENGTH, now), now) == [(8, WHOLE), (9, WHOLE)]

    played(story)


def test_a_failure_is_told_to_everybody_and_kept_for_nobody() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 10 * LENGTH + 5_000
        exchange.failing = True
        assert await asyncio.gather(*(tape.since(8 * LENGTH, now) for _ in range(3))) == [NO_ANSWER] * 3
        exchange.failing = False
        assert finished(await tape.since(8 * LENGTH, now), now) == [(8, WHOLE), (9, WHOLE)]
        assert exchange.asked == [8 * LENGTH] * 2

    played(story)


@pytest.mark.parametrize("begin", [599, 510])
def test_earlier_bars_are_read_and_joined_on(begin: int) -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 700 * LENGTH + 5_000
        await tape.since(600 * LENGTH, now)
        earlier = await tape.since(begin * LENGTH, now)
        assert finished(earlier, now) == [(place, WHOLE) for place in range(begin, 700)]
        before = len(exchange.asked)
        assert finished(await tape.since(begin * LENGTH, now), now) == finished(earlier, now)
        assert len(exchange.asked) == before

    played(story)


def test_a_page_that_does_not_reach_the_kept_bars_leaves_no_hole() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 2_000 * LENGTH + 5_000
        await tape.since(1_900 * LENGTH, now)
        first = finished(await tape.since(0, now), now)
        assert [place for place, _ in first] == list(range(PAGE))
        again = finished(await tape.since(PAGE * LENGTH, now), now)
        assert [place for place, _ in again] == list(range(PAGE, 2 * PAGE))

    played(story)


def test_whoever_asks_for_earlier_bars_while_others_begin_later_misses_none() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        now = exchange.now = 2_000 * LENGTH + 5_000
        exchange.answering.clear()
        holding = asyncio.create_task(tape.since(1_000 * LENGTH, now))
        await asyncio.sleep(0)
        flat = asyncio.create_task(tape.since(1_940 * LENGTH, now))
        await asyncio.sleep(0)
        exchange.answering.set()
        assert [place for place, _ in finished(await flat, now)] == list(range(1_940, 2_000))
        assert [place for place, _ in finished(await holding, now)] == list(range(1_000, 1_000 + PAGE))

    played(story)


def test_after_a_long_absence_the_bars_begin_anew() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        exchange.now = 10 * LENGTH + 5_000
        await tape.since(3 * LENGTH, exchange.now)
        now = exchange.now = 5_000 * LENGTH + 5_000
        assert [place for place, _ in finished(await tape.since(4_990 * LENGTH, now), now)] == list(range(4_990, 5_000))

    played(story)


def test_no_more_bars_are_kept_than_are_worth_it() -> None:
    async def story(exchange: Exchange, tape: Tape[Failed]) -> None:
        exchange.now = 5_000
        await tape.since(0, exchange.now)
        for place in range(1, MOST + 200):
            exchange.now = place * LENGTH + 5_000
            await tape.since((place - 1) * LENGTH, exchange.now)
        asked = len(exchange.asked)
        await tape.since(201 * LENGTH, exchange.now)
        assert len(exchange.asked) == asked
        early = finished(await tape.since(150 * LENGTH, exchange.now), exchange.now)
        assert [place for place, _ in early] == list(range(150, MOST + 199))
        assert len(exchange.asked) == asked + 1

    played(story)
