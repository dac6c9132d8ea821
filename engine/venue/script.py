"""Scripts of faults: a YAML or JSON list of rules and of changes at an instant. See docs/venue.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from engine.venue.api import ENDPOINTS
from engine.venue.fates import Rule
from runtime.errors import PhasewrightError

_REQUESTS = {"*", *(endpoint.kind for endpoint in ENDPOINTS)}


class ScriptError(PhasewrightError):
    """A script that cannot be followed. Nothing of it is."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the whole venue is doing. `skew_ms` is how far the server's clock is ahead of the machine's."""

    skew_ms: int = 0
    maintenance: bool = False
    revoked: bool = False
    """The API key is refused."""
    no_trading: bool = False
    """Orders and cancels are refused with -1008, everything else works."""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `at_ms` milliseconds after the venue first started, these conditions hold."""

    at_ms: int
    set: dict[str, Any]


class Script(msgspec.Struct, frozen=True):
    """What a file says."""

    rules: tuple[Rule, ...] = ()
    changes: tuple[Change, ...] = ()


def read_script(text: str, name: str) -> Script:
    """Parse a script; `name` stands for the file in messages.

    Raises:
        ScriptError: with the place and the reason.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        raise ScriptError(f"{where}: this is no YAML ({error.problem}). No fault of the script is played.") from None
    if node is None:
        return Script()
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(name, node, "a script is a list, each entry beginning with a dash")
    rules: list[Rule] = []
    changes: list[Change] = []
    for entry in node.value:
        value = yaml.SafeLoader("").construct_document(entry)
        try:
            if isinstance(value, dict) and "at_ms" in value:
                change = msgspec.convert(value, Change)
                msgspec.convert(change.set, Conditions)
                changes.append(change)
            else:
                rule = msgspec.convert(value, Rule)
                if rule.request not in _REQUESTS:
                    raise ValueError(f"there is no request {rule.request!r}; there are {', '.join(sorted(_REQUESTS))}")
                rules.append(rule)
        except (msgspec.ValidationError, ValueError) as error:
            raise _wrong(name, entry, str(error)) from None
    return Script(tuple(rules), tuple(sorted(changes, key=lambda change: change.at_ms)))


def load_script(path: Path) -> Script:
    """Read and parse a file. Raises ScriptError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: cannot be read ({error}). Name a file of YAML with --script.") from None
    return read_script(text, str(path))


def _wrong(name: str, node: yaml.Node, why: str) -> ScriptError:
    mark = node.start_mark
    return ScriptError(
        f"{name}:{mark.line + 1}:{mark.column + 1}: {why}. No fault of the script is played; "
        "docs/venue.md lists what an entry can say."
    )
