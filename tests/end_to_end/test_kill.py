"""A bot that is killed with SIGKILL, started again and killed again ends where an uninterrupted one ends.

What is compared: every entry of the ledger, every snapshot, every row of the audit log, every order and trade at the
exchange. Then the bot's ledger is held against the exchange's books.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agreement import assert_books_agree
from bots import Bots
from small_market import Variant, on_record, open_run, write_market

AROUND_WRITES = [
    Variant("realistic", seed=1, group=1),
    Variant("realistic", seed=2, fee_in_base=True, group=7),
    Variant("hostile", seed=3, group=1),
    Variant("hostile", seed=4, group=3),
    Variant("hostile", seed=5, fee_in_base=True, group=20),
]
KILLS = 25
EVERY_MOMENT = [Variant("hostile", seed=1, group=1), Variant("hostile", seed=4, fee_in_base=True, group=4)]
"""Between them: unknown fates of both sides, cancels, partial fills, requests that were never sent, dust."""


@pytest.fixture
def market(tmp_path: Path) -> Path:
    write_market(tmp_path / "market")
    return tmp_path / "market"


@pytest.fixture
def bots(market: Path) -> Iterator[Bots]:
    with Bots(market) as started:
        yield started


def assert_same(market: Path, variant: Variant, books: Path, reference: Path) -> None:
    __tracebackhide__ = True
    run, expected = open_run(market, variant, books), open_run(market, variant, reference)
    try:
        found, wanted = on_record(run), on_record(expected)
        different = [name for name in wanted if found[name] != wanted[name]]
        assert not different, (
            f"{books.name}: {different}\n{first_difference(found[different[0]], wanted[different[0]])}"
        )
        assert_books_agree(run)
    finally:
        run.store.close()
        run.exchange.close()
        expected.store.close()
        expected.exchange.close()


def first_difference(found: object, wanted: object) -> str:
    if not isinstance(found, list | tuple) or not isinstance(wanted, list | tuple):
        return f"found {found}\nnot   {wanted}"
    pairs = [(one, other) for one, other in zip(found, wanted, strict=False) if one != other]
    return f"found {pairs[0][0]}\nnot   {pairs[0][1]}" if pairs else f"{len(found)} entries, not {len(wanted)}"


@pytest.mark.parametrize("variant", AROUND_WRITES, ids=str)
def test_killed_around_its_writes(variant: Variant, market: Path, bots: Bots, tmp_path: Path) -> None:
    assert bots.live(variant, tmp_path / "uninterrupted") == "done"
    died = bots.killed_again_and_again(variant, tmp_path / "killed", KILLS, random.Random(variant.seed))
    assert died == KILLS
    assert_same(market, variant, tmp_path / "killed", tmp_path / "uninterrupted")


@pytest.mark.parametrize(("variant", "first"), [(variant, n) for n, variant in enumerate(EVERY_MOMENT, 1)], ids=str)
def test_killed_at_every_other_moment_around_a_write(variant: Variant, first: int, tmp_path: Path) -> None:
    """From the first write of a short run to the last; and a second time soon after it came back to life."""
    market, reference = tmp_path / "market", tmp_path / "uninterrupted"
    write_market(market, bars=20)
    with Bots(market) as bots:
        assert bots.live(variant, reference) == "done"
        moment = first
        while bots.live(variant, books := tmp_path / f"killed at {moment}", kill_at=moment) == "killed":
            bots.live(variant, books, kill_at=moment % 11 + 1)
            assert bots.live(variant, books) == "done"
            assert_same(market, variant, books, reference)
            moment += 2
    assert moment > 100


@pytest.mark.parametrize("seed", [6, 7])
def test_killed_at_any_time(seed: int, market: Path, bots: Bots, tmp_path: Path) -> None:
    variant, chance = Variant("realistic", seed, group=16), random.Random(seed)
    begun = time.monotonic()
    assert bots.live(variant, tmp_path / "uninterrupted") == "done"
    share = (time.monotonic() - begun) / KILLS
    died = 0
    while (
        died < KILLS
        and bots.live(variant, tmp_path / "killed", delay=chance.uniform(0.01, 2 * share + 0.1)) == "killed"
    ):
        died += 1
    assert died > 5
    assert bots.live(variant, tmp_path / "killed") == "done"
    assert_same(market, variant, tmp_path / "killed", tmp_path / "uninterrupted")
