"""The machine's page in Markdown: its diagrams, and every row, event, effect and knob as a table. Of a large machine,
the phases that are drawn on a sheet have their rows on a page beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.diagrams.atlas import Sheet
from codegen.diagrams.edges import from_event
from codegen.diagrams.sheet_dot import summary_of, title_of
from codegen.diagrams.style import clean
from codegen.model import Cell, CellKind, Effect, Event, Knob, Machine

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_LIST_MARK = re.compile(r"^(\d+)([.)])|^([-+=])")


_PHASE_COLUMNS = ("phase", "what it is", "timer", "may wait for")
_UNDONE: dict[CellKind, str] = {"defer": "kept for the next phase", "ignore": "ignored", "reject": "rejected"}


README = "README.md"


@dataclass(frozen=True, slots=True)
class _Layout:
    machine: Machine
    sheets: Mapping[str, Sheet]
    focused: Collection[str]
    """The phases that have a focus diagram."""
    page_of: Mapping[str, str]
    """On which page each phase has its rows."""
    above: Mapping[str, str]
    """The sheet on which each box is closed; none for those of the map."""

    def phase(self, phase: str, page: str) -> str:
        """A link to a phase."""
        return f"[{_text(phase)}]({_to(self.page_of[phase], page)}#{phase.lower()})"

    def sheet(self, name: str, page: str) -> str:
        """A link to a sheet's page."""
        return f"[{_text(title_of(name))}]({_to(_page(name), page)})"


def pages(machine: Machine, sheets: Sequence[Sheet] = (), focused: Collection[str] = ()) -> dict[str, str]:
    """The text of README.md and of a page for each sheet, by their paths. `focused` phases have a focus diagram."""
    page_of = dict.fromkeys(machine.spec.phases, README)
    for sheet in sheets:
        page_of |= {phase: _page(sheet.name) for phase in sheet.phases if sheet.view.box[phase] == phase}
    above = {box: sheet.name for sheet in sheets for box in sheet.view.closed}
    layout = _Layout(machine, {sheet.name: sheet for sheet in sheets}, focused, page_of, above)
    return {README: _readme(layout), **{_page(sheet.name): _sheet_page(layout, sheet) for sheet in sheets}}


def _page(sheet: str) -> str:
    return f"groups/{sheet}.md"


def _to(target: str, page: str) -> str:
    """The path of a page or picture as it is written on a page; nothing for the page itself."""
    if target == page:
        return ""
    if page == README:
        return target
    return target.removeprefix("groups/") if target.startswith("groups/") else f"../{target}"


def _written(machine: Machine) -> str:
    source = clean(machine.spec.source.name)
    return f"<!-- Generated from {source.replace('--', '- -')}; do not edit. Run `make generate`. -->"


def _sheet_page(layout: _Layout, sheet: Sheet) -> str:
    machine, page = layout.machine, _page(sheet.name)
    above = layout.above.get(sheet.name)
    up = layout.sheet(above, page) if above else f"[{_text(machine.spec.machine)}]({_to(README, page)})"
    title = title_of(sheet.name)
    lines = [
        _written(machine),
        f"# {_text(title)}",
        "",
        f"{_text(summary_of(machine, sheet.name))} Within {up}.",
        "",
        f"![The map of {title}]({sheet.name}.svg)",
        "",
        *_boxes(layout, "Within it", sheet.view.closed, page),
    ]
    shown = [phase for phase in sheet.phases if sheet.view.box[phase] == phase]
    if shown:
        lines += _section("Phases", _PHASE_COLUMNS, _phases(layout, shown, page))
    for phase in shown:
        lines += _phase(layout, phase, page)
    return "\n".join(lines).rstrip() + "\n"


def _boxes(layout: _Layout, title: str, names: Iterable[str], page: str) -> Iterator[str]:
    """The closed boxes of a map, each with its page."""
    rows = (
        [layout.sheet(name, page), _text(summary_of(layout.machine, name)), *_extent(layout.sheets[name])]
        for name in names
    )
    return _section(title, ["group", "what it is", "phases", "from", "to"], rows)


def _extent(sheet: Sheet) -> Iterator[str]:
    yield str(len(sheet.phases))
    yield from ((_text(sheet.phases[0]), _text(sheet.phases[-1])) if sheet.part_of else ("", ""))


def _readme(layout: _Layout) -> str:
    machine = layout.machine
    spec = machine.spec
    lines = [
        _written(machine),
        f"# {_text(spec.machine)}",
        "",
        _text(spec.summary),
        "",
        f"*This page and the diagrams are generated from {_code(clean(spec.source.name))} by `make generate`; "
        "do not edit them.*",
        "",
        f"![The map of {spec.machine}](machine.svg)",
        "",
        *_boxes(layout, "Groups", (sheet.name for sheet in layout.sheets.values() if not sheet.part_of), README),
        *_section("Phases", _PHASE_COLUMNS, _phases(layout, spec.phases, README)),
    ]
    for phase in spec.phases:
        if layout.page_of[phase] == README:
            lines += _phase(layout, phase, README)
    lines += _section("Events", ["event", "meaning", "from", "payload", "identity"], _events(machine))
    lines += _section(
        "Effects",
        ["effect", "meaning", "class", "arguments", "outcomes", "retry", "window"],
        ([_code(name), *_effect(effect)] for name, effect in spec.effects.items()),
    )
    lines += _section(
        "Retry policies",
        ["policy", "attempts", "first pause", "factor", "longest pause"],
        (
            [_code(name), *map(_code, (each.max_attempts, each.base_delay, each.factor, each.max_delay))]
            for name, each in spec.policies.items()
        ),
    )
    lines += _section(
        "Guards", ["guard", "holds when"], ([_code(name), _text(each.summary)] for name, each in spec.guards.items())
    )
    lines += _section(
        "Actions", ["action", "does"], ([_code(name), _text(each.summary)] for name, each in spec.actions.items())
    )
    lines += _section(
        "Data",
        ["datum", "type", "meaning"],
        ([_code(name), _code(each.type), _text(each.summary)] for name, each in spec.data.items()),
    )
    lines += _section(
        "Configuration",
        ["knob", "environment", "type", "default", "range", "meaning"],
        ([_code(name), *_knob(knob)] for name, knob in spec.config.items()),
    )
    return "\n".join(lines).rstrip() + "\n"


def _phases(layout: _Layout, names: Iterable[str], page: str) -> Iterator[list[str]]:
    machine = layout.machine
    for name in names:
        phase = machine.spec.phases[name]
        timer = ""
        if phase.timeout:
            timer = f"{_code(machine.spec.config[phase.timeout.after].default)}, then {_code(phase.timeout.raises)}"
        waits = _text(phase.waits_for) if phase.waits_for is not None else ""
        yield [layout.phase(name, page), _text(phase.summary), timer, waits]


def _phase(layout: _Layout, name: str, page: str) -> Iterator[str]:
    machine = layout.machine
    phase = machine.spec.phases[name]
    yield f"### {_text(name)}"
    yield ""
    groups = machine.phase_groups[name]
    yield _text(phase.summary) + (f" In {', in '.join(map(_code, groups))}." if groups else "")
    yield ""
    if name in layout.focused:
        yield f"![{name}, its rows in and its rows out]({_to(f'phases/{name}.svg', page)})"
        yield ""
    facts = []
    for verb, names in (("does", phase.entry.do), ("requests", phase.entry.request), ("raises", phase.entry.raises)):
        if names:
            facts.append(f"- Entry {verb} {_codes(names)}.")
    if phase.exit.do:
        facts.append(f"- Exit does {_codes(phase.exit.do)}.")
    if phase.timeout:
        timeout = phase.timeout
        since = f", counted from {_code(timeout.since)}" if timeout.since else ""
        default = machine.spec.config[timeout.after].default
        restore = timeout.on_restore.replace("_", " ")
        facts.append(
            f"- After {_code(timeout.after)} ({_code(default)}{since}) its timer raises {_code(timeout.raises)};"
            f" on restore: {restore}."
        )
    if phase.waits_for is not None:
        facts.append(f"- It may wait for ever for: {_text(phase.waits_for)}")
    if phase.final:
        facts.append("- It is final.")
    if facts:
        yield from [*facts, ""]
    cells = machine.cells[name]
    rows = [row for event, cell in cells.items() for row in _rows(layout, name, event, cell, page)]
    yield from _table(["event", "when", "to", "actions", "requests", "raises", "decided by"], rows)
    idle = [
        [_code(event), _UNDONE[cell.kind], _text(cell.reason)]
        for event, cell in cells.items()
        if cell.kind != "branches"
    ]
    if idle:
        yield f"<details><summary>{len(idle)} events change nothing here</summary>"
        yield ""
        yield from _table(["event", "what becomes of it", "why"], idle)
        yield "</details>"
        yield ""


def _rows(layout: _Layout, phase: str, event: str, cell: Cell, page: str) -> Iterator[list[str]]:
    for index, branch in enumerate(cell.branches):
        order = f" {index + 1}/{len(cell.branches)}" if len(cell.branches) > 1 else ""
        guards = [_code(guard) if expected else f"not {_code(guard)}" for guard, expected in branch.guards]
        when = " and ".join(guards) or ("else" if index else "")
        if branch.to is not None:
            target = layout.phase(branch.to, page)
        elif branch.history is not None:
            target = f"{_code(branch.history)}, where it was left"
        else:
            target = "stays" if branch.ignored is None else f"ignored: {_text(branch.ignored)}"
        by = _code(cell.origin.name) if cell.origin.kind == "group" else ""
        if from_event(layout.machine, phase, event, cell, index):
            by = "the event's `otherwise`"
        yield [
            f"{_code(event)}{order}",
            when,
            target,
            _codes(branch.do),
            _codes(branch.request),
            _codes(branch.raises),
            by,
        ]


def _events(machine: Machine) -> Iterator[list[str]]:
    for name, event in machine.spec.events.items():
        payload = ", ".join(_code(f"{field}: {kind}") for field, kind in event.payload.items())
        identity = "" if event.identity is None else _codes(event.identity) or "once"
        yield [_code(name), _text(event.summary), ", ".join(_origins(machine, name, event)), payload, identity]


def _origins(machine: Machine, name: str, event: Event) -> Iterator[str]:
    if event.internal:
        yield "the machine"
    if name == machine.spec.error_event:
        yield "whatever fails"
    if name in machine.timer_events:
        yield "a timer"
    effects = [effect for effect, each in machine.spec.effects.items() if name in each.outcomes.values()]
    if effects:
        yield _codes(effects)
    raised = event.internal or name == machine.spec.error_event or name in machine.timer_events
    if not raised and not effects:
        yield "outside"


def _effect(effect: Effect) -> list[str]:
    arguments = [f"optional {name}" if optional else name for name, optional in effect.arguments]
    outcomes = ", ".join(f"{_text(outcome)}: {_code(event)}" for outcome, event in effect.outcomes.items())
    return [
        _text(effect.summary),
        _text(effect.effect_class.replace("_", " ")),
        _codes(arguments),
        outcomes,
        _code(effect.retry) if effect.retry else "",
        _code(effect.window) if effect.window else "",
    ]


def _knob(knob: Knob) -> list[str]:
    limits = [f"from {_code(knob.min)}"] if knob.min is not None else []
    limits += [f"to {_code(knob.max)}"] if knob.max is not None else []
    return [
        _code(knob.env) if knob.env else "",
        _code(knob.type),
        _code(knob.default),
        " ".join(limits),
        _text(knob.summary),
    ]


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = list(_table(header, rows))
    if table:
        yield from [f"## {title}", "", *table]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table without the columns that no row fills; nothing when there is no row."""
    rows = list(rows)
    if not rows:
        return
    used = [column for column in range(len(header)) if any(row[column] for row in rows)]
    for row in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(row[column] for column in used)} |"
    yield ""


def _text(text: str) -> str:
    """`text` as Markdown that shows it as it is, in a table too."""
    shown = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LIST_MARK.sub(lambda mark: f"{mark[1] or ''}\\{mark[2] or mark[3]}", _SPECIAL.sub(r"\\\1", shown))


def _code(value: object) -> str:
    """`value` as a code span, in a table too."""
    return f"`{clean(str(value)).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(_code(name) for name in names)
