"""Draws DOT with the renderer that the wheel `graphviz-pure` installs, so that no system package is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import graphviz
from graphviz.backend import dot_command

from codegen.diagrams import style

RENDERER = "graphviz-pure"
Edges = Mapping[str, tuple[str, Sequence[str]]]
"""For each edge that has an id, its title and the branches that it stands for."""
# How many graphs are handed to one process: enough to make up for its start, few enough to share the work out.
_BATCH = 10


class RendererError(Exception):
    """The renderer is missing or refused a diagram. The message says what to do."""


def renderer_path() -> Path:
    """The renderer beside the running Python, else on PATH. Raises RendererError."""
    beside = Path(sys.executable).parent
    found = shutil.which(RENDERER, path=str(beside)) or shutil.which(RENDERER)
    if found is None:
        raise RendererError(
            f"the diagram renderer `{RENDERER}` is neither in {beside} nor on PATH, so no diagram can be drawn; "
            f"install the locked dependencies (`make install`) or `pip install {RENDERER}`"
        )
    return Path(found)


def draw(source: str, output: str, *, placed: bool = False, dpi: int | None = None) -> bytes:
    """DOT drawn as `svg` or `png`, or as `dot` with coordinates; `placed` DOT keeps the coordinates it has.
    Raises RendererError."""
    if dpi is not None:
        source = source.replace("{\n", f"{{\n\tgraph [dpi={dpi}]\n", 1)
    dot_command.DOT_BINARY = renderer_path()
    engine, no_op = ("neato", 2) if placed else ("dot", None)
    try:
        drawn: bytes = graphviz.pipe(engine, output, source.encode(), neato_no_op=no_op, quiet=True)
    except (OSError, subprocess.CalledProcessError, graphviz.ExecutableNotFound) as error:
        said = getattr(error, "stderr", None)
        detail = said.decode(errors="replace").strip() if said else str(error)
        raise RendererError(f"`{RENDERER}` could not draw {source.split('{', 1)[0].strip()}: {detail}") from error
    return drawn


def draw_svgs(sources: Sequence[str]) -> list[bytes]:
    """Many graphs as SVG, in their order: several to a process of the renderer, and a process to each processor.
    Raises RendererError."""
    batches = [sources[start : start + _BATCH] for start in range(0, len(sources), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return [drawn for batch in pool.map(_draw_batch, batches) for drawn in batch]


def _draw_batch(sources: Sequence[str]) -> list[bytes]:
    start = b"<?xml "
    try:
        together = draw("\n".join(sources), "svg").split(start)[1:]
    except RendererError:
        together = []
    if len(together) != len(sources):
        # One by one, the message names the graph that could not be drawn.
        return [draw(source, "svg") for source in sources]
    return [start + drawn for drawn in together]


def tidy_svg(drawn: bytes, note: str, edges: Edges) -> str:
    """The renderer's SVG without what depends on its version, and with fonts that browsers have. Each edge whose id is
    in `edges` gets the title and, as its attribute `data-branches`, the branches given there."""
    text = drawn.decode()
    text = re.sub(r"<!DOCTYPE.*?>\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = text.replace("&#45;", "-")
    text = re.sub(r'font-family="[^"]*"', f'font-family="{style.SVG_FONTS}"', text)
    text = _EDGE.sub(lambda edge: _described(edge, edges), text)
    declaration, rest = text.split("?>\n", 1)
    return f"{declaration}?>\n<!-- {note.replace('--', '- -')} -->\n{rest}"


_EDGE = re.compile(r'<g id="([^"]+)" class="(edge[^"]*)">\n<title>[^<]*</title>')


def _described(edge: re.Match[str], edges: Edges) -> str:
    if edge[1] not in edges:
        return edge[0]
    title, branches = edges[edge[1]]
    listed = " ".join(branches)
    return f'<g id="{edge[1]}" class="{edge[2]}" data-branches="{listed}">\n<title>{style.escaped(title)}</title>'
