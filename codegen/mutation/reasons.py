"""Why a mutant survives, written by hand beside the spec.

[[survivors]]
equivalent = "Why nobody could tell the two machines apart."
mutants = ["row-retargeted IDLE/SLOT_AVAILABLE/1 ERROR"]

[[survivors]]
harmless = "Why the change, which one could see, costs nothing."
mutants = [...]

[[survivors]]
gap = "What is missing that would notice what it costs."
mutants = [...]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal

Kind = Literal["equivalent", "harmless", "gap"]
_KINDS: tuple[Kind, ...] = ("equivalent", "harmless", "gap")
_FORM = "each [[survivors]] has `equivalent`, `harmless` or `gap`, a text, and `mutants`, a list of texts"


@dataclass(frozen=True, slots=True)
class Reason:
    kind: Kind
    why: str


class ReasonsError(Exception):
    """The file cannot be read. The text is the whole message for the user."""


def reasons_file(spec_file: FilePath) -> FilePath:
    """Where the reasons of a spec are: spec/survivors/<name>.toml."""
    return spec_file.parent / "survivors" / f"{spec_file.stem}.toml"


def read_reasons(path: FilePath) -> dict[str, Reason]:
    """The reason for each mutant by its key; none when there is no file.

    Raises:
        ReasonsError: the file is not of the form above, or names a mutant twice.
    """
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReasonsError(f"{path} cannot be read: {error}") from None
    entries = data.get("survivors")
    if set(data) - {"survivors"} or not isinstance(entries, list):
        raise ReasonsError(f"{path}: {_FORM}")
    found: dict[str, Reason] = {}
    for number, entry in enumerate(entries, start=1):
        reason = _reason(path, number, entry)
        for key in entry["mutants"]:
            if key in found:
                raise ReasonsError(f"{path}: `{key}` is given two reasons; remove one of them")
            found[key] = reason
    return found


def _reason(path: FilePath, number: int, entry: Any) -> Reason:
    if isinstance(entry, dict) and set(entry) in [{kind, "mutants"} for kind in _KINDS]:
        mutants = entry["mutants"]
        for kind in _KINDS:
            why = entry.get(kind)
            named = isinstance(mutants, list) and mutants and all(isinstance(key, str) for key in mutants)
            if named and isinstance(why, str) and why.strip():
                return Reason(kind, why)
    raise ReasonsError(f"{path}: number {number} of [[survivors]] is not of the form: {_FORM}")
