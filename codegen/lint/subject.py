"""The spec under examination, with what several rules need of it worked out once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from codegen.flatten import flatten
from codegen.model import Branch, CellSpec, Machine, Path, Spec, TypeRef
from codegen.python_names import PYTHON_TYPES
from codegen.wording import closest

Kind = Literal["phase", "event", "guard", "action", "effect", "policy", "knob", "type", "datum", "group"]

SECTIONS: dict[Kind, str] = {
    "phase": "phases",
    "event": "events",
    "guard": "guards",
    "action": "actions",
    "effect": "effects",
    "policy": "policies",
    "knob": "config",
    "type": "types",
    "datum": "data",
    "group": "groups",
}


# Looking for a similar name takes time; a file with more misspelt names than this has another trouble.
_LOOKED_FOR_AT_MOST = 200


class Reference(NamedTuple):
    """One mention of a name that is declared elsewhere."""

    kind: Kind
    name: str
    path: Path
    at_key: bool = False


class WrittenCell(NamedTuple):
    """A cell as it stands in the file: in a phase, a group, or as an event's `otherwise`."""

    path: Path
    owner: Literal["phases", "groups", "events"]
    name: str
    event: str
    cell: CellSpec


@dataclass(frozen=True)
class Subject:
    """What the rules look at."""

    spec: Spec
    venue: Spec | None = None
    """The machine of the spec's venue, as far as it could be read."""

    @cached_property
    def machine(self) -> Machine:
        """The flattened machine. Undecided cells are missing, and branches may name what is not declared."""
        return flatten(self.spec)

    def names(self, kind: Kind) -> dict[str, object]:
        """What is declared of a kind, in the order of the file."""
        declared: dict[str, object] = getattr(self.spec, SECTIONS[kind])
        return declared

    def similar(self, kind: Kind, name: str) -> str | None:
        """The declared name of `kind` that `name` was probably meant to be."""
        key = (kind, name)
        if key not in self._similar:
            if len(self._similar) >= _LOOKED_FOR_AT_MOST:
                return None
            self._similar[key] = closest(name, self.known(kind))
        return self._similar[key]

    def known(self, kind: Kind) -> list[str]:
        """The names that may be written where one of `kind` is meant."""
        return [*(PYTHON_TYPES if kind == "type" else ()), *self.names(kind)]

    @cached_property
    def _similar(self) -> dict[tuple[Kind, str], str | None]:
        return {}

    @cached_property
    def cells(self) -> tuple[WrittenCell, ...]:
        """Every cell that is written in the file."""
        return tuple(self._cells())

    def _cells(self) -> Iterator[WrittenCell]:
        for name, event in self.spec.events.items():
            if event.otherwise is not None:
                yield WrittenCell(("events", name, "otherwise"), "events", name, name, event.otherwise)
        for name, phase in self.spec.phases.items():
            for event_name, cell in phase.on.items():
                yield WrittenCell(("phases", name, "on", event_name), "phases", name, event_name, cell)
        for name, group in self.spec.groups.items():
            for event_name, cell in group.on.items():
                yield WrittenCell(("groups", name, "on", event_name), "groups", name, event_name, cell)

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """Every mention of a declared name, wherever it stands."""
        return tuple(self._references())

    @cached_property
    def used(self) -> dict[Kind, set[str]]:
        """The names of each kind that are mentioned somewhere."""
        found: dict[Kind, set[str]] = {kind: set() for kind in SECTIONS}
        for reference in self.references:
            found[reference.kind].add(reference.name)
        return found

    @cached_property
    def ways(self) -> dict[str, dict[str, None]]:
        """From each phase the phases that its rows lead to, itself included where a row says so. A row back into a
        group by its history leads to every phase of the group."""
        ways: dict[str, dict[str, None]] = {phase: {} for phase in self.spec.phases}
        for phase, _, _, branch in self.machine.rows():
            for target in self.targets(branch):
                ways[phase][target] = None
        return ways

    def targets(self, branch: Branch) -> tuple[str, ...]:
        """The declared phases to which a branch can lead."""
        if branch.history is not None and branch.history not in self.spec.groups:
            return ()
        return tuple(phase for phase in self.machine.targets(branch) if phase in self.spec.phases)

    def _references(self) -> Iterator[Reference]:
        spec = self.spec
        yield Reference("phase", spec.initial, ("initial",))
        yield Reference("event", spec.error_event, ("error_event",))
        yield from _listed("phase", spec.happy_path, ("happy_path",))
        yield from self._type_references()
        for name, policy in spec.policies.items():
            if isinstance(policy.max_attempts, str):
                yield Reference("knob", policy.max_attempts, ("policies", name, "max_attempts"))
            for field in ("base_delay", "max_delay"):
                written = getattr(policy, field)
                if not is_duration(written):
                    yield Reference("knob", written, ("policies", name, field))
        for name, effect in spec.effects.items():
            path: Path = ("effects", name)
            for number, (datum, _) in enumerate(effect.arguments):
                yield Reference("datum", datum, (*path, "args", number))
            for outcome, event in effect.outcomes.items():
                yield Reference("event", event, (*path, "outcomes", outcome))
            if effect.window is not None:
                yield Reference("knob", effect.window, (*path, "window"))
            if effect.retry is not None:
                yield Reference("policy", effect.retry, (*path, "retry"))
            yield from _listed("effect", effect.after, (*path, "after"))
        yield from self._phase_references()
        for name, group in spec.groups.items():
            yield from _listed("phase", group.phases, ("groups", name, "phases"))
            yield from _listed("group", group.groups, ("groups", name, "groups"))
        for number, migration in enumerate(spec.migrations):
            for old, phase in migration.phases.items():
                yield Reference("phase", phase, ("migrations", number, "phases", old))
            for old, datum in migration.rename_data.items():
                yield Reference("datum", datum, ("migrations", number, "rename_data", old))
        for written_cell in self.cells:
            if written_cell.owner != "events":
                yield Reference("event", written_cell.event, written_cell.path, at_key=True)
            for index, branch in enumerate(written_cell.cell.branches):
                yield from _branch_references(branch, (*written_cell.path, *written_cell.cell.branch_path(index)))

    def _type_references(self) -> Iterator[Reference]:
        for path, type_ in self.typed():
            if type_.problem is None and type_.name not in PYTHON_TYPES:
                yield Reference("type", type_.name, path)

    def _phase_references(self) -> Iterator[Reference]:
        for name, phase in self.spec.phases.items():
            path: Path = ("phases", name)
            yield from _listed("action", phase.entry.do, (*path, "entry", "do"))
            yield from _listed("effect", phase.entry.request, (*path, "entry", "request"))
            yield from _listed("event", phase.entry.raises, (*path, "entry", "raise"))
            yield from _listed("action", phase.exit.do, (*path, "exit", "do"))
            if phase.timeout is not None:
                yield Reference("knob", phase.timeout.after, (*path, "timeout", "after"))
                yield Reference("event", phase.timeout.raises, (*path, "timeout", "raises"))
                if phase.timeout.since is not None:
                    yield Reference("datum", phase.timeout.since, (*path, "timeout", "since"))

    def typed(self) -> Iterator[tuple[Path, TypeRef]]:
        """Every place where a type is written."""
        for name, declared in self.spec.types.items():
            for field, type_ in declared.fields.items():
                yield ("types", name, "fields", field), type_
        for name, datum in self.spec.data.items():
            yield ("data", name, "type"), datum.type
        for name, event in self.spec.events.items():
            for field, type_ in event.payload.items():
                yield ("events", name, "payload", field), type_


def is_duration(text: str) -> bool:
    """Whether the text begins like a duration rather than like a name."""
    return text[:1].isdigit() or text[:1] in ("-", "+", ".", "")


def _listed(kind: Kind, names: tuple[str, ...], path: Path) -> Iterator[Reference]:
    for number, name in enumerate(names):
        yield Reference(kind, name, (*path, number))


def _branch_references(branch: Branch, path: Path) -> Iterator[Reference]:
    for number, (guard, _) in enumerate(branch.guards):
        yield Reference("guard", guard, (*path, "if", number))
    if branch.to is not None:
        yield Reference("phase", branch.to, (*path, "to"))
    if branch.history is not None:
        yield Reference("group", branch.history, (*path, "to", "history"))
    yield from _listed("action", branch.do, (*path, "do"))
    yield from _listed("effect", branch.request, (*path, "request"))
    yield from _listed("event", branch.raises, (*path, "raise"))
