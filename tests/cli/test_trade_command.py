"""`phasewright trade` as a user runs it: real processes, the real ccxt, a venue on loopback, and kill -9."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from live_processes import PATIENCE, QUICK, Process, Venue  # type: ignore[import-not-found]
from phasewright_process import Done, phasewright
from typer.testing import CliRunner

from engine import commands
from engine.live_account import Account, Mode, check_account, hash_of_key, mark
from engine.live_settings import LIVE_KNOBS, confirmation_of
from phasewright import app
from runtime.config import written
from runtime.errors import StoreError
from runtime.sqlite_store import SqliteStore

KEYS = {"PHASEWRIGHT_API_KEY": "a" * 64, "PHASEWRIGHT_SECRET": "b" * 64}


class Bots:
    """Starts bots on the venue, and ends whatever is left of them."""

    def __init__(self, venue: Venue, folder: Path) -> None:
        self.venue = venue
        self.folder = folder
        self.database = folder / "bot.db"
        self._started: list[Process] = []

    def start(self, **env: str) -> Process:
        bot = Process(
            *("trade", "--symbol", "BTC/USDT", "--url", self.venue.url, "--db", "bot.db"),
            cwd=self.folder,
            **{**QUICK, **self.venue.keys, **env},
        )
        self._started.append(bot)
        return bot

    def until_bought(self, bot: Process) -> None:
        """Let the price fall until the bot sees it; on a busy machine it may miss a bar of one second."""
        for _ in range(10):
            self.venue.price(97)
            if bot.wait_for("-> PLACE_BUY", 3):
                return
            self.venue.price(100)
            time.sleep(2)
        raise AssertionError(f"it does not buy: {bot.lines}")

    def close(self) -> None:
        for bot in self._started:
            with suppress(ProcessLookupError):
                bot.process.kill()


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[Bots]:
    venue = Venue(tmp_path)
    made = Bots(venue, tmp_path)
    yield made
    made.close()
    venue.close()


def test_a_trade_a_kill_in_the_middle_of_an_order_a_stop_and_a_revoked_key(bots: Bots) -> None:
    venue = bots.venue
    bot = bots.start()
    assert "rehearsal" in bot.wait_for("trading BTC/USDT on binance")
    bot.wait_for("WARMUP -> IDLE")
    bots.until_bought(bot)
    bot.wait_for("-> POSITION  BUY_ORDER_FILLED")
    compared = phasewright("reconcile", "--db", "bot.db", "--json", cwd=bots.folder, env=bots.venue.keys)
    worth = compared.json["worth"]["BTC/USDT"]
    assert Decimal(worth["bid"]) == 97, "as the venue's ticker shows it"
    assert Decimal(worth["value"]) == Decimal(worth["held"]) * 97 > 9_000
    venue.price(100)
    bot.wait_for("POST_TRADE -> COOLDOWN")
    bot.wait_for("COOLDOWN -> IDLE")
    assert len(commands.trades(bots.database, "BTC/USDT")) == 1, "while it runs"

    # The exchange takes the next order, and the bot is dead before the answer comes.
    venue.tell("script", [{"request": "POST order", "late_ms": 30_000}])
    bots.until_bought(bot)
    while len(venue.books()["orders"]) < 3:
        time.sleep(0.05)
    assert bot.end(signal.SIGKILL) == -signal.SIGKILL
    venue.tell("script", [])
    compared = phasewright("reconcile", "--db", "bot.db", "--json", cwd=bots.folder, env=bots.venue.keys)
    assert compared.json["left_out"] == {"BTC/USDT": "PLACE_BUY"}, "whose order is filled, and nobody knows it yet"

    # A start that never reached the exchange does not know that the order is over.
    venue.tell("state", {"maintenance": True})
    bot = bots.start()
    bot.wait_for("asking again")
    assert bot.end(signal.SIGTERM) == 0
    assert "there may be live: BTC/USDT " in bot.lines[-1]
    venue.tell("state", {"maintenance": False})

    bot = bots.start()
    bot.wait_for("PLACE_BUY -> ")
    bot.wait_for("-> POSITION")
    venue.price(100)
    bot.wait_for("POST_TRADE -> COOLDOWN")
    asked = phasewright("recover", "BTC/USDT", "--db", "bot.db", cwd=bots.folder)
    assert asked.status == 1, "it is not in ERROR, says the running bot"
    assert "there is nothing to recover. Nothing was changed." in asked.err
    assert bot.end(signal.SIGTERM) == 0
    assert "No order is live" in bot.lines[-1]

    books = venue.books()
    assert [order["side"] for order in books["orders"]] == ["buy", "sell", "buy", "sell"]
    assert len({order["client_order_id"] for order in books["orders"]}) == 4
    compared = phasewright("reconcile", "--db", "bot.db", "--json", cwd=bots.folder, env=bots.venue.keys)
    assert (compared.status, compared.json) == (0, {"differences": [], "left_out": {}})
    cash = commands.status(bots.database).cash["USDT"]
    assert cash == Decimal(books["balances"]["USDT"]["free"])

    venue.tell("state", {"revoked": True})
    bot = bots.start()
    told = bot.wait_for("error: ")
    assert "refuses the key" in told
    assert "-2015" in told
    assert "the same command goes on from here" in told
    assert bot.process.wait(PATIENCE) == 1
    assert bots.venue.keys["PHASEWRIGHT_SECRET"] not in _everything(bots.folder, "bot.db*")
    assert bots.venue.keys["PHASEWRIGHT_API_KEY"] not in _everything(bots.folder, "bot.db*")


def _everything(folder: Path, pattern: str) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob(pattern) if path.is_file())


# -- refused before anything is sent ---------------------------------------------------------------------------------

Refused = Callable[[Done], str]


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        ([], {}, "Say where to trade, with one of: --url"),
        (["--live", "--sandbox"], {}, "Say where to trade"),
        (["--live"], {}, f'PHASEWRIGHT_LIVE="{confirmation_of("binance")}"'),
        (["--live"], {"PHASEWRIGHT_LIVE": "yes"}, "exactly so"),
        (["--url", "https://api.binance.com"], {}, "an exchange is reached with --sandbox or --live"),
        (["--url", "http://10.0.0.1:80"], {}, "a venue on this machine"),
        (["--exchange", "kraken", "--sandbox"], {}, "kraken has no test network"),
        (["--exchange", "coinbase", "--live"], {}, "No real money is traded on coinbase"),
        (["--exchange", "nowhere", "--sandbox"], {}, "'nowhere' is not in the table"),
        (["--sandbox"], {"PHASEWRIGHT_SECRET": ""}, "PHASEWRIGHT_SECRET is not set"),
        (["--sandbox", "--account", "alpha"], {}, "a file has one only"),
        (["--sandbox", "--lease", "5"], {}, "a bot on a file has no standby"),
        (["--sandbox"], {"TIMEFRAME": "soon"}, "TIMEFRAME is 'soon'"),
        (["--sandbox"], {"FSM_SNAPSHOT_ENABLED": "false"}, "the bot always keeps one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_it_is_refused_with_what_to_do(
    arguments: list[str], env: dict[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = {name: None for name in os.environ if name.startswith(("PHASEWRIGHT_", "FSM_", "TIMEFRAME"))}
    done = CliRunner().invoke(
        app,
        ["trade", "--symbol", "BTC/USDT", *arguments],
        env={**clean, "FSM_SNAPSHOT_DIR": str(tmp_path), **KEYS, **env},
    )
    assert done.exit_code == 1, done.output
    assert told in done.output
    assert list(tmp_path.iterdir()) == [], "nothing was made"


def test_a_first_start_that_fails_leaves_no_database_and_another_account_can_begin(bots: Bots) -> None:
    arguments = ("trade", "--url", bots.venue.url, "--db", "bot.db", "--symbol")
    wrong = {**QUICK, **KEYS}
    failed = phasewright(*arguments, "BTC/USDT", cwd=bots.folder, env=wrong)
    assert failed.status == 1
    assert "refuses the key" in failed.err
    assert [path.name for path in bots.folder.glob("bot.db*")] == ["bot.db.lock"]
    unknown = phasewright(*arguments, "NO/USDT", cwd=bots.folder, env={**QUICK, **bots.venue.keys})
    assert "does not trade NO/USDT" in unknown.err
    assert not bots.database.exists()

    bot = bots.start()
    bot.wait_for("WARMUP -> IDLE")
    assert bot.end(signal.SIGTERM) == 0
    failed = phasewright(*arguments, "BTC/USDT", cwd=bots.folder, env=wrong)
    assert "was traded with another API key" in failed.err
    assert bots.database.exists(), "what was begun with stays"
    assert commands.status(bots.database).cash["USDT"] == 10_000


def test_a_database_serves_one_account(traded: Any, tmp_path: Path, refused: Refused) -> None:
    recorded = traded.copied(tmp_path) / "bot.db"
    nowhere = ("trade", "--symbol", "BTC/USDT", "--url", "http://127.0.0.1:9", "--db")
    assert "belongs to a recorded run" in refused(phasewright(*nowhere, recorded, cwd=tmp_path, env=KEYS))
    assert "belongs to no account" in refused(phasewright("reconcile", "--db", recorded, cwd=tmp_path, env=KEYS))

    mine = Account("binance", Mode.REAL, hash_of_key("binance", "my key"))
    path = tmp_path / "mine.db"
    store = SqliteStore(path)
    mark(store, mine)
    check_account(store, path, mine, new_key=False)
    others = [
        (Account("okx", Mode.REAL, mine.key), "belongs to binance"),
        (Account("binance", Mode.SANDBOX, mine.key), "belongs to binance"),
        (Account("binance", Mode.REAL, hash_of_key("binance", "another key")), "--new-key"),
    ]
    for account, told in others:
        with pytest.raises(StoreError, match=told):
            check_account(store, path, account, new_key=False)
    check_account(store, path, others[2][0], new_key=True)
    store.close()

    fresh = phasewright("run", "--fresh", "--db", path, "--data", traded.market, cwd=tmp_path)
    assert "not deleted" in refused(fresh)
    assert path.exists()
    asked = phasewright("recover", "BTC/USDT", "--db", path, cwd=tmp_path)
    assert "there is no symbol" in refused(asked)
    page = phasewright("report", "--db", path, cwd=tmp_path)
    assert "trades on an exchange, and keeps no bars" in refused(page)


def test_an_older_database_can_still_be_read(traded: Any, tmp_path: Path) -> None:
    database = traded.copied(tmp_path) / "bot.db"
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT count(*) FROM meta WHERE key = ?", (f"label:{commands.ACCOUNT}",)).fetchone() == (0,)
    assert not commands.belongs_to_exchange(database)


def test_the_page_lists_every_live_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.+?) \|$", page, re.MULTILINE)
    assert rows == [(knob.env, written(knob, knob.default), knob.summary) for knob in LIVE_KNOBS]
