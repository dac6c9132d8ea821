# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""The names of the machine venue."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phases an instance can be in."""

    NONE = "NONE"
    """The exchange has no such order."""
    HIDDEN = "HIDDEN"
    """The order is live, and a look-up does not show it yet."""
    HIDDEN_FILLED = "HIDDEN_FILLED"
    """The order is filled, and a look-up does not show it yet."""
    OPEN = "OPEN"
    """The order is live."""
    FILLED = "FILLED"
    """The order is filled."""
    CANCELED = "CANCELED"
    """The order is canceled; what was filled before stays filled."""
    REJECTED = "REJECTED"
    """The exchange refused the order."""
    TWICE = "TWICE"
    """One request was carried out twice, and there are two orders."""


class FSMEvent(StrEnum):
    """What can happen to an instance."""

    CREATE = "CREATE"
    """A request to create the order arrives."""
    CANCEL = "CANCEL"
    """A request to cancel the order arrives."""
    LOOK_UP = "LOOK_UP"
    """Somebody asks about the order."""
    FILLED_IN_PART = "FILLED_IN_PART"
    """Part of the order is filled, the rest stays live."""
    FILLED_WHOLLY = "FILLED_WHOLLY"
    """All that was left of the order is filled."""
    DROPPED = "DROPPED"
    """The exchange cancels the order of its own accord."""
    SHOWN = "SHOWN"
    """A look-up shows the order from now on."""
    EXCHANGE_FAILED = "EXCHANGE_FAILED"
    """The exchange fails within."""


class Effect(StrEnum):
    """What is asked of the world."""
