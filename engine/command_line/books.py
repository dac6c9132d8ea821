"""The commands that work on the database of a bot, from what was typed to what is printed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.command_line.options import Data, Database, InAccount, Symbol, instant
from phasewright_output import FOUND, Json, console, print_json

app = typer.Typer()


@app.command()
def status(db: Database = None, account: InAccount = None, json: Json = False) -> None:
    """Show the account and the phase of every symbol.

    As of the last commit; works while a bot is running. Status 1 when the books do not add up.
    """
    from engine import commands, stores, terminal

    found = commands.status(stores.place_of(db, account, os.environ))
    if json:
        print_json(found)
    else:
        terminal.show_status(console(), found)
    if found.faults:
        raise typer.Exit(FOUND)


@app.command()
def trades(
    symbol: Annotated[str | None, typer.Argument(help="Only this symbol, as in BTC/USD.")] = None,
    db: Database = None,
    account: InAccount = None,
    json: Json = False,
) -> None:
    """List the closed trades and what each came to after fees."""
    from engine import commands, stores, terminal

    trips = commands.trades(stores.place_of(db, account, os.environ), symbol)
    if json:
        print_json(trips)
    else:
        terminal.show_trades(console(), trips)


@app.command()
def audit(
    symbol: Symbol,
    db: Database = None,
    account: InAccount = None,
    last: Annotated[int, typer.Option("--last", help="How many events.", min=1, max=1_000_000_000)] = 20,
    archived: Annotated[
        Path | None,
        typer.Option("--archive", help="Look in this archive instead.", metavar="FILE", dir_okay=False),
    ] = None,
    json: Json = False,
) -> None:
    """Show what happened to a symbol, event by event.

    For each: what became of it, the row of the table, the actions that ran, the effects asked for, what the event
    carried, and why nothing happened where nothing did.
    """
    from engine import commands, stores, terminal

    if archived is None:
        rows = commands.audit(stores.place_of(db, account, os.environ), symbol, last)
    else:
        from engine.audit_archive import archived_rows

        rows = archived_rows(archived, symbol, last)
    if json:
        import msgspec

        print_json([msgspec.to_builtins(row) | {"payload": msgspec.Raw(row.payload)} for row in rows])
    else:
        terminal.show_audit(console(), rows)
        if not rows and archived is None:
            typer.echo(f"The database has no audit rows of {symbol}; `--archive FILE` shows those that were archived.")
        elif not rows:
            typer.echo(f"{archived} has no audit rows of {symbol}.")


@app.command()
def why(
    symbol: Symbol,
    at: Annotated[
        datetime,
        typer.Option(
            "--at",
            help="The bar: the last one that had closed by then (UTC).",
            parser=instant,
            metavar="INSTANT",
        ),
    ],
    db: Database = None,
    account: InAccount = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say what a recorded run saw at a bar, and what it made of it.

    A bar that changes nothing leaves no row: the strategy is shown the same bars again and asked why.
    """
    from engine import commands, stores, terminal

    place = stores.place_of(db, account, os.environ)
    found = commands.why(place, data, symbol, int(at.timestamp() * 1000), os.environ)
    if json:
        import msgspec

        rows = [msgspec.to_builtins(row) | {"payload": msgspec.Raw(row.payload)} for row in found.rows]
        print_json(msgspec.to_builtins(found) | {"rows": rows})
    else:
        terminal.show_why(console(), found)


@app.command()
def archive(
    to: Annotated[
        Path, typer.Option("--to", help="A new Parquet file for the old rows.", metavar="FILE", dir_okay=False)
    ],
    before: Annotated[
        datetime,
        typer.Option("--before", help="Rows from before this day go (UTC).", parser=instant, metavar="YYYY-MM-DD"),
    ],
    db: Database = None,
    account: InAccount = None,
    json: Json = False,
) -> None:
    """Move old audit rows out of the database into a file.

    Works while the bot is running. Books, orders and the latest row stay; the space in the database is used again.
    `phasewright audit SYMBOL --archive FILE` shows what is in such a file, and so does any tool that reads Parquet.
    """
    from engine import stores
    from engine.audit_archive import archive_audit

    database = stores.place_of(db, account, os.environ)
    moved = archive_audit(database, int(before.timestamp() * 1000), to)
    if json:
        print_json(moved)
    elif moved is None:
        typer.echo(f"{database} has no audit rows from before {before:%Y-%m-%d}.")
    else:
        typer.echo(f"Audit rows moved to {to}: {moved.rows:,} ({moved.bytes:,} bytes).")


@app.command()
def recover(
    symbol: Symbol, db: Database = None, account: InAccount = None, data: Data = None, json: Json = False
) -> None:
    """Bring a symbol out of ERROR by asking the exchange.

    Its phase follows the answer, and nothing is assumed: a live order is canceled, what was filled is booked, what is
    held is held. A bot that trades on an exchange does it itself, so it must be running; stop a recorded run first.
    Status 1 when the exchange could not be asked or the symbol is in ERROR still.
    """
    import asyncio

    from engine import commands, shared_commands, stores

    database = stores.place_of(db, account, os.environ)
    if not commands.belongs_to_exchange(database):
        outcome = asyncio.run(commands.recover(database, data, symbol, os.environ))
    elif isinstance(database, Path):
        outcome = commands.recover_running(database, symbol)
    else:
        outcome = shared_commands.recover(database.url, stores.account_of(database), symbol)
    if json:
        print_json(outcome)
    else:
        typer.echo(f"{outcome.symbol}: {outcome.phase_from} -> {outcome.phase_to}")
        if outcome.note:
            typer.echo(outcome.note)
    if outcome.note:
        raise typer.Exit(FOUND)


@app.command()
def report(
    db: Database = None,
    account: InAccount = None,
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where it goes. Default: beside the database.", metavar="PATH", dir_okay=False),
    ] = None,
) -> None:
    """Write the HTML report of what is in the database.

    Equity, profit by month, prices with entries and exits, and the state diagram with how often each edge was taken.
    """
    import msgspec

    from engine import commands, stores

    database = stores.place_of(db, account, os.environ)
    if isinstance(database, stores.SharedPlace):
        database = msgspec.structs.replace(database, account=stores.account_of(database))
    page = out or stores.local_file(database).with_suffix(".html")
    commands.report(database, data, os.environ, page)
    typer.echo(f"Report: {page}")
