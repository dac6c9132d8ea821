"""Plain data with some parts exchanged. What is not on the way to a change is shared with the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from codegen.model import Path

REMOVED = object()
Change = tuple[Path, Callable[[Any], Any]]


def patched(data: Any, changes: Iterable[Change]) -> Any:
    """`data` with each change applied to the value at its path, in their order.

    A change returns the new value, or `REMOVED` to drop the entry; it is given None where there is no entry yet. A
    path has at least one step, and one that leads nowhere changes nothing.
    """
    root = [data]
    own: set[int] = {id(root)}
    for path, change in changes:
        holder: Any = root
        for step, following in zip((0, *path[:-1]), path, strict=True):
            inner = _get(holder, step)
            if not isinstance(inner, dict if isinstance(following, str) else list):
                break
            if id(inner) not in own:
                inner = inner.copy()
                own.add(id(inner))
                holder[step] = inner
            holder = inner
        else:
            _apply(holder, path[-1], change)
    return root[0]


def renaming(path: Path, new: str) -> Change:
    """Exchanges the key at the end of `path` for `new`, at the same place in its mapping."""
    old = path[-1]
    return path[:-1], lambda inner: {new if key == old else key: value for key, value in inner.items()}


def _get(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(step)
    return holder[step] if isinstance(step, int) and 0 <= step < len(holder) else None


def _apply(holder: Any, step: str | int, change: Callable[[Any], Any]) -> None:
    value = change(_get(holder, step))
    if value is not REMOVED:
        if isinstance(holder, dict) or (isinstance(step, int) and 0 <= step < len(holder)):
            holder[step] = value
    elif isinstance(holder, dict):
        holder.pop(step, None)
