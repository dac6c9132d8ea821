"""The processes of a run: a venue with many accounts, and workers that share them in one database."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import torture_settings as short
from cluster_checks import LEASE_LOG
from cluster_worker import broken_schema, knobs, prepared
from own_postgres import PostgresServer
from torture_market import STAKE, symbols, write_market
from torture_processes import Child
from torture_venue import prepare_venue

STOPPING = 30.0
"""Seconds that a worker may take to hand over everything."""
SERVER = ("fsync=off", "max_connections=200")
"""The server is killed, its machine is not: what it has written stays in the system's memory."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is. `seconds` is for how long things go wrong, `settling` within how many more all must have come
    to rest; a bar lasts `bar` seconds, a lease `lease`, and `pace` is the time between two blows. An account has up to
    `slots` trades at once."""

    accounts: int
    symbols: int
    slots: int
    workers: int
    seconds: float
    settling: float
    bar: int
    lease: float
    pace: float


class Failed(Exception):  # noqa: N818
    """The run itself cannot go on."""


class Slot:
    """A place for a worker, with a wire of its own."""

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self.port = port
        self.life: Child | None = None
        self.name = ""
        self.not_before = 0.0
        self.goes_on_at = 0.0
        """When a worker that was stopped goes on; 0 when it is not stopped."""
        self.ends_by = 0.0
        """When a worker that was told to end must have done so; 0 when it was not told."""

    @property
    def is_well(self) -> bool:
        return self.life is not None and not self.goes_on_at and not self.ends_by


class Cluster:
    """Args:
    server: runs, and has the database `migrated`.
    mutant: how the protocol is broken, to see that it is found out.
    """

    def __init__(self, seed: int, plan: Plan, server: PostgresServer, folder: Path, mutant: str | None = None) -> None:
        self.seed = seed
        self.plan = plan
        self.server = server
        self.mutant = mutant
        self.folder = folder.absolute()
        self.symbols = symbols(plan.symbols)
        self.accounts = [f"venue-{number}" for number in range(1, plan.accounts + 1)]
        self.chance = random.Random(seed)
        self.points: Counter[str] = Counter()
        self.broken: list[str] = []
        self.lives = 0
        self.venue: Child | None = None
        self.slots: list[Slot] = []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.url = server.new_database()
        self.database_name = self.url.rpartition("/")[2]
        for statement in (*LEASE_LOG, *broken_schema(mutant)):
            server.execute(statement, self.database_name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.venue_url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        (self.folder / "script.json").write_text(json.dumps(short.ALWAYS))
        write_market(self.folder / "market", self.symbols, seed, plan.bar)

    def _start_venue(self, faults: str) -> None:
        arguments = ["venue", "--control", "--json", "--db", str(self.folder / "venue.db")]
        arguments += ["--accounts", str(self.plan.accounts), "--port", self.venue_url.rpartition(":")[2]]
        arguments += ["--data", str(self.folder / "market"), "--seed", str(self.seed), "--faults", faults]
        arguments += ["--parts", ("never", "some", "most")[self.seed % 3], "--weight", "0", "--orders", "0"]
        arguments += ["--script", str(self.folder / "script.json"), "--balance", f"USDT={STAKE * len(self.symbols)}"]
        for name in self.symbols:
            arguments += ["--symbol", name]
        prepare = partial(prepare_venue, self.folder / "counts")
        self.venue = Child(arguments, _environment(), self.folder / "venue.log", prepare, self.folder)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.venue.poll() is not None:
                raise Failed(f"the venue ended with {self.venue.status}: {tail(self.folder / 'venue.log')}")
            try:
                self._request("state")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise Failed("the venue does not answer")

    def _start_worker(self, slot: Slot) -> None:
        self.lives += 1
        slot.name = f"w{slot.number}-life{self.lives}"
        url = f"postgresql://owner@127.0.0.1:{slot.port}/{self.database_name}?sslmode=disable&gssencmode=disable"
        arguments = ["work", "--db", url, "--accounts", str(self.folder / "venue.db.accounts.toml")]
        arguments += ["--name", slot.name, "--lease", str(self.plan.lease), "--connections", "4"]
        environment = _environment() | knobs(self.plan.slots, self.plan.bar)
        log = self.folder / f"{slot.name}.log"
        slot.life = Child(arguments, environment, log, prepared(self.mutant, self.plan.bar), self.folder)

    def _wait_until_all_trade(self) -> None:
        until = time.monotonic() + self.plan.settling
        while time.monotonic() < until:
            started = self._ask("SELECT count(DISTINCT account) FROM instances")[0][0]
            if started == self.plan.accounts:
                return
            self._note_deaths()
            time.sleep(0.2)
        raise Failed(f"after {self.plan.settling:.0f} s not all accounts have begun: {started} of {self.plan.accounts}")

    def _keep_alive(self) -> None:
        self._note_deaths()
        for slot in self.slots:
            if slot.life is None and time.monotonic() >= slot.not_before:
                self._start_worker(slot)

    def _note_deaths(self) -> None:
        now = time.monotonic()
        for slot in self.slots:
            if slot.life is None:
                continue
            if slot.goes_on_at and now >= slot.goes_on_at:
                slot.life.send(signal.SIGCONT)
                slot.goes_on_at = 0.0
            status = slot.life.poll()
            if status is None and not (slot.ends_by and now > slot.ends_by):
                continue
            if not slot.ends_by or status != 0:
                log = tail(self.folder / f"{slot.name}.log")
                how = "told to stop, " if slot.ends_by else "by itself, "
                self.broken.append(f"{how}worker {slot.name} ended with {status}: {log}")
                slot.life.kill()
            slot.life, slot.ends_by, slot.goes_on_at = None, 0.0, 0.0

    def _end_in_order(self, slot: Slot) -> None:
        assert slot.life is not None
        slot.life.send(signal.SIGTERM)
        slot.ends_by = time.monotonic() + STOPPING

    def _stop_workers(self) -> None:
        for slot in self.slots:
            if slot.is_well:
                self._end_in_order(slot)
        while any(slot.life for slot in self.slots):
            self._note_deaths()
            time.sleep(0.02)

    def _kill_all(self) -> None:
        for child in (*(slot.life for slot in self.slots), self.venue):
            if child is not None:
                child.send(signal.SIGCONT)
                child.kill()

    # -- asking ----------------------------------------------------------------------------------------------------

    def _handled(self) -> int:
        return int(self._ask("SELECT count(*) FROM audit WHERE outcome = 'handled'")[0][0])

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def _request(self, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(40):
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(f"{self.venue_url}/venue/{name}", data), timeout=60
                ) as answer:
                    return json.loads(answer.read())
            except OSError:
                if (name == "state" and data is None) or attempt == 39:
                    raise
                time.sleep(0.1)
        raise AssertionError


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}


def tail(log: Path) -> str:
    """What was written last."""
    return log.read_text(errors="replace")[-1_500:] if log.exists() else ""
