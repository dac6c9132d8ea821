"""The commands for a PostgreSQL database as such, from what was typed to what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasewright_output import FOUND, Json, print_json

app = typer.Typer(
    name="db",
    help="Look after a PostgreSQL database.\n\n"
    "Its tables, and whether it can be relied on. docs/postgresql.md has more.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Url = Annotated[str, typer.Argument(help="As in postgresql://user@host:5432/bots.", metavar="URL", show_default=False)]


@app.command()
def upgrade(url: Url, json: Json = False) -> None:
    """Make the tables, or bring them up to date.

    To this program's revision, in one transaction: it is done as a whole or not at all. Workers that run keep running;
    one that is older than the tables can no longer be started. The user needs the right to make tables.
    """
    from engine import database_commands

    upgraded = database_commands.upgrade(url)
    if json:
        print_json(upgraded)
    elif upgraded.before == upgraded.after:
        typer.echo(f"The tables are of revision {upgraded.after} already.")
    else:
        typer.echo(f"The tables are of revision {upgraded.after} now (before: {upgraded.before or 'none'}).")


@app.command()
def status(url: Url, json: Json = False) -> None:
    """Show the tables' revision and what the server promises.

    Whether a commit survives a crash of the server, and whether it survives the loss of the machine. Status 1 when this
    program cannot work with the database, or a commit can be lost.
    """
    from engine import database_commands

    found = database_commands.status(url)
    if json:
        print_json(found)
    else:
        for line in found.lines():
            typer.echo(line)
    if found.trouble:
        raise typer.Exit(FOUND)


@app.command("accept-failover")
def accept_failover(url: Url, json: Json = False) -> None:
    """Trade on after the server went on with another history.

    When a standby takes over, or a backup is restored, requests that were sent to an exchange may be missing. So nobody
    takes an account until you say so. First compare every account with its exchange: phasewright reconcile.
    """
    from engine import database_commands

    accepted = database_commands.accept_failover(url)
    if json:
        print_json(accepted)
    else:
        typer.echo(f"Can be taken again: {', '.join(accepted)}." if accepted else "No account waits for this.")


@app.command()
def move(
    file: Annotated[Path, typer.Argument(help="A bot's database.", metavar="FILE", dir_okay=False, show_default=False)],
    url: Url,
    account: Annotated[str, typer.Option("--account", help="What the account will be called.")],
    json: Json = False,
) -> None:
    """Move a bot's database from a file into PostgreSQL.

    All of it in one transaction, or nothing. The file can then no longer be used, so that no second bot trades on it,
    and says where it went. The bot must be stopped. Its next start: --db URL --account NAME.
    """
    from runtime.postgres.moving import move as move_database

    moved = move_database(file, url, account)
    if json:
        print_json(moved)
    else:
        typer.echo(
            f"{moved.audit:,} audit rows, {moved.entries:,} journal entries and {moved.instances} symbols are in "
            f"account {account} now. Go on with --db URL --account {account}; {file} is a tombstone."
        )
