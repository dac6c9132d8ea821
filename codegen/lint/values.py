"""Types, data, the configuration and migrations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codegen.findings import Severity
from codegen.knobs import HOW_TO_WRITE, knob_value
from codegen.lint.graph import cycles
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.python_names import PYTHON_TYPES

_ENV = re.compile(r"[A-Z][A-Z0-9_]{0,79}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


def malformed_type(subject: Subject) -> Iterator[Problem]:
    """Texts that should be types and are not."""
    for path, type_ in subject.typed():
        if type_.problem is not None:
            yield Problem(
                path, f"`{type_.name}` is not a type: {type_.problem}", "write `str`, `optional str` or `[Fill]`"
            )


def required_structure(subject: Subject) -> Iterator[Problem]:
    """Data of a structured type that must always be there."""
    for name, datum in subject.spec.data.items():
        type_ = datum.type
        if type_.name in subject.spec.types and not type_.optional and not type_.is_list:
            yield Problem(
                ("data", name, "type"),
                f"the datum `{name}` is a {type_.name} from the start, and there is none yet",
                f"write `optional {type_.name}`",
            )


def endless_type(subject: Subject) -> Iterator[Problem]:
    """Structures that need themselves to be made."""
    types = subject.spec.types
    needs = {
        name: {
            type_.name: field
            for field, type_ in declared.fields.items()
            if type_.name in types and not type_.optional and not type_.is_list
        }
        for name, declared in types.items()
    }
    for cycle in cycles(needs):
        last, first = cycle[-1], cycle[0]
        field = needs[last][first]
        yield Problem(
            ("types", last, "fields", field),
            f"a {first} needs a {first} to be made, by {last}.{field}",
            f"write `optional {first}` or `[{first}]`",
        )


def wrong_knob_value(subject: Subject) -> Iterator[Problem]:
    """Defaults and limits that are not of their knob's type."""
    for name, knob in subject.spec.config.items():
        for key in ("default", "min", "max"):
            written = getattr(knob, key)
            if written is None:
                continue
            if key != "default" and knob.type in ("bool", "str"):
                yield Problem(("config", name, key), f"a {knob.type} has no {key}", f"remove `{key}`", at_key=True)
                continue
            if knob.type == "duration" and isinstance(written, str):
                continue  # The form of durations has a rule of its own.
            try:
                knob_value(knob.type, written)
            except ValueError:
                shown = str(written).lower() if isinstance(written, bool) else written
                yield Problem(
                    ("config", name, key),
                    f"`{shown}` is not of type {knob.type}",
                    f"write {HOW_TO_WRITE[knob.type]}",
                )


def outside_limits(subject: Subject) -> Iterator[Problem]:
    """Defaults outside their limits, and limits that no value can meet."""
    for name, knob in subject.spec.config.items():
        if knob.type in ("bool", "str"):
            continue
        try:
            default = knob_value(knob.type, knob.default)
            low = None if knob.min is None else knob_value(knob.type, knob.min)
            high = None if knob.max is None else knob_value(knob.type, knob.max)
        except ValueError:
            continue
        assert not isinstance(default, str)
        assert not isinstance(low, str)
        assert not isinstance(high, str)
        if low is not None and high is not None and low > high:
            yield Problem(
                ("config", name, "min"), f"the minimum {knob.min} is above the maximum {knob.max}", "swap them"
            )
        elif low is not None and default < low:
            yield Problem(
                ("config", name, "default"), f"the default {knob.default} is below the minimum {knob.min}", "raise it"
            )
        elif high is not None and default > high:
            yield Problem(
                ("config", name, "default"), f"the default {knob.default} is above the maximum {knob.max}", "lower it"
            )


def bad_environment_name(subject: Subject) -> Iterator[Problem]:
    """Environment variables that no shell could set, or that two knobs share."""
    seen: dict[str, str] = {}
    for name, knob in subject.spec.config.items():
        if knob.env is None:
            continue
        if not _ENV.fullmatch(knob.env):
            yield Problem(
                ("config", name, "env"),
                f"`{knob.env}` is not a name for an environment variable",
                f"write capital letters, digits and underscores, such as {name.upper()}",
            )
        elif (other := seen.setdefault(knob.env, name)) != name:
            yield Problem(
                ("config", name, "env"),
                f"the variable {knob.env} sets `{other}` already",
                f"give `{name}` a variable of its own, such as {name.upper()}",
            )


def migration_that_cannot_apply(subject: Subject) -> Iterator[Problem]:
    """Migrations from what is no digest, or twice from the same one."""
    seen: set[str] = set()
    for number, migration in enumerate(subject.spec.migrations):
        if not _DIGEST.fullmatch(migration.from_digest):
            yield Problem(
                ("migrations", number, "from"),
                f"`{migration.from_digest}` is not the beginning of a digest",
                "write the digest of the older definition, or its first 8 or more characters, in quotes",
            )
        elif migration.from_digest in seen:
            yield Problem(
                ("migrations", number, "from"),
                f"there is a migration from {migration.from_digest} already",
                "join the two",
            )
        seen.add(migration.from_digest)
        for index, datum in enumerate(migration.drop_data):
            if datum in migration.rename_data:
                yield Problem(
                    ("migrations", number, "drop_data", index),
                    f"`{datum}` is renamed and dropped",
                    "remove it from one of the two",
                )


def type_named_like_builtin(subject: Subject) -> Iterator[Problem]:
    """Types written with capitals that are meant as the simple ones."""
    for name in subject.spec.types:
        if name.lower() in PYTHON_TYPES:
            yield Problem(
                ("types", name),
                f"the type `{name}` differs from `{name.lower()}` only by capitals",
                "choose a name that says what it holds",
                at_key=True,
            )


RULES = (
    Rule("PW601", "text that is no type", "The field would have no type.", malformed_type, local=True),
    Rule(
        "PW602",
        "structured datum that must always be there",
        "A new instance starts without events, so nothing could fill it.",
        required_structure,
        local=True,
    ),
    Rule("PW603", "type that needs itself", "No value of it could ever be made.", endless_type, local=True),
    Rule(
        "PW604",
        "knob value of the wrong type",
        "The machine could not be started with it.",
        wrong_knob_value,
        local=True,
    ),
    Rule(
        "PW605",
        "default outside its limits",
        "The machine would refuse its own default.",
        outside_limits,
        local=True,
    ),
    Rule(
        "PW606",
        "bad or shared environment variable",
        "It could not be set, or would set two things at once.",
        bad_environment_name,
        local=True,
    ),
    Rule(
        "PW607",
        "migration that cannot apply",
        "Snapshots of that version would be put into quarantine.",
        migration_that_cannot_apply,
        local=True,
    ),
    Rule(
        "PW608",
        "type that looks like a simple one",
        "A reader will take one for the other.",
        type_named_like_builtin,
        Severity.WARNING,
        local=True,
    ),
)
