"""What only the checker reads: facts, conditions, the venue, invariants and properties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from codegen.expressions import ExpressionError, understand
from codegen.findings import Severity
from codegen.lint.rule import Problem, Rule
from codegen.lint.subject import Subject
from codegen.model import Branch, Path, Spec
from codegen.scope import ANY, scope, written_conditions
from codegen.wording import did_you_mean, listed

FAIRNESS = ("answers", "timers", "outside")
KINDS = ("never", "reachable", "recoverable", "leads_to")


def meaningless(kind: str, subject: Subject) -> Iterator[Problem]:
    """Conditions that cannot be understood, for the reason `kind`."""
    spec = subject.spec
    if spec.venue is not None and subject.venue is None:
        return  # Every name of the venue would be unknown; that has a finding of its own.
    for written in written_conditions(spec):
        try:
            understand(written.text, scope(spec, subject.venue, written.place))
        except ExpressionError as error:
            if error.kind == kind:
                yield Problem(written.path, error.what, error.fix, offset=error.offset)


def unknown_fact(subject: Subject) -> Iterator[Problem]:
    """Actions that set what is no fact."""
    facts = subject.spec.facts
    for name, action in subject.spec.actions.items():
        for fact in action.sets:
            if fact not in facts:
                yield Problem(
                    ("actions", name, "set", fact),
                    f"unknown fact `{fact}`",
                    f"{did_you_mean(fact, facts)}write one of: {listed(list(facts)) or '(none is declared)'}",
                    at_key=True,
                )


def impossible_value(subject: Subject) -> Iterator[Problem]:
    """Actions that give a fact what it never is."""
    facts = subject.spec.facts
    for name, action in subject.spec.actions.items():
        for fact, new in action.sets.items():
            path: Path = ("actions", name, "set", fact)
            for value in new if isinstance(new, dict) else [new]:
                if fact in facts and value not in facts[fact] and not (value == ANY and new == ANY):
                    yield Problem(
                        (*path, value) if isinstance(new, dict) else path,
                        f"the fact `{fact}` is never `{value}`",
                        f"{did_you_mean(value, facts[fact])}write one of: {listed(facts[fact])}",
                        at_key=isinstance(new, dict),
                    )


def malformed_fact(subject: Subject) -> Iterator[Problem]:
    """Facts with a value twice, with the word `any` as a value, or with a name that conditions need themselves."""
    for name, values in subject.spec.facts.items():
        if name in ("phase", "event", "and", "or", "not", "in", "implies"):
            yield Problem(("facts", name), f"`{name}` means something else", "choose another name", at_key=True)
        for number, value in enumerate(values):
            if value == ANY:
                yield Problem(("facts", name, number), "`any` stands for every value", "choose another word")
            elif value in values[:number]:
                yield Problem(("facts", name, number), f"`{value}` is listed twice", "remove one of the two")


def idle_fact(subject: Subject) -> Iterator[Problem]:
    """Facts that no action sets, or that no condition reads."""
    spec = subject.spec
    if spec.venue is not None and subject.venue is None:
        return
    set_somewhere = {fact for action in spec.actions.values() for fact in action.sets}
    read: set[str] = set()
    for written in written_conditions(spec):
        try:
            read |= understand(written.text, scope(spec, subject.venue, written.place)).names
        except ExpressionError:
            return  # What was meant by it may be the fact that seems unread.
    for name in spec.facts:
        if name not in set_somewhere:
            yield Problem(
                ("facts", name),
                f"no action sets the fact `{name}`",
                f"write `set: {{{name}: ...}}` in the action that changes it, or remove it",
                at_key=True,
            )
        elif name not in read:
            yield Problem(("facts", name), f"no condition reads the fact `{name}`", "use it or remove it", at_key=True)


def contradictory_conditions(subject: Subject) -> Iterator[Problem]:
    """Guards with an exact condition and a bound as well."""
    for name, guard in subject.spec.guards.items():
        for key in ("only_if", "whenever"):
            if guard.when is not None and getattr(guard, key) is not None:
                yield Problem(
                    ("guards", name, key), f"`when` says all about {name}", f"remove `{key}`, or `when`", at_key=True
                )


def not_one_property(subject: Subject) -> Iterator[Problem]:
    """Entries of `properties` that say nothing, or several things."""
    for number, declared in enumerate(subject.spec.properties):
        said = [kind for kind in KINDS if getattr(declared, kind) is not None]
        if len(said) != 1:
            yield Problem(
                ("properties", number),
                f"a property says one thing, and this one says {len(said)}",
                f"write one of: {listed(KINDS)}",
            )


def unknown_fairness(subject: Subject) -> Iterator[Problem]:
    """Assumptions that have no meaning."""
    for number, declared in enumerate(subject.spec.properties):
        for place, word in enumerate(declared.leads_to.assuming if declared.leads_to else ()):
            if word not in FAIRNESS:
                yield Problem(
                    ("properties", number, "leads_to", "assuming", place),
                    f"nothing can be assumed by the name of `{word}`",
                    f"{did_you_mean(word, FAIRNESS)}write one of: {listed(FAIRNESS)}",
                )


def missing_venue(subject: Subject) -> Iterator[Problem]:
    """Venues whose machine cannot be read."""
    venue = subject.spec.venue
    if venue is not None and subject.venue is None:
        yield Problem(
            ("venue", "machine"),
            f"there is no machine `{venue.machine}` that could be read beside this file",
            f"write {venue.machine}.yaml into the same folder, and correct what is wrong in it",
        )


def unknown_to_venue(subject: Subject) -> Iterator[Problem]:
    """Names in the venue section that neither this machine nor the venue's has."""
    spec, machine = subject.spec, subject.venue
    if spec.venue is None or machine is None:
        return
    venue = spec.venue
    told = {branch.report for branch in _branches(machine)} - {None}
    wanted: list[tuple[Path, str, str, list[str], bool]] = [
        (("venue", "fills"), "fact of the venue", venue.fills, list(machine.facts), False),
        (("venue", "live"), "group of the venue", venue.live, list(machine.groups), False),
        (("venue", "look_up"), "event of the venue", venue.look_up, list(machine.events), False),
    ]
    for effect, outcome in venue.look_up_all.items():
        wanted.append((("venue", "look_up_all", effect), "effect", effect, list(spec.effects), True))
        outcomes = list(spec.effects[effect].outcomes) if effect in spec.effects else [outcome]
        wanted.append((("venue", "look_up_all", effect), "outcome", outcome, outcomes, False))
    for name, side in venue.orders.items():
        path: Path = ("venue", "orders", name)
        for event, effect in side.requests.items():
            wanted.append(((*path, "requests", event), "event of the venue", event, list(machine.events), True))
            wanted.append(((*path, "requests", event), "effect", effect, list(spec.effects), False))
        for report, event in side.reports.items():
            wanted.append(((*path, "reports", report), "report of the venue", report, sorted(map(str, told)), True))
            wanted.append(((*path, "reports", report), "event", event, list(spec.events), False))
        creation = next(iter(side.requests.values()))
        if side.unsent is not None and creation in spec.effects:
            outcomes = list(spec.effects[creation].outcomes)
            wanted.append(((*path, "unsent"), f"outcome of {creation}", side.unsent, outcomes, False))
    for name, action in spec.actions.items():
        for key in ("plans", "forgets"):
            for number, side_name in enumerate(getattr(action, key)):
                wanted.append((("actions", name, key, number), "side", side_name, list(venue.orders), False))
    for place, kind, name, known, at_key in wanted:
        if name not in known:
            yield Problem(
                place,
                f"there is no {kind} `{name}`",
                f"{did_you_mean(name, known)}write one of: {listed(known) or '(there is none)'}",
                at_key,
            )


def orders_without_venue(subject: Subject) -> Iterator[Problem]:
    """Actions that speak of orders, in a machine without a venue."""
    if subject.spec.venue is not None:
        return
    for name, action in subject.spec.actions.items():
        for key in ("books", "plans", "forgets"):
            if getattr(action, key):
                yield Problem(
                    ("actions", name, key),
                    f"`{key}` speaks of orders, and there is no venue that could have any",
                    f"add a `venue` section, or remove `{key}`",
                    at_key=True,
                )


def _branches(spec: Spec) -> Iterator[Branch]:
    return (branch for written in Subject(spec).cells for branch in written.cell.branches)


def effect_in_two_places(subject: Subject) -> Iterator[Problem]:
    """Effects that are two requests of the venue."""
    venue = subject.spec.venue
    if venue is None:
        return
    counted = Counter(effect for side in venue.orders.values() for effect in side.requests.values())
    counted.update(list(venue.look_up_all))
    for name, side in venue.orders.items():
        for event, effect in side.requests.items():
            if counted[effect] > 1:
                yield Problem(
                    ("venue", "orders", name, "requests", event),
                    f"the effect {effect} is {counted[effect]} requests at once",
                    "give each request an effect of its own",
                )


def coarse_identity(subject: Subject) -> Iterator[Problem]:
    """Events with fills whose identity is the same for two different reports.

    The order is named by a text that all reports of its side have; what has changed since, by a decimal or the fills.
    """
    spec = subject.spec
    if spec.venue is None:
        return
    fills = spec.venue.fills
    for name, event in spec.events.items():
        if event.identity is None or fills not in event.payload:
            continue
        reports = [
            spec.events[report].payload
            for side in spec.venue.orders.values()
            if name in side.reports.values()
            for report in side.reports.values()
            if report in spec.events
        ]
        texts = [field for field, type_ in event.payload.items() if str(type_) == "str"]
        wanted = {
            "the order": [field for field in texts if all(field in payload for payload in reports)],
            "what was filled": [field for field, type_ in event.payload.items() if str(type_) == "decimal"],
        }
        enough = {"the order": wanted["the order"], "what was filled": [*wanted["what was filled"], fills]}
        missing = [what for what, fields in enough.items() if not set(fields) & set(event.identity)]
        if missing:
            yield Problem(
                ("events", name, "identity"),
                f"two reports of fills can have the same identity: nothing in it says {' or '.join(missing)}",
                "; ".join(_to_add(what, wanted[what]) for what in missing),
            )


def _to_add(what: str, fields: list[str]) -> str:
    if what == "the order":
        return f"add what names the order: {listed(fields) or 'a str that every report of its side has'}"
    return f"add what grows with every fill: {listed(fields) or 'a decimal'}"


def _meaningless(kind: str) -> Callable[[Subject], Iterator[Problem]]:
    return partial(meaningless, kind)


RULES = (
    Rule("PW801", "condition that cannot be read", "Nothing would be checked.", _meaningless("syntax"), local=True),
    Rule(
        "PW802",
        "unknown name in a condition",
        "The checker would not know what to look at.",
        _meaningless("name"),
        local=True,
    ),
    Rule(
        "PW803",
        "condition with an impossible value",
        "The comparison would always give the same answer, and nothing would be checked.",
        _meaningless("value"),
        local=True,
    ),
    Rule("PW804", "unknown fact", "The checker would not notice what the action does.", unknown_fact, local=True),
    Rule("PW805", "impossible value of a fact", "The fact could never become that.", impossible_value, local=True),
    Rule("PW806", "malformed fact", "Its values could not be told apart.", malformed_fact, local=True),
    Rule(
        "PW807",
        "fact that is never set or never read",
        "It checks nothing; most often an action or a condition is missing.",
        idle_fact,
        Severity.WARNING,
        local=True,
    ),
    Rule(
        "PW808",
        "guard with two kinds of conditions",
        "One of them would have no effect.",
        contradictory_conditions,
        local=True,
    ),
    Rule("PW811", "property that does not say one thing", "It could not be checked.", not_one_property, local=True),
    Rule("PW812", "unknown assumption", "Nobody could say what is taken for granted.", unknown_fairness, local=True),
    Rule("PW821", "venue without a machine", "There is nothing to verify against.", missing_venue, local=True),
    Rule(
        "PW822",
        "unknown name in what concerns the venue",
        "A request, a report or an order would be missing from the world that is checked.",
        unknown_to_venue,
        local=True,
    ),
    Rule("PW823", "order without a venue", "It would mean nothing.", orders_without_venue, local=True),
    Rule(
        "PW824",
        "effect that is two requests",
        "What the venue is asked for would be undecided.",
        effect_in_two_places,
        local=True,
    ),
    Rule(
        "PW825",
        "fills without an identity of their own",
        "The second report would be taken for a repetition of the first, and its fills would never be booked.",
        coarse_identity,
        local=True,
    ),
)
