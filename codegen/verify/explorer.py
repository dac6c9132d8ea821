"""Goes through every state that can be reached, breadth first, so that the first way to a state is a shortest one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)
L = TypeVar("L")


@dataclass
class Explored(Generic[S, L]):
    """What was found. States have numbers in the order in which they were found; 0 is the first."""

    states: list[S]
    parents: list[int]
    steps: list[L | None]
    """The step by which each state was found."""
    ways: list[array[int]] = field(default_factory=list)
    """From each state every state that is one step further, times 8, plus what the step counts as."""
    dead_ends: list[int] = field(default_factory=list)
    """States from which nothing leads on."""
    complete: bool = True

    def following(self, number: int) -> Iterator[tuple[int, int]]:
        """The states that are one step further, each with what the step counts as; 0 for nothing."""
        for way in self.ways[number]:
            yield way >> 3, way & 7

    def trace(self, number: int) -> list[int]:
        """The states from the first to `number`, along a shortest way."""
        way = [number]
        while number:
            number = self.parents[number]
            way.append(number)
        return way[::-1]


def explore(
    initial: S,
    following: Callable[[S], Iterable[tuple[L, S, int]]],
    goes_on: Callable[[S, int], bool],
    enough: Callable[[int], bool],
    progress: Callable[[int, int], None] | None = None,
) -> Explored[S, L]:
    """Every state that can be reached from `initial`.

    Args:
        following: the steps from a state: (step, state, what it counts as, less than 8; 0 for nothing).
        goes_on: told of each new state and its number; False: what follows from it is not looked at.
        enough: told how many states are known; True: the search is given up.
        progress: told now and then how many states are known and how many were looked at.
    """
    numbers: dict[S, int] = {initial: 0}
    found: Explored[S, L] = Explored([initial], [0], [None])
    closed = set() if goes_on(initial, 0) else {0}
    place = 0
    while place < len(found.states):
        if enough(len(found.states)):
            found.complete = False
            break
        ways: dict[int, None] = {}
        if place not in closed:
            alone = True
            state = found.states[place]
            for step, after, counts in following(state):
                if after is state:
                    continue
                number = numbers.get(after)
                if number is None:
                    number = numbers[after] = len(found.states)
                    found.states.append(after)
                    found.parents.append(place)
                    found.steps.append(step)
                    if not goes_on(after, number):
                        closed.add(number)
                if number != place:
                    alone = False
                    ways[8 * number + counts] = None
            if alone:
                found.dead_ends.append(place)
        found.ways.append(array("Q", ways))
        place += 1
        if progress is not None and place % 2000 == 0:
            progress(len(found.states), place)
    found.ways += [array("Q")] * (len(found.states) - len(found.ways))
    return found
