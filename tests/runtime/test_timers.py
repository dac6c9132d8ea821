"""Timers belong to one visit of a phase; time is virtual, so they are exact."""

import pytest
from runtime_world import Back, Done, Go, LabData, Tick, World, asynchronous, crossing_machine, lab, lamps, to

from generated import crossing
from runtime.definition import Defer, OnRestore, PhaseDefinition, Timeout
from runtime.events import EventContext, Outcome
from runtime.machine import Machine


def timed(
    on_restore: OnRestore = OnRestore.KEEP_DEADLINE, *, after: str = "short", since: str | None = None
) -> Machine:
    def note(data: LabData, event: object, ctx: object) -> None:
        data.since = ctx.now - 400  # type: ignore[attr-defined]

    return lab(
        {
            "A": {
                "TICK": to("B", do=("tick",)),
                "GO": to("C", do=("note",)),
                "BACK": to(None, do=("stay",)),
                "DONE": to("A"),
            },
            "B": {"TICK": to("A", do=("tick_in_b",)), "BACK": to("A")},
            "C": {"BACK": to("A"), "TICK": to(None, do=("wrong",))},
        },
        phases={"A": PhaseDefinition(timeout=Timeout(after, "TICK", on_restore, since))},
        actions={"note": note},
    )


@asynchronous
async def test_a_timer_fires_at_its_instant_once_and_not_before() -> None:
    world = World(timed())
    await world.start("x")
    start = world.clock.now()
    assert world.worker.next_timer_at() == start + 1_000
    await world.wait(999)
    assert world.phase == "A"
    await world.wait(1)
    assert (world.phase, world.data.log) == ("B", ["tick"])
    assert world.audit()[-1].at == start + 1_000
    assert world.instance().snapshot.timer is None
    await world.wait(100_000)
    assert world.data.log == ["tick"]


@asynchronous
async def test_no_id_that_a_sender_chooses_can_be_taken_for_a_timer() -> None:
    world = World(timed())
    await world.start("x")
    for generation in range(3):
        await world.send(Back(), id=f"timer/{generation}")
    await world.wait(1_000)
    assert world.phase == "B", "the timer fired all the same"


@asynchronous
async def test_internal_rows_leave_the_timer_alone_and_it_still_fires_once() -> None:
    world = World(timed())
    await world.start("x")
    for _ in range(20):
        await world.send(Back())
    world.clock.advance_to(world.clock.now() + 1_000)
    assert world.worker.fire_timers() == 1
    await world.settle()
    assert world.data.log.count("tick") == 1
    assert len(world.audit()) == 21, "twenty internal rows and one tick"
    assert world.worker.next_timer_at() is None


@asynchronous
async def test_a_new_visit_starts_a_new_timer() -> None:
    world = World(timed())
    await world.start("x")
    await world.wait(600)
    await world.send(Done())
    await world.wait(600)
    assert world.data.log == [], "the first visit's timer did not fire into the second"
    await world.wait(400)
    assert world.data.log == ["tick"]


@asynchronous
async def test_a_stale_timer_never_fires_into_a_later_visit_and_is_audited() -> None:
    """The timer has fired, but another event of the same instant comes first and leads to a new visit of the phase."""
    world = World(timed())
    await world.start("x")
    world.clock.advance_to(world.clock.now() + 1_000)
    away, back = (world.worker.post(EventContext(one.event, "x", 0, one)) for one in (Go(), Back()))
    assert world.worker.fire_timers() == 1
    await world.settle()
    assert away.result().handled
    assert back.result().handled
    assert (world.phase, world.data.log) == ("A", [])
    dropped = world.audit()[-1]
    assert (dropped.event, dropped.outcome) == ("TICK", Outcome.IGNORED)
    assert "visit 0" in dropped.reason
    assert "visit 2" in dropped.reason
    timer = world.instance().snapshot.timer
    assert timer is not None, "the new visit's timer runs"
    await world.wait(1_000)
    assert world.data.log == ["tick"]


@asynchronous
async def test_a_stale_timer_does_nothing_in_another_phase_either() -> None:
    world = World(timed())
    await world.start("x")
    world.clock.advance_to(world.clock.now() + 1_000)
    world.worker.post(EventContext("GO", "x", 0, Go()))
    world.worker.fire_timers()
    await world.settle()
    assert (world.phase, world.data.log) == ("C", [])
    assert world.audit()[-1].outcome is Outcome.IGNORED


@asynchronous
async def test_the_event_of_a_timer_sent_by_hand_is_an_ordinary_event() -> None:
    world = World(timed())
    await world.start("x")
    assert (await world.send(Tick())).outcome is Outcome.HANDLED
    assert world.phase == "B"


@asynchronous
async def test_a_timer_can_count_from_a_datum() -> None:
    world = World(timed(since="since"))
    await world.start("x")
    await world.wait(100)
    await world.send(Go())
    noted = world.data.since
    await world.send(Back())
    assert world.worker.next_timer_at() == noted + 1_000
    await world.wait(600)
    assert world.data.log == ["tick"]


@asynchronous
async def test_a_timer_never_counts_from_what_is_no_instant() -> None:
    def spoil(data: LabData, event: object, ctx: object) -> None:
        data.since = 1.5  # type: ignore[assignment]

    def mend(data: LabData, event: object, ctx: object) -> None:
        data.since = None

    table = {"A": {"GO": to("B", do=("spoil",), raises=("DONE",))}, "B": {"DONE": to(None, do=("mend",))}}
    phases = {"B": PhaseDefinition(timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE, "since"))}
    world = World(lab(table, phases=phases, actions={"spoil": spoil, "mend": mend}))
    await world.start("x")
    receipt = await world.send(Go())
    assert (receipt.outcome, world.data.since) == (Outcome.FAILED, None)
    assert receipt.reason == "DispatchError: the timer of B counts from since, which is 1.5"


@asynchronous
async def test_a_datum_that_lies_too_far_back_makes_a_timer_due_at_once() -> None:
    world = World(timed(since="since", after="short"))
    await world.start("x")
    await world.send(Go())
    await world.wait(50_000)
    await world.send(Back())
    assert world.data.log == ["tick"]


@pytest.mark.parametrize(
    ("on_restore", "away", "expected"),
    [
        (OnRestore.KEEP_DEADLINE, 100, 500),
        (OnRestore.KEEP_DEADLINE, 600, 0),
        (OnRestore.KEEP_DEADLINE, 5_000, 0),
        (OnRestore.RESTART, 100, 1_000),
        (OnRestore.RESTART, 5_000, 1_000),
        (OnRestore.DROP, 100, None),
        (OnRestore.DROP, 5_000, None),
    ],
)
def test_a_restart_treats_a_timer_as_its_phase_declares(on_restore: OnRestore, away: int, expected: int | None) -> None:
    """Four hundred milliseconds into a visit of a second, the bot is away; `expected` is what is left afterwards."""

    @asynchronous
    async def check() -> None:
        world = World(timed(on_restore))
        await world.start("x")
        await world.wait(400)
        await world.restart(after=away)
        if expected is None:
            assert world.worker.next_timer_at() is None
            await world.wait(100_000)
            assert world.data.log == []
        elif expected == 0:
            assert world.data.log == ["tick"], "overdue, it has fired at once"
        else:
            await world.wait(expected - 1)
            assert world.data.log == []
            await world.wait(1)
            assert world.data.log == ["tick"]

    check()


@pytest.mark.parametrize("on_restore", list(OnRestore))
def test_a_timer_that_has_fired_in_this_visit_does_not_fire_again_after_a_restart(on_restore: OnRestore) -> None:
    @asynchronous
    async def check() -> None:
        machine = lab(
            {"A": {"TICK": to(None, do=("tick",))}},
            phases={"A": PhaseDefinition(timeout=Timeout("short", "TICK", on_restore))},
        )
        world = World(machine)
        await world.start("x")
        await world.wait(1_000)
        await world.restart(after=1_000_000)
        await world.wait(1_000_000)
        assert world.data.log == ["tick"], "even when its identity is forgotten"

    check()


@asynchronous
async def test_a_timer_of_a_deferring_phase_waits_like_any_other_event() -> None:
    machine = lab(
        {"A": {"TICK": Defer(), "GO": to("B")}, "B": {"TICK": to(None, do=("late_tick",))}},
        phases={"A": PhaseDefinition(timeout=Timeout("short", "TICK", OnRestore.KEEP_DEADLINE))},
    )
    world = World(machine)
    await world.start("x")
    await world.wait(1_000)
    await world.restart()
    await world.send(Go())
    assert world.data.log == ["late_tick"]


@asynchronous
async def test_the_heap_of_timers_does_not_grow_with_the_visits() -> None:
    world = World(timed(after="long"))
    await world.start("y")
    await world.wait(10)
    await world.worker.create("x")
    for _ in range(500):
        await world.wait(1)
        await world.send(Done())
    assert len(world.worker._timers) < 100
    timer = world.instance().snapshot.timer
    assert timer is not None
    await world.wait(60_000)
    assert world.data.log.count("tick") == 1
    assert world.instance("y").data.log == ["tick"]


@asynchronous
async def test_timers_of_the_same_instant_fire_in_the_order_of_the_instances() -> None:
    world = World(timed())
    await world.start("z", "a", "m")
    await world.wait(1_000)
    assert [row.instance for row in world.audit(None)] == ["a", "m", "z"]


@asynchronous
async def test_the_crossing_goes_round_by_its_timers() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x")
    await world.send(crossing.ButtonPressed())
    start = world.clock.now()
    await world.wait(60_000)
    walked = [(row.at - start, row.phase_to) for row in world.audit() if row.phase_from != row.phase_to]
    assert walked == [
        (20_000, "CARS_AMBER"),
        (23_000, "WALK"),
        (35_000, "CLEARING"),
        (41_000, "CARS_GREEN"),
    ]
    assert (world.data.walks, world.data.requests) == (1, 0)
