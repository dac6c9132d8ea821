"""What the author of a misspelt name probably meant."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.document import Document
from codegen.lint.subject import Reference, Subject
from codegen.model import Spec
from codegen.patching import Change, patched, renaming


def with_meant_names(subject: Subject, document: Document) -> Subject:
    """The same spec with every unknown name exchanged for the declared one that is most like it.

    Rules about the machine as a whole look at this, so that one slip is told once and does not also leave a phase
    unreachable, an action unused and an event undecided.
    """
    values: list[Change] = []
    keys: list[Change] = []
    for reference, meant in _misspelt(subject):
        if reference.at_key:
            keys.append(renaming(reference.path, meant))
        else:
            values.append(_exchange(reference, meant))
    if not values and not keys:
        return subject
    data = patched(document.data, [*values, *keys])
    return Subject(Spec.model_validate({**data, "source": document}), subject.venue)


def _misspelt(subject: Subject) -> Iterator[tuple[Reference, str]]:
    for reference in subject.references:
        if reference.name not in subject.names(reference.kind):
            meant = subject.similar(reference.kind, reference.name)
            if meant is not None and meant in subject.names(reference.kind):
                yield reference, meant


def _exchange(reference: Reference, meant: str) -> Change:
    path = reference.path
    if len(path) > 1 and path[-2] == "if":
        # A single guard stands without a list around it.
        return path[:-1], lambda value: _in_condition(value, path[-1], reference.name, meant)
    return path, lambda value: _in_text(value, reference.name, meant)


def _in_condition(value: object, number: object, name: str, meant: str) -> object:
    if isinstance(value, list) and isinstance(number, int):
        return [_in_text(item, name, meant) if index == number else item for index, item in enumerate(value)]
    return _in_text(value, name, meant)


def _in_text(value: object, name: str, meant: str) -> object:
    """`optional bagde` -> `optional badge`, `[Bagde]` -> `[Badge]`: whatever stands before the name stays."""
    if isinstance(value, list):
        return [_in_text(item, name, meant) for item in value]
    return value.removesuffix(name) + meant if isinstance(value, str) else value
