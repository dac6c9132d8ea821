"""One run: a venue with many accounts, workers that share them in one database, and everything between them broken;
then quiet, and each account's books compared.

From the seed follow the bars, the fate of each request, and the order of the blows. What the processes and a network
add is not repeatable.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import psycopg
from cluster_checks import violations_in_database
from cluster_processes import SERVER, Cluster, Failed, Plan, Slot, tail
from cluster_proxy import Wires
from own_postgres import PostgresServer
from torture_checks import lifecycles_in, violations_at_rest, violations_of_orders
from torture_run import fault_kind

from engine import shared_commands
from runtime.errors import StoreError
from runtime.postgres.connection import Database
from runtime.postgres.store import PostgresStore

AT_REST = ("IDLE", "WARMUP")
RECOVERIES = 4


class Result(msgspec.Struct, kw_only=True):
    """What a run came to. `points` counts what went wrong by kind; durations are in seconds."""

    seed: int
    plan: Plan
    seconds: float
    points: dict[str, int]
    orders: int
    lifecycles: int
    events: int
    take_overs: int
    take_over: dict[str, float]
    """From a kill until an account has another worker: median and most."""
    back_at_work: dict[str, float]
    """From a kill until the first commit of an account under another worker."""
    hand_over: dict[str, float]
    """From SIGTERM until an account has another worker."""
    epochs: int
    lives: int
    recoveries: int
    violations: list[str]
    folder: str = ""


class ClusterRun(Cluster):
    """A run in which all of it is broken."""

    def __init__(self, seed: int, plan: Plan, server: PostgresServer, folder: Path, mutant: str | None = None) -> None:
        super().__init__(seed, plan, server, folder, mutant)
        self.recoveries = 0
        self.wires: Wires
        self._kills: list[tuple[float, str]] = []
        self._hand_overs: list[tuple[float, str]] = []

    def play(self) -> Result:
        """All of it. The folder stays."""
        began = time.monotonic()
        self.wires = Wires(self.server.port, self.plan.workers)
        self.slots = [Slot(number, port) for number, port in enumerate(self.wires.ports)]
        try:
            self._start_venue("torture")
            for slot in self.slots:
                self._start_worker(slot)
            self._wait_until_all_trade()
            self._hurt()
            self._check_point()
            # A mutant that is found out need not come to rest.
            if not (self.mutant and self.broken):
                at_rest = self._settle()
                self._stop_workers()
                self._compare(at_rest)
        except Failed as failure:
            self.broken.append(str(failure))
        finally:
            self.points.update(self.wires.counts())
            self._kill_all()
            self.wires.close()
        self._count_faults()
        return self._result(time.monotonic() - began)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def _hurt(self) -> None:
        lease = self.plan.lease
        blows: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self._kill),
            (5, partial(self._pause, 1.3 * lease, 2.0 * lease, "past its leases")),
            (2, partial(self._pause, 0.1 * lease, 0.6 * lease, "shorter than its leases")),
            (5, self._hand_over),
            (5, partial(self._restart_database, "immediate")),
            (2, partial(self._restart_database, "fast")),
            (3, partial(self._cut, all_of_them=False)),
            (2, partial(self._cut, all_of_them=True)),
            (5, partial(self._hang, 1.3 * lease, 2.0 * lease, "past its leases")),
            (3, partial(self._hang, 0.1 * lease, 0.6 * lease, "shorter than its leases")),
            (6, partial(self._break_commit, "lose answer")),
            (4, partial(self._break_commit, "lose request")),
            (4, partial(self._break_commit, "deliver late")),
            (2, self._kill_venue),
            (2, self._cut_venue),
        )
        began = time.monotonic()
        checked = began
        # The worst ones come in every run, however short it is.
        first = [blow for weight, blow in blows if weight >= 5]
        self.chance.shuffle(first)
        while time.monotonic() < began + self.plan.seconds and not (self.mutant and self.broken):
            self._keep_alive()
            blow = self.chance.choices([one for _, one in blows], [weight for weight, _ in blows])[0]
            (first.pop() if first else blow)()
            pause = time.monotonic() + self.chance.uniform(0.3, 1.7) * self.plan.pace
            while time.monotonic() < pause:
                self._keep_alive()
                time.sleep(0.02)
            if time.monotonic() > checked + self.plan.seconds / 3:
                self._check_point()
                checked = time.monotonic()

    def _well(self) -> Slot | None:
        """One that is, if there is such, at work."""
        well = [slot for slot in self.slots if slot.is_well]
        holders = [holder for (holder,) in self._ask("SELECT holder FROM accounts WHERE holder IS NOT NULL")]
        at_work = [slot for slot in well if any(holder.startswith(f"{slot.name}-") for holder in holders)]
        return self.chance.choice(at_work or well) if well else None

    def _kill(self) -> None:
        slot = self._well()
        if slot is None or slot.life is None:
            return
        if self.chance.random() < 0.3:
            # As when the machine is gone: nobody tells the database that the connection ended.
            self.wires.tell("hang", slot.number, round(self.plan.lease * 1500))
            self.points["worker killed, its connections left hanging"] += 1
        else:
            self.points["worker killed"] += 1
        self._kills.append((time.time(), slot.name))
        slot.life.kill()
        slot.life = None
        slot.not_before = time.monotonic() + self.chance.choice((0.0, 0.5, 1.5)) * self.plan.lease

    def _pause(self, least: float, most: float, how_long: str) -> None:
        slot = self._well()
        if slot is None or slot.life is None:
            return
        slot.life.send(signal.SIGSTOP)
        slot.goes_on_at = time.monotonic() + self.chance.uniform(least, most)
        self.points[f"worker stopped {how_long}"] += 1

    def _hand_over(self) -> None:
        slot = self._well()
        # One that has not yet begun would just be ended.
        if slot is None or not tail(self.folder / f"{slot.name}.log"):
            return
        self._end_in_order(slot)
        self._hand_overs.append((time.time(), slot.name))
        self.points["worker told to stop"] += 1
        slot.not_before = time.monotonic() + self.chance.uniform(0.0, self.plan.lease)

    def _restart_database(self, how: str) -> None:
        self.server.kill() if how == "immediate" else self.server.stop()
        time.sleep(self.chance.choice((0.0, 0.3, 1.0)))
        self.server.start(*SERVER)
        self.points[f"database restarted, {how}"] += 1

    def _cut(self, all_of_them: bool) -> None:
        slots = self.slots if all_of_them else [self.chance.choice(self.slots)]
        for slot in slots:
            self.wires.tell("cut", slot.number)
        self.points["all connections to the database cut" if all_of_them else "a worker's connections cut"] += 1

    def _hang(self, least: float, most: float, how_long: str) -> None:
        slot = self.chance.choice(self.slots)
        self.wires.tell("hang", slot.number, round(self.chance.uniform(least, most) * 1000))
        self.points[f"a worker's connections hung {how_long}"] += 1

    def _break_commit(self, how: str) -> None:
        """Several in a row: the commits on the way to the one that matters are many."""
        slot = self.chance.choice(self.slots)
        for _ in range(self.chance.randint(1, 3)):
            self.wires.tell(how, slot.number, round(self.chance.uniform(0.1, 1.5) * self.plan.lease * 1000))

    def _kill_venue(self) -> None:
        assert self.venue is not None
        self.venue.kill()
        self.points["venue killed"] += 1
        time.sleep(self.chance.choice((0.0, 0.5)))
        self._start_venue("torture")

    def _cut_venue(self) -> None:
        self._request("down", {"ms": self.chance.choice((0, 300, 1_500))})
        self.points["venue's connections cut"] += 1

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _check_point(self) -> None:
        """What must hold at any time."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = violations_in_database(connection)
        for text in found:
            if text not in self.broken:
                self.broken.append(text)

    def _settle(self) -> bool:
        """Nothing goes wrong any more, prices stand still: every symbol must come to rest. Whether it did."""
        for slot in self.slots:
            self.wires.tell("mend", slot.number)
            slot.not_before = 0.0
        self._keep_alive()
        self._request("script", [])
        self._request("profile", {"name": "calm"})
        with urllib.request.urlopen(f"{self.venue_url}/api/v3/ticker/price", timeout=60) as answer:
            prices = {one["symbol"]: one["price"] for one in json.loads(answer.read())}
        for name in self.symbols:
            self._request("market", {"symbol": name, "price": prices[name.replace("/", "")]})
        until, quiet = time.monotonic() + self.plan.settling, 0
        tried: dict[tuple[str, str], list[float]] = defaultdict(list)
        while quiet < 4:
            self._keep_alive()
            unrest = self._ask("SELECT account, instance, phase FROM instances WHERE phase <> ALL (%s)", list(AT_REST))
            (count,) = self._ask("SELECT count(*) FROM instances")[0]
            (under_way,) = self._ask("SELECT count(*) FROM outbox WHERE outcome IS NULL")[0]
            whole = count == self.plan.accounts * self.plan.symbols
            quiet = quiet + 1 if whole and not unrest and not under_way else 0
            if time.monotonic() > until:
                text = f"not at rest after {self.plan.settling:.0f} s: {unrest[:20]}, {under_way} effects open, "
                self.broken.append(text + f"{count} instances; {self._unheld()}")
                return False
            waiting = set(self._ask("SELECT account, instance FROM inbox WHERE refused IS NULL"))
            for account, instance, phase in unrest:
                known = tried[account, instance]
                if phase != "ERROR" or (account, instance) in waiting or (known and time.monotonic() < known[-1] + 5):
                    continue
                if len(known) == RECOVERIES:
                    self.broken.append(f"{account} {instance} is in ERROR still, after {RECOVERIES} recoveries")
                    return False
                known.append(time.monotonic())
                self._recover(account, instance)
            time.sleep(0.4)
        return True

    def _recover(self, account: str, instance: str) -> None:
        try:
            shared_commands.send(self.url, account, instance, "RECOVER_REQUESTED", '{"requested_by": "torture"}', None)
        except StoreError as error:
            self.broken.append(f"{account} {instance} cannot be recovered: {error}")
        self.recoveries += 1

    def _unheld(self) -> str:
        rows = self._ask("SELECT account FROM accounts WHERE holder IS NULL OR expires_at <= clock_timestamp()")
        return f"without a worker: {', '.join(name for (name,) in rows) or 'none'}"

    def _compare(self, at_rest: bool) -> None:
        self._check_point()
        database = Database(self.url, "torture", connections=1, read_only=True)
        try:
            for number, account in enumerate(self.accounts, 1):
                books = self._request(f"books?account={number}")
                found = violations_of_orders(books["orders"])
                # Of what is under way the two sets of books may well differ.
                if at_rest:
                    found += violations_at_rest(PostgresStore(database, account), books, self.plan.symbols)
                self.broken += [f"{account}: {text}" for text in found]
        finally:
            database.close()
        for log in sorted(self.folder.glob("*.log")):
            if "Traceback" in log.read_text(errors="replace"):
                self.broken.append(f"a traceback in {log.name}: {tail(log)}")

    def _result(self, seconds: float) -> Result:
        taken, at_work = self._take_overs(self._kills)
        handed_over, _ = self._take_overs(self._hand_overs)
        database = Database(self.url, "torture", connections=1, read_only=True)
        try:
            closed = sum(lifecycles_in(PostgresStore(database, account)) for account in self.accounts)
        finally:
            database.close()
        result = Result(
            seed=self.seed,
            plan=self.plan,
            seconds=round(seconds, 1),
            points=dict(sorted(self.points.items())),
            orders=self._ask("SELECT count(*) FROM outbox WHERE effect ~ '^submit'")[0][0],
            lifecycles=closed,
            events=self._handled(),
            take_overs=len(taken),
            take_over=_middle_and_most(taken),
            back_at_work=_middle_and_most(at_work),
            hand_over=_middle_and_most(handed_over),
            epochs=self._ask("SELECT coalesce(sum(epoch), 0)::bigint FROM accounts")[0][0],
            lives=self.lives,
            recoveries=self.recoveries,
            violations=self.broken,
            folder=str(self.folder),
        )
        (self.folder / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
        return result

    def _take_overs(self, ends: list[tuple[float, str]]) -> tuple[list[float], list[float]]:
        """For each account of a worker that was ended: seconds until another worker had it, and until the first commit
        after that."""
        taken, at_work = [], []
        for ended_at, name in ends:
            rows = self._ask(
                """
                SELECT held.account, next.at, next.epoch FROM (
                    SELECT DISTINCT ON (account) account, holder, epoch FROM lease_log
                    WHERE at < to_timestamp(%s) ORDER BY account, at DESC
                ) AS held
                CROSS JOIN LATERAL (
                    SELECT extract(epoch FROM at)::float8 AS at, epoch FROM lease_log
                    WHERE account = held.account AND epoch > held.epoch AND holder IS NOT NULL ORDER BY at LIMIT 1
                ) AS next
                WHERE held.holder LIKE %s
                """,
                ended_at,
                f"{name}-%",
            )
            for account, at, epoch in rows:
                taken.append(at - ended_at)
                first = self._ask("SELECT min(at) FROM audit WHERE account = %s AND epoch >= %s", account, epoch)[0][0]
                if first is not None:
                    at_work.append(first / 1000 - ended_at)
        return taken, at_work

    def _count_faults(self) -> None:
        journal = self.folder / "venue.db.journal"
        for line in journal.read_text().splitlines() if journal.exists() else ():
            fault = json.loads(line)
            if fault["what"] == "fault":
                self.points[fault_kind(fault)] += 1


def _middle_and_most(seconds: list[float]) -> dict[str, float]:
    return {"median": round(median(seconds), 2), "most": round(max(seconds), 2)} if seconds else {}
