"""Finds the columns of a candle file by their names, whatever their order, case or prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from engine.market_data.findings import DataError, Finding
from engine.market_data.table import Table

PRICES = ("open", "high", "low", "close")
VOLUMES = ("volume", "vol")
# In order of preference: a file may carry its stamp twice. The last three are how an unnamed index is written.
TIMES = (
    "open_time",
    "opentime",
    "open time",
    "opened_at",
    "timestamp",
    "datetime",
    "date",
    "time",
    "unix",
    "",
    "unnamed: 0",
    "__index_level_0__",
)
SYMBOLS = ("symbol", "pair", "ticker")


class Columns(msgspec.Struct, frozen=True):
    """The cells of each column as text; `symbol` is None when the file has no such column."""

    time: Sequence[str]
    open: Sequence[str]
    high: Sequence[str]
    low: Sequence[str]
    close: Sequence[str]
    volume: Sequence[str]
    symbol: Sequence[str] | None


def find_columns(table: Table) -> Columns:
    """Match the header `open, high, low, close, volume`, a time and perhaps a symbol.

    Raises:
        DataError: a column is missing, named twice, or the file holds several markets side by side.
    """
    names = [name.strip().lower() for name in table.header]
    place = f"{table.path}, the header" + (" (line 1)" if table.unit == "line" else "")
    found = ", ".join(map(repr, table.header[:12])) + (", ..." if len(table.header) > 12 else "")
    if table.unit == "line" and sum(map(_is_number, names)) >= len(PRICES):
        raise _error(
            place,
            f"it holds numbers instead of names: {found}.",
            "put a first line above it that names the columns, such as open_time,open,high,low,close,volume.",
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _error(place, f"column {twice[0]!r} is there more than once.", "rename or remove one of them.")
    prefixes = [name.removesuffix("open") for name in names if name.endswith("open")]
    prefixes = [prefix for prefix in prefixes if {prefix + price for price in PRICES} <= set(names)]
    if len(prefixes) > 1:
        raise _error(
            place,
            f"several markets stand side by side ({', '.join(repr(p + 'open') for p in prefixes)}).",
            "write one file per market, named after it (BTC_USD.csv), and give the folder.",
        )
    prefix = prefixes[0] if prefixes else ""
    index = {name: i for i, name in enumerate(names)}
    time = _first(index, [prefix + name for name in TIMES if name] + list(TIMES))
    volume = _first(index, [prefix + name for name in VOLUMES] + list(VOLUMES))
    if volume is None:
        volume = next((i for i, name in enumerate(names) if name.startswith("volume ")), None)
    places = {"time": time, **{price: index.get(prefix + price) for price in PRICES}, "volume": volume}
    missing = [name for name, i in places.items() if i is None]
    if missing:
        raise _error(
            place,
            f"no column for {', '.join(missing)}; the columns are {found}.",
            "name them time (or date, timestamp, open_time), open, high, low, close, volume, in the first line.",
        )
    symbol = _first(index, SYMBOLS)
    return Columns(
        symbol=None if symbol is None else table.columns[symbol],
        **{name: table.columns[i] for name, i in places.items() if i is not None},
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first(index: Mapping[str, int], names: Sequence[str]) -> int | None:
    return next((index[name] for name in names if name in index), None)


def _error(place: str, what: str, fix: str) -> DataError:
    return DataError([Finding(place, what, "a guessed column would be a wrong price.", fix)])
