"""Colours, fonts and text of every diagram.

The colours are apart in lightness as well as in hue and each kind of edge also has its own stroke, so that the
diagrams survive grey printing and colour blindness. The page is white on purpose: a reader in dark mode sees a card.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

# The renderer knows the widths of this family, and it ships a font of the same widths for PNG.
FONT = "Helvetica"
# What browsers are asked for instead: every one of these has those widths.
SVG_FONTS = "Helvetica, Arial, 'Liberation Sans', Arimo, sans-serif"

INK = "#1f2933"
FAINT = "#5b6875"
RULE = "#c3ccd6"
PAPER = "#ffffff"
PHASE_FILL = "#f4f8fc"
GROUP_FILLS = ("#fafbfd", "#f0f3f7", "#e7ecf2")
ERROR_FILL = "#fdf2f1"


class EdgeKind(StrEnum):
    """What an edge means; the most telling kind wins when rows are drawn as one."""

    HAPPY = "happy"
    ERROR = "error"
    TIMEOUT = "timeout"
    PLAIN = "plain"


COLOURS = {
    EdgeKind.HAPPY: "#1d5a96",
    EdgeKind.ERROR: "#b3261e",
    EdgeKind.TIMEOUT: "#9a5b00",
    EdgeKind.PLAIN: "#64748b",
}
STROKES: dict[EdgeKind, dict[str, str]] = {
    EdgeKind.HAPPY: {"penwidth": "2.4"},
    EdgeKind.ERROR: {"penwidth": "0.8"},
    EdgeKind.TIMEOUT: {"penwidth": "1.1", "style": "dashed"},
    EdgeKind.PLAIN: {"penwidth": "1.1"},
}


def edge_style(kind: EdgeKind) -> dict[str, str]:
    return {"color": COLOURS[kind], "class": kind.value, **STROKES[kind]}


def clean(text: str) -> str:
    """One line of printable characters: what may stand in DOT, XML and Markdown once it is escaped."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def escaped(text: str) -> str:
    """`text` for an HTML-like label or for XML."""
    return html.escape(clean(text))


def plain(text: str) -> str:
    """`text` for a DOT attribute that is not an HTML-like label; lines stay apart. The renderer decodes entities, and
    may expand escapes more than once, so a backslash becomes the character that looks like it."""
    return "&#10;".join(escaped(line).replace("\\", "\N{REVERSE SOLIDUS OPERATOR}") for line in text.splitlines())


def font(text: str, size: int, colour: str = INK) -> str:
    """`text`, which is escaped already, in a size (whole points: the renderer drops the rest) and a colour."""
    return f'<font point-size="{size}" color="{colour}">{text}</font>'


@lru_cache(maxsize=10_000)
def wrapped(text: str, width: int) -> tuple[str, ...]:
    """`text` in escaped lines of at most `width` characters (a longer word stays whole)."""
    return tuple(html.escape(line) for line in textwrap.wrap(clean(text), width, break_long_words=False))


def listed(names: Iterable[str], width: int) -> tuple[str, ...]:
    """Names, separated by commas, in escaped lines of at most `width` characters."""
    return wrapped(", ".join(names), width)
