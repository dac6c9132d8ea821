"""Can every phase be entered and left, and does it know what it waits for?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from codegen.findings import Severity
from codegen.flatten import branch_path
from codegen.lint.graph import cycles
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.model import Path
from codegen.wording import listed


def reachable_from(subject: Subject, start: str, avoiding: frozenset[str] = frozenset()) -> set[str]:
    """The phases that an instance can come to from `start` without passing through `avoiding`. Going back by history
    counts for nothing: it only leads where the instance has been."""
    seen = {start} - avoiding if start in subject.spec.phases else set()
    queue = deque(seen)
    while queue:
        phase = queue.popleft()
        for cell in subject.machine.cells[phase].values():
            for branch in cell.branches:
                to = branch.to
                if to is not None and to not in seen and to in subject.spec.phases and to not in avoiding:
                    seen.add(to)
                    queue.append(to)
    return seen


def unreachable_phase(subject: Subject) -> Iterator[Problem]:
    """Phases that no sequence of rows leads to."""
    if subject.spec.initial not in subject.spec.phases:
        return
    reached = reachable_from(subject, subject.spec.initial)
    for name in subject.spec.phases:
        if name not in reached:
            yield Problem(
                ("phases", name),
                f"the phase {name} cannot be reached from {subject.spec.initial}",
                f"write a row with `to: {name}` in a phase that can be reached, or remove the phase",
                at_key=True,
            )


def no_way_out(subject: Subject) -> Iterator[Problem]:
    """Phases, not final, that no row leads out of."""
    for name, phase in subject.spec.phases.items():
        if not phase.final and not (subject.ways[name].keys() - {name}):
            yield Problem(
                ("phases", name),
                f"no row leads out of the phase {name}",
                "write a row with `to:` another phase, or `final: true` if the instance ends here",
                at_key=True,
            )


def only_way_out_is_failure(subject: Subject) -> Iterator[Problem]:
    """Phases that can be left only by the error event, or by rows that no phase or group wrote for them."""
    spec = subject.spec
    for name, phase in spec.phases.items():
        ordinary = any(
            target != name
            for event, cell in subject.machine.cells[name].items()
            if event != spec.error_event and cell.origin.kind != "event"
            for branch in cell.branches
            for target in subject.targets(branch)
        )
        if not phase.final and not ordinary and subject.ways[name].keys() - {name}:
            yield Problem(
                ("phases", name),
                f"the phase {name} can be left only by a failure or by an event's `otherwise`",
                f"write in `phases.{name}.on` how it is left when all goes well",
                at_key=True,
            )


def final_that_goes_on(subject: Subject) -> Iterator[Problem]:
    """Final phases with a timer, or with rows of their own that lead on."""
    for name, phase in subject.spec.phases.items():
        if not phase.final:
            continue
        if phase.timeout is not None:
            yield Problem(
                ("phases", name, "timeout"), f"{name} is final but has a timeout", "remove one of the two", at_key=True
            )
        for event, cell in phase.on.items():
            if any(branch.leaves for branch in cell.branches):
                yield Problem(
                    ("phases", name, "on", event),
                    f"{name} is final, but {event} leads out of it",
                    "remove the row or `final: true`",
                    at_key=True,
                )


def waits_without_limit(subject: Subject) -> Iterator[Problem]:
    """Phases that nothing moves on: no timer, no raised event, and no word on what they wait for."""
    for name, phase in subject.spec.phases.items():
        if phase.final or phase.waits_for is not None:
            continue
        if phase.timeout is not None:
            event = phase.timeout.raises
            cell = subject.machine.cells[name].get(event)
            if cell is None or cell.kind != "branches" or _moves(subject, name, event):
                continue
            yield Problem(
                ("phases", name, "timeout"),
                f"the timer of {name} raises {event}, which neither leads anywhere nor asks for anything",
                f"let the row of {event} lead to a phase, or say in `waits_for` why {name} may wait for ever",
                at_key=True,
            )
        elif not any(_moves(subject, name, event) for event in phase.entry.raises):
            yield Problem(
                ("phases", name),
                f"the phase {name} may wait for ever",
                "add `timeout: {after: ..., raises: ..., on_restore: keep_deadline}`, "
                "or say in `waits_for` why that is right",
                at_key=True,
            )


def _moves(subject: Subject, phase: str, event: str) -> bool:
    cell = subject.machine.cells[phase].get(event)
    return cell is not None and any(branch.leaves or branch.request or branch.raises for branch in cell.branches)


def entry_into_initial(subject: Subject) -> Iterator[Problem]:
    """Actions and raised events on entry into the initial phase."""
    name = subject.spec.initial
    phase = subject.spec.phases.get(name)
    if phase is None:
        return
    for key, values in (("do", phase.entry.do), ("raise", phase.entry.raises)):
        if values:
            yield Problem(
                ("phases", name, "entry", key),
                f"the initial phase {name} has `entry.{key}`, and no event enters it when an instance starts",
                f"move it into the rows that lead to {name}, or start in a phase before it; `request` is allowed",
                at_key=True,
            )


def internal_cycle(subject: Subject) -> Iterator[Problem]:
    """Raised events that raise each other without end."""
    for cycle in cycles(_raising(subject)):
        (phase, event), (_, first) = cycle[0], cycle[1 % len(cycle)]
        chain = " -> ".join(f"{event} in {phase}" for phase, event in [*cycle, cycle[0]])
        yield Problem(
            _path_of_raise(subject, phase, event, first),
            f"raised events go round in a circle: {chain}",
            "let one step of it wait for a timer or for something outside",
        )


_Step = tuple[str, str]


def _raising(subject: Subject) -> dict[_Step, dict[_Step, None]]:
    """From handling an event in a phase to handling an event that this raises."""
    spec = subject.spec
    edges: dict[_Step, dict[_Step, None]] = {}
    raising_phases = {name for name, phase in spec.phases.items() if phase.entry.raises}
    for phase, event, _, branch in subject.machine.rows():
        if not branch.raises and not raising_phases:
            continue
        for target in subject.targets(branch) if branch.leaves else (phase,):
            raised = branch.raises + (spec.phases[target].entry.raises if branch.leaves else ())
            if raised:
                edges.setdefault((phase, event), {}).update(dict.fromkeys((target, name) for name in raised))
    return edges


def _path_of_raise(subject: Subject, phase: str, event: str, raised: str) -> Path:
    cell = subject.machine.cells[phase][event]
    for index, branch in enumerate(cell.branches):
        if raised in branch.raises:
            return (*branch_path(subject.machine, phase, event, index), "raise", branch.raises.index(raised))
    for index, branch in enumerate(cell.branches):
        for target in subject.targets(branch):
            if raised in subject.spec.phases[target].entry.raises:
                return (*branch_path(subject.machine, phase, event, index), "to")
    return ("phases", phase)


def happy_path_gap(subject: Subject) -> Iterator[Problem]:
    """Steps of the happy path that no row makes."""
    path = subject.spec.happy_path
    for number, (here, there) in enumerate(pairwise(path), start=1):
        if here in subject.spec.phases and there in subject.spec.phases and there not in subject.ways[here]:
            yield Problem(
                ("happy_path", number),
                f"no row leads from {here} to {there}",
                f"after {here} name one of: {listed(list(subject.ways[here])) or '(nothing follows it)'}",
            )


RULES = (
    Rule(
        "PW201",
        "phase that cannot be reached",
        "It and all its rows are dead; most often a row that should lead to it is missing.",
        unreachable_phase,
    ),
    Rule("PW202", "phase without a way out", "An instance that enters it stays there for ever.", no_way_out),
    Rule(
        "PW203",
        "phase that only a failure leads out of",
        "When all goes well, an instance stays there for ever.",
        only_way_out_is_failure,
        Severity.WARNING,
    ),
    Rule(
        "PW204",
        "final phase that goes on",
        "`final` says that the instance ends there, and the rows say that it does not.",
        final_that_goes_on,
    ),
    Rule(
        "PW205",
        "phase that may wait for ever",
        "If what it waits for never comes, nobody is told and nothing is tried.",
        waits_without_limit,
    ),
    Rule(
        "PW206",
        "entry into the initial phase that would not run",
        "An instance starts in its initial phase without an event, so there is nothing an action could be given.",
        entry_into_initial,
    ),
    Rule(
        "PW207",
        "cycle of raised events",
        "They are handled within one commit, which would never end.",
        internal_cycle,
    ),
    Rule(
        "PW208",
        "happy path with a gap",
        "The diagram would show a way that the machine cannot go.",
        happy_path_gap,
    ),
)
