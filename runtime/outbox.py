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
from runtime.errors import HandlerError, StoreError
from runtime.events import EventContext
from runtime.machine import Machine, bind


class Outbox:
    """Carries out intents, one task each.

    Args:
        handlers: implements the machine's effect protocol.
        claim: writes a further attempt to the store and returns when it is durable.
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
        claim: Callable[[Claim], Awaitable[None]],
        deliver: Callable[[EventContext], object],
        fail: Callable[[StoreError], None],
    ) -> None:
        self._machine = machine
        self._handlers = bind(machine.definition, machine.definition.effect_handlers, handlers, "effect")
        self._clock = clock
        self._claim = claim
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
        claim = intent.claim
        try:
            payload, claim = await self._attempts(intent, recovering)
            ctx = self._outcome(intent, payload, claim)
        except StoreError as error:
            self._fail(error)
            return
        except Exception as error:
            reason = f"{intent.effect} (intent {intent.intent_id}, attempt {claim.attempt}): {error!r}"
            definition = self._machine.definition
            ctx = self._context(intent, definition.error_event, definition.make_error(reason, intent.effect), claim)
        self._deliver(ctx)

    async def _attempts(self, intent: Intent, recovering: bool) -> tuple[Any, Claim]:
        """Try until there is an outcome. A further attempt is made only where the one before provably did nothing."""
        effect = self._machine.definition.effects[intent.effect]
        request = intent.decode(effect.request)
        claim = intent.claim
        if recovering and claim.claimed_at <= self._clock.now() and effect.effect_class is EffectClass.AT_MOST_ONCE:
            found = await self._call(f"recover_{intent.effect}", request, claim)
            if found is not None:
                return found, claim
            claim = await self._next(intent, effect, claim, self._clock.now())
        while True:
            await self._clock.sleep_until(claim.claimed_at)
            answer = await self._call(intent.effect, request, claim)
            if not isinstance(answer, Retry):
                return answer, claim
            policy = self._machine.definition.policies.get(effect.retry or "")
            pause = None if policy is None else self._pause(policy, claim.attempt)
            if pause is None:
                return answer.otherwise, claim
            claim = await self._next(intent, effect, claim, self._clock.now() + pause)

    async def _call(self, name: str, request: Any, claim: Claim) -> Any:
        answer = self._handlers[name](request, claim)  # type: ignore[call-arg]
        return await answer

    async def _next(self, intent: Intent, effect: EffectDefinition, claim: Claim, at: int) -> Claim:
        window = 0 if effect.window is None else getattr(self._machine.config, effect.window)
        further = Claim(intent.intent_id, intent.instance, claim.attempt + 1, at, at + window)
        await self._claim(further)
        return further

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

    def _outcome(self, intent: Intent, payload: Any, claim: Claim) -> EventContext:
        event = getattr(payload, "event", None)
        allowed = set(self._machine.definition.effects[intent.effect].outcomes.values())
        if event not in allowed:
            raise HandlerError(f"{intent.effect} answered {payload!r}; its outcomes are {', '.join(sorted(allowed))}")
        return self._context(intent, event, payload, claim)

    def _context(self, intent: Intent, event: str, payload: msgspec.Struct, claim: Claim) -> EventContext:
        return EventContext(
            event, intent.instance, self._clock.now(), payload, intent=intent.intent_id, attempt=claim.attempt
        )
