"""What the conditions of a spec may speak of, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Literal, NamedTuple

from codegen.expressions import Domain, Scope
from codegen.model import Path, Spec

PRESENT, PAST, NO_ORDER = 0, 1, 2
ORDERS: Domain = ("present", "past", "none")
"""What an event is about: the present order of its side, an earlier one, or none."""
NO_SIDE = "none"
ANY = "any"

Place = Literal["row", "state"]


class Written(NamedTuple):
    """A condition as it stands in the file: within a row (a guard, an action), or about the state as a whole."""

    path: Path
    text: str
    place: Place


def written_conditions(spec: Spec) -> Iterator[Written]:
    """Every condition of the spec, in the order of the file."""
    for name, guard in spec.guards.items():
        for key in ("when", "only_if", "whenever"):
            if (text := getattr(guard, key)) is not None:
                yield Written(("guards", name, key), text, "row")
    for name, action in spec.actions.items():
        for fact, new in action.sets.items():
            for value, text in new.items() if isinstance(new, dict) else ():
                yield Written(("actions", name, "set", fact, value), text, "row")
    for name, invariant in spec.invariants.items():
        yield Written(("invariants", name, "that"), invariant.that, "state")
    for number, declared in enumerate(spec.properties):
        for key in ("never", "reachable", "recoverable"):
            if (text := getattr(declared, key)) is not None:
                yield Written(("properties", number, key), text, "state")
        if declared.leads_to is not None:
            yield Written(("properties", number, "leads_to", "from"), declared.leads_to.source, "state")
            yield Written(("properties", number, "leads_to", "to"), declared.leads_to.to, "state")


def venue_file(spec: Spec, path: FilePath) -> FilePath | None:
    """Where the venue's machine is looked for: beside the spec, under its own name."""
    return path.parent / f"{spec.venue.machine}.yaml" if spec.venue is not None else None


def scope(spec: Spec, venue: Spec | None, place: Place) -> Scope:
    """The names of a condition at `place`. Without a venue there is nothing to say of orders."""
    names: dict[str, Domain | None] = {"phase": tuple(spec.phases), **spec.facts}
    functions: dict[str, tuple[Domain, ...]] = {}
    if spec.venue is None or venue is None:
        return Scope(names)
    sides = tuple(spec.venue.orders)
    fills = venue.facts.get(spec.venue.fills, ())
    if place == "row":
        names |= {
            "event.side": (*sides, NO_SIDE),
            "event.order": ORDERS,
            "event.fills": fills,
            "event.booked": fills,
        }
        if spec.venue.look_up_all:
            for side in sides:
                names |= {f"event.{side}.order": ORDERS, f"event.{side}.live": None}
                names |= {f"event.{side}.fills": fills, f"event.{side}.booked": fills}
    else:
        functions["count"] = (sides, (*venue.groups, *venue.phases))
        functions["unbooked"] = (sides,)
    return Scope(names, functions)
