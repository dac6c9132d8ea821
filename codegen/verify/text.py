"""What a verification found, as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from codegen.findings import printable
from codegen.verify.paths import Coverage
from codegen.verify.result import Broken, TraceStep, Verified

WIDTH = 118
"""As wide as text gets; a narrower terminal makes it narrower."""


def render_verified(verified: Verified, width: int = WIDTH) -> str:
    """One machine: a line when it holds, a story for each claim that does not."""
    seen = f"{verified.states:,} states in {verified.seconds:.1f} s"
    if verified.holds:
        head = f"{verified.machine}: holds. {len(verified.claims)} claims, {seen}, all there are within the bound."
    elif verified.broken:
        further = "" if verified.complete else " The search ended there; correct this first."
        head = f"{verified.machine}: {len(verified.broken)} of {len(verified.claims)} claims broken, {seen}.{further}"
    else:
        head = f"{verified.machine}: not decided. {seen}, and there are more; nothing was broken until there."
    lines = [_Line(head), _Line(f"Bound: {verified.bound}", "  ", "  ")]
    if verified.coverage is not None:
        lines += _covered(verified.coverage)
    for broken in verified.broken:
        lines += [_Line(""), *_story(broken)]
    return "\n".join(line.folded(width) for line in lines)


class _Line(NamedTuple):
    text: str
    indent: str = ""
    further: str = ""
    """The indent of what is folded."""
    is_copied: bool = False
    """Whether it is there to be copied, and so is never folded."""

    def folded(self, width: int) -> str:
        text = printable(self.text)
        if self.is_copied:
            return self.indent + text
        return textwrap.fill(
            text,
            min(width, WIDTH),
            initial_indent=self.indent,
            subsequent_indent=self.further,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _covered(coverage: Coverage) -> list[_Line]:
    lines = [_Line(f"Paths: {coverage}", "  ", "  ")]
    if coverage.missing:
        missing = "No path shows these, so nothing was written; what can never happen should not be in the spec:"
        lines.append(_Line(missing, "  ", "  "))
        lines += [_Line(f"{one.file}:{one.line}: {one.name}", "    ", "    ") for one in coverage.missing]
    return lines


def _story(broken: Broken) -> list[_Line]:
    lines = [_Line(f"{broken.file}:{broken.line}: {broken.name}"), _Line(f"loss: {broken.loss}", "  ", "  ")]
    for number, step in enumerate(broken.steps, start=1):
        lines += _step(number, step)
    if broken.ending:
        lines.append(_Line(broken.ending, "  ", "  "))
    if broken.drawing:
        lines += [_Line(f"drawing: {broken.drawing}", "  ", is_copied=True)]
        lines += [_Line(f"replay: {broken.replay}", "  ", is_copied=True)]
    return lines


def _step(number: int, step: TraceStep) -> list[_Line]:
    told = [f"{number:>3}. [{step.actor}] {step.words}"]
    rows = ", ".join(str(row) for row in step.rows)
    if step.phase_before != step.phase_after:
        told.append("; ".join(part for part in (f"{step.phase_before} -> {step.phase_after}", rows) if part))
    elif rows or step.became:
        told.append("; ".join(part for part in (f"stays in {step.phase_after}", step.became, rows) if part))
    if step.orders:
        told.append(step.orders)
    inner = " " * 7
    return [_Line(told[0], "", inner), *(_Line(text, inner, inner) for text in told[1:])]
