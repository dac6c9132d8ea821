"""Handlers that do as a path says: guards answer, actions are written down or fail, effects wait to be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.effects import Claim

Take = Mapping[str, Any]


class RehearsedError(Exception):
    """What a handler raises because the path says so."""


class _UnscriptedError(Exception):
    """A guard was asked where the path does not expect it."""


class Script:
    """What guards and actions do during one step of a path."""

    def __init__(self) -> None:
        self.phase: Callable[[], str] = str
        """Tells where the instance is."""
        self.asked: list[tuple[str, str, bool]] = []
        """The guards that answered: (PHASE/EVENT, guard, answer)."""
        self.done: list[str] = []
        """The actions that ran."""
        self.failed: list[str] = []
        """The handlers that failed, `guard NAME` or `action NAME`."""
        self._answers: list[Mapping[str, Any]] = []
        self._failures: list[tuple[str, str]] = []
        self._place = -1
        self._event: object = None

    def begin(self, takes: Sequence[Take]) -> None:
        """What is to happen next."""
        self.asked, self.done, self.failed = [], [], []
        self._answers = [one for take in takes for one in take.get("guards", ())]
        self._failures = [(take["fails"], take["fails_at"]) for take in takes if take.get("fails")]
        self._place, self._event = -1, None

    def guards(self, protocol: type) -> object:
        """Implements a machine's protocol of guards."""

        def made(name: str) -> Callable[[Any, Any, Any], bool]:
            def guard(data: Any, event: Any, ctx: Any) -> bool:
                return self._ask(name, event)

            return guard

        return _implementing(protocol, made)

    def actions(self, protocol: type) -> object:
        """Implements a machine's protocol of actions."""

        def made(name: str) -> Callable[[Any, Any, Any], None]:
            def action(data: Any, event: Any, ctx: Any) -> None:
                self._fail_if_told(f"action {name}", event)
                self.done.append(name)

            return action

        return _implementing(protocol, made)

    def unasked(self) -> list[str]:
        """Guards of which the path says an answer, and that were not asked."""
        asked = {(cell, guard) for cell, guard, _ in self.asked}
        return [
            f"{one['cell']} {guard}"
            for one in self._answers
            for guard in one["answers"]
            if (one["cell"], guard) not in asked and f"guard {guard}" not in self.failed
        ]

    def _ask(self, name: str, event: Any) -> bool:
        cell = f"{self.phase()}/{event.event}"
        self._fail_if_told(f"guard {name}", event)
        if event is not self._event:
            # The same cell may come twice in a step, but not for the same event.
            further = range(self._place + 1, len(self._answers))
            self._place = next((place for place in further if self._answers[place]["cell"] == cell), self._place)
            self._event = event
        expected = self._answers[self._place] if self._place >= 0 else None
        if expected is None or expected["cell"] != cell or name not in expected["answers"]:
            raise _UnscriptedError(f"the guard {name} is asked in {cell}, and the path does not expect it")
        answer = bool(expected["answers"][name])
        self.asked.append((cell, name, answer))
        return answer

    def _fail_if_told(self, what: str, event: Any) -> None:
        failure = (what, f"{self.phase()}/{event.event}")
        if failure in self._failures:
            self._failures.remove(failure)
            self.failed.append(what)
            raise RehearsedError(f"{what} fails, as the path says")


@dataclass(frozen=True)
class Call:
    """A call of an effect that has not been answered. `recovers`: it asks what became of an earlier one."""

    effect: str
    claim: Claim
    recovers: bool
    answer: asyncio.Future[Any]
    task: asyncio.Task[Any]


class Hands:
    """Effects that wait until they are told how they end."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._called = asyncio.Event()

    def handlers(self, protocol: type) -> object:
        """Implements a machine's protocol of effects."""

        def made(name: str) -> Callable[[Any, Claim], Any]:
            async def handler(request: Any, claim: Claim) -> Any:
                task = asyncio.current_task()
                assert task is not None
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                effect = name.removeprefix("recover_")
                call = Call(effect, claim, effect != name, answer, task)
                self.calls.append(call)
                self._called.set()
                try:
                    return await answer
                finally:
                    self.calls.remove(call)

            return handler

        return _implementing(protocol, made)

    def latest(self, effect: str) -> Call | None:
        """The call of `effect` that was made last."""
        return next((call for call in reversed(self.calls) if call.effect == effect), None)

    async def called(self, count: int, patience: float = 5.0) -> bool:
        """Wait until so many calls are open; False when they do not come."""
        try:
            async with asyncio.timeout(patience):
                while len(self.calls) < count:
                    self._called.clear()
                    await self._called.wait()
        except TimeoutError:
            return False
        return len(self.calls) == count

    async def die(self) -> None:
        """No call goes on, and nothing is told of any."""
        tasks = [call.task for call in self.calls]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _implementing(protocol: type, made: Callable[[str], Callable[..., Any]]) -> object:
    names = [name for name, wanted in vars(protocol).items() if name[0] != "_" and callable(wanted)]
    return type("Rehearsed", (), {name: staticmethod(made(name)) for name in names})()
