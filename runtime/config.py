"""The configuration of a machine, from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from runtime.definition import Knob
from runtime.errors import ConfigError

ConfigT = TypeVar("ConfigT")

_MILLISECONDS = {"ms": 1, "": 1_000, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|d|)")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_BOOLS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_HOW = {
    "duration": "seconds (30, 1.5) or a number with a unit (500ms, 30s, 5m, 2h, 14d)",
    "int": "a whole number",
    "decimal": "a number, such as 0.25",
    "bool": "true or false",
    "str": "a text",
}
_SHOWN_AT_MOST = 60


def load_config(config: type[ConfigT], knobs: Sequence[Knob], environ: Mapping[str, str]) -> ConfigT:
    """A generated `Config` with the values that `environ` sets and the defaults of the rest.

    A variable that is set to nothing counts as not set, except for a text. A duration has to be positive unless its
    knob's minimum allows zero.

    Raises:
        ConfigError: names every variable that cannot be used, its value, and what is allowed.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for knob in knobs:
        if knob.env is None or knob.env not in environ:
            continue
        text = environ[knob.env]
        if not text.strip() and knob.kind != "str":
            continue
        try:
            values[knob.name] = _checked(knob, _parse(knob.kind, text))
        except ValueError as error:
            shown = text if len(text) <= _SHOWN_AT_MOST else text[: _SHOWN_AT_MOST - 3] + "..."
            faults.append(f"  {knob.env}={shown!r}: {error}. {knob.summary} Default: {written(knob, knob.default)}.")
    if faults:
        raise ConfigError(
            "The environment sets what cannot be used, and a guess could cost money; nothing was started.\n"
            + "\n".join(faults)
            + "\nSet each variable to an allowed value, or unset it to take the default."
        )
    return config(**values)


def written(knob: Knob, value: Any) -> str:
    """A value of the knob as it may be written in the environment: `30s`, `0.25`, `true`."""
    if knob.kind == "duration":
        for unit in ("d", "h", "m", "s"):
            if value and value % _MILLISECONDS[unit] == 0:
                return f"{value // _MILLISECONDS[unit]}{unit}"
        return f"{value}ms"
    return str(value).lower() if knob.kind == "bool" else str(value)


def _parse(kind: str, text: str) -> Any:
    stripped = text.strip()
    if kind == "str":
        return text
    if kind == "bool" and stripped.lower() in _BOOLS:
        return _BOOLS[stripped.lower()]
    if kind == "int" and _INT.fullmatch(stripped):
        return int(stripped)
    if kind == "decimal":
        try:
            value = Decimal(stripped)
        except InvalidOperation:
            value = Decimal("nan")
        if value.is_finite():
            return value
    if kind == "duration" and (match := _DURATION.fullmatch(stripped)):
        exact = Decimal(match[1]) * _MILLISECONDS[match[2]]
        if exact != int(exact):
            raise ValueError("it must be a whole number of milliseconds")
        return int(exact)
    raise ValueError(f"it must be {_HOW[kind]}")


def _checked(knob: Knob, value: Any) -> Any:
    if knob.minimum is not None and value < knob.minimum:
        raise ValueError(f"it must be at least {written(knob, knob.minimum)}")
    if knob.maximum is not None and value > knob.maximum:
        raise ValueError(f"it must be at most {written(knob, knob.maximum)}")
    if knob.kind == "duration" and knob.minimum is None and value <= 0:
        raise ValueError("it must be longer than 0")
    return value
