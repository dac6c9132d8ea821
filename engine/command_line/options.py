"""Options that several commands have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def no_folder(value: str | None) -> str | None:
    if value is not None and Path(value).is_dir():
        raise typer.BadParameter(f"{value} is a folder; name a file in it.")
    return value


def instant(text: str) -> datetime:
    """An instant in UTC, unless it says otherwise. Raises BadParameter."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no day or time: write 2019-01-31, or 2019-01-31T14:30 (UTC).") from None


Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        help="The bot's database: a file, or a postgresql:// URL. Default: recorded.db in FSM_SNAPSHOT_DIR (var).",
        metavar="PATH",
        callback=no_folder,
    ),
]
InAccount = Annotated[
    str | None, typer.Option("--account", help="In PostgreSQL, which account. Default: the only one.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Candles: a CSV, feather or parquet file, or a folder of them, one per symbol. "
        "Default: the recorded market, five symbols from 2017-10 to 2019-10.",
        metavar="PATH",
    ),
]
Symbol = Annotated[str, typer.Argument(help="The symbol, as in BTC/USD.")]
