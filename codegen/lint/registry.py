"""All rules, and the page that lists them."""

from __future__ import annotations

from codegen.lint import (
    cells,
    effects,
    flow,
    groups,
    guards,
    names,
    reading,
    references,
    texts,
    timing,
    values,
    verification,
)
from codegen.lint.rule import Rule

_TOPICS = (
    *(reading, names, references, flow, groups, cells, guards),
    *(effects, timing, values, texts, verification),
)
RULES: tuple[Rule, ...] = tuple(
    sorted(
        (rule for topic in _TOPICS for rule in topic.RULES),
        key=lambda rule: rule.code,
    )
)


def rules_page() -> str:
    """The page docs/lint-rules.md."""
    lines = [
        "# Lint rules",
        "",
        "What `phasewright lint` looks for. An error stops `phasewright generate`; a warning does not. A code never",
        "changes its meaning. This page is written by `python -m codegen.lint`.",
        "",
        "| code | severity | what | why it matters |",
        "| --- | --- | --- | --- |",
        *(f"| {rule.code} | {rule.severity} | {rule.title} | {rule.why} |" for rule in RULES),
    ]
    return "\n".join(lines) + "\n"
