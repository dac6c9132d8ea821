"""Texts and arrays on their way to PostgreSQL and back.

A text column takes any character but NUL. It is written with an escape, SUB; with both replaced, whatever an exchange
says in an error message can be kept as it was.

Arrays are sent in the binary format: a commit is many short arrays, and to write them as text and read them again takes
longer than all else that both sides do with them.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

_ESCAPE, _NUL = "\x1a", "\0"
_HEADER = Struct("!iiiii")
_LENGTH = Struct("!i")
_NUMBER = Struct("!iq")
_NULL = _LENGTH.pack(-1)


def storable(text: str) -> str:
    """`text` without NUL, from which `original` makes it again."""
    if _NUL not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, f"{_ESCAPE}1").replace(_NUL, f"{_ESCAPE}0")


def original(value: Any) -> Any:
    """What `storable` was given; whatever is no text stays as it is."""
    if type(value) is not str or _ESCAPE not in value:
        return value
    return value.replace(f"{_ESCAPE}0", _NUL).replace(f"{_ESCAPE}1", _ESCAPE)


class Texts(list[str]):
    """Sent as text[]."""


class Numbers(list["int | None"]):
    """Sent as bigint[]."""


class Blobs(list[bytes]):
    """Sent as bytea[]."""


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element: TypeInfo

    def __init_subclass__(cls, element: str) -> None:
        info = psycopg.adapters.types[element]
        cls.element, cls.oid = info, info.array_oid

    def array(self, parts: list[bytes], length: int) -> bytes:
        """The array of `length` elements, whose bytes with their lengths are in `parts`."""
        if not length:
            return _HEADER.pack(0, 0, self.element.oid, 0, 0)[:12]
        return _HEADER.pack(1, 1, self.element.oid, length, 1) + b"".join(parts)


class _TextsDumper(_ArrayDumper, element="text"):
    def dump(self, obj: Texts) -> bytes:
        parts: list[bytes] = []
        for text in obj:
            encoded = storable(text).encode()
            parts += (_LENGTH.pack(len(encoded)), encoded)
        return self.array(parts, len(obj))


class _NumbersDumper(_ArrayDumper, element="int8"):
    def dump(self, obj: Numbers) -> bytes:
        return self.array([_NULL if number is None else _NUMBER.pack(8, number) for number in obj], len(obj))


class _BlobsDumper(_ArrayDumper, element="bytea"):
    def dump(self, obj: Blobs) -> bytes:
        parts: list[bytes] = []
        for blob in obj:
            parts += (_LENGTH.pack(len(blob)), blob)
        return self.array(parts, len(obj))


psycopg.adapters.register_dumper(Texts, _TextsDumper)
psycopg.adapters.register_dumper(Numbers, _NumbersDumper)
psycopg.adapters.register_dumper(Blobs, _BlobsDumper)
