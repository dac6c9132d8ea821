"""Draws a story as a sequence diagram: where everything stands. The template `sequence.svg.j2` says how it looks.

No library that needs neither a browser nor a network draws the phases along a line, or a process that breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from codegen.counterexamples.happenings import Happening, Lane
from codegen.counterexamples.templates import filled
from codegen.diagrams.edges import error_phases
from codegen.diagrams.style import COLOURS, ERROR_FILL, PHASE_FILL, SVG_FONTS, EdgeKind, clean
from codegen.model import Machine

WIDTH = 880
_CENTRE = {Lane.OUTSIDE: 120, Lane.BOT: 435, Lane.VENUE: 745}
_WIDTH_ALONE = 660
_LINE = 15
_TITLE_CHAR, _TEXT_CHAR, _BOLD_CHAR = 7.3, 6.0, 7.6
"""More than the mean width of a letter in each font, in pixels: text never grows out of its place."""
_HEAD = 44


@dataclass(frozen=True, slots=True)
class Words:
    """Lines of text from (x, y) down; the first `titles` of them stand out."""

    x: float
    y: float
    lines: tuple[str, ...]
    titles: int
    anchor: str = "start"
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with text in its middle."""

    x: float
    y: float
    width: float
    height: float
    words: Words
    tone: str
    stroke: str = ""
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """A horizontal line from `x` to `to`; a lost one ends in a cross."""

    x: float
    to: float
    y: float
    lost: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of a lane, or of the bar of a phase."""

    x: float
    y: float
    to: float
    colour: str = ""


@dataclass(slots=True)
class _Sheet:
    """Everything that is drawn."""

    lanes: list[Line] = field(default_factory=list)
    bars: list[Line] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    breaks: list[tuple[float, float, float]] = field(default_factory=list)
    numbers: list[tuple[int, float]] = field(default_factory=list)


def sequence(machine: Machine, told: Sequence[Happening], first_phase: str, loss: str, ending: str = "") -> str:
    """The story as SVG, at most WIDTH pixels wide.

    Args:
        first_phase: where the machine is at the beginning.
        loss: what is lost at the end.
        ending: what else is to say of the end.
    """
    return _Layout(machine).draw(told, first_phase, loss, ending)


class _Layout:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._errors = error_phases(machine)
        self._lanes = list(Lane) if machine.spec.venue is not None else [Lane.OUTSIDE, Lane.BOT]
        self._width = WIDTH if machine.spec.venue is not None else _WIDTH_ALONE
        self._sheet = _Sheet()
        self._y = float(_HEAD)
        self._line_from = float(_HEAD)
        self._bar_from: float | None = None
        self._phase = ""

    def draw(self, told: Sequence[Happening], first_phase: str, loss: str, ending: str) -> str:
        for lane in self._lanes:
            name = {Lane.OUTSIDE: "outside", Lane.BOT: self._machine.spec.machine}.get(lane, "venue")
            self._box(_CENTRE[lane], 8, (name,), 1, "head")
        self._y = _HEAD + 12
        self._enter(first_phase)
        for one in told:
            self._happen(one)
        self._y += 8
        self._end_bar()
        self._sheet.lanes.append(Line(_CENTRE[Lane.BOT], self._line_from, self._y))
        for lane in self._lanes:
            if lane != Lane.BOT:
                self._sheet.lanes.append(Line(_CENTRE[lane], _HEAD, self._y))
        lines = (*_lines(loss, self._width - 60), *_lines(ending, self._width - 60))
        self._box(self._width / 2, self._y, lines, len(_lines(loss, self._width - 60)), "loss", self._width - 20)
        return filled(
            "sequence.svg.j2",
            sheet=self._sheet,
            width=self._width,
            height=round(self._y + len(lines) * _LINE + 24),
            line=_LINE,
            fonts=SVG_FONTS,
            colours={kind.value: colour for kind, colour in COLOURS.items()},
            error_fill=ERROR_FILL,
            phase_fill=PHASE_FILL,
            title=f"{self._machine.spec.machine}: {clean(loss)}",
        )

    def _happen(self, one: Happening) -> None:
        if one.first:
            self._sheet.numbers.append((one.step, self._y + 10))
        if one.shape == "arrow":
            self._arrow(one)
        elif one.shape == "note":
            self._note(one)
        else:
            self._break(one)
        beneath = self._y
        if one.phase:
            self._enter(one.phase)
        elif one.became:
            room = _CENTRE[Lane.BOT] - _CENTRE[Lane.OUTSIDE] - 80
            lines = _lines(one.became, room)
            self._box(_CENTRE[Lane.BOT], self._y, lines, 0, "became")
            self._y += len(lines) * _LINE + 12
        if one.orders and Lane.VENUE in self._lanes:
            told = tuple(line for order in one.orders.split("; ") for line in _lines(order, 200))
            self._box(_CENTRE[Lane.VENUE], beneath, told, 0, "orders")
            self._y = max(self._y, beneath + len(told) * _LINE + 12)
        self._y += 12

    def _arrow(self, one: Happening) -> None:
        tail, head = _CENTRE[one.tail], _CENTRE[one.head]
        left, right = sorted((tail, head))
        if Lane.BOT in (one.tail, one.head):
            tail, head = (x + (8 if x == left else -8) if x == _CENTRE[Lane.BOT] else x for x in (tail, head))
        titles, lines = _label(one, right - left - 36)
        self._sheet.words.append(Words(left + 18, self._y + 12, lines, titles, tone=one.tone))
        self._y += len(lines) * _LINE + 8
        to = head - 26 if one.lost and head > tail else head + 26 if one.lost else head
        self._sheet.arrows.append(Arrow(tail, to, self._y, one.lost))
        self._y += 10

    def _note(self, one: Happening) -> None:
        centre = _CENTRE[one.tail]
        neighbour = _CENTRE[Lane.OUTSIDE] if one.tail == Lane.BOT else _CENTRE[Lane.BOT]
        width = centre - neighbour - 40
        titles, lines = _label(one, width - 24)
        height = len(lines) * _LINE + 10
        words = Words(centre - 14 - width + 12, self._y + 16, lines, titles)
        self._sheet.boxes.append(Box(centre - 14 - width, self._y, width, height, words, one.tone))
        self._sheet.lanes.append(Line(centre - 14, self._y + height / 2, self._y + height / 2))
        self._y += height + 8

    def _break(self, one: Happening) -> None:
        centre = _CENTRE[Lane.BOT]
        self._y += 4
        bar = self._end_bar()
        self._sheet.lanes.append(Line(centre, self._line_from, self._y))
        lines = (one.title, *_lines(one.text, 330))
        top = self._y + 14
        self._box(centre, top, lines, 1, "crash", 370)
        bottom = top + len(lines) * _LINE + 10 + 14
        self._sheet.breaks += [(centre, self._y + 5, 190), (centre, bottom - 5, 190)]
        self._line_from = self._y = bottom
        if bar:
            self._bar_from = bottom

    def _enter(self, phase: str) -> None:
        self._end_bar()
        self._phase = phase
        colour = self._colour(phase)
        fill = ERROR_FILL if phase in self._errors else PHASE_FILL
        self._box(_CENTRE[Lane.BOT], self._y, (phase,), 1, "phase", stroke=colour, fill=fill)
        self._y += _LINE + 10
        self._bar_from = self._y

    def _end_bar(self) -> bool:
        if self._bar_from is None:
            return False
        if self._y > self._bar_from:
            self._sheet.bars.append(Line(_CENTRE[Lane.BOT], self._bar_from, self._y, self._colour(self._phase)))
        self._bar_from = None
        return True

    def _colour(self, phase: str) -> str:
        if phase in self._errors:
            return COLOURS[EdgeKind.ERROR]
        return COLOURS[EdgeKind.HAPPY if phase in self._machine.spec.happy_path else EdgeKind.PLAIN]

    def _box(
        self,
        centre: float,
        y: float,
        lines: tuple[str, ...],
        titles: int,
        tone: str,
        width: float = 0,
        stroke: str = "",
        fill: str = "",
    ) -> None:
        longest = max(
            (len(line) * (_BOLD_CHAR if n < titles else _TEXT_CHAR) for n, line in enumerate(lines)), default=0
        )
        width = width or longest + 20
        words = Words(centre, y + _LINE, lines, titles, "middle")
        box = Box(centre - width / 2, y, width, len(lines) * _LINE + 8, words, tone, stroke, fill)
        self._sheet.boxes.append(box)


def _label(one: Happening, room: float) -> tuple[int, tuple[str, ...]]:
    titles = _lines(one.title, room, _TITLE_CHAR)
    return len(titles), (*titles, *_lines(one.text, room))


def _lines(text: str, room: float, letter: float = _TEXT_CHAR) -> tuple[str, ...]:
    return tuple(wrap(clean(text), max(8, int(room / letter)), break_long_words=True, break_on_hyphens=False))
