"""What cannot be understood is set aside with the reason and the way out; everything else starts."""

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from runtime_world import EVENTS, Back, Fill, Go, LabData, World, asynchronous, crossing_machine, lab, lamps, to

from generated import crossing
from runtime.definition import Defer, EventDefinition, Migration, OnRestore, PhaseDefinition, Timeout
from runtime.errors import DispatchError
from runtime.events import EventContext
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.restore import Quarantined

TABLE = {
    "A": {"FILL": Defer(), "GO": to("B", do=("go",)), "BACK": to("OUTSIDE")},
    "B": {"FILL": to(None, do=("fill",)), "BACK": to("A")},
    "OUTSIDE": {"BACK": to(history="inside")},
}
INSIDE = PhaseDefinition(groups=("inside",))
PHASES = {"A": INSIDE, "B": INSIDE}


def machine(**changes: Any) -> Machine:
    return lab(**({"table": TABLE, "phases": PHASES, "history_groups": ("inside",)} | changes))


def rewrite(world: World, name: str = "x", **changes: Any) -> None:
    """Change what is stored, as a disk or a person might."""
    store = world.store
    assert isinstance(store, MemoryStore)
    tables = store._tables
    assert tables is not None
    tables.instances[name] = msgspec.structs.replace(tables.instances[name], **changes)


async def quarantined(world: World, after: Machine | None = None) -> Quarantined:
    """Restart; x must be set aside and y go on."""
    before = world.store.load().instances
    restart = await world.restart(after)
    (found,) = restart.quarantined
    assert found.instance == "x"
    assert restart.restored == ("y",)
    assert (await world.send(Go(), "y")).handled
    with pytest.raises(DispatchError) as caught:
        world.worker.post(EventContext("GO", "x", 0, Go()))
    assert found.reason in str(caught.value)
    assert found.way_out in str(caught.value)
    with pytest.raises(DispatchError, match="exists already"):
        await world.worker.create("x")
    assert world.store.load().instances[0] == before[0], "untouched"
    return found


async def two() -> World:
    world = World(machine())
    await world.start("x", "y")
    return world


@asynchronous
async def test_everything_comes_back_as_it_was() -> None:
    world = World(crossing_machine(), lamps())
    await world.start("x", "y")
    await world.send(crossing.ButtonPressed(), "x")
    await world.wait(24_000)
    await world.send(crossing.ButtonPressed(), "x")
    await world.send(crossing.MaintenanceOn(), "y")
    before = {name: (one.snapshot, one.version) for name, one in world.worker.instances.items()}
    restart = await world.restart()
    assert (restart.restored, restart.quarantined) == (("x", "y"), ())
    after = {name: (one.snapshot, one.version) for name, one in world.worker.instances.items()}
    assert before["y"] == after["y"]
    assert before["x"][0].timer is not None
    assert after["x"][0].timer is not None
    after["x"][0].timer = before["x"][0].timer
    assert before["x"] == after["x"]


@asynchronous
@pytest.mark.parametrize(
    "damage",
    [b"", b"\x00" * 100, b'{"phase":"A"', b'{"phase":"\xff","data":{},"entered_at":0}', b"[]", b"null", b"[" * 100_000],
    ids=["empty", "zeros", "truncated", "not UTF-8", "a list", "null", "deep"],
)
async def test_damaged_bytes(damage: bytes) -> None:
    world = await two()
    rewrite(world, snapshot=damage)
    found = await quarantined(world)
    assert "cannot be read" in found.reason
    assert "phasewright audit x" in found.way_out


@asynchronous
async def test_truncation_at_any_byte_is_noticed() -> None:
    world = await two()
    whole = world.store.load().instances[0].snapshot
    for length in range(len(whole)):
        rewrite(world, snapshot=whole[:length])
        restart = await world.restart()
        assert [one.instance for one in restart.quarantined] == ["x"]


@asynchronous
async def test_data_of_another_type() -> None:
    world = await two()
    whole = world.store.load().instances[0].snapshot
    rewrite(world, snapshot=whole.replace(b'"count":0', b'"count":"none"'))
    assert "count" in (await quarantined(world)).reason


@asynchronous
async def test_an_unknown_phase() -> None:
    world = await two()
    rewrite(world, snapshot=world.store.load().instances[0].snapshot.replace(b'"phase":"A"', b'"phase":"GONE"'))
    assert "GONE is not in spec/lab.yaml" in (await quarantined(world)).reason


@asynchronous
async def test_another_machine() -> None:
    world = await two()
    rewrite(world, machine="trading")
    found = await quarantined(world)
    assert "'trading'" in found.reason
    assert "'lab'" in found.reason


@asynchronous
async def test_an_unknown_digest_without_a_migration() -> None:
    world = await two()
    rewrite(world, digest="0123456789abcdef" * 4)
    found = await quarantined(world)
    assert "0123456789ab" in found.reason
    assert "dddddddddddd" in found.reason
    assert "migrations: [{from: 0123456789ab" in found.way_out
    assert "spec/lab.yaml" in found.way_out


@asynchronous
async def test_an_unknown_waiting_event() -> None:
    world = await two()
    await world.send(Fill())
    raw = world.store.load().instances[0].snapshot
    rewrite(world, snapshot=raw.replace(b'"event":"FILL"', b'"event":"GONE"'))
    assert "waiting event GONE" in (await quarantined(world)).reason


@asynchronous
async def test_a_waiting_event_whose_payload_no_longer_fits() -> None:
    world = await two()
    await world.send(Fill())
    raw = world.store.load().instances[0].snapshot
    rewrite(world, snapshot=raw.replace(b'"qty":"1"', b'"qty":"one"'))
    assert "waiting event FILL cannot be read" in (await quarantined(world)).reason


@asynchronous
async def test_a_timer_whose_event_is_gone() -> None:
    world = await two()
    raw = world.store.load().instances[0].snapshot
    timer = b'"timer":{"event":"GONE","due_at":1,"generation":0}'
    rewrite(world, snapshot=re.sub(rb'"timer":(null|\{[^}]*\})', timer, raw))
    assert "its timer's event GONE" in (await quarantined(world)).reason


@asynchronous
async def test_a_group_left_in_a_phase_that_is_gone() -> None:
    world = await two()
    await world.send(Back())
    raw = world.store.load().instances[0].snapshot
    rewrite(world, snapshot=raw.replace(b'"inside":"A"', b'"inside":"GONE"'))
    assert "the phase GONE in which it left inside" in (await quarantined(world)).reason


# -- migrations ----------------------------------------------------------------------------------------------------


class NewData(msgspec.Struct, kw_only=True):
    log: list[str] = msgspec.field(default_factory=list)
    presses: int = 0
    added: str = "new"
    since: int | None = None


NEW_TABLE = {
    "START": {"FILL": Defer(), "GO": to("B", do=("go",)), "BACK": to("OUTSIDE")},
    "B": {"FILL": to(None, do=("fill",)), "BACK": to("START")},
    "OUTSIDE": {"BACK": to(history="inside")},
}
RENAMED = Migration("d" * 8, phases={"A": "START"}, rename_data={"count": "presses"}, drop_data=("amount",))


def newer(migration: Migration | None = RENAMED, **changes: Any) -> Machine:
    shape = {
        "table": NEW_TABLE,
        "phases": {"START": INSIDE, "B": INSIDE},
        "history_groups": ("inside",),
        "initial": "START",
        "digest": "e" * 64,
        "data": NewData,
        "migrations": () if migration is None else (migration,),
    }
    return lab(**(shape | changes))


@asynchronous
async def test_a_migration_carries_phases_data_history_and_waiting_events_over() -> None:
    world = World(machine())
    await world.start("x", "y", "z")
    world.instance("x").data.count = 3
    await world.send(Fill(), "x")
    await world.send(Back(), "y")
    await world.send(Go(), "z")
    restart = await world.restart(newer())
    assert restart.quarantined == ()
    assert [world.instance(name).phase for name in "xyz"] == ["START", "OUTSIDE", "B"]
    assert world.instance("x").data == NewData(presses=3)
    await world.send(Go(), "x")
    assert world.instance("x").data.log == ["go", "fill"]
    await world.send(Back(), "y")
    assert world.instance("y").phase == "START"
    assert {one.digest for one in world.store.load().instances if one.instance != "z"} == {"e" * 64}
    restart = await world.restart(newer())
    assert restart.quarantined == ()


@asynchronous
async def test_a_migration_that_forgets_something_is_not_applied() -> None:
    for migration, text in (
        (replace(RENAMED, phases={}), "its phase A is not in"),
        (replace(RENAMED, drop_data=()), "amount"),
        (replace(RENAMED, rename_data={}), "count"),
        (replace(RENAMED, from_digest="f" * 8), "nothing says how to carry it over"),
        (None, "nothing says how to carry it over"),
    ):
        world = await two()
        restart = await world.restart(newer(migration))
        assert len(restart.quarantined) == 2
        assert text in restart.quarantined[0].reason
        back = await world.restart(machine())
        assert back.quarantined == (), "the version that wrote it still reads it"


@asynchronous
async def test_a_renamed_phase_in_the_history_must_be_named_too() -> None:
    world = await two()
    await world.send(Back())
    keeps_outside = replace(RENAMED, phases={})
    restart = await world.restart(newer(keeps_outside))
    assert "the phase A in which it left inside" in {one.instance: one.reason for one in restart.quarantined}["x"]


@asynchronous
async def test_a_damaged_snapshot_is_not_migrated() -> None:
    for damage in (
        b"",
        b"[]",
        b"{}",
        b'{"phase":[],"history":{},"data":{}}',
        b'{"phase":"A","history":3,"data":{}}',
        b"\xff",
    ):
        world = await two()
        rewrite(world, snapshot=damage)
        restart = await world.restart(newer())
        assert [one.instance for one in restart.quarantined] == ["x"]
        assert "cannot be carried over" in restart.quarantined[0].reason


@asynchronous
async def test_a_newer_version_may_time_a_phase_that_was_not_timed() -> None:
    for on_restore in (OnRestore.KEEP_DEADLINE, OnRestore.RESTART):
        world = await two()
        timed = PhaseDefinition(groups=("inside",), timeout=Timeout("short", "BACK", on_restore))
        await world.restart(newer(phases={"START": timed, "B": INSIDE}), after=5_000)
        await world.wait(999)
        assert world.phase == "START"
        await world.wait(1)
        assert world.phase == "OUTSIDE"


@asynchronous
async def test_a_newer_version_may_raise_another_event_or_none() -> None:
    old = PhaseDefinition(groups=("inside",), timeout=Timeout("long", "BACK", OnRestore.KEEP_DEADLINE))
    for timeout in (Timeout("short", "GO", OnRestore.KEEP_DEADLINE), None):
        world = World(machine(phases={"A": old, "B": INSIDE}))
        await world.start("x")
        new = replace(old, timeout=timeout)
        await world.restart(newer(phases={"START": new, "B": INSIDE}))
        await world.wait(100_000)
        assert world.phase == ("B" if timeout else "START")


def test_a_payload_may_change_with_a_migration_if_what_waits_still_fits() -> None:
    """Decided at the start, not when the event is offered."""

    class Stricter(msgspec.Struct, kw_only=True):
        order: str
        qty: int

    @asynchronous
    async def check() -> None:
        world = await two()
        await world.send(Fill())
        target = newer()
        events = EVENTS | {"FILL": EventDefinition(Stricter)}
        changed = replace(target.definition, events=events)
        restart = await world.restart(
            Machine(changed, object(), _Steps(), target.config),
        )
        assert [one.instance for one in restart.quarantined] == ["x"]
        assert "waiting event FILL cannot be read" in restart.quarantined[0].reason

    class _Steps:
        def go(self, data: LabData, event: Any, ctx: Any) -> None: ...

        def fill(self, data: LabData, event: Any, ctx: Any) -> None: ...

    check()
