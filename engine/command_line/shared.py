"""The commands for accounts that several processes share, from what was typed to what is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewright_output import INTERRUPTED, Json, console, print_json

if TYPE_CHECKING:
    from engine.live_notices import Notice

app = typer.Typer()


def _shared(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise typer.BadParameter("accounts are shared in PostgreSQL; give its URL: postgresql://user@host:5432/bots")
    return url


Url = Annotated[
    str,
    typer.Option("--db", help="The database, as in postgresql://user@host:5432/bots.", metavar="URL", callback=_shared),
]


@app.command()
def work(
    db: Url,
    accounts: Annotated[
        Path, typer.Option("--accounts", help="The accounts, in TOML: docs/workers.md.", metavar="FILE", dir_okay=False)
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What this worker is called. Default: the machine's name.")
    ] = None,
    lease: Annotated[
        float,
        typer.Option(
            "--lease",
            help="Seconds without a word after which others take its accounts; the same for all.",
            min=0.5,
            max=600,
        ),
    ] = 15.0,
    connections: Annotated[
        int, typer.Option("--connections", help="To the database, at most; four more are its own.", min=1)
    ] = 6,
    new_key: Annotated[
        list[str] | None,
        typer.Option("--new-key", help="An account whose key was replaced by another one of the same account."),
    ] = None,
    json: Json = False,
) -> None:
    """Trade on a share of many accounts.

    Start it on as many machines as you like, with the same database and accounts: each holds its share, and when one
    dies, the others take over what it held. SIGTERM or Ctrl-C hands over at once. An account that cannot be traded is
    told and tried again; the others go on. docs/workers.md says what can happen to an order meanwhile.
    """
    import asyncio

    from engine import work_command

    options = work_command.WorkOptions(
        url=db,
        accounts=accounts,
        name=name,
        lease=round(lease * 1000),
        connections=connections,
        new_keys=tuple(new_key or ()),
    )
    stopped = asyncio.run(work_command.work(options, os.environ, _teller(json)))
    left = len(stopped.live_orders)
    typer.echo(
        f"Stopped. {left} orders may be live at their exchanges; whoever takes the accounts looks after them."
        if left
        else "Stopped. No order is live at an exchange.",
        err=True,
    )
    if stopped.interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command()
def send(
    account: Annotated[str, typer.Argument(help="The account.")],
    symbol: Annotated[str, typer.Argument(help="The symbol, as in BTC/USDT.")],
    event: Annotated[str, typer.Argument(help="The event, as in RECOVER_REQUESTED.")],
    payload: Annotated[str, typer.Argument(help="What it carries, in JSON.")] = "{}",
    *,
    db: Url,
    id: Annotated[
        str | None, typer.Option("--id", help="Names the event: sent again with the same id it is a duplicate.")
    ] = None,
    json: Json = False,
) -> None:
    """Put an event into an account's inbox.

    It is durable when this returns; whoever holds the account, now or later, handles it once. `phasewright audit` shows
    what became of it, and `phasewright accounts` what was refused. If the answer is lost, send it again with the same
    --id.
    """
    from engine import shared_commands

    sent = shared_commands.send(db, account, symbol, event, payload, id)
    if json:
        print_json(sent)
    else:
        typer.echo(f"{sent.outcome.value}, id {sent.id}")


@app.command()
def accounts(db: Url, json: Json = False) -> None:
    """List the accounts in a database, and the workers.

    Who holds which account and until when, the epoch of its lease, requests under way, messages that wait or were
    refused, and timers that are overdue because nobody holds the account.
    """
    from engine import shared_commands, terminal_shared

    found = shared_commands.accounts(db)
    if json:
        print_json(found)
    else:
        terminal_shared.show_accounts(console(), found)


def _teller(json: bool) -> Callable[[Notice], None]:
    """Prints what a worker tells: folded on a terminal, a line each elsewhere, where it may be searched."""
    import shutil
    from textwrap import fill

    import msgspec

    def tell(notice: Notice) -> None:
        line = msgspec.json.encode(notice).decode() if json else notice.line()
        if not json and sys.stdout.isatty():
            line = fill(line, shutil.get_terminal_size().columns, subsequent_indent=" " * 4, break_on_hyphens=False)
        # Whoever read along may be gone, or the disk with the log be full: the bots trade on.
        with suppress(OSError):
            typer.echo(line)
            sys.stdout.flush()

    return tell
