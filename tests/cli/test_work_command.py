"""Bots that share accounts, as a user runs them: real processes, a venue with several accounts, and kill -9."""

from __future__ import annotations

import json
import re
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from breaking_wire import BreakingWire  # type: ignore[import-not-found]
from live_processes import PATIENCE, QUICK, Process, Venue  # type: ignore[import-not-found]
from phasewright_process import Done, phasewright
from postgres_server import PostgresServer  # type: ignore[import-not-found]
from typer.testing import CliRunner

from engine.accounts_file import load_accounts
from phasewright import app
from runtime.errors import ConfigError

LEASE = "2"


class Cluster:
    """Workers on one database, and a venue with two accounts; a third has a key that the venue does not know."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.venue = Venue(folder, "--accounts", "2")
        self.file = folder / "accounts.toml"
        text = (folder / "venue.db.accounts.toml").read_text()
        broken = f'[[account]]\nname = "broken"\nexchange = "binance"\nurl = "{self.venue.url}"\n'
        self.file.write_text(text + broken + f'symbols = ["BTC/USDT"]\napi_key = "{"k" * 64}"\nsecret = "s"\n')
        self.names = [one["name"] for one in tomllib.loads(text)["account"]]
        self.started: list[Process] = []

    def start(self, *command: str, **env: str) -> Process:
        process = Process(*command, "--db", self.url, "--lease", LEASE, cwd=self.folder, **{**QUICK, **env})
        self.started.append(process)
        return process

    def work(self, name: str) -> Process:
        return self.start("work", "--accounts", "accounts.toml", "--name", name)

    def ask(self, *command: str) -> Done:
        return phasewright(*command, "--db", self.url, cwd=self.folder)

    def holders(self) -> dict[str, str]:
        """The accounts that somebody holds, each with its worker."""
        found = self.ask("accounts", "--json").json["accounts"]
        return {one["account"]: one["holder"].partition("-")[0] for one in found if one["holder"]}

    def until_held(self, **wanted: set[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            holders = {account: holder for account, holder in self.holders().items() if account in self.names}
            found = {name: {account for account in holders if holders[account] == name} for name in wanted}
            if {name: len(accounts) for name, accounts in found.items()} == {n: len(a) for n, a in wanted.items()}:
                return
            assert time.monotonic() < deadline, (holders, [process.lines for process in self.started])

    def close(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                process.process.kill()
            process.process.wait()
        self.venue.close()


@pytest.fixture
def cluster(postgres: PostgresServer, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(str(postgres.new_database()), tmp_path)
    yield made
    made.close()


def orders(cluster: Cluster, account: int) -> list[str]:
    """The sides of all orders that the venue accepted from an account."""
    return [order["side"] for order in cluster.venue.books(account)["orders"]]


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def until_bought(cluster: Cluster) -> list[list[str]]:
    """Let the price fall until both accounts hold something; on a busy machine one may miss a bar of one second."""
    for _ in range(10):
        cluster.venue.price(97)
        if eventually(lambda: all(orders(cluster, account)[-1:] == ["buy"] for account in (1, 2)), 5):
            return [orders(cluster, account) for account in (1, 2)]
        cluster.venue.price(100)
        time.sleep(2)
    raise AssertionError([process.lines for process in cluster.started])


def test_workers_share_accounts_take_over_and_hand_over(cluster: Cluster) -> None:
    venue, (first, second) = cluster.venue, cluster.names
    one = cluster.work("one")
    one.wait_for(f"{first}  BTC/USDT  WARMUP -> IDLE")
    assert "Tried again in" in one.wait_for("refuses the key"), "and the others trade"
    with psycopg.connect(cluster.url) as other:
        other.execute("INSERT INTO accounts (account, namespace) VALUES ('elsewhere', 'n')")
    two = cluster.work("two")
    assert two.wait_for("not served here").endswith("accounts.toml: elsewhere")
    cluster.until_held(one={first}, two={second})

    bought = until_bought(cluster)
    one.end(signal.SIGKILL)
    cluster.until_held(two={first, second})
    venue.price(100)
    assert eventually(lambda: [orders(cluster, 1), orders(cluster, 2)] == [[*one, "sell"] for one in bought])

    three = cluster.work("three")
    cluster.until_held(two={first}, three={second})
    assert two.end(signal.SIGTERM) == 0
    assert "Stopped. No order is live at an exchange." in two.lines[-1]
    cluster.until_held(three={first, second})
    shown = cluster.ask("accounts")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "broken" in shown.out
    check_sending(cluster, three, first)
    assert three.end(signal.SIGINT) == 130


def test_a_worker_waits_for_a_database_that_is_away_and_not_for_one_that_there_is_none_of(
    cluster: Cluster, postgres: PostgresServer
) -> None:
    wire = BreakingWire(postgres.port)
    wire.go_down()
    right = cluster.url
    cluster.url = re.sub(r":\d+/", f":{wire.port}/", right)
    try:
        one, two = cluster.work("one"), cluster.work("two")
        assert "nothing is traded from here meanwhile" in one.wait_for("Waiting for it")
        two.wait_for("Waiting for it")
        assert two.end(signal.SIGTERM) == 0
        assert "Stopped. No order is live at an exchange." in two.lines[-1]
        wire.come_up()
        one.wait_for("the database answers")
        one.wait_for(f"{cluster.names[0]}  taken")
        assert one.end(signal.SIGTERM) == 0
    finally:
        wire.close()
    cluster.url = right + "-misspelt"
    refused = cluster.ask("work", "--accounts", "accounts.toml")
    assert refused.status == 1
    assert "does not exist" in refused.err


def test_a_standby_takes_over_an_order_whose_answer_nobody_heard(cluster: Cluster) -> None:
    venue = cluster.venue
    command = ("trade", "--symbol", "BTC/USDT", "--url", venue.url, "--account", "solo")
    first = cluster.start(*command, **venue.keys)
    first.wait_for("WARMUP -> IDLE")
    standby = cluster.start(*command, **venue.keys)
    standby.wait_for("waiting to take it over")
    venue.tell("script", [{"request": "POST order", "late_ms": 30_000}])
    for _ in range(10):
        venue.price(97)
        if first.wait_for("-> PLACE_BUY", 3):
            break
        venue.price(100)
        time.sleep(2)
    while not orders(cluster, 1):
        time.sleep(0.05)
    first.end(signal.SIGKILL)
    venue.tell("script", [])
    standby.wait_for("taken, epoch 2")
    standby.wait_for("-> POSITION")
    assert orders(cluster, 1) == ["buy"]
    assert standby.end(signal.SIGTERM) == 0


def check_sending(cluster: Cluster, worker: Process, account: str) -> None:
    failure = json.dumps({"error": "by hand", "failed_event": "none"})
    send = ("send", account, "BTC/USDT", "ERROR_OCCURRED", failure, "--id", "e1")
    assert cluster.ask(*send).out == "accepted, id e1\n"
    worker.wait_for("-> ERROR")
    assert cluster.ask(*send, "--json").json == {"outcome": "duplicate", "id": "e1"}
    recovered = CliRunner().invoke(app, ["recover", "BTC/USDT", "--account", account, "--db", cluster.url])
    assert recovered.output == "BTC/USDT: ERROR -> COOLDOWN\n"
    again = CliRunner().invoke(app, ["recover", "BTC/USDT", "--account", account, "--db", cluster.url])
    assert again.exit_code == 1
    assert "there is nothing to recover. Nothing was changed." in again.stderr
    for wrong, why in (
        (("send", account, "BTX/USDT", "ERROR_OCCURRED", failure), "there is no symbol 'BTX/USDT'. It has BTC/USDT."),
        (("send", account, "BTC/USDT", "ERROR_OCCURED", failure), "Did you mean ERROR_OCCURRED?"),
        (("send", account, "BTC/USDT", "ERROR_OCCURRED", "{}"), "Its fields are: error, failed_event."),
        (("send", "nobody", "BTC/USDT", "ERROR_OCCURRED", failure), "there is no account 'nobody'"),
    ):
        done = CliRunner().invoke(app, [*wrong, "--db", cluster.url])
        assert done.exit_code == 1
        assert why in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[settings]\nMAX_SLOT = 1\n[[account]]\nname = "a"\nexchange = "binance"\nsymbols = ["BTC/USDT"]',
            "no setting 'MAX_SLOT'. Did you mean MAX_SLOTS?",
        ),
        ('[[account]]\nname = "a"\nexchange = "binanse"\nsymbols = ["BTC/USDT"]', "binance"),
        ("", "An accounts file looks like this"),
        ("account = 5", "An accounts file looks like this"),
        ('[[account]]\nname = "a"\nexchange = "binance"\nsymbols = []\nsandbox = true', "has no symbols"),
        ('[[account]]\nname = "a b"\nexchange = "binance"\nsymbols = ["BTC/USDT"]', "is no name for an account"),
        (2 * '[[account]]\nname = "a"\nexchange = "binance"\nsymbols = ["BTC/USDT"]\n', "there are two accounts 'a'"),
        (
            '[[account]]\nname = "a"\nexchange = "binance"\nsymbols = ["BTC/USDT"]\nlive = true\napi_key = "SECRET"\n'
            'secret = "SECRET"',
            "Take them out",
        ),
        ('[[account]]\nname = "a"\nexchange = "binance"\nsymbols = ["BTC/USDT"]\nsecrt = "SECRET"', "secrt"),
    ],
    ids=["setting", "exchange", "empty", "no list", "no symbols", "name", "twice", "real keys", "misspelt"],
)
def test_an_accounts_file_that_makes_no_sense_is_refused(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(why)) as refused:
        load_accounts(tmp_path / "accounts.toml")
    assert "SECRET" not in str(refused.value)
