"""What the generator has to say about a spec: a stable code, a place, what is wrong, why it matters, what to write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_SHOWN_WIDTH = 100


class Severity(StrEnum):
    """An error stops the generator; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a spec. `line` and `column` count from 1; `source_line` is the line itself, for display."""

    file: str
    line: int
    column: int
    code: str
    severity: Severity
    what: str
    why: str
    fix: str
    source_line: str = ""

    def to_dict(self) -> dict[str, str | int]:
        """The finding as plain data for a script."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "severity": self.severity.value,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        }

    def headline(self) -> str:
        """The first line of the text form: place, severity, code and what is wrong."""
        return printable(f"{self.file}:{self.line}:{self.column}: {self.severity} {self.code}: {self.what}")

    def details(self) -> str:
        """The lines below the headline: the source with a caret, why, and the fix."""
        lines = []
        if self.source_line.strip():
            number = str(self.line)
            start = max(0, self.column - _SHOWN_WIDTH // 2) if len(self.source_line) > _SHOWN_WIDTH else 0
            shown = printable(self.source_line[start : start + _SHOWN_WIDTH], width_preserving=True)
            if start:
                shown = f"…{shown[1:]}"
            if start + _SHOWN_WIDTH < len(self.source_line):
                shown = f"{shown[:-1]}…"
            lines += [
                f"  {number} | {shown}".rstrip(),
                f"  {' ' * len(number)} | {' ' * (self.column - 1 - start)}^",
            ]
        lines += [f"  why: {printable(self.why)}", f"  fix: {printable(self.fix)}"]
        return "\n".join(lines)


def printable(text: str, *, width_preserving: bool = False) -> str:
    """`text` without anything that could move a terminal's cursor: control characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else "?" if width_preserving and c != "\t" else " " if c == "\t" else ascii(c)[1:-1]
        for c in text
    )


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings stops the generator."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by file and position, each once."""
    return sorted(set(findings), key=lambda f: (f.file, f.line, f.column, f.code, f.what))


def render_findings(findings: Iterable[Finding]) -> str:
    """All findings as plain text, a blank line between two; empty for none."""
    return "\n\n".join(f"{finding.headline()}\n{finding.details()}" for finding in findings)
