"""How names of a spec become names in Python."""

from __future__ import annotations

from codegen.model import TypeRef

PYTHON_TYPES = {
    "str": "str",
    "int": "int",
    "bool": "bool",
    "decimal": "Decimal",
    "instant": "int",
    "duration": "int",
}
_DEFAULTS = {"str": '""', "int": "0", "bool": "False", "decimal": "Decimal(0)", "instant": "0", "duration": "0"}
_UNITS = {"instant": "Milliseconds since the epoch (UTC).", "duration": "Milliseconds."}


def event_class(event: str) -> str:
    """BUY_ORDER_FILLED -> BuyOrderFilled."""
    return "".join(word.capitalize() for word in event.split("_"))


def request_class(effect: str) -> str:
    """submit_buy -> SubmitBuyRequest."""
    return event_class(effect) + "Request"


def annotation(type_: TypeRef) -> str:
    """The type as a Python annotation."""
    python = PYTHON_TYPES.get(type_.name, type_.name)
    if type_.is_list:
        return f"list[{python}]"
    return f"{python} | None" if type_.optional else python


def default(type_: TypeRef) -> str:
    """The start value of a datum as a Python expression; empty for a structure, which has none."""
    if type_.optional:
        return "None"
    return "msgspec.field(default_factory=list)" if type_.is_list else _DEFAULTS.get(type_.name, "")


def field_default(type_: TypeRef) -> str:
    """The default of a field of a type or payload: only what may be missing has one."""
    return default(type_) if type_.optional or type_.is_list else ""


def unit(type_: TypeRef) -> str:
    """The sentence that gives the unit of a type's values; empty when the type says it all."""
    return _UNITS.get(type_.name, "")
