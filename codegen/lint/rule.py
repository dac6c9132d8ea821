"""What a lint rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from codegen.findings import Severity
from codegen.lint.subject import Subject
from codegen.model import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One place that breaks a rule. `path` leads there in the YAML; `at_key` points at the key instead of its value;
    `offset` is the place within a text of one line."""

    path: Path
    what: str
    fix: str
    at_key: bool = False
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as data. `code` never changes its meaning; `why` says what would go wrong; `check` finds the problems.

    `check` is None where the loader finds them itself. A `local` rule looks at one place at a time, so it can speak
    even when another part of the file has not the right shape.
    """

    code: str
    title: str
    why: str
    check: Callable[[Subject], Iterable[Problem]] | None
    severity: Severity = Severity.ERROR
    local: bool = False
