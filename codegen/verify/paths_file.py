"""The paths of a machine as a generated file: one step per line, and what is empty left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from codegen.digest import digest, verification_digest
from codegen.model import Machine
from codegen.verify.paths import Coverage
from codegen.verify.trace import FORMAT, Trace

NAME = "paths.json"
_CONTENTS = re.compile(rb'^ "contents": "(\w+)",\n', re.MULTILINE)


def paths_file(machine: Machine, venue: Machine | None, coverage: Coverage) -> str:
    """The text of the file."""
    head = {
        "about": f"Generated from {machine.spec.source.name}; do not edit. Write it anew: make verify",
        "trace": FORMAT,
        "machine": machine.spec.machine,
        "digest": digest(machine),
        "verified": verification_digest(machine, venue),
        "coverage": str(coverage),
    }
    lines = [f" {_json(key)}: {_json(value)}," for key, value in head.items()]
    paths = ",\n".join("\n".join(_path(number, path)) for number, path in enumerate(coverage.paths, start=1))
    return _sealed("\n".join(["{", *lines, ' "paths": [', paths, " ]", "}", ""]))


def stamp(machine: Machine, venue: Machine | None) -> str:
    """What the beginning of the file says as long as it is of these specs."""
    return f'"verified": {_json(verification_digest(machine, venue))}'


def is_whole(content: bytes) -> bool:
    """Whether the file is as it was written: nothing in it was changed since, and nothing is missing."""
    said = _CONTENTS.search(content)
    return said is not None and said[1].decode() == _sha256(content[: said.start()] + content[said.end() :])


def _sealed(text: str) -> str:
    """The text, and behind the stamp what everything else in it comes to."""
    start, verified, rest = re.split(r'^( "verified": .*\n)', text, maxsplit=1, flags=re.MULTILINE)
    return f'{start}{verified} "contents": {_json(_sha256(text.encode()))},\n{rest}'


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _path(number: int, path: Trace) -> Iterator[str]:
    head = {"path": number, "with_exchange": path.with_exchange, "covers": list(path.covers)}
    yield f'  {_json(head)[:-1]}, "steps": ['
    last = len(path.steps) - 1
    for place, step in enumerate(path.steps):
        yield f"   {_json(short(step))}{',' if place < last else ''}"
    yield "  ]}"


def short(step: dict[str, Any]) -> dict[str, Any]:
    """A step without what the checker only keeps for itself, and without what is empty."""
    after = step["after"]
    short = {
        **step,
        "takes": [_without_empty(_asked(take)) for take in step["takes"]],
        "after": _without_empty({name: after[name] for name in ("phase", "timer", "deferred")}),
    }
    return _without_empty(short)


def _asked(take: dict[str, Any]) -> dict[str, Any]:
    return {**take, "guards": [one for one in take["guards"] if one["answers"]]}


def _without_empty(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if value}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
