"""What the generated paths of a machine have to show, and which of it a step shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from codegen.flatten import branch_path
from codegen.model import Branch, Machine, Path
from codegen.verify.machine import Part, chosen
from codegen.verify.world import State, Step, Take

KINDS = {
    "row": "rows",
    "cell": "cells without rows",
    "guard": "guard answers",
    "guard-error": "guards that fail",
    "action-error": "actions that fail",
    "taken-later": "deferred events taken later",
    "timeout": "timeouts",
    "stale": "stale timers",
    "crash-before": "crashes before a commit",
    "crash-after": "crashes after one",
    "crash-sent": "crashes with an effect under way",
}
"""What the name of an item begins with, and what such items are called together."""


class Item(NamedTuple):
    """Something to be shown, `kind:...`, and where in the spec it is written. `phase` is where it happens, if there is
    one such place."""

    name: str
    path: Path
    phase: str = ""


def items(machine: Machine) -> list[Item]:
    """Everything that there is to show, in the order of the file. What no answers of the guards lead to is left out: a
    row behind another one with the same condition, the answer of a guard that is not asked any more."""
    return list(dict.fromkeys(_items(machine)))


def _items(machine: Machine) -> Iterator[Item]:
    spec = machine.spec
    guards: dict[str, None] = {}
    actions: dict[str, None] = {}
    for phase, cells in machine.cells.items():
        timeout = spec.phases[phase].timeout
        if timeout is not None:
            yield Item(f"timeout:{phase}", ("phases", phase, "timeout"), phase)
            yield Item(f"stale:{phase}", ("phases", phase, "timeout"), phase)
        for event, cell in cells.items():
            name, place = f"{phase}/{event}", _cell_path(machine, phase, event)
            if cell.kind != "branches":
                yield Item(f"cell:{name}", place, phase)
                if cell.kind == "defer":
                    yield Item(f"taken-later:{name}", place, phase)
                continue
            ways = list(chosen(cell.branches, lambda guard: (True, False)))
            for guard, answer in dict.fromkeys(answer for _, asked in ways for answer in asked):
                guards[guard] = None
                yield Item(_answer(name, guard, answer), place, phase)
            taken = {branch.id for branch, _ in ways if branch is not None}
            for index, branch in enumerate(cell.branches):
                if branch.id not in taken:
                    continue  # Whatever the guards answer, an earlier row comes first.
                actions.update(dict.fromkeys(_actions(machine, phase, branch)))
                for item in _row_items(machine, phase, branch):
                    yield Item(item, branch_path(machine, phase, event, index), phase)
    for guard in guards:
        yield Item(f"guard-error:{guard}", ("guards", guard))
    for action in actions:
        yield Item(f"action-error:{action}", ("actions", action))


def shown(machine: Machine, phases: tuple[str, ...], before: State, step: Step) -> Iterator[str]:
    """The names of what `step` shows when it happens in the state `before`."""
    if step.kind == "stale":
        yield f"stale:{step.told}"
        return
    if step.kind == "timer" and step.takes[0].taken.how != "failed":
        yield f"timeout:{phases[before.inner.phase]}"
    for take in step.takes:
        taken = take.taken
        if taken.fails:
            kind, _, name = taken.fails.partition(" ")
            yield f"{kind}-error:{name}"
            continue
        for part in taken.parts:
            cell = f"{phases[part.phase]}/{part.event}"
            yield from (_answer(cell, guard, answer) for guard, answer in part.answers)
            if taken.how != "failed":
                yield from _part_items(cell, part)
        if _is_taken_later(before, take):
            yield f"taken-later:{phases[before.inner.phase]}/{take.event}"


def left_with_timer(before: State, step: Step) -> bool:
    """Whether the step leaves a phase whose timer still runs, so that it may fire too late."""
    return before.timer and step.kind != "timer" and any(take.taken.left for take in step.takes)


def _part_items(cell: str, part: Part) -> Iterator[str]:
    if not part.row:
        yield f"cell:{cell}"
        return
    yield f"row:{part.row}"
    if part.how == "handled":
        yield f"crash-before:{part.row}"
        yield f"crash-after:{part.row}"
        if part.requests:
            yield f"crash-sent:{part.row}"


def _is_taken_later(before: State, take: Take) -> bool:
    waited = any(one.event == take.event for one in before.deferred)
    return take.offered and waited and take.taken.how in ("handled", "ignored")


def _answer(cell: str, guard: str, answer: bool) -> str:
    return f"guard:{cell} {guard}={'true' if answer else 'false'}"


def _row_items(machine: Machine, phase: str, branch: Branch) -> Iterator[str]:
    yield f"row:{branch.id}"
    if branch.ignored is None:
        yield f"crash-before:{branch.id}"
        yield f"crash-after:{branch.id}"
        # Where the way back into a group leads is only known in the end; its phases may ask for different effects.
        entered = machine.targets(branch)
        if branch.request or any(machine.spec.phases[to].entry.request for to in entered):
            yield f"crash-sent:{branch.id}"


def _actions(machine: Machine, phase: str, branch: Branch) -> Iterator[str]:
    yield from branch.do
    if branch.leaves:
        yield from machine.spec.phases[phase].exit.do
        for to in machine.targets(branch):
            yield from machine.spec.phases[to].entry.do


def _cell_path(machine: Machine, phase: str, event: str) -> Path:
    origin = machine.cells[phase][event].origin
    if origin.kind == "event":
        return ("events", event, "otherwise")
    return (f"{origin.kind}s", origin.name, "on", event)
