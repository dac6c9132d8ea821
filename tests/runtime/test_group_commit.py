"""Many instances, one commit: in a fixed order, and one that contradicts the store falls alone."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from runtime_world import Done, Fill, Go, Hands, KeptStore, LabData, World, asynchronous, effect, lab, to

from runtime.errors import StoreError, StoreIntegrityError
from runtime.events import EventContext, Outcome
from runtime.ledger import deposit_entry
from runtime.machine import Machine
from runtime.portfolio import NoFreeSlot, PortfolioChange
from runtime.sqlite_store import SqliteStore
from runtime.store import Commit, Store
from runtime.store_contract import commit_of

NAMES = [f"coin{number:02}" for number in range(30)]


def booking() -> Machine:
    def book(data: LabData, event: Fill, ctx: Any) -> None:
        data.log.append(event.order)
        ctx.portfolio.deposit(event.order, "USD", event.qty)

    def take(data: LabData, event: Go, ctx: Any) -> None:
        ctx.portfolio.reserve("USD", Decimal(1), 1)

    return lab(
        {
            "A": {
                "FILL": to(None, do=("book",)),
                "GO": to("B", do=("take",), request=("ask",)),
                "TROUBLE": to("E", do=("trouble",)),
            },
            "B": {"FILL": to(None, do=("book",)), "TROUBLE": to("E")},
            "E": {"FILL": to(None, do=("book",))},
        },
        actions={"book": book, "take": take},
        effects={"ask": effect()},
    )


class Counting(KeptStore):
    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[str]] = []

    def commit(self, commits: Sequence[Commit]) -> None:
        self.groups.append([commit.instance for commit in commits])
        super().commit(commits)


@asynchronous
async def test_what_is_in_the_inbox_is_one_commit_in_the_order_of_the_instances() -> None:
    store = Counting()
    world = World(booking(), store=store)
    await world.start(*NAMES)
    store.groups.clear()
    futures = [
        world.worker.post(EventContext("FILL", name, 0, Fill(order=f"{name} {number}")))
        for number in range(3)
        for name in reversed(NAMES)
    ]
    assert await world.worker.pump()
    assert store.groups == [[name for name in NAMES for _ in range(3)]]
    assert all(future.result().outcome is Outcome.HANDLED for future in futures)
    for name in NAMES:
        assert world.instance(name).data.log == [f"{name} {number}" for number in range(3)], "as they arrived"
    assert world.worker.portfolio.cash("USD") == 90
    assert not await world.worker.pump()


@asynchronous
async def test_a_contest_for_a_slot_ends_the_same_however_the_events_arrived() -> None:
    for order in (NAMES[:3], NAMES[2::-1], [NAMES[1], NAMES[2], NAMES[0]]):
        world = World(booking(), slots=1)
        await world.start(*order)
        await world.worker.deposit("opening", "USD", Decimal(10))
        futures = {name: world.worker.post(EventContext("GO", name, 0, Go())) for name in order}
        await world.settle()
        won = [name for name, future in futures.items() if future.result().outcome is Outcome.HANDLED]
        assert won == [NAMES[0]]
        assert NoFreeSlot.__name__ in futures[NAMES[1]].result().reason
        assert world.worker.portfolio.slots_free == 0


def contradict(store: Store) -> None:
    """Somebody has booked what coin07 is about to book: only the store knows."""
    entry = deposit_entry("", 0, "coin07 0", "USD", Decimal(1))
    store.commit([commit_of("", snapshot=None, portfolio=PortfolioChange((entry,)))])


@asynchronous
async def test_one_contradiction_falls_alone(tmp_path: Path) -> None:
    for store in (Counting(), SqliteStore(tmp_path / "bot.db")):
        hands = Hands({"ask": Done()})
        world = World(booking(), hands, store=store, slots=50)
        await world.start(*NAMES)
        contradict(store)
        futures = {name: world.worker.post(EventContext("FILL", name, 0, Fill(order=f"{name} 0"))) for name in NAMES}
        await world.settle()
        for name, future in futures.items():
            receipt = future.result()
            if name == "coin07":
                assert receipt.outcome is Outcome.FAILED
                assert "there already" in receipt.reason or "holds this already" in receipt.reason
                assert (world.instance(name).phase, world.instance(name).data.log) == ("E", ["trouble"])
            else:
                assert receipt.outcome is Outcome.HANDLED
                assert world.instance(name).data.log == [f"{name} 0"]
        assert world.worker.portfolio.cash("USD") == 29
        told = [(row.instance, row.event, row.outcome) for row in world.store.audit() if row.instance == "coin07"]
        assert told == [("coin07", "FILL", Outcome.FAILED), ("coin07", "TROUBLE", Outcome.HANDLED)]
        stored = {one.instance: one.snapshot for one in store.load().instances}
        assert stored == {name: world.instance(name).checkpoint for name in NAMES}
        await world.worker.stop()


@asynchronous
async def test_effects_of_a_group_that_was_split_are_carried_out_once() -> None:
    store, hands = Counting(), Hands({"ask": Done()})
    world = World(booking(), hands, store=store, slots=50)
    await world.start(*NAMES)
    await world.worker.deposit("opening", "USD", Decimal(100))
    contradict(store)
    for name in NAMES:
        world.worker.post(EventContext("GO", name, 0, Go()))
    refused = world.worker.post(EventContext("FILL", "coin07", 0, Fill(order="coin07 0")))
    await world.settle()
    assert refused.result().outcome is Outcome.FAILED
    assert sorted(claim.instance for _, claim in hands.asked) == NAMES
    assert store.load().open_intents == ()
    assert world.worker.portfolio.slots_free == 20


@asynchronous
async def test_a_store_that_fails_while_a_group_is_split_answers_everybody() -> None:
    class Failing(Counting):
        def commit(self, commits: Sequence[Commit]) -> None:
            if len(commits) == 1 and commits[0].instance == "coin03" and commits[0].expected_version:
                raise StoreError("the disk is full")
            super().commit(commits)

    world = World(booking(), store=Failing())
    await world.start(*NAMES[:10])
    contradict(world.store)
    futures = [world.worker.post(EventContext("FILL", name, 0, Fill(order=f"{name} 0"))) for name in NAMES[:10]]
    with pytest.raises(StoreError, match="the disk is full"):
        await world.worker.pump()
    assert [future.done() for future in futures] == [True] * 10
    assert [future.exception() is None for future in futures] == [True] * 3 + [False] * 7
    assert world.worker.portfolio.cash("USD") == 3
    assert world.instance("coin03").data.log == []


@asynchronous
async def test_two_runs_of_the_same_events_leave_the_same_bytes() -> None:
    async def run() -> Any:
        world = World(booking(), Hands({"ask": Done()}), slots=3)
        await world.start(*NAMES)
        await world.worker.deposit("opening", "USD", Decimal(100))
        for number in range(5):
            for name in NAMES[:: 1 if number % 2 else -1]:
                payload = Go() if number == 2 else Fill(order=f"{name} {number}")
                world.worker.post(EventContext(payload.event, name, 0, payload))
            await world.settle()
        await world.worker.stop()
        state = world.store.load()
        # A traceback shows where in the memory of this process an object lies.
        return state, [(row.instance, row.event, row.outcome, row.version, row.reason) for row in world.store.audit()]

    assert await run() == await run()


@asynchronous
async def test_an_effect_that_was_taken_back_is_not_open() -> None:
    """Its id is known from a run in which it was not taken back; an outcome under it is nobody's."""
    hands = Hands()
    plain, refused = World(booking(), hands), World(booking())
    for world in (plain, refused):
        await world.start("x", "y")
        await world.worker.deposit("opening", "USD", Decimal(100))
    await plain.send(Go())
    intent_id = hands.asked[0][1].intent_id
    write, refused.store.commit = refused.store.commit, _refusing_slots(refused.store)  # type: ignore[method-assign]
    assert (await refused.send(Go())).outcome is Outcome.FAILED
    refused.store.commit = write  # type: ignore[method-assign]
    late = await refused.send(Done(), intent=intent_id, attempt=1)
    assert late.outcome is Outcome.IGNORED
    assert (await refused.send(Fill(), "y")).handled, "the worker lives"


def _refusing_slots(store: Store) -> Any:
    write = store.commit

    def commit(commits: Sequence[Commit]) -> None:
        if any(commit.portfolio and commit.portfolio.reservations for commit in commits):
            raise StoreIntegrityError("there already")
        write(commits)

    return commit


@asynchronous
async def test_an_outcome_whose_commit_contradicts_the_store_has_finished_its_intent_all_the_same() -> None:
    def book(data: LabData, event: Done, ctx: Any) -> None:
        ctx.portfolio.deposit("coin07 0", "USD", Decimal(1))

    machine = lab(
        {"A": {"GO": to("B", request=("ask",))}, "B": {"DONE": to("A", do=("book",)), "TROUBLE": to("E")}, "E": {}},
        actions={"book": book},
        effects={"ask": effect()},
    )
    world = World(machine, Hands({"ask": Done()}))
    await world.start("x")
    contradict(world.store)
    await world.send(Go())
    assert world.told()[-2:] == [("DONE", Outcome.FAILED, "B"), ("TROUBLE", Outcome.HANDLED, "E")]
    assert world.store.load().open_intents == ()
