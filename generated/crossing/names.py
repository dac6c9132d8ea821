# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""The names of the machine crossing."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phases an instance can be in."""

    CARS_GREEN = "CARS_GREEN"
    """Cars drive for their minimum."""
    CARS_WAIT = "CARS_WAIT"
    """Cars drive until somebody wants to walk."""
    CARS_AMBER = "CARS_AMBER"
    """Cars are warned."""
    WALK = "WALK"
    """People may start to walk."""
    CLEARING = "CLEARING"
    """People finish."""
    FLASHING = "FLASHING"
    """Everybody takes care of themselves."""


class FSMEvent(StrEnum):
    """What can happen to an instance."""

    BUTTON_PRESSED = "BUTTON_PRESSED"
    """Somebody wants to walk."""
    GREEN_SERVED = "GREEN_SERVED"
    """Cars have had their minimum."""
    AMBER_OVER = "AMBER_OVER"
    """The warning is over."""
    WALK_OVER = "WALK_OVER"
    """No more people may start."""
    CLEARED = "CLEARED"
    """The road is free."""
    LAMPS_SET = "LAMPS_SET"
    """The lamps show what was asked."""
    LAMP_FAILED = "LAMP_FAILED"
    """A lamp does not answer."""
    MAINTENANCE_ON = "MAINTENANCE_ON"
    """The switch in the cabinet is turned on."""
    MAINTENANCE_OFF = "MAINTENANCE_OFF"
    """The switch in the cabinet is turned off."""


class Effect(StrEnum):
    """What is asked of the world."""

    show_green = "show_green"
    """Green for cars."""
    show_amber = "show_amber"
    """Amber for cars."""
    show_walk = "show_walk"
    """Red for cars and green for people."""
    show_red = "show_red"
    """Red for all."""
    flash_amber = "flash_amber"
    """Flashing amber for all."""
