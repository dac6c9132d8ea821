"""The commands that work on a bot: from what was typed to what is printed. What they need is imported where used."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from engine.recorded_run import Progress

FOUND = 1
"""Exit status: something was found, refused or could not be done."""
INTERRUPTED = 130
"""Exit status: stopped by Ctrl-C; the same command goes on from there."""

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def _no_folder(value: str | None) -> str | None:
    if value is not None and Path(value).is_dir():
        raise typer.BadParameter(f"{value} is a folder; name a file in it.")
    return value


Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        help="The bot's database: a file, or a postgresql:// URL. Default: recorded.db in FSM_SNAPSHOT_DIR (var).",
        metavar="PATH",
        callback=_no_folder,
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
            callback=_no_folder,
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", help="In PostgreSQL, what the account is called. Default: after the exchange."),
    ] = None,
    lease: Annotated[
        float,
        typer.Option(
            "--lease", help="In PostgreSQL, seconds without a word until a standby takes over.", min=0.5, max=600
        ),
    ] = 15.0,
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

        shared = work_command.SharedTrade(asked, db, account, round(lease * 1000))
        stopped = asyncio.run(work_command.trade_shared(shared, os.environ, tell))
    elif account is not None:
        raise ConfigError(
            "--account names one of the accounts in a PostgreSQL database; a file has one only. Nothing was started. "
            "Give the URL with --db, or a file of its own for each account."
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
            callback=_no_folder,
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
    last: Annotated[int, typer.Option("--last", help="How many events.", min=1)] = 20,
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
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
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

    instant = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    found = commands.why(stores.place_of(db, account, os.environ), data, symbol, instant, os.environ)
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
        typer.Option(
            "--before", help="Rows from before this day go (UTC).", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD"
        ),
    ],
    db: Database = None,
    json: Json = False,
) -> None:
    """Move old audit rows out of the database into a file.

    Works while the bot is running. Books, orders and the latest row stay; the space in the database is used again.
    `phasewright audit SYMBOL --archive FILE` shows what is in such a file, and so does any tool that reads Parquet.
    """
    from engine import stores
    from engine.audit_archive import archive_audit
    from runtime.errors import StoreError

    database = stores.place_of(db, None, os.environ)
    if not isinstance(database, Path):
        raise StoreError(f"{database}: only a file's rows are archived. docs/capacity.md says how to in PostgreSQL.")
    moved = archive_audit(database, int(before.replace(tzinfo=UTC).timestamp() * 1000), to)
    if json:
        print_json(moved)
    elif moved is None:
        typer.echo(f"{database} has no audit rows from before {before:%Y-%m-%d}.")
    else:
        typer.echo(f"{moved.rows:,} audit rows are in {to} now ({moved.bytes / 1e6:,.1f} MB).")


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


@app.command()
def venue(
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65_535)] = 0,
    host: Annotated[str, typer.Option("--host", help="Where to listen; anything but loopback is open to all.")] = (
        "127.0.0.1"
    ),
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            help="The venue's books. Default: venue.db in FSM_SNAPSHOT_DIR (var).",
            metavar="PATH",
            dir_okay=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds prices, partial fills and faults.", min=0)] = 1,
    faults: Annotated[str, typer.Option("--faults", help="calm, realistic or hostile.")] = "calm",
    script: Annotated[
        Path | None,
        typer.Option("--script", help="Faults at certain requests: YAML, see docs/venue.md.", metavar="FILE"),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol", help="A market, perhaps with its price: BTC/USDT or BTC/USDT=60000.", show_default=False
        ),
    ] = None,
    made_symbols: Annotated[
        int, typer.Option("--made-symbols", help="So many made-up markets besides: M001/USDT and so on.", min=0)
    ] = 0,
    accounts: Annotated[
        int, typer.Option("--accounts", help="How many accounts, each with keys and books of its own.", min=1)
    ] = 1,
    data: Data = None,
    balance: Annotated[
        list[str] | None,
        typer.Option("--balance", help="What each account has at first: USDT=10000.", show_default=False),
    ] = None,
    parts: Annotated[str, typer.Option("--parts", help="How many orders fill in parts: never, some or most.")] = "some",
    weight: Annotated[
        int, typer.Option("--weight", help="Request weight a minute of an address; 0: any.", min=0)
    ] = 6_000,
    orders: Annotated[
        int, typer.Option("--orders", help="New orders of an account in ten seconds; 0: any number.", min=0)
    ] = 100,
    api_key: Annotated[
        str | None, typer.Option("--api-key", envvar="VENUE_API_KEY", help="Default: made from the seed.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", envvar="VENUE_SECRET", help="Default: made from the seed.")
    ] = None,
    control: Annotated[bool, typer.Option("--control", help="Open /venue/: the books and every switch.")] = False,
    json: Json = False,
) -> None:
    """Be an exchange on loopback, to rehearse bots against.

    Speaks binance's spot REST protocol over the paper exchange's books, on real time, with faults on demand. Prints its
    address and keys when it is ready. Ctrl-C stops it; a kill loses nothing that it accepted. docs/venue.md has the
    rest. Unlike other commands, --data replays candles over and over from now on instead of made-up prices.
    """
    from engine.venue.command import VenueOptions, run

    run(
        VenueOptions(
            host=host,
            port=port,
            db=db,
            seed=seed,
            faults=faults,
            script=script,
            symbols=tuple(symbol or ()),
            made_symbols=made_symbols,
            accounts=accounts,
            data=data,
            balances=tuple(balance or ()),
            parts=parts,
            weight=weight,
            orders=orders,
            api_key=api_key,
            secret=secret,
            control=control,
        ),
        os.environ,
        lambda ready: typer.echo(ready.as_json() if json else ready.as_text()),
    )


def print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


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
