"""Writes the counterexamples of a machine into a folder, in the place of those of an earlier run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from codegen.counterexamples.page import GENERATOR, page
from codegen.diagrams import RendererError, machine_svg
from codegen.model import Machine, Spec
from codegen.verify.result import Broken, Verified

_LONGEST = 60
# A file of ours says so in its first letters. Anything else in the folder is left alone, whatever its name.
_MARK = 400
_TRACE = '{\n  "trace": '


def write_counterexamples(folder: Path, machine: Machine, venue: Spec | None, verified: Verified) -> Verified:
    """`verified`, with the files of each of its broken claims. A claim that no step breaks has none: there is nothing
    to draw and nothing to play. The folder is made when it is needed."""
    told = [one for one in verified.broken if one.steps]
    try:
        for old in _old(folder, verified.machine):
            old.unlink()
        if not told:
            return verified
        folder.mkdir(parents=True, exist_ok=True)
        drawn = machine_svg(machine, "")
        names = dict(zip((one.name for one in told), _names(verified.machine, told), strict=True))
        return replace(
            verified,
            broken=tuple(
                _write(folder / names[one.name], machine, venue, one, drawn) if one.steps else one
                for one in verified.broken
            ),
        )
    except OSError as error:
        what = f"{error.filename or folder} cannot be written: {error.strerror or error}"
        way_out = "Make room or correct the permissions, or name another folder with --counterexamples."
        return replace(verified, not_written=f"{what}. The stories above are whole, but not all drawings. {way_out}")
    except RendererError as error:
        return replace(verified, not_written=f"The stories above are whole, but not drawn: {error}")


def is_trace(path: Path) -> bool:
    """Whether the file holds a trace, of whatever machine. Raises OSError."""
    return _begins(path).startswith(_TRACE)


def _write(stem: Path, machine: Machine, venue: Spec | None, broken: Broken, drawn: str) -> Broken:
    trace, drawing = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.html")
    written = replace(broken, drawing=str(drawing), trace_file=str(trace))
    trace.write_text(json.dumps(broken.trace.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    drawing.write_text(page(machine, venue, written, drawn), encoding="utf-8")
    return written


def _names(machine: str, told: list[Broken]) -> Iterator[str]:
    """A name for each claim; claims that begin alike are counted."""
    seen: set[str] = set()
    for one in told:
        slug = re.sub(r"[^a-z0-9]+", "-", one.name.lower().replace("_", "-"))[:_LONGEST].strip("-") or "claim"
        name, number = slug, 1
        while name in seen:
            number += 1
            name = f"{slug}-{number}"
        seen.add(name)
        yield f"{machine}-{name}"


def _old(folder: Path, machine: str) -> Iterator[Path]:
    """What an earlier run left here of the machine."""
    if not folder.is_dir():
        return
    marks = {
        ".json": f'{_TRACE}1,\n  "machine": "{machine}",',
        ".html": f'<meta name="generator" content="{GENERATOR}, {machine}">',
    }
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not path.name.startswith(f"{machine}-"):
            continue
        if marks.get(path.suffix, "\0") in _begins(path):
            yield path


def _begins(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_MARK)
