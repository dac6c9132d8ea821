"""What is asked of the world, and whether every answer finds somebody at home."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.wording import listed


def no_unknown_outcome(subject: Subject) -> Iterator[Problem]:
    """at_most_once effects without an outcome for not knowing."""
    for name, effect in subject.spec.effects.items():
        if effect.effect_class == "at_most_once" and "unknown" not in effect.outcomes:
            yield Problem(
                ("effects", name, "outcomes"),
                f"the at_most_once effect {name} has no outcome `unknown`",
                "add `unknown:` and an event whose rows find out what happened",
                at_key=True,
            )


def no_window(subject: Subject) -> Iterator[Problem]:
    """at_most_once effects without a window."""
    for name, effect in subject.spec.effects.items():
        if effect.effect_class == "at_most_once" and effect.window is None:
            yield Problem(
                ("effects", name),
                f"the at_most_once effect {name} has no `window`",
                "add `window:` and a duration of the configuration: how long the world may accept an attempt",
                at_key=True,
            )


def outcome_rejected(subject: Subject) -> Iterator[Problem]:
    """Outcomes that a phase in which they are awaited rejects."""
    for name, phases in _awaited(subject).items():
        for outcome, event in subject.spec.effects[name].outcomes.items():
            rejecting = [
                phase
                for phase in phases
                if (cell := subject.machine.cells[phase].get(event)) is not None and cell.kind == "reject"
            ]
            if rejecting:
                yield Problem(
                    ("effects", name, "outcomes", outcome),
                    f"{event} reports an outcome of {name}, and {listed(rejecting)}, where that is awaited, rejects it",
                    f"write a row for {event} in {listed(rejecting)}",
                )


def _awaited(subject: Subject) -> dict[str, dict[str, None]]:
    """For each effect the phases in which an instance is after asking for it."""
    spec = subject.spec
    awaited: dict[str, dict[str, None]] = {name: {} for name in spec.effects}
    for name, phase in spec.phases.items():
        for effect in phase.entry.request:
            if effect in awaited:
                awaited[effect][name] = None
    for phase_name, _, _, branch in subject.machine.rows():
        for effect in branch.request:
            if effect in awaited:
                for target in subject.targets(branch) if branch.leaves else (phase_name,):
                    awaited[effect][target] = None
    return awaited


def internal_from_outside(subject: Subject) -> Iterator[Problem]:
    """Internal events that a timer or an outcome is to bring."""
    bringers = {"timeout": "a timer", "outcomes": "an effect"}
    for reference in subject.references:
        event = subject.spec.events.get(reference.name) if reference.kind == "event" else None
        bringer = bringers.get(str(reference.path[2])) if len(reference.path) > 3 else None
        if event is not None and event.internal and bringer is not None:
            yield Problem(
                reference.path,
                f"{reference.name} is internal, but {bringer} brings it",
                f"remove `source: internal` from `events.{reference.name}`",
            )


def raised_from_outside(subject: Subject) -> Iterator[Problem]:
    """Raised events that are not declared internal."""
    for reference in subject.references:
        if reference.kind != "event" or "raise" not in reference.path[-2:-1]:
            continue
        event = subject.spec.events.get(reference.name)
        if event is not None and not event.internal:
            yield Problem(
                reference.path,
                f"{reference.name} is raised, but not declared internal",
                f"write `source: internal` in `events.{reference.name}`",
            )


def payload_nobody_fills(subject: Subject) -> Iterator[Problem]:
    """Events of timers and raised events that carry something."""
    bringers: dict[str, str] = {}
    for reference in subject.references:
        if reference.kind == "event" and (reference.path[-1] == "raises" or "raise" in reference.path[-2:-1]):
            bringers.setdefault(reference.name, "a timer" if reference.path[-1] == "raises" else "a row")
    for name, event in subject.spec.events.items():
        if name in bringers and event.payload:
            yield Problem(
                ("events", name, "payload"),
                f"{name} is raised by {bringers[name]}, which has nothing to put into its payload",
                "remove the payload; actions find what they need in the data",
                at_key=True,
            )


def argument_twice(subject: Subject) -> Iterator[Problem]:
    """A datum that is sent along twice."""
    for name, effect in subject.spec.effects.items():
        seen = set()
        for number, (datum, _) in enumerate(effect.arguments):
            if datum in seen:
                yield Problem(
                    ("effects", name, "args", number), f"`{datum}` is sent along twice", "remove one of the two"
                )
            seen.add(datum)


RULES = (
    Rule(
        "PW401",
        "at_most_once effect without an unknown outcome",
        "A lost answer would have to be taken for a yes or a no, and either guess can cost money.",
        no_unknown_outcome,
        local=True,
    ),
    Rule(
        "PW402",
        "at_most_once effect without a window",
        "Without a limit to how late an attempt may arrive, nobody can ever prove that it did not happen.",
        no_window,
        local=True,
    ),
    Rule(
        "PW403",
        "outcome that is rejected where it is awaited",
        "The answer to what was asked would be thrown away.",
        outcome_rejected,
    ),
    Rule(
        "PW404",
        "internal event from a timer or an outcome",
        "Internal events come only from `raise`; the runtime refuses them from elsewhere.",
        internal_from_outside,
        local=True,
    ),
    Rule(
        "PW405",
        "raised event that is not internal",
        "Anybody outside could send it, and the machine could not tell.",
        raised_from_outside,
        local=True,
    ),
    Rule(
        "PW406",
        "payload that nobody can fill",
        "A timer and a `raise` bring a bare event; its required fields would have no values.",
        payload_nobody_fills,
        local=True,
    ),
    Rule("PW407", "argument given twice", "A request has each field once.", argument_twice, local=True),
)
