"""What the verdicts come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from codegen.mutation.campaign import Judged
from codegen.mutation.judge import Verdict
from codegen.mutation.mutants import Mutant
from codegen.mutation.operators import OPERATORS
from codegen.mutation.reasons import Kind, Reason


@dataclass(frozen=True, slots=True)
class Tally:
    """How many mutants there are, who noticed how many first, how many of those that nobody noticed are equivalent or
    harmless, how many that neither lint nor the checker noticed no consistent venue provokes, and how many that are not
    equivalent nobody noticed."""

    made: int
    lint: int
    verify: int
    paths: int
    survived: int
    equivalent: int
    harmless: int
    unprovoked: int
    missed: int

    @property
    def before(self) -> float:
        """The share noticed before any code runs, of those that are not equivalent."""
        return _share(self.lint + self.verify, self.made - self.equivalent)

    @property
    def provoked(self) -> float:
        """The same of those that a consistent venue can provoke."""
        return _share(self.lint + self.verify, self.made - self.equivalent - self.unprovoked)

    @property
    def caught(self) -> float:
        """The share noticed at all, of those that are not equivalent."""
        return _share(self.made - self.equivalent - self.missed, self.made - self.equivalent)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a script."""
        counts = {name: getattr(self, name) for name in self.__slots__}
        shares = {name: round(getattr(self, name), 4) for name in ("before", "provoked", "caught")}
        return {**counts, **shares}


@dataclass(frozen=True)
class Score:
    """Args:
    machine: its name.
    judged: the mutants and the verdicts.
    reasons: what is written by hand, by the key of the mutant.
    known: the keys of all mutants of the spec, also of those that were not asked for.
    """

    machine: str
    judged: Judged
    reasons: Mapping[str, Reason]
    known: frozenset[str]

    @cached_property
    def reached(self) -> tuple[Mutant, ...]:
        """The mutants that have a verdict."""
        return tuple(mutant for mutant in self.judged.mutants if mutant.key in self.judged.verdicts)

    @cached_property
    def unnoticed(self) -> tuple[Mutant, ...]:
        """The mutants that survive; a reason is due for each."""
        return tuple(mutant for mutant in self.reached if self.verdict(mutant).stage == "survived")

    @cached_property
    def unexplained(self) -> tuple[Mutant, ...]:
        """Mutants for which a reason is due and missing."""
        return tuple(mutant for mutant in self.unnoticed if mutant.key not in self.reasons)

    @cached_property
    def outdated(self) -> tuple[str, ...]:
        """Reasons for what is no mutant of the spec, or is noticed now."""
        noticed = {
            mutant.key: f"{one.stage} notices it now ({one.by})"
            for mutant in self.reached
            if (one := self.verdict(mutant)).stage != "survived"
        }
        noticed |= {key: "the spec has no such mutant" for key in self.reasons if key not in self.known}
        return tuple(f"{key}: {noticed[key]}" for key in self.reasons if key in noticed)

    @property
    def settled(self) -> bool:
        """Whether everything was judged and every mutant that nobody noticed has its reason."""
        return not (self.judged.stopped or self.unexplained or self.outdated)

    def verdict(self, mutant: Mutant) -> Verdict:
        """Of a mutant that was reached."""
        return self.judged.verdicts[mutant.key]

    def tally(self, counts: Callable[[Mutant], bool] = lambda _: True) -> Tally:
        """Of all mutants that were reached, or of those that count."""
        mutants = [mutant for mutant in self.reached if counts(mutant)]
        stages = [self.verdict(mutant).stage for mutant in mutants]
        missed = [
            mutant
            for mutant, stage in zip(mutants, stages, strict=True)
            if stage == "survived" and not self._is(mutant, "equivalent")
        ]
        return Tally(
            len(mutants),
            stages.count("lint"),
            stages.count("verify"),
            stages.count("paths"),
            stages.count("survived"),
            sum(self._is(mutant, "equivalent") for mutant in mutants),
            sum(self._is(mutant, "harmless") for mutant in mutants),
            sum(
                mutant.unprovoked and stage in ("paths", "survived") and not self._is(mutant, "equivalent")
                for mutant, stage in zip(mutants, stages, strict=True)
            ),
            len(missed),
        )

    def by_operator(self) -> dict[str, Tally]:
        """Each operator that made anything."""
        tallies = {one.id: self.tally(partial(_made_by, one.id)) for one in OPERATORS}
        return {name: tally for name, tally in tallies.items() if tally.made}

    def dangerous(self) -> Tally:
        """Those that could lose money or double an order."""
        return self.tally(lambda mutant: bool(mutant.danger))

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a script."""
        return {
            "machine": self.machine,
            "settled": self.settled,
            "stopped": self.judged.stopped,
            "all": self.tally().to_dict(),
            "dangerous": self.dangerous().to_dict(),
            "operators": {name: tally.to_dict() for name, tally in self.by_operator().items()},
            "unnoticed": [
                {
                    "mutant": mutant.key,
                    "file": mutant.file,
                    "line": mutant.line,
                    "column": mutant.column,
                    "edit": mutant.words,
                    "danger": mutant.danger,
                    "kind": reason.kind if (reason := self.reasons.get(mutant.key)) else None,
                    "reason": reason.why if reason else None,
                }
                for mutant in self.unnoticed
            ],
            "outdated": list(self.outdated),
        }

    def _is(self, mutant: Mutant, kind: Kind) -> bool:
        reason = self.reasons.get(mutant.key)
        return reason is not None and reason.kind == kind and self.verdict(mutant).stage == "survived"


def _made_by(operator: str, mutant: Mutant) -> bool:
    return mutant.operator == operator


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
