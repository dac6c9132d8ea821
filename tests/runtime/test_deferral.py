"""Events that wait for a change of phase: in the order of their arrival, ahead of newer ones, durable."""

from decimal import Decimal
from typing import Any

from runtime_world import Back, Done, Echo, Fill, Go, Inner, LabData, World, asynchronous, lab, to

from runtime.definition import Branch, Defer, Reject
from runtime.events import EventContext, Outcome


def note_fill(data: LabData, event: Fill, ctx: Any) -> None:
    data.log.append(f"fill {event.order} {event.qty}")


def fill(order: str) -> Fill:
    return Fill(order=order, qty=Decimal("0.1"))


MACHINE = lab(
    {
        "A": {"FILL": Defer(), "DONE": Defer(), "GO": to("B", do=("go",)), "BACK": to(None, do=("stay",))},
        "B": {"FILL": to(None, do=("note_fill",)), "DONE": to("C", do=("done",)), "GO": to("C")},
        "C": {"FILL": to(None, do=("note_fill",)), "DONE": to(None, do=("done_in_c",))},
    },
    actions={"note_fill": note_fill},
)


@asynchronous
async def test_waiting_events_are_handled_in_the_order_of_their_arrival_ahead_of_newer_ones() -> None:
    world = World(MACHINE)
    await world.start("x")
    for name in ("1", "2"):
        assert (await world.send(fill(name))).outcome is Outcome.DEFERRED
    newer = [
        world.worker.post(EventContext("GO", "x", 0, Go())),
        world.worker.post(EventContext("FILL", "x", 0, fill("3"))),
    ]
    await world.settle()
    assert world.data.log == ["go", "fill 1 0.1", "fill 2 0.1", "fill 3 0.1"]
    assert [future.result().outcome for future in newer] == [Outcome.HANDLED, Outcome.HANDLED]


@asynchronous
async def test_they_are_not_offered_before_the_phase_changes() -> None:
    world = World(MACHINE)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(Back())
    assert world.data.log == ["stay"]
    assert [waiting.event for waiting in world.instance().snapshot.deferred] == ["FILL"]


@asynchronous
async def test_they_survive_a_restart_with_their_payload_and_order() -> None:
    world = World(MACHINE)
    await world.start("x")
    for name in ("1", "2", "3"):
        await world.send(fill(name))
        await world.restart()
    await world.send(Go())
    assert world.data.log == ["go", "fill 1 0.1", "fill 2 0.1", "fill 3 0.1"]


@asynchronous
async def test_after_each_change_of_phase_the_offer_begins_again_with_the_oldest() -> None:
    machine = lab(
        {
            "A": {"FILL": Defer(), "DONE": Defer(), "GO": to("B")},
            "B": {"FILL": Defer(), "DONE": to("C", do=("done",))},
            "C": {"FILL": to(None, do=("note_fill",))},
        },
        actions={"note_fill": note_fill},
    )
    world = World(machine)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(Done())
    await world.send(fill("2"))
    await world.send(Go())
    assert world.phase == "C"
    assert world.data.log == ["done", "fill 1 0.1", "fill 2 0.1"]


@asynchronous
async def test_each_waiting_event_is_a_transition_of_its_own_in_the_audit_and_one_commit_with_the_change() -> None:
    world = World(MACHINE)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(Done())
    groups: list[int] = []
    write = world.store.commit

    def commit(commits: Any) -> None:
        groups.append(len(commits))
        write(commits)

    world.store.commit = commit  # type: ignore[method-assign]
    await world.send(Go())
    assert groups == [3]
    assert world.told()[-3:] == [
        ("GO", Outcome.HANDLED, "B"),
        ("FILL", Outcome.HANDLED, "B"),
        ("DONE", Outcome.HANDLED, "C"),
    ]
    assert [row.version for row in world.audit()[-3:]] == [3, 4, 5]


@asynchronous
async def test_a_waiting_event_that_fails_is_dropped_with_its_evidence_and_not_offered_for_ever() -> None:
    def fail(data: LabData, event: Any, ctx: Any) -> None:
        raise RuntimeError("cannot book")

    machine = lab(
        {
            "A": {"FILL": Defer(), "GO": to("B")},
            "B": {"FILL": to(None, do=("fail",)), "TROUBLE": to(None, do=("trouble",)), "GO": to("C")},
            "C": {"FILL": to(None, do=("note_fill",))},
        },
        actions={"fail": fail, "note_fill": note_fill},
    )
    world = World(machine)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(fill("2"))
    await world.send(Go())
    assert world.told()[-5:] == [
        ("GO", Outcome.HANDLED, "B"),
        ("FILL", Outcome.FAILED, "B"),
        ("TROUBLE", Outcome.HANDLED, "B"),
        ("FILL", Outcome.FAILED, "B"),
        ("TROUBLE", Outcome.HANDLED, "B"),
    ]
    assert world.instance().snapshot.deferred == []
    assert world.store.load().instances[0].snapshot == world.instance().checkpoint
    await world.restart()
    await world.send(Go())
    assert world.data.log == ["trouble", "trouble"]
    assert (await world.send(fill("1"))).outcome is Outcome.HANDLED, "delivered again, it is tried again"


@asynchronous
async def test_an_error_event_that_leads_elsewhere_offers_the_rest_there() -> None:
    def fail(data: LabData, event: Any, ctx: Any) -> None:
        raise RuntimeError("cannot book")

    machine = lab(
        {
            "A": {"FILL": Defer(), "DONE": Defer(), "GO": to("B")},
            "B": {"FILL": to(None, do=("fail",)), "DONE": to(None, do=("done_in_b",)), "TROUBLE": to("E")},
            "E": {"FILL": to(None, do=("note_fill",)), "DONE": to(None, do=("done_in_e",))},
        },
        actions={"fail": fail, "note_fill": note_fill},
    )
    world = World(machine)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(Done())
    await world.send(fill("2"))
    await world.send(Go())
    assert world.data.log == ["done_in_e", "fill 2 0.1"]


@asynchronous
async def test_a_waiting_event_that_is_rejected_or_ignored_later_leaves_and_is_told_so() -> None:
    machine = lab({"A": {"FILL": Defer(), "GO": to("B")}, "B": {"FILL": Reject("too late"), "GO": to("A")}})
    world = World(machine)
    await world.start("x")
    await world.send(fill("1"))
    await world.send(Go())
    assert world.audit()[-1].outcome is Outcome.REJECTED
    assert world.instance().snapshot.deferred == []
    assert (await world.send(fill("1"))).outcome is Outcome.REJECTED, (
        "not a duplicate of something that came to nothing"
    )


@asynchronous
async def test_a_branch_can_be_what_a_waiting_event_finds() -> None:
    row = (Branch(id="other", guards=(("mine", False),), ignored="Not ours."), Branch(id="ours", do=("note_fill",)))
    machine = lab(
        {"A": {"FILL": Defer(), "GO": to("B")}, "B": {"FILL": row}},
        guards={"mine": lambda data, event, ctx: event.order == "mine"},
        actions={"note_fill": note_fill},
    )
    world = World(machine)
    await world.start("x")
    for order in ("mine", "theirs"):
        await world.send(fill(order))
    await world.send(Go())
    assert world.data.log == ["fill mine 0.1"]
    assert [row.branch for row in world.audit()[-2:]] == ["ours", "other"]


@asynchronous
async def test_waiting_events_that_lead_to_each_other_for_ever_are_stopped() -> None:
    """In A one of them leads to B and waits there, in B the other leads to A and waits there."""
    machine = lab(
        {
            "START": {"INNER": Defer(), "ECHO": Defer(), "GO": to("A")},
            "A": {"INNER": to("B", raises=("INNER",)), "ECHO": Defer()},
            "B": {"ECHO": to("A", raises=("ECHO",)), "INNER": Defer()},
        },
        initial="START",
    )
    world = World(machine)
    await world.start("x")
    await world.send(Inner())
    await world.send(Echo())
    assert (await world.send(Go())).outcome is Outcome.HANDLED
    failed = [row for row in world.audit() if row.outcome is Outcome.FAILED]
    assert len(failed) == 1
    assert "a cycle" in failed[0].reason
    assert len(world.instance().snapshot.deferred) == 1
    assert len(world.audit()) < 300
    assert (await world.send(Done())).outcome is Outcome.IGNORED, "the worker lives"
