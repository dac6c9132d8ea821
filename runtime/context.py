"""What a guard or an action may see and use besides the instance's data and the event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from runtime.portfolio import PortfolioTransaction

ConfigT = TypeVar("ConfigT")


class Context(Generic[ConfigT]):
    """One transition's surroundings.

    Attributes:
        config: the machine's configuration.
        instance: the name of the instance, for a trading machine its symbol.
        now: the instant of the event, milliseconds since the epoch (UTC).
        portfolio: the account as this transition sees it; what an action stages here is part of the commit.
    """

    __slots__ = ("_intent_id", "config", "instance", "now", "portfolio")

    def __init__(
        self,
        config: ConfigT,
        instance: str,
        now: int,
        portfolio: PortfolioTransaction,
        intent_id: Callable[[str], str],
    ) -> None:
        self.config = config
        self.instance = instance
        self.now = now
        self.portfolio = portfolio
        self._intent_id = intent_id

    def intent_id(self, effect: str) -> str:
        """The id under which `effect`, requested by this same transition, will be known to the world: 32 lower-case
        hexadecimal characters, the same however often the request is sent."""
        return self._intent_id(effect)
