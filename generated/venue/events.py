# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""The events of venue, each with what it carries."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from .names import FSMEvent


class Create(msgspec.Struct, kw_only=True):
    """A request to create the order arrives."""

    event: ClassVar[FSMEvent] = FSMEvent.CREATE


class Cancel(msgspec.Struct, kw_only=True):
    """A request to cancel the order arrives."""

    event: ClassVar[FSMEvent] = FSMEvent.CANCEL


class LookUp(msgspec.Struct, kw_only=True):
    """Somebody asks about the order."""

    event: ClassVar[FSMEvent] = FSMEvent.LOOK_UP


class FilledInPart(msgspec.Struct, kw_only=True):
    """Part of the order is filled, the rest stays live."""

    event: ClassVar[FSMEvent] = FSMEvent.FILLED_IN_PART


class FilledWholly(msgspec.Struct, kw_only=True):
    """All that was left of the order is filled."""

    event: ClassVar[FSMEvent] = FSMEvent.FILLED_WHOLLY


class Dropped(msgspec.Struct, kw_only=True):
    """The exchange cancels the order of its own accord."""

    event: ClassVar[FSMEvent] = FSMEvent.DROPPED


class Shown(msgspec.Struct, kw_only=True):
    """A look-up shows the order from now on."""

    event: ClassVar[FSMEvent] = FSMEvent.SHOWN


class ExchangeFailed(msgspec.Struct, kw_only=True):
    """The exchange fails within."""

    event: ClassVar[FSMEvent] = FSMEvent.EXCHANGE_FAILED
    error: str
    failed_event: str


Payload = Create | Cancel | LookUp | FilledInPart | FilledWholly | Dropped | Shown | ExchangeFailed
