"""A score as text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from codegen.findings import printable
from codegen.mutation.mutants import Mutant
from codegen.mutation.score import Score, Tally

_WIDTH = 79
_COLUMNS = ("made", "lint", "verify", "paths", "survived")


def render_score(score: Score) -> str:
    """The table, the score, and everything that nobody noticed."""
    return "\n".join(printable(line) for line in _lines(score))


def render_page(score: Score) -> str:
    """The same as a page, without what differs from one run to the next."""
    return "\n".join(
        [
            f"# Mutation score of spec/{score.machine}.yaml",
            "",
            f"Written by `phasewright mutate {score.machine} --report`; run it again rather than edit this.",
            "",
            "```text",
            render_score(score),
            "```",
            "",
        ]
    )


def _lines(score: Score) -> Iterator[str]:
    total, dangerous = score.tally(), score.dangerous()
    yield f"{score.machine:<28}" + "".join(f"{name:>10}" for name in _COLUMNS)
    for name, tally in score.by_operator().items():
        yield _row(name, tally)
    yield _row("all", total)
    yield ""
    asked = len(score.judged.mutants)
    if len(score.reached) < asked:
        yield f"Stopped: {len(score.reached):,} of {asked:,} mutants were judged; the same command goes on."
    if asked < len(score.known):
        yield f"A sample: {asked:,} of {len(score.known):,} mutants."
    yield from _score("Caught", total)
    if dangerous.made:
        yield from _score("Dangerous ones", dangerous)
        yield from _folded(
            f"Of {dangerous.made:,} dangerous ones lint and verify notice {dangerous.lint + dangerous.verify:,} and "
            f"the paths {dangerous.paths:,}, of which {dangerous.unprovoked:,} concern rows that no consistent "
            f"exchange provokes; {dangerous.survived:,} survive: {dangerous.equivalent:,} equivalent, "
            f"{dangerous.harmless:,} harmless.",
            "",
        )
    yield from _unnoticed(score)
    for mutant in score.unexplained:
        yield from _folded(f"{mutant.position}: {mutant.words}: nobody notices it, and there is no reason why.", "")
        yield f"    key: {mutant.key}"
    for text in score.outdated:
        yield from _folded(f"a reason that is out of date: {text}", "")


def _row(name: str, tally: Tally) -> str:
    return f"{name:<28}" + "".join(f"{getattr(tally, column):>10,}" for column in _COLUMNS)


def _score(what: str, tally: Tally) -> Iterator[str]:
    yield from _folded(
        f"{what}: {tally.caught:.1%} of {tally.made - tally.equivalent:,} "
        f"({tally.equivalent:,} equivalent ones left aside); before any code runs: {tally.before:.1%}"
        + (f", and {tally.provoked:.1%} of what a consistent exchange can provoke" if tally.unprovoked else ""),
        "",
    )


def _unnoticed(score: Score) -> Iterator[str]:
    """Grouped by their reason, gaps first."""
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in score.unnoticed:
        reason = score.reasons.get(mutant.key)
        if reason is not None:
            groups.setdefault((reason.kind, reason.why), []).append(mutant)
    for (kind, why), mutants in sorted(groups.items(), key=lambda one: one[0][0] != "gap"):
        yield ""
        yield from _folded(f"{kind}: {why}", "")
        for mutant in mutants:
            yield from _folded(f"{mutant.position}: {mutant.words}", "  ")


def _folded(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
