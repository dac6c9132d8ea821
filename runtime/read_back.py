"""Whether data will be read back from JSON as they are, told from their types: many times faster than trying it.

Like the standard library's dataclasses, this writes a function for each type, once.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from itertools import count
from typing import Any

from msgspec import inspect

_Check = Callable[[Any], bool]
_PLAIN = ((inspect.IntType(), "int"), (inspect.StrType(), "str"), (inspect.BoolType(), "bool"))


def read_back_check(kind: type[Any]) -> _Check:
    """A function that tells whether a value of exactly the type `kind` equals what is read from its JSON. It is wrong
    in one way only: it may say False because it cannot be sure."""
    return _Writer().check_of(inspect.type_info(kind))


class _Unsure(Exception):  # noqa: N818
    """There is a type of which nothing can be said by looking at types."""


class _Writer:
    def __init__(self) -> None:
        self._names: dict[str, Any] = {"Decimal": Decimal, "is_own_text": _is_own_text}
        self._known: dict[type[Any], str] = {}
        self._numbers = count()

    def check_of(self, wanted: inspect.Type) -> _Check:
        try:
            name = self._struct(wanted)
        except _Unsure:
            return _never
        check: _Check = self._names[name]
        return check

    def _struct(self, wanted: inspect.Type) -> str:
        """The name of a function that checks the fields of a struct."""
        if not isinstance(wanted, inspect.StructType) or hasattr(wanted.cls, "__post_init__"):
            raise _Unsure
        if wanted.cls in self._known:
            return self._known[wanted.cls]
        name = self._known[wanted.cls] = f"check_{next(self._numbers)}"
        lines = [f"def {name}(data):"]
        for field in wanted.fields:
            lines += [f"    value = data.{field.name}", f"    if not ({self._expression(field.type)}):"]
            lines.append("        return False")
        exec("\n".join([*lines, "    return True"]), self._names)
        return name

    def _expression(self, wanted: inspect.Type) -> str:
        """What is true of `value` when it is a `wanted`."""
        if (name := _plain(wanted)) is not None:
            return f"type(value) is {name}" + (" or is_own_text(value)" if name == "str" else "")
        match wanted:
            case inspect.NoneType():
                return "value is None"
            case inspect.DecimalType():
                return "type(value) is Decimal and value.is_finite()"
            case inspect.UnionType(types):
                # None first: most of what may be missing is, most of the time.
                ordered = sorted(types, key=lambda one: not isinstance(one, inspect.NoneType))
                return " or ".join(f"({self._expression(one)})" for one in ordered)
            case inspect.StructType(kind):
                return f"type(value) is {self._name(kind)} and {self._struct(wanted)}(value)"
            case inspect.ListType(item, None, None):
                if (name := _plain(item)) is not None:
                    return f"type(value) is list and {{{name}}}.issuperset(map(type, value))"
                name = f"check_{next(self._numbers)}"
                exec(f"def {name}(value):\n    return {self._expression(item)}", self._names)
                return f"type(value) is list and all(map({name}, value))"
        raise _Unsure

    def _name(self, value: Any) -> str:
        name = f"known_{next(self._numbers)}"
        self._names[name] = value
        return name


def _plain(wanted: inspect.Type) -> str | None:
    """The name of the built-in type that `wanted` is, without bounds on its values."""
    return next((name for plain, name in _PLAIN if wanted == plain), None)


def _never(data: object) -> bool:
    return False


def _is_own_text(value: object) -> bool:
    return isinstance(value, StrEnum) and value == value.value
