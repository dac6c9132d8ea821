"""Effects are carried out here, each after the commit that asked for it; their outcomes come back as events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from tenacity import RetryCallState, stop_after_attempt, wait_exponential

from runtime.clock import Clock
from runtime.definition import EffectClass, EffectDefinition, RetryPolicy
from runtime.effects import Claim, Intent, Retry
from runtime.errors import HandlerError, StoreError, readable
from runtime.events import EventContext
from runtime.machine import Machine, bind

_NOTHING = object()


class _Work(msgspec.Struct):
    """An intent on its way to an outcome, with its latest claim."""

    intent: Intent
    claim: Claim


class Outbox:
    """Carries out intents, one task each.

    Args:
        handlers: implements the machine's effect protocol.
        is_wanted: whether the instance is still in the visit of the phase that asked for the intent. Once it has gone
            on, what it does next may rest on no further attempt being claimed.
        claim: writes a further attempt to the store and returns when it is durable.
        withdraw: closes, in the store, an intent that did nothing and is no longer wanted.
        deliver: takes the event that reports an outcome.
        fail: takes the StoreError that stopped an effect.

    Raises:
        HandlerError: an effect has no handler.
    """

    def __init__(
        self,
        machine: Machine,
        handlers: object,
        clock: Clock,
        is_wanted: Callable[[Intent], bool],
        claim: Callable[[Claim], Awaitable[None]],
        withdraw: Callable[[Claim], Awaitable[None]],
        deliver: Callable[[EventContext], object],
        fail: Callable[[StoreError], None],
    ) -> None:
        self._machine = machine
        self._handlers = bind(machine.definition, machine.definition.effect_handlers, handlers, "effect")
        self._clock = clock
        self._is_wanted = is_wanted
        self._claim = claim
        self._withdraw = withdraw
        self._deliver = deliver
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many effects have been started and not yet reported."""
        return len(self._tasks)

    def start(self, intent: Intent, *, recovering: bool = False) -> None:
        """Carry out `intent`, whose request is durable. `recovering`: whoever carried it out before is gone."""
        task = asyncio.create_task(self._carry_out(intent, recovering), name=f"{intent.effect} of {intent.instance}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Abandon what is running; the outbox in the store still has it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, intent: Intent, recovering: bool) -> None:
        work = _Work(intent, intent.claim)
        try:
            payload = await self._attempts(work, recovering)
            if payload is _NOTHING:
                await self._withdraw(work.claim)
                return
            ctx = self._outcome(work, payload)
        except StoreError as error:
            self._fail(error)
            return
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            reason = readable(f"{intent.effect} (intent {intent.intent_id}, attempt {work.claim.attempt}): {error!r}")
            definition = self._machine.definition
            ctx = self._context(work, definition.error_event, definition.make_error(reason, intent.effect))
        self._deliver(ctx)

    async def _attempts(self, work: _Work, recovering: bool) -> Any:
        """Try until there is an outcome. A further attempt is claimed only where the one before provably did nothing,
        and of what must not be done twice only while it is wanted; otherwise the answer may be _NOTHING.
        """
        effect = self._machine.definition.effects.get(work.intent.effect)
        if effect is None:
            raise HandlerError(f"there is no such effect in {self._machine.definition.source} any more")
        request = work.intent.decode(effect.request)
        answer: Any = None
        once = effect.effect_class is EffectClass.AT_MOST_ONCE
        if recovering and once:
            # A claim for an instant that is yet to come may be one that was sent before the clock was set back.
            await self._clock.sleep_until(work.claim.claimed_at)
            answer = await self._call(f"recover_{work.intent.effect}", request, work.claim)
            if answer is None:
                if not self._is_wanted(work.intent):
                    return _NOTHING
                await self._claim_next(work, effect, self._clock.now())
        while True:
            if answer is None:
                await self._clock.sleep_until(work.claim.claimed_at)
                answer = await self._call(work.intent.effect, request, work.claim)
            if not isinstance(answer, Retry):
                return answer
            policy = self._machine.definition.policies.get(effect.retry or "")
            pause = None if policy is None else self._pause(policy, work.claim.attempt)
            if pause is None or (once and not self._is_wanted(work.intent)):
                return answer.otherwise
            await self._claim_next(work, effect, self._clock.now() + pause)
            answer = None

    async def _call(self, name: str, request: Any, claim: Claim) -> Any:
        return await self._handlers[name](request, claim)  # type: ignore[call-arg]

    async def _claim_next(self, work: _Work, effect: EffectDefinition, at: int) -> None:
        window = 0 if effect.window is None else getattr(self._machine.config, effect.window)
        claim = Claim(work.intent.intent_id, work.intent.instance, work.claim.attempt + 1, at, at + window)
        await self._claim(claim)
        work.claim = claim

    def _pause(self, policy: RetryPolicy, attempt: int) -> int | None:
        """Milliseconds until the next attempt; None when `attempt` was the last.

        The attempts are counted in the store, so the schedule goes on after a restart where it was.
        """
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = attempt
        if stop_after_attempt(self._value(policy.max_attempts))(state):
            return None
        wait = wait_exponential(
            multiplier=self._value(policy.base_delay), exp_base=policy.factor, max=self._value(policy.max_delay)
        )
        return int(wait(state))

    def _value(self, value: str | int) -> int:
        return getattr(self._machine.config, value) if isinstance(value, str) else value

    def _outcome(self, work: _Work, payload: Any) -> EventContext:
        definition = self._machine.definition
        for event in definition.effects[work.intent.effect].outcomes.values():
            if type(payload) is definition.events[event].payload:
                return self._context(work, event, payload)
        allowed = ", ".join(sorted(definition.effects[work.intent.effect].outcomes.values()))
        raise HandlerError(f"the handler answered {payload!r}; its outcomes are {allowed}")

    def _context(self, work: _Work, event: str, payload: msgspec.Struct) -> EventContext:
        intent, claim = work.intent, work.claim
        return EventContext(
            event, intent.instance, self._clock.now(), payload, intent=intent.intent_id, attempt=claim.attempt
        )


def _is_cancelled() -> bool:
    """Whether this task was told to end, as against a handler that lets something of its own be cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
