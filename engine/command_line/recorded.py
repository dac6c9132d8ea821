"""The command that trades recorded candles, from what was typed to what is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.command_line.options import Data, Database
from phasewright_output import FOUND, Json, console, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.recorded_run import Progress

app = typer.Typer()


@app.command()
def run(
    db: Database = None,
    account: Annotated[
        str | None, typer.Option("--account", help="In PostgreSQL, what the account is called. Default: recorded.")
    ] = None,
    data: Data = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run in the database and start anew.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", help="Where the HTML report goes. Default: beside the database.", metavar="PATH", dir_okay=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Trade recorded candles on the paper exchange, and report.

    Every transition is on disk before its effects leave, so the run can be stopped (Ctrl-C) or killed at any moment;
    the same command goes on from there and ends with the same ledger.

    Settings are environment variables: MAX_SLOTS, START_CASH, PAPER_FAULTS (calm, realistic or hostile), PAPER_SEED,
    BUY_FILL_TIMEOUT_SECS, COOLDOWN_SECS and more; the README and generated/trading/README.md list them. With
    FSM_SNAPSHOT_ENABLED=false nothing is kept, and nothing that is in the database is touched.
    """
    import asyncio

    from engine import commands, stores, terminal

    database = stores.place_of(db, account, os.environ)
    with _progress() as on_progress:
        outcome = asyncio.run(
            commands.run(database, data, os.environ, fresh=fresh, on_resume=_tell_resumed, on_progress=on_progress)
        )
    if not json:
        terminal.show_summary(console(), outcome.figures, outcome.account)
    page = report or stores.local_file(database).with_suffix(".html")
    commands.write_page(page, outcome.figures)
    if json:
        from engine.report.figures import summarise

        print_json(
            {
                "summary": summarise(outcome.figures),
                "account": outcome.account,
                "quarantined": outcome.quarantined,
                "report": str(page),
            }
        )
    else:
        typer.echo(f"\nReport: {page}")
    for quarantined in outcome.quarantined:
        typer.secho(f"{quarantined.instance} did not start: {quarantined.reason}", fg="red", err=True)
        typer.echo(quarantined.way_out, err=True)
    if outcome.quarantined:
        raise typer.Exit(FOUND)


def _tell_resumed(stopped_at: int) -> None:
    instant = datetime.fromtimestamp(stopped_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    typer.echo(f"Going on from {instant} (UTC), where the database stops. --fresh starts anew.", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, a line per tenth elsewhere; both on standard error."""
    if not sys.stderr.isatty():
        tenths = 0

        def tell(progress: Progress) -> None:
            nonlocal tenths
            reached = progress.bars_done * 10 // max(progress.bars, 1)
            if reached > tenths:
                tenths = reached
                day = datetime.fromtimestamp(progress.now / 1000, UTC).strftime("%Y-%m-%d")
                typer.echo(f"{reached * 10:3} %  {day}  {progress.bars_done:,} of {progress.bars:,} bars", err=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[bars]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("loading   ", total=None, bars="")

        def show(progress: Progress) -> None:
            day = datetime.fromtimestamp(progress.now / 1000, UTC).strftime("%Y-%m-%d")
            bars = f"{progress.bars_done:,} of {progress.bars:,} bars"
            bar.update(task, completed=progress.bars_done, total=progress.bars, description=day, bars=bars)

        yield show
