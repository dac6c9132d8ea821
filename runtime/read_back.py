"""Whether data will be read back from JSON as they are, told from their types: faster than trying it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Any

from msgspec import inspect
from msgspec.structs import astuple

_Check = Callable[[Any], bool]
_UNBOUNDED = (inspect.IntType(), inspect.StrType(), inspect.BoolType(), inspect.NoneType(), inspect.DecimalType())


def _always(value: object) -> bool:
    return True


class ReadBack:
    """Knows the struct type `kind`. It may be wrong in one way only: not to be sure of what would be read back.

    Whoever asks has encoded the value, and knows that no "NaN", which equals nothing, is in it.
    """

    __slots__ = ("_checks", "_fields", "_kinds")

    def __init__(self, kind: type[Any], kinds: dict[type[Any], ReadBack] | None = None) -> None:
        self._kinds = {} if kinds is None else kinds
        self._kinds[kind] = self
        found = inspect.type_info(kind)
        plain = isinstance(found, inspect.StructType) and not hasattr(kind, "__post_init__")
        self._fields = tuple(field.type for field in found.fields) if plain else None  # type: ignore[attr-defined]
        self._checks: dict[tuple[type, ...], tuple[tuple[int, _Check], ...]] = {}

    def is_sure(self, value: Any) -> bool:
        """Whether `value`, of exactly the type `kind`, equals what is read from its JSON."""
        if self._fields is None:
            return False
        values = astuple(value)
        types = tuple(map(type, values))
        checks = self._checks.get(types)
        if checks is None and (checks := self._learn(types)) is None:
            return False
        for place, check in checks:  # noqa: SIM110 - a generator costs more than all the rest
            if not check(values[place]):
                return False
        return True

    def _learn(self, types: tuple[type, ...]) -> tuple[tuple[int, _Check], ...] | None:
        """What remains to be looked at where the values have these types; None: they are not right."""
        assert self._fields is not None
        found = [self._check(wanted, given) for wanted, given in zip(self._fields, types, strict=True)]
        if None in found:
            return None
        checks = tuple((place, check) for place, check in enumerate(found) if check and check is not _always)
        self._checks[types] = checks
        return checks

    def _check(self, wanted: inspect.Type, given: type) -> _Check | None:
        """How a value of the type `given` is seen to be a `wanted`; None when it is not, or nobody can be sure."""
        match wanted:
            case inspect.UnionType(types):
                return next((check for kind in types if (check := self._check(kind, given))), None)
            case inspect.StructType(kind) if given is kind:
                return (self._kinds.get(kind) or ReadBack(kind, self._kinds)).is_sure
            case inspect.ListType(item, None, None) if given is list:
                return self._items(item)
            case _ if wanted not in _UNBOUNDED:
                return None
            case inspect.IntType() if given is int:
                return _always
            case inspect.StrType() if given is str:
                return _always
            case inspect.StrType() if issubclass(given, StrEnum) and all(one == one.value for one in given):
                return _always
            case inspect.DecimalType() if given is Decimal:
                return _always
            case inspect.BoolType() if given is bool:
                return _always
            case inspect.NoneType() if given is NoneType:
                return _always
        return None

    def _items(self, wanted: inspect.Type) -> _Check:
        """The check of a list."""
        plain: set[type] = set()
        others: dict[type, _Check] = {}

        def are_sure(values: list[Any]) -> bool:
            if plain.issuperset(map(type, values)):
                return True
            for value in values:
                given = type(value)
                check = others.get(given)
                if check is None:
                    if (check := self._check(wanted, given)) is None:
                        return False
                    if check is _always:
                        plain.add(given)
                    others[given] = check
                if not check(value):
                    return False
            return True

        return are_sure
