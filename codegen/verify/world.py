"""The machine, its orders at the venue, the requests under way, its timer, and a process that can crash: all that can
happen next.

Everything that the bot commits is one step, so a crash between any two commits is a step among the others. A crash
takes with it what the process was about to hear; what it asked for is asked again as the runtime would: freely where
that does no harm, and only after a look-up where it must not happen twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import product
from typing import Any, Literal, NamedTuple

from codegen.model import Spec
from codegen.scope import NO_ORDER, PAST, PRESENT
from codegen.verify.machine import AbstractMachine, Book, Inner, Plan, Request, Taken, Wait
from codegen.verify.orders import OrderLife

MAX_DEFERRED = 2

ANSWERS, TIMERS, OUTSIDE = 1, 2, 4
"""What can be taken to happen in the end: bits of a step."""

NOW, EARLIER, LONG_AGO, NONE = 0, 1, 2, -1
"""Which order of its side is meant: the present one, the one before, one that is long over, or none."""

ASKED, ADRIFT, LOOKING, LOOKING_ADRIFT = 0, 1, 2, 3
"""A request that was not answered yet; one whose answer nobody waits for, but which may still arrive; and one whose
sender died, which is looked up before anything else, with or without bytes that may still arrive."""

Order = tuple[int, int, bool]
"""Where its life is, how much of it is in the books, and whether the machine has gone on to the next order since it
was over. Of such an order, as of those of earlier trades, requests are no longer followed one by one: anything that was
ever said of one may arrive at any time."""
Pending = tuple[int, int, int]
"""The effect, the order (2 * side + which), or -1, and the stage."""
Report = tuple[int, int, bool]
"""What an answer about all orders says of one: which order, its fills, whether it is live."""
Kind = Literal[
    "outside",
    "timer",
    "request",
    "answer",
    "report",
    "unknown",
    "unsent",
    "expired",
    "venue",
    "crash",
    "failure",
    "stale",
]


class Delivery(NamedTuple):
    """An event on its way into the machine."""

    event: str
    side: int = NONE
    which: int = NONE
    fills: int = 0
    answer: tuple[Report, ...] = ()


class State(NamedTuple):
    """Everything that counts. `orders` holds for each side the present order and the one before."""

    inner: Inner
    timer: bool
    deferred: tuple[Delivery, ...]
    orders: tuple[Order | None, ...]
    pending: tuple[Pending, ...]
    lost: bool = False
    """Whether a fill that is not in the books was reported, and the machine let the report go."""


class Take(NamedTuple):
    """One commit of the machine. `offered`: the event had waited for a change of phase."""

    event: str
    offered: bool
    taken: Taken


class Step(NamedTuple):
    """One thing that happens. `effect` and `event` say what it is about; `told` what the venue or the answer says."""

    kind: Kind
    event: str = ""
    effect: str = ""
    side: int = NONE
    which: int = NONE
    fills: int = 0
    told: str | None = None
    takes: tuple[Take, ...] = ()
    venue_rows: tuple[str, ...] = ()
    answer: tuple[Report, ...] = ()
    """What an answer about all orders says."""

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows that the machine took, in order."""
        return tuple(row for take in self.takes for row in take.taken.rows)


Next = tuple[Step, State, int]


class _Effect(NamedTuple):
    name: str
    side: int
    request: str
    once: bool
    creates: bool
    looks_at_all: bool
    answer: str
    after: tuple[int, ...]
    anytime: tuple[str, ...]
    """Outcomes that need nothing from the venue: nobody knows, or it was given up."""
    outcomes: dict[str, str]
    unsent: str

    @property
    def is_alone(self) -> bool:
        """Whether it has nothing to do with the venue."""
        return self.side < 0 and not self.looks_at_all


class World:
    """Args:
    spec: the machine, without findings.
    venue: the machine of its venue.
    under_way: how many requests are followed at once; of more than these any is left open.
    outside: the events that may come from outside at any time; by default those that nothing else brings.
    """

    def __init__(
        self,
        spec: Spec,
        venue: Spec | None,
        under_way: int,
        outside: Sequence[str] | None = None,
        like: World | None = None,
    ) -> None:
        self.machine = AbstractMachine(spec, venue)
        self.spec = spec
        self.life = OrderLife(spec.venue, venue) if spec.venue is not None and venue is not None else None
        self.sides = tuple(spec.venue.orders) if spec.venue is not None else ()
        self._under_way = under_way
        self._thorough = False
        self._met: set[Any] = set()
        self._error = Delivery(spec.error_event)
        self._effects = self._read_effects()
        self._effect_place = {effect.name: place for place, effect in enumerate(self._effects)}
        self._alone = frozenset(place for place, effect in enumerate(self._effects) if effect.is_alone)
        self._stages: list[Any] = [ASKED, ADRIFT, LOOKING, LOOKING_ADRIFT] if like is None else like._stages
        self._stage_place: dict[Any, int] = {} if like is None else like._stage_place
        self._abouts: dict[Any, dict[str, Any]] = {}
        self._telling: dict[Any, tuple[Delivery, ...]] = {}
        told = (
            {event for side in spec.venue.orders.values() for event in side.reports.values()} if spec.venue else set()
        )
        self.carriers = {
            name for name, event in spec.events.items() if spec.venue and spec.venue.fills in event.payload
        }
        outcomes = {event for effect in spec.effects.values() for event in effect.outcomes.values()}
        known = told | self.machine.machine.timer_events | outcomes | {spec.error_event}
        self._outside = outside or [
            name for name, event in spec.events.items() if not event.internal and name not in known
        ]
        self._past = [self._told_of(number) for number in range(len(self.sides))]
        nothing = tuple((PAST, 0, False) for _ in self.sides)
        self._answers_of_old = [
            Delivery(event, answer=nothing if outcome == effect.answer else ())
            for effect in self._effects
            if effect.is_alone or effect.looks_at_all
            for outcome, event in effect.outcomes.items()
        ]

    @property
    def initial(self) -> State:
        inner = self.machine.initial
        pending = tuple(
            (self._effect_place[request.effect], NONE, ASKED) for request in self.machine.initial_requests()
        )
        return State(inner, self.machine.has_timer(inner.phase), (), (None,) * (2 * len(self.sides)), pending)

    def in_every_way(self) -> World:
        """The same world, but events are taken in every way: also such as change nothing, and such in which a handler
        fails. Its states are the same."""
        other = copy(self)
        other._thorough, other._telling, other._met = True, {}, set()
        return other

    def effect(self, pending: Pending) -> str:
        return self._effects[pending[0]].name

    def stage(self, pending: Pending) -> Any:
        return self._stages[pending[2]]

    def next(self, state: State) -> Iterator[Next]:
        """Every step from `state`, with what it may be counted upon as."""
        yield from self._by_itself(state)
        for pending in state.pending:
            yield from self._requests(state, pending)
        yield from self._reported(state)
        if self.life is not None:
            yield from self._venue(state, self.life)
        yield from self._crash(state)
        yield from self._fails(state)

    def _by_itself(self, state: State) -> Iterator[Next]:
        """What needs nothing that is under way."""
        for event in self._outside:
            for after, takes in self._deliver(state, Delivery(event)):
                yield Step("outside", event, takes=takes), after, OUTSIDE
        timeout = self.spec.phases[self.machine.phases[state.inner.phase]].timeout
        if timeout is not None and state.timer:
            for after, takes in self._deliver(state._replace(timer=False), Delivery(timeout.raises), by_timer=True):
                yield Step("timer", timeout.raises, takes=takes), after, TIMERS

    def _fails(self, state: State) -> Iterator[Next]:
        for after, takes in self._deliver(state, self._error):
            yield Step("failure", self.spec.error_event, takes=takes), after, 0

    def news(self, state: State) -> Iterator[tuple[Step, State]]:
        """Every step of the machine from `state` that is not like one from a state that was asked for before.

        Alike: the machine is at the same place and hears the same. For a world that goes every way.
        """
        inner, deferred = state.inner, state.deferred
        if self._is_new((inner, deferred, state.timer)):
            yield from ((step, after) for step, after, _ in self._by_itself(state))
            yield from ((step, after) for step, after, _ in self._fails(state))
        for pending in state.pending:
            if self._is_new((inner, deferred, state.orders, pending)):
                yield from ((step, after) for step, after, _ in self._requests(state, pending) if step.takes)
        if self._is_new((inner, deferred, state.orders)):
            yield from ((step, after) for step, after, _ in self._reported(state))

    def _is_new(self, key: Any) -> bool:
        before = len(self._met)
        self._met.add(key)
        return len(self._met) > before

    # --- what is under way -------------------------------------------------------------------------------------------

    def _requests(self, state: State, pending: Pending) -> Iterator[Next]:
        effect, stage = self._effects[pending[0]], self._stages[pending[2]]
        side, which = (pending[1] // 2, pending[1] % 2) if pending[1] >= 0 else (NONE, NONE)
        rest_pending = tuple([other for other in state.pending if other != pending])
        without = State(state.inner, state.timer, state.deferred, state.orders, rest_pending, state.lost)
        if effect.is_alone:
            for outcome, event in effect.outcomes.items():
                yield from self._answered(without, effect, outcome, Delivery(event), ANSWERS)
            return
        if stage in (ADRIFT, LOOKING_ADRIFT):
            rest = without if stage == ADRIFT else self._with(without, (*pending[:2], LOOKING))
            yield Step("expired", effect=effect.name, side=side, which=which), rest, ANSWERS
            for move in self._moves(state, effect.request, pending[1]):
                after = self._moved(rest, pending[1], move.to)
                yield Step("request", effect=effect.name, side=side, which=which, venue_rows=move.rows), after, ANSWERS
        elif stage in (ASKED, LOOKING):
            yield from self._arrive(state, without, pending, effect, looking=stage == LOOKING)
        elif stage[0] == "about":
            if not any(self._must_wait(state, effect, place) for place in range(0, len(state.orders), 2)):
                answer = tuple(self._report(state, number, flag) for number, flag in enumerate(stage[1]))
                answered = self._with(without, (pending[0], NONE, self._stage(("told", answer))))
                yield Step("request", effect=effect.name), answered, ANSWERS
        elif stage[0] == "told":
            yield from self._answered(
                without, effect, effect.answer, Delivery(effect.outcomes[effect.answer], answer=stage[1]), ANSWERS
            )
        elif stage[1]:
            yield from self._answered(
                without, effect, stage[1], self._outcome(effect, stage[1], pending[1], stage[2]), ANSWERS
            )
        if stage != ADRIFT:
            bytes_left = effect.creates and stage in (ASKED, LOOKING_ADRIFT)
            rest = self._with(without, (*pending[:2], ADRIFT)) if bytes_left else without
            for outcome in effect.anytime:
                yield from self._answered(
                    rest, effect, outcome, self._outcome(effect, outcome, pending[1], 0), 0, "unknown"
                )
            if effect.unsent and stage == ASKED:
                yield from self._answered(
                    without, effect, effect.unsent, self._outcome(effect, effect.unsent, pending[1], 0), 0, "unsent"
                )

    def _arrive(self, state: State, without: State, pending: Pending, effect: _Effect, looking: bool) -> Iterator[Next]:
        """A request is carried out by the venue, and the answer sets out."""
        assert self.spec.venue is not None
        if (looking or effect.after) and self._must_wait(state, effect, pending[1]):
            return
        request = self.spec.venue.look_up if looking else effect.request
        for move in self._moves(state, request, pending[1]):
            after = self._moved(without, pending[1], move.to)
            assert self.life is not None
            if looking and move.reply not in effect.outcomes:
                # Proven absent: the same request, with the same id, may be sent again.
                after = self._with(after, (*pending[:2], ASKED))
            elif move.reply is None:
                after = self._with(after, (*pending[:2], self._stage(("said", "", 0))))
            else:
                after = self._with(after, (*pending[:2], self._stage(("said", move.reply, self.life.fills[move.to]))))
            step = Step(
                "request",
                "look_up" if looking else "",
                effect.name,
                pending[1] // 2,
                pending[1] % 2,
                told=move.reply,
                venue_rows=move.rows,
            )
            yield step, after, ANSWERS

    def _must_wait(self, state: State, effect: _Effect, place: int) -> bool:
        """Whether what the effect comes after is still under way for the order, or the order is not shown yet."""
        assert self.life is not None
        order = state.orders[place]
        if order is None:
            return False
        return bool(self.life.settling[order[0]]) or any(
            other[0] in effect.after and other[1] == place for other in state.pending
        )

    def _report(self, state: State, side: int, flag: int) -> Report:
        assert self.life is not None
        order = state.orders[2 * side]
        if flag == PRESENT and order is not None:
            return (PRESENT, self.life.fills[order[0]], self.life.live[order[0]])
        return (PAST if flag == PAST else NO_ORDER, 0, False)

    def _old_answers(self, state: State, life: OrderLife) -> Iterator[tuple[Report, ...]]:
        """What an answer to an earlier question about all orders can say. On one side at least there is a newer order
        since; on the others it may still be right, unless what the question had to wait for is still to come."""
        past = (PAST, 0, False)
        ways: list[tuple[Report, ...]] = []
        for side in range(len(self.sides)):
            order = state.orders[2 * side]
            if order is None:
                ways.append((past, self._report(state, side, NO_ORDER)))
            elif order[0] == 0 or life.settling[order[0]]:
                ways.append((past,))
            else:
                ways.append((past, self._report(state, side, PRESENT)))
        yield from (answer for answer in product(*ways) if past in answer)

    def _outcome(self, effect: _Effect, outcome: str, order: int, fills: int) -> Delivery:
        event = effect.outcomes[outcome]
        if order < 0:
            return Delivery(event)
        return Delivery(event, order // 2, order % 2, fills if event in self.carriers else 0)

    def _answered(
        self, state: State, effect: _Effect, outcome: str, delivery: Delivery, counted: int, kind: Kind = "answer"
    ) -> Iterator[Next]:
        about = (delivery.event, effect.name, delivery.side, delivery.which, delivery.fills, outcome)
        for after, takes in self._deliver(state, delivery):
            yield Step(kind, *about, takes, answer=delivery.answer), after, counted
        if kind == "answer":
            # The same, but a handler fails on the way: the answer is gone.
            for after, takes in self._deliver(state, self._error):
                yield Step("failure", *about, takes), after, 0

    # --- the venue ---------------------------------------------------------------------------------------------------

    def _venue(self, state: State, life: OrderLife) -> Iterator[Next]:
        for place, order in enumerate(state.orders):
            if order is None:
                continue
            for moves, counted in ((life.own[order[0]], 0), (life.settling[order[0]], ANSWERS)):
                for event, move in moves:
                    if move.to != order[0]:
                        after = self._moved(state, place, move.to)
                        yield Step("venue", event, "", place // 2, place % 2, venue_rows=move.rows), after, counted

    def _reported(self, state: State) -> Iterator[Next]:
        key = (state.inner, state.orders)
        telling = self._telling.get(key)
        if telling is None:
            deliveries = dict.fromkeys(self._on_their_way(state))
            telling = self._telling[key] = tuple(one for one in deliveries if self._thorough or self._tells(state, one))
        for delivery in telling:
            for after, takes in self._deliver(state, delivery):
                if self._thorough or after != state:
                    told = (delivery.event, "", delivery.side, delivery.which, delivery.fills, None)
                    step = Step("report", *told, takes, answer=delivery.answer)
                    yield step, after, 0

    def _on_their_way(self, state: State) -> Iterator[Delivery]:
        """Everything that may arrive without having been asked for just now."""
        yield from self._answers_of_old
        if self.life is None or self.spec.venue is None:
            return
        for effect in self._effects:
            if effect.looks_at_all:
                for answer in self._old_answers(state, self.life):
                    yield Delivery(effect.outcomes[effect.answer], answer=answer)
        sides = list(self.spec.venue.orders.values())
        for place, order in enumerate(state.orders):
            if order is None:
                continue
            for report in self.life.reports[order[0]]:
                event = sides[place // 2].reports.get(report.name)
                if event is not None:
                    yield Delivery(event, place // 2, place % 2, report.fills if event in self.carriers else 0)
            if order[2]:
                for delivery in self._past[place // 2]:
                    fills = self.life.fills[order[0]] if delivery.event in self.carriers else 0
                    yield delivery._replace(which=place % 2, fills=fills)
        for told in self._past:
            yield from told

    def _tells(self, state: State, delivery: Delivery) -> bool:
        """Whether the event could change anything."""
        about, key = self._about(state, delivery)
        news = delivery.side >= 0 and delivery.fills > about["event.booked"]
        return any(
            news
            or taken.left
            or taken.inner != state.inner
            or taken.how in ("failed", "deferred")
            or any(not isinstance(change, Book) for change in taken.changes)
            or (taken.changes and delivery.answer)
            for taken in self.machine.take(state.inner, delivery.event, about, key)
        )

    def _told_of(self, side: int) -> tuple[Delivery, ...]:
        """What may still arrive about orders of earlier trades: anything that was ever said of one."""
        assert self.spec.venue is not None
        declared = self.spec.venue.orders[self.sides[side]]
        events = dict.fromkeys(declared.reports.values())
        for effect in self._effects:
            if effect.side == side:
                events.update(dict.fromkeys(effect.outcomes.values()))
        assert self.life is not None
        most = len(self.life.fill_names) - 1
        return tuple(Delivery(event, side, LONG_AGO, most if event in self.carriers else 0) for event in events)

    def _moves(self, state: State, request: str, place: int) -> tuple[Any, ...]:
        order = state.orders[place]
        assert order is not None
        assert self.life is not None
        return self.life.asked[request][order[0]]

    def _moved(self, state: State, place: int, to: int) -> State:
        order = state.orders[place]
        assert order is not None
        orders = (*state.orders[:place], (to, *order[1:]), *state.orders[place + 1 :])
        return self._tidied(State(state.inner, state.timer, state.deferred, orders, state.pending, state.lost))

    # --- the process -------------------------------------------------------------------------------------------------

    def _crash(self, state: State) -> Iterator[Next]:
        timeout = self.spec.phases[self.machine.phases[state.inner.phase]].timeout
        timer = state.timer and timeout is not None and timeout.on_restore != "drop"
        pending = {self._after_crash(one) for one in state.pending}
        after = state._replace(timer=timer, pending=tuple(sorted(pending)))
        if after != state:
            yield Step("crash"), after, 0

    def _after_crash(self, pending: Pending) -> Pending:
        effect, stage = self._effects[pending[0]], self._stages[pending[2]]
        if effect.looks_at_all:
            if stage[0] == "told":
                flags = tuple(report[0] for report in stage[1])
                return (pending[0], NONE, self._stage(("about", flags)))
            return pending
        if effect.once and effect.side >= 0:
            if stage == ASKED:
                return (*pending[:2], LOOKING_ADRIFT)
            return (*pending[:2], LOOKING) if isinstance(stage, tuple) else pending
        return (*pending[:2], ASKED) if isinstance(stage, tuple) else pending

    # --- one event, one commit ---------------------------------------------------------------------------------------

    def _deliver(
        self, state: State, delivery: Delivery, by_timer: bool = False
    ) -> Iterator[tuple[State, tuple[Take, ...]]]:
        """Every way in which the machine can take the event, and then what waited for a change of phase."""
        if self._thorough:
            there = tuple(order is not None for order in state.orders)
            about = self._about(state, delivery)[1]
            if not self._is_new((state.inner, state.deferred, there, delivery.event, about, by_timer)):
                return
        for after, left, takes in self._commit(state, delivery):
            if left and after.deferred:
                yield from self._offer(after, 0, takes)
            else:
                yield after, takes

    def _offer(self, state: State, place: int, takes: tuple[Take, ...]) -> Iterator[tuple[State, tuple[Take, ...]]]:
        while place < len(state.deferred) and self.machine.defers(state.inner.phase, state.deferred[place].event):
            place += 1
        if place == len(state.deferred):
            yield state, takes
            return
        waiting = state.deferred[place]
        rest = state._replace(deferred=(*state.deferred[:place], *state.deferred[place + 1 :]))
        for after, left, more in self._commit(rest, waiting, offered=True):
            yield from self._offer(after, 0 if left else place, takes + more)
        if not self._thorough:
            # A handler may fail on it as well; whoever looks at every way has met that above.
            failed = self.machine.failing(rest.inner, waiting.event, *self._about(rest, waiting))
            for after, left, more in self._failed(rest, waiting, (Take(waiting.event, True, failed),)):
                yield from self._offer(after, 0 if left else place, takes + more)

    def _commit(
        self, state: State, delivery: Delivery, offered: bool = False
    ) -> Iterator[tuple[State, bool, tuple[Take, ...]]]:
        about, key = self._about(state, delivery)
        take = self.machine.take_in_every_way if self._thorough else self.machine.take
        for taken in take(state.inner, delivery.event, about, key):
            takes = (Take(delivery.event, offered, taken),)
            if taken.how == "deferred":
                if delivery in state.deferred or delivery.which == LONG_AGO:
                    # It may arrive again at any time, so nothing is gained by keeping it. (The runtime keeps it.)
                    if not self._thorough:
                        yield state, False, takes
                elif len(state.deferred) < MAX_DEFERRED:
                    yield state._replace(deferred=(*state.deferred, delivery)), False, takes
            elif taken.how == "handled":
                made = self._changed(state, delivery, taken)
                if made is None:
                    failed = Taken("failed", state.inner, parts=taken.parts, fails="request")
                    yield from self._failed(state, delivery, (Take(delivery.event, offered, failed),))
                else:
                    for after in made:
                        yield after, taken.left, takes
            elif taken.how == "failed":
                yield from self._failed(state, delivery, takes)
            elif delivery.side >= 0 and delivery.fills > about["event.booked"]:
                yield state._replace(lost=True), False, takes
            else:
                yield state, False, takes

    def _failed(
        self, state: State, delivery: Delivery, takes: tuple[Take, ...]
    ) -> Iterator[tuple[State, bool, tuple[Take, ...]]]:
        if delivery.event == self.spec.error_event:
            yield state, False, takes
        else:
            for after, left, more in self._commit(state, Delivery(self.spec.error_event)):
                yield after, left, takes + more

    def _changed(self, state: State, delivery: Delivery, taken: Taken) -> list[State] | None:
        """The states after the commit; None when it fails because there is no order to ask about."""
        timer = self.machine.has_timer(taken.inner.phase) if taken.left else state.timer
        pending = state.pending
        if taken.left:
            # Answers to what was asked in an earlier visit may arrive at any time, so they are not followed one by one.
            pending = tuple([one for one in pending if one[0] not in self._alone])
        states = [State(taken.inner, timer, state.deferred, state.orders, pending, state.lost)]
        for change in taken.changes:
            if isinstance(change, Wait):
                states = [
                    one._replace(deferred=(*one.deferred, Delivery(change.event)))
                    for one in states
                    if len(one.deferred) < MAX_DEFERRED
                ]
            elif isinstance(change, Book):
                states = [self._booked(one, delivery) for one in states]
            elif isinstance(change, Plan):
                states = [self._planned(one, self.sides.index(change.side), change.anew) for one in states]
            else:
                asked = [self._requested(one, change) for one in states]
                if any(one is None for one in asked):
                    return None
                states = [after for one in asked if one is not None for after in one]
        return states

    def _booked(self, state: State, delivery: Delivery) -> State:
        orders = list(state.orders)
        reports = [(2 * number, report[1]) for number, report in enumerate(delivery.answer) if report[0] == PRESENT]
        if delivery.side >= 0 and delivery.which in (NOW, EARLIER):
            reports.append((2 * delivery.side + delivery.which, delivery.fills))
        for place, fills in reports:
            order = orders[place]
            if order is not None:
                orders[place] = (order[0], max(order[1], fills), order[2])
        booked = tuple(orders)
        return self._tidied(State(state.inner, state.timer, state.deferred, booked, state.pending, state.lost))

    def _planned(self, state: State, side: int, anew: bool) -> State:
        now, earlier = 2 * side, 2 * side + 1
        orders = list(state.orders)
        kept = orders[now] is not None and not self._is_over(state, now)
        if kept or orders[earlier] is None:
            orders[earlier] = orders[now] if kept else None
            pending = [
                (effect, earlier, stage) if place == now else (effect, place, stage)
                for effect, place, stage in state.pending
                if place != earlier and (kept or place != now)
            ]
        else:
            pending = [one for one in state.pending if one[1] != now]
        orders[now] = (0, 0, False) if anew else None
        if anew:
            for place in range(0, len(orders), 2):
                order = orders[place]
                if place != now and order is not None and not order[2] and self._is_over(state, place):
                    orders[place] = (*order[:2], True)
                    pending = [one for one in pending if one[1] != place]
        deferred = tuple(
            one._replace(which=(EARLIER if kept else LONG_AGO) if one.which == NOW else LONG_AGO)
            if one.side == side
            else one
            for one in state.deferred
        )
        if anew:
            # An answer about earlier orders may arrive at any time as well.
            pending = [one for one in pending if not self._effects[one[0]].looks_at_all]
        return state._replace(orders=tuple(orders), pending=tuple(sorted(set(pending))), deferred=deferred)

    def _requested(self, state: State, request: Request) -> list[State] | None:
        number = self._effect_place[request.effect]
        effect = self._effects[number]
        if effect.looks_at_all:
            flags = tuple(
                PRESENT if state.orders[2 * side] is not None else NO_ORDER for side in range(len(self.sides))
            )
            made: Pending = (number, NONE, self._stage(("about", flags)))
        elif effect.side >= 0:
            if state.orders[2 * effect.side] is None:
                return None
            made = (number, 2 * effect.side, ASKED)
            order = state.orders[2 * effect.side]
            if order is not None and order[2]:
                orders = (*state.orders[: made[1]], (*order[:2], False), *state.orders[made[1] + 1 :])
                state = state._replace(orders=orders)
        else:
            made = (number, NONE, ASKED)
        if made in state.pending:
            return [state]
        pending = (*state.pending, made)
        if len(pending) <= self._under_way:
            return [state._replace(pending=tuple(sorted(pending)))]
        # One of the others is left open from here on, be it any: no answer of it is followed.
        others = [one for one in state.pending if not self._may_create(one)]
        if not others:
            return [state._replace(pending=tuple(sorted(pending)))]
        return [state._replace(pending=tuple(sorted(one for one in pending if one != left))) for left in others]

    def _may_create(self, pending: Pending) -> bool:
        return self._effects[pending[0]].creates and self._stages[pending[2]] in (ASKED, ADRIFT, LOOKING_ADRIFT)

    def _tidied(self, state: State) -> State:
        """Nothing more is followed of an earlier order that is over and in the books: anything may arrive about it."""
        for place in range(1, len(state.orders), 2):
            if state.orders[place] is not None and self._is_over(state, place):
                side = place // 2
                state = state._replace(
                    orders=(*state.orders[:place], None, *state.orders[place + 1 :]),
                    pending=tuple(one for one in state.pending if one[1] != place),
                    deferred=tuple(
                        one._replace(which=LONG_AGO) if one.side == side and one.which == EARLIER else one
                        for one in state.deferred
                    ),
                )
        return state

    def _is_over(self, state: State, place: int) -> bool:
        assert self.life is not None
        order = state.orders[place]
        assert order is not None
        if self.life.live[order[0]] or self.life.fills[order[0]] > order[1]:
            return False
        if any(one[1] == place and self._may_create(one) for one in state.pending):
            return False
        return order[0] == 0 or bool(self.life.reports[order[0]])

    def _about(self, state: State, delivery: Delivery) -> tuple[dict[str, Any], Any]:
        """What the machine is told with the event, and a key for it."""
        if delivery.side < 0 and not delivery.answer:
            return self.machine.nothing_known, None
        assert self.life is not None
        booked: tuple[int, ...]
        if delivery.answer:
            booked = tuple((state.orders[2 * side] or (0, 0, False))[1] for side in range(len(self.sides)))
        elif delivery.which == LONG_AGO:
            booked = (len(self.life.fill_names) - 1,)
        else:
            booked = ((state.orders[2 * delivery.side + delivery.which] or (0, 0, False))[1],)
        flag = PRESENT if delivery.which == NOW else PAST
        key = (delivery.side, flag, delivery.fills, delivery.answer, booked)
        found = self._abouts.get(key)
        if found is None:
            found = dict(self.machine.nothing_known)
            if delivery.answer:
                for name, report, known in zip(self.sides, delivery.answer, booked, strict=True):
                    found[f"event.{name}.order"], found[f"event.{name}.fills"], found[f"event.{name}.live"] = report
                    found[f"event.{name}.booked"] = known
            else:
                found |= {
                    "event.side": delivery.side,
                    "event.order": flag,
                    "event.fills": delivery.fills,
                    "event.booked": booked[0],
                }
            self._abouts[key] = found
        return found, key

    # --- small things ------------------------------------------------------------------------------------------------

    def _with(self, state: State, pending: Pending) -> State:
        if pending in state.pending or (pending[1] >= 0 and state.orders[pending[1]] is None):
            return state
        return state._replace(pending=tuple(sorted((*state.pending, pending))))

    def _stage(self, stage: Any) -> int:
        place = self._stage_place.get(stage)
        if place is None:
            place = self._stage_place[stage] = len(self._stages)
            self._stages.append(stage)
        return place

    def _read_effects(self) -> list[_Effect]:
        venue = self.spec.venue
        places = {name: number for number, name in enumerate(self.spec.effects)}
        replies = self.life.replies if self.life is not None else set()
        effects = []
        for name, declared in self.spec.effects.items():
            side, request, creates, unsent = NONE, "", False, ""
            for number, (_, orders) in enumerate(venue.orders.items() if venue else ()):
                for place, (event, effect) in enumerate(orders.requests.items()):
                    if effect == name:
                        side, request, creates = number, event, place == 0
                        unsent = (orders.unsent or "") if creates else ""
            answer = venue.look_up_all.get(name, "") if venue else ""
            effects.append(
                _Effect(
                    name,
                    side,
                    request,
                    declared.effect_class == "at_most_once",
                    creates,
                    bool(answer),
                    answer,
                    tuple(places[other] for other in declared.after),
                    tuple(one for one in declared.outcomes if one not in replies and one != answer),
                    dict(declared.outcomes),
                    unsent,
                )
            )
        return effects
