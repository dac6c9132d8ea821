"""The testing checklist of an order lifecycle, one test (or one family of tests) per item, each item by its name."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from agreement import assert_books_agree
from bots import Bots
from small_market import Variant, on_record, open_run, write_market
from table_walk import expected, guards_of, sample
from trading_world import CASH, SECOND, After, TradingWorld, state, trade

from engine.exchange.gateway import Accepted, Canceled, OrderStatus, Unsent
from engine.strategy.strategy import ExitReason
from generated.trading import DEFINITION, Actions, Config, ErrorOccurred, ExitCheckDue, Guards, Phase, RecoverRequested
from runtime.dispatch import Dispatcher, Instance
from runtime.errors import StoreError
from runtime.events import EventContext, Outcome
from runtime.idempotency import SeenEvents
from runtime.ledger import TRADE
from runtime.machine import Machine, Snapshot
from runtime.memory_store import MemoryStore
from runtime.portfolio import Portfolio
from runtime.sqlite_store import SqliteStore
from runtime.store import Commit

OPEN, FILLED, CANCELED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED
NOW = 1_700_000_000_000


# -- transitions with all events -----------------------------------------------------------------------------------


def stand_ins(protocol: type, make: Callable[[str], Callable[[Any, Any, Any], Any]]) -> Any:
    """An object with every method of `protocol`, each made by `make` from its name."""
    names = [name for name in vars(protocol) if not name.startswith("_")]

    def method(name: str) -> Callable[[Any, Any, Any, Any], Any]:
        answer = make(name)

        def handler(self: object, data: Any, event: Any, ctx: Any) -> Any:
            return answer(data, event, ctx)

        return handler

    return type(f"Some{protocol.__name__}", (), {name: method(name) for name in names})()


class Table:
    """The trading table behind the real dispatcher; a test says what the guards answer and sees what ran."""

    def __init__(self) -> None:
        self.answers: dict[str, bool] = {}
        self.ran: list[str] = []
        guards = stand_ins(Guards, lambda name: lambda data, event, ctx: self.answers[name])
        actions = stand_ins(Actions, lambda name: lambda data, event, ctx: self.ran.append(name))
        self.machine = Machine(DEFINITION, guards, actions, Config())

    def dispatch(self, phase: str, event: str) -> tuple[Any, Instance, list[Commit]]:
        snapshot: Snapshot[Any] = Snapshot(phase, sample(DEFINITION.data), NOW)
        instance = Instance("BTC/USD", self.machine, snapshot, 1)
        dispatcher = Dispatcher(Portfolio(1), SeenEvents(1_000), {}, "checklist")
        payload = sample(DEFINITION.events[event].payload)
        self.ran = []
        receipt, commits = dispatcher.process(instance, EventContext(event, "BTC/USD", NOW, payload), NOW)
        return receipt, instance, commits


@pytest.mark.parametrize("phase", list(Phase))
def test_transitions_with_all_events(phase: Phase) -> None:
    """Every cell of the table, with every combination of answers that its guards can give."""
    table = Table()
    assert set(DEFINITION.table[phase]) == set(DEFINITION.events)
    for event in DEFINITION.events:
        names = guards_of(phase, event)
        for values in product((True, False), repeat=len(names)):
            table.answers = dict(zip(names, values, strict=True))
            wanted = expected(phase, event, table.answers)
            receipt, instance, commits = table.dispatch(phase, event)
            where = f"{phase}/{event} with {table.answers}"
            assert (receipt.outcome, receipt.phase_from) == (wanted.outcome, phase), where
            assert receipt.phase_to == instance.phase == wanted.phase, where
            assert table.ran == wanted.actions, where
            (commit,) = commits
            assert [intent.effect for intent in commit.requested] == wanted.requests, where
            assert [row.branch for row in commit.audit if row.branch] == wanted.branches, where
            assert (commit.snapshot is None) == (wanted.outcome in (Outcome.IGNORED, Outcome.REJECTED)), where
            assert len(instance.snapshot.deferred) == (wanted.outcome is Outcome.DEFERRED), where
            if instance.snapshot.generation:
                timeout, timer = DEFINITION.phases[instance.phase].timeout, instance.snapshot.timer
                assert (timer and timer.event) == (timeout and timeout.raises), where


@pytest.mark.parametrize("phase", list(Phase))
def test_a_guard_that_fails_is_never_taken_for_false(phase: Phase) -> None:
    for event, cell in DEFINITION.table[phase].items():
        if event == DEFINITION.error_event or not isinstance(cell, tuple) or not any(one.guards for one in cell):
            continue
        table = Table()
        receipt, instance, _ = table.dispatch(phase, event)
        assert receipt.outcome is Outcome.FAILED
        assert instance.phase == Phase.ERROR
        assert table.ran == ["note_error"]


# -- duplicates ----------------------------------------------------------------------------------------------------


def test_duplicates() -> None:
    with TradingWorld() as world:
        world.bar()
        first = world.report(world.entry, FILLED, trade("1", 10))
        books, rows = world.worker.portfolio.balances(), world.rows()
        for _ in range(3):
            again = world.report(world.entry, FILLED, trade("1", 10))
            assert (again.outcome, again.first, again.handled) == (Outcome.DUPLICATE, Outcome.HANDLED, True)
            assert (again.phase_from, again.phase_to, again.version) == (
                first.phase_from,
                first.phase_to,
                first.version,
            )
        assert (world.worker.portfolio.balances(), world.rows()) == (books, rows)


def test_duplicates_after_a_restart(tmp_path: Path) -> None:
    with TradingWorld(store=SqliteStore(tmp_path / "bot.db")) as world:
        world.bar()
        world.report(world.entry, FILLED, trade("1", 10))
        order = world.entry
    with TradingWorld(store=SqliteStore(tmp_path / "bot.db"), now=world.clock.now()) as again:
        assert again.report(order, FILLED, trade("1", 10)).outcome is Outcome.DUPLICATE
        assert again.position == 10


# -- timeouts ------------------------------------------------------------------------------------------------------


def test_buy_timeout() -> None:
    with TradingWorld() as world:
        world.bar()
        world.gateway.answers["cancel"] = [After(SECOND, Canceled(state(world.entry, CANCELED)))]
        world.wait(30 * SECOND - 1)
        assert world.phase is Phase.WAIT_FILL
        world.wait(1)
        assert world.phase is Phase.CANCEL_BUY, "live until the exchange confirms"
        world.wait(SECOND)
        assert (world.phase, world.free_cash) == (Phase.COOLDOWN, CASH)


def test_sell_timeout() -> None:
    with TradingWorld() as world:
        sell(world)
        world.gateway.answers["cancel"] = [After(SECOND, Canceled(state(world.exit, CANCELED)))]
        world.wait(30 * SECOND - 1)
        assert world.phase is Phase.WAIT_SELL_FILL
        world.wait(1)
        assert world.phase is Phase.CANCEL_SELL, "live until the exchange confirms"
        world.wait(SECOND)
        assert (world.phase, world.position) == (Phase.POSITION, 10)


def test_cooldown_timeout() -> None:
    with TradingWorld() as world:
        sell(world)
        world.report(world.exit, FILLED, trade("2", 10, 110))
        assert world.phase is Phase.COOLDOWN
        world.wait(60 * SECOND - 1)
        assert (world.phase, world.bar().outcome) == (Phase.COOLDOWN, Outcome.IGNORED)
        world.wait(1)
        assert world.phase is Phase.IDLE


def test_a_timer_of_an_earlier_visit_fires_into_nothing() -> None:
    with TradingWorld() as world:
        world.bar()
        timer = world.worker.instances[world.symbol].snapshot.timer
        assert timer is not None
        world.report(world.entry, FILLED, trade("1", 10))
        payload = DEFINITION.events[timer.event].payload()
        receipt = world.send(payload, generation=timer.generation)
        assert (receipt.outcome, world.phase) == (Outcome.IGNORED, Phase.POSITION)


def sell(world: TradingWorld) -> None:
    world.bar()
    world.report(world.entry, FILLED, trade("1", 10))
    world.wait(SECOND)
    offer(world, ExitReason.TAKE_PROFIT)


def offer(world: TradingWorld, reason: ExitReason) -> None:
    world.strategy.exit_reason = reason
    world.send(ExitCheckDue(bar_at=world.clock.now()))
    assert world.phase is Phase.WAIT_SELL_FILL


# -- partial fills -------------------------------------------------------------------------------------------------


def test_partial_fill_accumulation() -> None:
    parts = [trade("1", 2, 99, "0.2"), trade("2", 3, 100, "0.3"), trade("3", 5, 98, "0.5")]
    with TradingWorld() as world:
        world.bar()
        for count in (1, 2):
            world.report(world.entry, OPEN, *parts[:count])
            assert world.phase is Phase.WAIT_FILL
            assert world.position == sum(part.qty for part in parts[:count])
        world.report(world.entry, FILLED, *parts)
        assert (world.phase, world.position, len(world.entry.fills)) == (Phase.POSITION, 10, 3)
        assert world.worker.portfolio.cash("USD") == CASH - (198 + 300 + 490) - 1
        world.wait(SECOND)
        offer(world, ExitReason.STOP_LOSS)
        world.report(world.exit, OPEN, trade("4", 4, 101))
        assert (world.phase, world.position) == (Phase.WAIT_SELL_FILL, 6)
        world.report(world.exit, FILLED, trade("4", 4, 101), trade("5", 6, 102))
        assert (world.phase, world.position) == (Phase.COOLDOWN, 0)


# -- errors --------------------------------------------------------------------------------------------------------


def test_error_handling_and_recovery() -> None:
    with TradingWorld() as world:
        world.strategy.fail = True
        world.bar()
        assert world.phase is Phase.ERROR
        assert "the strategy has a defect" in str(world.data.last_error)
        world.wait(SECOND)
        assert world.bar().outcome is Outcome.IGNORED
        world.strategy.fail = False
        world.send(RecoverRequested(requested_by="a person"))
        assert world.phase is Phase.COOLDOWN
        world.wait(60 * SECOND)
        world.bar()
        assert world.phase is Phase.WAIT_FILL, "it trades again"


def test_error_while_handling_an_event_leaves_no_trace_but_its_evidence() -> None:
    with TradingWorld() as world:
        world.bar()
        world.report(world.entry, OPEN, trade("1", 4))
        receipt = world.report(world.entry, FILLED, trade("2", 5), trade("1", 5))
        assert (receipt.outcome, world.phase, world.position) == (Outcome.FAILED, Phase.ERROR, 4)
        assert [one.trade_id for one in world.entry.fills] == ["1"]
        (evidence,) = [row for row in world.rows() if row.outcome is Outcome.FAILED]
        assert "Traceback" in evidence.error
        assert b'"trade_id":"2"' in evidence.payload


# -- crash recovery ------------------------------------------------------------------------------------------------


def test_crash_recovery(tmp_path: Path) -> None:
    """Real processes, killed with SIGKILL at twenty moments; `test_kill.py` goes on with over a hundred more."""
    variant = Variant("realistic", seed=8)
    write_market(tmp_path / "market", bars=250)
    with Bots(tmp_path / "market") as bots:
        assert bots.live(variant, tmp_path / "uninterrupted") == "done"
        assert bots.killed_again_and_again(variant, tmp_path / "killed", 20, random.Random(8)) == 20
    records = []
    for name in ("uninterrupted", "killed"):
        run = open_run(tmp_path / "market", variant, tmp_path / name)
        assert_books_agree(run)
        records.append(on_record(run))
        run.store.close()
        run.exchange.close()
    assert records[0] == records[1]


@pytest.mark.parametrize("phase", [Phase.WAIT_FILL, Phase.POSITION, Phase.WAIT_SELL_FILL, Phase.COOLDOWN, Phase.ERROR])
def test_crash_recovery_in_every_resting_phase(tmp_path: Path, phase: Phase) -> None:
    with TradingWorld(store=SqliteStore(tmp_path / "bot.db")) as world:
        steps: Sequence[Callable[[], object]] = (
            world.bar,
            lambda: world.report(world.entry, FILLED, trade("1", 10)),
            lambda: offer(world, ExitReason.STOP_LOSS),
            lambda: world.report(world.exit, FILLED, trade("2", 10, 95)),
            lambda: world.send(ErrorOccurred(error="a defect", failed_event="ANY")),
        )
        for step in steps:
            step()
            if world.phase is phase:
                break
        world.wait(10 * SECOND)
        before = (world.data, world.worker.portfolio.balances(), list(world.worker.portfolio.reservations()))
        timer = world.worker.next_timer_at()
    with TradingWorld(store=SqliteStore(tmp_path / "bot.db"), gateway=world.gateway, now=world.clock.now()) as again:
        assert again.restart.restored == ("BTC/USD",)
        assert (again.phase, again.worker.next_timer_at()) == (phase, timer), "the deadline is the one from before"
        after = (again.data, again.worker.portfolio.balances(), list(again.worker.portfolio.reservations()))
        assert after == before


# -- retries -------------------------------------------------------------------------------------------------------


def test_retries() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unsent("no route"), Unsent("no route"), Accepted("?", "x", NOW)]
        world.bar()
        start = world.clock.now()
        world.wait(60 * SECOND - 1)
        sent = [(claim.attempt, claim.claimed_at - start) for _, claim in world.gateway.sent("submit") if claim]
        assert sent == [(1, 0), (2, SECOND), (3, 3 * SECOND)]
        assert len({order.client_order_id for order in world.gateway.orders}) == 1


def test_retries_end() -> None:
    with TradingWorld() as world:
        world.gateway.answers["submit"] = [Unsent("no route")] * 9
        world.bar()
        world.wait(30 * SECOND)
        assert len(world.gateway.orders) == Config().order_retry_max_attempts == 3
        assert (world.phase, world.free_cash) == (Phase.COOLDOWN, CASH)


# -- the portfolio -------------------------------------------------------------------------------------------------


class Breaking(MemoryStore):
    """A store whose disk can fail."""

    broken = False

    def commit(self, commits: Sequence[Commit]) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        super().commit(commits)


def test_portfolio_commit() -> None:
    with TradingWorld() as world:
        world.bar()
        world.report(world.entry, FILLED, trade("1", 10, 99, "0.99"))
        (entry,) = [entry for entry in world.store.journal() if entry.kind == TRADE]
        assert (entry.entry_id, entry.details["round_trip"]) == ("BTC/USD:1", world.entry.client_order_id)
        stored = world.store.load()
        kept = {key: amount for key, amount in stored.balances.items() if amount}
        assert kept == world.worker.portfolio.balances()
        assert kept["cash", "USD"] == CASH - Decimal("990.99")
        assert list(stored.reservations) == list(world.worker.portfolio.reservations())


def test_portfolio_rollback() -> None:
    store = Breaking()
    with TradingWorld(store=store) as world:
        world.bar()
        order = world.entry
        before = (world.worker.portfolio.balances(), list(world.worker.portfolio.reservations()), world.phase)
        store.broken = True
        with pytest.raises(StoreError, match="disk is full"):
            world.report(order, FILLED, trade("1", 10))
        after = (world.worker.portfolio.balances(), list(world.worker.portfolio.reservations()), world.phase)
        assert after == before
        store.broken = False
        with TradingWorld(store=store, gateway=world.gateway, now=world.clock.now()) as again:
            again.report(order, FILLED, trade("1", 10))
            assert (again.phase, again.position) == (Phase.POSITION, 10), "the report comes again, and is booked once"
