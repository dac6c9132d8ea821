# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""The events of crossing, each with what it carries."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from .names import FSMEvent


class ButtonPressed(msgspec.Struct, kw_only=True):
    """Somebody wants to walk."""

    event: ClassVar[FSMEvent] = FSMEvent.BUTTON_PRESSED


class GreenServed(msgspec.Struct, kw_only=True):
    """Cars have had their minimum."""

    event: ClassVar[FSMEvent] = FSMEvent.GREEN_SERVED


class AmberOver(msgspec.Struct, kw_only=True):
    """The warning is over."""

    event: ClassVar[FSMEvent] = FSMEvent.AMBER_OVER


class WalkOver(msgspec.Struct, kw_only=True):
    """No more people may start."""

    event: ClassVar[FSMEvent] = FSMEvent.WALK_OVER


class Cleared(msgspec.Struct, kw_only=True):
    """The road is free."""

    event: ClassVar[FSMEvent] = FSMEvent.CLEARED


class LampsSet(msgspec.Struct, kw_only=True):
    """The lamps show what was asked."""

    event: ClassVar[FSMEvent] = FSMEvent.LAMPS_SET


class LampFailed(msgspec.Struct, kw_only=True):
    """A lamp does not answer."""

    event: ClassVar[FSMEvent] = FSMEvent.LAMP_FAILED
    error: str
    failed_event: str


class MaintenanceOn(msgspec.Struct, kw_only=True):
    """The switch in the cabinet is turned on."""

    event: ClassVar[FSMEvent] = FSMEvent.MAINTENANCE_ON


class MaintenanceOff(msgspec.Struct, kw_only=True):
    """The switch in the cabinet is turned off."""

    event: ClassVar[FSMEvent] = FSMEvent.MAINTENANCE_OFF


Payload = (
    ButtonPressed
    | GreenServed
    | AmberOver
    | WalkOver
    | Cleared
    | LampsSet
    | LampFailed
    | MaintenanceOn
    | MaintenanceOff
)
