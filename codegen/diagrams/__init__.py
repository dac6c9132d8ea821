"""The pictures and the page of a machine: a map of all phases, a focus diagram for each, Mermaid, and Markdown."""

from __future__ import annotations

from pathlib import Path

from codegen.diagrams.condensed import map_view
from codegen.diagrams.focus import focuses
from codegen.diagrams.focus_dot import focus_diagram
from codegen.diagrams.mermaid import mermaid
from codegen.diagrams.overview import overview
from codegen.diagrams.page import page
from codegen.diagrams.renderer import RendererError, draw, draw_svgs, tidy_svg
from codegen.diagrams.straighten import straighten
from codegen.diagrams.style import clean
from codegen.model import Machine

__all__ = ["RendererError", "machine_svg", "render", "write_png"]

PNG_DPI = 144


def render(machine: Machine) -> dict[str, str]:
    """The text of each file, by its path below the machine's folder. Raises RendererError."""
    note = f"Generated from {clean(machine.spec.source.name)}; do not edit. Run `make generate`."
    files = {
        "machine.dot": f"// {note}\n{overview(machine).source}",
        "machine.mmd": f"%% {note}\n{mermaid(machine)}",
        "README.md": page(machine),
        "machine.svg": machine_svg(machine, note),
    }
    views = focuses(machine)
    sources = [focus_diagram(machine, view).source for view in views.values()]
    for (phase, view), source, drawn in zip(views.items(), sources, draw_svgs(sources), strict=True):
        leaving = {
            f"out-{number}": (f"{phase}->{row.target or row.history}", row.branches)
            for number, row in enumerate(view.leaving, 1)
        }
        files[f"phases/{phase}.dot"] = f"// {note}\n{source}"
        files[f"phases/{phase}.svg"] = tidy_svg(drawn, note, leaving)
    return files


def machine_svg(machine: Machine, note: str) -> str:
    """The map of a machine as SVG, with a comment. Raises RendererError."""
    edges = {edge.id: (f"{edge.tail}->{edge.head}", edge.branches) for edge in map_view(machine).edges}
    return tidy_svg(draw(_placed(overview(machine).source), "svg", placed=True), note, edges)


def write_png(machine: Machine, folder: Path) -> list[Path]:
    """Writes every diagram as a PNG into `folder`, which is made when it is missing; returns their paths.
    Raises RendererError and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"machine": draw(_placed(overview(machine).source), "png", placed=True, dpi=PNG_DPI)}
    for phase, view in focuses(machine).items():
        drawings[phase] = draw(focus_diagram(machine, view).source, "png", dpi=PNG_DPI)
    written = []
    for name, drawing in drawings.items():
        path = folder / f"{name}.png"
        path.write_bytes(drawing)
        written.append(path)
    return written


def _placed(source: str) -> str:
    return straighten(draw(source, "dot").decode())
