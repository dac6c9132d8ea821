"""What was found before, so that a run that was stopped goes on, and one after a change repeats what it must."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path as FilePath

from codegen.mutation.judge import Catcher
from codegen.mutation.mutants import Mutant, sha256

_CODEGEN = FilePath(__file__).parents[1]
_LINT = ("lint/*.py", "flatten.py", "shape.py", "schema.json")
_VERIFY = (
    *(
        f"verify/{name}.py"
        for name in ("baseline", "check", "conditions", "explorer", "liveness", "machine", "orders", "world")
    ),
    "expressions.py",
    "flatten.py",
    "scope.py",
)


class Cache:
    """Args:
    path: a file of lines, each one answer; None: nothing is kept.
    lint, verify, paths: what the answers of each depend on besides the mutant.
    """

    def __init__(self, path: FilePath | None, lint: str, verify: str, paths: str) -> None:
        self._path = path
        self._stamps: dict[Catcher, str] = {
            "lint": sha256([_code(_LINT), lint]),
            "verify": sha256([_code(_VERIFY), verify]),
            "bound": sha256([_code(_VERIFY), verify]),
            "paths": paths,
        }
        self._known: dict[str, str | None] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key, answer = json.loads(line)
                except ValueError:
                    continue  # The last line of a run that was killed.
                self._known[key] = answer

    def known(self, mutant: Mutant) -> dict[Catcher, str | None]:
        """What was answered about the mutant."""
        keys = {catcher: self._key(mutant, catcher) for catcher in self._stamps}
        return {catcher: self._known[key] for catcher, key in keys.items() if key in self._known}

    def keep(self, mutant: Mutant, said: Iterable[tuple[Catcher, str | None]]) -> None:
        """Write down what is new."""
        new = {self._key(mutant, catcher): answer for catcher, answer in said}
        lines = [json.dumps([key, answer]) for key, answer in new.items() if key not in self._known]
        self._known |= new
        if self._path is not None and lines:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")

    def _key(self, mutant: Mutant, catcher: Catcher) -> str:
        return sha256([catcher, mutant.meaning, self._stamps[catcher]])[:32]


def _code(patterns: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(_CODEGEN.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
