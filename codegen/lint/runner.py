"""All rules over one file."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.document import Document, Trouble
from codegen.findings import Finding, in_order
from codegen.lint.meaning import with_meant_names
from codegen.lint.reading import BY_KIND
from codegen.lint.registry import RULES
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.loading import Loaded, load
from codegen.model import Path, Position, Spec
from codegen.scope import venue_file


def findings(loaded: Loaded) -> list[Finding]:
    """Everything there is to say about a file, in the order of its lines, each place once per rule."""
    found = [trouble_finding(loaded, trouble) for trouble in loaded.troubles]
    if loaded.spec is not None and loaded.document is not None:
        found += _rule_findings(loaded, loaded.spec, loaded.document)
    return in_order({(f.code, f.line, f.column, f.fix): f for f in reversed(found)}.values())


def trouble_finding(loaded: Loaded, trouble: Trouble) -> Finding:
    """What the loader found, as a finding."""
    return _finding(loaded, BY_KIND[trouble.kind], trouble.position, trouble.what, trouble.fix)


def _rule_findings(loaded: Loaded, spec: Spec, document: Document) -> Iterator[Finding]:
    as_written = Subject(spec, _venue(loaded, spec))
    stand_ins = loaded.stand_ins
    as_meant = None if stand_ins else with_meant_names(as_written, document)
    touched = _touched(stand_ins)
    for rule in RULES:
        subject = as_written if rule.local else as_meant
        if rule.check is None or subject is None:
            continue
        for problem in rule.check(subject):
            if not touched or not _concerns(problem.path, stand_ins, touched):
                yield _finding(loaded, rule, _position(loaded, spec, problem), problem.what, problem.fix)


def _touched(stand_ins: frozenset[Path]) -> frozenset[Path]:
    """The stand-ins and what holds them, up to the phase, event or effect to which they belong."""
    return frozenset(path[:length] for path in stand_ins for length in range(2, len(path) + 1)) | stand_ins


def _concerns(path: Path, stand_ins: frozenset[Path], touched: frozenset[Path]) -> bool:
    """Whether a stand-in could be the cause of a problem: it lies within the problem's place, or around it."""
    return path in touched or any(path[:length] in stand_ins for length in range(1, len(path)))


def _position(loaded: Loaded, spec: Spec, problem: Problem) -> Position:
    place = spec.source.key(problem.path) if problem.at_key else spec.source.value(problem.path)
    if not problem.offset:
        return place
    quoted = loaded.line(place.line)[place.column - 1 : place.column] in ("'", '"')
    return Position(place.line, place.column + problem.offset + quoted)


def _venue(loaded: Loaded, spec: Spec) -> Spec | None:
    """The venue's machine, from the file beside."""
    path = venue_file(spec, loaded.path)
    found = load(path).spec if path is not None and path.is_file() else None
    return found if found is not None and spec.venue is not None and found.machine == spec.venue.machine else None


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
