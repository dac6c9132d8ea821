"""Any sequence of events, with crashes anywhere, ends as the same sequence without them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from runtime_world import CrossingActions, CrossingGuards, Hands, World, crossing_machine

from generated import crossing
from runtime.definition import OnRestore
from runtime.effects import Claim, Retry
from runtime.events import EventContext, Receipt
from runtime.machine import Machine

EVENTS: list[crossing.Payload] = [
    crossing.ButtonPressed(),
    crossing.MaintenanceOn(),
    crossing.MaintenanceOff(),
    crossing.Cleared(),
    crossing.LampFailed(error="bulb", failed_event=""),
]
NAMES = ("north", "south")


def keeping_deadlines() -> Machine:
    """The crossing, but with timers that go on through a restart: those that start anew make two runs differ."""
    machine = crossing_machine()
    definition = machine.definition
    phases = {
        name: replace(phase, timeout=phase.timeout and replace(phase.timeout, on_restore=OnRestore.KEEP_DEADLINE))
        for name, phase in definition.phases.items()
    }
    return Machine(replace(definition, phases=phases), CrossingGuards(), CrossingActions(), machine.config)


def flaky_lamps() -> Hands:
    """Lamps that sometimes refuse, by the id of the request: the same in every run."""

    def answer(request: object, claim: Claim) -> object:
        chance = (int(claim.intent_id[:4], 16) + claim.attempt) % 8
        if chance == 0:
            return crossing.LampFailed(error="bulb", failed_event="")
        if chance < 4:
            return Retry("no answer", otherwise=crossing.LampFailed(error="no answer", failed_event=""))
        return crossing.LampsSet()

    return Hands(dict.fromkeys(crossing.DEFINITION.effects, answer))


class Crashes(RuleBasedStateMachine):
    """Two worlds live through the same; one of them crashes now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.steady, self.crashing = (World(keeping_deadlines(), flaky_lamps()) for _ in range(2))
        self.sent = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        for world in (self.steady, self.crashing):
            self.do(world.start(*NAMES))

    @rule(payload=st.sampled_from(EVENTS), name=st.sampled_from(NAMES), repeated=st.booleans())
    def send(self, payload: crossing.Payload, name: str, repeated: bool) -> None:
        self.sent += not repeated
        first, second = (self.do(self._send(world, payload, name)) for world in (self.steady, self.crashing))
        assert first == second

    async def _send(self, world: World, payload: crossing.Payload, name: str) -> Receipt:
        return await world.send(payload, name, id=f"{payload.event} {self.sent}")

    @rule(payload=st.sampled_from(EVENTS), name=st.sampled_from(NAMES))
    def crash_with_an_event_in_the_inbox(self, payload: crossing.Payload, name: str) -> None:
        """Nobody was told that it was handled, so whoever sent it sends it again."""

        async def post() -> None:
            future = self.crashing.worker.post(EventContext(payload.event, name, 0, payload, id="lost"))
            future.add_done_callback(lambda done: done.exception())

        self.do(post())
        self.do(self.crashing.restart())

    @rule(payload=st.sampled_from(EVENTS), name=st.sampled_from(NAMES))
    def crash_with_effects_under_way(self, payload: crossing.Payload, name: str) -> None:
        """The event is committed, its effects have begun, none has reported."""
        self.sent += 1

        async def interrupted() -> Receipt:
            world = self.crashing
            ctx = EventContext(payload.event, name, world.clock.now(), payload, id=f"{payload.event} {self.sent}")
            receipt = await world.worker.process(ctx)
            await world.restart()
            return receipt

        assert self.do(self._send(self.steady, payload, name)) == self.do(interrupted())

    @rule(duration=st.sampled_from([1, 100, 250, 3_000, 6_000, 12_000, 20_000, 400_000]))
    def wait(self, duration: int) -> None:
        for world in (self.steady, self.crashing):
            self.do(world.wait(duration))

    @precondition(lambda self: self.sent > 0)
    @rule()
    def crash(self) -> None:
        self.do(self.crashing.restart())

    @invariant()
    def both_are_the_same(self) -> None:
        if not self.steady.worker.instances:
            return
        for name in NAMES:
            assert self.steady.instance(name).snapshot == self.crashing.instance(name).snapshot
        first, second = self.steady.store.load(), self.crashing.store.load()
        assert first.instances == second.instances
        assert first.open_intents == second.open_intents
        assert self.steady.store.audit() == self.crashing.store.audit()
        for world, state in ((self.steady, first), (self.crashing, second)):
            assert {one.instance: one.snapshot for one in state.instances} == {
                name: world.machine.encode(world.instance(name).snapshot) for name in NAMES
            }

    def teardown(self) -> None:
        for world in (self.steady, self.crashing):
            self.do(world.worker.stop())
        self.loop.close()


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
