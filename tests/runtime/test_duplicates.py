"""A repeated event changes nothing and is told what its first delivery came to."""

from decimal import Decimal
from pathlib import Path

import pytest
from runtime_world import Fill, Go, World, asynchronous, lab, to

from runtime.definition import Defer, Reject
from runtime.errors import StoreIntegrityError
from runtime.events import EventContext, Outcome, Receipt
from runtime.idempotency import SeenEvents
from runtime.sqlite_store import SqliteStore

MACHINE = lab(
    {
        "A": {"FILL": to("B", do=("filled",)), "GO": to(None, do=("went",))},
        "B": {"FILL": to(None, do=("filled_again",)), "BACK": to("A")},
    }
)


@asynchronous
async def test_a_duplicate_is_answered_with_the_first_outcome_and_changes_nothing() -> None:
    world = World(MACHINE)
    await world.start("x")
    first = await world.send(Fill())
    assert first.outcome is Outcome.HANDLED
    rows = len(world.audit())
    again = await world.send(Fill())
    assert (again.outcome, again.first) == (Outcome.DUPLICATE, Outcome.HANDLED)
    assert again.handled
    assert (again.phase_from, again.phase_to, again.version) == (first.phase_from, first.phase_to, first.version)
    assert world.data.log == ["filled"]
    assert len(world.audit()) == rows
    third = await world.send(Fill())
    assert third.first is Outcome.HANDLED, "not DUPLICATE"


@asynchronous
async def test_another_identity_or_another_instance_is_another_event() -> None:
    world = World(MACHINE)
    await world.start("x", "y")
    await world.send(Fill(qty=Decimal(1)))
    assert (await world.send(Fill(qty=Decimal(2)))).outcome is Outcome.HANDLED
    assert (await world.send(Fill(order="p"))).outcome is Outcome.HANDLED
    assert (await world.send(Fill(), "y")).outcome is Outcome.HANDLED


@asynchronous
async def test_an_event_without_identity_is_never_a_duplicate_unless_its_delivery_has_an_id() -> None:
    world = World(MACHINE)
    await world.start("x")
    assert [(await world.send(Go())).outcome for _ in range(3)] == [Outcome.HANDLED] * 3
    assert [(await world.send(Go(), id="once")).outcome for _ in range(2)] == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert [(await world.send(Go(), id="")).outcome for _ in range(2)] == [Outcome.HANDLED] * 2


@asynchronous
async def test_a_duplicate_is_known_after_a_restart(tmp_path: Path) -> None:
    world = World(MACHINE, store=SqliteStore(tmp_path / "x.db"))
    await world.start("x")
    first = await world.send(Fill())
    world.store = (await _reopened(world, tmp_path)).store
    again = await world.send(Fill())
    assert (again.outcome, again.first, again.version) == (Outcome.DUPLICATE, Outcome.HANDLED, first.version)
    assert world.data.log == ["filled"]
    await world.worker.stop()


async def _reopened(world: World, tmp_path: Path) -> World:
    await world.worker.stop()
    world.store = SqliteStore(tmp_path / "x.db")
    world._renew()
    await world.worker.start()
    return world


@asynchronous
async def test_a_duplicate_in_the_same_group_is_recognised() -> None:
    world = World(MACHINE)
    await world.start("x")
    futures = [world.worker.post(EventContext("FILL", "x", 0, Fill())) for _ in range(3)]
    await world.settle()
    assert [future.result().outcome for future in futures] == [Outcome.HANDLED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert world.data.log == ["filled"]


@asynchronous
async def test_an_event_that_waits_is_a_duplicate_too_and_after_it_was_handled_says_so() -> None:
    machine = lab({"A": {"FILL": Defer(), "GO": to("B")}, "B": {"FILL": to(None, do=("filled",))}})
    for restarted in (False, True):
        world = World(machine)
        await world.start("x")
        assert (await world.send(Fill())).outcome is Outcome.DEFERRED
        if restarted:
            await world.restart()
        waiting = await world.send(Fill())
        assert (waiting.outcome, waiting.first, waiting.handled) == (Outcome.DUPLICATE, Outcome.DEFERRED, False)
        await world.send(Go())
        if restarted:
            await world.restart()
        handled = await world.send(Fill())
        assert (handled.outcome, handled.first, handled.phase_to) == (Outcome.DUPLICATE, Outcome.HANDLED, "B")
        assert world.data.log == ["filled"]


@asynchronous
async def test_an_event_that_waits_longer_than_the_expiry_is_still_known() -> None:
    machine = lab({"A": {"FILL": Defer(), "GO": to("B")}, "B": {"FILL": to(None, do=("filled",))}})
    world = World(machine, identity_expiry=1_000)
    await world.start("x")
    await world.send(Fill())
    await world.wait(50_000)
    again = await world.send(Fill())
    assert (again.outcome, again.first) == (Outcome.DUPLICATE, Outcome.DEFERRED)
    assert len(world.instance().snapshot.deferred) == 1


@asynchronous
async def test_a_rejected_event_is_tried_again() -> None:
    machine = lab({"A": {"FILL": Reject("too early"), "GO": to("B")}, "B": {"FILL": to(None, do=("filled",))}})
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Fill())
    assert (receipt.outcome, receipt.reason) == (Outcome.REJECTED, "too early")
    await world.send(Go())
    assert (await world.send(Fill())).outcome is Outcome.HANDLED


@pytest.mark.parametrize("restarted", [False, True])
def test_an_identity_expires_at_the_same_instant_with_and_without_a_restart(restarted: bool) -> None:
    @asynchronous
    async def check() -> None:
        for wait, expected in ((9_999, Outcome.DUPLICATE), (10_000, Outcome.HANDLED)):
            for before in (0, 5_000, 9_999, 15_000):  # the turn of the dictionaries falls anywhere
                world = World(MACHINE, identity_expiry=10_000)
                await world.start("x")
                await world.send(Go(), id="another")
                await world.wait(before)
                await world.send(Fill())
                await world.wait(wait // 2)
                await world.send(Go(), id="a third")
                await world.wait(wait - wait // 2)
                if restarted:
                    await world.restart()
                assert (await world.send(Fill())).outcome is expected, (before, wait)

    check()


@asynchronous
async def test_expired_identities_leave_the_store_too() -> None:
    world = World(MACHINE, identity_expiry=10_000)
    await world.start("x")
    for number in range(50):
        await world.send(Go(), id=str(number))
        await world.wait(1_000)
    assert len(world.store.load().identities) < 25
    assert len(world.worker._seen) < 25


@asynchronous
async def test_a_group_that_was_taken_back_leaves_the_older_receipt() -> None:
    """The waiting event is handled in a group that contradicts the store; afterwards it waits as before."""
    machine = lab(
        {
            "A": {"FILL": Defer(), "GO": to("B", do=("book",)), "TROUBLE": to(None)},
            "B": {"FILL": to(None, do=("filled",))},
        },
        actions={"book": lambda data, event, ctx: ctx.portfolio.deposit("gift", "USD", Decimal(1)) and None},
    )
    world = World(machine)
    await world.start("x")
    await world.send(Fill())
    write, world.store.commit = world.store.commit, _refuse_deposits(world)  # type: ignore[method-assign]
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    world.store.commit = write  # type: ignore[method-assign]
    again = await world.send(Fill())
    assert (again.outcome, again.first) == (Outcome.DUPLICATE, Outcome.DEFERRED)
    assert len(world.instance().snapshot.deferred) == 1


def _refuse_deposits(world: World):  # type: ignore[no-untyped-def]
    write = world.store.commit

    def commit(commits):  # type: ignore[no-untyped-def]
        if any(commit.portfolio for commit in commits):
            raise StoreIntegrityError("there already")
        write(commits)

    return commit


def test_seen_events_forget_what_is_taken_back() -> None:
    seen = SeenEvents(1_000)
    receipt = Receipt(Outcome.HANDLED, "GO", "x", "A", "B", 1)
    seen.record("x", "one", receipt, 0)
    seen.record("x", "two", receipt, 1_500)
    seen.forget("x", "two")
    assert seen.get("x", "two", 1_500) is None
    assert seen.get("x", "one", 999) == receipt
    assert seen.get("x", "one", 1_000) is None
    assert seen.get("y", "one", 0) is None
