"""What an event raises belongs to its commit: all of it or nothing."""

from typing import Any

from runtime_world import Back, Go, Inner, LabData, World, asynchronous, lab, to

from runtime.definition import Defer, PhaseDefinition, Reject
from runtime.dispatch import MAX_RAISED
from runtime.events import Outcome


@asynchronous
async def test_raised_events_are_handled_in_the_same_commit_in_their_order() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", do=("go",), raises=("INNER", "ECHO"))},
            "B": {"INNER": to("C", do=("inner",), raises=("INNER",))},
            "C": {"INNER": to(None, do=("inner_in_c",)), "ECHO": to(None, do=("echo_in_c",))},
        },
    )
    world = World(machine)
    await world.start("x")
    version = world.instance().version
    receipt = await world.send(Go())
    assert world.data.log == ["go", "inner", "echo_in_c", "inner_in_c"]
    assert (receipt.phase_to, receipt.version) == ("C", version + 1)
    assert {row.version for row in world.audit()} == {version}
    assert [row.event for row in world.audit()] == ["GO", "INNER", "ECHO", "INNER"]


@asynchronous
async def test_entry_raises_after_the_row_itself() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", raises=("INNER",))},
            "B": {"INNER": to(None, do=("inner",)), "ECHO": to("C", do=("echo",))},
            "C": {},
        },
        phases={"B": PhaseDefinition(entry_raises=("ECHO",))},
    )
    world = World(machine)
    await world.start("x")
    await world.send(Go())
    assert world.data.log == ["inner", "echo"]


@asynchronous
async def test_a_rejected_raised_event_fails_the_whole() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", do=("go",), raises=("INNER", "ECHO"))},
            "B": {"INNER": to(None, do=("inner",)), "ECHO": Reject("never here")},
        },
    )
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "ECHO" in receipt.reason
    assert "never here" in receipt.reason
    assert (world.phase, world.data.log) == ("A", [])
    assert world.told() == [("GO", Outcome.FAILED, "A"), ("TROUBLE", Outcome.IGNORED, "A")]


@asynchronous
async def test_a_raised_event_can_be_ignored_or_wait() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", raises=("INNER", "ECHO"))},
            "B": {"INNER": Defer(), "GO": to("C")},
            "C": {"INNER": to(None, do=("inner",))},
        },
    )
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.HANDLED
    assert world.told() == [
        ("GO", Outcome.HANDLED, "B"),
        ("INNER", Outcome.DEFERRED, "B"),
        ("ECHO", Outcome.IGNORED, "B"),
    ]
    await world.restart()
    await world.send(Go())
    assert world.data.log == ["inner"]


@asynchronous
async def test_a_cycle_is_stopped_and_nothing_of_it_happened() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", raises=("INNER",))},
            "B": {"INNER": to("C", raises=("ECHO",))},
            "C": {"ECHO": to("B", raises=("INNER",))},
        },
    )
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "cycle" in receipt.reason
    assert world.phase == "A"
    assert len(world.audit()) == 2


@asynchronous
async def test_a_long_chain_below_the_cap_is_no_cycle() -> None:
    def again(data: LabData, event: Any, ctx: Any) -> None:
        data.count += 1

    machine = lab(
        {
            "A": {
                "GO": to(None, raises=("INNER",) * MAX_RAISED),
                "BACK": to(None, raises=("INNER",) * (MAX_RAISED + 1)),
                "INNER": to(None, do=("again",)),
            }
        },
        actions={"again": again},
    )
    world = World(machine)
    await world.start("x")
    assert (await world.send(Go())).outcome is Outcome.HANDLED
    assert world.data.count == MAX_RAISED
    assert (await world.send(Back())).outcome is Outcome.FAILED
    assert world.data.count == MAX_RAISED


@asynchronous
async def test_a_failure_in_a_raised_event_undoes_the_event_that_raised_it() -> None:
    def fail(data: LabData, event: Any, ctx: Any) -> None:
        raise RuntimeError("inner trouble")

    machine = lab(
        {
            "A": {"GO": to("B", do=("go",), raises=("INNER",)), "TROUBLE": to(None, do=("trouble",))},
            "B": {"INNER": to(None, do=("fail",))},
        },
        actions={"fail": fail},
    )
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Go())
    assert (receipt.outcome, receipt.event) == (Outcome.FAILED, "GO")
    assert (world.phase, world.data.log) == ("A", ["trouble"])


@asynchronous
async def test_an_internal_event_sent_from_outside_is_decided_by_the_table() -> None:
    world = World(lab({"A": {"INNER": Reject("Only GO can raise this.")}}))
    await world.start("x")
    receipt = await world.send(Inner())
    assert (receipt.outcome, receipt.reason) == (Outcome.REJECTED, "Only GO can raise this.")
