"""One machine as the checker sees it: phases, facts and guards, without data.

It takes events as the runtime does: the first branch whose guards hold; exit actions, the row's, entry actions; then
the requests; then what was raised, within the same commit. A guard without a condition is answered both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

from codegen.expressions import Condition, understand
from codegen.flatten import flatten
from codegen.model import Branch, Machine, Spec
from codegen.scope import ANY, scope

MAX_RAISED = 64

Facts = tuple[int, ...]
History = tuple[int, ...]
"""For each group with a history the phase in which it was left, -1 for none."""


class Inner(NamedTuple):
    """Where a machine is. Every number is a place in the order of the file."""

    phase: int
    facts: Facts
    history: History


class Request(NamedTuple):
    effect: str


class Book(NamedTuple):
    """The fills of the event are taken into the books."""


class Plan(NamedTuple):
    side: str
    anew: bool
    """Whether there is a new order afterwards; otherwise the side has none."""


class Wait(NamedTuple):
    """An event that was raised waits for the next change of phase, as any other that is deferred."""

    event: str


Change = Request | Book | Plan | Wait
How = Literal["handled", "ignored", "rejected", "deferred", "failed"]


class Part(NamedTuple):
    """What became of one event of a commit: of the one that led to it, or of one that was raised on the way.

    `phase` and `to` are places in the order of the file. `answers` are those of the guards that were asked, in order.
    """

    event: str
    how: How
    phase: int
    to: int
    row: str = ""
    answers: tuple[tuple[str, bool], ...] = ()
    actions: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()


class Taken(NamedTuple):
    """One way in which an event can be taken. `failed`: nothing of it happens, and the error event comes instead."""

    how: How
    inner: Inner
    left: bool = False
    """Whether a phase was entered, be it the same one."""
    changes: tuple[Change, ...] = ()
    rows: tuple[str, ...] = ()
    told: tuple[tuple[str | None, str | None], ...] = ()
    """What a venue says on the way: (reply, report)."""
    parts: tuple[Part, ...] = ()
    """One way to come to all that. Of a failure: how far it came."""
    fails: str = ""
    """What is to fail: `guard NAME`, `action NAME`, `request` or `commit`; empty where the table itself says so."""

    @property
    def effect(self) -> tuple[Any, ...]:
        """All that counts, however it came about."""
        return self[:6]


Answers = tuple[tuple[str, bool], ...]
_WITHOUT_BRANCH: dict[str, How] = {"defer": "deferred", "ignore": "ignored", "reject": "rejected"}


class AbstractMachine:
    """A spec without findings, with its conditions understood."""

    def __init__(self, spec: Spec, venue: Spec | None = None) -> None:
        self.spec = spec
        self.machine: Machine = flatten(spec)
        self.phases = tuple(spec.phases)
        self.fact_names = tuple(spec.facts)
        self.history_groups = tuple(name for name, group in spec.groups.items() if group.history)
        self._phase_place = {name: place for place, name in enumerate(self.phases)}
        self._cells = [self.machine.cells[name] for name in self.phases]
        self._row_scope = scope(spec, venue, "row")
        self.nothing_known: dict[str, int | bool] = self._no_event()
        self._guards = {name: self._bounds(name) for name in spec.guards}
        self._sets = {name: tuple(self._setters(action.sets)) for name, action in spec.actions.items()}
        self._actions = {name: self._changes(name) for name in spec.actions}
        self._memo: dict[Any, tuple[Taken, ...]] = {}
        self._every: dict[Any, tuple[Taken, ...]] = {}

    @property
    def initial(self) -> Inner:
        return Inner(
            self._phase_place[self.spec.initial], (0,) * len(self.fact_names), (-1,) * len(self.history_groups)
        )

    def initial_requests(self) -> tuple[Request, ...]:
        return tuple(Request(effect) for effect in self.spec.phases[self.spec.initial].entry.request)

    def defers(self, phase: int, event: str) -> bool:
        return self._cells[phase][event].kind == "defer"

    def has_timer(self, phase: int) -> bool:
        return self.spec.phases[self.phases[phase]].timeout is not None

    def take(self, inner: Inner, event: str, about: Mapping[str, Any], key: Any) -> tuple[Taken, ...]:
        """Every way in which `event` can be taken. `about` gives the values of the names that speak of the event, and
        `key` stands for it in the memory of what was worked out before."""
        memo = (inner, event, key)
        found = self._memo.get(memo)
        if found is None:
            every = self._take(inner, event, about)
            found = self._memo[memo] = tuple({taken.effect: taken for taken in reversed([*every])}.values())[::-1]
        return found

    def take_in_every_way(self, inner: Inner, event: str, about: Mapping[str, Any], key: Any) -> tuple[Taken, ...]:
        """As `take`, but also the ways that come to the same by other answers, and those in which a handler fails."""
        memo = (inner, event, key)
        found = self._every.get(memo)
        if found is None:
            ways = [*self._take(inner, event, about)]
            failures = (failure for taken in ways for failure in _failures(inner, taken))
            found = self._every[memo] = tuple(dict.fromkeys([*ways, *failures]))
        return found

    def failing(self, inner: Inner, event: str, about: Mapping[str, Any], key: Any) -> Taken:
        """A way in which a handler fails on the event; where it has none, its commit is refused."""
        part = Part(event, "failed", inner.phase, inner.phase)
        ways = self.take_in_every_way(inner, event, about, key)
        return next((taken for taken in ways if taken.fails), Taken("failed", inner, parts=(part,), fails="commit"))

    def _take(self, inner: Inner, event: str, about: Mapping[str, Any]) -> Iterator[Taken]:
        cell = self._cells[inner.phase][event]
        if cell.kind != "branches":
            how = _WITHOUT_BRANCH[cell.kind]
            yield Taken(how, inner, parts=(Part(event, how, inner.phase, inner.phase),))
        else:
            for taken, raised in self._apply(inner, event, about):
                yield from self._settle(taken, raised, MAX_RAISED)

    def _settle(self, taken: Taken, raised: tuple[str, ...], left: int) -> Iterator[Taken]:
        """Handle what was raised, in order, within the same commit."""
        if not raised or taken.how == "failed":
            yield taken
            return
        if left == 0:
            yield Taken("failed", taken.inner, parts=taken.parts)
            return
        kind = self._cells[taken.inner.phase][raised[0]].kind
        if kind != "branches":
            phase = taken.inner.phase
            parts = (*taken.parts, Part(raised[0], _WITHOUT_BRANCH[kind], phase, phase))
            if kind == "reject":
                yield Taken("failed", taken.inner, parts=parts)
                return
            changes = (*taken.changes, Wait(raised[0])) if kind == "defer" else taken.changes
            yield from self._settle(taken._replace(changes=changes, parts=parts), raised[1:], left - 1)
        else:
            for inner_taken, more in self._apply(taken.inner, raised[0], self.nothing_known):
                joined = Taken(
                    inner_taken.how if inner_taken.how == "failed" else "handled",
                    inner_taken.inner,
                    taken.left or inner_taken.left,
                    taken.changes + inner_taken.changes,
                    taken.rows + inner_taken.rows,
                    taken.told + inner_taken.told,
                    taken.parts + inner_taken.parts,
                )
                yield from self._settle(joined, raised[1:] + more, left - 1)

    def _apply(self, inner: Inner, event: str, about: Mapping[str, Any]) -> Iterator[tuple[Taken, tuple[str, ...]]]:
        for branch, answers in self._chosen(inner, event, about):
            if branch is None:
                part = Part(event, "failed", inner.phase, inner.phase, answers=answers)
                yield Taken("failed", inner, parts=(part,)), ()
            elif branch.ignored is not None:
                part = Part(event, "ignored", inner.phase, inner.phase, branch.id, answers)
                yield Taken("ignored", inner, rows=(branch.id,), parts=(part,)), ()
            else:
                yield from self._follow(inner, event, branch, answers, about)

    def _follow(
        self, inner: Inner, event: str, branch: Branch, answers: Answers, about: Mapping[str, Any]
    ) -> Iterator[tuple[Taken, tuple[str, ...]]]:
        target: int | None = None
        if branch.to is not None:
            target = self._phase_place[branch.to]
        elif branch.history is not None:
            target = inner.history[self.history_groups.index(branch.history)]
            if target < 0:
                part = Part(event, "failed", inner.phase, inner.phase, answers=answers)
                yield Taken("failed", inner, parts=(part,)), ()
                return
        do, requests, raised = branch.do, branch.request, branch.raises
        history = inner.history
        if target is not None:
            source, entered = self.spec.phases[self.phases[inner.phase]], self.spec.phases[self.phases[target]]
            do = (*source.exit.do, *do, *entered.entry.do)
            requests = (*requests, *entered.entry.request)
            raised = (*raised, *entered.entry.raises)
            history = self._remembered(inner, target)
        changes = tuple(change for action in do for change in self._actions[action])
        changes += tuple(Request(effect) for effect in requests)
        for facts in self._facts_after(inner, do, about):
            after = Inner(inner.phase if target is None else target, facts, history)
            told = ((branch.reply, branch.report),) if branch.reply is not None or branch.report is not None else ()
            part = Part(event, "handled", inner.phase, after.phase, branch.id, answers, do, requests)
            yield Taken("handled", after, target is not None, changes, (branch.id,), told, (part,)), raised

    def _remembered(self, inner: Inner, target: int) -> History:
        around, ahead = (self.machine.phase_groups[self.phases[place]] for place in (inner.phase, target))
        return tuple(
            inner.phase if group in around and group not in ahead else left
            for group, left in zip(self.history_groups, inner.history, strict=True)
        )

    def _chosen(self, inner: Inner, event: str, about: Mapping[str, Any]) -> Iterator[tuple[Branch | None, Answers]]:
        """Each branch that can be the first to hold, with the answers that lead to it; None when all can fail."""
        branches = self._cells[inner.phase][event].branches
        env = self._environment(inner.phase, inner.facts, about)
        yield from chosen(branches, lambda guard: self._answers(guard, env))

    def _answers(self, guard: str, env: Mapping[str, Any]) -> tuple[bool, ...]:
        must, may = self._guards[guard]
        if must is not None and must(env):
            return (True,)
        if may is not None and not may(env):
            return (False,)
        return (True, False)

    def _facts_after(self, inner: Inner, do: tuple[str, ...], about: Mapping[str, Any]) -> Iterator[Facts]:
        reached = {inner.facts: None}
        for action in do:
            for place, choose in self._sets[action]:
                reached = {
                    (*facts[:place], value, *facts[place + 1 :]): None
                    for facts in reached
                    for value in choose(self._environment(inner.phase, facts, about), facts[place])
                }
        yield from reached

    def _environment(self, phase: int, facts: Facts, about: Mapping[str, Any]) -> dict[str, Any]:
        return {**about, "phase": phase, **dict(zip(self.fact_names, facts, strict=True))}

    def _bounds(self, name: str) -> tuple[Condition | None, Condition | None]:
        """When the guard must hold, and when it may; None: it need never, and may always."""
        guard = self.spec.guards[name]
        must, may = guard.when or guard.whenever, guard.when or guard.only_if
        return self._condition(must), self._condition(may)

    def _condition(self, text: str | None) -> Condition | None:
        return understand(text, self._row_scope).holds if text is not None else None

    def _setters(self, sets: Mapping[str, str | dict[str, str]]) -> Iterator[tuple[int, Any]]:
        for fact, new in sets.items():
            values = self.spec.facts[fact]
            if new == ANY:
                every = tuple(range(len(values)))
                yield self.fact_names.index(fact), lambda env, old, every=every: every
            elif isinstance(new, str):
                one = (values.index(new),)
                yield self.fact_names.index(fact), lambda env, old, one=one: one
            else:
                cases = [(values.index(value), understand(text, self._row_scope).holds) for value, text in new.items()]
                yield (
                    self.fact_names.index(fact),
                    lambda env, old, cases=cases: (next((value for value, holds in cases if holds(env)), old),),
                )

    def _changes(self, name: str) -> tuple[Change, ...]:
        action = self.spec.actions[name]
        changes: list[Change] = [Plan(side, False) for side in action.forgets]
        changes += [Plan(side, True) for side in action.plans]
        return (*changes, Book()) if action.books else tuple(changes)

    def _no_event(self) -> dict[str, int | bool]:
        known: dict[str, int | bool] = {}
        for name, domain in self._row_scope.names.items():
            if name.startswith("event."):
                known[name] = False if domain is None else len(domain) - 1 if name.endswith((".side", ".order")) else 0
        return known


def chosen(
    branches: tuple[Branch, ...], possible: Callable[[str], tuple[bool, ...]]
) -> Iterator[tuple[Branch | None, Answers]]:
    """Each way to ask the guards of a cell, one after the other until a branch holds: that branch, or None, and the
    answers on the way. `possible` gives the answers that a guard may give."""
    guards = dict.fromkeys(guard for branch in branches for guard, _ in branch.guards)
    seen: set[tuple[str, Answers]] = set()
    for values in product(*(possible(guard) for guard in guards)):
        given = dict(zip(guards, values, strict=True))
        found, asked = _first_that_holds(branches, given)
        key = (found.id if found is not None else "", asked)
        if key not in seen:
            seen.add(key)
            yield found, asked


def _first_that_holds(branches: tuple[Branch, ...], given: Mapping[str, bool]) -> tuple[Branch | None, Answers]:
    asked: dict[str, bool] = {}
    for branch in branches:
        for guard, wanted in branch.guards:
            asked[guard] = given[guard]
            if given[guard] is not wanted:
                break
        else:
            return branch, tuple(asked.items())
    return None, tuple(asked.items())


def _failures(before: Inner, taken: Taken) -> Iterator[Taken]:
    """The same event with each guard that is asked, or each action that runs, failing instead."""
    for place, part in enumerate(taken.parts):
        earlier = taken.parts[:place]
        for number, (guard, _) in enumerate(part.answers):
            asked = part._replace(answers=part.answers[:number], actions=(), requests=())
            yield Taken("failed", before, parts=(*earlier, asked), fails=f"guard {guard}")
        for action in part.actions:
            yield Taken("failed", before, parts=(*earlier, part), fails=f"action {action}")
