"""With which events each guard and each action can be called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen.model import Machine


def guard_events(machine: Machine) -> dict[str, tuple[str, ...]]:
    """For each guard the events whose cells ask it; every event for a guard that no cell asks."""
    found: dict[str, set[str]] = {name: set() for name in machine.spec.guards}
    for _, event, _, branch in machine.rows():
        for guard, _ in branch.guards:
            found[guard].add(event)
    return _in_order(machine, found)


def action_events(machine: Machine) -> dict[str, tuple[str, ...]]:
    """For each action the events that can lead to it: as part of a row, on leaving a phase and on entering one; every
    event for an action that nothing calls."""
    spec = machine.spec
    found: dict[str, set[str]] = {name: set() for name in spec.actions}
    leaving: dict[str, set[str]] = {name: set() for name in spec.phases}
    entering: dict[str, set[str]] = {name: set() for name in spec.phases}
    returning: dict[str, set[str]] = {name: set() for name in spec.groups}
    for phase, event, _, branch in machine.rows():
        for action in branch.do:
            found[action].add(event)
        if branch.leaves:
            leaving[phase].add(event)
        if branch.to is not None:
            entering[branch.to].add(event)
        if branch.history is not None:
            returning[branch.history].add(event)
    for name, phase_spec in spec.phases.items():
        for group in machine.phase_groups[name]:
            entering[name] |= returning[group]
        for action in phase_spec.exit.do:
            found[action] |= leaving[name]
        for action in phase_spec.entry.do:
            found[action] |= entering[name]
    return _in_order(machine, found)


def _in_order(machine: Machine, found: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    place = {event: number for number, event in enumerate(machine.spec.events)}
    return {name: tuple(sorted(events, key=place.__getitem__)) or tuple(place) for name, events in found.items()}
