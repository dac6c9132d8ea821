"""The claim protocol with one part broken each: what the simulation must catch, or it shows nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hazards import SECOND
from simulated_run import Protocol
from simulated_wire import SimulatedWire

from engine.exchange.claimed_gateway import MAX_OFFSET, ClaimedGateway, ClaimSettings
from engine.exchange.gateway import Absent, OrderRequest, RecoverOutcome, ResumeOutcome, Stamp
from engine.exchange.wire import Ask, Failed, Reply
from runtime.store import Commit
from runtime.worker import Worker


class WithoutDeadline(SimulatedWire):
    """Requests that never expire."""

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        return await super().create(order, timestamp, 10**9)


class FreshTimestamp(SimulatedWire):
    """Signs with the time of the sending, as ccxt does unless it is told otherwise."""

    async def create(self, order: OrderRequest, timestamp: int, window: int) -> Reply:
        signed = timestamp

        def sign() -> None:
            nonlocal signed
            signed = self.exchange.server_time()

        reply: Reply = await self._ask(
            Ask.CREATE, lambda answer: self.exchange.create(order, signed, window, answer), queued=True, leaving=sign
        )
        return reply


class WithoutLookUp(ClaimedGateway):
    """Waits, and takes it for granted that nothing came of the request."""

    async def recover(self, order: OrderRequest, stamp: Stamp) -> RecoverOutcome:
        await self._clock.sleep_until(stamp.deadline)
        return Absent()


class SendsAgainAtOnce(ClaimedGateway):
    """Looks once, now, after a crash: what it does not see was not sent."""

    async def resume(self, order: OrderRequest, stamp: Stamp) -> ResumeOutcome:
        return await self._find(order)


class OurClock(SimulatedWire):
    """Takes our clock for the exchange's."""

    async def server_time(self) -> int | Failed:
        return self._process.clock.now()  # type: ignore[attr-defined, no-any-return]


class ActsBeforeCommit(Worker):
    """Carries out what an event asks for, and writes it down a moment later."""

    async def _write(self, commits: list[Commit], before: Any, group: Iterable[Any] = ()) -> None:
        for commit in commits:
            for intent in commit.requested:
                self._outbox.start(intent)
        await self.clock.sleep_until(self.clock.now() + 1)
        await super()._write(commits, before, group)

    def _release(self, commits: list[Commit]) -> None:
        for commit in commits:
            if commit.snapshot is not None:
                self._set_timer(self.instances[commit.instance])


MUTANTS: dict[str, Protocol] = {
    "no deadline": Protocol(wire=WithoutDeadline),
    "fresh timestamp": Protocol(wire=FreshTimestamp),
    "no look-up": Protocol(gateway=WithoutLookUp),
    "sent again after one look": Protocol(gateway=SendsAgainAtOnce),
    "no grace": Protocol(settings=ClaimSettings(grace=-MAX_OFFSET)),
    "look-up lag beyond the grace": Protocol(hazards={"lag": 60 * SECOND}),
    "clocks apart by more than the grace": Protocol(wire=OurClock, hazards={"server_ahead": -45 * SECOND}),
    "acts before the commit": Protocol(worker=ActsBeforeCommit),
}
