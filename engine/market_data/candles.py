"""Candles (bars) and how they are loaded: strictly, so that no bar is traded on that the source did not mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from itertools import groupby, pairwise
from pathlib import Path

import msgspec

from engine.market_data.columns import Columns, find_columns
from engine.market_data.findings import DataError, Finding
from engine.market_data.instants import instant_from
from engine.market_data.symbols import symbol_from
from engine.market_data.table import SUFFIXES, Table, read_table

__all__ = ["Candle", "DataError", "Finding", "Series", "load_candles", "load_files"]

# This many missing stretches of one size in a row are no outages: the file has longer bars there.
SAME_GAPS_IN_A_ROW = 24

_ZERO = Decimal(0)
_INFINITY = Decimal("Infinity")
_TAKE_AGAIN = "remove these bars (missing bars are allowed) or fetch the file from its source again."

_Prices = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One bar. Prices in quote currency, volume in base currency, `opened_at` and `length` in milliseconds."""

    opened_at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    length: int

    @property
    def closed_at(self) -> int:
        """The instant at which the bar is complete and may be acted on, in milliseconds since the epoch."""
        return self.opened_at + self.length


class Series(msgspec.Struct, frozen=True):
    """The bars of one symbol, ascending and without duplicates, each `length` milliseconds long."""

    symbol: str
    length: int
    candles: tuple[Candle, ...]

    @property
    def gaps(self) -> int:
        """How many bars are missing between the first and the last."""
        span = self.candles[-1].opened_at - self.candles[0].opened_at
        return span // self.length + 1 - len(self.candles)


def load_candles(path: Path) -> dict[str, Series]:
    """Load a CSV, feather or parquet file, or every such file of a folder, by symbol in alphabetical order.

    Stamps are the opening of the bar, UTC unless they name a zone. The symbol comes from a symbol column, else from
    the file's name (BTC_USD.csv).

    Raises:
        DataError: a file cannot be traded on as it is. Nothing is repaired or skipped; missing bars are no error.
    """
    paths, kinds = [path], ", ".join(SUFFIXES)
    if path.is_dir():
        paths = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if not paths:
            raise _nothing(path, f"the folder holds no file of candles ({kinds}).")
    elif not path.exists():
        raise _nothing(path, "there is no such file or folder.")
    elif path.suffix.lower() not in SUFFIXES:
        raise _nothing(path, f"neither a file of candles ({kinds}) nor a folder of them.")
    return load_files(paths, lambda file: symbol_from(file.stem))


def load_files(paths: Sequence[Path], name: Callable[[Path], str | None]) -> dict[str, Series]:
    """Load these files; `name` gives the symbol of a file that has no symbol column.

    Raises:
        DataError: with the findings of all files.
    """
    findings: list[Finding] = []
    loaded: dict[str, tuple[Path, Series]] = {}
    for path in paths:
        try:
            for series in _load_file(path, name(path)):
                if series.symbol in loaded:
                    findings.append(_twice(path, series.symbol, loaded[series.symbol][0]))
                loaded[series.symbol] = path, series
        except DataError as error:
            findings += error.findings
    lengths = {series.length: path for path, series in loaded.values()}
    if len(lengths) > 1:
        findings.append(
            Finding(
                str(paths[0].parent),
                "mixed bar lengths: " + ", ".join(f"{_minutes(n)} in {p.name}" for n, p in sorted(lengths.items())),
                "a strategy counts in bars, so a bar must last equally long for every symbol.",
                "give bars of one length.",
            )
        )
    if findings:
        raise DataError(findings)
    return {symbol: loaded[symbol][1] for symbol in sorted(loaded)}


def _load_file(path: Path, name: str | None) -> list[Series]:
    table = read_table(path)
    columns = find_columns(table)
    stamps = list(map(instant_from, columns.time))
    values = _decimals((columns.open, columns.high, columns.low, columns.close, columns.volume))
    findings = _bad_stamps(table, columns.time, stamps) + _bad_values(table, columns, values)
    groups = _rows_by_symbol(table, columns.symbol, name, findings)
    if findings:
        raise DataError(findings)
    opened = [stamp for stamp in stamps if stamp is not None]
    series = []
    for symbol, rows in groups.items():
        length = _length(table, rows, opened, findings)
        series.append(Series(symbol, length, tuple([Candle(opened[i], *values[i], length) for i in rows])))
    if findings:
        raise DataError(findings)
    return series


def _decimals(columns: Sequence[Sequence[str]]) -> list[_Prices]:
    """Row by row; what is no number becomes NaN."""
    with localcontext() as context:
        context.traps[InvalidOperation] = False
        return list(zip(*(map(Decimal, column) for column in columns), strict=True))


def _bad_stamps(table: Table, texts: Sequence[str], stamps: Sequence[int | None]) -> list[Finding]:
    bad = [row for row, stamp in enumerate(stamps) if stamp is None]
    if not bad:
        return []
    return [
        Finding(
            table.at(bad),
            f"{texts[bad[0]]!r} is not a time.",
            "bars are replayed in the order of their stamps.",
            "write stamps as ISO 8601 (2017-10-01 00:30:00, UTC) or as seconds or milliseconds since 1970.",
        )
    ]


def _bad_values(table: Table, columns: Columns, values: Sequence[_Prices]) -> list[Finding]:
    with localcontext() as context:
        # Comparisons with NaN are then false instead of raising.
        context.traps[InvalidOperation] = False
        suspects = [
            row
            for row, (open_, high, low, close, volume) in enumerate(values)
            if not (_ZERO < low <= open_ <= high < _INFINITY and low <= close <= high and _ZERO <= volume < _INFINITY)
        ]
    not_numbers = [row for row in suspects if not all(value.is_finite() for value in values[row])]
    numbers = [row for row in suspects if row not in set(not_numbers)]
    not_positive = [row for row in numbers if min(values[row][:4]) <= 0 or values[row][4] < 0]
    outside = [row for row in numbers if row not in set(not_positive)]
    findings = []
    if not_numbers:
        findings.append(
            Finding(
                table.at(not_numbers),
                f"a price or volume is empty or not a number ({_row(_cells(columns, not_numbers[0]))}).",
                "a bar without a price would be traded at a price that never was.",
                _TAKE_AGAIN,
            )
        )
    if not_positive:
        findings.append(
            Finding(
                table.at(not_positive),
                f"a price is not above zero, or a volume is negative ({_row(values[not_positive[0]])}).",
                "an order at such a price would be filled for nothing.",
                _TAKE_AGAIN,
            )
        )
    if outside:
        findings.append(
            Finding(
                table.at(outside),
                f"open or close lies outside low to high ({_row(values[outside[0]])}).",
                "fills are decided by high and low; perhaps two columns are swapped.",
                "check the column names, then " + _TAKE_AGAIN,
            )
        )
    return findings


def _rows_by_symbol(
    table: Table, cells: Sequence[str] | None, name: str | None, findings: list[Finding]
) -> dict[str, Sequence[int]]:
    if cells is None:
        if name is None:
            findings.append(
                Finding(
                    str(table.path),
                    "the file's name does not tell its market, and there is no symbol column.",
                    "orders need a symbol.",
                    "name the file like BTC_USD" + table.path.suffix + ", or add a column named symbol.",
                )
            )
        return {name or "": range(len(table.lines))}
    symbols = {cell: symbol_from(cell) for cell in set(cells)}
    bad = [row for row, cell in enumerate(cells) if symbols[cell] is None]
    if bad:
        findings.append(
            Finding(
                table.at(bad),
                f"{cells[bad[0]]!r} is not a symbol.",
                "orders need a symbol.",
                "write symbols as BTC/USD.",
            )
        )
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        groups.setdefault(symbols[cell] or "", []).append(row)
    return dict(groups)


def _length(table: Table, rows: Sequence[int], opened: Sequence[int], findings: list[Finding]) -> int:
    """The bar length in milliseconds, by the most common distance of two bars; 0 with a finding when there is none."""
    steps = [opened[after] - opened[before] for before, after in pairwise(rows)]
    duplicated = [rows[i + 1] for i, step in enumerate(steps) if step == 0]
    unsorted = [rows[i + 1] for i, step in enumerate(steps) if step < 0]
    if not steps:
        findings.append(
            Finding(
                table.at(rows),
                "there is only one bar.",
                "the length of a bar follows from the distance of two.",
                "give at least two bars of each symbol.",
            )
        )
    if duplicated:
        findings.append(
            Finding(
                table.at(duplicated),
                "the stamp of the bar before is there again.",
                "the bar would be traded twice, and which of the two is right is not known.",
                "keep one bar per stamp.",
            )
        )
    if unsorted:
        newest_first = len(unsorted) == len(steps)
        findings.append(
            Finding(
                table.at(unsorted),
                "the file is sorted newest first." if newest_first else "a bar is older than the bar before it.",
                "bars are replayed in the order of the file; an older bar would be a look into the future.",
                "sort the file by time, oldest first.",
            )
        )
    if not steps or duplicated or unsorted:
        return 0
    length = Counter(steps).most_common(1)[0][0]
    odd = next((i for i, step in enumerate(steps) if step % length), None)
    if odd is None:
        odd = _longer_bars(steps, length)
    if odd is not None:
        findings.append(
            Finding(
                table.at([rows[odd + 1]]),
                f"mixed bar lengths: {_minutes(steps[odd])} here, {_minutes(length)} in most of the file.",
                "a strategy counts in bars, so a bar must always last equally long.",
                "give bars of one length per file; missing bars are allowed.",
            )
        )
    return length


def _longer_bars(steps: Sequence[int], length: int) -> int | None:
    position = 0
    for step, run in groupby(steps):
        count = len(list(run))
        if step != length and count >= SAME_GAPS_IN_A_ROW:
            return position
        position += count
    return None


def _nothing(path: Path, what: str) -> DataError:
    return DataError(
        [Finding(str(path), what, "there is nothing to trade on.", "give the path of a file or folder of candles.")]
    )


def _twice(path: Path, symbol: str, before: Path) -> Finding:
    return Finding(
        str(path),
        f"{symbol} is in {before.name} as well.",
        "which of the two is right is not known.",
        "keep one of them.",
    )


def _cells(columns: Columns, row: int) -> list[str]:
    """The prices and the volume of a row as they are written."""
    return [repr(cells[row]) for cells in (columns.open, columns.high, columns.low, columns.close, columns.volume)]


def _row(values: Sequence[Decimal | str]) -> str:
    names = ("open", "high", "low", "close", "volume")
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _minutes(milliseconds: int) -> str:
    return f"{milliseconds / 60_000:g} minutes"
