# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""A pedestrian crossing with a button, and a maintenance switch that puts it back where it was."""

from .data import StateData, Config, KNOBS
from .definition import DEFINITION, make_error
from .events import ButtonPressed, GreenServed, AmberOver, WalkOver, Cleared, LampsSet, LampFailed, MaintenanceOn, MaintenanceOff, Payload
from .handlers import Guards, Actions, EffectHandlers
from .names import Phase, FSMEvent, Effect
from .requests import ShowGreenRequest, ShowAmberRequest, ShowWalkRequest, ShowRedRequest, FlashAmberRequest
from .table import TABLE

__all__ = ['StateData', 'Config', 'KNOBS', 'DEFINITION', 'make_error', 'ButtonPressed', 'GreenServed', 'AmberOver', 'WalkOver', 'Cleared', 'LampsSet', 'LampFailed', 'MaintenanceOn', 'MaintenanceOff', 'Payload', 'Guards', 'Actions', 'EffectHandlers', 'Phase', 'FSMEvent', 'Effect', 'ShowGreenRequest', 'ShowAmberRequest', 'ShowWalkRequest', 'ShowRedRequest', 'FlashAmberRequest', 'TABLE']
