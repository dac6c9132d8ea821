# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""The machine venue, whole."""

from __future__ import annotations

from runtime.definition import (
    EventDefinition,
    MachineDefinition,
    OnRestore,
    PhaseDefinition,
    Timeout,
)

from . import events
from .data import KNOBS, Config, StateData
from .handlers import Actions, EffectHandlers, Guards
from .table import TABLE


def make_error(error: str, failed_event: str) -> events.ExchangeFailed:
    """The event that a failure becomes: what failed, and while which event was handled."""
    return events.ExchangeFailed(error=error, failed_event=failed_event)


DEFINITION = MachineDefinition(
    name="venue",
    version=1,
    source="spec/venue.yaml",
    digest="bdef623d02d97654f109dfdd721bab189deb8f3476f4382d72fcbf28b59f2990",
    presentation_digest="5a30687959cd71503b3d9ebf82dbc5377559965c1059ef073b4c09023753a30f",
    initial="NONE",
    error_event="EXCHANGE_FAILED",
    phases={
        "NONE": PhaseDefinition(),
        "HIDDEN": PhaseDefinition(
            timeout=Timeout(after="look_up_lag", raises="SHOWN", on_restore=OnRestore.KEEP_DEADLINE),
            groups=("live",),
        ),
        "HIDDEN_FILLED": PhaseDefinition(
            timeout=Timeout(after="look_up_lag", raises="SHOWN", on_restore=OnRestore.KEEP_DEADLINE),
        ),
        "OPEN": PhaseDefinition(
            groups=("live",),
        ),
        "FILLED": PhaseDefinition(),
        "CANCELED": PhaseDefinition(),
        "REJECTED": PhaseDefinition(
            final=True,
        ),
        "TWICE": PhaseDefinition(
            final=True,
        ),
    },
    events={
        "CREATE": EventDefinition(events.Create),
        "CANCEL": EventDefinition(events.Cancel),
        "LOOK_UP": EventDefinition(events.LookUp),
        "FILLED_IN_PART": EventDefinition(events.FilledInPart),
        "FILLED_WHOLLY": EventDefinition(events.FilledWholly),
        "DROPPED": EventDefinition(events.Dropped),
        "SHOWN": EventDefinition(events.Shown),
        "EXCHANGE_FAILED": EventDefinition(events.ExchangeFailed),
    },
    effects={},
    policies={},
    table=TABLE,
    data=StateData,
    config=Config,
    knobs=KNOBS,
    guards=Guards,
    actions=Actions,
    effect_handlers=EffectHandlers,
    make_error=make_error,
)
