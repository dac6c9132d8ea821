"""The command that is an exchange, from what was typed to what is printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from engine.command_line.options import Data
from phasewright_output import Json

app = typer.Typer()


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
