"""One broken claim as an HTML page that needs nothing else: the story in words and in two drawings."""

from __future__ import annotations

from codegen.counterexamples.happenings import happenings
from codegen.counterexamples.mermaid import mermaid_sequence
from codegen.counterexamples.path import path_on_map
from codegen.counterexamples.sequence import sequence
from codegen.counterexamples.templates import filled
from codegen.model import Machine, Spec
from codegen.verify.result import Broken

GENERATOR = "phasewright verify"


def page(machine: Machine, venue: Spec | None, broken: Broken, drawn_map: str) -> str:
    """The page of a claim with at least one step.

    Args:
        drawn_map: the map of the machine as SVG.
    """
    told = happenings(machine, venue, broken.steps)
    first = broken.steps[0].phase_before
    return filled(
        "counterexample.html.j2",
        generator=GENERATOR,
        machine=machine.spec.machine,
        broken=broken,
        sequence=sequence(machine, told, first, broken.loss, broken.ending),
        mermaid=mermaid_sequence(machine, told, first, broken.loss),
        path=path_on_map(machine, drawn_map.partition("?>")[2], broken.steps),
    )
