"""Effects: after the commit that asked for them, their outcomes as events, retried by the spec's policy alone."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from runtime_world import (
    AskRequest,
    Back,
    Done,
    Go,
    Hands,
    KeptStore,
    LabData,
    PriceRequest,
    Tick,
    Trouble,
    Unknown,
    World,
    asynchronous,
    effect,
    lab,
    to,
)

from runtime.definition import Defer, EffectClass, EffectDefinition
from runtime.effects import Claim, Retry
from runtime.errors import StoreError, StoreIntegrityError
from runtime.events import EventContext, Outcome
from runtime.machine import Machine
from runtime.store import Commit


def note(data: LabData, event: Any, ctx: Any) -> None:
    data.log.append(f"{event.event} {getattr(event, 'note', '')}".strip())


def asking(kind: EffectClass = EffectClass.IDEMPOTENT, retry: str | None = "patient") -> Machine:
    return lab(
        {
            "A": {"GO": to("B", request=("ask",))},
            "B": {
                "DONE": to("A", do=("note",)),
                "UNKNOWN": to("A", do=("note",)),
                "TROUBLE": to("E", do=("note",)),
                "BACK": to("A"),
            },
            "E": {},
        },
        actions={"note": note},
        effects={"ask": effect(kind, retry=retry)},
    )


@asynchronous
async def test_an_effect_is_carried_out_once_and_its_outcome_is_an_event() -> None:
    hands = Hands({"ask": Done(note="found")})
    world = World(asking(), hands)
    await world.start("x")
    await world.send(Go())
    assert world.data.log == ["DONE found"]
    ((name, claim),) = hands.asked
    assert (name, claim.instance, claim.attempt) == ("ask", "x", 1)
    assert (claim.claimed_at, claim.deadline) == (world.clock.now(), world.clock.now() + 5_000)
    assert world.store.load().open_intents == ()
    assert world.audit()[-1].identity == f"{claim.intent_id}/1"
    assert world.audit()[-2].requested == (f"ask/{claim.intent_id}",)


class Watched(KeptStore):
    """A store whose commit the test can look into and fail."""

    def __init__(self) -> None:
        super().__init__()
        self.before_commit: Any = lambda commits: None

    def commit(self, commits: Sequence[Commit]) -> None:
        self.before_commit(commits)
        super().commit(commits)


@asynchronous
async def test_no_effect_begins_before_the_commit_that_recorded_it_is_written() -> None:
    store, hands = Watched(), Hands()

    def ask(request: AskRequest, claim: Claim) -> Done:
        assert store.intent(claim.intent_id) is not None
        return Done()

    hands.answers["ask"] = ask
    begun: list[int] = []
    store.before_commit = lambda commits: begun.append(len(hands.asked))
    world = World(asking(), hands, store=store)
    await world.start("x")
    await world.send(Go())
    assert len(hands.asked) == 1
    assert begun == [0, 0, 1], "create, GO, DONE"
    assert world.phase == "A"


@asynchronous
async def test_an_effect_whose_commit_fails_is_never_carried_out() -> None:
    store, hands = Watched(), Hands({"ask": Done()})
    world = World(asking(), hands, store=store)
    await world.start("x")

    def refuse(commits: object) -> None:
        raise StoreError("the disk is full")

    store.before_commit = refuse
    with pytest.raises(StoreError):
        await world.send(Go())
    for _ in range(10):
        await asyncio.sleep(0)
    assert hands.asked == []
    assert store.load().open_intents == ()


@asynchronous
async def test_retry_follows_the_policy_with_attempts_that_are_counted_in_the_store() -> None:
    """Three attempts, pauses of 100 and then 150 ms: doubled to 200, capped at 150."""
    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(), hands)
    await world.start("x")
    start = world.clock.now()
    await world.send(Go())
    assert [claim.attempt for _, claim in hands.asked] == [1]
    (waiting,) = world.store.load().open_intents
    assert (waiting.attempt, waiting.claimed_at, waiting.deadline) == (2, start + 100, start + 5_100)
    await world.wait(99)
    assert len(hands.asked) == 1
    await world.wait(1)
    assert len(hands.asked) == 2
    await world.wait(149)
    assert len(hands.asked) == 2
    await world.wait(1)
    assert [(claim.attempt, claim.claimed_at - start) for _, claim in hands.asked] == [(1, 0), (2, 100), (3, 250)]
    assert len({claim.intent_id for _, claim in hands.asked}) == 1
    assert world.data.log == ["UNKNOWN"], "exhausted: what the handler said to report otherwise"
    await world.wait(100_000)
    assert len(hands.asked) == 3
    assert world.audit()[-1].identity.endswith("/3")
    assert world.store.load().open_intents == ()


@asynchronous
async def test_a_retry_that_succeeds_reports_its_own_attempt() -> None:
    answers = iter([Retry("refused", otherwise=Unknown()), Done(note="second")])
    hands = Hands({"ask": lambda request, claim: next(answers)})
    world = World(asking(), hands)
    await world.start("x")
    await world.send(Go())
    await world.wait(1_000)
    assert world.data.log == ["DONE second"]
    assert world.store.load().open_intents == ()


@asynchronous
async def test_the_schedule_goes_on_after_a_restart_where_it_was() -> None:
    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(), hands)
    await world.start("x")
    start = world.clock.now()
    await world.send(Go())
    await world.wait(30)
    await world.restart(after=20)
    await world.wait(10_000)
    assert [(claim.attempt, claim.claimed_at - start) for _, claim in hands.asked] == [(1, 0), (2, 100), (3, 250)]
    assert world.data.log == ["UNKNOWN"]


@asynchronous
async def test_without_a_policy_a_retry_is_not_made() -> None:
    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(retry=None), hands)
    await world.start("x")
    await world.send(Go())
    await world.wait(10_000)
    assert len(hands.asked) == 1
    assert world.data.log == ["UNKNOWN"]


@asynchronous
async def test_the_outcome_of_an_attempt_that_is_not_current_is_dropped_and_audited() -> None:
    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(), hands)
    await world.start("x")
    await world.send(Go())
    del hands.answers["ask"]  # the second attempt is under way
    await world.wait(100)
    intent_id = hands.asked[0][1].intent_id
    (opened,) = world.store.load().open_intents
    assert opened.attempt == 2
    for attempt in (1, 3):
        receipt = await world.send(Done(note="stale"), intent=intent_id, attempt=attempt)
        assert receipt.outcome is Outcome.IGNORED
        assert f"attempt {attempt} of intent {intent_id}" in receipt.reason
        assert world.audit()[-1].outcome is Outcome.IGNORED
    unheard = await world.send(Done(note="stale"), intent="f" * 32, attempt=1)
    assert unheard.outcome is Outcome.IGNORED
    assert (world.phase, world.data.log) == ("B", [])
    assert world.store.load().open_intents == (opened,)
    current = await world.send(Done(note="current"), intent=intent_id, attempt=2)
    assert current.outcome is Outcome.HANDLED
    assert world.data.log == ["DONE current"]
    await world.wait(400_000)
    late = await world.send(Done(note="late"), intent=intent_id, attempt=2)
    assert late.outcome is Outcome.IGNORED, "long after its identity was forgotten"


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_handler_that_raises_becomes_the_error_event_and_finishes_the_attempt(attempts: int) -> None:
    @asynchronous
    async def check() -> None:
        answers = iter([Retry("refused", otherwise=Unknown())] * (attempts - 1) + [ConnectionError("reset by peer")])

        def ask(request: object, claim: Claim) -> object:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        hands = Hands({"ask": ask})
        world = World(asking(), hands)
        await world.start("x")
        await world.send(Go())
        await world.wait(10_000)
        assert world.phase == "E"
        row = world.audit()[-1]
        assert row.event == "TROUBLE"
        for text in ("ask", "reset by peer", hands.asked[0][1].intent_id, f"attempt {attempts}"):
            assert text in row.payload.decode()
        assert world.store.load().open_intents == ()

    check()


GARBAGE: dict[str, Any] = {
    "nothing": None,
    "a name": "DONE",
    "unhashable": {},
    "a number": 42,
    "the type of an outcome": Done,
    "another event": Tick(),
    "the error event": Trouble(error="", failed_event=""),
    "an impostor": type("Impostor", (), {"event": "DONE"})(),
    "another event after retries": Retry("refused", otherwise=Tick()),
    "nothing after retries": Retry("refused", otherwise=None),  # type: ignore[arg-type]
    "a cancellation of its own": asyncio.CancelledError(),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_handler_that_answers_with_garbage_becomes_the_error_event(garbage: object) -> None:
    @asynchronous
    async def check() -> None:
        world = World(asking(), Hands({"ask": garbage}))
        await world.start("x")
        await world.send(Go())
        await world.wait(10_000)
        assert world.phase == "E"
        assert "ask" in world.audit()[-1].payload.decode()
        assert world.store.load().open_intents == ()
        assert world.worker.idle

    check()


@asynchronous
async def test_an_effect_that_lacks_a_datum_fails_the_event_that_asks_for_it() -> None:
    machine = lab(
        {"A": {"GO": to("B", request=("ask",))}, "B": {}},
        effects={"ask": EffectDefinition(EffectClass.PURE, PriceRequest, {"done": "DONE"})},
    )
    hands = Hands({"ask": Done()})
    world = World(machine, hands)
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "amount" in receipt.reason
    assert (world.phase, hands.asked) == ("A", [])


@asynchronous
async def test_an_outcome_whose_handling_fails_has_finished_its_intent_all_the_same() -> None:
    def fail(data: LabData, event: Any, ctx: Any) -> None:
        raise RuntimeError("cannot book")

    machine = lab(
        {"A": {"GO": to("B", request=("ask",))}, "B": {"DONE": to(None, do=("fail",)), "TROUBLE": to("E")}, "E": {}},
        actions={"fail": fail},
        effects={"ask": effect()},
    )
    world = World(machine, Hands({"ask": Done()}))
    await world.start("x")
    await world.send(Go())
    assert world.phase == "E"
    assert world.store.load().open_intents == ()
    assert (await world.restart()).open_intents == 0


@asynchronous
async def test_effects_of_different_instances_run_side_by_side() -> None:
    hands = Hands()

    async def slowly(request: object, claim: Claim) -> Done:
        await world.clock.sleep_until(claim.claimed_at + (3_000 if claim.instance == "x" else 1_000))
        return Done(note=claim.instance)

    hands.answers["ask"] = slowly
    world = World(asking(), hands)
    await world.start("x", "y")
    for name in ("x", "y"):
        world.worker.post(EventContext("GO", name, 0, Go()))
    await world.settle()
    await world.wait(1_000)
    assert (world.instance("x").phase, world.instance("y").phase) == ("B", "A")
    await world.wait(2_000)
    assert world.instance("x").phase == "A"


@asynchronous
async def test_an_outcome_that_waits_has_finished_its_intent_all_the_same() -> None:
    machine = lab(
        {
            "A": {"GO": to("B", request=("ask",))},
            "B": {"DONE": Defer(), "BACK": to("C")},
            "C": {"DONE": to(None, do=("note",))},
        },
        actions={"note": note},
        effects={"ask": effect()},
    )
    world = World(machine, Hands({"ask": Done(note="early")}))
    await world.start("x")
    await world.send(Go())
    assert world.store.load().open_intents == ()
    await world.restart()
    assert len(world.hands.asked) == 1
    await world.send(Back())
    assert world.data.log == ["DONE early"]


@asynchronous
async def test_a_claim_that_cannot_be_written_stops_the_worker_and_not_the_effect_alone() -> None:
    class Unclaimable(KeptStore):
        def claim(self, claim: Claim) -> None:
            raise StoreError("the disk is full")

    hands = Hands({"ask": Retry("refused", otherwise=Unknown())})
    world = World(asking(), hands, store=Unclaimable())
    await world.start("x")
    with pytest.raises(StoreError, match="the disk is full"):
        await world.send(Go())
    with pytest.raises(StoreError, match="the disk is full"):
        world.worker.post(EventContext("BACK", "x", 0, Back()))
    assert len(hands.asked) == 1


@asynchronous
async def test_an_attempt_claimed_while_a_refused_group_was_written_stays_claimed() -> None:
    """The claim of x is written between the dispatch of y's event and the refusal of its commit."""
    store = Watched()
    gate = asyncio.Event()

    async def ask(request: object, claim: Claim) -> object:
        if claim.attempt == 1:
            await gate.wait()
            return Retry("refused", otherwise=Unknown())
        return Done(note="second")

    world = World(asking(), Hands({"ask": ask}), store=store)
    await world.worker.start()
    for name in ("x", "y"):
        await world.worker.create(name)
    await world.worker.process(EventContext("GO", "x", 0, Go()))
    claimed = asyncio.Event()
    loop = asyncio.get_running_loop()
    claim = store.claim

    def claim_and_tell(one: Claim) -> None:
        claim(one)
        loop.call_soon_threadsafe(claimed.set)

    store.claim = claim_and_tell  # type: ignore[method-assign]
    refusals = iter([StoreIntegrityError("there already")])

    def refuse_y(commits: Sequence[Commit]) -> None:
        if any(row.event == "GO" for commit in commits for row in commit.audit) and (error := next(refusals, None)):
            raise error

    store.before_commit = refuse_y
    gate.set()
    pumped = asyncio.create_task(world.worker.process(EventContext("GO", "y", 0, Go())))
    await claimed.wait()
    assert (await pumped).outcome is Outcome.FAILED
    await world.wait(1_000)
    assert world.data.log == ["DONE second"]
    assert world.store.load().open_intents == ()
