"""Names that cannot become the Python names they have to become."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.model import Path
from codegen.python_names import event_class, request_class

# Words that the generated code itself uses in the scope in which the name would stand.
_IN_CLASSES = frozenset({"int", "str", "bool", "list", "msgspec"})
_IN_PROTOCOLS = frozenset({"int", "str", "bool", "list", "events", "requests"})
_IN_ENUMS = frozenset(dir(str)) | {"name", "value", "mro"}
_CLASSES = frozenset(
    {
        *("Phase", "FSMEvent", "Effect", "StateData", "Config", "Payload", "Guards", "Actions", "EffectHandlers"),
        *("KNOBS", "TABLE", "DEFINITION", "Decimal", "ClassVar", "Knob", "None", "True", "False"),
    }
)
_AMBIGUOUS = frozenset({"l", "I", "O"})


def python_words(subject: Subject) -> Iterator[Problem]:
    """Names that are words of Python or of the generated code."""
    machine = subject.spec.machine
    if keyword.iskeyword(machine) or keyword.issoftkeyword(machine):
        yield _taken(("machine",), machine, "is a word of Python itself", at_key=False)
    for path, taken in _lower_names(subject):
        name = str(path[-1])
        if keyword.iskeyword(name) or keyword.issoftkeyword(name):
            yield _taken(path, name, "is a word of Python itself")
        elif name in taken:
            yield _taken(path, name, "is a name that the generated code uses")
        elif name in _AMBIGUOUS:
            yield _taken(path, name, "is easily taken for a digit")
    for section in ("phases", "events"):
        for name in getattr(subject.spec, section):
            if name in _AMBIGUOUS:
                yield _taken((section, name), name, "is easily taken for a digit")


def _lower_names(subject: Subject) -> Iterator[tuple[Path, frozenset[str]]]:
    spec = subject.spec
    for section, taken in (
        ("config", _IN_CLASSES),
        ("data", _IN_CLASSES),
        ("guards", _IN_PROTOCOLS),
        ("actions", _IN_PROTOCOLS),
        ("effects", _IN_PROTOCOLS | _IN_ENUMS),
        ("policies", frozenset()),
        ("groups", frozenset()),
    ):
        for name in getattr(spec, section):
            yield (section, name), taken
    for name, declared in spec.types.items():
        for field in declared.fields:
            yield ("types", name, "fields", field), _IN_CLASSES
    for name, event in spec.events.items():
        for field in event.payload:
            yield ("events", name, "payload", field), _IN_CLASSES | {"event"}


def _taken(path: Path, name: str, what: str, at_key: bool = True) -> Problem:
    return Problem(path, f"`{name}` {what}", f"choose another name, such as `{name}_1`", at_key)


def one_python_name(subject: Subject) -> Iterator[Problem]:
    """Different names that become the same class or method."""
    spec = subject.spec
    seen: dict[str, str] = {}
    declared = [
        *((("types", name), name, f"the type {name}") for name in spec.types),
        *((("events", name), event_class(name), f"the event {name}") for name in spec.events),
        *((("effects", name), request_class(name), f"the request of {name}") for name in spec.effects),
    ]
    for path, python, description in declared:
        other = seen.setdefault(python, description)
        if python in _CLASSES:
            clash = "a name that the generated code needs itself"
        elif other != description:
            clash = f"and so does {other}"
        else:
            continue
        yield Problem(
            path,
            f"{description} becomes the Python class `{python}`, {clash}",
            "choose another name; underscores and capitals do not keep classes apart",
            at_key=True,
        )
    for name, effect in spec.effects.items():
        if effect.effect_class == "at_most_once" and f"recover_{name}" in spec.effects:
            yield Problem(
                ("effects", f"recover_{name}"),
                f"the effect `recover_{name}` has the name of the method that finds out what became of `{name}`",
                f"rename it; `recover_{name}` is generated because `{name}` is at_most_once",
                at_key=True,
            )


def shared_by_phase_and_event(subject: Subject) -> Iterator[Problem]:
    """A phase and an event of the same name."""
    for name in subject.spec.phases:
        if name in subject.spec.events:
            yield Problem(
                ("phases", name),
                f"`{name}` is a phase and an event",
                f"name the phase after a state and the event after something that happens, such as `{name}_ENTERED`",
                at_key=True,
            )


RULES = (
    Rule(
        "PW102",
        "name that Python or the generated code uses",
        "The generated module would not compile, or the name would hide what the module needs.",
        python_words,
        local=True,
    ),
    Rule(
        "PW103",
        "names that become one Python name",
        "One class would overwrite the other, and events would be mistaken for each other.",
        one_python_name,
        local=True,
    ),
    Rule(
        "PW104",
        "name shared by a phase and an event",
        "In diagrams, audit rows and logs nobody could tell the state from the happening.",
        shared_by_phase_and_event,
        local=True,
    ),
)
