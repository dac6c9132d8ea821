"""One machine against its venue: everything that it claims, each claim either held or broken by a shortest story."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from codegen.model import Path, Property, Spec
from codegen.verify.baseline import Baseline
from codegen.verify.conditions import ASSUMED, NO_DEAD_END, NO_EVENT_WAITS, Asker, Question, claim_names, property_name
from codegen.verify.explorer import Explored, explore
from codegen.verify.liveness import can_reach, way_to_one_that_cannot
from codegen.verify.paths import cover
from codegen.verify.result import Broken, Verified
from codegen.verify.story import Storyteller
from codegen.verify.trace import Tracer
from codegen.verify.world import ANSWERS, MAX_DEFERRED, OUTSIDE, TIMERS, State, Step, World

UNDER_WAY = 3
AT_MOST = 2_000_000
_ALL = ANSWERS | TIMERS | OUTSIDE

Progress = Callable[[int, int], None]


def verify(
    spec: Spec,
    venue: Spec | None,
    under_way: int = UNDER_WAY,
    at_most: int = AT_MOST,
    progress: Progress | None = None,
    only_first: bool = False,
    with_paths: bool = False,
    baseline: Baseline | None = None,
) -> Verified:
    """Everything there is to say about a spec without findings.

    Args:
        venue: the machine of its venue, when it has one.
        under_way: how many requests are followed at once.
        at_most: how many states are looked at before giving up.
        progress: told now and then how many states are known and how many of them were looked at.
        only_first: end the search as soon as anything is broken.
        with_paths: also lay paths that show everything there is to show, when all holds.
        baseline: a spec that is like this one but for few places, explored with as many requests.
    """
    world = baseline.world_of(spec) if baseline is not None else None
    if baseline is None or world is None:
        world, baseline = World(spec, venue, under_way), None
    return _Check(spec, venue, under_way, world, baseline).run(at_most, progress, only_first, with_paths)


class _Check:
    def __init__(self, spec: Spec, venue: Spec | None, under_way: int, world: World, baseline: Baseline | None) -> None:
        self._spec = spec
        self._venue = venue
        self._under_way = under_way
        self._world = world
        self._baseline = baseline
        self._asker = Asker(spec, venue, self._world)
        self._stories = Storyteller(spec, venue, self._world)
        self._tracer = Tracer(spec, venue, self._world)
        self._claims = self._asker.claims()
        self._first: dict[str, int] = {}
        self._closed: set[int] = set()

    def run(self, at_most: int, progress: Progress | None, only_first: bool, with_paths: bool) -> Verified:
        started = time.process_time()

        def enough(known: int) -> bool:
            return known > (at_most if not self._closed else 0 if only_first else self._last())

        if self._baseline is not None:
            explored = self._baseline.explore(self._world, self._goes_on, enough)
        else:
            explored = explore(self._world.initial, self._world.next, self._goes_on, enough, progress)
        broken = [
            self._broken(claim.name, claim.loss, claim.path, self._way(explored, self._first[claim.name]), "")
            for claim in sorted(self._claims, key=lambda claim: self._first.get(claim.name, 0))
            if claim.name in self._first
        ]
        if explored.complete:
            broken += self._in_the_end(explored)
        sound = with_paths and explored.complete and not broken
        coverage = cover(self._spec, self._venue, self._world, explored) if sound else None
        return Verified(
            machine=self._spec.machine,
            states=len(explored.states),
            seconds=time.process_time() - started,
            bound=self._bound(),
            complete=explored.complete,
            claims=tuple(claim_names(self._spec, self._venue)),
            broken=tuple(broken),
            coverage=coverage,
        )

    def _last(self) -> int:
        """How far to look once something is broken: on a little, for other claims that are as easily broken."""
        return 2 * min(self._first.values()) + 2_000

    def _goes_on(self, state: State, number: int) -> bool:
        """A state that breaks a claim is the end of a story; what follows from it says nothing new."""
        sound = True
        for claim in self._claims:
            if claim.broken(state):
                self._first.setdefault(claim.name, number)
                sound = False
        if not sound:
            self._closed.add(number)
        return sound

    def _in_the_end(self, explored: Explored[State, Step]) -> list[Broken]:
        found = []
        for number, declared in enumerate(self._spec.properties):
            path: Path = ("properties", number)
            if declared.reachable is not None:
                question = self._asker.question(declared.reachable)
                if not any(question(state) for state in explored.states):
                    ending = f"Of {len(explored.states):,} states none is like this: {declared.reachable}"
                    found.append(self._broken(property_name(declared), declared.loss, path, [], ending))
            elif declared.recoverable is not None:
                ends = self._asker.question(declared.recoverable)
                found += self._leads(explored, declared, path, lambda state: True, ends, _ALL)
            elif declared.leads_to is not None:
                begins = self._asker.question(declared.leads_to.source)
                ends = self._asker.question(declared.leads_to.to)
                counted = sum(ASSUMED[word] for word in declared.leads_to.assuming) or _ALL
                found += self._leads(explored, declared, path, begins, ends, counted)
        return found + self._never_taken(explored) + self._dead_ends(explored)

    def _leads(
        self,
        explored: Explored[State, Step],
        declared: Property,
        path: Path,
        begins: Question,
        ends: Question,
        counted: int,
    ) -> list[Broken]:
        goals = [number for number, state in enumerate(explored.states) if number in self._closed or ends(state)]
        reached = can_reach(explored, goals, counted)
        stuck = way_to_one_that_cannot(explored, reached, begins, ends)
        if stuck is None:
            return []
        way = self._way(explored, stuck[0])
        way += [self._step(explored, source, to) for source, to in pairwise(stuck)]
        ending = f"From here on it can go on for ever without: {_goal(declared)}"
        return [self._broken(property_name(declared), declared.loss, path, way, ending)]

    def _never_taken(self, explored: Explored[State, Step]) -> list[Broken]:
        """Deferred events that are never looked at again."""
        waiting = [number for number, state in enumerate(explored.states) if state.deferred]
        if not waiting:
            return []
        goals = [number for number, state in enumerate(explored.states) if not state.deferred or number in self._closed]
        reached = can_reach(explored, goals, _ALL)
        lost = next((number for number in waiting if not reached[number]), None)
        if lost is None:
            return []
        event = explored.states[lost].deferred[0].event
        loss = f"{event} waits in the inbox for ever, and what it says is never heard."
        ending = f"From here on nothing leads to a phase that takes {event}."
        return [self._broken(NO_EVENT_WAITS, loss, (), self._way(explored, lost), ending)]

    def _dead_ends(self, explored: Explored[State, Step]) -> list[Broken]:
        for number in explored.dead_ends:
            phase = self._world.machine.phases[explored.states[number].inner.phase]
            if not self._spec.phases[phase].final:
                loss = f"The machine stands still in {phase}, and nothing can move it."
                return [self._broken(NO_DEAD_END, loss, ("phases", phase), self._way(explored, number), "")]
        return []

    def _way(self, explored: Explored[State, Step], number: int) -> list[tuple[Step, State]]:
        return [self._step(explored, source, to) for source, to in pairwise(explored.trace(number))]

    def _step(self, explored: Explored[State, Step], source: int, to: int) -> tuple[Step, State]:
        after = explored.states[to]
        return next(step for step, found, _ in self._world.next(explored.states[source]) if found == after), after

    def _broken(self, name: str, loss: str, path: Path, way: Sequence[tuple[Step, State]], ending: str) -> Broken:
        source = self._spec.source
        line = source.key(path).line if path else 1
        told = self._stories.tell(way, self._world.initial)
        trace = self._tracer.counterexample(way, [(one.actor, one.words) for one in told], name, loss, ending)
        return Broken(name, loss, source.name, line, told, ending, trace)

    def _bound(self) -> str:
        text = (
            "A handler may fail at any time, guards without a condition answer both ways, timers fire at any time, "
            "and the process may crash between any two commits."
        )
        if not self._world.sides:
            return text
        return (
            f"{text} For each side the present order and the one before are followed, and of earlier ones anything may "
            "still be heard; reports may be late, doubled, lost or out of order without limit; an order is filled not, "
            f"in part or wholly; at most {self._under_way} requests are under way at once, alike ones counted as one, "
            f"and at most {MAX_DEFERRED} events wait."
        )


def _goal(declared: Property) -> str:
    return declared.recoverable or (declared.leads_to.to if declared.leads_to else "")
