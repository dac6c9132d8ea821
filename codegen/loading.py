"""From a file to a typed spec, or to the findings that say why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath

from codegen.document import Trouble, UnreadableError, read_document
from codegen.model import Spec
from codegen.shape import shape_troubles


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file, as far as it could be read. `spec` is None when `troubles` stood in the way."""

    path: FilePath
    lines: list[str]
    spec: Spec | None
    troubles: tuple[Trouble, ...]

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
        return Loaded(path, error.lines, None, (error.trouble,))
    troubles = [
        Trouble(
            "duplicate_key",
            position,
            f"the key `{key}` was given before, at line {first.line}",
            "remove one of the two, or give one another name",
        )
        for key, position, first in document.duplicates
    ]
    shape = shape_troubles(document)
    if shape:
        return Loaded(path, document.lines, None, (*troubles, *shape))
    return Loaded(path, document.lines, Spec.model_validate({"source": document, **document.data}), tuple(troubles))
