"""The commands that trade on an exchange or ask one, from what was typed to what is printed."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from engine.command_line.options import InAccount, no_folder
from phasewright_output import FOUND, INTERRUPTED, Json, console, print_json

app = typer.Typer()


@app.command()
def trade(
    symbol: Annotated[
        list[str], typer.Option("--symbol", help="What to trade, as in BTC/USDT; once for each.", metavar="BASE/QUOTE")
    ],
    exchange: Annotated[str, typer.Option("--exchange", help="Where: binance and others.")] = "binance",
    url: Annotated[
        str | None,
        typer.Option("--url", help="A venue on this machine (`phasewright venue`), to rehearse.", metavar="URL"),
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The exchange's own test network.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Real money. Must be confirmed by PHASEWRIGHT_LIVE too.")
    ] = False,
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            help="The bot's database: a file, or a postgresql:// URL. Default: named after the exchange, in "
            "FSM_SNAPSHOT_DIR (var).",
            metavar="PATH",
            callback=no_folder,
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", help="In PostgreSQL, what the account is called. Default: after the exchange."),
    ] = None,
    lease: Annotated[
        float | None,
        typer.Option(
            "--lease",
            help="In PostgreSQL, seconds without a word until a standby takes over. Default: 15.",
            min=0.5,
            max=600,
        ),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="The key in use is another one, of the same account.")
    ] = False,
    json: Json = False,
) -> None:
    """Trade on an exchange, on real time.

    Say where with one of --url, --sandbox and --live. Keys come from PHASEWRIGHT_API_KEY and PHASEWRIGHT_SECRET, or
    the keyring. It tells a line for each change of phase, and runs until Ctrl-C or SIGTERM. It may be killed at any
    moment: orders that are live stay live at the exchange, and the same command looks after them. docs/live.md has
    the way from a rehearsal to real money, and the settings.

    With a postgresql:// URL, the same command on a second machine waits as a standby and takes over when the first
    one dies.
    """
    import asyncio

    import msgspec

    from engine import live_commands, stores
    from engine.live_bot import BotOptions
    from engine.live_notices import Notice
    from runtime.errors import ConfigError

    def tell(notice: Notice) -> None:
        # Whoever read along may be gone, or the disk with the log be full: the bot trades on.
        with suppress(OSError):
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            typer.echo(msgspec.json.encode(notice) if json else notice.line(width))
            sys.stdout.flush()

    asked = BotOptions(
        exchange=exchange,
        symbols=live_commands.symbols_in(symbol),
        sandbox=sandbox,
        live=live,
        url=url,
        new_key=new_key,
    )
    if db is not None and stores.is_shared(db):
        from engine import work_command

        shared = work_command.SharedTrade(asked, db, account, round((lease or 15) * 1000))
        stopped = asyncio.run(work_command.trade_shared(shared, os.environ, tell))
    elif account is not None:
        raise ConfigError(
            "--account names one of the accounts in a PostgreSQL database; a file has one only. Nothing was started. "
            "Give the URL with --db, or a file of its own for each account."
        )
    elif lease is not None:
        raise ConfigError(
            "--lease says when a standby takes over an account in a PostgreSQL database; a bot on a file has no "
            "standby. Nothing was started. Leave it out, or give the URL with --db."
        )
    else:
        stopped = asyncio.run(live_commands.trade(asked, None if db is None else Path(db), os.environ, tell))
    if stopped.live_orders:
        listed = ", ".join(f"{name} {order}" for name, order in stopped.live_orders)
        typer.echo(
            f"Stopped. At the exchange there may be live: {listed}. Nobody watches over them now; the same command "
            "looks after them.",
            err=True,
        )
    else:
        typer.echo("Stopped. No order is live at the exchange; the same command goes on.", err=True)
    if stopped.interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command()
def exchanges(json: Json = False) -> None:
    """List what is known of each exchange.

    Where real money can be traded, and where not and why: an order whose answer is lost must be found again by our
    id, and its request must expire, or it could be sent twice.
    """
    from engine import terminal
    from engine.exchange.capabilities import EXCHANGES

    if json:
        print_json(list(EXCHANGES.values()))
    else:
        terminal.show_exchanges(console(), EXCHANGES.values())


@app.command()
def reconcile(
    db: Annotated[
        str,
        typer.Option(
            "--db",
            help="The database of a bot that trades on an exchange: a file, or a postgresql:// URL.",
            metavar="PATH",
            callback=no_folder,
        ),
    ],
    account: InAccount = None,
    accounts: Annotated[
        Path | None,
        typer.Option("--accounts", help="The file that workers find their keys by.", metavar="FILE", dir_okay=False),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The venue, if it is elsewhere than the bot found it.", metavar="URL")
    ] = None,
    json: Json = False,
) -> None:
    """Compare an exchange with a bot's books, and change nothing.

    Every open order, the latest orders of each symbol, and every balance. Works while the bot is running, which does
    the same by itself from time to time and acts on it. Status 1 when something differs that needs doing.
    """
    import asyncio

    from engine import live_commands, stores, terminal

    place = stores.place_of(db, account, os.environ)
    compared = asyncio.run(live_commands.reconcile(place, os.environ, url=url, accounts=accounts))
    if json:
        print_json(compared)
    else:
        terminal.show_differences(console(), compared.differences, compared.left_out)
        terminal.show_worth(console(), compared.worth)
    if any(difference.needs_doing for difference in compared.differences):
        raise typer.Exit(FOUND)
