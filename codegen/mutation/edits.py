"""One change of a written spec: where, what, in words, and what it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from codegen.model import Path
from codegen.patching import REMOVED, Change


@dataclass(frozen=True)
class Edit:
    """`place` names the written place and, with `variant`, what was done to it; both are the same in the next version
    of the file as long as the place is there. `path` leads to where a reader should look."""

    place: str
    words: str
    changes: tuple[Change, ...]
    path: Path
    variant: str = ""
    at_key: bool = False
    phases: frozenset[str] = frozenset()
    """The phases in which something goes on differently."""
    events: frozenset[str] = frozenset()
    effects: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    rows: frozenset[str] | None = None
    """The rows of the flattened machine without which the change changes nothing; None: it may always change something.
    """


def setting(paths: Iterable[Path], key: str, value: Any) -> tuple[Change, ...]:
    """Gives `key` another value at each of the places."""
    return tuple(((*path, key), _always(value)) for path in paths)


def replacing(paths: Iterable[Path], value: Any) -> tuple[Change, ...]:
    """Writes another value at each of the places."""
    return tuple((path, _always(value)) for path in paths)


def dropping(paths: Iterable[Path], key: str | None = None) -> tuple[Change, ...]:
    """Removes the entry, or the one below it that is named `key`."""
    return tuple((path if key is None else (*path, key), _always(REMOVED)) for path in paths)


def without_item(paths: Iterable[Path], key: str, index: int) -> tuple[Change, ...]:
    """Removes one item of the list, or the list with its last item."""
    return tuple(((*path, key), _without(index)) for path in paths)


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _without(index: int) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if not isinstance(value, list) or len(value) == 1:
            return REMOVED
        return [*value[:index], *value[index + 1 :]]

    return change
