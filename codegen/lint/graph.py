"""Walks over small directed graphs, without recursion, each node and edge once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

NodeT = TypeVar("NodeT", bound=Hashable)


def cycles(edges: Mapping[NodeT, Iterable[NodeT]]) -> Iterator[list[NodeT]]:
    """Cycles, at least one of each knot of nodes that reach each other; a node that is on one is on no further one."""
    done: set[NodeT] = set()
    reported: set[NodeT] = set()
    for start in edges:
        trail: dict[NodeT, Iterator[NodeT]] = {}
        stack = [start]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            if node not in trail:
                trail[node] = iter(edges.get(node, ()))
            for following in trail[node]:
                if following in trail:
                    if following not in reported:
                        order = list(trail)
                        cycle = order[order.index(following) :]
                        reported.update(cycle)
                        yield cycle
                elif following not in done:
                    stack.append(following)
                    break
            else:
                done.add(node)
                del trail[node]
                stack.pop()
