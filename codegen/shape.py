"""Does the YAML have the shape that `schema.json` demands? Each deviation as a trouble with a place and a fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from codegen.document import Document, Trouble
from codegen.model import Path
from codegen.wording import closest, listed

_CELL = "#/$defs/cell"
_KIND_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a spec, as it also serves editors."""
    loaded: dict[str, Any] = json.loads((FilePath(__file__).parent / "schema.json").read_text(encoding="utf-8"))
    return loaded


def shape_troubles(document: Document) -> list[Trouble]:
    """Every place where the document has not the shape of a spec."""
    validator = _validator_class()(schema())
    return [trouble for error in validator.iter_errors(document.data) for trouble in _explain(error, document)]


def _validator_class() -> Any:
    """Draft 2020-12, except that cells of a shape that was found valid are not looked at again: a large spec has
    thousands of cells in a few dozen shapes, and validity depends on nothing else."""
    valid: set[Any] = set()
    follow = Draft202012Validator.VALIDATORS["$ref"]

    def reference(validator: Any, ref: str, instance: Any, schema_: Any) -> Iterator[ValidationError]:
        if ref != _CELL:
            yield from follow(validator, ref, instance, schema_) or ()
            return
        shape = _shape(instance)
        if shape in valid:
            return
        errors = list(follow(validator, ref, instance, schema_) or ())
        if not errors:
            valid.add(shape)
        yield from errors

    extend: Any = validators.extend
    return extend(Draft202012Validator, {"$ref": reference})


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _shape(item)) for key, item in value.items())
    if isinstance(value, list):
        return ("list", *map(_shape, value))
    return value if value in ("defer", "otherwise") else type(value)


def _explain(error: Any, document: Document) -> Iterator[Trouble]:
    if error.validator == "anyOf":
        chosen = _likeliest(error)
        if chosen:
            for inner in chosen:
                yield from _explain(inner, document)
            return
    path: Path = tuple(error.absolute_path)
    where = describe(path)
    value = error.instance
    if "propertyNames" in list(error.schema_path):
        yield _bad_name(error, path, document)
    elif error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in value:
            if key not in known:
                yield Trouble(
                    "unknown_key",
                    document.key((*path, key)),
                    f"{where} has no key `{key}`",
                    f"{closest(key, known)}allowed here: {listed(known)}",
                )
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                meaning = error.schema["properties"][key].get("description", "")
                hint = f" ({meaning})" if meaning else ""
                yield Trouble("missing_key", document.key(path), f"{where} lacks `{key}`", f"write `{key}: ...`{hint}")
    else:
        yield _bad_value(error, path, document)


def _bad_name(error: Any, path: Path, document: Document) -> Trouble:
    name = error.instance
    meaning = error.schema.get("description", "")
    return Trouble(
        "bad_name", document.key((*path, name)), f"{describe(path)}: `{name}` is not a name", f"write it so: {meaning}"
    )


def _bad_value(error: Any, path: Path, document: Document) -> Trouble:
    where, value = describe(path), error.instance
    position = document.value(path)
    wanted = error.validator_value
    if error.validator == "type":
        kinds = " or ".join(_KIND_NAMES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))
        found = "nothing" if value is None else f"{_kind_of(value)}{_shown(value)}"
        fix = f"write {kinds}" + (", or remove the key" if value is None else "")
        return Trouble("wrong_kind", position, f"{where} must be {kinds}, not {found}", fix)
    if error.validator == "anyOf":
        return Trouble(
            "bad_value",
            position,
            f"{where}:{_shown(value)} is not a row",
            f"{closest(str(value), ['defer', 'otherwise'])}write a branch such as {{to: PHASE}}, a list of branches, "
            "{first_of: [...]}, defer, {ignore: why} or {reject: why}",
        )
    if error.validator in ("enum", "const"):
        options = [str(option) for option in (wanted if isinstance(wanted, list) else [wanted])]
        fix = f"{closest(str(value), options)}write {listed(options)}"
        return Trouble("bad_value", position, f"{where} cannot be{_shown(value)}", fix)
    if error.validator == "pattern":
        return Trouble("bad_name", position, f"{where}:{_shown(value)} is not a name", f"match {wanted}")
    limits = {
        "minimum": f"be at least {wanted}",
        "minItems": f"have at least {wanted} item",
        "maxItems": f"have at most {wanted} items",
        "minProperties": f"have at least {wanted} entry",
    }
    rule = limits.get(str(error.validator), error.message)
    return Trouble("bad_value", position, f"{where} must {rule}", "add or remove entries, or remove the key")


def _likeliest(error: Any) -> list[Any]:
    """Of the alternatives that all failed, the errors of the one that was probably meant: it fits the kind of value,
    and has the fewest errors, the deepest inside."""
    alternatives: dict[Any, list[Any]] = {}
    for inner in error.context or ():
        alternatives.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [
        errors
        for errors in alternatives.values()
        if not any(e.validator in ("type", "const") and not e.path for e in errors)
    ]
    return min(fitting, key=lambda errors: (len(errors), -max(len(e.path) for e in errors)), default=[])


def describe(path: Path) -> str:
    """`("phases", "IDLE", "on", 0)` as a reader writes it: `phases.IDLE.on[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the file"


def _kind_of(value: Any) -> str:
    for kind, python in (("boolean", bool), ("integer", int), ("string", str), ("array", list), ("object", dict)):
        if isinstance(value, python):
            return _KIND_NAMES[kind]
    return _KIND_NAMES["number"]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    text = str(value)
    return f" `{text if len(text) <= 60 else text[:57] + '...'}`"
