"""Two digests of a machine: what it does, and how it is presented."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from codegen.knobs import knob_value
from codegen.model import Branch, Cell, Machine


def digest(machine: Machine) -> str:
    """SHA-256, in hexadecimal, of what decides the machine's behaviour and the form of its snapshots. Two specs that
    differ in texts, in environment names or in how rows are shared have the same digest."""
    spec = machine.spec
    return _sha256(
        {
            "machine": spec.machine,
            "initial": spec.initial,
            "error_event": spec.error_event,
            "config": {
                name: [knob.type, str(knob_value(knob.type, knob.default))] for name, knob in spec.config.items()
            },
            "types": {
                name: {field: str(type_) for field, type_ in declared.fields.items()}
                for name, declared in spec.types.items()
            },
            "data": {name: str(datum.type) for name, datum in spec.data.items()},
            "events": {
                name: [
                    {field: str(type_) for field, type_ in event.payload.items()},
                    event.identity,
                    event.source,
                ]
                for name, event in spec.events.items()
            },
            "policies": {
                name: [policy.max_attempts, policy.base_delay, policy.factor, policy.max_delay]
                for name, policy in spec.policies.items()
            },
            "effects": {
                name: [effect.effect_class, effect.arguments, effect.outcomes, effect.window, effect.retry]
                for name, effect in spec.effects.items()
            },
            "phases": {
                name: [
                    phase.entry.do,
                    phase.entry.request,
                    phase.entry.raises,
                    phase.exit.do,
                    phase.timeout.model_dump() if phase.timeout else None,
                    phase.final,
                    [group for group in machine.phase_groups[name] if spec.groups[group].history],
                ]
                for name, phase in spec.phases.items()
            },
            "table": {
                phase: {event: _cell(cell) for event, cell in cells.items()} for phase, cells in machine.cells.items()
            },
        }
    )


def presentation_digest(machine: Machine) -> str:
    """SHA-256, in hexadecimal, of the whole spec: summaries, reasons, groups and the happy path as well."""
    return _sha256(machine.spec.model_dump(mode="json", exclude={"source"}))


def verification_digest(machine: Machine, venue: Machine | None) -> str:
    """SHA-256, in hexadecimal, of all that a verification depends on: the machine, its venue's, and their meaning."""
    return _sha256([[digest(one), _meaning(one)] for one in (machine, venue) if one is not None])


def _meaning(machine: Machine) -> Any:
    spec = machine.spec
    return {
        "facts": spec.facts,
        "venue": spec.venue.model_dump() if spec.venue else None,
        "guards": {name: [guard.when, guard.only_if, guard.whenever] for name, guard in spec.guards.items()},
        "actions": {
            name: [
                [[fact, list(new.items()) if isinstance(new, dict) else new] for fact, new in action.sets.items()],
                action.books,
                action.plans,
                action.forgets,
            ]
            for name, action in spec.actions.items()
        },
        "effects": {name: effect.after for name, effect in spec.effects.items()},
        "tells": {
            branch.id: [branch.report, branch.reply]
            for _, _, _, branch in machine.rows()
            if branch.report is not None or branch.reply is not None
        },
        "invariants": {name: invariant.that for name, invariant in spec.invariants.items()},
        "properties": [declared.model_dump(exclude={"loss"}) for declared in spec.properties],
    }


def _cell(cell: Cell) -> Any:
    return [_branch(branch) for branch in cell.branches] if cell.kind == "branches" else cell.kind


def _branch(branch: Branch) -> list[Any]:
    return [
        branch.guards,
        branch.to,
        branch.history,
        branch.do,
        branch.request,
        branch.raises,
        branch.ignored is not None,
    ]


def _sha256(meaning: Any) -> str:
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
