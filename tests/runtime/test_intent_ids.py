"""The id under which the world knows an effect: derived, never drawn."""

import re
from typing import Any

from runtime_world import Back, Go, Hands, KeptStore, LabData, Unknown, World, asynchronous, effect, lab, to

from runtime.definition import EffectClass
from runtime.effects import Retry
from runtime.machine import Machine


def asking() -> Machine:
    def note(data: LabData, event: Any, ctx: Any) -> None:
        data.log.append(ctx.intent_id("ask"))

    return lab(
        {
            "A": {"GO": to("B", do=("note", "note"), request=("ask", "tell"))},
            "B": {"BACK": to("A"), "GO": to(None, request=("ask",))},
        },
        actions={"note": note},
        effects={"ask": effect(EffectClass.AT_MOST_ONCE, retry="patient"), "tell": effect()},
    )


async def ids(
    store: KeptStore | None = None, instance: str = "x", rounds: int = 1, *, restarts: bool = False
) -> list[str]:
    """The ids of `rounds` rounds of both effects."""
    world = World(asking(), Hands(), store=store)
    world.hands.answers["recover_ask"] = Unknown()
    await world.start(instance)
    for _ in range(rounds):
        await world.send(Go(), instance)
        await world.send(Back(), instance)
        if restarts:
            await world.restart()
    found: dict[str, None] = {}
    for name, claim in world.hands.asked:
        if not name.startswith("recover"):
            found[claim.intent_id] = None
    await world.worker.stop()
    return list(found)


@asynchronous
async def test_an_id_is_32_lower_case_hexadecimal_characters() -> None:
    for intent_id in await ids(rounds=5):
        assert re.fullmatch("[0-9a-f]{32}", intent_id)


@asynchronous
async def test_ids_differ_by_instance_effect_number_and_store() -> None:
    groups = [
        await ids(rounds=3),
        await ids(instance="y", rounds=3),
        await ids(KeptStore("other"), rounds=3),
    ]
    everything = [intent_id for group in groups for intent_id in group]
    assert len(everything) == 18
    assert len(set(everything)) == 18


@asynchronous
async def test_ids_are_the_same_in_another_run_and_across_restarts() -> None:
    assert await ids(rounds=3) == await ids(rounds=3) == await ids(rounds=3, restarts=True)


@asynchronous
async def test_all_attempts_have_one_id() -> None:
    world = World(asking(), Hands({"ask": Retry("refused", otherwise=Unknown()), "tell": Unknown()}))
    await world.start("x")
    await world.send(Go())
    await world.wait(10_000)
    assert len({claim.intent_id for name, claim in world.hands.asked if name == "ask"}) == 1
    assert len([name for name, _ in world.hands.asked if name == "ask"]) == 3


@asynchronous
async def test_an_action_knows_the_id_of_what_its_transition_asks_for() -> None:
    world = World(asking(), Hands())
    await world.start("x")
    await world.send(Go())
    asked = [claim.intent_id for name, claim in world.hands.asked if name == "ask"]
    assert world.data.log == asked * 2
    await world.send(Go())
    assert len({claim.intent_id for _, claim in world.hands.asked}) == 3
    await world.send(Back())
    await world.send(Go())
    asked = [claim.intent_id for name, claim in world.hands.asked if name == "ask"]
    assert world.data.log[2:] == asked[-1:] * 2


@asynchronous
async def test_an_effect_that_one_event_asks_for_twice_is_two_effects() -> None:
    machine = lab(
        {"A": {"GO": to("B", request=("ask",), raises=("INNER",))}, "B": {"INNER": to(None, request=("ask",))}},
        effects={"ask": effect()},
    )
    world = World(machine)
    await world.start("x")
    assert (await world.send(Go())).handled
    assert len({claim.intent_id for _, claim in world.hands.asked}) == 2


@asynchronous
async def test_an_id_that_was_taken_back_with_its_event_is_given_to_the_next() -> None:
    """Else an uninterrupted run and a restarted one would name the same order differently."""

    def fail(data: LabData, event: Any, ctx: Any) -> None:
        data.log.append(ctx.intent_id("ask"))
        if event.note == "fail":
            raise RuntimeError

    machine = lab(
        {"A": {"GO": to(None, do=("fail",), request=("ask",))}}, actions={"fail": fail}, effects={"ask": effect()}
    )
    plain, troubled = World(machine), World(machine)
    await plain.start("x")
    await troubled.start("x")
    await troubled.send(Go(note="fail"))
    for world in (plain, troubled):
        await world.send(Go())
    assert plain.data.log == troubled.data.log
