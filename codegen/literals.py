"""Texts of a spec as Python source that means exactly that text, whatever it holds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from codegen.findings import printable
from codegen.model import Branch

_TEXT_WIDTH = 80
_DOC_WIDTH = 100


def literal(value: object) -> str:
    """A name, number, tuple or dictionary of such as Python source."""
    return repr(value)


def text_literal(text: str) -> str:
    """A text as one string literal, or as several adjacent ones when it is long."""
    if len(text) <= _TEXT_WIDTH:
        return repr(text)
    pieces: list[str] = []
    rest = text
    while len(repr(rest)) > _TEXT_WIDTH:
        cut = rest.rfind(" ", 1, _TEXT_WIDTH) + 1 or _TEXT_WIDTH
        while len(repr(rest[:cut])) > _TEXT_WIDTH + 20:
            cut //= 2
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    return " ".join(repr(piece) for piece in pieces if piece)


def docstring(text: str | tuple[str, ...], indent: int = 4) -> str:
    """A text as a docstring whose further lines are indented by `indent`; several texts are joined."""
    joined = text if isinstance(text, str) else " ".join(part for part in text if part)
    clean = printable(" ".join(joined.split()))
    # Lines are broken before anything is escaped, so that no break comes between a backslash and what it escapes.
    width = _DOC_WIDTH if len(_escaped(clean)) < len(clean) * 1.1 else _DOC_WIDTH // 2
    lines = textwrap.wrap(clean, width, break_on_hyphens=False) or [""]
    return '"""' + ("\n" + " " * indent).join(map(_escaped, lines)) + '"""'


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\")
    return text.replace('"', '\\"') if '""' in text or text[:1] == '"' or text[-1:] == '"' else text


def branch_literal(branch: Branch) -> str:
    """A row as a call of `Branch` that names only what is set."""
    parts = [f"id={branch.id!r}"]
    for name in ("guards", "to", "history", "do", "request", "raises"):
        value = getattr(branch, name)
        if value:
            parts.append(f"{name}={value!r}")
    if branch.ignored is not None:
        parts.append(f"ignored={text_literal(branch.ignored)}")
    return f"Branch({', '.join(parts)})"


def list_literal(names: Iterable[str]) -> str:
    """Names as a Python list."""
    return repr(list(names))
