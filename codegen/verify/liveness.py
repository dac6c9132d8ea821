"""What must come in the end, decided by going backwards from it.

Assume of certain steps that none of them is possible again and again for ever without being taken. Then a goal is bound
to come from where every state that can follow has a way to it by such steps; and a state that has none may go on for
ever without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from codegen.verify.explorer import Explored, S

L = TypeVar("L")


def can_reach(explored: Explored[S, L], goals: Iterable[int], counted: int) -> bytearray:
    """For each state whether one of `goals` can be reached by steps that count as one of `counted`."""
    back: list[list[int]] = [[] for _ in explored.states]
    for source, ways in enumerate(explored.ways):
        for to, counts in ways:
            if counts & counted:
                back[to].append(source)
    reached = bytearray(len(explored.states))
    queue = deque(goals)
    for goal in queue:
        reached[goal] = 1
    while queue:
        for source in back[queue.popleft()]:
            if not reached[source]:
                reached[source] = 1
                queue.append(source)
    return reached


def way_to_one_that_cannot(
    explored: Explored[S, L],
    reached: bytearray,
    begins: Callable[[S], bool],
    ends: Callable[[S], bool],
    following: Callable[[S], Iterable[tuple[L, S, int]]],
) -> tuple[int, list[tuple[L, S]]] | None:
    """A state in which `begins` holds, and steps that lead on, without `ends`, to a state that has not `reached` it."""
    if all(reached):
        return None
    numbers = {state: number for number, state in enumerate(explored.states)}
    for start, state in enumerate(explored.states):
        if begins(state) and not ends(state) and not reached[start]:
            return start, []
    queue = deque(state for state in explored.states if begins(state) and not ends(state))
    before: dict[S, tuple[S, L] | None] = dict.fromkeys(queue)
    while queue:
        state = queue.popleft()
        for step, after, _ in following(state):
            if after in before or after not in numbers or ends(after):
                continue
            before[after] = (state, step)
            if not reached[numbers[after]]:
                way: list[tuple[L, S]] = []
                at = after
                while (link := before[at]) is not None:
                    way.append((link[1], at))
                    at = link[0]
                return numbers[at], way[::-1]
            queue.append(after)
    return None
