"""The places of a spec at which something can be changed, as they stand in the file.

A cell that is written once and used by aliases is one place with several uses: whoever edits it changes all of them.
Each use is a place of its own as well, since whoever edits the alias changes that one alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from codegen.document import Document
from codegen.flatten import branch_path, flatten
from codegen.model import Branch, CellSpec, Machine, Path, Spec


@dataclass(frozen=True)
class WrittenCell:
    """What is written for an event. `paths` are all its uses, first the one that names it."""

    owner: Literal["phases", "groups", "events"]
    name: str
    paths: tuple[Path, ...]
    cell: CellSpec
    raw: Any
    alone: bool = False
    """Whether this is one use of several, changed without the others."""

    @property
    def label(self) -> str:
        """`WAIT_FILL/BUY_ORDER_TIMEOUT`; of an event's own, `otherwise/BUY_ORDER_FILLED`."""
        return f"{'otherwise' if self.owner == 'events' else self.name}/{self.event}{' alone' if self.alone else ''}"

    @property
    def event(self) -> str:
        """The event of its first use."""
        return _event(self.paths[0])

    @property
    def events(self) -> frozenset[str]:
        """The events of all its uses."""
        return frozenset(map(_event, self.paths))

    def rows(self) -> Iterator[WrittenRow]:
        """Its branches."""
        for index, branch in enumerate(self.cell.branches):
            inner = self.cell.branch_path(index)
            raw = self.raw
            for step in inner:
                raw = raw[step]
            yield WrittenRow(self, index, tuple((*path, *inner) for path in self.paths), branch, raw)


@dataclass(frozen=True)
class WrittenRow:
    """One branch of a written cell."""

    cell: WrittenCell
    index: int
    paths: tuple[Path, ...]
    branch: Branch
    raw: dict[str, Any]

    @property
    def label(self) -> str:
        """`WAIT_FILL/BUY_ORDER_FILLED/1`."""
        cell, alone = self.cell.label.partition(" ")[::2]
        return f"{cell}/{self.index + 1}{alone and f' {alone}'}"


@dataclass(frozen=True)
class WrittenSpec:
    """A spec without findings, and the document that it was read from."""

    spec: Spec
    document: Document

    @cached_property
    def machine(self) -> Machine:
        return flatten(self.spec)

    @cached_property
    def cells(self) -> tuple[WrittenCell, ...]:
        """Every cell as it is written, in the order of the file."""
        return tuple(cell for cell, _ in self._shared)

    @cached_property
    def uses(self) -> tuple[WrittenCell, ...]:
        """Each use of a cell that is used more than once."""
        return tuple(use for _, uses in self._shared for use in uses if len(uses) > 1)

    @cached_property
    def _shared(self) -> tuple[tuple[WrittenCell, tuple[WrittenCell, ...]], ...]:
        found: dict[object, list[WrittenCell]] = {}
        for use in self._uses():
            # What is written once and used again is one object in the document; words are told apart by their place.
            found.setdefault(id(use.raw) if isinstance(use.raw, dict | list) else use.paths, []).append(use)
        return tuple(
            (
                WrittenCell(
                    uses[0].owner,
                    uses[0].name,
                    tuple(path for use in uses for path in use.paths),
                    uses[0].cell,
                    uses[0].raw,
                ),
                tuple(uses),
            )
            for uses in found.values()
        )

    def _uses(self) -> Iterator[WrittenCell]:
        data = self.document.data
        for name, event in self.spec.events.items():
            if event.otherwise is not None:
                raw = data["events"][name]["otherwise"]
                yield WrittenCell("events", name, (("events", name, "otherwise"),), event.otherwise, raw, alone=True)
        sections: tuple[tuple[Literal["phases", "groups"], Any], ...] = (
            ("phases", self.spec.phases),
            ("groups", self.spec.groups),
        )
        for section, owners in sections:
            for name, owner in owners.items():
                for event_name, cell in owner.on.items():
                    raw = data[section][name]["on"][event_name]
                    yield WrittenCell(section, name, ((section, name, "on", event_name),), cell, raw, alone=True)

    def row_ids(self, row: WrittenRow) -> frozenset[str]:
        """Its rows in the flattened machine, as PHASE/EVENT/n."""
        return frozenset(name for path in row.paths for name in self._row_ids.get(path, ()))

    @cached_property
    def _row_ids(self) -> dict[Path, list[str]]:
        found: dict[Path, list[str]] = {}
        for phase, event, cell, branch in self.machine.rows():
            path = branch_path(self.machine, phase, event, cell.branches.index(branch))
            found.setdefault(path, []).append(branch.id)
        return found

    @cached_property
    def failure_phase(self) -> str | None:
        """Where failures lead: the commonest target of the error event."""
        targets = Counter(
            branch.to
            for _, event, _, branch in self.machine.rows()
            if event == self.spec.error_event and branch.to is not None
        )
        return targets.most_common(1)[0][0] if targets else None

    def phases_of(self, cell: WrittenCell) -> frozenset[str]:
        """The phases in which one of the cell's uses decides."""
        used = {_owner(path) for path in cell.paths}
        return frozenset(
            phase
            for phase, cells in self.machine.cells.items()
            for event in cell.events
            if (decided := cells.get(event)) is not None and (decided.origin.kind, decided.origin.name) in used
        )


def _event(path: Path) -> str:
    return str(path[1] if path[0] == "events" else path[3])


def _owner(path: Path) -> tuple[str, str]:
    return {"events": "event", "phases": "phase", "groups": "group"}[str(path[0])], str(path[1])
