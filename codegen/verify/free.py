"""The machine alone, in an environment without any sense: every event at any time, and guards that answer freely.

It shows what no consistent exchange provokes: the rows that are there in case that something is not as it should be.
"""

from __future__ import annotations

from codegen.model import Spec
from codegen.verify.world import World

_UNDER_WAY = 1


def free_world(spec: Spec) -> World:
    """A world in which nothing is known of orders, and no condition binds a guard."""
    unbound = {"when": None, "only_if": None, "whenever": None}
    without_meaning = {"sets": {}, "books": False, "plans": (), "forgets": ()}
    alone = spec.model_copy(
        update={
            "facts": {},
            "venue": None,
            "guards": {name: guard.model_copy(update=unbound) for name, guard in spec.guards.items()},
            "actions": {name: action.model_copy(update=without_meaning) for name, action in spec.actions.items()},
        }
    )
    return World(alone, None, _UNDER_WAY, outside=list(spec.events))
