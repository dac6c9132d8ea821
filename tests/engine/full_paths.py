"""The generated paths of the trading machine with everything that the checker knows after each step."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from codegen.commands import sound_machines
from codegen.model import Spec
from codegen.verify.check import UNDER_WAY
from codegen.verify.paths_file import short
from codegen.verify.trace import Tracer
from codegen.verify.world import State, World
from engine.rehearsal.trace import Trace, decode_trace

ROOT = Path(__file__).parents[2]
Steps = list[dict[str, Any]]


class _EveryStep(World):
    """Which does not pass over steps that come to the same as others."""

    def _is_new(self, key: Any) -> bool:
        return True


class Checker(NamedTuple):
    """The checker's world of the project's own trading machine."""

    spec: Spec
    world: World
    tracer: Tracer


@cache
def checker(*, every_step: bool = False) -> Checker:
    machines = {machine.spec.machine: machine.spec for machine in sound_machines(ROOT / "spec")}
    spec, venue = machines["trading"], machines["venue"]
    world = (_EveryStep if every_step else World)(spec, venue, UNDER_WAY)
    return Checker(spec, world, Tracer(spec, venue, world))


def generated_paths() -> list[dict[str, Any]]:
    """Those that a consistent exchange provokes."""
    found = json.loads((ROOT / "generated" / "trading" / "paths.json").read_text(encoding="utf-8"))["paths"]
    return [path for path in found if path["with_exchange"]]


def completed(path: dict[str, Any]) -> Trace | None:
    """The path with what its file leaves out; None when the checker knows no such way."""
    for one in (checker(), checker(every_step=True)):
        steps = _completed(one, path["steps"], one.world.initial)
        if steps is not None:
            return as_trace(steps)
    return None


def as_trace(steps: Steps) -> Trace:
    """These steps as a file would hold them."""
    return decode_trace(json.dumps({"trace": 1, "machine": "trading", "steps": steps}).encode())


def _completed(one: Checker, steps: Steps, state: State) -> Steps | None:
    if not steps:
        return []
    wanted, left = steps[0], steps[1:]
    if wanted["kind"] == "stale":
        # It changes nothing, and is none of the checker's own steps.
        rest = _completed(one, left, state)
        return None if rest is None else [{**wanted, "after": one.tracer.after(state)}, *rest]
    for step, after, _ in one.world.in_every_way().next(state):
        if step.kind != wanted["kind"] or step.event != wanted.get("event", ""):
            continue
        full = one.tracer.step(step, after)
        if short(full) == wanted and (rest := _completed(one, left, after)) is not None:
            return [full, *rest]
    return None
