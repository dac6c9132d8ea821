"""Who notices a mutant: lint, else the checker, else the paths that are played with its generated code.

The checker looks with one request under way, which finds nearly everything in half the time. What it does not
notice then it looks at once more with two, if the mutant is dangerous or if the paths do not notice it either,
and unless it is known that there is nothing to be seen.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from codegen.flatten import flatten
from codegen.model import Machine, Spec
from codegen.mutation.mutants import Mutant, sha256
from codegen.verify.baseline import Baseline
from codegen.verify.check import verify

FEW, MORE = 1, 2
"""Requests that are followed at once. `verify` follows three, which takes ten times as long."""
AT_MOST = 400_000
"""States of a mutant. None that anybody notices comes near it."""

Catcher = Literal["lint", "verify", "paths", "bound"]
"""`verify` with few requests under way; `bound` with all."""
Stage = Literal["lint", "verify", "paths", "survived"]
Play = Callable[[Machine], str | None]
"""Plays the committed paths of the original on the code of a mutant; what went otherwise, or None."""


class Verdict(NamedTuple):
    """Who caught a mutant, and by what: codes of lint, the name of a claim, what went otherwise on a path."""

    stage: Stage
    by: str = ""


class Judge:
    """Judges the mutants of one spec.

    Args:
        original: the spec as it is.
        venue: the machine of its venue.
        play: None when there are no paths.
        requests: how many requests the checker follows at once in the end.
    """

    def __init__(self, original: Spec, venue: Spec | None, play: Play | None, requests: int = MORE) -> None:
        self._venue = venue
        self._play = play
        self._requests = requests
        self._original = original
        self._seen_before = as_checked(flatten(original))
        self._baselines: dict[int, Baseline] = {}

    def judge(self, mutant: Mutant, known: Mapping[Catcher, str | None]) -> dict[Catcher, str | None]:
        """What each catcher says that has to be asked. `known` is what some said before."""
        said = dict(known)
        while (catcher := next_asked(mutant, said)) is not None:
            match catcher:
                case "lint":
                    said[catcher] = ", ".join(mutant.errors) or None
                case "verify":
                    said[catcher] = self._verify(mutant, min(FEW, self._requests))
                case "paths":
                    said[catcher] = self._play(flatten(mutant.spec)) if self._play is not None else None
                case "bound":
                    said[catcher] = self._verify(mutant, self._requests) if self._venue is not None else None
        return said

    def _verify(self, mutant: Mutant, requests: int) -> str | None:
        if as_checked(flatten(mutant.spec)) == self._seen_before:
            return None
        collecting = gc.isenabled()
        gc.disable()  # Millions of tuples and no cycle among them.
        try:
            if requests not in self._baselines:
                self._baselines[requests] = Baseline(self._original, self._venue, requests)
            baseline = self._baselines[requests]
            found = verify(mutant.spec, self._venue, requests, AT_MOST, only_first=True, baseline=baseline)
        finally:
            if collecting:
                gc.enable()
        return found.broken[0].name if found.broken else None


def verdict(said: Mapping[Catcher, str | None]) -> Verdict:
    """What follows from what each catcher said."""
    stages: tuple[tuple[Catcher, Stage], ...] = (
        ("lint", "lint"),
        ("verify", "verify"),
        ("bound", "verify"),
        ("paths", "paths"),
    )
    for catcher, stage in stages:
        by = said.get(catcher)
        if by is not None:
            return Verdict(stage, by)
    return Verdict("survived")


def next_asked(mutant: Mutant, said: Mapping[Catcher, str | None]) -> Catcher | None:
    """Who has to be asked next, after these; None when the verdict is clear."""
    catchers: tuple[Catcher, ...] = ("lint", "verify", "paths")
    for catcher in catchers:
        if catcher not in said:
            return catcher
        if said[catcher] is not None and not (catcher == "paths" and mutant.danger):
            return None
    return None if "bound" in said or mutant.unprovoked else "bound"


def as_checked(machine: Machine) -> str:
    """A digest of all that the checker sees of a machine: actions that mean nothing to it are not there, nor is how
    late a timer comes, nor which of two ways there is to do nothing."""
    spec = machine.spec
    telling = {
        name for name, action in spec.actions.items() if action.sets or action.books or action.plans or action.forgets
    }

    def told(actions: tuple[str, ...]) -> list[str]:
        return [name for name in actions if name in telling]

    return sha256(
        {
            "initial": spec.initial,
            "effects": {
                name: [effect.effect_class == "at_most_once", effect.outcomes, effect.after]
                for name, effect in spec.effects.items()
            },
            "phases": {
                name: [
                    told(phase.entry.do),
                    phase.entry.request,
                    phase.entry.raises,
                    told(phase.exit.do),
                    [phase.timeout.raises, phase.timeout.on_restore == "drop"] if phase.timeout else None,
                    phase.final,
                ]
                for name, phase in spec.phases.items()
            },
            "cells": {
                phase: {
                    event: [
                        [
                            branch.guards,
                            branch.to,
                            branch.history,
                            told(branch.do),
                            branch.request,
                            branch.raises,
                            branch.ignored is not None,
                            branch.report,
                            branch.reply,
                        ]
                        for branch in cell.branches
                    ]
                    or _word(spec, event, cell.kind)
                    for event, cell in cells.items()
                }
                for phase, cells in machine.cells.items()
            },
        }
    )


def _word(spec: Spec, event: str, kind: str) -> Any:
    """Only what the machine raises itself fails when it is rejected."""
    return "ignore" if kind == "reject" and not spec.events[event].internal else kind
