"""The values of the configuration, typed."""

from __future__ import annotations

from decimal import Decimal

from codegen.durations import milliseconds
from codegen.model import Scalar

HOW_TO_WRITE = {
    "duration": "a number and a unit: 500ms, 30s, 5m, 2h or 14d",
    "int": "a whole number, such as 3",
    "decimal": "a number, such as 0.25",
    "bool": "true or false",
    "str": "a text, in quotes if it could be read as something else",
}


def knob_value(kind: str, written: Scalar) -> int | Decimal | bool | str:
    """The value of a knob of `kind` as it was written; a duration becomes milliseconds.

    Raises:
        ValueError: it is not of that kind.
    """
    if kind == "bool":
        if isinstance(written, bool):
            return written
    elif isinstance(written, bool):
        pass
    elif kind == "int" and isinstance(written, int):
        return written
    elif kind == "decimal" and isinstance(written, int | Decimal):
        return Decimal(written)
    elif kind == "duration" and isinstance(written, str):
        return milliseconds(written)
    elif kind == "str" and isinstance(written, str):
        return written
    raise ValueError(f"`{written}` is not {HOW_TO_WRITE[kind]}")
