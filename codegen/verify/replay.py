"""What a replay needs of the specs in a trace: code to run, and what the claim asks of what is really there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from codegen.commands import CommandError, sound_machines
from codegen.expressions import Scope, understand
from codegen.flatten import flatten
from codegen.model import Spec
from codegen.python_files import python_files
from codegen.scope import scope
from codegen.verify.conditions import claim_names
from codegen.wording import did_you_mean, listed

Reality = tuple[str, Mapping[str, str], Sequence[tuple[str, str, bool]]]
"""The phase, the facts, and each order: its side, its phase at the venue, whether it has a fill that is not booked."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`free` are the guards without a condition, which answer as a trace says."""

    spec: Spec
    venue: Spec | None
    free: frozenset[str]

    def question(self, claim: str | None) -> Callable[[Reality], bool] | None:
        """Whether the claim does not hold in reality; None for one that is not about single states.

        Raises:
            CommandError: the spec makes no such claim.
        """
        known = claim_names(self.spec, self.venue)
        if claim is not None and claim not in known:
            raise CommandError(
                f"$.claim: `{self.spec.machine}` does not claim `{claim}`, so nothing could be asked at the end; "
                f"{did_you_mean(claim, known)}it claims: {listed(known)}. `phasewright verify` writes traces of "
                "what it finds."
            )
        states = scope(self.spec, self.venue, "state")
        if claim in self.spec.invariants:
            holds = understand(self.spec.invariants[claim].that, states).holds
            return lambda reality: not holds(_values(states, self.spec, self.venue, reality))
        never = [one.never for one in self.spec.properties if one.never is not None and claim == f"never {one.never}"]
        if never:
            happens = understand(never[0], states).holds
            return lambda reality: bool(happens(_values(states, self.spec, self.venue, reality)))
        return None


def unpack(texts: Mapping[str, str], machine: str, folder: FilePath) -> Unpacked:
    """Write the Python package `generated` of these specs into `folder`: as it comes from the templates, for a run.

    Raises:
        SpecError: a spec has errors.
        CommandError: there is no such machine among them, or a name leads out of the folder.
    """
    specs = folder / "spec"
    specs.mkdir(parents=True)
    for name, text in texts.items():
        if FilePath(name).name != name or FilePath(name).suffix not in (".yaml", ".yml"):
            raise CommandError(f"the trace has a spec with the name {name!r}; expected NAME.yaml")
        (specs / name).write_text(text, encoding="utf-8")
    machines = {one.spec.machine: one for one in sound_machines(specs)}
    if machine not in machines:
        raise CommandError(f"the trace is about `{machine}`, and its specs are {', '.join(machines) or 'none'}")
    for name, one in machines.items():
        for module, text in python_files(one).items():
            path = folder / "generated" / name / module
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    (folder / "generated" / "__init__.py").touch()
    spec = machines[machine].spec
    venue = machines[spec.venue.machine].spec if spec.venue is not None and spec.venue.machine in machines else None
    return Unpacked(spec, venue, free_guards(spec))


def free_guards(spec: Spec) -> frozenset[str]:
    """The guards whose answer the spec does not fix."""
    return frozenset(name for name, guard in spec.guards.items() if guard.when is None)


def _values(states: Scope, spec: Spec, venue: Spec | None, reality: Reality) -> dict[str, Any]:
    phase, facts, orders = reality
    values: dict[str, Any] = {"phase": tuple(spec.phases).index(phase)}
    values |= {name: spec.facts[name].index(value) for name, value in facts.items() if name in spec.facts}
    if venue is None or spec.venue is None:
        return values
    sides, words = states.functions["count"]
    groups = flatten(venue).group_phases

    def count(side: int, word: int) -> int:
        phases = groups.get(words[word], (words[word],))
        return sum(one[0] == sides[side] and one[1] in phases for one in orders)

    def unbooked(side: int) -> int:
        return sum(one[0] == sides[side] and one[2] for one in orders)

    return {**values, "count": count, "unbooked": unbooked}
