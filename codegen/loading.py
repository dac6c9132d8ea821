"""From a file to a typed spec, or to the findings that say why not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from codegen.document import Document, Trouble, UnreadableError, read_document
from codegen.model import Path, Spec
from codegen.patching import Change, patched
from codegen.shape import shape_troubles


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file, as far as it could be read.

    With `troubles`, `spec` holds what is left when each troubled part is replaced by its stand-in, so that the rest can
    be looked at; it is None when too little is left.
    """

    path: FilePath
    lines: list[str]
    document: Document | None
    spec: Spec | None
    troubles: tuple[Trouble, ...]

    @property
    def stand_ins(self) -> frozenset[Path]:
        """The paths of the parts that are not as they were written."""
        return frozenset(trouble.path for trouble in self.troubles if trouble.path is not None)

    def line(self, number: int) -> str:
        """The text of line `number`, counted from 1; empty when there is no such line."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def load(path: FilePath) -> Loaded:
    """Read the spec at `path`. It never raises for what the file holds."""
    # Generated files name their source by its folder, so that they are the same wherever the tree lies.
    name = f"{path.absolute().parent.name}/{path.name}"
    try:
        document = read_document(path, name)
    except UnreadableError as error:
        return Loaded(path, error.lines, None, None, (error.trouble,))
    return understood(path, document)


def understood(path: FilePath, document: Document) -> Loaded:
    """The spec that a document holds, which is shown to readers as the file at `path`."""
    troubles = [
        Trouble(
            "duplicate_key",
            position,
            f"the key `{key}` was given before, at line {first.line}",
            "remove one of the two, or give one another name",
        )
        for key, position, first in document.duplicates
    ]
    troubles += shape_troubles(document)
    return Loaded(path, document.lines, document, _spec(document, troubles), tuple(troubles))


def _spec(document: Document, troubles: list[Trouble]) -> Spec | None:
    changes: list[Change] = []
    for trouble in troubles:
        if trouble.path is None:
            continue
        if trouble.path == () or (len(trouble.path) == 1 and isinstance(trouble.stand_in, dict)):
            return None  # Without a whole section, nearly every name would be unknown.
        changes.append((trouble.path, partial(_instead, trouble.stand_in)))
    try:
        return Spec.model_validate({**patched(document.data, changes), "source": document})
    except ValidationError:
        return None


def _instead(stand_in: Any, _: Any) -> Any:
    return stand_in
