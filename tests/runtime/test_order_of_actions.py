"""Exit actions, then the transition's, then entry actions; which of them run is the row's to say."""

from dataclasses import replace

from runtime_world import AskRequest, Back, Done, Go, Hands, LabData, World, asynchronous, effect, lab, to

from runtime.definition import Branch, PhaseDefinition

PHASES = {
    "A": PhaseDefinition(entry_do=("enter_a",), exit_do=("leave_a1", "leave_a2")),
    "B": PhaseDefinition(entry_do=("enter_b1", "enter_b2"), exit_do=("leave_b",)),
}


@asynchronous
async def test_exit_transition_and_entry_actions_run_in_this_order() -> None:
    world = World(lab({"A": {"GO": to("B", do=("do1", "do2"))}, "B": {}}, phases=PHASES))
    await world.start("x")
    await world.send(Go())
    expected = ["leave_a1", "leave_a2", "do1", "do2", "enter_b1", "enter_b2"]
    assert world.data.log == expected
    assert list(world.audit()[-1].actions) == expected
    assert world.phase == "B"


@asynchronous
async def test_an_internal_row_runs_neither_exit_nor_entry_and_is_no_new_visit() -> None:
    world = World(lab({"A": {"GO": to(None, do=("do",))}}, phases={"A": PHASES["A"]}))
    await world.start("x")
    before = world.instance().snapshot.generation
    receipt = await world.send(Go())
    assert world.data.log == ["do"]
    assert world.instance().snapshot.generation == before
    assert (receipt.phase_from, receipt.phase_to) == ("A", "A")


@asynchronous
async def test_a_row_to_its_own_phase_runs_both_and_is_a_new_visit() -> None:
    world = World(lab({"A": {"GO": to("A", do=("do",))}}, phases={"A": PHASES["A"]}))
    await world.start("x")
    before = world.instance().snapshot.generation
    await world.send(Go())
    assert world.data.log == ["leave_a1", "leave_a2", "do", "enter_a"]
    assert world.instance().snapshot.generation == before + 1


@asynchronous
async def test_effects_are_asked_for_after_all_actions_and_raised_events_come_after_that() -> None:
    def set_count(data: LabData, event: object, ctx: object) -> None:
        data.count = 7

    def remember(request: AskRequest, claim: object) -> Done:
        seen.append(request.count)
        return Done()

    phases = {"A": PhaseDefinition(), "B": PhaseDefinition(entry_do=("set_count",), entry_request=("second",))}
    machine = lab(
        {
            "A": {"GO": to("B", request=("first",), raises=("INNER",))},
            "B": {"INNER": to(None, do=("inner",), request=("third",))},
        },
        phases=phases,
        actions={"set_count": set_count},
        effects={"first": effect(), "second": effect(), "third": effect()},
    )
    seen: list[int] = []
    hands = Hands(dict.fromkeys(("first", "second", "third"), remember))
    world = World(machine, hands)
    await world.start("x")
    await world.send(Go())
    assert [name for name, _ in hands.asked] == ["first", "second", "third"]
    assert seen == [7, 7, 7]


def test_the_steps_of_a_row_are_joined_once_at_start_up() -> None:
    machine = lab({"A": {"GO": to("B", do=("do",))}, "B": {}}, phases=PHASES)
    branch = machine.definition.table["A"]["GO"]
    assert isinstance(branch, tuple)
    assert isinstance(branch[0], Branch)
    way = machine.way("A", branch[0], "B")
    assert way is machine.way("A", replace(branch[0]), "B")
    assert way.names == ("leave_a1", "leave_a2", "do", "enter_b1", "enter_b2")


@asynchronous
async def test_rows_that_share_an_id_do_not_share_their_actions() -> None:
    world = World(lab({"A": {"GO": to(None, id="same", do=("go",)), "BACK": to(None, id="same", do=("back",))}}))
    await world.start("x")
    await world.send(Go())
    await world.send(Back())
    assert world.data.log == ["go", "back"]
