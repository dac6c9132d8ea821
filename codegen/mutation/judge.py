"""Who notices a mutant: lint, else the checker, else the paths that are played with its generated code."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from codegen.flatten import flatten
from codegen.model import Machine, Spec
from codegen.mutation.mutants import Mutant, sha256
from codegen.verify.check import UNDER_WAY, verify

FEW = 1
"""With so few requests under way nearly everything is found, in a tenth of the time."""
AT_MOST = 400_000
"""States of a mutant. None that anybody notices comes near it."""

Catcher = Literal["lint", "verify", "paths"]
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

    def __init__(self, original: Spec, venue: Spec | None, play: Play | None, requests: int = UNDER_WAY) -> None:
        self._venue = venue
        self._play = play
        self._bounds = sorted({min(FEW, requests), requests}) if venue is not None else [requests]
        self._seen_before = as_checked(flatten(original))

    def judge(self, mutant: Mutant, known: Mapping[Catcher, str | None]) -> dict[Catcher, str | None]:
        """What each catcher says, up to the first that notices anything. `known` is what some said before."""
        said: dict[Catcher, str | None] = {}
        catchers: tuple[tuple[Catcher, Callable[[Mutant], str | None]], ...] = (
            ("lint", self._lint),
            ("verify", self._verify),
            ("paths", self._paths),
        )
        for name, ask in catchers:
            said[name] = known[name] if name in known else ask(mutant)
            if said[name] is not None:
                break
        return said

    def _lint(self, mutant: Mutant) -> str | None:
        return ", ".join(mutant.errors) or None

    def _verify(self, mutant: Mutant) -> str | None:
        if as_checked(flatten(mutant.spec)) == self._seen_before:
            return None
        collecting = gc.isenabled()
        gc.disable()  # Millions of tuples and no cycle among them.
        try:
            for bound in self._bounds:
                found = verify(mutant.spec, self._venue, bound, AT_MOST, only_first=True)
                if found.broken:
                    return found.broken[0].name
        finally:
            if collecting:
                gc.enable()
        return None

    def _paths(self, mutant: Mutant) -> str | None:
        return self._play(flatten(mutant.spec)) if self._play is not None else None


def verdict(said: Mapping[Catcher, str | None]) -> Verdict:
    """What follows from what each catcher said."""
    for name, by in said.items():
        if by is not None:
            return Verdict(name, by)
    return Verdict("survived")


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
