# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""What crossing sends along when it asks something of the world."""

from __future__ import annotations

import msgspec


class ShowGreenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Green for cars."""


class ShowAmberRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Amber for cars."""


class ShowWalkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Red for cars and green for people."""


class ShowRedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Red for all."""


class FlashAmberRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Flashing amber for all."""
