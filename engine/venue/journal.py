"""What the venue did besides keeping books: when it began, how the market was moved by hand, which request met which
fault. One JSON object a line, written before anybody is answered: a kill loses nothing that was told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

Line = dict[str, Any]


class Journal:
    """Appends lines to a file, and knows those that were there. The file is touched when something is first written."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = []
        self._path = path
        self._file: int | None = None
        whole = b""
        if path.exists():
            # A line that was cut by a crash of the machine was told to nobody.
            whole = path.read_bytes()
            whole = whole[: whole.rfind(b"\n") + 1]
            self.lines = [msgspec.json.decode(line) for line in whole.splitlines()]
        self._whole = len(whole)

    def write(self, what: str, **values: Any) -> None:
        """Append a line about `what`."""
        line = {"what": what, **values}
        encoded = msgspec.json.encode(line)
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.truncate(self._file, self._whole)
        os.write(self._file, encoded + b"\n")
        self.lines.append(msgspec.json.decode(encoded))

    def about(self, what: str) -> list[Line]:
        """The lines about `what`, the earliest first."""
        return [line for line in self.lines if line["what"] == what]

    def close(self) -> None:
        """Release the file."""
        if self._file is not None:
            os.close(self._file)
