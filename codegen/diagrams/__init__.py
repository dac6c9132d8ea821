"""The pictures and the page of a machine: a map of all phases, a focus diagram for each, Mermaid, and Markdown."""

from __future__ import annotations

from pathlib import Path

from codegen.diagrams.edges import map_edges
from codegen.diagrams.overview import overview
from codegen.diagrams.renderer import RendererError, draw, tidy_svg
from codegen.diagrams.straighten import straighten
from codegen.model import Machine

__all__ = ["RendererError", "render", "write_png"]

PNG_DPI = 144


def render(machine: Machine) -> dict[str, str]:
    """The text of each file, by its path below the machine's folder. Raises RendererError."""
    note = f"Generated from {machine.spec.source.name}; do not edit. Run `make generate`."
    branches = {edge.id: edge.branches for edge in map_edges(machine)}
    source = overview(machine).source
    return {
        "machine.dot": f"// {note}\n{source}",
        "machine.svg": tidy_svg(draw(_placed(source), "svg", placed=True), note, branches),
    }


def write_png(machine: Machine, folder: Path) -> list[Path]:
    """Writes every diagram as a PNG into `folder`, which is made when it is missing; returns their paths.
    Raises RendererError and OSError."""
    raise NotImplementedError


def _placed(source: str) -> str:
    return straighten(draw(source, "dot").decode())
