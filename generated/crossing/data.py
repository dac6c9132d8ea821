# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""What an instance of crossing carries, and how it is configured."""

from __future__ import annotations

import msgspec

from runtime.definition import Knob


class StateData(msgspec.Struct, kw_only=True):
    """What an instance carries from event to event."""

    requests: int = 0
    """Buttons pressed since the last walk."""
    walks: int = 0
    """Walks given."""
    last_fault: str | None = None
    """What failed last."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration. Durations are in milliseconds."""

    cars_green_minimum: int = 20_000
    """How long cars may drive before a walk."""
    amber: int = 3_000
    """The warning before red."""
    walk: int = 12_000
    """How long people may start to walk."""
    clearing: int = 6_000
    """How long people need to finish."""


KNOBS: tuple[Knob, ...] = (
    Knob(
        "cars_green_minimum",
        "duration",
        20_000,
        summary="How long cars may drive before a walk.",
        env="CARS_GREEN_MINIMUM_SECS",
    ),
    Knob("amber", "duration", 3_000, summary="The warning before red.", env="AMBER_SECS"),
    Knob("walk", "duration", 12_000, summary="How long people may start to walk.", env="WALK_SECS"),
    Knob("clearing", "duration", 6_000, summary="How long people need to finish.", env="CLEARING_SECS"),
)
