"""Is it decided what every event does in every phase, and does each decision mean something?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.model import Path
from codegen.wording import listed


def undecided(subject: Subject) -> Iterator[Problem]:
    """Events that some phase neither handles nor defers, ignores or rejects."""
    cells = subject.machine.cells
    for event in subject.spec.events:
        missing = [phase for phase in subject.spec.phases if event not in cells[phase]]
        if missing:
            everywhere = len(missing) == len(subject.spec.phases)
            where = "any phase" if everywhere else listed(missing)
            yield Problem(
                ("events", event),
                f"it is not decided what {event} does in {where}",
                f"give {event} an `otherwise`, such as `otherwise: {{ignore: why it does not matter}}` or "
                "`{reject: why it cannot come}`, or write a row in "
                + ("the phases" if everywhere else "each of these phases or in a group of them"),
                at_key=True,
            )


def own_timer_unhandled(subject: Subject) -> Iterator[Problem]:
    """Phases whose own timer raises what they do not handle."""
    for name, phase in subject.spec.phases.items():
        if phase.timeout is None:
            continue
        event = phase.timeout.raises
        cell = subject.machine.cells[name].get(event)
        if event in subject.spec.events and (cell is None or cell.kind != "branches"):
            how = f"{_past(cell.kind)} there" if cell else "not decided there"
            yield Problem(
                ("phases", name, "timeout", "raises"),
                f"the timer of {name} raises {event}, which is {how}",
                f"write `{event}: {{to: ...}}` in `phases.{name}.on`",
            )


def error_event_unhandled(subject: Subject) -> Iterator[Problem]:
    """The error event leads nowhere in the whole machine."""
    event = subject.spec.error_event
    if event in subject.spec.events and not any(
        cells[event].kind == "branches" for cells in subject.machine.cells.values() if event in cells
    ):
        yield Problem(
            ("error_event",),
            f"no phase handles the error event {event}",
            f"write `{event}: {{to: ...}}` in a group that holds the phases which can fail",
        )


def error_event_payload(subject: Subject) -> Iterator[Problem]:
    """The error event does not carry exactly what a failure has to tell."""
    name = subject.spec.error_event
    event = subject.spec.events.get(name)
    if event is not None and {field: str(type_) for field, type_ in event.payload.items()} != {
        "error": "str",
        "failed_event": "str",
    }:
        yield Problem(
            ("events", name, "payload"),
            f"the payload of the error event {name} is not the one that a failure is told with",
            "write `payload: {error: str, failed_event: str}`",
            at_key=True,
        )


def deferred_for_ever(subject: Subject) -> Iterator[Problem]:
    """Deferred events that no phase an instance can come to will ever take."""
    cells = subject.machine.cells
    for written in subject.cells:
        if written.cell.kind != "defer" or written.event not in subject.spec.events:
            continue
        for phase in _phases_of(subject, written.owner, written.name):
            cell = cells[phase].get(written.event)
            if cell is None or cell.kind != "defer" or _is_taken_later(subject, phase, written.event):
                continue
            yield Problem(
                written.path,
                f"{written.event} is deferred in {phase}, and no phase that follows takes it",
                f"handle {written.event} in a phase that comes after {phase}, or ignore it with a reason",
            )
            break


def _is_taken_later(subject: Subject, phase: str, event: str) -> bool:
    seen, queue = {phase}, deque([phase])
    while queue:
        for following in subject.ways[queue.popleft()]:
            cell = subject.machine.cells[following].get(event)
            if cell is not None and cell.kind != "defer":
                return True
            if following not in seen:
                seen.add(following)
                queue.append(following)
    return False


def _phases_of(subject: Subject, owner: str, name: str) -> tuple[str, ...]:
    if owner == "phases":
        return (name,)
    return subject.machine.group_phases[name] if owner == "groups" else tuple(subject.spec.phases)


def misplaced_otherwise(subject: Subject) -> Iterator[Problem]:
    """The word `otherwise` where there is nothing it could stand for."""
    for written in subject.cells:
        if not written.cell.falls_back or written.event not in subject.spec.events:
            continue
        default = subject.spec.events[written.event].otherwise
        path: Path = (*written.path, *written.cell.branch_path(len(written.cell.branches)))
        if written.owner == "events":
            yield Problem(
                path, f"the `otherwise` of {written.event} ends with itself", "write what happens in that case"
            )
        elif default is None:
            yield Problem(
                path,
                f"{written.event} has no `otherwise` that could be meant here",
                f"write `otherwise` in `events.{written.event}`, or write what happens in that case",
            )
        elif default.kind in ("reject", "defer"):
            yield Problem(
                path,
                f"{written.event} is otherwise {_past(default.kind)}, and that cannot depend on a guard",
                "write a branch without `if`, such as `{ignore: why}` or `{to: PHASE}`",
            )


def branch_without_effect(subject: Subject) -> Iterator[Problem]:
    """Branches that do nothing and do not say why, or that do something and claim to ignore the event."""
    for written in subject.cells:
        for index, branch in enumerate(written.cell.branches):
            path: Path = (*written.path, *written.cell.branch_path(index))
            tells = branch.report is not None or branch.reply is not None
            acts = branch.leaves or branch.do or branch.request or branch.raises or tells
            if branch.ignored is not None and acts:
                yield Problem(
                    (*path, "ignore"),
                    f"the branch ignores {written.event} and does something as well",
                    "remove `ignore`, or everything else but `if`",
                    at_key=True,
                )
            elif branch.ignored is None and not acts:
                yield Problem(
                    path,
                    f"the branch does nothing with {written.event} and does not say why",
                    "write `ignore:` and the reason, or `to`, `do`, `request` or `raise`",
                )


def twice_in_list(subject: Subject) -> Iterator[Problem]:
    """The same action, effect or event twice in one list."""
    last: tuple[Path, set[str]] = ((), set())
    for reference in subject.references:
        if reference.kind not in ("action", "effect", "event") or not isinstance(reference.path[-1], int):
            continue
        if last[0] != reference.path[:-1]:
            last = (reference.path[:-1], set())
        if reference.name in last[1]:
            yield Problem(reference.path, f"`{reference.name}` is listed twice", "remove one of the two")
        last[1].add(reference.name)


def _past(kind: str) -> str:
    return {"reject": "rejected", "defer": "deferred", "ignore": "ignored", "branches": "handled"}[kind]


RULES = (
    Rule(
        "PW301",
        "undecided event",
        "Whoever wrote the spec has not thought of this case, and the exchange will.",
        undecided,
    ),
    Rule(
        "PW302",
        "timer that its own phase does not handle",
        "The time-out would pass without anything happening.",
        own_timer_unhandled,
    ),
    Rule(
        "PW303",
        "error event that is handled nowhere",
        "A failing guard or action would leave no trace in the machine.",
        error_event_unhandled,
    ),
    Rule(
        "PW304",
        "error event with another payload",
        "The runtime could not say what failed, and while which event was handled.",
        error_event_payload,
        local=True,
    ),
    Rule(
        "PW305",
        "event deferred for ever",
        "It would wait in the inbox until the instance ends, and never be acted upon.",
        deferred_for_ever,
    ),
    Rule(
        "PW306",
        "`otherwise` that stands for nothing",
        "The last case of the row would be undecided.",
        misplaced_otherwise,
        local=True,
    ),
    Rule(
        "PW307",
        "branch that does nothing, or ignores and acts",
        "A reader cannot tell what was meant.",
        branch_without_effect,
        local=True,
    ),
    Rule("PW308", "name listed twice", "It would be done twice, which is rarely meant.", twice_in_list, local=True),
)
