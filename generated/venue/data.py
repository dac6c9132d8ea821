# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""What an instance of venue carries, and how it is configured."""

from __future__ import annotations

import msgspec

from runtime.definition import Knob


class StateData(msgspec.Struct, kw_only=True):
    """What an instance carries from event to event."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration. Durations are in milliseconds."""

    look_up_lag: int = 5_000
    """How long a new order may be missing from a look-up."""


KNOBS: tuple[Knob, ...] = (
    Knob(
        "look_up_lag",
        "duration",
        5_000,
        summary="How long a new order may be missing from a look-up.",
        env="VENUE_LOOK_UP_LAG_SECS",
    ),
)
