"""Every mutant of a spec, each once."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from codegen.digest import verification_digest
from codegen.document import Document
from codegen.findings import Severity
from codegen.flatten import flatten
from codegen.lint.runner import findings
from codegen.loading import Loaded, understood
from codegen.model import Spec
from codegen.mutation.danger import danger
from codegen.mutation.edits import Edit
from codegen.mutation.operators import OPERATORS, Operator
from codegen.mutation.written import WrittenSpec
from codegen.patching import patched


@dataclass(frozen=True)
class Mutant:
    """A spec with one change. `danger` says how money could be lost by it; empty when it could not. `unprovoked`: it
    concerns only rows that no consistent venue provokes, so within the bound of the checker both machines are the same.
    """

    operator: str
    edit: Edit
    file: str
    line: int
    column: int
    danger: str
    unprovoked: bool
    meaning: str
    original: Loaded

    @property
    def key(self) -> str:
        """Names the mutant, also in the next version of the file, as long as the place is there."""
        return " ".join(filter(None, (self.operator, self.edit.place, self.edit.variant)))

    @property
    def position(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def words(self) -> str:
        return f"{self.edit.place}: {self.edit.words}"

    @cached_property
    def loaded(self) -> Loaded:
        """The changed file, as if it had been read."""
        return understood(self.original.path, _changed(self.original, self.edit))

    @cached_property
    def errors(self) -> tuple[str, ...]:
        """The codes of what lint finds, errors alone."""
        found = (finding for finding in findings(self.loaded) if finding.severity is Severity.ERROR)
        return tuple(dict.fromkeys(finding.code for finding in found))

    @property
    def spec(self) -> Spec:
        """The changed spec; there is always one when there are no `errors`."""
        assert self.loaded.spec is not None
        return self.loaded.spec


def mutants(
    original: Loaded, operators: Iterable[Operator] = OPERATORS, provoked: Set[str] | None = None
) -> Iterator[Mutant]:
    """Every mutant of a spec without findings that one of the operators makes. Of several with the same meaning there
    is the first, and none that means what the original means. `provoked` are all rows that a consistent venue provokes,
    where that is known."""
    assert original.document is not None
    assert original.spec is not None
    written = WrittenSpec(original.spec, original.document)
    seen = {verification_digest(written.machine, None)}
    for operator in operators:
        for edit in operator.edits(written):
            means = _meaning_of(_changed(original, edit))
            if means in seen:
                continue
            seen.add(means)
            position = (original.document.key if edit.at_key else original.document.value)(edit.path)
            yield Mutant(
                operator.id,
                edit,
                original.document.name,
                position.line,
                position.column,
                danger(written.spec, edit),
                provoked is not None and edit.rows is not None and provoked.isdisjoint(edit.rows),
                means,
                original,
            )


def sha256(value: Any) -> str:
    """Of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _changed(original: Loaded, edit: Edit) -> Document:
    """The document with the change; what stands where is as in the file."""
    assert original.document is not None
    document = copy.copy(original.document)
    document.data = patched(document.data, edit.changes)
    return document


def _meaning_of(document: Document) -> str:
    try:
        return verification_digest(flatten(Spec.model_validate({**document.data, "source": document})), None)
    except ValidationError:
        return sha256(repr(document.data))  # It has not the shape of a spec; lint says so.
