"""Effects that are held twice: before they ask the world anything, and before their answer is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from engine.rehearsal.stepped_gateway import Fate, fate
from runtime.clock import VirtualClock
from runtime.effects import Claim, Retry

Handler = Callable[[Any, Claim], Awaitable[Any]]
_RECOVERS = "recover_"


class SteppedClock(VirtualClock):
    """A virtual clock that also knows who waits for the one that moves it, so that a worker is idle meanwhile."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self._held: set[asyncio.Future[Any]] = set()

    async def hold(self) -> Any:
        """Wait for `release`; what it was given."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        return await self.wait_for(future)

    async def wait_for(self, future: asyncio.Future[Any]) -> Any:
        self._held.add(future)
        try:
            return await future
        finally:
            self._held.discard(future)

    def release(self, future: asyncio.Future[Any], value: Any) -> None:
        """Let the one who waits go on with `value`."""
        self._held.discard(future)
        future.set_result(value)

    @property
    def sleeping(self) -> int:
        return super().sleeping + len(self._held)


class Call:
    """One attempt of an effect. `answer` is None until the world was asked."""

    def __init__(self, effect: str, recovering: bool, request: Any, claim: Claim) -> None:
        loop = asyncio.get_running_loop()
        self.effect = effect
        self.recovering = recovering
        self.request = request
        self.claim = claim
        self.answer: Any = None
        self.go: asyncio.Future[Fate | Exception | msgspec.Struct] = loop.create_future()
        self.hear: asyncio.Future[Fate | Exception | msgspec.Struct | None] = loop.create_future()

    @property
    def carried_out(self) -> bool:
        return self.go.done()

    def order_id(self, side: str) -> str:
        """The client order id of the order of that side in the request."""
        order = getattr(self.request, f"{side}_order", None)
        return "" if order is None else str(order.client_order_id)


class HeldEffects:
    """An effect protocol around another implementation of it.

    An answer that is given up (`Retry`, an `Unknown` that the effect takes for a reason to ask again) is not held: the
    next attempt meets the same fate at once.
    """

    def __init__(self, inner: object, clock: SteppedClock) -> None:
        self._inner = inner
        self._clock = clock
        self._fates: dict[str, Fate] = {}
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Handler:
        inner: Handler = getattr(self._inner, name)

        async def handler(request: Any, claim: Claim) -> Any:
            return await self._held(name, inner, request, claim)

        return handler

    async def _held(self, name: str, inner: Handler, request: Any, claim: Claim) -> Any:
        recovering = name.startswith(_RECOVERS)
        given_up = self._fates.get(claim.intent_id)
        if given_up is not None:
            fate.set(given_up)
            return await inner(request, claim)
        call = Call(name.removeprefix(_RECOVERS), recovering, request, claim)
        self.calls.append(call)
        try:
            told = await self._clock.wait_for(call.go)
            if isinstance(told, Exception):
                raise told
            if isinstance(told, msgspec.Struct):
                return told
            fate.set(told)
            if told in (Fate.UNKNOWN, Fate.UNSENT):
                self._fates[claim.intent_id] = told
            call.answer = answer = await inner(request, claim)
            if told is not Fate.CARRIED_OUT or answer is None or isinstance(answer, Retry):
                return answer
            heard = await self._clock.wait_for(call.hear)
            if isinstance(heard, Exception):
                raise heard
            if isinstance(heard, msgspec.Struct):
                return heard
            if heard is not None:
                fate.set(heard)
                self._fates[claim.intent_id] = heard
                answer = await inner(request, claim)
            return answer
        finally:
            self.calls.remove(call)

    def ask(self, call: Call, told: Fate | Exception | msgspec.Struct) -> None:
        """Let the call go to the world, which treats it as told; or let it fail, or answer without asking."""
        self._clock.release(call.go, told)

    def answer(self, call: Call, instead: Fate | Exception | msgspec.Struct | None = None) -> None:
        """Let the answer be heard, or something instead of it."""
        self._clock.release(call.hear, instead)


def payload_event(payload: msgspec.Struct) -> str:
    """The event that a payload belongs to."""
    return str(getattr(payload, "event", ""))
