# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""A pedestrian crossing with a button, and a maintenance switch that puts it back where it was."""

from .data import KNOBS, Config, StateData
from .definition import DEFINITION, make_error
from .events import (
    AmberOver,
    ButtonPressed,
    Cleared,
    GreenServed,
    LampFailed,
    LampsSet,
    MaintenanceOff,
    MaintenanceOn,
    Payload,
    WalkOver,
)
from .handlers import Actions, EffectHandlers, Guards
from .names import Effect, FSMEvent, Phase
from .requests import FlashAmberRequest, ShowAmberRequest, ShowGreenRequest, ShowRedRequest, ShowWalkRequest
from .table import TABLE

__all__ = [
    "DEFINITION",
    "KNOBS",
    "TABLE",
    "Actions",
    "AmberOver",
    "ButtonPressed",
    "Cleared",
    "Config",
    "Effect",
    "EffectHandlers",
    "FSMEvent",
    "FlashAmberRequest",
    "GreenServed",
    "Guards",
    "LampFailed",
    "LampsSet",
    "MaintenanceOff",
    "MaintenanceOn",
    "Payload",
    "Phase",
    "ShowAmberRequest",
    "ShowGreenRequest",
    "ShowRedRequest",
    "ShowWalkRequest",
    "StateData",
    "WalkOver",
    "make_error",
]
