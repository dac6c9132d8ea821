"""The folder of generated files: what is in it, and how it becomes what it should be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path as FilePath
from typing import Literal

_TEMPORARY = ".phasewright-tmp"
_MARK = b"Generated from "
_MARK_WITHIN = 400
_STAMP_WITHIN = 2_000
_DIFFED_AT_MOST = 4_000
_IGNORED_FOLDERS = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


class DriftKind(StrEnum):
    """How a file differs from what the specs give."""

    CHANGED = "changed"
    MISSING = "missing"
    LEFT_OVER = "left over"
    OUT_OF_DATE = "out of date"
    """Written by a verification of other specs."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One file that is not as the specs give it. `diff` is a unified diff from the file to what it should be, for a
    changed one that is known without a verification; `make` writes it."""

    kind: DriftKind
    path: str
    diff: str = ""
    make: Literal["generate", "verify"] = "generate"

    def to_dict(self) -> dict[str, str]:
        """The drift as plain data for a script."""
        return {"kind": self.kind.value, "path": self.path, "diff": self.diff}


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to the folder; paths are relative to it. `foreign` files were not generated and were left alone."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    foreign: tuple[str, ...]


def write(folder: FilePath, expected: dict[str, str], kept: Collection[str] = ()) -> Written:
    """Make `folder` hold the expected files: each is replaced whole or not at all, equal ones are not touched, and
    generated ones that are left over are removed. Those that are `kept` are somebody else's to write.

    Raises:
        OSError: a file cannot be read, written or removed; those before it are done.
    """
    written, unchanged, removed, foreign = [], [], [], []
    for name, text in expected.items():
        path, content = folder / name, text.encode("utf-8")
        if _content(path) == content:
            unchanged.append(name)
            continue
        replace(path, content)
        written.append(name)
    for name in _present(folder):
        if name in expected or name in kept:
            continue
        if _is_generated(folder / name):
            (folder / name).unlink()
            removed.append(name)
        else:
            foreign.append(name)
    for name in removed:
        _remove_empty(folder, (folder / name).parent)
    return Written(tuple(written), tuple(removed), tuple(unchanged), tuple(foreign))


def replace(path: FilePath, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY}")
    temporary.write_bytes(content)
    temporary.replace(path)


def compare(
    folder: FilePath, expected: dict[str, str], stamped: Mapping[str, str], is_whole: Callable[[bytes], bool]
) -> list[Drift]:
    """Every difference between the folder and what it should hold, both ways, in the order of the paths. `stamped`
    files must have this text near their beginning; what else is in them was worked out at length, and `is_whole` knows
    whether it is still what was written then.

    Raises:
        OSError: the folder cannot be read.
    """
    drifts = []
    for name, text in expected.items():
        content = _content(folder / name)
        if content is None:
            drifts.append(Drift(DriftKind.MISSING, str(folder / name)))
        elif content != text.encode("utf-8"):
            drifts.append(Drift(DriftKind.CHANGED, str(folder / name), _diff(str(folder / name), content, text)))
    for name, stamp in stamped.items():
        content = _content(folder / name)
        if content is None:
            drifts.append(Drift(DriftKind.MISSING, str(folder / name), make="verify"))
        elif stamp.encode() not in content[:_STAMP_WITHIN]:
            drifts.append(Drift(DriftKind.OUT_OF_DATE, str(folder / name), make="verify"))
        elif not is_whole(content):
            drifts.append(Drift(DriftKind.CHANGED, str(folder / name), make="verify"))
    known = {*expected, *stamped}
    drifts += [Drift(DriftKind.LEFT_OVER, str(folder / name)) for name in _present(folder) if name not in known]
    return sorted(drifts, key=lambda drift: drift.path)


def render_drifts(drifts: list[Drift]) -> str:
    """All drifts as plain text, with their diffs; empty for none."""
    return "\n".join(f"{drift.kind}: {drift.path}" + (f"\n{drift.diff}" if drift.diff else "") for drift in drifts)


def _content(path: FilePath) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _present(folder: FilePath) -> Iterator[str]:
    """Every file below the folder, but for what Python and its tools leave behind."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _IGNORED_FOLDERS)
        for name in sorted(files):
            yield (FilePath(parent) / name).relative_to(folder).as_posix()


def _is_generated(path: FilePath) -> bool:
    if path.name.endswith(_TEMPORARY):
        return True
    if path.is_symlink():
        return False
    with path.open("rb") as file:
        return _MARK in file.read(_MARK_WITHIN)


def _remove_empty(folder: FilePath, inner: FilePath) -> None:
    while inner != folder and inner.is_dir() and all(entry.name in _IGNORED_FOLDERS for entry in inner.iterdir()):
        shutil.rmtree(inner)
        inner = inner.parent


def _diff(path: str, content: bytes, text: str) -> str:
    present = content.decode("utf-8", "backslashreplace").splitlines(keepends=True)
    wanted = text.splitlines(keepends=True)
    shared = 0
    while shared < min(len(present), len(wanted)) and present[shared] == wanted[shared]:
        shared += 1
    if max(len(present), len(wanted)) - shared > _DIFFED_AT_MOST:
        # Comparing very different large files line by line takes minutes, and nobody reads the result.
        start, end = max(0, shared - 3), shared + 20
        present, wanted, note = present[start:end], wanted[start:end], f"  (only from line {shared + 1} on)\n"
    else:
        note = ""
    lines = unified_diff(present, wanted, f"{path}", f"{path} (as the specs give it)")
    return note + "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
