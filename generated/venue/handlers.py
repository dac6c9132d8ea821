# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""What venue needs from its author: guards, actions and handlers of effects."""

from __future__ import annotations

from typing import Protocol

from runtime.context import Context

from . import events
from .data import Config, StateData


class Guards(Protocol):
    """Questions that decide between branches. They are pure; an exception is an error, never a no."""

    def welcome(self, data: StateData, event: events.Create, ctx: Context[Config]) -> bool:
        """The exchange accepts the order."""
        ...

    def slow_to_show(self, data: StateData, event: events.Create, ctx: Context[Config]) -> bool:
        """A look-up does not show the order yet."""
        ...

    def unfilled(self, data: StateData, event: events.FilledInPart, ctx: Context[Config]) -> bool:
        """Nothing of the order is filled."""
        ...


class Actions(Protocol):
    """Changes to the data and the portfolio within one commit. They do no I/O; an exception undoes the whole event."""

    def fill_in_part(self, data: StateData, event: events.FilledInPart, ctx: Context[Config]) -> None:
        """Fill a part."""
        ...

    def fill_wholly(self, data: StateData, event: events.FilledWholly, ctx: Context[Config]) -> None:
        """Fill what is left."""
        ...


class EffectHandlers(Protocol):
    """What is carried out after the commit that asked for it. Each returns the event that reports the outcome."""
