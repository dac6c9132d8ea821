"""What every command gives back: an exit status, tables, and JSON for scripts. It knows neither half of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

FOUND = 1
"""Exit status: something was found, refused or could not be done."""
INTERRUPTED = 130
"""Exit status: stopped by Ctrl-C; the same command goes on from there."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
