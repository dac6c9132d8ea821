"""One run: a venue full of faults, a bot that is killed and started again, then quiet, and the books compared.

All that can follow from the seed does: the bars, the fate of each request by its client order id and count, the order
of the blows, and at which passage of which moment a bot dies. What two processes and a network add is not repeatable.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torture_settings as short
from torture_bot import MOMENTS, prepared
from torture_checks import lifecycles, violations
from torture_market import STAKE, symbols, write_market
from torture_processes import Child
from torture_venue import prepare_venue

from runtime.errors import StoreError
from runtime.sqlite_store import SqliteStore

KEYS = {"VENUE_API_KEY": "torture-key", "VENUE_SECRET": "torture-secret"}
AT_REST = ("IDLE", "WARMUP")
SETTLING = 90.0
"""Seconds within which all that was under way must have come to an end, once nothing goes wrong any more."""
RECOVERIES = 4


class Result(msgspec.Struct, kw_only=True):
    """What a run came to. `points` counts faults by kind, `lives` how often a bot was started."""

    seed: int
    seconds: float
    points: dict[str, int]
    lifecycles: int
    orders: int
    lives: int
    errors: int
    """Symbols that stopped in ERROR and were recovered."""
    violations: list[str]
    folder: str = ""


class Failed(Exception):  # noqa: N818
    """The run itself cannot go on."""


class TortureRun:
    """Args:
    seconds: for how long things go wrong.
    count: how many symbols.
    mutant: how the claim protocol is broken, to see that it is found out.
    """

    def __init__(self, seed: int, seconds: float, count: int, folder: Path, mutant: str | None = None) -> None:
        self.seed = seed
        self.seconds = seconds
        self.mutant = mutant
        self.folder = folder.absolute()
        self.symbols = symbols(count)
        self.chance = random.Random(seed)
        self.points: Counter[str] = Counter()
        self.broken: list[str] = []
        self.lives = 0
        self.errors = 0
        self.bot: Child | None = None
        self.venue: Child | None = None
        self._armed = ""
        self._dies_by = 0.0
        self._excuses: dict[str, str] = {}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.database = self.folder / "bot.db"
        (self.folder / "script.json").write_text(json.dumps(short.ALWAYS))
        write_market(self.folder / "market", self.symbols, seed)

    def play(self) -> Result:
        """All of it. The folder stays."""
        began = time.monotonic()
        try:
            self._start_venue("torture")
            self._hurt()
            self._settle()
            self._stop_bot()
            self.broken += [
                f"a traceback in {log.name}: {_tail(log)}"
                for log in (self.folder / "bot.log", self.folder / "venue.log")
                if "Traceback" in log.read_text(errors="replace")
            ]
            self.broken += violations(self.database, self._request("books"), len(self.symbols))
        except Failed as failure:
            self.broken.append(str(failure))
        finally:
            for child in (self.bot, self.venue):
                if child is not None:
                    child.send(signal.SIGCONT)
                    child.kill()
        self._count_faults()
        result = Result(
            seed=self.seed,
            seconds=round(time.monotonic() - began, 1),
            points=dict(sorted(self.points.items())),
            lifecycles=lifecycles(self.database) if self.database.exists() else 0,
            orders=self._orders(),
            lives=self.lives,
            errors=self.errors,
            violations=self.broken,
            folder=str(self.folder),
        )
        (self.folder / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
        return result

    # -- processes -------------------------------------------------------------------------------------------------

    def _start_venue(self, faults: str) -> None:
        arguments = ["venue", "--control", "--json", "--db", str(self.folder / "venue.db")]
        arguments += ["--port", self.url.rpartition(":")[2], "--data", str(self.folder / "market")]
        arguments += ["--seed", str(self.seed), "--faults", faults, "--parts", ("never", "some", "most")[self.seed % 3]]
        arguments += ["--weight", "100000000", "--orders", "1000000"]
        arguments += ["--script", str(self.folder / "script.json")]
        for name in self.symbols:
            arguments += ["--symbol", name]
        arguments += ["--balance", f"USDT={STAKE * len(self.symbols)}"]
        self.venue = Child(
            arguments,
            _environment() | KEYS,
            self.folder / "venue.log",
            partial(prepare_venue, self.folder / "counts"),
            self.folder,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.venue.poll() is not None:
                raise Failed(f"the venue ended with {self.venue.status}: {_tail(self.folder / 'venue.log')}")
            with contextlib.suppress(OSError):
                self._request("state")
                return
            time.sleep(0.02)
        raise Failed("the venue does not answer")

    def _start_bot(self, moment: str | None, passage: int = 1) -> Child:
        self.lives += 1
        self._armed = moment or ""
        self._excuses.clear()
        self.bot = self._bot(moment, passage)
        return self.bot

    def _bot(self, moment: str | None, passage: int) -> Child:
        arguments = ["trade", "--url", self.url, "--db", str(self.database)]
        for name in self.symbols:
            arguments += ["--symbol", name]
        knobs = {name: value.format(symbols=len(self.symbols)) for name, value in short.BOT.items()}
        keys = {"PHASEWRIGHT_API_KEY": KEYS["VENUE_API_KEY"], "PHASEWRIGHT_SECRET": KEYS["VENUE_SECRET"]}
        environment = _environment() | knobs | keys
        prepare = prepared(moment, passage, self.mutant)
        return Child(arguments, environment, self.folder / "bot.log", prepare, self.folder)

    def _stop_bot(self) -> None:
        if self.bot is None:
            return
        self.bot.send(signal.SIGTERM)
        status = self.bot.wait(30)
        if status != 0:
            self.bot.kill()
            self.broken.append(f"told to stop, the bot ended with {status}: {_tail(self.folder / 'bot.log')}")
        self.bot = None

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _hurt(self) -> None:
        blows: tuple[tuple[int, Callable[[], None]], ...] = (
            (16, self._nothing),
            (5, self._kill_at_any_time),
            (4, self._kill_venue),
            (4, self._pause_bot),
            (2, self._second_bot),
            (4, self._cut_connections),
            (2, partial(self._condition, "maintenance", True)),
            (2, partial(self._condition, "no_trading", True)),
            (3, self._move_clock),
            (7, self._script),
            (2, self._refuse_orders),
            (2, self._refuse_key),
            (2, self._halt_market),
            (3, self._recover_early),
        )
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            self._keep_alive()
            self._watch(self.chance.uniform(0.5, 3.5))
            self._keep_alive()
            if time.monotonic() > self._dies_by:
                self._kill_at_any_time()
                continue
            blow = self.chance.choices([one for _, one in blows], [weight for weight, _ in blows])[0]
            blow()
        self._watch(0.0)

    def _keep_alive(self) -> None:
        if self.bot is not None and self.bot.poll() is None:
            return
        self._note_death()
        moment = self.chance.choice(list(MOMENTS)) if self.chance.random() < 0.85 else None
        self._start_bot(moment, 1 + int(self.chance.expovariate(1 / MOMENTS.get(moment or "", 1.0))))
        self._dies_by = time.monotonic() + self.chance.uniform(5, 18)

    def _note_death(self) -> None:
        """Count how the bot ended, if it did by itself."""
        if self.bot is None or self.bot.poll() is None:
            return
        status, self.bot = self.bot.status, None
        if status == -signal.SIGKILL and self._armed:
            self.points[f"bot killed {self._armed}"] += 1
            return
        told = _tail(self.folder / "bot.log")
        excuse = next((kind for text, kind in self._excuses.items() if text in told), None)
        if status == 1 and excuse is not None:
            self.points[excuse] += 1
        else:
            self.points["bot ended by itself"] += 1
            self.broken.append(f"the bot ended by itself with {status}: {told}")

    def _watch(self, seconds: float) -> None:
        if self.bot is not None:
            self.bot.wait(seconds)
        self._note_death()

    def _nothing(self) -> None:
        self._watch(self.chance.uniform(1.0, 3.0))

    def _kill_at_any_time(self) -> None:
        if self.bot is None or self.bot.poll() is not None:
            return
        self.bot.kill()
        self.points["bot killed at any time"] += 1
        self.bot = None

    def _kill_venue(self) -> None:
        assert self.venue is not None
        self.venue.kill()
        self.points["venue killed"] += 1
        self._watch(self.chance.choice((0.0, 0.3, 1.5)))
        self._start_venue("torture")

    def _pause_bot(self) -> None:
        """Longer than an order is valid, a request may take, and a cancel waits."""
        if self.bot is None or self.bot.poll() is not None:
            return
        self.bot.send(signal.SIGSTOP)
        time.sleep(self.chance.uniform(2.2, 5.0))
        self.bot.send(signal.SIGCONT)
        self.points["bot stopped past its time-outs"] += 1

    def _second_bot(self) -> None:
        if self.bot is None or self.bot.poll() is not None or not self._holds_lock():
            return
        second = self._bot(None, 1)
        status = second.wait(20)
        second.kill()
        if self.bot.poll() is not None:
            return
        self.points["second bot refused"] += 1
        if status == 0 or status is None:
            self.broken.append(f"a second bot on the same database was not refused: it ended with {status}")

    def _holds_lock(self) -> bool:
        # Before it has the lock, the other one may have it: that would be no mistake.
        until = time.monotonic() + 5
        while time.monotonic() < until and self.bot is not None and self.bot.poll() is None:
            try:
                SqliteStore.refuse_if_in_use(self.database)
            except StoreError:
                return True
            time.sleep(0.05)
        return False

    def _cut_connections(self) -> None:
        self._request("down", {"ms": self.chance.choice((0, 300, 1_500))})
        self.points["connections cut"] += 1

    def _condition(self, name: str, value: Any) -> None:
        self._request("state", {name: value})
        self.points[name.replace("_", " ")] += 1
        self._watch(self.chance.uniform(0.3, 2.0))
        self._request("state", {name: False})

    def _move_clock(self) -> None:
        self._request("state", {"skew_ms": self.chance.randint(-600, 600)})
        self.points["venue's clock moved"] += 1

    def _script(self) -> None:
        """What the profile does not do: refusals by clock and limit, and orders taken after their sender gave up."""
        rules = [
            {"request": "POST order", "nth": 2, "do": "error_before", "code": -1021, "status": 400},
            {"request": "POST order", "nth": 4, "delay_ms": 1_700, "do": "mute"},
            {"request": "POST order", "nth": 6, "delay_ms": 2_600, "do": "mute"},
            {"request": "POST order", "nth": 8, "do": "error_before", "code": -1003, "status": 418},
            {"request": "DELETE order", "nth": 1, "do": "hang_up"},
            {"request": "DELETE order", "nth": 3, "delay_ms": 1_600},
            {"request": "GET order", "nth": 5, "do": "error_before", "code": -1003, "status": 429},
            {"request": "GET order", "nth": 9, "do": "error_before", "code": -1021, "status": 400},
            {"request": "GET myTrades", "nth": 2, "do": "garbage", "body": "object"},
            {"request": "GET account", "nth": 1, "do": "error_before", "code": -1021, "status": 400},
        ]
        self.chance.shuffle(rules)
        self._request("script", [*rules[: self.chance.randint(3, 6)], *short.ALWAYS])

    def _refuse_orders(self) -> None:
        """Until symbols that have something to sell give up, and stop for a person."""
        refusal = {"request": "POST order", "do": "error_before", "code": -2010, "status": 400}
        self._request("script", [refusal, *short.ALWAYS])
        self._watch(self.chance.uniform(2.0, 5.0))
        self._request("script", short.ALWAYS)

    def _refuse_key(self) -> None:
        """The bot has to stop by itself, unless it is over soon."""
        if self.bot is None or self.bot.poll() is not None:
            return
        self._request("state", {"revoked": True})
        self.points["key refused"] += 1
        for told in ("Check the key", "refused an order for the sake of the key"):
            self._excuses[told] = "bot stopped for its key"
        self._watch(self.chance.choice((1.0, 15.0)))
        self._request("state", {"revoked": False})

    def _halt_market(self) -> None:
        name = self.chance.choice(self.symbols)
        self._request("market", {"symbol": name, "halted": True})
        self.points["market halted"] += 1
        self._excuses[f"does not trade {name} at present"] = "bot did not begin on a halted market"
        self._watch(self.chance.uniform(1.0, 4.0))
        self._request("market", {"symbol": name})

    def _recover_early(self) -> None:
        """A person recovers what has stopped, while everything still goes wrong."""
        for name, phase in self._phases()[0].items():
            if phase == "ERROR" and self.bot is not None and self.bot.poll() is None:
                self.errors += 1
                self._recover(name)

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Nothing goes wrong any more, prices stand still: every symbol must come to rest."""
        self._keep_alive_unhurt()
        self._request("script", [])
        self._request("profile", {"name": "calm"})
        self._request("state", {"maintenance": False, "no_trading": False, "revoked": False, "skew_ms": 0})
        for ticker in self._public("ticker/price"):
            name = next(one for one in self.symbols if one.replace("/", "") == ticker["symbol"])
            self._request("market", {"symbol": name, "price": ticker["price"]})
        until, quiet, tried = time.monotonic() + SETTLING, 0, Counter[str]()
        while quiet < 5:
            phases, open_intents = self._phases()
            stopped = [name for name, phase in phases.items() if phase == "ERROR"]
            resting = all(phase in AT_REST for phase in phases.values()) and not open_intents
            quiet = quiet + 1 if resting and len(phases) == len(self.symbols) else 0
            if self.bot is None or self.bot.poll() is not None:
                self._note_death()
                return
            if time.monotonic() > until:
                self.broken.append(f"not at rest after {SETTLING:.0f} s: {phases}, {open_intents} effects open")
                return
            for name in stopped:
                tried[name] += 1
                self.errors += 1
                if tried[name] > RECOVERIES:
                    self.broken.append(f"{name} is in ERROR still, after {RECOVERIES} recoveries: {self._error(name)}")
                    return
                self._recover(name)
            time.sleep(0.5)

    def _keep_alive_unhurt(self) -> None:
        """From here on the bot lives."""
        self._note_death()
        if self.bot is not None:
            self.bot.kill()
            self.points["bot killed at any time"] += 1
        self._start_bot(None)

    def _recover(self, name: str) -> None:
        command = Child(
            ["recover", name, "--db", str(self.database)],
            _environment(),
            self.folder / "recover.log",
            lambda: None,
            self.folder,
        )
        if command.wait(40) is None:
            command.kill()

    def _phases(self) -> tuple[dict[str, str], int]:
        try:
            store = SqliteStore(self.database, read_only=True)
        except StoreError:
            return {}, 0
        try:
            state = store.load()
        finally:
            store.close()
        return {one.instance: one.phase for one in state.instances}, len(state.open_intents)

    def _error(self, name: str) -> str:
        store = SqliteStore(self.database, read_only=True)
        try:
            found = next(one for one in store.load().instances if one.instance == name)
            return str(json.loads(found.snapshot)["data"].get("last_error"))
        finally:
            store.close()

    # -- the venue -------------------------------------------------------------------------------------------------

    def _request(self, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/venue/{name}", data)
        for attempt in range(40):
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                raise Failed(f"/venue/{name}: {error.read().decode()}") from None
            except OSError:
                if self.venue is None or self.venue.poll() is not None or attempt == 39:
                    raise
                time.sleep(0.1)
        raise AssertionError

    def _public(self, name: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v3/{name}", timeout=10) as answer:
            return json.loads(answer.read())

    def _count_faults(self) -> None:
        journal = self.folder / "venue.db.journal"
        for line in journal.read_text().splitlines() if journal.exists() else ():
            fault = json.loads(line)
            if fault["what"] == "fault":
                self.points[fault_kind(fault)] += 1
        counts = self.folder / "counts"
        if counts.exists():
            self.points.update(counts.read_text().splitlines())

    def _orders(self) -> int:
        path = self.folder / "venue.db"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM orders").fetchone()[0])


def fault_kind(fault: dict[str, Any]) -> str:
    """What the venue did, by its own list of faults."""
    method, name = fault["request"].split()
    what = {"POST": "create", "DELETE": "cancel"}.get(method, "read")
    if name in ("time", "klines", "exchangeInfo"):
        what = {"time": "clock", "klines": "bars", "exchangeInfo": "markets"}[name]
    if fault.get("done") == "-1021":
        return f"{what} too late for its window"
    do = fault.get("do", "answer")
    if do == "error_before":
        return f"{what} refused: {fault.get('status') or 503}" + (f" {fault['code']}" if fault.get("code") else "")
    if do == "error_after":
        return f"{what} done, answered {fault.get('status') or 500}"
    if do == "garbage":
        return f"{what} done, answered 200 and garbage"
    named = {
        "drop": "dropped unread",
        "mute": "done, never answered",
        "hang_up": "done, connection closed",
        "cut": "done, body cut",
        "cut_chunked": "done, chunked body cut",
        "answer": "answered late" if not fault.get("delay_ms") else "done late",
    }
    return f"{what} {named[do]}"


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1_500:] if log.exists() else ""
