"""How another command reaches a running bot."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from engine.live_control import Answer, Ask, ask, control_path, listening
from runtime.errors import StoreError


async def echo(question: Ask) -> Answer:
    return Answer("ERROR", "POSITION", question.recover)


def test_an_answer_comes_back_and_only_the_same_user_can_ask(tmp_path: Path) -> None:
    database = tmp_path / "bot.db"

    async def check() -> Answer:
        # Left behind by a bot that was killed.
        control_path(database).write_bytes(b"")
        async with listening(database, echo) as reachable:
            assert reachable
            assert stat.S_IMODE(control_path(database).stat().st_mode) & 0o077 == 0
            return await asyncio.to_thread(ask, database, Ask("BTC/USDT"))

    assert asyncio.run(check()) == Answer("ERROR", "POSITION", "BTC/USDT")
    assert not control_path(database).exists()


def test_without_a_bot_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no bot answers here.*phasewright trade"):
        ask(tmp_path / "bot.db", Ask("BTC/USDT"))


def test_nonsense_hinders_nobody(tmp_path: Path) -> None:
    database = tmp_path / "bot.db"

    async def check() -> Answer:
        async with listening(database, echo):
            _, writer = await asyncio.open_unix_connection(control_path(database))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await writer.drain()
            writer.close()
            return await asyncio.to_thread(ask, database, Ask("ETH/USDT"))

    assert asyncio.run(check()).note == "ETH/USDT"


def test_where_no_socket_can_be_made_the_bot_trades_all_the_same(tmp_path: Path) -> None:
    async def check() -> bool:
        async with listening(tmp_path / ("a" * 60) / ("b" * 60) / "bot.db", echo) as reachable:
            return reachable

    assert not asyncio.run(check())
