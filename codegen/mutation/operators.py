"""The mistakes: each operator makes one kind of small change, wherever the spec offers a place for it.

What the spec says of its own correctness is left as it is: invariants, properties, facts, what actions and guards mean
to the checker, and the venue. Such a change would make another claim about the same machine, not another machine.
Texts, lengths of time and the shape of data are left alone too: the checker knows nothing of them, and the types see to
the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from codegen.model import Path
from codegen.mutation.edits import Edit, dropping, replacing, setting, without_item
from codegen.mutation.written import WrittenCell, WrittenRow, WrittenSpec

_WHY = "mutated"


class Operator(NamedTuple):
    """`mistake` is what whoever made such a change got wrong."""

    id: str
    mistake: str
    edits: Callable[[WrittenSpec], Iterator[Edit]]


def _timeout_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for name in _timed(written):
        path: Path = ("phases", name)
        yield _phase_edit(name, "timeout", "no timeout", dropping([path], "timeout"))


def _timeout_raises_another(written: WrittenSpec) -> Iterator[Edit]:
    timers = list(dict.fromkeys(written.spec.phases[name].timeout.raises for name in _timed(written)))  # type: ignore[union-attr]
    for name in _timed(written):
        timeout = written.spec.phases[name].timeout
        assert timeout is not None
        other = timers[(timers.index(timeout.raises) + 1) % len(timers)]
        if other != timeout.raises:
            words = f"the timer raises {other} instead of {timeout.raises}"
            changes = setting([("phases", name, "timeout")], "raises", other)
            yield _phase_edit(name, "timeout", words, changes, other, {other, timeout.raises})


def _timeout_lost_by_restart(written: WrittenSpec) -> Iterator[Edit]:
    for name in _timed(written):
        changes = setting([("phases", name, "timeout")], "on_restore", "drop")
        yield _phase_edit(name, "timeout", "a restart drops the timer", changes)


def _row_retargeted(written: WrittenSpec) -> Iterator[Edit]:
    order = list(written.spec.phases)
    for row in _rows(written, with_uses=True):
        to = row.branch.to
        if to is None:
            continue
        own = row.cell.name if row.cell.owner == "phases" and len(row.cell.paths) == 1 else None
        following = order[(order.index(to) + 1) % len(order)]
        rest = written.spec.happy_path[-1] if written.spec.happy_path else written.spec.initial
        targets = dict.fromkeys([rest, written.failure_phase, own, following])
        for target in targets:
            if target is not None and target != to:
                words = f"leads to {target} instead of {to}"
                yield _row_edit(written, row, words, setting(row.paths, "to", target), target)


def _answer_presumed(written: WrittenSpec) -> Iterator[Edit]:
    for row in _rows(written):
        to = row.branch.to
        if to is None:
            continue
        effects = written.spec.phases[to].entry.request
        outcomes = {event for effect in effects for event in written.spec.effects[effect].outcomes.values()}
        targets = dict.fromkeys(
            branch.to
            for event, cell in written.machine.cells[to].items()
            if event in outcomes and cell.origin.kind == "phase"
            for branch in cell.branches
        )
        for target in targets:
            if target is not None and target != to:
                words = f"leads past {to} and its request to {target}"
                yield _row_edit(written, row, words, setting(row.paths, "to", target), target)


def _row_made_internal(written: WrittenSpec) -> Iterator[Edit]:
    for row in _rows(written):
        if row.branch.leaves:
            words = f"stays in its phase instead of going to {row.branch.to or row.branch.history}"
            yield _row_edit(written, row, words, dropping(row.paths, "to"))


def _guard_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for row in _rows(written):
        texts = _guard_texts(row)
        for index, text in enumerate(texts):
            rest = [*texts[:index], *texts[index + 1 :]]
            changes = setting(row.paths, "if", rest) if rest else dropping(row.paths, "if")
            yield _row_edit(written, row, f"`{text}` is not asked", changes, text, "if", taken=False)


def _guard_negated(written: WrittenSpec) -> Iterator[Edit]:
    for row in _rows(written):
        texts = _guard_texts(row)
        for index, text in enumerate(texts):
            name, wanted = row.branch.guards[index]
            opposite = f"not {name}" if wanted else name
            changes = setting(row.paths, "if", [*texts[:index], opposite, *texts[index + 1 :]])
            words = f"asks `{opposite}` instead of `{text}`"
            yield _row_edit(written, row, words, changes, text, "if", taken=False)


def _branches_swapped(written: WrittenSpec) -> Iterator[Edit]:
    for cell in written.cells:
        for row, following in zip(cell.rows(), list(cell.rows())[1:], strict=False):
            changes = replacing(row.paths, following.raw) + replacing(following.paths, row.raw)
            words = f"comes after {following.label}"
            yield _row_edit(written, row, words, changes, taken=False)


def _branch_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for cell in written.cells:
        rows = list(cell.rows())
        for row in rows:
            if len(rows) > 1:
                items = _items(cell)
                changes = _with_items(cell, [*items[: row.index], *items[row.index + 1 :]])
                yield _row_edit(written, row, "is not there", changes)
        if cell.cell.falls_back:
            changes = _with_items(cell, _items(cell)[:-1])
            yield _cell_edit(written, cell, "`otherwise` is not there", changes, "otherwise")


def _cell_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for cell in _single(written):
        if cell.cell.kind != "defer":
            yield _cell_edit(written, cell, "is not there", dropping(cell.paths))


def _action_dropped(written: WrittenSpec) -> Iterator[Edit]:
    yield from _item_dropped(written, "do", "action")
    for name, phase in written.spec.phases.items():
        for index, action in enumerate(phase.exit.do):
            changes = without_item([("phases", name, "exit")], "do", index)
            yield _part_edit(name, "exit", f"`{action}` is not done on exit", changes, action, {"actions": {action}})


def _request_dropped(written: WrittenSpec) -> Iterator[Edit]:
    yield from _item_dropped(written, "request", "effect")


def _raise_dropped(written: WrittenSpec) -> Iterator[Edit]:
    yield from _item_dropped(written, "raise", "event")


def _deferral_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for cell in written.cells:
        if cell.cell.kind == "defer":
            default = written.spec.events[cell.event].otherwise
            if default is not None:
                yield _cell_edit(written, cell, "is not deferred: the event's own `otherwise`", dropping(cell.paths))
            for word in ("ignore", "reject"):
                yield _cell_edit(
                    written, cell, f"{word}s instead of deferring", replacing(cell.paths, {word: _WHY}), word
                )


def _refusal_softened(written: WrittenSpec) -> Iterator[Edit]:
    yield from _kind_changed(written, "reject", "ignore")


def _ignoring_hardened(written: WrittenSpec) -> Iterator[Edit]:
    yield from _kind_changed(written, "ignore", "reject")


def _cell_ignored(written: WrittenSpec) -> Iterator[Edit]:
    for cell in _single(written):
        if cell.cell.kind == "branches":
            yield _cell_edit(written, cell, "ignores whatever comes", replacing(cell.paths, {"ignore": _WHY}))


def _class_weakened(written: WrittenSpec) -> Iterator[Edit]:
    for name, effect in written.spec.effects.items():
        if effect.effect_class == "at_most_once":
            changes = setting([("effects", name)], "class", "idempotent")
            yield _effect_edit(name, ("class",), "is idempotent instead of at_most_once", changes)


def _after_dropped(written: WrittenSpec) -> Iterator[Edit]:
    for name, effect in written.spec.effects.items():
        for index, other in enumerate(effect.after):
            changes = without_item([("effects", name)], "after", index)
            yield _effect_edit(name, ("after", index), f"does not come after {other}", changes, other)


def _outcome_remapped(written: WrittenSpec) -> Iterator[Edit]:
    for name, effect in written.spec.effects.items():
        for outcome, event in effect.outcomes.items():
            for other in dict.fromkeys(effect.outcomes.values()):
                if other != event:
                    changes = setting([("effects", name, "outcomes")], outcome, other)
                    words = f"`{outcome}` is told as {other} instead of {event}"
                    yield _effect_edit(name, ("outcomes", outcome), words, changes, f"{outcome} {other}")


# --- parts of the operators --------------------------------------------------------------------------------------


def _item_dropped(written: WrittenSpec, key: str, kind: str) -> Iterator[Edit]:
    """One name less in the lists of the rows and of the phases' entries."""
    verb = {"do": "done", "request": "asked for", "raise": "raised"}[key]
    field = {"do": "do", "request": "request", "raise": "raises"}[key]
    for row in _rows(written):
        for index, name in enumerate(getattr(row.branch, field)):
            changes = without_item(row.paths, key, index)
            yield _row_edit(written, row, f"`{name}` is not {verb}", changes, name, key, {f"{kind}s": {name}})
    for phase_name, phase in written.spec.phases.items():
        for index, name in enumerate(getattr(phase.entry, field)):
            changes = without_item([("phases", phase_name, "entry")], key, index)
            words = f"`{name}` is not {verb} on entry"
            yield _part_edit(phase_name, "entry", words, changes, name, {f"{kind}s": {name}})


def _kind_changed(written: WrittenSpec, kind: str, to: str) -> Iterator[Edit]:
    for cell in written.cells:
        if cell.cell.kind == kind:
            changes = replacing(cell.paths, {to: cell.cell.reason})
            yield _cell_edit(written, cell, f"{to}s instead of {kind.rstrip('e')}ing", changes)


def _rows(written: WrittenSpec, with_uses: bool = False) -> Iterator[WrittenRow]:
    for cell in chain(written.cells, written.uses if with_uses else ()):
        yield from cell.rows()


def _single(written: WrittenSpec) -> Iterator[WrittenCell]:
    """Every use of every cell."""
    return chain((cell for cell in written.cells if len(cell.paths) == 1), written.uses)


def _timed(written: WrittenSpec) -> list[str]:
    return [name for name, phase in written.spec.phases.items() if phase.timeout is not None]


def _guard_texts(row: WrittenRow) -> list[str]:
    texts = row.raw.get("if", [])
    return [texts] if isinstance(texts, str) else list(texts)


def _items(cell: WrittenCell) -> list[Any]:
    return list(cell.raw["first_of"] if cell.cell.form == "first_of" else cell.raw)


def _with_items(cell: WrittenCell, items: list[Any]) -> Any:
    return replacing(cell.paths, {"first_of": items} if cell.cell.form == "first_of" else items)


def _phase_edit(
    phase: str, part: str, words: str, changes: Any, variant: str = "", events: set[str] | None = None
) -> Edit:
    return Edit(
        f"{phase}/{part}",
        words,
        changes,
        ("phases", phase, part),
        variant,
        at_key=True,
        phases=frozenset({phase}),
        events=frozenset(events or ()),
    )


def _part_edit(phase: str, part: str, words: str, changes: Any, variant: str, touched: dict[str, set[str]]) -> Edit:
    sets: dict[str, Any] = {name: frozenset(names) for name, names in touched.items()}
    return Edit(f"{phase}/{part}", words, changes, ("phases", phase, part), variant, True, frozenset({phase}), **sets)


def _cell_edit(written: WrittenSpec, cell: WrittenCell, words: str, changes: Any, variant: str = "") -> Edit:
    return Edit(
        cell.label,
        words,
        changes,
        cell.paths[0],
        variant,
        at_key=True,
        # Two ways to do nothing differ only in what the sender is told.
        phases=frozenset() if cell.cell.kind in ("ignore", "reject") else written.phases_of(cell) | _targets(cell),
        events=cell.events,
        actions=frozenset(action for branch in cell.cell.branches for action in branch.do),
    )


def _row_edit(
    written: WrittenSpec,
    row: WrittenRow,
    words: str,
    changes: Any,
    variant: str = "",
    key: str = "",
    touched: dict[str, set[str]] | None = None,
    taken: bool = True,
) -> Edit:
    """`taken`: it makes a difference only when the row is taken; not so when the change decides whether it is."""
    path = row.paths[0]
    # A single use of what is written elsewhere is edited where the alias stands.
    shown: Path = row.cell.paths[0] if row.cell.alone else (*path, key) if key else path
    sets: dict[str, Any] = {name: frozenset(names) for name, names in (touched or {}).items()}
    sets["events"] = row.cell.events | sets.get("events", frozenset())
    return Edit(
        row.label,
        words,
        changes,
        shown,
        variant,
        at_key=row.cell.alone or bool(key),
        phases=written.phases_of(row.cell) | ({row.branch.to} if row.branch.to else frozenset()),
        rows=written.row_ids(row) if taken else None,
        **sets,
    )


def _effect_edit(effect: str, inner: Path, words: str, changes: Any, variant: str = "") -> Edit:
    return Edit(f"effects.{effect}", words, changes, ("effects", effect, *inner), variant, effects=frozenset({effect}))


def _targets(cell: WrittenCell) -> frozenset[str]:
    return frozenset(branch.to for branch in cell.cell.branches if branch.to is not None)


OPERATORS = (
    Operator("timeout-dropped", "what never comes is waited for", _timeout_dropped),
    Operator("timeout-raises-another", "the timer means something else", _timeout_raises_another),
    Operator("timeout-lost-by-restart", "a restart forgets what was due", _timeout_lost_by_restart),
    Operator("row-retargeted", "the row leads elsewhere", _row_retargeted),
    Operator("answer-presumed", "what should be asked for is taken as answered", _answer_presumed),
    Operator("row-made-internal", "the phase is not left", _row_made_internal),
    Operator("guard-dropped", "a condition is forgotten", _guard_dropped),
    Operator("guard-negated", "a condition is the wrong way round", _guard_negated),
    Operator("branches-swapped", "the order of two branches is wrong", _branches_swapped),
    Operator("branch-dropped", "a case is forgotten", _branch_dropped),
    Operator("cell-dropped", "an event is forgotten", _cell_dropped),
    Operator("cell-ignored", "an event is thought to be harmless", _cell_ignored),
    Operator("action-dropped", "something is not done", _action_dropped),
    Operator("request-dropped", "something is not asked for", _request_dropped),
    Operator("raise-dropped", "something is not raised", _raise_dropped),
    Operator("deferral-dropped", "an early event is lost", _deferral_dropped),
    Operator("reject-to-ignore", "a mistake of the sender is hidden", _refusal_softened),
    Operator("ignore-to-reject", "an ordinary event is called a mistake", _ignoring_hardened),
    Operator("class-weakened", "a request may be sent twice", _class_weakened),
    Operator("after-dropped", "the world is asked too early", _after_dropped),
    Operator("outcome-remapped", "an answer is taken for another", _outcome_remapped),
)
