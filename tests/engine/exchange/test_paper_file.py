"""The exchange's file: who may open it, what is refused, and what a kill leaves behind."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from paper_world import ROUGH, ROUGH_END, START, Step, World, books, limit, path_of, send

from engine.exchange.faults import CALM, HOSTILE
from engine.exchange.paper_exchange import PaperExchange
from engine.exchange.paper_file import PaperExchangeError, Synchronous

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@cache
def script() -> list[Step]:
    draw = random.Random(1)
    steps = []
    for number in range(60):
        side, price = draw.choice(["buy", "sell"]), draw.randint(960, 1040) / 10
        order = limit(f"o{number}", side, draw.randint(200, 4_000) / 1000, price, draw.choice(["BTC/USD", "ETH/USD"]))
        steps.append(Step(START + draw.randint(0, 600_000), order, draw.choice([None, draw.randint(1, 90_000)])))
    return steps


SECONDS = range(START, ROUGH_END + 1, 1_000)


def trade_along(world: World, steps: range = SECONDS) -> None:
    """The whole script from its beginning, second by second."""
    for at in steps:
        send(world.exchange, script(), at - 1_000, at)
        world.exchange.advance(at)


def child(path: Path, code: str) -> subprocess.Popen[bytes]:
    """A process that runs `code` with the open `world` on `path`."""
    start = f"""
import sys
sys.path[:0] = [{str(HERE)!r}, {str(ROOT)!r}]
from pathlib import Path
from test_paper_file import *
world = World(Path({str(path)!r}), *ROUGH, profile=HOSTILE)
print("open", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_books_survive_sigkill_at_any_point(tmp_path: Path) -> None:
    with World(tmp_path / "calm", *ROUGH, profile=HOSTILE) as world:
        trade_along(world)
        uninterrupted = books(world.exchange)
        assert len(world.exchange.trades()) > 30
    draw, path = random.Random(2), tmp_path / "killed"
    for point in sorted(draw.sample(range(len(SECONDS) - 20), 10)):
        process = child(
            path,
            "for at in SECONDS:\n"
            "    sys.stdin.buffer.read(1)\n"
            "    trade_along(world, range(at, at + 1))\n"
            "    print(at, flush=True)",
        )
        assert process.stdin is not None
        assert process.stdout is not None
        # It may go some steps further than is waited for, and dies wherever it then is.
        process.stdin.write(b"." * (point + 10))
        process.stdin.flush()
        for _ in range(point):
            process.stdout.readline()
        kill(process)
    with World(path, *ROUGH, profile=HOSTILE) as world:
        trade_along(world)
        assert books(world.exchange) == uninterrupted


def test_a_second_process_is_refused_and_let_in_when_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    process = child(path, "sys.stdin.read()")
    with pytest.raises(PaperExchangeError, match="another process runs this paper exchange"):
        World(path, *ROUGH, profile=HOSTILE)
    kill(process)
    World(path, *ROUGH, profile=HOSTILE).exchange.close()


def test_a_full_disk_stops_it_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    process = child(
        path,
        """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        trade_along(world)
    except PaperExchangeError as error:
        print(error, flush=True)
""",
    )
    out, errors = process.communicate(timeout=30)
    first, second = out.decode().splitlines()
    assert first.startswith(f"{path}: the paper exchange stopped")
    assert "an earlier change could not be written" in second
    assert errors == b""
    with World(path, *ROUGH, profile=HOSTILE) as world, World(tmp_path / "y", *ROUGH, profile=HOSTILE) as other:
        trade_along(world)
        trade_along(other)
        assert books(world.exchange) == books(other.exchange)


def test_a_disk_that_is_full_when_somebody_reads_does_not_leave_a_gap_in_the_group(tmp_path: Path) -> None:
    path = tmp_path / "x"
    process = child(
        tmp_path / "other",
        f"""
import resource
from engine.exchange.gateway import Stamp
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
grouped = World(Path({str(path)!r}), *ROUGH, grouped=True)
def order(name):
    grouped.exchange.send_order(limit(name, "buy", 1, 60), Stamp(1, START, START + 5_000), START)
for number in range(4_000):  # more than SQLite keeps in memory
    order(f"o{{number}}" + "x" * 200)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
def show(act):
    try:
        print(act(), flush=True)
    except PaperExchangeError as error:
        print(error, flush=True)
show(lambda: grouped.exchange.look_up("BTC/USD", "o1", START))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
show(lambda: grouped.exchange.look_up("BTC/USD", "o1", START))
show(lambda: order("late"))
show(grouped.exchange.flush)
""",
    )
    out, errors = process.communicate(timeout=30)
    first, *later = out.decode().splitlines()
    assert first.startswith(f"{path}: the paper exchange stopped (disk I/O error)")
    assert len(later) == 3
    assert all("an earlier change could not be written" in line for line in later)
    assert errors == b""
    with World(path, *ROUGH) as world:
        assert world.exchange.requests() == []


def refusal(path: Path) -> str:
    with pytest.raises(PaperExchangeError) as caught:
        World(path)
    return str(caught.value)


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    with World(tmp_path / "x", *ROUGH) as world:
        trade_along(world)
    return tmp_path / "x"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(traded: Path, share: float) -> None:
    content = traded.read_bytes()
    traded.write_bytes(content[: int(len(content) * share)])
    assert refusal(traded).startswith(f"{traded}: the file is cut short or damaged.")
    traded.write_bytes(content)
    World(traded, *ROUGH).exchange.close()


def test_a_file_cut_at_a_page_is_refused(traded: Path) -> None:
    content = traded.read_bytes()
    traded.write_bytes(content[: len(content) - 4096])
    assert "cut short or damaged" in refusal(traded)


def test_a_strangers_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, database = tmp_path / "text", tmp_path / "database"
    text.write_text("not a database " * 20)
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    for path in (text, database):
        content = path.read_bytes()
        assert "not a paper exchange's file" in refusal(path)
        assert path.read_bytes() == content


def test_a_newer_file_is_refused(traded: Path) -> None:
    with sqlite3.connect(traded) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    assert "written by a newer version" in refusal(traded)


def test_other_settings_are_refused_by_name(traded: Path) -> None:
    with pytest.raises(PaperExchangeError, match=r"made with other settings \(seed, profile\)"):
        World(traded, seed=2, profile=CALM)
    # The refusal left nothing locked.
    World(traded, *ROUGH).exchange.close()


def test_a_place_that_can_hold_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "choose another file" in refusal(tmp_path)
    assert "choose a folder" in refusal(tmp_path / "file" / "x")


def test_a_creation_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "x.new").write_bytes(b"half a draft")
    (tmp_path / "x.new-journal").write_bytes(b"and its journal")
    (tmp_path / "x-wal").write_bytes(b"and the journal of a file that was removed")
    with World(tmp_path / "x") as world:
        assert world.exchange.orders() == []


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_durability_can_be_chosen(tmp_path: Path, synchronous: Synchronous) -> None:
    settings = World(tmp_path / "y").settings
    prices = {symbol: path_of(*ROUGH, symbol=symbol) for symbol in ("BTC/USD", "ETH/USD")}
    exchange = PaperExchange(tmp_path / "x", settings, prices, synchronous)
    send(exchange, script(), START - 1, ROUGH_END)
    exchange.advance(ROUGH_END)
    assert exchange.trades()
    exchange.close()
    exchange.close()
