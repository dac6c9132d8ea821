"""What a guard or an action may see and use besides the instance's data and the event."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from runtime.effects import intent_id
from runtime.errors import DispatchError
from runtime.portfolio import Portfolio, PortfolioTransaction

ConfigT = TypeVar("ConfigT")


class Context(msgspec.Struct, Generic[ConfigT], eq=False):
    """One transition's surroundings.

    Attributes:
        config: the machine's configuration.
        instance: the name of the instance, for a trading machine its symbol.
        now: the instant of the event, milliseconds since the epoch (UTC).
    """

    config: ConfigT
    instance: str
    now: int
    _of: Any
    _namespace: str
    _account: Portfolio | None
    _transaction: PortfolioTransaction | None = None
    _numbers: dict[str, int] = {}

    @property
    def portfolio(self) -> PortfolioTransaction:
        """The account as this transition sees it; what an action stages here is part of the commit.

        Raises:
            DispatchError: the transition is over; nobody may keep this object.
        """
        if self._transaction is None:
            if self._account is None:
                raise DispatchError(f"{self.instance}: the transition to which this context belonged is over")
            self._transaction = self._account.begin(self.instance, self.now)
        return self._transaction

    def intent_id(self, effect: str) -> str:
        """The id under which `effect`, requested by this same transition, will be known to the world: 32 lower-case
        hexadecimal characters, the same however often the request is sent."""
        number = self._numbers.get(effect)
        if number is None:
            self._of.snapshot.intents += 1
            number = self._numbers[effect] = self._of.snapshot.intents
        return intent_id(self._namespace, self.instance, effect, number)
