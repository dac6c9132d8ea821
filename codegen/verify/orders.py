"""The life of one order, from the venue's machine: what it can be, what moves it, and what is told of it."""

from __future__ import annotations

from typing import NamedTuple

from codegen.model import Spec, Venue
from codegen.verify.machine import AbstractMachine, Inner


class Move(NamedTuple):
    """One way in which an order goes on: to which state, what whoever asked is told, and the venue's rows."""

    to: int
    reply: str | None
    rows: tuple[str, ...]


class Report(NamedTuple):
    """What everybody may be told of an order, with its fills at that time."""

    name: str
    fills: int


class OrderLife:
    """Every state of an order, by number; 0 is the one before anything arrives.

    Reports are not tracked one by one: whatever can have been told of an order by now may arrive at any time, as often
    as it likes, in any order, or never.
    """

    def __init__(self, venue: Venue, spec: Spec) -> None:
        machine = AbstractMachine(spec)
        self.phase_names = machine.phases
        self._fills = machine.fact_names.index(venue.fills)
        self.fill_names = spec.facts[venue.fills]
        live = machine.machine.group_phases[venue.live]
        requests = {event for side in venue.orders.values() for event in side.requests}
        timers = machine.machine.timer_events
        own = [
            name
            for name, event in spec.events.items()
            if not event.internal and name not in requests and name not in timers and name != spec.error_event
        ]
        numbers: dict[Inner, int] = {machine.initial: 0}
        self.states: list[Inner] = [machine.initial]
        self.asked: dict[str, list[tuple[Move, ...]]] = {event: [] for event in requests}
        self.own: list[tuple[tuple[str, Move], ...]] = []
        self.settling: list[tuple[tuple[str, Move], ...]] = []
        told: list[dict[Report, None]] = [{}]
        ways: list[tuple[int, int]] = []

        def moves(inner: Inner, event: str) -> tuple[Move, ...]:
            found = []
            for taken in machine.take(inner, event, machine.nothing_known, None):
                to = numbers.setdefault(taken.inner, len(numbers))
                if to == len(self.states):
                    self.states.append(taken.inner)
                    told.append({})
                for _, report in taken.told:
                    if report is not None:
                        told[to][Report(report, taken.inner.facts[self._fills])] = None
                reply = next((reply for reply, _ in taken.told if reply is not None), None)
                if taken.how == "handled":
                    found.append(Move(to, reply, taken.rows))
                    ways.append((numbers[inner], to))
            return tuple(found)

        place = 0
        while place < len(self.states):
            inner = self.states[place]
            timeout = spec.phases[self.phase_names[inner.phase]].timeout
            for event in requests:
                self.asked[event].append(moves(inner, event))
            self.own.append(tuple((event, move) for event in own for move in moves(inner, event)))
            self.settling.append(
                tuple((timeout.raises, move) for move in moves(inner, timeout.raises)) if timeout else ()
            )
            place += 1
        self.fills = [inner.facts[self._fills] for inner in self.states]
        self.phase = [inner.phase for inner in self.states]
        self.live = [self.phase_names[inner.phase] in live for inner in self.states]
        self.reports = _spread(told, ways)
        self.replies = {move.reply for table in self.asked.values() for ways_ in table for move in ways_} - {None}
        groups = machine.machine.group_phases
        self.counted = [frozenset(machine.phases.index(name) for name in groups[group]) for group in spec.groups] + [
            frozenset({number}) for number in range(len(machine.phases))
        ]
        """The phases that each word of `count(side, ...)` stands for, in the order of the condition's domain."""


def _spread(told: list[dict[Report, None]], ways: list[tuple[int, int]]) -> list[tuple[Report, ...]]:
    """What was told of an order in one state may still be on its way in each later one."""
    changed = True
    while changed:
        changed = False
        for source, to in ways:
            before = len(told[to])
            told[to].update(told[source])
            changed = changed or len(told[to]) != before
    return [tuple(reports) for reports in told]
