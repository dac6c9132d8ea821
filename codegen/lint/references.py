"""Names that are mentioned but not declared, or declared but never mentioned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from codegen.findings import Severity
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import SECTIONS, Kind, Reference, Subject, is_duration
from codegen.wording import article, did_you_mean, listed


def unknown(kind: Kind, subject: Subject) -> Iterator[Problem]:
    """Mentions of a name of `kind` that is not declared."""
    declared = subject.names(kind)
    for reference in subject.references:
        if reference.kind == kind and reference.name not in declared:
            yield Problem(
                reference.path,
                f"unknown {kind} `{reference.name}`",
                _hint(subject, reference)
                + f"declare it under `{SECTIONS[kind]}`, or write one of: "
                + (listed(subject.known(kind)) or "(none is declared)"),
                reference.at_key,
            )


def _hint(subject: Subject, reference: Reference) -> str:
    kind, name = reference.kind, reference.name
    if kind == "knob" and is_duration(name) and reference.path[-1] != "max_attempts":
        return f"give it a name, such as `wait: {{type: duration, default: {name}, summary: ...}}`; "
    for other in SECTIONS:
        if other != kind and name in subject.names(other):
            return f"`{name}` is {article(other)}, not {article(kind)}; "
    meant = subject.similar(kind, name)
    return f"did you mean `{meant}`? " if meant else ""


def unknown_payload_field(subject: Subject) -> Iterator[Problem]:
    """`identity` names a field that the payload has not."""
    for name, event in subject.spec.events.items():
        for number, field in enumerate(event.identity or ()):
            if field not in event.payload:
                fields = listed(list(event.payload)) or "(it has none)"
                yield Problem(
                    ("events", name, "identity", number),
                    f"the payload of {name} has no field `{field}`",
                    f"{did_you_mean(field, event.payload)}write one of: {fields}",
                )


def unused(kind: Kind, subject: Subject) -> Iterator[Problem]:
    """Declared names of `kind` that nothing mentions."""
    used = subject.used[kind]
    for name in subject.names(kind):
        if name not in used:
            yield Problem(
                (SECTIONS[kind], name), f"the {kind} `{name}` is never used", "use it or remove it", at_key=True
            )


def unused_duration(subject: Subject) -> Iterator[Problem]:
    """Duration knobs that no timer, window or policy names. Knobs of other types are for guards and actions."""
    for name, knob in subject.spec.config.items():
        if knob.type == "duration" and name not in subject.used["knob"]:
            yield Problem(
                ("config", name),
                f"the duration `{name}` is used by no timeout, window or policy",
                "name it where it should count, or remove it",
                at_key=True,
            )


def internal_never_raised(subject: Subject) -> Iterator[Problem]:
    """Events with `source: internal` that nothing raises."""
    raised = {
        reference.name
        for reference in subject.references
        if reference.kind == "event" and len(reference.path) > 1 and reference.path[-2] == "raise"
    }
    for name, event in subject.spec.events.items():
        if event.internal and name not in raised:
            yield Problem(
                ("events", name),
                f"the event `{name}` is internal, but nothing raises it",
                f"write `raise: [{name}]` in a row or an entry, or remove `source: internal`",
                at_key=True,
            )


_UNKNOWN_WHY: dict[Kind, str] = {
    "phase": "The row would lead nowhere.",
    "event": "Nothing could ever bring it about, so the row would be dead.",
    "guard": "The row could not be decided.",
    "action": "The change that the row promises would not be made.",
    "effect": "Nothing would be asked of the world.",
    "policy": "Nobody could say when to try again.",
    "knob": "There would be no value to take.",
    "type": "The field would have no type.",
    "datum": "There is no such value to read.",
    "group": "The phases it should hold or go back to are not known.",
}
_KINDS: tuple[Kind, ...] = tuple(SECTIONS)
_UNUSED_KINDS: tuple[Kind, ...] = ("guard", "action", "effect", "policy", "type")
_UNUSED_WHY = "A reader takes it for part of the machine, and its author has to write a handler that never runs."


def _check(rule: Callable[[Kind, Subject], Iterator[Problem]], kind: Kind) -> Callable[[Subject], Iterator[Problem]]:
    return partial(rule, kind)


RULES = (
    *(
        Rule(f"PW{111 + number}", f"unknown {kind}", _UNKNOWN_WHY[kind], _check(unknown, kind), local=True)
        for number, kind in enumerate(_KINDS)
    ),
    Rule(
        "PW121",
        "identity that names no payload field",
        "Two deliveries of one event could not be told from two events.",
        unknown_payload_field,
        local=True,
    ),
    *(
        Rule(f"PW{131 + number}", f"unused {kind}", _UNUSED_WHY, _check(unused, kind), Severity.WARNING)
        for number, kind in enumerate(_UNUSED_KINDS)
    ),
    Rule(
        "PW136",
        "unused duration",
        "Somebody will set it and wonder why nothing changes.",
        unused_duration,
        Severity.WARNING,
    ),
    Rule(
        "PW137",
        "internal event that nothing raises",
        "It can never happen, so its rows are dead.",
        internal_never_raised,
    ),
)
