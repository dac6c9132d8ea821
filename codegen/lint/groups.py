"""Groups: each phase has one place in them, and their history can be told."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.findings import Severity
from codegen.lint.flow import reachable_from
from codegen.lint.graph import cycles
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.model import Path


def cyclic_group(subject: Subject) -> Iterator[Problem]:
    """Groups that hold themselves."""
    groups = subject.spec.groups
    held = {name: [inner for inner in group.groups if inner in groups] for name, group in groups.items()}
    for cycle in cycles(held):
        last, first = cycle[-1], cycle[0]
        yield Problem(
            ("groups", last, "groups", groups[last].groups.index(first)),
            f"the group {first} holds itself: {' > '.join([*cycle, first])}",
            f"remove `{first}` here",
        )


def two_places(subject: Subject) -> Iterator[Problem]:
    """A phase or a group that stands directly in two groups."""
    for kind, key in (("phase", "phases"), ("group", "groups")):
        first: dict[str, str] = {}
        for group_name, group in subject.spec.groups.items():
            for number, member in enumerate(getattr(group, key)):
                other = first.setdefault(member, group_name)
                path: Path = ("groups", group_name, key, number)
                if other != group_name:
                    what = f"the {kind} {member} is in the groups {other} and {group_name}"
                    yield Problem(path, what, f"keep it in one of them; {other} may hold {group_name}")
                elif getattr(group, key).index(member) != number:
                    yield Problem(path, f"the {kind} {member} is listed twice in {group_name}", "remove one of the two")


def empty_group(subject: Subject) -> Iterator[Problem]:
    """Groups without phases."""
    for name, group in subject.spec.groups.items():
        if not group.phases and not group.groups:
            yield Problem(
                ("groups", name), f"the group {name} holds no phase", "list its phases, or remove it", at_key=True
            )


def history_not_kept(subject: Subject) -> Iterator[Problem]:
    """Rows back into a group that does not remember where it was left."""
    groups = subject.spec.groups
    for path, group, _ in _returns(subject):
        if group in groups and not groups[group].history:
            yield Problem(
                path,
                f"the group {group} does not remember where it was left",
                f"write `history: true` in `groups.{group}`, or lead to one of its phases",
            )


def history_not_used(subject: Subject) -> Iterator[Problem]:
    """Groups that remember where they were left, and nobody asks."""
    asked = {group for _, group, _ in _returns(subject)}
    for name, group in subject.spec.groups.items():
        if group.history and name not in asked:
            yield Problem(
                ("groups", name, "history"),
                f"no row leads back to the history of {name}",
                f"write a row with `to: {{history: {name}}}`, or remove `history: true`",
                at_key=True,
            )


def history_never_made(subject: Subject) -> Iterator[Problem]:
    """Rows back into a group, in a phase that an instance can come to without having been in the group."""
    reached: dict[str, set[str]] = {}
    for path, group, phases in _returns(subject):
        if group not in subject.spec.groups:
            continue
        if group not in reached:
            members = frozenset(subject.machine.group_phases[group])
            reached[group] = reachable_from(subject, subject.spec.initial, avoiding=members)
        early = [phase for phase in phases if phase in reached[group]]
        if early:
            yield Problem(
                path,
                f"an instance can come to {early[0]} without having been in {group}, so there is nothing to go back to",
                f"lead from {early[0]} to a phase of {group}, or make sure that it is entered from {group} only",
            )


def _returns(subject: Subject) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Every row back into a group: its path, the group, and the phases where it stands."""
    for written in subject.cells:
        for index, branch in enumerate(written.cell.branches):
            if branch.history is None:
                continue
            if written.owner == "phases":
                phases: tuple[str, ...] = (written.name,)
            elif written.owner == "groups":
                phases = subject.machine.group_phases[written.name]
            else:
                phases = ()
            yield (*written.path, *written.cell.branch_path(index), "to", "history"), branch.history, phases


RULES = (
    Rule(
        "PW221",
        "group that holds itself",
        "Which of its rows wins in a phase could not be decided.",
        cyclic_group,
        local=True,
    ),
    Rule(
        "PW222",
        "phase or group in two groups",
        "Two groups could decide the same event differently, and neither is more specific.",
        two_places,
        local=True,
    ),
    Rule("PW223", "group without phases", "Its rows apply to nothing.", empty_group, local=True),
    Rule(
        "PW224",
        "history of a group that keeps none",
        "There is no telling which phase to go back to.",
        history_not_kept,
    ),
    Rule(
        "PW225",
        "history that nobody asks for",
        "Something is remembered and stored for nothing.",
        history_not_used,
        Severity.WARNING,
    ),
    Rule(
        "PW226",
        "history that may not exist yet",
        "The row fails when the group was never left before.",
        history_never_made,
    ),
)
