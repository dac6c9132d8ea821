"""A walk on a terminal: shows where one is and what can happen, and takes the choices from a stream of lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from codegen.findings import printable
from codegen.verify.walk import Choice, Place, Walk

HELP = """\
NUMBER   take that step
b        back by one step
m        more choices, when they do not fit the screen
/TEXT    only the choices that speak of TEXT; / alone shows all again
s FILE   save the walk as a trace: phasewright simulate --trace FILE plays it
q        quit; so does the end of the input
Enter    show all this again"""


class Walking:
    """Args:
    lines: whence the choices come.
    """

    def __init__(self, walk: Walk, console: Console, lines: TextIO) -> None:
        self._walk = walk
        self._console = console
        self._lines = lines
        self._choices: list[Choice] = []
        self._idle: list[str] = []
        self._shown = 0
        self._only = ""

    def run(self) -> None:
        """Until the input ends, or says so."""
        self._arrive()
        while True:
            if self._lines.isatty():
                self._console.print("\n[bold]>[/] ", end="")
            try:
                line = self._lines.readline()
            except KeyboardInterrupt:
                line = ""
            if not line:
                self._console.print()
                return
            if line.strip() == "q":
                return
            self._obey(line.strip())

    def _obey(self, word: str) -> None:
        if word == "":
            self._arrive()
        elif word == "b":
            if self._walk.back():
                self._arrive()
            else:
                self._say("This is the beginning; there is no step to take back.")
        elif word == "m":
            self._more()
        elif word == "?":
            self._console.print(Text(HELP))
        elif word.startswith("/"):
            self._only, self._shown = word[1:].strip().lower(), 0
            self._more()
        elif word == "s" or word.startswith("s "):
            self._save(word[1:].strip())
        elif word.isascii() and word.isdigit():
            self._take(int(word))
        else:
            self._say(f"`{word}` is neither a number nor a command; ? shows the commands.")

    def _take(self, number: int) -> None:
        if not 1 <= number <= len(self._choices):
            self._say(f"There is no choice {number}; they are 1 to {len(self._choices)}.")
            return
        choice = self._choices[number - 1]
        self._walk.take(choice)
        self._console.print(Text(f"\n{choice.told.words}", style="bold"))
        self._arrive()

    def _save(self, name: str) -> None:
        if not name:
            self._say("Name the file: s FILE")
            return
        # Here, because it brings what pages and drawings are made with.
        from codegen.counterexamples.files import is_trace

        path = Path(name)
        try:
            if path.exists() and not is_trace(path):
                self._say(f"{path} is there already and holds no trace; it stays as it is. Name another file.")
                return
            text = json.dumps(self._walk.trace().to_dict(), indent=2, ensure_ascii=False)
            path.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            self._say(f"{path} cannot be written: {error.strerror or error}. Name another file.")
            return
        self._console.print(Text(f"Saved {self._walk.steps} steps: {path}"), soft_wrap=True)

    def _say(self, message: str) -> None:
        self._console.print(Text(printable(message), style="red"))

    def _arrive(self) -> None:
        """Shows where the walk is, and what can happen."""
        place = self._walk.place()
        self._choices, self._idle = self._walk.choices()
        self._shown, self._only = 0, ""
        self._console.rule(
            Text(f"{self._walk.machine}, step {self._walk.steps}", style="dim"), align="left", style="dim"
        )
        self._more(self._place(place))

    def _place(self, place: Place) -> int:
        """Shows it, and says on how many lines."""
        shown = 2
        head = Text(place.phase, style="bold cyan")
        head.append(f"  {place.summary}", style="not bold default")
        self._console.print(head)
        for name, told in (
            ("facts", ", ".join(place.facts)),
            ("timer", place.timer),
            ("deferred", ", ".join(place.deferred)),
            ("orders", "\n".join(place.orders)),
            ("requests", "\n".join(place.requests)),
        ):
            if told:
                lines = Text(told).wrap(self._console, self._console.width - 12)
                for number, line in enumerate(lines):
                    self._console.print(Text(f"  {'' if number else name:<9} ") + line)
                shown += len(lines)
        for claim in place.broken:
            self._console.print(Text(f"BROKEN: {claim.name}. {claim.loss}", style="bold red"))
            shown += 2
        return shown

    def _more(self, taken: int = 0) -> None:
        """The next choices: all of them, or as many as fit on a terminal beneath `taken` lines, and at least one."""
        numbered = [one for one in enumerate(self._choices, 1) if self._only in _spoken(one[1])]
        if not numbered:
            self._say("Nothing can happen any more." if not self._only else f"No choice speaks of `{self._only}`.")
            return
        if self._shown >= len(numbered):
            self._shown = 0
        room = self._console.height - taken - 5 if self._console.is_terminal else sys.maxsize
        group = ""
        for number, choice in numbered[self._shown :]:
            lines = self._choice(number, choice)
            room -= len(lines) + (choice.group != group)
            if room < 0 and group:
                break
            if choice.group != group:
                group = choice.group
                self._console.print(Text(group, style="dim underline"))
            for line in lines:
                self._console.print(line)
            self._shown += 1
        left = len(numbered) - self._shown
        if left:
            self._console.print(Text(f"m: {left} more", style="yellow"))
        elif self._idle:
            self._console.print(Text(f"without effect: {', '.join(self._idle)}", style="dim"))
        self._console.print(Text("number, b back, s FILE save, q quit, ? help", style="dim"))

    def _choice(self, number: int, choice: Choice) -> list[Text]:
        told = choice.told
        first = Text(f"{number:>3}  ", style="bold")
        indent = Text("     ")
        width = max(40, self._console.width - 6)
        wrapped = Text(told.words).wrap(self._console, width)
        lines = [first + wrapped[0], *(indent + line for line in wrapped[1:])]
        parts = []
        if told.phase_after != told.phase_before:
            parts.append(f"-> {told.phase_after}")
        parts += [f"if {' and '.join(choice.answers)}"] if choice.answers else []
        parts += [told.became.rstrip(".")] if told.became else []
        parts += [f"asks {', '.join(choice.requested)}"] if choice.requested else []
        parts += [told.orders] if told.orders else []
        parts += [str(row) for row in told.rows]
        details = [*Text("; ".join(parts), style="dim").wrap(self._console, width)] if parts else []
        for claim in choice.breaks:
            details += Text(f"breaks {claim.name}: {claim.loss}", style="red").wrap(self._console, width)
        return [*lines, *(indent + line for line in details)]


def _spoken(choice: Choice) -> str:
    told = choice.told
    rows = " ".join(map(str, told.rows))
    return f"{choice.group} {told.words} {told.phase_after} {' '.join(choice.requested)} {told.orders} {rows}".lower()
