"""What a verification found, as text for a terminal."""

from __future__ import annotations

import textwrap

from codegen.findings import printable
from codegen.verify.paths import Coverage
from codegen.verify.result import Broken, TraceStep, Verified

_WIDTH = 118


def render_verified(verified: Verified) -> str:
    """One machine: a line when it holds, a story for each claim that does not."""
    seen = f"{verified.states:,} states in {verified.seconds:.1f} s"
    if verified.holds:
        head = f"{verified.machine}: holds. {len(verified.claims)} claims, {seen}, all there are within the bound."
    elif verified.broken:
        further = "" if verified.complete else " The search ended there; correct this first."
        head = f"{verified.machine}: {len(verified.broken)} of {len(verified.claims)} claims broken, {seen}.{further}"
    else:
        head = f"{verified.machine}: not decided. {seen}, and there are more; nothing was broken until there."
    parts = [head, _folded(f"Bound: {verified.bound}", "  ")]
    if verified.coverage is not None:
        parts.append(_covered(verified.coverage))
    return printable_lines("\n\n".join(["\n".join(parts), *(_story(one) for one in verified.broken)]))


def _covered(coverage: Coverage) -> str:
    lines = [_folded(f"Paths: {coverage}", "  ")]
    if coverage.missing:
        lines.append("  No path shows these, so nothing was written; what can never happen should not be in the spec:")
        lines += [f"    {one.file}:{one.line}: {one.name}" for one in coverage.missing]
    return "\n".join(lines)


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _story(broken: Broken) -> str:
    lines = [_folded(f"{broken.file}:{broken.line}: {broken.name}", ""), _folded(f"loss: {broken.loss}", "  ")]
    for number, step in enumerate(broken.steps, start=1):
        lines += _step(number, step)
    if broken.ending:
        lines.append(_folded(broken.ending, "  "))
    if broken.drawing:
        # Not folded: they are there to be copied.
        lines += [f"  drawing: {broken.drawing}", f"  replay: {broken.replay}"]
    return "\n".join(lines)


def _step(number: int, step: TraceStep) -> list[str]:
    lines = [_folded(f"{number:>3}. [{step.actor}] {step.words}", "", "       ")]
    rows = ", ".join(str(row) for row in step.rows)
    if step.phase_before != step.phase_after:
        lines.append(_folded(f"{step.phase_before} -> {step.phase_after}{'; ' if rows else ''}{rows}", "       "))
    elif rows or step.became:
        told = "; ".join(part for part in (step.became, rows) if part)
        lines.append(_folded(f"stays in {step.phase_after}; {told}", "       "))
    if step.orders:
        lines.append(_folded(step.orders, "       "))
    return lines


def _folded(text: str, indent: str, further: str | None = None) -> str:
    inner = indent if further is None else further
    return textwrap.fill(
        text, _WIDTH, initial_indent=indent, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
    )
