"""A story as what a sequence diagram shows: arrows between the outside, the machine and its venue, notes, breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from codegen.model import Machine, Spec
from codegen.verify.result import TraceStep


class Lane(IntEnum):
    """The lines of the diagram, from left to right."""

    OUTSIDE = 0
    BOT = 1
    VENUE = 2


Shape = Literal["arrow", "note", "break"]
Tone = Literal["", "timer", "error", "venue"]


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that the diagram shows. An arrow goes from `tail` to `head`, a note and a break are on `tail`."""

    step: int
    """The number of the step in the story, from 1."""
    shape: Shape
    tail: Lane
    head: Lane
    title: str
    text: str
    tone: Tone = ""
    lost: bool = False
    """An arrow that does not arrive."""
    first: bool = False
    """Whether the number of the step stands here."""
    phase: str = ""
    """The phase that is entered by it."""
    became: str = ""
    orders: str = ""


def happenings(machine: Machine, venue: Spec | None, steps: Sequence[TraceStep]) -> list[Happening]:
    """The story of `machine`, step by step; a step may show as more than one happening, and shows as one at least."""
    return _Telling(machine, venue).tell(steps)


class _Telling:
    def __init__(self, machine: Machine, venue: Spec | None) -> None:
        self._machine = machine
        self._spec = machine.spec
        self._venue = venue
        self._answers: list[tuple[str, str]] = []
        """The answers under way: (effect, what it says)."""

    def tell(self, steps: Sequence[TraceStep]) -> list[Happening]:
        told = []
        for number, step in enumerate(steps, start=1):
            shown = [replace(one, step=number) for one in self._show(step)]
            shown[0] = replace(shown[0], first=True)
            shown[-1] = replace(
                shown[-1],
                phase=step.phase_after if self._enters(step) else "",
                became=step.became,
                orders=step.orders,
            )
            told += shown
        return told

    def _enters(self, step: TraceStep) -> bool:
        """Whether a phase is entered, be it the same one again."""
        taken = {row.id for row in step.rows}
        leaving = (branch.id for _, _, _, branch in self._machine.rows() if branch.leaves)
        return step.phase_before != step.phase_after or not taken.isdisjoint(leaving)

    def _show(self, step: TraceStep) -> Iterator[Happening]:
        effect = self._effect(step)
        match step.kind:
            case "outside":
                yield _arrow(Lane.OUTSIDE, Lane.BOT, step.event, self._summary(step.event))
            case "timer":
                text = f"{step.phase_before} has lasted too long. {self._summary(step.event)}"
                yield _note(Lane.BOT, step.event, text, "timer")
            case "request":
                yield from self._request(step, effect)
            case "answer":
                said = self._said(step)
                yield _arrow(self._answering(step), Lane.BOT, step.event, f"{said}{self._summary(step.event)}")
            case "report":
                lane = Lane.VENUE if step.actor == "venue" else Lane.OUTSIDE
                about = f"about {_article(step.order)}: " if step.order else "late: "
                yield _arrow(lane, Lane.BOT, step.event, f"{about}{self._summary(step.event)}")
            case "unknown":
                if said := self._settle(step.effect):
                    text = f"The answer {said} to {effect} is lost."
                    yield _arrow(Lane.VENUE, Lane.BOT, "", text, lost=True)
                else:
                    yield _arrow(Lane.BOT, Lane.VENUE, effect, "No answer comes; it may still arrive.", lost=True)
                yield _note(Lane.BOT, step.event, self._summary(step.event), "error")
            case "unsent":
                yield _arrow(Lane.BOT, Lane.VENUE, effect, "It provably never left, and is given up.", lost=True)
                yield _note(Lane.BOT, step.event, self._summary(step.event), "error")
            case "expired":
                yield _arrow(Lane.BOT, Lane.VENUE, effect, "What was sent can no longer arrive.", lost=True)
            case "venue":
                summary = self._venue.events[step.event].summary if self._venue is not None else ""
                yield _note(Lane.VENUE, "", f"{_article(step.order).capitalize()}: {summary}", "venue")
            case "crash":
                for lost, said in self._answers:
                    yield _arrow(Lane.VENUE, Lane.BOT, "", f"The answer {said} to {lost} is lost.", lost=True)
                self._answers.clear()
                text = "What it waited to hear is lost; on its restart it asks again."
                yield Happening(0, "break", Lane.BOT, Lane.BOT, "crash, restart", text, "error")
            case _:
                if step.effect:
                    yield _arrow(self._answering(step), Lane.BOT, "", self._said(step).rstrip(" :") + " arrives.")
                yield _note(Lane.BOT, self._spec.error_event, "A handler fails; nothing of it happens.", "error")

    def _request(self, step: TraceStep, effect: str) -> Iterator[Happening]:
        if step.event == "look_up":
            text = "Since the process died, the order is looked up; "
            text += f"answer `{step.told}` sets out." if self._knows(step) else "it is not there, and is sent again."
            title = f"look up {effect}"
        else:
            title, text = effect, f"Answer `{step.told}` sets out."
            if not step.told:
                text = "The answer sets out." if not step.order else "It arrives late; no answer is awaited."
        if self._knows(step):
            self._answers.append((step.effect, f"`{step.told}`" if step.told else ""))
        yield _arrow(Lane.BOT, Lane.VENUE, title, text)

    def _knows(self, step: TraceStep) -> bool:
        """Whether an answer sets out that means something to the machine."""
        return not step.order or step.told in self._spec.effects[step.effect].outcomes

    def _answering(self, step: TraceStep) -> Lane:
        """Whence the answer comes; it is under way no longer."""
        asked_of_venue = step.order or (self._spec.venue is not None and step.effect in self._spec.venue.look_up_all)
        self._settle(step.effect)
        return Lane.VENUE if asked_of_venue else Lane.OUTSIDE

    def _settle(self, effect: str) -> str:
        """The answer to the effect that is under way, which it is no longer; empty for none."""
        found = next((one for one in self._answers if one[0] == effect), None)
        if found is None:
            return ""
        self._answers.remove(found)
        return found[1] or "of the venue"

    def _said(self, step: TraceStep) -> str:
        return f"answer `{step.told}` to {self._effect(step)}: "

    def _effect(self, step: TraceStep) -> str:
        return f"{step.effect} ({step.order.removeprefix('the ')})" if step.order else step.effect

    def _summary(self, event: str) -> str:
        return self._spec.events[event].summary if event in self._spec.events else ""


def _article(order: str) -> str:
    return order or "an order"


def _arrow(tail: Lane, head: Lane, title: str, text: str, *, lost: bool = False) -> Happening:
    return Happening(0, "arrow", tail, head, title, text, "error" if lost else "", lost)


def _note(lane: Lane, title: str, text: str, tone: Tone) -> Happening:
    return Happening(0, "note", lane, lane, title, text, tone)
