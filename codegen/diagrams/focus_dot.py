"""The focus diagram: a phase as a card, where its rows come from at its left, where they lead to at its right.

All text stands in the cards, none on the edges, so that nothing overlaps however long the rows are.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphviz import Digraph

from codegen.diagrams import style
from codegen.diagrams.focus import Focus, FocusRow
from codegen.diagrams.style import EdgeKind, escaped, font, listed, plain, wrapped
from codegen.model import CellKind, Machine

CARD_CHARS = 44
SOURCE_CHARS = 36
TARGET_CHARS = 24
# In points, so that the cards of a column stand flush.
SOURCE_WIDTH = 172
TARGET_WIDTH = 136


def focus_diagram(machine: Machine, view: Focus) -> Digraph:
    """The focus diagram of a phase as DOT. Its edges out are `out-1`, `out-2`, ... in the order of `view.leaving`."""
    phase = view.phase
    graph = Digraph(
        f"{machine.spec.machine} {phase}",
        graph_attr={
            "rankdir": "LR",
            # Curves between tall columns weave through each other; lines that meet in one point cannot.
            "splines": "line",
            "nodesep": "0.16",
            "ranksep": "0.7",
            "pad": "0.1",
            "bgcolor": style.PAPER,
            "fontname": style.FONT,
            "tooltip": plain(machine.spec.phases[phase].summary),
        },
        node_attr={"shape": "plain", "fontname": style.FONT, "fontsize": "9", "fontcolor": style.INK},
        edge_attr={"arrowsize": "0.65"},
    )
    graph.node("focus", label=_card(machine, view), id=f"phase-{phase}")
    if phase == machine.spec.initial:
        graph.node("start", label="", shape="circle", style="filled", width="0.14", height="0.14", fillcolor=style.INK)
        graph.edge("start", "focus:top:w", color=style.INK)
    number = 0
    for place, source in enumerate(view.sources):
        name = f"from {place}"
        graph.node(name, label=_source_card(source.title, source.rows, place), tooltip=plain(", ".join(source.phases)))
        drawn: set[EdgeKind] = set()
        for row, entry in enumerate(source.rows):
            if entry.kind in drawn:
                continue
            drawn.add(entry.kind)
            number += 1
            graph.edge(f"{name}:row{row}:e", "focus:top:w", id=f"in-{number}", **_edge(entry))
    targets: dict[str, str] = {}
    for row, entry in enumerate(view.leaving):
        title = entry.target or f"{entry.history}, where it was left"
        if title not in targets:
            targets[title] = f"to {len(targets)}"
            graph.node(targets[title], label=_target_card(machine, phase, title, entry), tooltip=plain(title))
        graph.edge(f"focus:leave{row}:e", f"{targets[title]}:w", id=f"out-{row + 1}", **_edge(entry))
    return graph


def _edge(row: FocusRow) -> dict[str, str]:
    return {**style.edge_style(row.kind), "tooltip": plain(", ".join(row.events))}


def _card(machine: Machine, view: Focus) -> str:
    phase = machine.spec.phases[view.phase]
    groups = ", in ".join(machine.phase_groups[view.phase])
    head = [font(f"<b>{escaped(view.phase)}</b>", 13)]
    head += [font(line, 9, style.FAINT) for line in wrapped(phase.summary, CARD_CHARS + 4)]
    if groups:
        head.append(font(escaped(f"in {groups}"), 8, style.FAINT))
    error = any(row.kind is EdgeKind.ERROR for source in view.sources for row in source.rows)
    body = [_cell(head, port="top", line=False)]
    body += [_cell(lines) for lines in _nature(machine, view)]
    if view.staying:
        body.append(_heading("stays here"))
        body += [_cell(_row_lines(row, CARD_CHARS), line=False) for row in view.staying]
    if view.leaving:
        body.append(_heading("leaves"))
        body += [
            _cell(_row_lines(row, CARD_CHARS), port=f"leave{place}", line=False)
            for place, row in enumerate(view.leaving)
        ]
    body += [_cell(lines) for lines in _undone(view)]
    colour = style.COLOURS[EdgeKind.HAPPY if view.phase in machine.spec.happy_path else EdgeKind.PLAIN]
    return _table(body, colour, style.ERROR_FILL if error else style.PAPER, border=2)


def _nature(machine: Machine, view: Focus) -> Iterable[list[str]]:
    """What the phase does by itself: on entry, on exit, after a time, and why it may wait."""
    phase = machine.spec.phases[view.phase]
    entry = _deeds(phase.entry.do, phase.entry.request, phase.entry.raises)
    if entry:
        yield _labelled("on entry", entry)
    if phase.exit.do:
        yield _labelled("on exit", _deeds(phase.exit.do, (), ()))
    if phase.timeout:
        timeout = phase.timeout
        after = f"{timeout.after} ({machine.spec.config[timeout.after].default})"
        since = f" since {timeout.since}" if timeout.since else ""
        restore = timeout.on_restore.replace("_", " ")
        text = f"{after}{since} raises {timeout.raises}; on restore: {restore}"
        yield _labelled("timer", [text], style.COLOURS[EdgeKind.TIMEOUT])
    if phase.waits_for is not None:
        yield _labelled("waits for", [phase.waits_for])
    if phase.final:
        yield _labelled("final", ["nothing follows"])


def _labelled(label: str, texts: Iterable[str], colour: str = style.INK) -> list[str]:
    lines = [line for text in texts for line in wrapped(f"{label}: {text}", CARD_CHARS + 4)]
    return [font(line, 9, colour) for line in lines]


def _deeds(do: Iterable[str], request: Iterable[str], raises: Iterable[str]) -> list[str]:
    parts = [("", do), ("request ", request), ("raise ", raises)]
    texts = [f"{verb}{', '.join(names)}" for verb, names in parts if names]
    return ["; ".join(texts)] if texts else []


def _row_lines(row: FocusRow, width: int, *, arriving: bool = False) -> list[str]:
    colour = style.COLOURS[row.kind] if row.kind in (EdgeKind.ERROR, EdgeKind.HAPPY) else style.INK
    if row.is_timer:
        colour = style.COLOURS[EdgeKind.TIMEOUT]
    lines = [font(f"<b>{line}</b>", 9, colour) for line in listed(row.events, width - 6)]
    marks = [row.order] if row.order else []
    if row.is_timer:
        marks.append("timer")
    if row.origin.kind == "group":
        marks.append(f"from {row.origin.name}")
    if row.origin.kind == "event":
        marks.append("otherwise")
    if arriving and row.history is not None:
        marks.append("if it was left here")
    if marks:
        lines[-1] += font(f"  {escaped(', '.join(marks))}", 8, style.FAINT)
    if row.conditions:
        lines += [font(line, 9) for line in wrapped(f"[{' and '.join(row.conditions)}]", width)]
    for text in _deeds(row.do, row.request, row.raises):
        lines += [font(line, 9, style.FAINT) for line in wrapped(f"/ {text}", width)]
    return lines


def _undone(view: Focus) -> Iterable[list[str]]:
    words: dict[CellKind, str] = {"defer": "deferred", "ignore": "ignored", "reject": "rejected"}
    for kind, events in view.undone.items():
        texts = [f"{words[kind]}: {', '.join(events)}"] if events else []
        if kind == "ignore":
            for row in view.ignored:
                when = "otherwise" if row.conditions == ("else",) else f"when {' and '.join(row.conditions)}"
                texts.append(f"ignored {when}: {', '.join(row.events)}")
        if texts:
            yield [font(line, 8, style.FAINT) for text in texts for line in wrapped(text, CARD_CHARS + 8)]


def _source_card(title: str, rows: Iterable[FocusRow], place: int) -> str:
    head = [font(f"<b>{line}</b>", 10) for line in wrapped(title, SOURCE_CHARS - 8)]
    body = [_cell(head, line=False, width=SOURCE_WIDTH)]
    for number, row in enumerate(rows):
        body.append(_cell(_row_lines(row, SOURCE_CHARS, arriving=True), port=f"row{number}", line=number > 0))
    return _table(body, style.COLOURS[EdgeKind.PLAIN], style.PHASE_FILL)


def _target_card(machine: Machine, phase: str, title: str, row: FocusRow) -> str:
    if row.target is None:
        text = machine.spec.groups[row.history or ""].summary
    else:
        text = "again: exit and entry run" if row.target == phase else machine.spec.phases[row.target].summary
    lines = [font(f"<b>{line}</b>", 10) for line in wrapped(title, TARGET_CHARS)]
    lines += [font(line, 8, style.FAINT) for line in wrapped(text, TARGET_CHARS + 4)]
    error = row.kind is EdgeKind.ERROR
    body = [_cell(lines, line=False, width=TARGET_WIDTH)]
    if error:
        return _table(body, style.COLOURS[EdgeKind.ERROR], style.ERROR_FILL)
    return _table(body, style.COLOURS[EdgeKind.PLAIN], style.PHASE_FILL)


def _heading(text: str) -> str:
    return _cell([font(escaped(text), 8, style.FAINT)], fill=style.GROUP_FILLS[1], line=False, pad=2)


def _cell(
    lines: Iterable[str], *, port: str = "", fill: str = "", line: bool = True, pad: int = 4, width: int = 0
) -> str:
    attributes = f' port="{port}"' if port else ""
    attributes += f' bgcolor="{fill}"' if fill else ""
    attributes += f' width="{width}"' if width else ""
    attributes += f' border="1" sides="t" color="{style.RULE}"' if line else ' border="0"'
    text = "".join(f'{each}<br align="left"/>' for each in lines)
    return f'<tr><td align="left" balign="left" cellpadding="{pad}"{attributes}>{text}</td></tr>'


def _table(cells: Iterable[str], colour: str, fill: str, *, border: int = 1) -> str:
    return (
        f'<<table border="{border}" style="rounded" color="{colour}" bgcolor="{fill}" cellborder="0"'
        f' cellspacing="0" cellpadding="4">{"".join(cells)}</table>>'
    )
