"""What a user sets for trading on an exchange, besides what every run has: by environment variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from runtime.config import load_config
from runtime.definition import Knob
from runtime.errors import ConfigError

_TIMEFRAME = re.compile(r"([1-9][0-9]?)(s|m|h|d)")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in milliseconds, money in quote currency."""

    timeframe: str = "30m"
    trading_cash: Decimal = Decimal(0)
    reconcile_every: int = 600_000
    confirm_after: int = 10_000
    confirmation: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LiveSettings:
        """The settings that `environment` asks for.

        Raises:
            ConfigError: a value is malformed or out of range; the text names the variable.
        """
        return load_config(cls, LIVE_KNOBS, environment)

    def __post_init__(self) -> None:
        if not _TIMEFRAME.fullmatch(self.timeframe):
            raise ConfigError(
                f"TIMEFRAME is {self.timeframe!r}; write the length of a bar as the exchange does: 1m, 5m, 30m, 1h, 1d."
            )

    @property
    def bar(self) -> int:
        """How long a bar lasts, in milliseconds."""
        found = _TIMEFRAME.fullmatch(self.timeframe)
        assert found is not None
        return int(found[1]) * _UNITS[found[2]]


def confirmation_of(exchange: str) -> str:
    """What PHASEWRIGHT_LIVE must say before real money is traded on `exchange`."""
    return f"{exchange}: trade with real money"


def _knob(name: str, kind: str, env: str, summary: str, minimum: object = None) -> Knob:
    return Knob(name, kind, getattr(LiveSettings(), name), summary, env, minimum, None)


LIVE_KNOBS = (
    _knob("timeframe", "str", "TIMEFRAME", "How long a bar lasts, as the exchange writes it: 1m, 30m, 1h."),
    _knob(
        "trading_cash",
        "decimal",
        "TRADING_CASH",
        "What of the account's quote currency the bot gets at its first start; 0 is all that is free.",
        Decimal(0),
    ),
    _knob(
        "reconcile_every", "duration", "RECONCILE_EVERY_SECS", "How often the exchange is held against the books.", 1
    ),
    _knob(
        "confirm_after",
        "duration",
        "RECONCILE_CONFIRM_SECS",
        "After how long a grave difference is looked at again.",
        1,
    ),
    _knob("confirmation", "str", "PHASEWRIGHT_LIVE", "The sentence that allows trading with real money."),
)
