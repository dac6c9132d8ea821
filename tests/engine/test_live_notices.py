"""What a live bot tells, as a person reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_world import LiveWorld  # type: ignore[import-not-found]

from engine.exchange.gateway import GatewayError
from engine.exchange.wire import Cause, Failed
from engine.live_errors import TradeError
from engine.live_notices import Notice, What
from engine.live_run import prepare_patiently
from generated.trading import Phase

AT = 1_790_000_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LiveWorld]:
    made = LiveWorld(tmp_path)
    yield made
    made.close()


def test_a_difference_names_its_symbol_once(world: LiveWorld) -> None:
    world.start()
    world.wait_for(lambda: world.phase() == Phase.POSITION)
    world.exchange.gateway.hidden = {"BTC": world.bot.worker.portfolio.position("BTC/USD", "BTC")}
    world.do(world.bot.reconciling.once())
    [told] = [notice for notice in world.notices if notice.what is What.DIFFERENCE]
    assert told.line().count("BTC/USD") == 2, "before it, and in the command that recovers it"
    assert "BTC/USD  The account has 0 BTC" in told.line()


def test_what_an_exchange_says_ends_in_one_full_stop(world: LiveWorld) -> None:
    said = Failed(Cause.ANSWERED, "AuthenticationError", 401, "-2014", "API-key format invalid.")
    world.exchange.gateway.refused = f"paper refuses the key: {said}"
    bot = world.new_bot()
    with pytest.raises(TradeError) as refused:
        world.do(prepare_patiently(bot, world.notices.append, asyncio.Event()))
    text = str(refused.value)
    assert ".." not in text
    assert text.count("refuses the key") == 1
    assert "code -2014): API-key format invalid. Check the key" in text


def test_prices_that_cannot_be_read_are_told_with_one_full_stop(world: LiveWorld) -> None:
    async def unread(*_: object) -> object:
        raise GatewayError("Cannot read the bars: binance has banned this address.")

    world.start()
    world.exchange.candles = unread  # type: ignore[method-assign, assignment]
    world.wait(120_000)
    [told] = world.lines(What.TROUBLE)
    assert told.endswith("banned this address. Nothing is bought until there are")


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        (Failed(Cause.TIMEOUT, message="no answer"), "timeout: no answer"),
        (
            Failed(Cause.ANSWERED, "InvalidOrder", 400, "-1013", "Filter."),
            "answered (InvalidOrder, HTTP 400, code -1013): Filter",
        ),
        (Failed(Cause.RESET), "reset"),
        (Failed(Cause.RESET, "NetworkError"), "reset (NetworkError)"),
    ],
)
def test_a_failure_is_one_clause(failed: Failed, text: str) -> None:
    assert str(failed) == text


def test_on_a_terminal_a_long_notice_is_folded_and_nothing_in_it_is_broken() -> None:
    order = "0123456789abcdef0123456789abcdef"
    text = f"the exchange does not show our order {order}, which the books hold for live; nothing is known of it yet"
    notice = Notice(AT, What.TROUBLE, "BTC/USD", Phase.POSITION, text)
    lines = notice.line(80).split("\n")
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("2026-09-21 14:13:20  BTC/USD  the exchange")
    assert all(line.startswith(" " * 21) for line in lines[1:])
    assert sum(order in line for line in lines) == 1
    assert " ".join(line.strip() for line in lines) == notice.line()
    assert notice.line(20) == notice.line(None), "on a strip of a window it is left to the terminal"
