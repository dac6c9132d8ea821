"""The command line as a user calls it: real processes, and a small market that trades."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from engine.settings import KNOBS as ENGINE_KNOBS
from generated.trading import KNOBS as MACHINE_KNOBS

_OURS = {knob.env for knob in (*ENGINE_KNOBS, *MACHINE_KNOBS)} | {
    "COLUMNS",
    "FORCE_COLOR",
    "NO_COLOR",
    "PYTHONDONTWRITEBYTECODE",
}
COMMAND = (sys.executable, "-m", "phasewright")


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**values: str) -> dict[str, str]:
    """This process's environment without what would change a run, and with `values`."""
    return {name: value for name, value in os.environ.items() if name not in _OURS} | values


def write_bars(path: Path, bars: int, *, seed: int, swing: float, price: float) -> None:
    """Half-hourly bars that swing around `price`: DROP_BUY gains on a swing of 5 % and loses on one of 8 %."""
    chance = random.Random(seed)
    at = datetime(2024, 1, 1, tzinfo=UTC)
    close = price
    lines = ["time,open,high,low,close,volume"]
    for number in range(bars):
        start, close = close, price * (1 + swing * math.sin(number / 9 + seed) + 0.01 * chance.uniform(-1, 1))
        high, low = max(start, close) * 1.003, min(start, close) * 0.997
        figures = ",".join(f"{value:.2f}" for value in (start, high, low, close))
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{figures},{chance.randint(50, 5_000)}")
        at += timedelta(minutes=30)
    path.write_text("\n".join(lines) + "\n")


def write_market(folder: Path, bars: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_bars(folder / "BTC_USD.csv", bars, seed=1, swing=0.05, price=100.0)
    write_bars(folder / "ETH_USD.csv", bars, seed=2, swing=0.08, price=20.0)
    return folder


def phasewright(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None, file_size: int | None = None
) -> Done:
    """Run a command to its end. `file_size`: no file may grow beyond this many bytes, as on a full disk."""

    def limit() -> None:
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


class Traded(NamedTuple):
    """A finished run of two symbols: for looking at, not for changing."""

    folder: Path
    database: Path
    market: Path
    done: Done

    def copied(self, to: Path) -> Path:
        """Both databases once more, for changing."""
        for file in self.folder.glob("bot.*db"):
            shutil.copy(file, to)
        return to
