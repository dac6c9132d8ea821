"""A process died with effects under way: what the next one does with them depends on what may be done twice."""

import asyncio
from typing import Any

import pytest
from runtime_world import Done, Go, Hands, LabData, Unknown, World, asynchronous, effect, lab, to

from runtime.definition import EffectClass
from runtime.effects import Claim, Retry
from runtime.events import EventContext, Outcome
from runtime.machine import Machine


def asking(kind: EffectClass, retry: str | None = "patient") -> Machine:
    def note(data: LabData, event: Done, ctx: object) -> None:
        data.log.append(f"{event.event} {event.note}")

    return lab(
        {
            "A": {"GO": to("B", request=("ask",))},
            "B": {"DONE": to("A", do=("note",)), "UNKNOWN": to("A", do=("unknown",)), "TROUBLE": to("E")},
            "E": {},
        },
        actions={"note": note},
        effects={"ask": effect(kind, retry=retry)},
    )


@pytest.mark.parametrize("kind", [EffectClass.PURE, EffectClass.IDEMPOTENT])
def test_what_may_be_done_twice_is_done_again_under_the_same_claim(kind: EffectClass) -> None:
    @asynchronous
    async def check() -> None:
        world = World(asking(kind), Hands())
        await world.start("x")
        await world.send(Go())
        (first,) = world.hands.asked
        restart = await world.restart(after=60_000)
        assert restart.open_intents == 1
        assert world.hands.asked == [first, first]
        world.hands.answers["ask"] = Done(note="at last")
        await world.restart()
        assert world.hands.asked == [first, first, first]
        assert world.data.log == ["DONE at last"]
        restart = await world.restart()
        assert restart.open_intents == 0
        assert len(world.hands.asked) == 3

    check()


@asynchronous
async def test_what_may_not_be_done_twice_is_looked_up_and_what_is_found_is_the_outcome() -> None:
    world = World(asking(EffectClass.AT_MOST_ONCE), Hands({"recover_ask": Done(note="found it")}))
    await world.start("x")
    await world.send(Go())
    claim = world.hands.asked[0][1]
    await world.restart(after=60_000)
    assert world.hands.asked == [("ask", claim), ("recover_ask", claim)]
    assert world.data.log == ["DONE found it"]
    assert world.store.load().open_intents == ()


@asynchronous
async def test_what_is_proven_absent_is_sent_under_a_new_claim_that_is_durable_first() -> None:
    world = World(asking(EffectClass.AT_MOST_ONCE), Hands())
    world.hands.answers["recover_ask"] = lambda request, claim: None
    await world.start("x")
    await world.send(Go())
    first = world.hands.asked[0][1]

    def ask(request: object, claim: Claim) -> Done:
        stored = world.store.intent(claim.intent_id)
        assert stored is not None
        assert stored.claim == claim
        return Done(note="sent again")

    world.hands.answers["ask"] = ask
    await world.restart(after=60_000)
    now = world.clock.now()
    second = Claim(first.intent_id, "x", 2, now, now + 5_000)
    assert world.hands.asked[1:] == [("recover_ask", first), ("ask", second)]
    assert world.data.log == ["DONE sent again"]


@asynchronous
async def test_crash_after_crash_each_attempt_has_its_own_number() -> None:
    world = World(asking(EffectClass.AT_MOST_ONCE), Hands())
    world.hands.answers["recover_ask"] = lambda request, claim: None
    await world.start("x")
    await world.send(Go())
    for _ in range(3):
        await world.restart(after=1_000)
    assert [(name, claim.attempt) for name, claim in world.hands.asked] == [
        ("ask", 1),
        ("recover_ask", 1),
        ("ask", 2),
        ("recover_ask", 2),
        ("ask", 3),
        ("recover_ask", 3),
        ("ask", 4),
    ]
    assert len({claim.intent_id for _, claim in world.hands.asked}) == 1


@asynchronous
async def test_a_look_up_that_cannot_tell_leads_to_its_outcome_or_to_the_error_event() -> None:
    for answer, phase, log in ((Unknown(), "A", ["unknown"]), (RuntimeError("no answer"), "E", [])):
        world = World(asking(EffectClass.AT_MOST_ONCE), Hands({"recover_ask": answer}))
        await world.start("x")
        await world.send(Go())
        await world.restart(after=60_000)
        assert (world.phase, world.data.log) == (phase, log)
        assert [name for name, _ in world.hands.asked] == ["ask", "recover_ask"], "never sent again"


@asynchronous
async def test_attempts_made_before_a_crash_count_for_the_policy() -> None:
    world = World(asking(EffectClass.IDEMPOTENT), Hands({"ask": Retry("refused", otherwise=Unknown())}))
    await world.start("x")
    await world.send(Go())
    await world.wait(100)
    assert [claim.attempt for _, claim in world.hands.asked] == [1, 2]
    await world.restart(after=10)
    await world.wait(10_000)
    assert [claim.attempt for _, claim in world.hands.asked] == [1, 2, 3]
    assert world.data.log == ["unknown"]


@asynchronous
async def test_an_effect_that_the_spec_no_longer_has_becomes_the_error_event() -> None:
    world = World(asking(EffectClass.IDEMPOTENT), Hands())
    await world.start("x")
    await world.send(Go())
    without = lab(
        {"A": {}, "B": {"TROUBLE": to("E")}, "E": {}},
        effects={"other": effect()},
    )
    await world.restart(without)
    assert world.phase == "E"
    assert "ask" in world.audit()[-1].payload.decode()
    assert "no such effect in spec/lab.yaml any more" in world.audit()[-1].payload.decode()
    assert world.store.load().open_intents == ()


@asynchronous
async def test_effects_of_an_instance_in_quarantine_rest() -> None:
    world = World(asking(EffectClass.IDEMPOTENT), Hands())
    await world.start("x")
    await world.send(Go())
    other = lab({"A": {}, "B": {}}, effects={"ask": effect()}, digest="e" * 64)
    restart = await world.restart(other)
    assert [one.instance for one in restart.quarantined] == ["x"]
    assert restart.open_intents == 0
    assert len(world.hands.asked) == 1
    assert len(world.store.load().open_intents) == 1


@asynchronous
async def test_a_look_up_that_proves_that_nothing_happened_may_answer_with_retry() -> None:
    """The next attempt follows the policy's pause, not at once; when none is left, its `otherwise` is the outcome."""
    for lost, attempts, log in (
        (0, ["ask", "recover_ask", "ask"], []),
        (2, ["ask"] * 3 + ["recover_ask"], ["unknown"]),
    ):
        answers = iter([Retry("refused", otherwise=Unknown())] * lost)
        world = World(asking(EffectClass.AT_MOST_ONCE), Hands())

        async def ask(request: object, claim: Claim, answers: Any = answers, world: World = world) -> object:
            if (answer := next(answers, None)) is None:
                await world.clock.sleep_until(10**15)
            return answer

        world.hands.answers = {"ask": ask, "recover_ask": Retry("absent", otherwise=Unknown())}
        await world.start("x")
        await world.send(Go())
        await world.wait(1_000)
        sent = len(world.hands.asked)
        await world.restart(after=1_000)
        assert [name for name, _ in world.hands.asked[sent:]] == ["recover_ask"]
        await world.wait(1_000)
        assert [name for name, _ in world.hands.asked] == attempts
        assert world.data.log == log


@asynchronous
async def test_a_claim_for_an_instant_to_come_is_looked_up_when_it_has_come() -> None:
    """Before the process died it may have been sent, if the clock was set back since."""
    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(EffectClass.AT_MOST_ONCE), hands)
    await world.start("x")
    start = world.clock.now()
    await world.send(Go())
    hands.answers["recover_ask"] = Done(note="it was sent")
    await world.restart(after=20)
    await world.wait(79)
    assert [name for name, _ in hands.asked] == ["ask"]
    await world.wait(1)
    assert [(name, claim.attempt, claim.claimed_at - start) for name, claim in hands.asked[1:]] == [
        ("recover_ask", 2, 100)
    ]
    assert world.data.log == ["DONE it was sent"]


def moving_on(kind: EffectClass) -> Machine:
    """B asks; GO leads on to C while the answer is awaited."""
    return lab(
        {
            "A": {"GO": to("B", request=("ask",))},
            "B": {"GO": to("C"), "DONE": to("A")},
            "C": {"DONE": to("A"), "UNKNOWN": to(None, do=("unknown",))},
        },
        effects={"ask": effect(kind, retry="patient")},
    )


@asynchronous
async def test_no_further_attempt_is_made_once_the_phase_that_asked_was_left() -> None:
    """A sender that hangs and then finds that it sent nothing: the instance has gone on, and may rest on that."""
    world = World(moving_on(EffectClass.AT_MOST_ONCE), Hands())
    hangs = asyncio.Event()

    async def ask(request: object, claim: Claim) -> Retry:
        await hangs.wait()
        return Retry("never left", otherwise=Unknown())

    world.hands.answers["ask"] = lambda request, claim: ask(request, claim)
    await world.start("x")
    world.worker.post(EventContext("GO", "x", world.clock.now(), Go()))
    await world.worker.pump()
    world.worker.post(EventContext("GO", "x", world.clock.now(), Go()))
    await world.worker.pump()
    hangs.set()
    await world.settle()
    await world.wait(10_000)
    assert [claim.attempt for _, claim in world.hands.asked] == [1]
    assert (world.phase, world.data.log) == ("C", ["unknown"])
    assert world.store.load().open_intents == ()


@asynchronous
async def test_the_attempt_that_was_claimed_before_is_the_last() -> None:
    world = World(moving_on(EffectClass.AT_MOST_ONCE), Hands({"ask": Retry("refused", otherwise=Unknown())}))
    await world.start("x")
    await world.send(Go())
    await world.wait(50)
    await world.send(Go())
    await world.wait(10_000)
    assert [claim.attempt for _, claim in world.hands.asked] == [1, 2]
    assert (world.phase, world.data.log) == ("C", ["unknown"])


@asynchronous
async def test_what_is_proven_absent_after_a_crash_is_withdrawn_when_nobody_wants_it_any_more() -> None:
    world = World(moving_on(EffectClass.AT_MOST_ONCE), Hands())
    world.hands.answers["recover_ask"] = lambda request, claim: None
    await world.start("x")
    await world.send(Go())
    await world.send(Go())
    before = world.audit()
    await world.restart(after=60_000)
    assert [name for name, _ in world.hands.asked] == ["ask", "recover_ask"]
    assert (world.phase, world.audit()) == ("C", before), "no event tells of it"
    intent_id = world.hands.asked[0][1].intent_id
    assert world.store.load().open_intents == ()
    restart = await world.restart(after=60_000)
    assert restart.open_intents == 0
    stale = await world.send(Done(note="late"), intent=intent_id, attempt=1)
    assert stale.outcome is Outcome.IGNORED
