"""Whatever fails, nothing of the event has happened, the evidence is kept, and the machine's error event follows."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from runtime_world import Back, Done, Fill, Go, Hands, KeptStore, LabData, World, asynchronous, effect, lab, to

from runtime.definition import Branch, Cell, Defer, OnRestore, PhaseDefinition, Reject, Timeout
from runtime.errors import DispatchError, StoreError, StoreIntegrityError
from runtime.events import EventContext, Outcome
from runtime.machine import Machine, Snapshot
from runtime.portfolio import Reservation
from runtime.store import Commit


def fail(data: LabData, event: Any, ctx: Any) -> None:
    raise RuntimeError("no such order")


def fail_go(data: LabData, event: Any, ctx: Any) -> None:
    if isinstance(event, Go):
        fail(data, event, ctx)


def spoil(data: LabData, event: Any, ctx: Any) -> None:
    """Change everything that an action can reach; the error event finds it harmless."""
    if not isinstance(event, Go):
        return
    data.log.append("spoiled")
    data.amount = Decimal(9)
    ctx.portfolio.deposit(f"gift {ctx.now}", "USD", Decimal(5))
    ctx.portfolio.reserve("USD", Decimal(1), 1)
    ctx.intent_id("ask")


def machine_failing_in(part: str, trouble: Cell | None = None, **extra: Any) -> Machine:
    def guard(data: LabData, event: Any, ctx: Any) -> bool:
        spoil(data, event, ctx)
        if part == "guard":
            fail(data, event, ctx)
        return True

    def unstorable(data: LabData, event: Any, ctx: Any) -> None:
        data.amount = "a text where an amount belongs"  # type: ignore[assignment]

    def unset(data: LabData, event: Any, ctx: Any) -> None:
        data.count = None  # type: ignore[assignment]

    at = {"exit": "leave", "action": "act", "entry": "enter"}.get(part, "")
    actions: dict[str, Callable[..., None]] = {"leave": spoil, "act": spoil, "enter": spoil}
    if at:
        actions[f"{at}_fails"] = fail_go
    if part == "data":
        actions["enter"] = unstorable
    if part == "request":
        actions["enter"] = unset
    phases = {
        "A": PhaseDefinition(
            exit_do=("leave", "leave_fails") if part == "exit" else ("leave",),
            timeout=Timeout("long", "TICK", OnRestore.KEEP_DEADLINE),
        ),
        "B": PhaseDefinition(
            entry_do=("enter", "enter_fails") if part == "entry" else ("enter",),
            entry_request=("ask",),
            entry_raises=("INNER",) if part == "raised" else (),
            timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE),
        ),
    }
    row = (
        Branch(id="row", guards=(("guard", True),), to="B", do=("act", "act_fails") if part == "action" else ("act",)),
    )
    return lab(
        {
            "A": {"GO": row, "FILL": Defer(), "TROUBLE": trouble or to("E", do=("note",)), **extra},
            "B": {"INNER": Reject("never here")},
            "E": {"FILL": to(None, do=("late_fill",))},
        },
        phases=phases,
        guards={"guard": guard},
        actions=actions,
        effects={"ask": effect()},
    )


PARTS = ["guard", "exit", "action", "entry", "raised", "data", "request"]


@pytest.mark.parametrize("part", PARTS)
def test_a_failure_anywhere_changes_nothing(part: str) -> None:
    @asynchronous
    async def check() -> None:
        hands = Hands({"ask": Done()})
        world = World(machine_failing_in(part, trouble=Reject("not wanted here")), hands)
        await world.start("x")
        await world.worker.deposit("opening", "USD", Decimal(100))
        await world.send(Fill())
        before, version = world.instance().checkpoint, world.instance().version
        stored, due = world.store.load(), world.worker.next_timer_at()
        receipt = await world.send(Go(note="evidence"))

        assert receipt.outcome is Outcome.FAILED
        assert (receipt.phase_from, receipt.phase_to, receipt.version) == ("A", "A", version)
        assert world.instance().checkpoint == before
        assert world.machine.decode(before) == world.instance().snapshot
        assert world.worker.portfolio.cash("USD") == 100
        assert world.worker.portfolio.reservation("x") == Reservation("x")
        assert world.store.load() == stored
        assert world.worker.next_timer_at() == due
        assert hands.asked == []
        assert world.instance().snapshot.deferred[0].event == "FILL"

    check()


@pytest.mark.parametrize("part", PARTS)
def test_the_evidence_is_in_the_audit_and_the_error_event_follows(part: str) -> None:
    @asynchronous
    async def check() -> None:
        world = World(machine_failing_in(part))
        await world.start("x")
        await world.worker.deposit("opening", "USD", Decimal(100))
        receipt = await world.send(Go(note="evidence"))
        failed, trouble = world.audit()[-2:]
        assert (failed.event, failed.outcome, failed.payload) == ("GO", Outcome.FAILED, b'{"note":"evidence"}')
        assert (failed.phase_from, failed.phase_to) == ("A", "A")
        assert "Traceback" in failed.error
        assert failed.reason == receipt.reason != ""
        assert (trouble.event, trouble.outcome, trouble.phase_to) == ("TROUBLE", Outcome.HANDLED, "E")
        assert world.phase == "E"
        assert world.data.log == ["note"]
        assert b'"failed_event":"GO"' in trouble.payload

    check()


@asynchronous
async def test_a_traceback_leads_to_the_line_that_failed() -> None:
    world = World(machine_failing_in("action"))
    await world.start("x")
    await world.worker.deposit("opening", "USD", Decimal(100))
    await world.send(Go())
    error = world.audit()[-2].error
    assert Path(__file__).name in error
    assert 'raise RuntimeError("no such order")' in error


@asynchronous
async def test_waiting_events_are_offered_when_the_error_event_changes_the_phase() -> None:
    world = World(machine_failing_in("action"))
    await world.start("x")
    await world.worker.deposit("opening", "USD", Decimal(100))
    await world.send(Fill())
    await world.send(Go())
    assert world.data.log == ["note", "late_fill"]
    assert world.instance().snapshot.deferred == []


@asynchronous
async def test_a_failure_of_the_error_event_itself_is_recorded_and_ends_there() -> None:
    machine = lab(
        {"A": {"GO": to("B", do=("fail",)), "TROUBLE": to("B", do=("fail",))}, "B": {}}, actions={"fail": fail}
    )
    world = World(machine)
    await world.start("x")
    before = world.instance().checkpoint
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert world.told()[-2:] == [("GO", Outcome.FAILED, "A"), ("TROUBLE", Outcome.FAILED, "A")]
    assert world.instance().checkpoint == before
    assert "During handling" not in world.audit()[-1].error, "each row tells its own story"
    assert (await world.send(Done())).outcome is Outcome.IGNORED, "the instance goes on"


@asynchronous
async def test_a_rejected_error_event_leaves_its_evidence_and_nothing_else() -> None:
    world = World(machine_failing_in("action", trouble=Reject("no errors, please")))
    await world.start("x")
    await world.send(Go())
    assert world.told()[-2:] == [("GO", Outcome.FAILED, "A"), ("TROUBLE", Outcome.REJECTED, "A")]
    assert world.audit()[-1].reason == "no errors, please"


@asynchronous
async def test_an_event_that_failed_may_be_delivered_again() -> None:
    moods = iter([RuntimeError("not yet"), None])

    def moody(data: LabData, event: Any, ctx: Any) -> None:
        if mood := next(moods):
            raise mood

    world = World(lab({"A": {"FILL": to("B", do=("moody",))}, "B": {}}, actions={"moody": moody}))
    await world.start("x")
    assert (await world.send(Fill())).outcome is Outcome.FAILED
    assert (await world.send(Fill())).outcome is Outcome.HANDLED
    assert (await world.send(Fill())).outcome is Outcome.DUPLICATE


@asynchronous
async def test_a_timer_whose_event_fails_is_spent_and_does_not_fire_for_ever() -> None:
    machine = lab(
        {"A": {"TICK": to("B", do=("fail",))}, "B": {}},
        phases={"A": PhaseDefinition(timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE))},
        actions={"fail": fail},
    )
    world = World(machine)
    await world.start("x")
    await world.wait(10_000)
    expected = [("TICK", Outcome.FAILED, "A"), ("TROUBLE", Outcome.IGNORED, "A")]
    assert world.told() == expected
    assert world.worker.next_timer_at() is None
    await world.restart()
    await world.wait(10_000)
    assert world.told() == expected, "a restarted bot does as one that was not"


@asynchronous
async def test_texts_that_no_database_can_hold_are_told_all_the_same() -> None:
    def shout(data: LabData, event: Any, ctx: Any) -> None:
        raise RuntimeError("file \udcff not found")

    table = {"A": {"GO": to("B", do=("shout",)), "TROUBLE": to("B")}, "B": {"GO": Defer()}}
    world = World(lab(table, actions={"shout": shout}))
    await world.start("x")
    await world.send(Go())
    assert world.phase == "B"
    assert "file \\udcff not found" in world.audit()[-2].reason
    receipt = await world.send(Go(note="half a pair \ud800"))
    assert receipt.outcome is Outcome.FAILED
    assert b"half a pair" in world.audit()[-2].payload


class Interrupted(BaseException):
    """Not an Exception: nothing that a handler may answer for."""


@asynchronous
async def test_an_interruption_in_a_handler_stops_the_worker_and_leaves_the_store_as_it_was() -> None:
    def interrupted(data: LabData, event: Any, ctx: Any) -> None:
        spoil(data, event, ctx)
        raise Interrupted

    world = World(lab({"A": {"GO": to("B", do=("interrupted",))}, "B": {}}, actions={"interrupted": interrupted}))
    await world.start("x")
    await world.worker.deposit("opening", "USD", Decimal(100))
    before = world.store.load()
    future = world.worker.post(EventContext("GO", "x", 0, Go()))
    with pytest.raises(Interrupted):
        await world.worker.pump()
    with pytest.raises(StoreError, match="start the bot again"):
        await future
    with pytest.raises(StoreError, match="start the bot again"):
        world.worker.post(EventContext("GO", "x", 0, Go()))
    assert world.store.load() == before
    assert world.instance().phase == "A"
    assert world.instance().data.log == []
    await world.restart()
    assert world.phase == "A"


# -- the commit fails ----------------------------------------------------------------------------------------------


class FailingStore(KeptStore):
    """Writes, until it is told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.error: StoreError | None = None

    def commit(self, commits: Sequence[Commit]) -> None:
        if self.error is not None:
            raise self.error
        super().commit(commits)


@asynchronous
async def test_a_commit_that_cannot_be_written_changes_nothing_asks_for_nothing_and_stops_the_worker() -> None:
    store, hands = FailingStore(), Hands({"ask": Done()})
    machine = machine_failing_in("nowhere")
    world = World(machine, hands, store=store)
    await world.start("x", "y")
    await world.worker.deposit("opening", "USD", Decimal(100))
    await world.send(Fill())
    before, stored = world.instance().checkpoint, store.load()
    store.error = StoreError("the disk is full")
    futures = [world.worker.post(EventContext("GO", name, 0, Go())) for name in ("x", "y")]
    with pytest.raises(StoreError, match="the disk is full"):
        await world.worker.pump()
    for future in futures:
        with pytest.raises(StoreError, match="the disk is full"):
            await future
    assert world.instance().checkpoint == before
    assert world.instance().snapshot.deferred[0].event == "FILL"
    assert world.worker.portfolio.cash("USD") == 100
    assert list(world.worker.portfolio.reservations()) == []
    assert hands.asked == []
    assert store.load() == stored
    store.error = None
    for attempt in (world.worker.pump(), world.worker.create("z"), world.worker.deposit("a", "USD", Decimal(1))):
        with pytest.raises(StoreError, match="the disk is full"):
            await attempt

    await world.restart()
    assert (await world.send(Go())).outcome is Outcome.HANDLED
    assert [name for name, _ in hands.asked] == ["ask"]


@asynchronous
async def test_a_deposit_or_an_instance_that_cannot_be_written_is_not_there() -> None:
    store = FailingStore()
    world = World(machine_failing_in("nowhere"), store=store)
    await world.start("x")
    store.error = StoreError("the disk is full")
    with pytest.raises(StoreError):
        await world.worker.deposit("opening", "USD", Decimal(100))
    assert world.worker.portfolio.cash("USD") == 0
    await world.restart()
    with pytest.raises(StoreError):
        await world.worker.create("y")
    assert list(world.worker.instances) == ["x"]


@asynchronous
async def test_an_event_whose_commit_contradicts_the_store_becomes_the_error_event_alone() -> None:
    store = FailingStore()
    world = World(machine_failing_in("nowhere"), store=store)
    await world.start("x")
    await world.worker.deposit("opening", "USD", Decimal(100))
    once = iter([StoreIntegrityError("the trade is in the books already")])
    write = KeptStore.commit

    def commit(commits: Sequence[Commit]) -> None:
        if (error := next(once, None)) and any(commit.portfolio for commit in commits):
            raise error
        write(store, commits)

    store.commit = commit  # type: ignore[method-assign]
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "in the books already" in receipt.reason
    assert world.told()[-2:] == [("GO", Outcome.FAILED, "A"), ("TROUBLE", Outcome.HANDLED, "E")]
    assert world.worker.portfolio.cash("USD") == 100
    assert world.phase == "E"


@asynchronous
async def test_a_store_that_contradicts_even_the_evidence_stops_the_worker() -> None:
    store = FailingStore()
    world = World(machine_failing_in("nowhere"), store=store)
    await world.start("x")
    before = world.instance().checkpoint
    store.error = StoreIntegrityError("no")
    with pytest.raises(StoreIntegrityError):
        await world.send(Go())
    assert world.instance().checkpoint == before
    with pytest.raises(StoreIntegrityError):
        await world.worker.pump()


def test_data_that_would_not_be_read_back_is_refused_before_it_is_stored() -> None:
    machine = lab({"A": {}})
    good = machine.new_snapshot(0)
    assert machine.decode(machine.encode(good)) == good
    for name, value in (
        ("count", "7"),
        ("count", 1.5),
        ("amount", Decimal("NaN")),
        ("log", ("a", "tuple")),
        ("since", True),
    ):
        bad: Snapshot[Any] = machine.new_snapshot(0)
        setattr(bad.data, name, value)
        with pytest.raises(Exception, match="read back"):
            machine.encode(bad)


@asynchronous
async def test_surroundings_that_a_handler_keeps_open_no_account_after_its_event() -> None:
    kept: list[Any] = []

    def keep(data: LabData, event: Any, ctx: Any) -> None:
        kept.append(ctx)

    def spend(data: LabData, event: Any, ctx: Any) -> None:
        ctx.portfolio.deposit("gift", "USD", Decimal(5))
        kept.append(ctx)

    table = {"A": {"GO": to("A", do=("keep",)), "BACK": to("A", do=("spend",))}}
    world = World(lab(table, actions={"keep": keep, "spend": spend}))
    await world.start("x")
    await world.send(Go())
    await world.send(Back())
    with pytest.raises(DispatchError, match="is over"):
        _ = kept[0].portfolio
    with pytest.raises(RuntimeError, match="is over"):
        kept[1].portfolio.deposit("another", "USD", Decimal(5))
    await world.worker.deposit("opening", "USD", Decimal(100))
    assert world.worker.portfolio.cash("USD") == 105
