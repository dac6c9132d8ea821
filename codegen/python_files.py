"""The Python package of a machine, before formatting."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codegen import literals, python_names
from codegen.digest import digest, presentation_digest
from codegen.findings import printable
from codegen.knobs import knob_value
from codegen.model import Cell, Effect, Machine, Spec, TypeRef
from codegen.python_names import event_class, request_class
from codegen.usage import action_events, guard_events

MODULES = ("__init__", "names", "data", "events", "requests", "handlers", "table", "definition")


class _KnobText(NamedTuple):
    name: str
    kind: str
    annotation: str
    default: str
    summary: str
    env: str | None
    minimum: str | None
    maximum: str | None


class _Argument(NamedTuple):
    name: str
    type: TypeRef
    doc: tuple[str, str]


def python_files(machine: Machine) -> dict[str, str]:
    """The text of every module by its file name. Imports may be more than are used and lines may be long; the
    formatter puts that right."""
    spec = machine.spec
    exports = _exports(spec)
    context: dict[str, Any] = {
        "spec": spec,
        "machine": machine,
        "source": printable(spec.source.name),
        "digest": digest(machine),
        "presentation_digest": presentation_digest(machine),
        "knobs": _knobs(spec),
        "requests": {name: _arguments(spec, effect) for name, effect in spec.effects.items()},
        "outcomes": {name: tuple(dict.fromkeys(effect.outcomes.values())) for name, effect in spec.effects.items()},
        "policies": _policies(spec),
        "guard_events": guard_events(machine),
        "action_events": action_events(machine),
        "history_groups": tuple(name for name, group in spec.groups.items() if group.history),
        "exports": exports,
        "all_names": [name for names in exports.values() for name in names],
    }
    environment = _environment()
    return {f"{module}.py": environment.get_template(f"{module}.py.j2").render(context) for module in MODULES}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FilePath(__file__).parent / "templates", encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        annotation=python_names.annotation,
        assigned=lambda value: f" = {value}" if value else "",
        branch=literals.branch_literal,
        by_origin=_by_origin,
        default=python_names.default,
        doc=literals.docstring,
        event_class=event_class,
        field_default=python_names.field_default,
        py=literals.literal,
        py_list=literals.list_literal,
        request_class=request_class,
        text=literals.text_literal,
        union=_union,
        unit=python_names.unit,
    )
    return environment


def _union(events: Iterable[str]) -> str:
    return " | ".join(f"events.{event_class(event)}" for event in events)


def _exports(spec: Spec) -> dict[str, list[str]]:
    exports = {
        "data": [*spec.types, "StateData", "Config", "KNOBS"],
        "definition": ["DEFINITION", "make_error"],
        "events": [*map(event_class, spec.events), "Payload"],
        "handlers": ["Guards", "Actions", "EffectHandlers"],
        "names": ["Phase", "FSMEvent", "Effect"],
        "requests": [*map(request_class, spec.effects)],
        "table": ["TABLE"],
    }
    return {module: names for module, names in exports.items() if names}


def _knobs(spec: Spec) -> list[_KnobText]:
    return [
        _KnobText(
            name=name,
            kind=knob.type,
            annotation=python_names.PYTHON_TYPES[knob.type],
            default=_value_literal(knob_value(knob.type, knob.default)),
            summary=knob.summary,
            env=knob.env,
            minimum=None if knob.min is None else _value_literal(knob_value(knob.type, knob.min)),
            maximum=None if knob.max is None else _value_literal(knob_value(knob.type, knob.max)),
        )
        for name, knob in spec.config.items()
    ]


def _value_literal(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return literals.text_literal(value) if isinstance(value, str) else repr(value)
    return f"{value:_}"


def _arguments(spec: Spec, effect: Effect) -> list[_Argument]:
    """The fields of a request: what an argument without `optional` names is there, or the transition fails."""
    arguments = []
    for name, may_be_missing in effect.arguments:
        datum = spec.data[name]
        type_ = datum.type if may_be_missing else datum.type.model_copy(update={"optional": False})
        arguments.append(_Argument(name, type_, (datum.summary, python_names.unit(type_))))
    return arguments


def _policies(spec: Spec) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "max_attempts": policy.max_attempts,
            "base_delay": _delay(spec, policy.base_delay),
            "factor": policy.factor,
            "max_delay": _delay(spec, policy.max_delay),
        }
        for name, policy in spec.policies.items()
    }


def _delay(spec: Spec, written: str) -> str | int:
    value = written if written in spec.config else knob_value("duration", written)
    assert isinstance(value, str | int)
    return value


def _by_origin(cells: dict[str, Cell]) -> list[tuple[str, list[tuple[str, Cell]]]]:
    """The cells of a phase: its own first, then those of its groups, then those that the events decide."""
    parts: dict[str, list[tuple[str, Cell]]] = {"": []}
    defaults: list[tuple[str, Cell]] = []
    for event, cell in cells.items():
        if cell.origin.kind == "phase":
            parts[""].append((event, cell))
        elif cell.origin.kind == "group":
            parts.setdefault(f"shared by the group {cell.origin.name}", []).append((event, cell))
        else:
            defaults.append((event, cell))
    parts["as the event's own `otherwise` says"] = defaults
    return [(origin, part) for origin, part in parts.items() if part]
