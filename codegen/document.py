"""YAML text to plain data, keeping where every key and value stands.

The text is read as events and put together here rather than by PyYAML's constructor: positions are kept, duplicate
keys are seen, `on` and `yes` stay strings as in YAML 1.2, decimals stay exact, and neither deep nesting nor aliases
that multiply can exhaust the process.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import yaml

from codegen.model import Path, Position

MAX_BYTES = 32 * 1024 * 1024
MAX_NODES = 2_000_000
MAX_DEPTH = 32

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a text could not be read. `kind` is the name of a rule in `codegen.lint.reading`.

    The rest of the file can still be looked at once the part at `path` is replaced by `stand_in`; without a path it is
    good as it is.
    """

    kind: str
    position: Position
    what: str
    fix: str
    path: Path | None = None
    stand_in: Any = None


class UnreadableError(Exception):
    """The text is no YAML, or not the part of YAML that specs use."""

    def __init__(self, kind: str, position: Position, what: str, fix: str) -> None:
        super().__init__(what)
        self.trouble = Trouble(kind, position, what, fix)
        self.lines: list[str] = []
        """The lines of the file, as far as there are any."""


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a list or a mapping. `value` is the scalar, the items, or key text -> (key, value)."""

    position: Position
    value: Any = None
    size: int = 1
    depth: int = 1
    complete: bool = False


@dataclass(slots=True)
class _Open:
    """A collection that is being read; `key` is the mapping's key that still waits for its value."""

    node: Node
    key: tuple[str, Node] | None = None
    merged: list[Node] = field(default_factory=list)


class Document:
    """One YAML file: its lines, its plain data, and where each part of it stands."""

    def __init__(self, name: str, text: str) -> None:
        """Read `text`, which is shown to readers as the file `name`.

        Raises:
            UnreadableError: the text cannot be read at all.
        """
        self.name = name
        self.text = text
        self.lines = text.splitlines()
        self.duplicates: list[tuple[str, Position, Position]] = []
        """Keys given twice in one mapping: (key, position of the second, position of the first)."""
        self._root = self._compose(text)
        self.data: Any = _plain(self._root, {})

    def key(self, path: Path) -> Position:
        """Where the key at the end of `path` stands; for an item of a list, the item."""
        node = key = self._root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            key, node = found
        return key.position

    def value(self, path: Path) -> Position:
        """Where the value at `path` begins."""
        node = self._root
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            node = found[1]
        return node.position

    def _compose(self, text: str) -> Node:
        anchors: dict[str, Node] = {}
        stack: list[_Open] = []
        root: Node | None = None
        try:
            for event in yaml.parse(text, Loader=_Parser):
                mark = event.start_mark
                position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
                if isinstance(event, yaml.AliasEvent):
                    node = self._alias(anchors, event.anchor, position)
                elif isinstance(event, yaml.ScalarEvent):
                    _refuse_tag(event.tag, position)
                    node = Node(position, _scalar(event.value) if event.implicit[0] else event.value, complete=True)
                    if event.anchor is not None:
                        anchors[event.anchor] = node
                elif isinstance(event, yaml.CollectionStartEvent):
                    _refuse_tag(event.tag, position)
                    node = Node(position, {} if isinstance(event, yaml.MappingStartEvent) else [])
                    if event.anchor is not None:
                        anchors[event.anchor] = node
                    stack.append(_Open(node))
                    if len(stack) > MAX_DEPTH:
                        raise _too_big(position, f"nested more than {MAX_DEPTH} levels deep")
                    continue
                elif isinstance(event, yaml.CollectionEndEvent):
                    node = self._close(stack.pop())
                elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
                    raise UnreadableError(
                        "syntax",
                        position,
                        "a second document begins here",
                        "keep one machine in one file; remove `---`",
                    )
                else:
                    continue
                if not stack:
                    root = node
                else:
                    self._add(stack[-1], node, position)
        except yaml.MarkedYAMLError as error:
            raise _syntax(error, text) from None
        except yaml.reader.ReaderError as error:
            raise _reader(error, text) from None
        if root is None or root.value is None:
            raise UnreadableError("empty", Position(1, 1), "the file holds no YAML", "begin with `machine:` and a name")
        return root

    def _alias(self, anchors: dict[str, Node], name: str | None, position: Position) -> Node:
        node = anchors.get(name or "")
        if node is None:
            raise UnreadableError(
                "syntax",
                position,
                f"the alias *{name} names no anchor above it",
                f"write &{name} before what it repeats",
            )
        if not node.complete:
            raise UnreadableError(
                "syntax", position, f"the alias *{name} stands inside what it repeats", "write that part out"
            )
        return node

    def _add(self, parent: _Open, node: Node, position: Position) -> None:
        parent.node.size += node.size
        parent.node.depth = max(parent.node.depth, node.depth + 1)
        if parent.node.size > MAX_NODES:
            raise _too_big(position, f"more than {MAX_NODES:,} values once its aliases are written out")
        if parent.node.depth + 1 > MAX_DEPTH:
            raise _too_big(position, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            if isinstance(node.value, dict | list):
                raise UnreadableError(
                    "syntax", position, "a key must be a word, not a list or a mapping", "write a name before the colon"
                )
            parent.key = (_key_text(node.value), node)
        else:
            (text, key), parent.key = parent.key, None
            if text == "<<":
                parent.merged.extend(_merge_sources(node, position))
            elif (first := parent.node.value.get(text)) is not None:
                self.duplicates.append((text, key.position, first[0].position))
            else:
                parent.node.value[text] = (key, node)

    def _close(self, opened: _Open) -> Node:
        for source in opened.merged:
            for text, pair in source.value.items():
                opened.node.value.setdefault(text, pair)
        opened.node.complete = True
        return opened.node


def read_document(path: FilePath, name: str) -> Document:
    """Read the file at `path`, shown to readers as `name`.

    Raises:
        UnreadableError: there is no such file, it is no plain file, too large, not UTF-8, or no YAML.
    """
    start = Position(1, 1)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableError("unreadable", start, "this is a directory", "name the YAML file itself")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("unreadable", start, "this is not a plain file", "name a YAML file")
        if status.st_size > MAX_BYTES:
            raise _too_big(start, f"larger than {MAX_BYTES // 1024 // 1024} MiB")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableError("unreadable", start, "there is no such file", "check the path") from None
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UnreadableError("unreadable", start, f"this cannot be read: {reason}", "check its permissions") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        unreadable = UnreadableError(
            "encoding",
            Position(line, column),
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            "save the file in the encoding UTF-8",
        )
        unreadable.lines = content.decode("utf-8", "replace").splitlines()
        raise unreadable from None
    try:
        return Document(name, text)
    except UnreadableError as unreadable:
        unreadable.lines = text.splitlines()
        raise


def _child(node: Node, step: str | int) -> tuple[Node, Node] | None:
    if isinstance(node.value, dict):
        found: tuple[Node, Node] | None = node.value.get(step)
        return found
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _plain(node: Node, seen: dict[int, Any]) -> Any:
    if not isinstance(node.value, dict | list):
        return node.value
    found = seen.get(id(node))
    if found is None:
        if isinstance(node.value, dict):
            found = {text: _plain(value, seen) for text, (_, value) in node.value.items()}
        else:
            found = [_plain(item, seen) for item in node.value]
        seen[id(node)] = found
    return found


def _scalar(text: str) -> bool | int | Decimal | str | None:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _INT.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
    return text


def _key_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _merge_sources(node: Node, position: Position) -> list[Node]:
    sources = node.value if isinstance(node.value, list) else [node]
    if not all(isinstance(source.value, dict) for source in sources):
        raise UnreadableError(
            "syntax", position, "`<<` merges mappings only", "give it an alias of a mapping, or a list of them"
        )
    return list(sources)


def _refuse_tag(tag: str | None, position: Position) -> None:
    if tag is not None and tag != "!":
        raise UnreadableError("syntax", position, f"the tag {tag} has no meaning in a spec", "remove the tag")


def _too_big(position: Position, what: str) -> UnreadableError:
    return UnreadableError("too_big", position, f"the file is {what}", "split the machine, or write less by aliases")


def _syntax(error: yaml.MarkedYAMLError, text: str) -> UnreadableError:
    lines = text.splitlines()
    mark, context = error.problem_mark, error.context_mark
    # What is never closed is noticed at the end of the file; the reader wants to see where it was opened.
    if context is not None and (mark is None or mark.line >= len(lines) or "end of stream" in (error.problem or "")):
        mark = context
    position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    problem = error.problem or "this is not YAML"
    began = f" ({error.context} that began at line {context.line + 1})" if error.context and context else ""
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    return UnreadableError("syntax", position, f"{problem}{began}", _syntax_fix(line, problem))


def _syntax_fix(line: str, problem: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem or "cannot start any token" in problem:
        return "indent with spaces; YAML takes no tab there, and quote a text that begins with a special character"
    if "mapping values are not allowed" in problem:
        return "quote a text that holds a colon and a space, and check the indentation"
    if "," in problem or "flow" in problem:
        return "close every [ with ] and every { with }, and put a comma between two items"
    return "indent the keys of one mapping by the same number of spaces, and quote texts with special characters"


def _reader(error: yaml.reader.ReaderError, text: str) -> UnreadableError:
    at = error.position if isinstance(error.position, int) else 0
    bad = next((index for index, c in enumerate(text) if ord(c) < 32 and c not in "\t\n\r"), min(at, len(text)))
    before = text[:bad]
    position = Position(before.count("\n") + 1, bad - before.rfind("\n"))
    return UnreadableError(
        "syntax", position, "a character here is not allowed in YAML", "remove it; write control characters as \\x.."
    )
