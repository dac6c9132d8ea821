# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""The machine crossing, whole."""

from __future__ import annotations

from runtime.definition import (
    EffectClass,
    EffectDefinition,
    EventDefinition,
    MachineDefinition,
    OnRestore,
    PhaseDefinition,
    RetryPolicy,
    Timeout,
)

from . import events, requests
from .data import KNOBS, Config, StateData
from .handlers import Actions, EffectHandlers, Guards
from .table import TABLE


def make_error(error: str, failed_event: str) -> events.LampFailed:
    """The event that a failure becomes: what failed, and while which event was handled."""
    return events.LampFailed(error=error, failed_event=failed_event)


DEFINITION = MachineDefinition(
    name="crossing",
    version=1,
    source="spec/crossing.yaml",
    digest="1579a808ce5db27cb1f6229ce92369e70fb4a3d7d6c783edd09d79f8c1576eb9",
    presentation_digest="944c6e268bbf808c6d28555ee5ace76b17ce2583d1fbe4dd731a129c990ac551",
    initial="CARS_GREEN",
    error_event="LAMP_FAILED",
    phases={
        "CARS_GREEN": PhaseDefinition(
            entry_request=("show_green",),
            timeout=Timeout(after="cars_green_minimum", raises="GREEN_SERVED", on_restore=OnRestore.RESTART),
            groups=("running",),
        ),
        "CARS_WAIT": PhaseDefinition(
            groups=("running",),
        ),
        "CARS_AMBER": PhaseDefinition(
            entry_request=("show_amber",),
            timeout=Timeout(after="amber", raises="AMBER_OVER", on_restore=OnRestore.RESTART),
            groups=("running",),
        ),
        "WALK": PhaseDefinition(
            entry_do=("count_walk",),
            entry_request=("show_walk",),
            timeout=Timeout(after="walk", raises="WALK_OVER", on_restore=OnRestore.RESTART),
            groups=("running",),
        ),
        "CLEARING": PhaseDefinition(
            entry_request=("show_red",),
            timeout=Timeout(after="clearing", raises="CLEARED", on_restore=OnRestore.RESTART),
            groups=("running",),
        ),
        "FLASHING": PhaseDefinition(
            entry_request=("flash_amber",),
        ),
    },
    events={
        "BUTTON_PRESSED": EventDefinition(events.ButtonPressed),
        "GREEN_SERVED": EventDefinition(events.GreenServed),
        "AMBER_OVER": EventDefinition(events.AmberOver),
        "WALK_OVER": EventDefinition(events.WalkOver),
        "CLEARED": EventDefinition(events.Cleared),
        "LAMPS_SET": EventDefinition(events.LampsSet),
        "LAMP_FAILED": EventDefinition(events.LampFailed),
        "MAINTENANCE_ON": EventDefinition(events.MaintenanceOn),
        "MAINTENANCE_OFF": EventDefinition(events.MaintenanceOff),
    },
    effects={
        "show_green": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ShowGreenRequest,
            outcomes={"done": "LAMPS_SET", "failed": "LAMP_FAILED"},
            retry="lamps",
        ),
        "show_amber": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ShowAmberRequest,
            outcomes={"done": "LAMPS_SET", "failed": "LAMP_FAILED"},
            retry="lamps",
        ),
        "show_walk": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ShowWalkRequest,
            outcomes={"done": "LAMPS_SET", "failed": "LAMP_FAILED"},
            retry="lamps",
        ),
        "show_red": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.ShowRedRequest,
            outcomes={"done": "LAMPS_SET", "failed": "LAMP_FAILED"},
            retry="lamps",
        ),
        "flash_amber": EffectDefinition(
            EffectClass.IDEMPOTENT,
            requests.FlashAmberRequest,
            outcomes={"done": "LAMPS_SET", "failed": "LAMP_FAILED"},
            retry="lamps",
        ),
    },
    policies={
        "lamps": RetryPolicy(max_attempts=3, base_delay=100, factor=2, max_delay=1000),
    },
    table=TABLE,
    data=StateData,
    config=Config,
    knobs=KNOBS,
    guards=Guards,
    actions=Actions,
    effect_handlers=EffectHandlers,
    make_error=make_error,
    history_groups=("running",),
)
