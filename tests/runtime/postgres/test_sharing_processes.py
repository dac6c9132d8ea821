"""Real processes on real leases: stopped in the worst moment, killed in the worst moment, and told to go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer
from sharing_process import EXCHANGE, TTL

from runtime.postgres.connection import Address, connect
from runtime.postgres.inbox import Enqueued, enqueue

SCRIPT = Path(__file__).with_name("sharing_process.py")
PATIENCE = 20.0


class Process:
    def __init__(self, url: str, accounts: str, moment: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, url, accounts, *([moment] if moment else [])],
            stdout=subprocess.PIPE,
            text=True,
            cwd=SCRIPT.parents[3],
        )
        self.pid = self.process.pid
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def told(self, what: str) -> list[list[str]]:
        return [line.split("\t")[1:] for line in list(self.lines) if line.split("\t")[0] == what]

    def send(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    @property
    def is_stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


class Bots:
    def __init__(self, url: str) -> None:
        self.url = url
        self.address = Address(url)
        self.processes: list[Process] = []
        self.connection = connect(self.address, "test")
        self.connection.execute(EXCHANGE)

    def start(self, accounts: str = "alpha", moment: str = "") -> Process:
        process = Process(self.url, accounts, moment)
        self.processes.append(process)
        return process

    def send(
        self, account: str, event: str, payload: str = "{}", id: str | None = None, instance: str = "x"
    ) -> Enqueued:
        return enqueue(
            self.address,
            self.connection,
            account=account,
            instance=instance,
            event=event,
            payload=payload.encode(),
            at=time.time_ns() // 1_000_000,
            id=id,
        )

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), values).fetchall()

    def holder(self, account: str) -> str | None:
        found = self.rows("SELECT holder FROM accounts WHERE account = %s AND expires_at > clock_timestamp()", account)
        return found[0][0] if found else None

    def told(self, account: str) -> list[tuple[str, str]]:
        """Event and outcome of all that happened to an account."""
        return self.rows("SELECT event, outcome FROM audit WHERE account = %s ORDER BY seq", account)

    def notes(self, account: str) -> list[str]:
        import msgspec

        (snapshot,) = self.rows("SELECT snapshot FROM instances WHERE account = %s", account)[0]
        return list(msgspec.json.decode(snapshot)["data"]["log"])

    def close(self) -> None:
        for process in self.processes:
            process.end()
        self.connection.close()


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


@pytest.fixture
def bots(postgres: PostgresServer) -> Iterator[Bots]:
    made = Bots(postgres.new_database())
    yield made
    made.close()


def test_a_worker_that_was_paused_before_it_sent_cannot_write_and_nothing_is_done_twice(bots: Bots) -> None:
    paused = bots.start("alpha,beta", "send:SIGSTOP")
    until(lambda: len(paused.told("runs")) == 2)
    bots.send("alpha", "GO", '{"note": "go"}')
    until(lambda: paused.is_stopped)
    other = bots.start("alpha,beta")
    until(lambda: len(other.told("runs")) == 2)
    until(lambda: ("DONE", "handled") in bots.told("alpha"))
    ((_, attempt, pid),) = bots.rows("SELECT id, attempt, pid FROM orders")
    assert (attempt, pid) == (2, other.pid), "by the other one, in a further attempt"

    paused.send(signal.SIGCONT)
    until(lambda: bots.rows("SELECT pid FROM late"))
    assert bots.rows("SELECT attempt, pid FROM late") == [(1, paused.pid)], "what it sends after all comes too late"
    until(lambda: {account for account, _ in paused.told("lost")} == {"alpha", "beta"})
    until(lambda: {bots.holder("alpha"), bots.holder("beta")} == {f"p{paused.pid}", f"p{other.pid}"})
    assert len(bots.rows("SELECT FROM orders")) == 1
    assert bots.told("alpha") == [("GO", "handled"), ("DONE", "handled")]
    assert bots.notes("alpha") == ["go", "carried out"]


def test_a_worker_that_was_paused_after_it_sent_is_found_out(bots: Bots) -> None:
    paused = bots.start(moment="sent:SIGSTOP")
    until(lambda: paused.told("runs"))
    bots.send("alpha", "GO")
    until(lambda: paused.is_stopped)
    other = bots.start()
    until(lambda: ("DONE", "handled") in bots.told("alpha"))
    assert bots.rows("SELECT attempt, pid FROM orders") == [(1, paused.pid)]
    assert bots.notes("alpha") == ["", "found"]
    paused.send(signal.SIGCONT)
    until(lambda: paused.told("lost"))
    assert bots.told("alpha") == [("GO", "handled"), ("DONE", "handled")], "the answer that it had is not taken"
    assert bots.holder("alpha") == f"p{other.pid}"


def test_a_worker_that_dies_right_after_a_commit_leaves_the_rest_to_another(bots: Bots) -> None:
    dying = bots.start(moment="commit:SIGKILL")
    until(lambda: dying.told("runs"))
    other = bots.start()
    until(lambda: other.told("waiting"))
    assert bots.send("alpha", "GO", '{"note": "once"}', id="m1") is Enqueued.ACCEPTED
    assert bots.send("alpha", "GO", '{"note": "twice"}', id="m1") is Enqueued.DUPLICATE
    began = time.monotonic()
    assert dying.process.wait(PATIENCE) == -signal.SIGKILL
    until(lambda: other.told("runs"))
    assert time.monotonic() - began < 2.5 * TTL / 1000
    until(lambda: ("DONE", "handled") in bots.told("alpha"))
    assert bots.notes("alpha") == ["once", "carried out"]
    assert len(bots.rows("SELECT FROM orders")) == 1
    assert bots.rows("SELECT FROM inbox") == []
    assert bots.send("alpha", "GO", '{"note": "again"}', id="m1") is Enqueued.DUPLICATE, "it was handled"


def test_sigterm_hands_over_at_once(bots: Bots) -> None:
    first = bots.start("alpha,beta")
    until(lambda: len(first.told("runs")) == 2)
    second = bots.start("alpha,beta")
    until(lambda: len(second.told("runs")) == 1)
    began = time.monotonic()
    first.send(signal.SIGTERM)
    until(lambda: len(second.told("runs")) == 2)
    assert time.monotonic() - began < TTL / 1000, "nobody waits for a lease to run out"
    assert first.process.wait(PATIENCE) == 0
    assert len(first.told("handed over")) == 2


def test_a_timer_of_an_account_that_nobody_holds_fires_when_somebody_takes_it(bots: Bots) -> None:
    first = bots.start()
    until(lambda: first.told("runs"))
    bots.send("alpha", "BACK")
    until(lambda: bots.rows("SELECT due_at FROM instances WHERE phase = 'B'"))
    ((due_at,),) = bots.rows("SELECT due_at FROM instances")
    first.end()
    until(lambda: time.time_ns() // 1_000_000 > due_at + 100)
    assert bots.rows("SELECT phase FROM instances") == [("B",)]
    bots.start()
    until(lambda: bots.rows("SELECT FROM instances WHERE phase = 'A'"))
    assert bots.told("alpha")[-1] == ("TICK", "handled")


def test_messages_reach_whoever_holds_the_account_once_and_in_order(bots: Bots) -> None:
    first = bots.start("alpha,beta,gamma")
    until(lambda: len(first.told("runs")) == 3)
    expected = [str(number) for number in range(60)]
    for number, note in enumerate(expected):
        for account in ("alpha", "beta", "gamma"):
            bots.send(account, "DONE", f'{{"note": "{note}"}}', id=note)
        if number == 20:
            bots.start("alpha,beta,gamma")
        if number == 40:
            first.send(signal.SIGKILL)
    until(lambda: not bots.rows("SELECT FROM inbox"))
    for account in ("alpha", "beta", "gamma"):
        assert bots.notes(account) == expected
        assert bots.told(account) == [("DONE", "handled")] * 60


def test_what_nobody_can_handle_is_set_aside_with_the_reason_and_may_be_sent_again(bots: Bots) -> None:
    process = bots.start()
    until(lambda: process.told("runs"))
    bots.send("alpha", "DONE", id="unknown", instance="y")
    bots.send("alpha", "NEVER", id="event")
    bots.send("alpha", "DONE", '{"note": 5}', id="payload")
    bots.send("alpha", "DONE", "{", id="json")
    bots.send("alpha", "DONE", '{"note": "good"}', id="good")
    until(lambda: bots.rows("SELECT FROM instances WHERE version = 2"))
    until(lambda: len(process.told("message")) == 4)
    refused = dict(bots.rows("SELECT id, refused FROM inbox"))
    assert "there is no instance 'y'" in refused["unknown"]
    assert "has no event 'NEVER'" in refused["event"]
    assert "it is no Done" in refused["payload"]
    assert "it is no Done" in refused["json"]
    assert refused.keys() == {"unknown", "event", "payload", "json"}

    # The id is known among those of the instance: the same for another one is another event.
    assert bots.send("alpha", "DONE", id="unknown") is Enqueued.ACCEPTED
    until(lambda: bots.notes("alpha") == ["good", ""])
    assert bots.send("alpha", "DONE", id="unknown") is Enqueued.DUPLICATE
    assert bots.send("alpha", "DONE", '{"note": "mended"}', id="payload") is Enqueued.ACCEPTED
    until(lambda: bots.notes("alpha") == ["good", "", "mended"])


def test_a_message_arrives_also_when_nobody_was_told_of_it(bots: Bots) -> None:
    process = bots.start()
    until(lambda: process.told("runs"))
    with psycopg.connect(bots.url, autocommit=True) as quiet:
        quiet.execute(
            "INSERT INTO inbox (account, instance, event, payload, at) VALUES ('alpha', 'x', 'DONE', %s, 1)",
            (b'{"note": "unheard"}',),
        )
    until(lambda: bots.notes("alpha") == ["unheard"])
