"""The guards of one row: does exactly one branch hold, whatever they answer?

Guards are taken for independent questions. A branch holds when all its guards answer as it wants; with n guards in a
row there are 2^n ways they can answer, which are gone through for rows of up to `MAX_GUARDS` guards. In larger rows
only branches with the same or fewer conditions are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from codegen.findings import Severity
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject, WrittenCell
from codegen.model import Branch, Path

MAX_GUARDS = 10

_Wanted = dict[str, bool]
_Answers = dict[str, bool]


def contradictory(subject: Subject) -> Iterator[Problem]:
    """Branches that want a guard to answer yes and no, or that name it twice."""
    for written in subject.cells:
        for index, branch in enumerate(written.cell.branches):
            seen: _Wanted = {}
            for number, (guard, wanted) in enumerate(branch.guards):
                if guard in seen:
                    same = seen[guard] is wanted
                    yield Problem(
                        (*_path(written, index), "if", number),
                        f"`{guard}` is asked twice" if same else f"`{guard}` would have to hold and not to hold",
                        "remove one of the two",
                    )
                seen[guard] = wanted


def never_chosen(subject: Subject) -> Iterator[Problem]:
    """Branches that stand after others which together always hold when they do."""
    for written in subject.cells:
        branches = written.cell.branches
        for index in _shadowed(branches):
            if _contradicts_itself(branches[index]):
                continue
            unguarded = next((number for number in range(index) if not branches[number].guards), None)
            cause = (
                f"branch {unguarded + 1} has no `if`"
                if unguarded is not None
                else "the branches before it hold whenever it does"
            )
            yield Problem(
                _path(written, index),
                f"branch {index + 1} of {written.event} can never be chosen: {cause}",
                "put it before them, change its `if`, or remove it",
            )
        if written.cell.falls_back and branches and _covers(branches):
            yield Problem(
                _path(written, len(branches)),
                f"`otherwise` can never be chosen for {written.event}: the branches before it always hold",
                "remove it",
            )


def overlapping(subject: Subject) -> Iterator[Problem]:
    """Branches of a plain list that can hold together."""
    for written in subject.cells:
        if written.cell.form != "list":
            continue
        branches = written.cell.branches
        wanted = [dict(branch.guards) for branch in branches]
        shadowed = set(_shadowed(branches))
        for index in range(1, len(branches)):
            if not wanted[index] or index in shadowed:
                continue
            for earlier in range(index):
                if wanted[earlier] and not _exclude(wanted[earlier], wanted[index]):
                    yield Problem(
                        _path(written, index),
                        f"branches {earlier + 1} and {index + 1} of {written.event} can both hold",
                        f"add `{_opposite(wanted[earlier], wanted[index])}` to the `if` of branch {index + 1}, or, "
                        "if their order is meant to decide, write {first_of: [...]}",
                    )
                    break


def missing_else(subject: Subject) -> Iterator[Problem]:
    """Rows whose guards can all fail."""
    for written in subject.cells:
        branches = written.cell.branches
        if not branches or written.cell.falls_back or any(not branch.guards for branch in branches):
            continue
        failing = _failing_answers(branches)
        if failing is not None:
            answers = " and ".join(f"{guard} is {'true' if answer else 'false'}" for guard, answer in failing.items())
            yield Problem(
                written.path,
                f"nothing is decided for {written.event} when {answers}",
                "end with a branch without `if`, such as `{ignore: why}`, or with the word `otherwise`",
                at_key=True,
            )


def needless_order(subject: Subject) -> Iterator[Problem]:
    """`first_of` around branches that exclude each other anyway."""
    for written in subject.cells:
        if written.cell.form != "first_of":
            continue
        guarded = [dict(branch.guards) for branch in written.cell.branches if branch.guards]
        overlap = any(
            not _exclude(guarded[earlier], guarded[later]) for later in range(len(guarded)) for earlier in range(later)
        )
        if not overlap:
            yield Problem(
                (*written.path, "first_of"),
                f"no two branches of {written.event} can hold together",
                "write a plain list; `first_of` tells a reader that the order decides",
                at_key=True,
            )


def _path(written: WrittenCell, index: int) -> Path:
    return (*written.path, *written.cell.branch_path(index))


def _exclude(one: _Wanted, other: _Wanted) -> bool:
    return any(guard in other and other[guard] is not wanted for guard, wanted in one.items())


def _contradicts_itself(branch: Branch) -> bool:
    return len(set(branch.guards)) != len({guard for guard, _ in branch.guards})


def _opposite(earlier: _Wanted, later: _Wanted) -> str:
    """A condition which keeps the later branch from holding together with the earlier one."""
    guard, wanted = next((guard, wanted) for guard, wanted in earlier.items() if guard not in later)
    return f"not {guard}" if wanted else guard


def _guards(branches: Sequence[Branch]) -> list[str]:
    return list(dict.fromkeys(guard for branch in branches for guard, _ in branch.guards))


def _answers(guards: Sequence[str]) -> Iterator[_Answers]:
    for values in product((True, False), repeat=len(guards)):
        yield dict(zip(guards, values, strict=True))


def _holds(branch: Branch, answers: _Answers) -> bool:
    return all(answers[guard] is wanted for guard, wanted in branch.guards)


def _shadowed(branches: Sequence[Branch]) -> list[int]:
    """The branches that no combination of answers chooses."""
    if len(branches) < 2:
        return []
    guards = _guards(branches)
    if len(guards) > MAX_GUARDS:
        sets = [set(branch.guards) for branch in branches]
        return [i for i in range(1, len(sets)) if any(sets[j] <= sets[i] for j in range(i))]
    chosen = set()
    for answers in _answers(guards):
        first = next((index for index, branch in enumerate(branches) if _holds(branch, answers)), None)
        chosen.add(first)
    return [index for index in range(len(branches)) if index not in chosen]


def _failing_answers(branches: Sequence[Branch]) -> _Answers | None:
    """Answers under which no branch holds; None when there are none."""
    guards = _guards(branches)
    if len(guards) > MAX_GUARDS:
        return dict.fromkeys(guards, False)
    return next(
        (answers for answers in _answers(guards) if not any(_holds(branch, answers) for branch in branches)), None
    )


def _covers(branches: Sequence[Branch]) -> bool:
    if any(not branch.guards for branch in branches):
        return True
    return len(_guards(branches)) <= MAX_GUARDS and _failing_answers(branches) is None


RULES = (
    Rule("PW311", "guard asked twice", "It is a slip, and the branch may never hold.", contradictory, local=True),
    Rule(
        "PW312",
        "branch that can never be chosen",
        "What it promises never happens; most often the order is wrong.",
        never_chosen,
        local=True,
    ),
    Rule(
        "PW313",
        "branches that overlap",
        "Which one wins would depend on their order, and nothing says that this was meant.",
        overlapping,
        local=True,
    ),
    Rule(
        "PW314",
        "missing else",
        "When all guards fail the event has no meaning, and that happens at run time.",
        missing_else,
        local=True,
    ),
    Rule(
        "PW315",
        "needless first_of",
        "It makes a reader look for an overlap that is not there.",
        needless_order,
        Severity.WARNING,
        local=True,
    ),
)
