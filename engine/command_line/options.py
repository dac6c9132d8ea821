"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def no_folder(value: str | None) -> str | None:
    if value is not None and Path(value).is_dir():
        raise typer.BadParameter(f"{value} is a folder; name a file in it.")
    return value


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
