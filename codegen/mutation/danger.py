"""Which changes could lose money or double an order."""

from __future__ import annotations

from codegen.model import Spec
from codegen.mutation.edits import Edit


def danger(spec: Spec, edit: Edit) -> str:
    """How the change could cost money; empty when it could not, or when the machine has no orders.

    Whatever touches a request about an order, the news of an order, a phase that waits for an answer about one, or the
    booking of fills, is dangerous.
    """
    if spec.venue is None:
        return ""
    asking = {effect for side in spec.venue.orders.values() for effect in side.requests.values()}
    asking |= spec.venue.look_up_all.keys()
    if edit.effects & asking:
        return "a request about an order"
    if any(spec.actions[name].books for name in edit.actions if name in spec.actions):
        return "the booking of fills"
    news = {event for side in spec.venue.orders.values() for event in side.reports.values()}
    news |= {event for name in asking for event in spec.effects[name].outcomes.values()}
    if edit.events & news:
        return "the news of an order"
    waiting = {name for name, phase in spec.phases.items() if asking & set(phase.entry.request)}
    if edit.phases & waiting:
        return "a phase that waits for an answer about an order"
    return ""
