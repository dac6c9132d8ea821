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
        for way in ways:
            if way & counted:
                back[way >> 3].append(source)
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
) -> list[int] | None:
    """States, each one step further than the one before: `begins` holds in the first, `ends` in none, and the last has
    not `reached` it."""
    if all(reached):
        return None
    open_ones = [number for number, state in enumerate(explored.states) if not ends(state)]
    starts = [number for number in open_ones if begins(explored.states[number])]
    for start in starts:
        if not reached[start]:
            return [start]
    allowed = bytearray(len(explored.states))
    for number in open_ones:
        allowed[number] = 1
    before: dict[int, int] = dict.fromkeys(starts, -1)
    queue = deque(starts)
    while queue:
        number = queue.popleft()
        for to, _ in explored.following(number):
            if to in before or not allowed[to]:
                continue
            before[to] = number
            if not reached[to]:
                way = [to]
                while (earlier := before[way[-1]]) >= 0:
                    way.append(earlier)
                return way[::-1]
            queue.append(to)
    return None
