"""The pictures and the pages of a machine: a map of all phases, sheets for the groups of a large machine, a focus
diagram for each phase of one that is not, Mermaid, and Markdown."""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegen.diagrams.atlas import atlas
from codegen.diagrams.condensed import MapView, map_view, view_of
from codegen.diagrams.edges import ways
from codegen.diagrams.focus import Focus, focuses
from codegen.diagrams.focus_dot import focus_diagram
from codegen.diagrams.mermaid import mermaid
from codegen.diagrams.overview import overview
from codegen.diagrams.pages import pages
from codegen.diagrams.renderer import Edges, RendererError, draw, draw_svgs, tidy_svg
from codegen.diagrams.sheet_dot import sheet_diagram
from codegen.diagrams.straighten import straighten
from codegen.diagrams.style import clean
from codegen.model import Machine

__all__ = ["MOST_FOCUSED", "RendererError", "machine_svg", "render", "write_png"]

PNG_DPI = 144
# A machine of more phases has no focus diagrams among its files: nobody leafs through so many, and they take the time.
MOST_FOCUSED = 50


def render(machine: Machine) -> dict[str, str]:
    """The text of each file, by its path below the machine's folder. Raises RendererError."""
    note = f"Generated from {clean(machine.spec.source.name)}; do not edit. Run `make generate`."
    drawn = ways(machine)
    view = view_of(drawn)
    sheets = atlas(drawn, view)
    focused = focuses(machine) if len(machine.spec.phases) <= MOST_FOCUSED else {}
    source = overview(machine, view).source
    files = {
        "machine.dot": f"// {note}\n{source}",
        "machine.mmd": f"%% {note}\n{mermaid(machine, view)}",
        **pages(machine, sheets, focused),
        "machine.svg": _map_svg(source, view, note),
    }
    diagrams = {f"groups/{sheet.name}": (sheet_diagram(drawn, sheet).source, _edges(sheet.view)) for sheet in sheets}
    for phase, focus in focused.items():
        diagrams[f"phases/{phase}"] = (focus_diagram(machine, focus).source, _leaving(focus))
    svgs = draw_svgs([source for source, _ in diagrams.values()])
    for (path, (source, edges)), svg in zip(diagrams.items(), svgs, strict=True):
        files[f"{path}.dot"] = f"// {note}\n{source}"
        files[f"{path}.svg"] = tidy_svg(svg, note, edges)
    return files


def machine_svg(machine: Machine, note: str) -> str:
    """The map of a machine as SVG, with a comment. Raises RendererError."""
    view = map_view(machine)
    return _map_svg(overview(machine, view).source, view, note)


def write_png(machine: Machine, folder: Path, focus: Collection[str] = ()) -> list[Path]:
    """Writes every diagram, or only the focus diagrams of the phases in `focus`, as PNG into `folder`, which is made
    when it is missing; returns their paths. Raises RendererError and OSError."""
    sources: dict[str, tuple[str, bool]] = {}
    if not focus:
        drawn = ways(machine)
        view = view_of(drawn)
        sources["machine"] = (_placed(overview(machine, view).source), True)
        for sheet in atlas(drawn, view):
            sources[f"groups/{sheet.name}"] = (sheet_diagram(drawn, sheet).source, False)
    if focus or len(machine.spec.phases) <= MOST_FOCUSED:
        for phase, seen in focuses(machine, focus).items():
            sources[phase] = (focus_diagram(machine, seen).source, False)

    def write(name: str) -> Path:
        source, placed = sources[name]
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw(source, "png", placed=placed, dpi=PNG_DPI))
        return path

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(write, sources))


def _map_svg(source: str, view: MapView, note: str) -> str:
    return tidy_svg(draw(_placed(source), "svg", placed=True), note, _edges(view))


def _edges(view: MapView) -> Edges:
    return {edge.id: (f"{edge.tail}->{edge.head}", edge.branches) for edge in view.edges}


def _leaving(focus: Focus) -> Edges:
    return {
        f"out-{number}": (f"{focus.phase}->{row.target or row.history}", row.branches)
        for number, row in enumerate(focus.leaving, 1)
    }


def _placed(source: str) -> str:
    return straighten(draw(source, "dot").decode())
