"""Starting, running, waiting, cancelling and stopping."""

import asyncio
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from runtime_world import (
    Back,
    Done,
    Go,
    Hands,
    KeptStore,
    World,
    asynchronous,
    crossing_machine,
    effect,
    lab,
    lamps,
    to,
)

from generated import crossing
from runtime.clock import SystemClock, VirtualClock
from runtime.definition import OnRestore, PhaseDefinition, Timeout
from runtime.effects import Claim
from runtime.errors import DispatchError, StoreError
from runtime.events import EventContext, Outcome
from runtime.ledger import LedgerMismatch
from runtime.machine import Machine
from runtime.sqlite_store import SqliteStore
from runtime.store import Commit
from runtime.worker import Worker


def machine() -> Machine:
    return lab(
        {
            "A": {"GO": to("B", do=("go",), request=("ask",)), "TICK": to("B", do=("tick",))},
            "B": {"BACK": to("A"), "DONE": to(None, do=("done",)), "TICK": to("A")},
        },
        phases={"A": PhaseDefinition(timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE))},
        effects={"ask": effect()},
    )


class SlowStore(KeptStore):
    """A commit waits for the gate, as it would for a disk."""

    waits = True

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def commit(self, commits: Sequence[Commit]) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        super().commit(commits)


async def until(event: threading.Event) -> None:
    await asyncio.get_running_loop().run_in_executor(None, event.wait, 10)


# -- cancelling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["process", "pump", "settle", "create", "deposit"])
def test_whoever_waits_may_be_cancelled_and_the_commit_is_carried_through(call: str) -> None:
    @asynchronous
    async def check() -> None:
        store, hands = SlowStore(), Hands({"ask": Done()})
        world = World(machine(), hands, store=store)
        await world.start("x")
        worker = world.worker
        store.gate.clear()
        store.entered.clear()
        event = EventContext("GO", "x", 0, Go())
        waiting: dict[str, Any] = {
            "process": lambda: worker.process(event),
            "pump": lambda: worker.pump(),
            "settle": lambda: worker.settle(),
            "create": lambda: worker.create("y"),
            "deposit": lambda: worker.deposit("gift", "USD", Decimal(1)),
        }
        future = worker.post(event) if call in ("pump", "settle") else None
        task = asyncio.create_task(waiting[call]())
        await until(store.entered)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.gate.set()
        await world.settle()
        if call == "create":
            assert world.instance("y").phase == "A"
        elif call == "deposit":
            assert worker.portfolio.cash("USD") == store.load().balances["cash", "USD"] == 1
        else:
            assert world.phase == "B"
            assert world.data.log == ["go", "done"], "its effect was carried out"
            assert future is None or future.result().outcome is Outcome.HANDLED
        assert {one.instance: one.snapshot for one in store.load().instances} == {
            name: one.checkpoint for name, one in worker.instances.items()
        }
        assert (await world.send(Back())).outcome in (Outcome.HANDLED, Outcome.IGNORED), "the worker goes on"

    check()


@asynchronous
async def test_a_receipt_that_nobody_wants_any_more_hinders_nobody() -> None:
    world = World(machine(), Hands({"ask": Done()}))
    await world.start("x", "y")
    unwanted = world.worker.post(EventContext("GO", "x", 0, Go()))
    wanted = world.worker.post(EventContext("GO", "y", 0, Go()))
    unwanted.cancel()
    await world.settle()
    assert wanted.result().outcome is Outcome.HANDLED
    assert world.phase == "B"


@asynchronous
async def test_many_may_wait_at_once() -> None:
    world = World(machine(), Hands({"ask": Done()}))
    names = [f"i{number}" for number in range(20)]
    await world.start(*names)
    receipts = await asyncio.gather(*(world.worker.process(EventContext("GO", name, 0, Go())) for name in names))
    assert [receipt.instance for receipt in receipts] == names
    assert all(receipt.handled for receipt in receipts)


@asynchronous
async def test_two_creations_of_one_name_make_one_instance() -> None:
    world = World(machine())
    await world.start()
    results = await asyncio.gather(*(world.worker.create("x") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(result, DispatchError) for result in results) == 2
    assert [one.instance for one in world.store.load().instances] == ["x"]


# -- stopping ------------------------------------------------------------------------------------------------------


@asynchronous
async def test_a_stopped_worker_has_finished_its_commit_and_answers_everybody() -> None:
    async def ask(request: object, claim: Claim) -> Done:
        await asyncio.Event().wait()
        return Done()

    store = SlowStore()
    world = World(machine(), Hands({"ask": ask}), store=store)
    await world.start("x")
    store.gate.clear()
    store.entered.clear()
    begun = asyncio.create_task(world.worker.process(EventContext("GO", "x", 0, Go())))
    await until(store.entered)
    left = world.worker.post(EventContext("BACK", "x", 0, Back()))
    stopping = asyncio.create_task(world.worker.stop())
    await asyncio.sleep(0)
    store.gate.set()
    await stopping
    assert (await begun).outcome is Outcome.HANDLED
    with pytest.raises(DispatchError, match="the worker is stopped"):
        await left
    with pytest.raises(DispatchError, match="the worker is stopped"):
        world.worker.post(EventContext("BACK", "x", 0, Back()))
    with pytest.raises(DispatchError, match="the worker is stopped"):
        await world.worker.pump()
    await world.worker.stop()  # again is harmless
    assert store.load().instances[0].phase == "B"
    assert len(store.load().open_intents) == 1, "the effect was abandoned and is known to the store"
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "ask of x"]


@asynchronous
async def test_stopping_ends_effects_that_are_under_way() -> None:
    ended: list[str] = []

    async def ask(request: object, claim: Claim) -> Done:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(claim.instance)
        return Done()

    world = World(machine(), Hands({"ask": ask}))
    await world.start("x", "y")
    for name in ("x", "y"):
        await world.worker.process(EventContext("GO", name, 0, Go()))
    await asyncio.sleep(0)
    await world.worker.stop()
    assert sorted(ended) == ["x", "y"]
    assert world.told() == [("GO", Outcome.HANDLED, "B")]


@asynchronous
async def test_a_worker_that_cannot_start_can_be_stopped(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "bot.db")
    store._db.execute("INSERT INTO balances VALUES ('cash', 'USD', '1000000')")
    world = World(machine(), store=store)
    with pytest.raises(LedgerMismatch, match="1000000"):
        await world.worker.start()
    await world.worker.stop()
    SqliteStore(tmp_path / "bot.db").close()


# -- running -------------------------------------------------------------------------------------------------------


async def turns(condition: Any) -> None:
    """Let everybody go on until the condition holds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0)


@asynchronous
async def test_run_handles_events_and_timers_as_they_come_until_it_is_stopped() -> None:
    world = World(crossing_machine(), lamps())
    await world.worker.start()
    await world.worker.create("x")
    stopping = asyncio.Event()
    running = asyncio.create_task(world.worker.run(stopping))
    receipt = await world.worker.post(EventContext("BUTTON_PRESSED", "x", 0, crossing.ButtonPressed()))
    assert receipt.outcome is Outcome.HANDLED
    for due, phase in ((20_000, "CARS_AMBER"), (3_000, "WALK"), (12_000, "CLEARING"), (6_000, "CARS_GREEN")):
        await turns(lambda: world.clock.sleeping == 1)
        assert world.worker.next_timer_at() == world.clock.now() + due
        world.clock.advance_to(world.clock.now() + due)
        await turns(lambda phase=phase: world.phase == phase)
    await turns(lambda: world.clock.sleeping == 1)
    pressed = world.worker.post(EventContext("BUTTON_PRESSED", "x", 0, crossing.ButtonPressed()))
    await turns(pressed.done)
    stopping.set()
    await running
    assert world.store.load().instances[0].phase == "CARS_GREEN"
    assert world.clock.sleeping == 0


@asynchronous
async def test_run_notices_a_timer_that_somebody_else_has_set() -> None:
    """The runner sleeps, with no timer to wait for; another task's event starts one."""
    world = World(machine(), Hands({"ask": Done()}))
    await world.worker.start()
    stopping = asyncio.Event()
    running = asyncio.create_task(world.worker.run(stopping))
    await asyncio.sleep(0)
    await world.worker.create("x")
    await turns(lambda: world.clock.sleeping == 1)
    world.clock.advance_to(world.clock.now() + 1_000)
    await turns(lambda: world.data.log == ["tick"])
    stopping.set()
    await running


@asynchronous
async def test_run_ends_with_the_failure_of_its_store() -> None:
    class Failing(KeptStore):
        def commit(self, commits: Sequence[Commit]) -> None:
            if commits[0].expected_version:
                raise StoreError("the disk is full")
            super().commit(commits)

    world = World(machine(), store=Failing())
    await world.worker.start()
    await world.worker.create("x")
    running = asyncio.create_task(world.worker.run(asyncio.Event()))
    future = world.worker.post(EventContext("GO", "x", 0, Go()))
    for waiting in (future, running):
        with pytest.raises(StoreError, match="the disk is full"):
            await waiting


@asynchronous
async def test_cancelling_run_leaves_no_task_behind() -> None:
    world = World(machine())
    await world.worker.start()
    await world.worker.create("x")
    before = asyncio.all_tasks()
    running = asyncio.create_task(world.worker.run(asyncio.Event()))
    await turns(lambda: world.clock.sleeping == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert world.clock.sleeping == 0


@asynchronous
async def test_run_on_the_clock_of_this_machine() -> None:
    machine = crossing_machine()
    worker = Worker(machine, KeptStore(), SystemClock(), lamps().handlers_for(machine))
    await worker.start()
    await worker.create("x")
    stopping = asyncio.Event()
    running = asyncio.create_task(worker.run(stopping))
    await worker.post(EventContext("MAINTENANCE_ON", "x", 0, crossing.MaintenanceOn()))
    assert worker.instances["x"].phase == "FLASHING"
    stopping.set()
    await running
    await worker.stop()
    with pytest.raises(TypeError, match="only virtual time stands still"):
        await worker.settle()


@asynchronous
async def test_a_commit_does_not_block_the_event_loop() -> None:
    store = SlowStore()
    world = World(machine(), store=store)
    await world.start("x")
    store.gate.clear()
    store.entered.clear()
    task = asyncio.create_task(world.worker.process(EventContext("GO", "x", 0, Go())))
    await until(store.entered)
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert not task.done()
    store.gate.set()
    assert (await task).handled


# -- the clock -----------------------------------------------------------------------------------------------------


@asynchronous
async def test_sleepers_wake_in_the_order_of_their_instants_then_of_their_calls() -> None:
    clock = VirtualClock(100)
    woken: list[str] = []

    async def sleep(name: str, instant: int) -> None:
        await clock.sleep_until(instant)
        woken.append(name)

    tasks = [asyncio.create_task(sleep(name, at)) for name, at in (("c", 300), ("a", 200), ("b", 200), ("past", 50))]
    await asyncio.sleep(0)
    assert woken == ["past"]
    assert (clock.sleeping, clock.next_wake()) == (3, 200)
    tasks[0].cancel()
    await asyncio.sleep(0)
    assert clock.sleeping == 2
    clock.advance_to(250)
    await asyncio.sleep(0)
    assert woken == ["past", "a", "b"]
    assert (clock.sleeping, clock.next_wake()) == (0, None)
    with pytest.raises(ValueError, match="cannot go back from 250 to 249"):
        clock.advance_to(249)


# -- telling ---------------------------------------------------------------------------------------------------------


@asynchronous
async def test_commits_are_told_of_once_they_are_durable_and_those_that_fail_are_not() -> None:
    store, hands = KeptStore(), Hands({"ask": Done()})
    clock, told = VirtualClock(0), []

    def tell(commit: Commit) -> None:
        assert store.audit("x")[-1:] == [*commit.audit[-1:]], "it is in the store by then"
        told.extend(row.event for row in commit.audit)

    hands.clock = clock
    machine_of_lab = machine()
    worker = Worker(machine_of_lab, store, clock, hands.handlers_for(machine_of_lab), on_commit=tell)
    await worker.start()
    await worker.create("x")
    await worker.send("x", Go())
    await worker.settle()
    assert told == ["GO", "DONE"]

    def full(commits: Sequence[Commit]) -> None:
        raise StoreError("the disk is full")

    store.commit = full  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await worker.send("x", Back())
    assert told == ["GO", "DONE"]
    await worker.stop()
