"""Does the YAML have the shape that `schema.json` demands? Each deviation as a trouble with a place and a fix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from codegen.document import Document, Trouble
from codegen.model import Path
from codegen.patching import REMOVED
from codegen.wording import did_you_mean, listed

_CELL = "#/$defs/cell"
_WORD = re.compile(r"\w+")
_NAMES = {
    "^[A-Z][A-Z0-9_]*$": "a capital letter, then capital letters, digits and underscores, such as WAIT_FILL",
    "^[a-z][a-z0-9_]*$": "a small letter, then small letters, digits and underscores, such as slot_free",
    "^[A-Z][A-Za-z0-9]*$": "a capital letter, then letters and digits, such as OrderContext",
}
_ROWS = (
    "write a branch such as {to: PHASE}, a list of branches, {first_of: [...]}, defer, {ignore: why} or {reject: why}"
)
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
    value = error.instance
    if "propertyNames" in error.schema_path:
        what, fix = _why_no_name(error)
        yield Trouble("bad_name", document.key((*path, value)), f"{describe(path)}: {what}", fix)
    elif error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in value:
            if key not in known:
                hint = did_you_mean(key, known)
                if value[key] is None and not _WORD.fullmatch(key):
                    # `{never: count(a, b) > 1, loss: ...}`: what follows the comma is read as a key.
                    hint = "quote a text or a condition that contains a comma or a colon; "
                yield Trouble(
                    "unknown_key",
                    document.key((*path, key)),
                    f"{describe(path)} has no key `{key}`",
                    f"{hint}allowed here: {listed(known)}",
                    path=(*path, key),
                    stand_in=REMOVED,
                )
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                wanted = error.schema["properties"][key]
                meaning = f" ({wanted['description']})" if "description" in wanted else ""
                yield Trouble(
                    "missing_key",
                    document.key(path),
                    f"{describe(path)} lacks `{key}`",
                    f"write `{key}: ...`{meaning}",
                    path=(*path, key),
                    stand_in=_filler(wanted),
                )
    elif error.validator in ("pattern", "maxLength"):
        what, fix = _why_no_name(error)
        yield Trouble("bad_name", document.value(path), f"{describe(path)}: {what}", fix)
    else:
        kind, what, fix = _bad_value(error)
        yield Trouble(
            kind, document.value(path), f"{describe(path)} {what}", fix, path=path, stand_in=_filler(error.schema)
        )


def _why_no_name(error: Any) -> tuple[str, str]:
    name = str(error.instance)
    if error.validator == "maxLength":
        return f"`{name[:60]}` is longer than {error.validator_value} characters", "choose a shorter name"
    return f"`{name[:60]}` is not a name", f"write {_NAMES[error.validator_value]}"


def _bad_value(error: Any) -> tuple[str, str, str]:
    """The kind of trouble, what is wrong, and the fix."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        kinds = " or ".join(_KIND_NAMES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))
        if value is None:
            return "wrong_kind", f"must be {kinds}, and there is nothing", f"write {kinds}, or remove the key"
        meaning = f": {error.schema['description']}" if error.path and "description" in error.schema else ""
        return "wrong_kind", f"must be {kinds}, not {_kind_of(value)}{_shown(value)}", f"write {kinds}{meaning}"
    if error.validator == "anyOf":
        what = "says nothing" if value is None else f"cannot be{_shown(value)}"
        return "bad_value", what, did_you_mean(str(value), ["defer", "otherwise"]) + _ROWS
    if error.validator in ("enum", "const"):
        options = [str(option) for option in (wanted if isinstance(wanted, list) else [wanted])]
        fix = f"{did_you_mean(str(value), options)}write one of: {listed(options)}"
        return "bad_value", f"cannot be{_shown(value)}", fix
    if error.validator in ("minItems", "minProperties"):
        return "bad_value", "must not be empty", "write at least one entry, or remove the key"
    if error.validator == "maxItems":
        return "bad_value", f"has more than {wanted} entries", "split it; nobody can follow that many"
    return "bad_value", f"must be at least {wanted}", f"write {wanted} or more"


def _filler(wanted: Any) -> Any:
    """The simplest value of the kind that the schema wants."""
    if "$ref" in wanted:
        return _filler(schema()["$defs"][wanted["$ref"].rsplit("/", 1)[1]])
    if "anyOf" in wanted:
        return _filler(wanted["anyOf"][0])
    if "const" in wanted or "enum" in wanted:
        return wanted.get("const", wanted.get("enum", [None])[0])
    kind = wanted["type"] if isinstance(wanted["type"], str) else wanted["type"][0]
    if kind == "object":
        return {key: _filler(wanted["properties"][key]) for key in wanted.get("required", ())}
    if kind == "array":
        return [_filler(wanted["items"])] if wanted.get("minItems") else []
    return {"string": "-", "integer": 1, "number": 1, "boolean": False}[kind]


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
