"""Reads a CSV, feather or parquet file into columns of text, so that every price reaches Decimal undamaged."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.market_data.findings import DataError, Finding, at_lines

SUFFIXES = (".csv", ".feather", ".parquet")
DELIMITERS = ",;\t"


class Table(msgspec.Struct, frozen=True):
    """The cells of a file as text. `lines[i]` is where row `i` stands in the file, counted in `unit` from 1."""

    path: Path
    header: Sequence[str]
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]
    unit: str

    def at(self, rows: Sequence[int]) -> str:
        """The file and where `rows` (counted from 0) stand in it."""
        return at_lines(str(self.path), self.unit, [self.lines[i] for i in rows])


def read_table(path: Path) -> Table:
    """Read the file by its suffix.

    Raises:
        DataError: it cannot be read, is damaged, or holds no rows.
    """
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_arrow(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, f"it is not CSV text in UTF-8 ({error})") from error
    if not table.lines:
        raise DataError(
            [
                Finding(
                    str(path),
                    "the file holds no bars.",
                    "there is nothing to trade on.",
                    "give a file with a header and one row per bar.",
                )
            ]
        )
    return table


def _read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), strict=True)
        header = next(reader, [])
        rows, lines = [], []
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    if set(map(len, rows)) - {len(header)}:
        ragged = [i for i, row in enumerate(rows) if len(row) != len(header)]
        raise DataError(
            [
                Finding(
                    at_lines(str(path), "line", [lines[i] for i in ragged]),
                    f"{len(rows[ragged[0]])} fields where the header has {len(header)}.",
                    "a value may stand in the wrong column, and a cut-off line may hold half a number.",
                    "repair these lines, or fetch the file again if the last line was cut off.",
                )
            ]
        )
    return Table(path, header, list(zip(*rows, strict=True)), lines, "line")


def _read_arrow(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import feather, parquet

    kind = path.suffix.lower().removeprefix(".")
    try:
        # Opened here, so that a path is never taken for a data set or a URL.
        with path.open("rb") as file:
            table = feather.read_table(file) if kind == "feather" else parquet.read_table(file)
    except pa.ArrowException as error:
        raise _unreadable(path, f"it is not a {kind} file, or it is damaged ({error})") from error
    columns = [_texts(column) for column in table.columns]
    return Table(path, table.column_names, columns, range(1, table.num_rows + 1), "row")


def _texts(column: Any) -> list[str]:
    """The cells as text: instants as milliseconds since the epoch, floats as the shortest text that gives them back,
    nothing where there is no value."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = getattr(column.type, "tz", None)
        column = column.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64())
    elif pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return [""] * len(column)
    return [text or "" for text in column.cast(pa.string()).to_pylist()]


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        [
            Finding(
                str(path),
                f"cannot be read: {reason}.",
                "there is nothing to trade on without it.",
                "give a readable .csv, .feather or .parquet file, or a folder of such files.",
            )
        ]
    )
