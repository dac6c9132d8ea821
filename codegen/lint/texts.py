"""Summaries and reasons: what a reader of the diagram or of a refusal is told."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import SECTIONS, Subject
from codegen.model import Path

LONGEST = 1_000


def empty_text(subject: Subject) -> Iterator[Problem]:
    """Summaries and reasons that say nothing."""
    for path, text in _texts(subject):
        if text is not None and not text.strip():
            yield Problem(path, f"`{path[-1]}` is empty", "write one sentence")


def long_text(subject: Subject) -> Iterator[Problem]:
    """Summaries and reasons that nobody would read in a diagram."""
    for path, text in _texts(subject):
        if text is not None and len(text) > LONGEST:
            what = f"`{path[-1]}` has {len(text):,} characters, more than {LONGEST:,}"
            yield Problem(path, what, "write one sentence, and what else there is to say in a page of its own")


def _texts(subject: Subject) -> Iterator[tuple[Path, str | None]]:
    spec = subject.spec
    yield ("summary",), spec.summary
    for section in SECTIONS.values():
        if section != "policies":
            for name, declared in getattr(spec, section).items():
                yield (section, name, "summary"), declared.summary
    for name, phase in spec.phases.items():
        yield ("phases", name, "waits_for"), phase.waits_for
    for written in subject.cells:
        if written.cell.kind in ("ignore", "reject"):
            yield (*written.path, written.cell.kind), written.cell.reason
        for index, branch in enumerate(written.cell.branches):
            yield (*written.path, *written.cell.branch_path(index), "ignore"), branch.ignored


RULES = (
    Rule(
        "PW701",
        "empty summary or reason",
        "It is what diagrams, the audit and refusals show; without it nobody knows why.",
        empty_text,
        local=True,
    ),
    Rule(
        "PW702",
        "summary or reason of more than 1,000 characters",
        "It stands in every diagram and table that shows what it is about, and would fill them.",
        long_text,
        local=True,
    ),
)
