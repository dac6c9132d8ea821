"""Durable transitions a second in PostgreSQL, with every commit fenced and audited, and what each writes to disk.

The server is made for it, on the disk that holds the project, with fsync, full_page_writes and synchronous_commit on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import msgspec

from bench.cycle import INITIAL, STEPS, WentAstray
from bench.dispatch_ours import cycle_machine, deliveries
from bench.measuring import CannotMeasure, middle_ratio, ratio
from bench.peers import ROOT, peers_environment, peers_python
from runtime.clock import SystemClock, VirtualClock
from runtime.events import EventContext
from runtime.postgres import schema
from runtime.postgres.connection import Address, Database
from runtime.postgres.inbox import InboxFeed
from runtime.postgres.lease import Lease
from runtime.postgres.leases import PostgresLeases, register
from runtime.postgres.line import Line
from runtime.postgres.store import PostgresStore
from runtime.postgres.values import Blobs, Numbers, Texts
from runtime.store import Commit
from runtime.worker import Worker

sys.path.insert(0, str(ROOT / "tests" / "runtime" / "postgres"))
from own_postgres import MISSING, PostgresServer, make_server, programs_folder

IN_FLIGHT = 32
LEASES, RENEWALS = 500, 20
FED, SENT = "Events of the worker's own", "Events that wait in the database"
UNIT = "transitions per second"
_SETTINGS = ("shared_buffers=128MB", "max_wal_size=2GB", "log_checkpoints=off")


class Measured(msgspec.Struct, frozen=True):
    """What one case came to: transitions a second, and bytes of write-ahead log per transition."""

    rate: float
    wal: float


def measure(scale: str) -> dict[str, Any]:
    if programs_folder() is None:
        raise CannotMeasure(MISSING)
    rounds, cycles = (3, 1) if scale == "ci" else (5, 8)
    cases = _cases(cycles)
    if scale == "full":
        cases |= _peers()
    found: dict[str, list[Measured]] = {name: [] for name in cases}
    with _server() as server:
        url = server.new_database()
        for number in range(rounds):
            names = list(cases)
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                found[name].append(_measured(url, cases[name][1]))
        audit, renewal = _audit_bytes(url), asyncio.run(_renewal_bytes(url))
        versions = {"postgresql": _one(url, "SHOW server_version")}
    extra = [{"what": "an audit row with its indexes", "bytes": round(audit)}]
    extra.append({"what": "WAL of a renewed lease", "bytes": round(renewal)})
    return _summarise(cases, found, extra, versions, in_ci=scale == "ci")


# -- ours ----------------------------------------------------------------------------------------------------------

Case = tuple[str, Callable[[str], tuple[int, float]]]
"""A group of the chart, and what does the job: transitions made, and seconds."""


def _cases(cycles: int) -> dict[str, Case]:
    def fed(instances: int, cycles: int) -> Case:
        return FED, lambda url: asyncio.run(_feed(url, instances, cycles))

    return {
        "phasewright, 1 in flight": fed(1, 4 * cycles),
        f"phasewright, {IN_FLIGHT} in flight": fed(IN_FLIGHT, 2 * cycles),
        "phasewright, 100 in flight": fed(100, cycles),
        f"phasewright's inbox, {IN_FLIGHT} orders": (
            SENT,
            lambda url: asyncio.run(_work_off(url, IN_FLIGHT, 2 * cycles)),
        ),
    }


async def _feed(url: str, instances: int, cycles: int) -> tuple[int, float]:
    """Events come as from an exchange: the next of each instance when the one before is durable."""
    async with _worker(url, instances, VirtualClock(0)) as (worker, _, _):
        waiting = [deliveries(name, cycles) for name in worker.instances]
        started = time.perf_counter()
        for group in zip(*waiting, strict=True):
            for event in group:
                worker.post(event)
            while await worker.pump():
                pass
        taken = time.perf_counter() - started
    return instances * cycles * len(STEPS), taken


async def _work_off(url: str, instances: int, cycles: int) -> tuple[int, float]:
    """Events were put into the inbox before, by somebody else."""
    done = asyncio.Event()
    left = total = instances * cycles * len(STEPS)

    def count(commit: Commit) -> None:
        nonlocal left
        left -= len(commit.answered)
        if not left:
            done.set()

    async with _worker(url, instances, SystemClock(), count) as (worker, database, lease):
        waiting = [deliveries(name, cycles) for name in worker.instances]
        _send(database, lease.account, [event for group in zip(*waiting, strict=True) for event in group])
        feed = InboxFeed(database.address, "bench", SystemClock(), _astray)
        started = time.perf_counter()
        with feed.attached(lease, worker):
            work = [asyncio.create_task(worker.run(done)), asyncio.create_task(feed.run())]
            await work[0]
            taken = time.perf_counter() - started
            work[1].cancel()
            await asyncio.wait(work)
    return total, taken


def _send(database: Database, account: str, events: list[EventContext]) -> None:
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO inbox (account, instance, event, payload, id, at) "
            "SELECT %s, * FROM unnest(%s, %s, %s, %s, %s)",
            (
                account,
                Texts(event.instance for event in events),
                Texts(event.event for event in events),
                Blobs(msgspec.json.encode(event.payload) for event in events),
                Texts(uuid4().hex for _ in events),
                Numbers(event.at for event in events),
            ),
        )


def _astray(account: str, instance: str, reason: str) -> None:
    raise WentAstray(f"{account} {instance}: {reason}")


class _worker:  # noqa: N801
    """A worker on a new account, with as many instances, and the lease under which it writes."""

    def __init__(self, url: str, instances: int, clock: Any, on_commit: Callable[[Commit], None] | None = None) -> None:
        self._database = Database(url, "bench")
        account = uuid4().hex
        ((epoch,),) = self._database.execute(
            "take",
            "INSERT INTO accounts (account, namespace, epoch, holder, expires_at) "
            "VALUES (%s, %s, 1, 'bench', clock_timestamp() + interval '1 hour') RETURNING epoch",
            account,
            account,
        )
        self._lease = Lease(account, "bench", epoch)
        store = PostgresStore(self._database, account, self._lease)
        self._worker = Worker(cycle_machine(), store, clock, object(), on_commit=on_commit)
        self._names = [f"ORDER-{number:03}" for number in range(instances)]

    async def __aenter__(self) -> tuple[Worker, Database, Lease]:
        await self._worker.start()
        for name in self._names:
            await self._worker.create(name)
        return self._worker, self._database, self._lease

    async def __aexit__(self, *error: object) -> None:
        phases = {instance.phase for instance in self._worker.instances.values()}
        await self._worker.stop()
        self._database.close()
        if error[0] is None and phases != {INITIAL}:
            raise WentAstray(f"ours ends in {phases}")


# -- others --------------------------------------------------------------------------------------------------------


def _peers() -> dict[str, Case]:
    def peer(name: str, orders: int) -> Callable[[str], tuple[int, float]]:
        def work(url: str) -> tuple[int, float]:
            call = [str(peers_python()), "-m", "bench.postgres_peers", name, url, str(orders)]
            done = subprocess.run(call, env=peers_environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
            made, taken = json.loads(done.stdout)
            return made, taken

        return work

    return {
        f"harel's distributed runner, {IN_FLIGHT} orders": (SENT, peer("harel", IN_FLIGHT)),
        "harel's durable runner": (FED, peer("harel-durable", 4)),
        "eventsourcing": (FED, peer("eventsourcing", 8)),
    }


# -- the server ----------------------------------------------------------------------------------------------------


@contextmanager
def _server() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-", dir=ROOT / "var"))
    try:
        folder.chmod(0o755)
        server = make_server(folder)
        server.start(*_SETTINGS)
        try:
            server.execute("CREATE DATABASE migrated")
            schema.upgrade(server.url("migrated"))
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(url: str, work: Callable[[str], tuple[int, float]]) -> Measured:
    before = _one(url, "SELECT pg_current_wal_lsn()")
    made, taken = work(url)
    return Measured(made / taken, float(_one(url, f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")) / made)


def _audit_bytes(url: str) -> float:
    """Bytes on disk of an audit row, its indexes included."""
    return float(_one(url, "SELECT pg_total_relation_size('audit')::float / count(*) FROM audit"))


async def _renewal_bytes(url: str) -> float:
    """Bytes of write-ahead log that it takes to renew the lease of one account among many."""
    line, leases = Line(Address(url), "bench", 30_000), PostgresLeases(Address(url), "bench", 60_000)
    names = [uuid4().hex for _ in range(LEASES)]
    await register(line, names)
    held = await leases.take(names)
    before = await asyncio.to_thread(_one, url, "SELECT pg_current_wal_lsn()")
    for _ in range(RENEWALS):
        await leases.renew(held, set(names))
    written = await asyncio.to_thread(_one, url, f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")
    await leases.close()
    await line.close()
    return float(written) / LEASES / RENEWALS


def _one(url: str, query: str) -> Any:
    database = Database(url, "bench", connections=1)
    try:
        ((value,),) = database.execute("read", query)
        return value
    finally:
        database.close()


def _summarise(
    cases: dict[str, Case],
    found: dict[str, list[Measured]],
    extra: list[dict[str, Any]],
    versions: dict[str, str],
    *,
    in_ci: bool,
) -> dict[str, Any]:
    rows = [
        {
            "case": name,
            "value": round(median(one.rate for one in found[name])),
            "unit": UNIT,
            "group": group,
            "best_round": round(max(one.rate for one in found[name])),
            "wal_bytes_per_transition": round(median(one.wal for one in found[name])),
            "ours": name.startswith("phasewright"),
        }
        for name, (group, _) in cases.items()
    ]
    rows.sort(key=lambda row: (row["group"] != FED, -row["value"]))
    rows += extra
    alone, together, inbox, *others = ([1 / one.rate for one in found[name]] for name in (*cases,) if "100" not in name)
    ratios = {
        f"{IN_FLIGHT} in flight, by 1 in flight": ratio(
            middle_ratio(alone, together),
            "one statement and one fsync for the group",
            at_least=3 if in_ci else 6,
        ),
        "from the inbox, by 1 in flight": ratio(
            middle_ratio(alone, inbox),
            "reading the inbox is a statement for many, and answering it is in the commit",
            at_least=2 if in_ci else 5,
        ),
    }
    if others:
        ratios["from the inbox, by harel's distributed runner"] = ratio(
            middle_ratio(others[0], inbox),
            "both take events from the database, on the same server, with as many in flight",
            at_least=15,
        )
    return {"rows": rows, "ratios": ratios, "versions": versions}
