"""What is wrong with a data file, said once and completely."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.errors import PhasewrightError

SHOWN = 3


class Finding(msgspec.Struct, frozen=True):
    """One kind of defect in one place. `where` names the file and, when known, the lines."""

    where: str
    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n  Why it matters: {self.why}\n  What to do: {self.fix}"


class DataError(PhasewrightError):
    """Market data that cannot be traded on. The text lists every finding: where, what, why it matters, what to do."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, findings)))


def at_lines(place: str, unit: str, lines: Sequence[int]) -> str:
    """`place` with the first few of `lines` and how many there are; `unit` is "line" or "row"."""
    shown = ", ".join(map(str, lines[:SHOWN]))
    if len(lines) > SHOWN:
        return f"{place}, {unit}s {shown}, ... ({len(lines):,} in all)"
    return f"{place}, {unit}{'s' if len(lines) > 1 else ''} {shown}"
