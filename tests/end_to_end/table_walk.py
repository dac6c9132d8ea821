"""What the table says should come of an event: a second, plain reading of it, to hold the dispatcher against."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from generated.trading import DEFINITION
from runtime.definition import Branch, Defer, Ignore, Reject
from runtime.events import Outcome


class Expected(msgspec.Struct):
    """What should come of one event: the answer, the last phase, what ran in which order, what was asked for."""

    outcome: Outcome
    phase: str
    branches: list[str]
    actions: list[str]
    requests: list[str]


def guards_of(phase: str, event: str) -> list[str]:
    """Every guard that has a say when `event` arrives in `phase`, the events that it raises included."""
    found: dict[str, None] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(phase, event)]
    while todo:
        cell_name = todo.pop()
        if cell_name in seen:
            continue
        seen.add(cell_name)
        cell = DEFINITION.table[cell_name[0]][cell_name[1]]
        if isinstance(cell, tuple):
            for branch in cell:
                found.update((name, None) for name, _ in branch.guards)
                target = branch.to or cell_name[0]
                raises = (*branch.raises, *(DEFINITION.phases[target].entry_raises if branch.to else ()))
                todo += [(target, raised) for raised in raises]
    return list(found)


def expected(phase: str, event: str, answers: Mapping[str, bool]) -> Expected:
    """What the table says when the guards answer so."""
    cell = DEFINITION.table[phase][event]
    if isinstance(cell, Defer | Ignore | Reject):
        outcome = {Defer: Outcome.DEFERRED, Ignore: Outcome.IGNORED, Reject: Outcome.REJECTED}[type(cell)]
        return Expected(outcome, phase, [], [], [])
    branch = chosen(cell, answers)
    if branch.ignored is not None:
        return Expected(Outcome.IGNORED, phase, [branch.id], [], [])
    result = Expected(Outcome.HANDLED, branch.to or phase, [branch.id], [], [])
    leaving, entering = DEFINITION.phases[phase], DEFINITION.phases[result.phase]
    result.actions = [*branch.do]
    result.requests = [*branch.request]
    raises = [*branch.raises]
    if branch.to is not None:
        result.actions = [*leaving.exit_do, *branch.do, *entering.entry_do]
        result.requests += entering.entry_request
        raises += entering.entry_raises
    for raised in raises:
        then = expected(result.phase, raised, answers)
        result.phase = then.phase
        result.branches += then.branches
        result.actions += then.actions
        result.requests += then.requests
    return result


def chosen(cell: tuple[Branch, ...], answers: Mapping[str, bool]) -> Branch:
    """The first row whose guards all answer as it wants."""
    return next(branch for branch in cell if all(answers[name] is wanted for name, wanted in branch.guards))


def sample(kind: Any) -> Any:
    """Some value of this type; nothing is left empty that can be filled."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return sample(next(one for one in inner if one is not type(None)))
    if origin is list:
        return [sample(inner[0])]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: sample(hints[name]) for name in kind.__struct_fields__})
    return {str: "x", int: 1, Decimal: Decimal(1), bool: True}[kind]
