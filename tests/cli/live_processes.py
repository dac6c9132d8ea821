"""Bots and venues as processes of their own, whose lines are read while they run."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from phasewright_process import COMMAND, environment

QUICK = {
    "TIMEFRAME": "1s",
    "DROP_BUY_LOOKBACK": "2",
    "DROP_BUY_DROP_PCT": "2",
    "TAKE_PROFIT_PCT": "2",
    "STOP_LOSS_PCT": "50",
    "COOLDOWN_SECS": "500ms",
    "MAX_SLOTS": "1",
    "RECONCILE_CONFIRM_SECS": "1s",
}
PATIENCE = 60


class Process:
    """A command that runs on while its lines are read."""

    def __init__(self, *arguments: str, cwd: Path, **env: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, text: str, seconds: int | None = None) -> str:
        """The first line with `text` in it that has not been waited for; nothing when `seconds` pass without it."""
        place = 0
        for _ in range((seconds or PATIENCE) * 50):
            while place < len(self.lines):
                line = self.lines[place]
                place += 1
                if text in line:
                    del self.lines[:place]
                    return line
            assert self.process.poll() is None or self._reader.is_alive(), self.lines
            time.sleep(0.02)
        if seconds is not None:
            return ""
        raise AssertionError(f"no line with {text!r} in {self.lines}")

    def all(self, text: str) -> list[str]:
        """Every line with `text` in it that was not waited for."""
        return [line for line in list(self.lines) if text in line]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status


class Venue:
    """A venue whose one market stands where it is put."""

    def __init__(self, folder: Path, *more: str) -> None:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        rows = [f"{at + timedelta(seconds=n):%Y-%m-%d %H:%M:%S},100,100,100,100,100000" for n in range(60)]
        (folder / "BTC_USDT.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
        arguments = ("venue", "--db", "venue.db", "--data", "BTC_USDT.csv", "--control", "--json", "--parts", "never")
        self._process = Process(*arguments, *more, cwd=folder)
        ready = json.loads(self._process.wait_for("url"))
        self.url: str = ready["url"]
        self.keys = {"PHASEWRIGHT_API_KEY": ready["api_key"], "PHASEWRIGHT_SECRET": ready["secret"]}

    def tell(self, what: str, body: object) -> None:
        request = urllib.request.Request(f"{self.url}/venue/{what}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def price(self, price: object) -> None:
        self.tell("market", {"symbol": "BTC/USDT", "price": str(price)})

    def books(self, account: int = 1) -> Any:
        with urllib.request.urlopen(f"{self.url}/venue/books?account={account}", timeout=30) as answer:
            return json.load(answer)

    def close(self) -> None:
        self._process.end(signal.SIGKILL)
