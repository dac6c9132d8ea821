"""The crossing through its public face: every outcome that a receipt can tell, and a group left and re-entered."""

import pytest
from runtime_world import Go, World, asynchronous, crossing_machine, lab, lamps, to

from generated import crossing
from runtime.definition import PhaseDefinition
from runtime.errors import DispatchError
from runtime.events import EventContext, Outcome, Receipt


@asynchronous
async def test_maintenance_puts_the_crossing_back_where_it_was() -> None:
    for elapsed, phase in ((0, "CARS_GREEN"), (20_000, "CARS_AMBER"), (23_000, "WALK"), (35_000, "CLEARING")):
        for restarted in (False, True):
            world = World(crossing_machine(), lamps())
            await world.start("x")
            await world.send(crossing.ButtonPressed())
            await world.wait(elapsed)
            assert world.phase == phase
            walks = world.data.walks
            await world.send(crossing.MaintenanceOn())
            assert world.phase == "FLASHING"
            assert world.worker.next_timer_at() is None
            await world.wait(100_000)
            if restarted:
                await world.restart()
            receipt = await world.send(crossing.MaintenanceOff())
            assert (receipt.outcome, receipt.phase_from, receipt.phase_to) == (Outcome.HANDLED, "FLASHING", phase)
            assert world.data.walks == walks + (phase == "WALK"), "entered anew, with its entry actions"
            assert world.instance().snapshot.timer is not None


@asynchronous
async def test_the_last_phase_counts_when_a_group_is_left_several_times() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x")
    await world.send(crossing.MaintenanceOn())
    await world.send(crossing.MaintenanceOff())
    await world.wait(20_000)
    assert world.phase == "CARS_WAIT"
    await world.send(crossing.LampFailed(error="bulb", failed_event=""))
    await world.send(crossing.LampFailed(error="another bulb", failed_event=""))
    assert (world.phase, world.data.last_fault) == ("FLASHING", "another bulb")
    await world.send(crossing.MaintenanceOff())
    assert world.phase == "CARS_WAIT"


@asynchronous
async def test_a_group_that_was_never_left_cannot_be_re_entered() -> None:
    machine = lab(
        {"A": {"GO": to(history="running")}, "B": {}},
        phases={"B": PhaseDefinition(groups=("running",))},
        history_groups=("running",),
    )
    world = World(machine)
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "running, which was never left" in receipt.reason
    assert world.phase == "A"


@asynchronous
async def test_moving_within_a_group_is_not_leaving_it() -> None:
    group = PhaseDefinition(groups=("inner", "outer"))
    machine = lab(
        {
            "A": {"GO": to("B")},
            "B": {"GO": to("C")},
            "C": {"GO": to("D")},
            "D": {"GO": to(history="outer"), "BACK": to(history="inner")},
        },
        phases={"A": group, "B": group, "C": PhaseDefinition(groups=("outer",))},
        history_groups=("inner", "outer"),
    )
    world = World(machine)
    await world.start("x")
    for expected in ({}, {"inner": "B"}, {"inner": "B", "outer": "C"}):
        await world.send(Go())
        assert world.instance().snapshot.history == expected
    await world.send(Go())
    assert world.phase == "C"


@asynchronous
async def test_a_receipt_for_each_outcome() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x")
    version = world.instance().version

    async def send(payload: crossing.Payload, id: str | None = None) -> Receipt:
        receipt = await world.send(payload, id=id)
        assert (receipt.event, receipt.instance) == (payload.event, "x")
        assert receipt.version == world.instance().version
        return receipt

    handled = await send(crossing.ButtonPressed(), "press 1")
    assert (handled.outcome, handled.phase_from, handled.phase_to) == (Outcome.HANDLED, "CARS_GREEN", "CARS_GREEN")
    assert (handled.version, handled.handled) == (version + 1, True)
    duplicate = await send(crossing.ButtonPressed(), "press 1")
    assert (duplicate.outcome, duplicate.first) == (Outcome.DUPLICATE, Outcome.HANDLED)
    ignored = await send(crossing.MaintenanceOff())
    assert (ignored.outcome, ignored.reason, ignored.handled) == (Outcome.IGNORED, "The lights run already.", False)
    rejected = await send(crossing.Cleared())
    assert (rejected.outcome, rejected.reason) == (Outcome.REJECTED, "Only a timer can raise this.")
    await world.wait(23_000)
    deferred = await send(crossing.ButtonPressed())
    assert (deferred.outcome, deferred.phase_to) == (Outcome.DEFERRED, "WALK")
    world.instance().snapshot.data.requests = "broken"
    failed = await world.send(crossing.MaintenanceOn())
    assert (failed.outcome, failed.phase_to, failed.version) == (Outcome.FAILED, "WALK", deferred.version)


@asynchronous
async def test_what_is_not_an_event_of_an_instance_is_refused_with_a_reason() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x")
    press, rows = crossing.ButtonPressed(), len(world.audit())
    for ctx, message in (
        (EventContext("BUTTON_PRESSED", "nobody", 0, press), "no instance 'nobody'; create it first"),
        (EventContext("BUTTON", "x", 0, press), "BUTTON .* is not an event of machine 'crossing'"),
        (EventContext("CLEARED", "x", 0, press), "CLEARED with ButtonPressed.* is not Cleared"),
        (EventContext("BUTTON_PRESSED", "x", 0, {}), "is not ButtonPressed"),  # type: ignore[arg-type]
        (EventContext("BUTTON_PRESSED", "x", 0, crossing.ButtonPressed), "is not ButtonPressed"),  # type: ignore[arg-type]
    ):
        with pytest.raises(DispatchError, match=message):
            world.worker.post(ctx)
    assert len(world.audit()) == rows


@asynchronous
async def test_an_instance_is_created_once_under_a_name() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x")
    with pytest.raises(DispatchError, match="x exists already"):
        await world.worker.create("x")
    with pytest.raises(DispatchError, match="needs a name"):
        await world.worker.create("")
    await world.restart()
    with pytest.raises(DispatchError, match="x exists already"):
        await world.worker.create("x")
