"""All mutants of a spec, or a sample of them, judged by several processes."""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from codegen.mutation.cache import Cache
from codegen.mutation.judge import Catcher, Judge, Verdict, next_asked, verdict
from codegen.mutation.mutants import Mutant

Told = Callable[[int, int, int], None]
"""How many are judged, how many there are, and how many of them nobody has noticed."""


@dataclass(frozen=True)
class Judged:
    """Every mutant that was asked for, in the order of the operators and the file. `verdicts` lacks those that were not
    reached when the run was stopped."""

    mutants: tuple[Mutant, ...]
    verdicts: dict[str, Verdict]
    stopped: bool = False


def sampled(mutants: Sequence[Mutant], number: int | None, seed: int) -> tuple[Mutant, ...]:
    """`number` of the mutants, the same ones for the same seed, in their order; all of them without a number."""
    if number is None or number >= len(mutants):
        return tuple(mutants)
    chosen = set(random.Random(seed).sample(range(len(mutants)), number))
    return tuple(mutant for place, mutant in enumerate(mutants) if place in chosen)


def run(mutants: tuple[Mutant, ...], judge: Judge, cache: Cache, jobs: int, told: Told | None = None) -> Judged:
    """Judge the mutants. Stopped by Ctrl-C it gives what is known so far."""
    verdicts: dict[str, Verdict] = {}
    open_ones: list[tuple[int, dict[Catcher, str | None]]] = []
    for place, mutant in enumerate(mutants):
        known = cache.known(mutant)
        if next_asked(mutant, known) is None:
            verdicts[mutant.key] = verdict(known)
        else:
            open_ones.append((place, known))
    try:
        for place, said in _judged(mutants, judge, open_ones, jobs):
            cache.keep(mutants[place], said.items())
            verdicts[mutants[place].key] = verdict(said)
            if told is not None:
                told(len(verdicts), len(mutants), sum(one.stage == "survived" for one in verdicts.values()))
    except KeyboardInterrupt:
        return Judged(mutants, verdicts, stopped=True)
    return Judged(mutants, verdicts)


_Open = tuple[int, dict[Catcher, str | None]]
_inherited: tuple[tuple[Mutant, ...], Judge] | None = None


def _judged(mutants: tuple[Mutant, ...], judge: Judge, open_ones: list[_Open], jobs: int) -> Iterator[_Open]:
    if jobs == 1 or len(open_ones) < 2:
        for place, known in open_ones:
            yield place, judge.judge(mutants[place], known)
        return
    global _inherited
    _inherited = mutants, judge
    try:
        # Processes that are forked have the mutants already, which hold functions and could not be sent.
        with multiprocessing.get_context("fork").Pool(jobs, _leave_interrupts_to_the_parent) as pool:
            yield from pool.imap_unordered(_judge_one, open_ones)
    finally:
        _inherited = None


def _judge_one(one: _Open) -> _Open:
    assert _inherited is not None
    mutants, judge = _inherited
    place, known = one
    return place, judge.judge(mutants[place], known)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
