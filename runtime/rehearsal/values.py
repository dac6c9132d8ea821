"""Values made up by type: payloads of events that differ from delivery to delivery, data that lack nothing."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from types import NoneType
from typing import Any, get_args, get_origin

import msgspec


def made_up(kind: Any, name: str, number: int) -> Any:
    """A value of the type `kind` for the field `name`; another `number` gives another value, where the type has one."""
    if kind is bool:
        return False
    if kind is int:
        return number
    if kind is Decimal:
        return Decimal(number)
    if kind is str:
        return f"{name}-{number}"
    if get_origin(kind) is list:
        return [made_up(get_args(kind)[0], name, number)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**{field.name: made_up(field.type, field.name, number) for field in msgspec.structs.fields(kind)})
    for choice in get_args(kind):
        if choice is not NoneType:
            return made_up(choice, name, number)
    raise TypeError(f"nothing is known of how to make up {name}, a {kind}")


def complete(data: type[Any], number: int) -> type[Any]:
    """The same data, but a new instance has a value wherever one may be missing: effects need it for their requests."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(data):
        if NoneType in get_args(field.type):
            value = msgspec.field(default_factory=partial(made_up, field.type, field.name, number))
            fields.append((field.name, field.type, value))
    return msgspec.defstruct(f"Complete{data.__name__}", fields, bases=(data,), kw_only=True)
