"""Guards: true, false or an error, and never one taken for the other."""

from typing import Any

import pytest
from runtime_world import Back, Go, LabData, World, asynchronous, effect, lab, to

from runtime.clock import VirtualClock
from runtime.definition import Branch, Ignore
from runtime.errors import HandlerError
from runtime.events import Outcome
from runtime.machine import Machine
from runtime.memory_store import MemoryStore
from runtime.worker import Worker


def machine_with(answer: Any) -> Machine:
    def allowed(data: LabData, event: Go, ctx: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    row = (
        Branch(id="yes", guards=(("allowed", True),), to="B", do=("chosen",)),
        Branch(id="no", to="C", do=("otherwise",)),
    )
    return lab(
        {"A": {"GO": row, "TROUBLE": to("E")}, "B": {}, "C": {}, "E": {}},
        guards={"allowed": allowed},
    )


@asynchronous
async def test_the_first_branch_whose_guard_holds_wins() -> None:
    for answer, phase, branch in ((True, "B", "yes"), (False, "C", "no")):
        world = World(machine_with(answer))
        await world.start("x")
        receipt = await world.send(Go())
        assert (receipt.outcome, receipt.phase_to) == (Outcome.HANDLED, phase)
        assert world.audit()[-1].branch == branch


@asynchronous
async def test_an_error_is_never_taken_for_a_no() -> None:
    world = World(machine_with(ZeroDivisionError("price is 0")))
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "price is 0" in receipt.reason
    assert world.phase == "E"
    assert world.data.log == []


@pytest.mark.parametrize("answer", [None, 0, 1, "yes", [], [1], "False"])
def test_an_answer_that_is_neither_true_nor_false_is_an_error(answer: object) -> None:
    @asynchronous
    async def check() -> None:
        world = World(machine_with(answer))
        await world.start("x")
        receipt = await world.send(Go())
        assert receipt.outcome is Outcome.FAILED
        assert "neither True nor False" in receipt.reason
        assert "yes" in receipt.reason, "the message names the row"
        assert world.phase == "E"

    check()


@asynchronous
async def test_all_guards_of_a_branch_must_give_the_answer_that_is_wanted() -> None:
    row = (
        Branch(id="1", guards=(("first", True), ("second", False)), do=("both",)),
        Branch(id="2", guards=(("first", True),), do=("one",)),
        Branch(id="3", do=("none",)),
    )
    for first, second, chosen in ((True, False, "both"), (True, True, "one"), (False, False, "none")):
        machine = lab(
            {"A": {"GO": row}},
            guards={"first": _always(first), "second": _always(second)},
        )
        world = World(machine)
        await world.start("x")
        await world.send(Go())
        assert world.data.log == [chosen]


@asynchronous
async def test_no_branch_that_holds_and_no_else_is_a_failure_with_the_cell_named() -> None:
    row = (Branch(id="only", guards=(("never", True),), to="B"),)
    world = World(lab({"A": {"GO": row}, "B": {}}, guards={"never": _always(False)}))
    await world.start("x")
    receipt = await world.send(Go())
    assert receipt.outcome is Outcome.FAILED
    assert "A/GO" in receipt.reason
    assert world.phase == "A"


@asynchronous
async def test_a_branch_can_ignore_and_a_cell_can_too() -> None:
    row = (Branch(id="late", guards=(("never", False),), ignored="It came too late."), Branch(id="else", to="B"))
    world = World(lab({"A": {"GO": row, "BACK": Ignore("Already here.")}, "B": {}}, guards={"never": _always(False)}))
    await world.start("x")
    version = world.instance().version
    for payload, reason, branch in ((Go(), "It came too late.", "late"), (Back(), "Already here.", "")):
        receipt = await world.send(payload)
        assert (receipt.outcome, receipt.reason, receipt.version) == (Outcome.IGNORED, reason, version)
        assert (world.audit()[-1].branch, world.audit()[-1].reason) == (branch, reason)


def test_every_handler_that_is_missing_or_takes_other_arguments_is_named_at_start_up() -> None:
    machine = lab(
        {"A": {"GO": to("A", do=("one", "two", "three", "four"))}},
    )

    class Actions:
        def one(self, data: Any, event: Any, ctx: Any) -> None: ...

        def two(self, data: Any, event: Any) -> None: ...

        three = "not even a function"

        async def four(self, data: Any, event: Any, ctx: Any) -> None: ...

    with pytest.raises(HandlerError) as caught:
        Machine(machine.definition, object(), Actions(), machine.config)
    message = str(caught.value)
    assert "one" not in message.split("\n", 1)[1].split("Every")[0]
    for text in (
        "two: takes (data, event), must take (data, event, ctx)",
        "three: missing",
        "four: must not be `async",
    ):
        assert text in message
    assert "spec/lab.yaml" in message


def test_a_handler_of_an_effect_must_be_async() -> None:
    machine = lab({"A": {}}, effects={"ask": effect()})

    class Effects:
        def ask(self, request: Any, claim: Any) -> None: ...

    with pytest.raises(HandlerError, match="ask: must be `async def`"):
        Worker(machine, MemoryStore(), VirtualClock(0), Effects())


def _always(answer: bool) -> Any:
    def guard(data: LabData, event: Any, ctx: Any) -> bool:
        return answer

    return guard
