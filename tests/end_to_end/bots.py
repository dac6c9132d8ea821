"""Bots in processes of their own, as the tests see them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from small_market import Variant


class Bots:
    """Starts bots on one market, waits for them or kills them. A context manager."""

    def __init__(self, market: Path, *, hash_seed: str = "random") -> None:
        self._market = market
        program = Path(__file__).with_name("bot_process.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )

    def live(self, variant: Variant, books: Path, *, kill_at: int | None = None, delay: float | None = None) -> str:
        """Start a bot, and return how it ended: done, killed or failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = (str(self._market), variant, str(books), kill_at, delay)
        self._process.stdin.write(msgspec.json.encode(job).decode() + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def killed_again_and_again(self, variant: Variant, books: Path, kills: int, chance: random.Random) -> int:
        """Kill bots around their writes, at most `kills` of them, then let one finish. Returns how many died."""
        died = 0
        while (outcome := self.live(variant, books, kill_at=_moment(chance) if died < kills else None)) == "killed":
            died += 1
        assert outcome == "done"
        return died

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _moment(chance: random.Random) -> int:
    """Some bots die while they are still coming back to life, the others anywhere in the next day's trading."""
    return chance.randint(1, 8) if chance.random() < 0.3 else chance.randint(1, 250)
