"""What the benchmarks share: rounds in turns, and what came of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


class CannotMeasure(Exception):  # noqa: N818
    """This machine lacks what the benchmark needs; the message says what. Told, and no failure."""


def ratio(value: float, why: str, *, at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    """A ratio with its limit, as `measure` returns it."""
    if (at_least is None) is (at_most is None):
        raise ValueError("a ratio has one limit: at_least or at_most")
    limit = {"at_least": at_least} if at_most is None else {"at_most": at_most}
    return {"value": round(value, 3), **limit, "why": why}


def is_behind(found: Mapping[str, Any]) -> bool:
    """Whether a ratio is outside its limit."""
    return bool(found["value"] < found["at_least"] if "at_least" in found else found["value"] > found["at_most"])


def in_turns(cases: Mapping[str, Callable[[], Callable[[], object]]], rounds: int) -> dict[str, list[float]]:
    """Seconds that each case took in each round; every round runs all of them, each round beginning with another one.

    A case is called to prepare itself and returns what is measured. The garbage collector runs before each, and during
    it as it would in any program.
    """
    names = list(cases)
    taken: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                work = cases[name]()
                gc.collect()
                started = time.perf_counter()
                work()
                taken[name].append(time.perf_counter() - started)
    finally:
        gc.unfreeze()
    return taken


def middle_ratio(above: list[float], below: list[float]) -> float:
    """The median of the ratios within each round: what slows a whole round down cancels out."""
    return median(a / b for a, b in zip(above, below, strict=True))


def best_ratio(above: list[float], below: list[float]) -> float:
    """The ratio of the fastest rounds: of many short rounds on a loaded machine, some are left alone."""
    return min(above) / min(below)
