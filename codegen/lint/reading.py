"""What can stop a file from being read as a spec. The loader finds these; here they have their codes."""

from __future__ import annotations

from codegen.lint.rule import Rule

BY_KIND: dict[str, Rule] = {
    "unreadable": Rule(
        "PW001", "file that cannot be read", "Without the spec there is nothing to generate from.", None
    ),
    "encoding": Rule("PW002", "file that is not UTF-8", "Its texts would be garbled in code and diagrams.", None),
    "syntax": Rule("PW003", "broken YAML", "What cannot be parsed has no meaning that could be checked.", None),
    "empty": Rule("PW004", "file without content", "An empty spec describes no machine.", None),
    "too_big": Rule(
        "PW005",
        "file too large or too deep",
        "No machine that a person can review is that large; a file that is could exhaust the generator.",
        None,
    ),
    "duplicate_key": Rule(
        "PW006",
        "key given twice",
        "YAML readers silently keep one of the two, so half of what was written would be lost.",
        None,
    ),
    "unknown_key": Rule(
        "PW011", "unknown key", "It would have no effect, and what it was meant to say would be missing.", None
    ),
    "missing_key": Rule("PW012", "missing key", "Nothing can be generated without it.", None),
    "wrong_kind": Rule("PW013", "wrong kind of value", "It cannot be read as what the spec needs here.", None),
    "bad_value": Rule("PW014", "value that is not allowed", "It has no meaning here.", None),
    "machine_twice": Rule(
        "PW015",
        "two files for one machine",
        "Both would be written to the same package, each over the other.",
        None,
    ),
    "bad_name": Rule(
        "PW101",
        "name that is no identifier",
        "Names become Python identifiers, file names and diagram labels as they are.",
        None,
    ),
}
RULES = tuple(BY_KIND.values())
