# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""One order's life at an exchange, as a bot has to expect it; what the bot is verified against."""

from .data import KNOBS, Config, StateData
from .definition import DEFINITION, make_error
from .events import Cancel, Create, Dropped, ExchangeFailed, FilledInPart, FilledWholly, LookUp, Payload, Shown
from .handlers import Actions, EffectHandlers, Guards
from .names import Effect, FSMEvent, Phase
from .table import TABLE

__all__ = [
    "DEFINITION",
    "KNOBS",
    "TABLE",
    "Actions",
    "Cancel",
    "Config",
    "Create",
    "Dropped",
    "Effect",
    "EffectHandlers",
    "ExchangeFailed",
    "FSMEvent",
    "FilledInPart",
    "FilledWholly",
    "Guards",
    "LookUp",
    "Payload",
    "Phase",
    "Shown",
    "StateData",
    "make_error",
]
