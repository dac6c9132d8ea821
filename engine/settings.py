"""What a user sets besides the machine's own knobs: by environment variable, with defaults that trade the recorded
market."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from engine.exchange.faults import PROFILES
from engine.strategy.drop_buy import DropBuyParameters
from runtime.config import load_config
from runtime.definition import Knob
from runtime.errors import ConfigError

DROP_BUY = DropBuyParameters()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Money in quote currency, percentages as written (6 is six per cent), durations in milliseconds."""

    max_slots: int = 3
    start_cash: Decimal = Decimal(10_000)
    seed: int = 1
    faults: str = "realistic"
    fee_pct: Decimal = Decimal("0.1")
    fee_in_base: bool = False
    snapshots: bool = True
    snapshot_dir: str = "var"
    identity_expiry: int = 300_000
    lookback: int = DROP_BUY.lookback
    drop_pct: Decimal = DROP_BUY.drop_pct
    take_profit_pct: Decimal = DROP_BUY.take_profit_pct
    stop_loss_pct: Decimal = DROP_BUY.stop_loss_pct
    trailing_activate_pct: Decimal = DROP_BUY.trailing_activate_pct
    trailing_pct: Decimal = DROP_BUY.trailing_pct
    max_hold: int = DROP_BUY.max_hold

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that `environment` asks for.

        Raises:
            ConfigError: a value is malformed or out of range; the text names the variable.
        """
        return load_config(cls, KNOBS, environment)

    def __post_init__(self) -> None:
        self.strategy_parameters()
        if self.faults not in PROFILES:
            raise ConfigError(f"PAPER_FAULTS is {self.faults!r}; choose one of {', '.join(PROFILES)}.")

    def strategy_parameters(self) -> DropBuyParameters:
        """What DROP_BUY is run with. Raises ConfigError when the values do not fit together."""
        try:
            return DropBuyParameters(**{name: getattr(self, name) for name in DropBuyParameters.__struct_fields__})
        except ValueError as error:
            raise ConfigError(str(error)) from None


def _knob(name: str, kind: str, env: str, summary: str, minimum: object = None, maximum: object = None) -> Knob:
    return Knob(name, kind, getattr(Settings(), name), summary, env, minimum, maximum)


KNOBS = (
    _knob("max_slots", "int", "MAX_SLOTS", "How many symbols may be in a trade at once.", 1),
    _knob(
        "start_cash", "decimal", "START_CASH", "What the paper account holds at the start.", Decimal(1), Decimal(10**15)
    ),
    _knob("seed", "int", "PAPER_SEED", "Seeds the paper exchange's latencies, faults and partial fills.", 0),
    _knob("faults", "str", "PAPER_FAULTS", "How the paper exchange behaves: calm, realistic or hostile."),
    _knob("fee_pct", "decimal", "PAPER_FEE_PCT", "The paper exchange's fee in per cent.", Decimal(0), Decimal(100)),
    _knob("fee_in_base", "bool", "PAPER_FEE_IN_BASE", "Whether a buy pays its fee in what it buys."),
    _knob("snapshots", "bool", "FSM_SNAPSHOT_ENABLED", "Whether anything is stored; without it a restart starts anew."),
    _knob("snapshot_dir", "str", "FSM_SNAPSHOT_DIR", "Where the database is by default."),
    _knob("identity_expiry", "duration", "IDEMPOTENCY_EXPIRY_SECS", "How long a repeated event is recognised.", 1),
    _knob("lookback", "int", "DROP_BUY_LOOKBACK", "Bars that make up the recent high.", 2),
    _knob("drop_pct", "decimal", "DROP_BUY_DROP_PCT", "The fall from the recent high that is bought."),
    _knob("take_profit_pct", "decimal", "TAKE_PROFIT_PCT", "The gain at which to sell."),
    _knob("stop_loss_pct", "decimal", "STOP_LOSS_PCT", "The loss at which to sell."),
    _knob("trailing_activate_pct", "decimal", "TRAILING_ACTIVATE_PCT", "The gain that arms the trailing stop."),
    _knob("trailing_pct", "decimal", "TRAILING_PCT", "The fall from the best price at which it sells."),
    _knob("max_hold", "duration", "MAX_HOLD_SECS", "How long the strategy holds a position.", 1),
)
