"""Durations, and what is counted in them."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.durations import UNITS, milliseconds
from codegen.knobs import HOW_TO_WRITE
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject, is_duration
from codegen.model import Path
from codegen.wording import listed

LONGEST = 1000 * UNITS["d"]
MOST_ATTEMPTS = 1000


def malformed_duration(subject: Subject) -> Iterator[Problem]:
    """Texts that should be durations and are not."""
    for path, text in _durations(subject):
        try:
            milliseconds(text)
        except ValueError as error:
            yield Problem(path, str(error), f"write {HOW_TO_WRITE['duration']}")


def unreasonable_duration(subject: Subject) -> Iterator[Problem]:
    """Durations that are negative, zero, or longer than anybody would wait."""
    for path, text in _durations(subject):
        if path[-1] in ("min", "max"):
            continue
        try:
            value = milliseconds(text)
        except ValueError:
            continue
        if value <= 0:
            what = "zero" if value == 0 else "negative"
            yield Problem(path, f"the duration `{text}` is {what}", "write a duration of at least 1ms")
        elif value > LONGEST:
            yield Problem(
                path, f"the duration `{text}` is longer than 1000 days", "write a shorter one; mind ms, s, m, h and d"
            )


def not_a_duration_knob(subject: Subject) -> Iterator[Problem]:
    """Knobs of another type where a duration is needed, or a whole number."""
    config = subject.spec.config
    for reference in subject.references:
        if reference.kind != "knob" or reference.name not in config:
            continue
        wanted = "int" if reference.path[-1] == "max_attempts" else "duration"
        found = config[reference.name].type
        if found != wanted:
            fitting = [name for name, knob in config.items() if knob.type == wanted]
            yield Problem(
                reference.path,
                f"the knob `{reference.name}` is of type {found}, and {wanted} is needed",
                f"write one of: {listed(fitting) or f'(there is no knob of type {wanted})'}",
            )


def since_is_no_instant(subject: Subject) -> Iterator[Problem]:
    """`since` that names a datum of another type."""
    data = subject.spec.data
    for name, phase in subject.spec.phases.items():
        since = phase.timeout.since if phase.timeout else None
        type_ = data[since].type if since is not None and since in data else None
        if type_ is not None and type_.problem is None and (type_.name != "instant" or type_.is_list):
            fitting = [datum for datum, declared in data.items() if declared.type.name == "instant"]
            yield Problem(
                ("phases", name, "timeout", "since"),
                f"`{since}` is of type {type_}, not an instant",
                f"write one of: {listed(fitting) or '(no datum is an instant)'}",
            )


def unreasonable_policy(subject: Subject) -> Iterator[Problem]:
    """Retry policies that never try, try without end, or whose pauses do not grow."""
    for name, policy in subject.spec.policies.items():
        path: Path = ("policies", name)
        attempts = policy.max_attempts
        if isinstance(attempts, int) and not 1 <= attempts <= MOST_ATTEMPTS:
            yield Problem(
                (*path, "max_attempts"),
                f"{attempts} attempts are " + ("none" if attempts < 1 else "as good as endless"),
                f"write a number from 1 to {MOST_ATTEMPTS}",
            )
        if not 1 <= policy.factor <= 100:
            yield Problem(
                (*path, "factor"), f"the factor {policy.factor} is out of range", "write a number from 1 to 100"
            )
        try:
            shortest, longest = milliseconds(policy.base_delay), milliseconds(policy.max_delay)
        except ValueError:
            continue
        if 0 < longest < shortest:
            yield Problem(
                (*path, "max_delay"),
                f"the longest pause {policy.max_delay} is shorter than the first, {policy.base_delay}",
                "make `max_delay` at least `base_delay`",
            )


def _durations(subject: Subject) -> Iterator[tuple[Path, str]]:
    """Every duration that is written out, well or badly."""
    for name, knob in subject.spec.config.items():
        if knob.type == "duration":
            for key in ("default", "min", "max"):
                written = getattr(knob, key)
                if isinstance(written, str):
                    yield ("config", name, key), written
    for name, policy in subject.spec.policies.items():
        for key in ("base_delay", "max_delay"):
            written = getattr(policy, key)
            if is_duration(written):
                yield ("policies", name, key), written


RULES = (
    Rule("PW501", "text that is no duration", "Nobody can say how long it is.", malformed_duration, local=True),
    Rule(
        "PW502",
        "duration that is zero, negative or absurd",
        "A timer would fire at once, over and over, or never within anybody's patience.",
        unreasonable_duration,
        local=True,
    ),
    Rule(
        "PW503",
        "knob of another type",
        "The value could not be used for what it is named for.",
        not_a_duration_knob,
        local=True,
    ),
    Rule(
        "PW504",
        "since that is no instant",
        "A timer can be counted only from a point in time.",
        since_is_no_instant,
        local=True,
    ),
    Rule(
        "PW505",
        "unreasonable retry policy",
        "It would never try, or hammer whoever it asks.",
        unreasonable_policy,
        local=True,
    ),
)
