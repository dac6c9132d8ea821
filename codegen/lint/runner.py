"""All rules over one file."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.document import Trouble
from codegen.findings import Finding, in_order
from codegen.lint.reading import BY_KIND
from codegen.lint.registry import RULES
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.loading import Loaded
from codegen.model import Position, Spec


def findings(loaded: Loaded) -> list[Finding]:
    """Everything there is to say about a file, in the order of its lines, each place once per rule."""
    found = [trouble_finding(loaded, trouble) for trouble in loaded.troubles]
    if loaded.spec is not None:
        found += _rule_findings(loaded, loaded.spec)
    return in_order({(f.code, f.line, f.column, f.fix): f for f in reversed(found)}.values())


def trouble_finding(loaded: Loaded, trouble: Trouble) -> Finding:
    """What the loader found, as a finding."""
    return _finding(loaded, BY_KIND[trouble.kind], trouble.position, trouble.what, trouble.fix)


def _rule_findings(loaded: Loaded, spec: Spec) -> Iterator[Finding]:
    subject = Subject(spec)
    for rule in RULES:
        if rule.check is not None:
            for problem in rule.check(subject):
                yield _finding(loaded, rule, _position(spec, problem), problem.what, problem.fix)


def _position(spec: Spec, problem: Problem) -> Position:
    return spec.source.key(problem.path) if problem.at_key else spec.source.value(problem.path)


def _finding(loaded: Loaded, rule: Rule, position: Position, what: str, fix: str) -> Finding:
    return Finding(
        file=str(loaded.path),
        line=position.line,
        column=position.column,
        code=rule.code,
        severity=rule.severity,
        what=what,
        why=rule.why,
        fix=fix,
        source_line=loaded.line(position.line),
    )
