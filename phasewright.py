"""The command line: the only place that knows both halves, the generator and the bot. Each is imported where used."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from codegen.findings import Finding
    from codegen.model import Machine
    from engine.recorded_run import Progress
    from runtime.definition import MachineDefinition
    from runtime.memory_store import MemoryStore

FOUND = 1
"""Exit status: something was found, refused or could not be done."""
INTERRUPTED = 130
"""Exit status: stopped by Ctrl-C; the same command goes on from there."""

HELP = """A trading bot's order lifecycle from one YAML spec.

The spec and what is generated from it: generate, check, lint. Edit spec/trading.yaml, run `phasewright generate`, and
review the diagrams in generated/.

What the spec means: verify plays it against a hostile exchange, simulate lets you do so by hand, and mutate makes small
mistakes in it to see who notices.

The bot: run, trade, status, trades, audit, recover, reconcile, report. `phasewright run` trades a recorded market and
`phasewright trade` on an exchange; the others look at its database, also while it runs. `phasewright exchanges` lists
where, and `phasewright venue` is an exchange to rehearse against.

Exit status: 0 done; 1 something was found, refused or failed, and the message says what to do; 2 the command was
called wrongly; 130 interrupted, run it again to go on.
"""

app = typer.Typer(
    name="phasewright",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help wraps its paragraphs, pastes well, and is there in half the time.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpecDir = Annotated[Path, typer.Option("--spec", help="The folder of specs.", metavar="DIR")]
OutDir = Annotated[Path, typer.Option("--out", help="The folder of generated files.", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Database = Annotated[
    Path | None,
    typer.Option(
        "--db",
        help="The bot's database. Default: recorded.db in FSM_SNAPSHOT_DIR (var).",
        metavar="PATH",
        dir_okay=False,
    ),
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
def generate(
    spec: SpecDir = Path("spec"),
    out: OutDir = Path("generated"),
    png: Annotated[
        Path | None, typer.Option("--png", help="Also draw every diagram as a PNG into this folder.", metavar="DIR")
    ] = None,
) -> None:
    """Write typed Python, tables and diagrams from the specs.

    Nothing is written while a spec has errors. Files that no spec gives any more are removed.
    """
    from codegen import commands

    with _spec_explained():
        result = commands.generate(spec, out, png)
    _print_findings(result.warnings)
    for name in result.written:
        typer.echo(f"wrote    {out / name}")
    for name in result.removed:
        typer.echo(f"removed  {out / name}")
    for name in result.foreign:
        typer.echo(f"left     {out / name}: not generated; it does not belong there")
    typer.echo(f"{len(result.written)} written, {len(result.removed)} removed, {len(result.unchanged)} unchanged")
    if png is not None:
        typer.echo(f"{len(result.drawn)} pictures in {png}")


@app.command()
def check(spec: SpecDir = Path("spec"), out: OutDir = Path("generated"), json: Json = False) -> None:
    """Compare the generated files with what the specs give.

    Shows a diff for every file that is changed, and names those that are missing or left over; status 1 for any.
    """
    from codegen import commands
    from codegen.output import render_drifts

    with _spec_explained():
        drifts = commands.check(spec, out)
    if json:
        _print_json([drift.to_dict() for drift in drifts])
    elif drifts:
        typer.echo(render_drifts(drifts))
        remedy = " and ".join(f"make {name}" for name in ("generate", "verify") if name in {one.make for one in drifts})
        typer.echo(f"\n{len(drifts)} files differ from what {spec}/ gives. Run: {remedy}", err=True)
    else:
        typer.echo(f"{out}/ is what {spec}/ gives.")
    if drifts:
        raise typer.Exit(FOUND)


@app.command()
def verify(
    machine: Annotated[
        list[str] | None, typer.Argument(help="Machines. Default: every one.", show_default=False)
    ] = None,
    spec: SpecDir = Path("spec"),
    under_way: Annotated[
        int | None, typer.Option("--requests", min=1, help="How many requests are followed at once. Default: 3.")
    ] = None,
    counterexamples: Annotated[
        Path, typer.Option("--counterexamples", help="Where a broken claim is drawn.", metavar="DIR")
    ] = Path("counterexamples"),
    out: OutDir = Path("generated"),
    json: Json = False,
) -> None:
    """Play the specs against a hostile exchange.

    And against a process that crashes. Says what holds and in how many states, or tells the shortest way to each
    loss and draws it; status 1 for any. For what holds it writes the paths that show every row, guard answer and crash
    point, for the tests, and says how much they cover; status 1 for less than all.
    """
    from codegen import commands
    from codegen.verify.text import WIDTH, render_verified

    def progress(name: str, known: int, seen: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{name}: {seen:,} of {known:,} states ", nl=False, err=True)

    results = []
    with _spec_explained():
        for result in commands.verify(spec, machine or (), under_way, progress, counterexamples, out):
            results.append(result)
            if not json:
                width = shutil.get_terminal_size((WIDTH, 24)).columns
                typer.echo(("\r" if sys.stderr.isatty() else "") + render_verified(result, width))
    if json:
        _print_json([result.to_dict() for result in results])
    for result in results:
        if result.not_written:
            _fail(result.not_written)
    if not all(result.good for result in results):
        raise typer.Exit(FOUND)


@app.command()
def simulate(
    machine: Annotated[str, typer.Argument(help="The machine to walk through.")] = "trading",
    spec: SpecDir = Path("spec"),
    under_way: Annotated[
        int | None, typer.Option("--requests", min=1, help="How many requests are followed at once. Default: 3.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", help="Play this trace instead, with the real bot.", metavar="FILE", dir_okay=False),
    ] = None,
) -> None:
    """Walk through a machine by hand, step by step.

    Shows where it is and what can happen next; choose by number, and the step is taken. A claim that is broken on the
    way is said at once. Choices may also be piped in, one on a line; the walk ends with them.

    With --trace, a counterexample happens for real: the code that its own spec gives, the worker, the database, the
    ledger and the paper exchange. Status 0 when the loss is there at the end, 1 when it is not.
    """
    if trace is not None:
        with _spec_explained():
            _replay(trace, spec)
        return
    from codegen import commands
    from codegen.walking import Walking

    with _spec_explained():
        Walking(commands.walk(spec, machine, under_way), _console(), sys.stdin).run()


def _replay(file: Path, spec: Path) -> None:
    """Play a trace on the machine that its own specs give, or those in `spec` where it has none."""
    import tempfile

    from codegen.verify.replay import unpack
    from engine.rehearsal.trace import read_trace

    trace = read_trace(file)
    texts = trace.spec or {path.name: path.read_text(encoding="utf-8") for path in sorted(spec.glob("*.yaml"))}
    with tempfile.TemporaryDirectory(prefix="phasewright-") as folder:
        unpacked = unpack(texts, trace.machine, Path(folder))
        # Ahead of the installed package, and before anything of that is imported.
        sys.path.insert(0, folder)
        try:
            from engine.rehearsal import story
        except ImportError as error:
            if not (error.name or "").startswith("generated"):
                raise
            _fail(f"{file}: the bot in engine/ has no use for what this spec gives: {error}")
        broken = unpacked.question(trace.claim)
        if trace.machine == story.MACHINE:
            reproduced, told = story.replay(trace, Path(folder), unpacked.free, broken)
        else:
            reproduced, told = story.replay_without_bot(trace, Path(folder))
    typer.echo(told)
    if not reproduced:
        raise typer.Exit(FOUND)


@app.command()
def mutate(
    machine: Annotated[str, typer.Argument(help="The machine whose spec is changed.", show_default=False)] = "trading",
    spec: SpecDir = Path("spec"),
    out: OutDir = Path("generated"),
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Judge only so many mutants, chosen by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the sample.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many processes judge mutants.")] = 1,
    cache: Annotated[
        Path, typer.Option("--cache", help="Keeps what was found, for the next time.", metavar="FILE", dir_okay=False)
    ] = Path("var/mutation.jsonl"),
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Also write the page of figures here.", metavar="FILE", dir_okay=False),
    ] = None,
    json: Json = False,
) -> None:
    """Make small mistakes in a spec, and see who notices.

    Each mutant is the spec with one mistake that somebody could make. It is caught by lint, else by the checker, else
    by the paths of the original, played with the mutant's own code. Whatever nobody notices needs a reason in
    spec/survivors/; status 1 for one without, and for a reason without need. Takes hours; what was found is kept.
    """
    from codegen import commands
    from codegen.mutation.text import render_page, render_score

    def progress(judged: int, of: int, survived: int) -> None:
        if sys.stderr.isatty() or judged % 100 == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            typer.echo(f"{machine}: {judged:,} of {of:,} mutants, {survived:,} survived {end}", nl=False, err=True)

    with _spec_explained():
        score = commands.mutate(spec, out, machine, _player, sample, seed, jobs, cache, progress)
        if report is not None:
            report.write_text(render_page(score), encoding="utf-8")
    if json:
        _print_json(score.to_dict())
    else:
        typer.echo(render_score(score))
    if score.judged.stopped:
        raise typer.Exit(INTERRUPTED)
    if not score.settled:
        raise typer.Exit(FOUND)


def _player(paths: list[dict[str, Any]]) -> Callable[[Machine], str | None]:
    """What plays the paths of a machine on the generated code of a mutant, and says what went otherwise."""
    import asyncio
    from functools import partial

    from runtime.errors import PhasewrightError
    from runtime.memory_store import MemoryStore
    from runtime.rehearsal.play import Crashes, Stage

    class Disk(MemoryStore):
        def close(self) -> None:
            """What is written outlives the process."""

    def play(machine: Machine) -> str | None:
        with _generated_definition(machine) as definition:
            try:
                stage = Stage(definition)
                for crashes in (Crashes.NEVER, Crashes.UNDER_WAY):
                    for path in paths:
                        asyncio.run(stage.play(path, partial(_same, Disk()), crashes))
            except PhasewrightError as error:
                return str(error).partition("\n")[0]
        return None

    return play


def _same(store: MemoryStore) -> MemoryStore:
    return store


@contextmanager
def _generated_definition(machine: Machine) -> Iterator[MachineDefinition]:
    """The definition in the code that is generated from a machine, which is there for as long as it is looked at."""
    import importlib
    import tempfile

    from codegen.python_files import python_files

    with tempfile.TemporaryDirectory(prefix="phasewright-") as folder:
        package = Path(folder) / "mutated"
        package.mkdir()
        for name, text in python_files(machine).items():
            (package / name).write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            importlib.invalidate_caches()
            yield importlib.import_module("mutated.definition").DEFINITION
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "mutated"]:
                del sys.modules[name]


@app.command()
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Specs, or folders of them. Default: spec/", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check the specs by rules with stable codes.

    Every finding names file, line and column, what is wrong, why it matters and what to write; docs/lint-rules.md has
    them all. Status 1 when there is an error, 0 when there are only warnings.
    """
    from codegen import commands
    from codegen.findings import has_errors

    with _spec_explained():
        found = commands.lint(paths or [Path("spec")])
    if json:
        _print_json([finding.to_dict() for finding in found])
    else:
        _print_findings(found)
        typer.echo(f"{len(found) or 'no'} finding{'' if len(found) == 1 else 's'}", err=bool(found))
    if has_errors(found):
        raise typer.Exit(FOUND)


@app.command()
def run(
    db: Database = None,
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

    from engine import commands, terminal

    with _explained():
        database = db or commands.default_database(os.environ)
        with _progress() as on_progress:
            outcome = asyncio.run(
                commands.run(database, data, os.environ, fresh=fresh, on_resume=_tell_resumed, on_progress=on_progress)
            )
        if not json:
            terminal.show_summary(_console(), outcome.figures, outcome.account)
        page = report or database.with_suffix(".html")
        commands.write_page(page, outcome.figures)
    if json:
        from engine.report.figures import summarise

        _print_json(
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
        Path | None,
        typer.Option(
            "--db",
            help="The bot's database. Default: named after the exchange, in FSM_SNAPSHOT_DIR (var).",
            metavar="PATH",
            dir_okay=False,
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
    """
    import asyncio

    from engine import live_commands
    from engine.live_notices import Notice

    def tell(notice: Notice) -> None:
        import msgspec

        # Whoever read along may be gone, or the disk with the log be full: the bot trades on.
        with suppress(OSError):
            typer.echo(msgspec.json.encode(notice) if json else notice.line())
            sys.stdout.flush()

    with _explained():
        stopped = asyncio.run(
            live_commands.trade(
                live_commands.TradeOptions(
                    exchange=exchange,
                    symbols=live_commands.symbols_in(symbol),
                    database=db,
                    sandbox=sandbox,
                    live=live,
                    url=url,
                    new_key=new_key,
                ),
                os.environ,
                tell,
            )
        )
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
        _print_json(list(EXCHANGES.values()))
    else:
        terminal.show_exchanges(_console(), EXCHANGES.values())


@app.command()
def reconcile(
    db: Annotated[
        Path,
        typer.Option("--db", help="The database of a bot that trades on an exchange.", metavar="PATH", dir_okay=False),
    ],
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

    from engine import live_commands, terminal

    with _explained():
        compared = asyncio.run(live_commands.reconcile(db, os.environ, url=url))
    if json:
        _print_json(compared)
    else:
        terminal.show_differences(_console(), compared.differences, compared.left_out)
    if any(difference.needs_doing for difference in compared.differences):
        raise typer.Exit(FOUND)


@app.command()
def status(db: Database = None, json: Json = False) -> None:
    """Show the account and the phase of every symbol.

    As of the last commit; works while a bot is running. Status 1 when the books do not add up.
    """
    from engine import commands, terminal

    with _explained():
        account = commands.status(db or commands.default_database(os.environ))
    if json:
        _print_json(account)
    else:
        terminal.show_status(_console(), account)
    if account.faults:
        raise typer.Exit(FOUND)


@app.command()
def trades(
    symbol: Annotated[str | None, typer.Argument(help="Only this symbol, as in BTC/USD.")] = None,
    db: Database = None,
    json: Json = False,
) -> None:
    """List the closed trades and what each came to after fees."""
    from engine import commands, terminal

    with _explained():
        trips = commands.trades(db or commands.default_database(os.environ), symbol)
    if json:
        _print_json(trips)
    else:
        terminal.show_trades(_console(), trips)


@app.command()
def audit(
    symbol: Symbol,
    db: Database = None,
    last: Annotated[int, typer.Option("--last", help="How many events.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Show what happened to a symbol, event by event.

    For each: what became of it, the row of the table, the actions that ran, the effects asked for, what the event
    carried, and why nothing happened where nothing did.
    """
    from engine import commands, terminal

    with _explained():
        rows = commands.audit(db or commands.default_database(os.environ), symbol, last)
    if json:
        import msgspec

        _print_json([msgspec.to_builtins(row) | {"payload": msgspec.Raw(row.payload)} for row in rows])
    else:
        terminal.show_audit(_console(), rows)


@app.command()
def recover(symbol: Symbol, db: Database = None, data: Data = None, json: Json = False) -> None:
    """Bring a symbol out of ERROR by asking the exchange.

    Its phase follows the answer, and nothing is assumed: a live order is canceled, what was filled is booked, what is
    held is held. A bot that trades on an exchange does it itself, so it must be running; stop a recorded run first.
    Status 1 when the exchange could not be asked or the symbol is in ERROR still.
    """
    import asyncio

    from engine import commands

    with _explained():
        database = db or commands.default_database(os.environ)
        if commands.belongs_to_exchange(database):
            outcome = commands.recover_running(database, symbol)
        else:
            outcome = asyncio.run(commands.recover(database, data, symbol, os.environ))
    if json:
        _print_json(outcome)
    else:
        typer.echo(f"{outcome.symbol}: {outcome.phase_from} -> {outcome.phase_to}")
        if outcome.note:
            typer.echo(outcome.note)
    if outcome.note:
        raise typer.Exit(FOUND)


@app.command()
def report(
    db: Database = None,
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where it goes. Default: beside the database.", metavar="PATH", dir_okay=False),
    ] = None,
) -> None:
    """Write the HTML report of what is in the database.

    Equity, profit by month, prices with entries and exits, and the state diagram with how often each edge was taken.
    """
    from engine import commands

    with _explained():
        database = db or commands.default_database(os.environ)
        page = out or database.with_suffix(".html")
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
    data: Data = None,
    balance: Annotated[
        list[str] | None,
        typer.Option("--balance", help="What the account has at first: USDT=10000.", show_default=False),
    ] = None,
    parts: Annotated[str, typer.Option("--parts", help="How many orders fill in parts: never, some or most.")] = "some",
    weight: Annotated[int, typer.Option("--weight", help="Request weight a minute.", min=1)] = 6_000,
    orders: Annotated[int, typer.Option("--orders", help="New orders in ten seconds.", min=1)] = 100,
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

    with _explained():
        run(
            VenueOptions(
                host=host,
                port=port,
                db=db,
                seed=seed,
                faults=faults,
                script=script,
                symbols=tuple(symbol or ()),
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


def main() -> None:
    """The console script."""
    try:
        app()
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(FOUND) from None


@contextmanager
def _explained() -> Iterator[None]:
    """End with the message, and no traceback, for what a user can mend."""
    from runtime.errors import PhasewrightError

    try:
        yield
    except PhasewrightError as error:
        _fail(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}. Nothing that was committed is lost.")
    except KeyboardInterrupt:
        typer.echo("\nInterrupted. Everything committed is on disk; run the same command to go on.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _spec_explained() -> Iterator[None]:
    """The same for the commands that work on specs. A running bot has no use for them."""
    from codegen.commands import CommandError, SpecError

    with _explained():
        try:
            yield
        except SpecError as error:
            _print_findings(error.findings)
            _fail(str(error))
        except CommandError as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(message, err=True)
    raise typer.Exit(FOUND)


def _print_findings(found: Sequence[Finding]) -> None:
    for finding in found:
        colour = "red" if finding.severity == "error" else "yellow"
        typer.secho(finding.headline(), fg=colour, err=True)
        typer.echo(f"{finding.details()}\n", err=True)


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _tell_resumed(stopped_at: int) -> None:
    from datetime import UTC, datetime

    instant = datetime.fromtimestamp(stopped_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    typer.echo(f"Going on from {instant} (UTC), where the database stops. --fresh starts anew.", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, a line per tenth elsewhere; both on standard error."""
    from datetime import UTC, datetime

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


if __name__ == "__main__":
    main()
