"""Each loss that the checker finds happens for real: verified, replayed with the code that the changed spec gives, and
then looked for in the two databases that the replay leaves behind, the bot's and the exchange's."""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codegen.commands import verify
from codegen.verify.replay import unpack
from runtime.sqlite_store import SqliteStore
from runtime.store import StoredState

ROOT = Path(__file__).parents[2]
Change = tuple[str, str]


class Found(NamedTuple):
    """What is in the files after a replay. Orders by client order id, trades by id, both with their side."""

    live: list[str]
    ids: Counter[str]
    trades: dict[str, str]
    booked: set[str]
    state: StoredState
    told: list[str]

    @property
    def phase(self) -> str:
        return self.state.instances[0].phase

    @property
    def position(self) -> Decimal:
        return self.state.balances.get(("position:BTC/USD", "BTC"), Decimal(0))

    @property
    def unbooked(self) -> list[str]:
        return sorted(side for trade, side in self.trades.items() if trade not in self.booked)


def look(folder: Path) -> Found:
    """Into both files, with nothing of what made them."""
    with closing(sqlite3.connect(folder / "exchange.db")) as db:
        live = [side for (side,) in db.execute("SELECT side FROM orders WHERE status = 'open'")]
        ids = Counter(name for (name,) in db.execute("SELECT client_order_id FROM orders"))
        trades = dict(db.execute("SELECT trade_id, side FROM trades JOIN orders ON orders.seq = trades.order_seq"))
    store = SqliteStore(folder / "bot.db", read_only=True)
    with closing(store):
        booked = {entry.details["trade_id"] for entry in store.journal() if "trade_id" in entry.details}
        told = [row.event for row in store.audit() if row.outcome == "ignored"]
        return Found(live, ids, trades, booked, store.load(), told)


Loss = Callable[[Found], bool]
LOSSES: dict[str, Loss] = {
    "no_forgotten_buy_order": lambda found: "buy" in found.live and found.phase in ("IDLE", "COOLDOWN", "PLACE_BUY"),
    "no_forgotten_sell_order": lambda found: "sell" in found.live and found.phase in ("POSITION", "COOLDOWN"),
    "one_buy_order": lambda found: found.live.count("buy") > 1,
    "one_sell_order": lambda found: found.live.count("sell") > 1,
    "bought_once": lambda found: max(found.ids.values()) > 1,
    "bought_before_sold": lambda found: "buy" in found.live and found.phase == "POSITION" and found.position > 0,
    "every_fill_booked": lambda found: bool(found.unbooked) and found.phase in ("IDLE", "COOLDOWN"),
    "no_fill_let_go": lambda found: bool(found.unbooked) and any("ORDER_" in event for event in found.told),
    "no_forgotten_position": lambda found: found.position > 0 and found.phase in ("IDLE", "COOLDOWN"),
    "no_forgotten_reservation": lambda found: bool(found.state.reservations) and found.phase in ("IDLE", "COOLDOWN"),
    "every_trade_closed": lambda found: (
        found.phase in ("IDLE", "COOLDOWN")
        and not [entry for entry in found.state.entries if entry.kind == "close"]
        and bool(found.booked)
    ),
}
"""What each claim's loss is in the files."""

_SELL_TIMEOUT = ("SELL_ORDER_TIMEOUT: {to: CANCEL_SELL}", "SELL_ORDER_TIMEOUT: {to: POSITION}")
_NO_RELEASE = ("TRADE_COMPLETE: {to: COOLDOWN, do: [release_reservation]}", "TRADE_COMPLETE: {to: COOLDOWN}")
_NOT_CLOSED = ("entry: {do: [close_round_trip], raise: [TRADE_COMPLETE]}", "entry: {raise: [TRADE_COMPLETE]}")
_PARTIAL_IS_ALL = (
    "      BUY_ORDER_PARTIAL: &entry_partial\n        - {if: entry_order_event, do: [book_fills]}\n",
    "      BUY_ORDER_PARTIAL: &entry_partial\n        - {if: entry_order_event, to: POSITION, do: [book_fills]}\n",
)
FURTHER: dict[str, tuple[tuple[Change, ...], str]] = {
    "a sell order given up without a cancel": ((_SELL_TIMEOUT,), "no_forgotten_sell_order"),
    "a trade that keeps its slot": ((_NO_RELEASE,), "no_forgotten_reservation"),
    "a trade that is never closed": ((_NOT_CLOSED,), "every_trade_closed"),
    "a part taken for the whole": ((_PARTIAL_IS_ALL,), "bought_before_sold"),
}


def _known_edits() -> dict[str, tuple[tuple[Change, ...], str]]:
    """The dangerous edits that the checker is tested with."""
    path = ROOT / "tests" / "codegen" / "verify" / "test_trading_is_safe.py"
    spec = spec_from_file_location("dangerous_edits", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: (changes, claim) for name, (changes, claim, _) in module.EDITS.items()}


EDITS = _known_edits() | FURTHER


@contextmanager
def generated_in(folder: Path) -> Iterator[None]:
    """Within, `engine` is imported anew, over the package `generated` in `folder`."""

    def ours() -> dict[str, Any]:
        return {name: one for name, one in sys.modules.items() if name.partition(".")[0] in ("engine", "generated")}

    before = ours()
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.parametrize("edit", EDITS)
def test_every_loss_that_is_found_happens(edit: str, tmp_path: Path) -> None:
    changes, claim = EDITS[edit]
    broken = {one.name: one.trace.to_dict() for one in found_in(tmp_path / "spec", changes)}
    assert claim in broken
    asked = unpack(broken[claim]["spec"], "trading", tmp_path / "code")
    with generated_in(tmp_path / "code"):
        story = importlib.import_module("engine.rehearsal.story")
        trace = importlib.import_module("engine.rehearsal.trace")
        for name in broken.keys() & LOSSES.keys():
            (tmp_path / name).mkdir()
            read = trace.decode_trace(json.dumps(broken[name]).encode())
            reproduced, told = story.replay(read, tmp_path / name, asked.free, asked.question(name))
            assert reproduced, told
            assert LOSSES[name](look(tmp_path / name)), f"{name}\n{told}"


def test_the_same_steps_lose_nothing_once_the_spec_is_corrected(tmp_path: Path) -> None:
    """The loss comes from the spec and not from the replay."""
    changes, claim = EDITS["a timeout that goes to IDLE without a cancel"]
    (broken,) = [one for one in found_in(tmp_path / "spec", changes) if one.name == claim]
    sound = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "spec").glob("*.yaml")}
    told = {**broken.trace.to_dict(), "spec": sound, "digest": ""}
    asked = unpack(sound, "trading", tmp_path / "replay")
    with generated_in(tmp_path / "replay"):
        story = importlib.import_module("engine.rehearsal.story")
        trace = importlib.import_module("engine.rehearsal.trace")
        read = trace.decode_trace(json.dumps(told).encode())
        reproduced, text = story.replay(read, tmp_path / "replay", asked.free, asked.question(claim))
        other = trace.decode_trace(json.dumps({**told, "digest": broken.trace.digest}).encode())
        with pytest.raises(trace.TraceError, match=r"\$\.digest: it was made for another version"):
            story.replay(other, tmp_path / "replay", asked.free, None)
    assert not reproduced
    unfolded = " ".join(text.split())
    assert "NOT reproduced: step 6 differed: the phase afterwards: expected IDLE, found CANCEL_BUY" in unfolded
    found = look(tmp_path / "replay")
    assert (found.live, found.phase) == (["buy"], "CANCEL_BUY")
    assert not LOSSES[claim](found)


def found_in(folder: Path, changes: tuple[Change, ...]) -> list[Any]:
    """The broken claims of the trading machine with these changes to its text."""
    folder.mkdir()
    for path in (ROOT / "spec").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for old, new in changes if path.stem == "trading" else ():
            assert text.count(old) == 1, f"{text.count(old)} times in the spec: {old}"
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    (result,) = verify(folder, ["trading"], 2)
    return list(result.broken)
