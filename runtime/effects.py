"""What passes between the runtime and the handlers that carry out effects."""

from __future__ import annotations

from hashlib import blake2s
from typing import Any

import msgspec


class Claim(msgspec.Struct, frozen=True):
    """The durable right to carry out one attempt of the effect that `intent_id` names, for `instance`.

    `claimed_at` is the timestamp that goes on the wire, however late the bytes leave; after `deadline` the world
    refuses them. Both in milliseconds since the epoch (UTC). `attempt` counts from 1.
    """

    intent_id: str
    instance: str
    attempt: int
    claimed_at: int
    deadline: int


class Retry(msgspec.Struct, frozen=True):
    """A handler's answer: the attempt provably changed nothing and may be made again, by the effect's policy.

    `otherwise` is the outcome to report when the policy allows no further attempt.
    """

    reason: str
    otherwise: msgspec.Struct


class Intent(msgspec.Struct, frozen=True):
    """An effect that was asked for: the row of the outbox.

    `intent_id` is what the world knows it by, the same for every attempt. `request` is the JSON of the typed request.
    `generation` is the visit of the phase that asked for it: of an effect that must not happen twice, a further attempt
    is claimed only while that visit lasts.
    `attempt`, `claimed_at` and `deadline` are those of the latest claim.
    """

    intent_id: str
    instance: str
    effect: str
    number: int
    request: bytes
    generation: int
    created_at: int
    attempt: int
    claimed_at: int
    deadline: int

    @property
    def claim(self) -> Claim:
        """The latest claim."""
        return Claim(self.intent_id, self.instance, self.attempt, self.claimed_at, self.deadline)

    def decode(self, request_type: type[Any]) -> Any:
        """The typed request. Raises msgspec.ValidationError when the bytes are not one."""
        return msgspec.json.decode(self.request, type=request_type)


def intent_id(namespace: str, instance: str, effect: str, number: int) -> str:
    """The id of the intent that is the `number`th of `instance`: 32 lower-case hex digits that whoever knows the
    store's namespace can work out again, and so prove whose an intent is."""
    name = "\0".join((namespace, instance, effect, str(number)))
    return blake2s(name.encode(), digest_size=16).hexdigest()
