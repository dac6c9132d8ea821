# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""What crossing needs from its author: guards, actions and handlers of effects."""

from __future__ import annotations

from typing import Protocol

from runtime.context import Context
from runtime.effects import Claim, Retry

from . import events, requests
from .data import Config, StateData


class Guards(Protocol):
    """Questions that decide between branches. They are pure; an exception is an error, never a no."""

    def walk_requested(self, data: StateData, event: events.GreenServed, ctx: Context[Config]) -> bool:
        """Somebody has pressed the button."""
        ...


class Actions(Protocol):
    """Changes to the data and the portfolio within one commit. They do no I/O; an exception undoes the whole event."""

    def count_request(self, data: StateData, event: events.ButtonPressed, ctx: Context[Config]) -> None:
        """Count a press."""
        ...

    def count_walk(
        self, data: StateData, event: events.AmberOver | events.MaintenanceOff, ctx: Context[Config]
    ) -> None:
        """Count the walk and forget the presses."""
        ...

    def note_fault(self, data: StateData, event: events.LampFailed, ctx: Context[Config]) -> None:
        """Remember what failed."""
        ...


class EffectHandlers(Protocol):
    """What is carried out after the commit that asked for it. Each returns the event that reports the outcome;
    where a retry policy is declared also Retry, when the attempt provably changed nothing."""

    async def show_green(
        self, request: requests.ShowGreenRequest, claim: Claim
    ) -> events.LampsSet | events.LampFailed | Retry:
        """Green for cars."""
        ...

    async def show_amber(
        self, request: requests.ShowAmberRequest, claim: Claim
    ) -> events.LampsSet | events.LampFailed | Retry:
        """Amber for cars."""
        ...

    async def show_walk(
        self, request: requests.ShowWalkRequest, claim: Claim
    ) -> events.LampsSet | events.LampFailed | Retry:
        """Red for cars and green for people."""
        ...

    async def show_red(
        self, request: requests.ShowRedRequest, claim: Claim
    ) -> events.LampsSet | events.LampFailed | Retry:
        """Red for all."""
        ...

    async def flash_amber(
        self, request: requests.FlashAmberRequest, claim: Claim
    ) -> events.LampsSet | events.LampFailed | Retry:
        """Flashing amber for all."""
        ...
