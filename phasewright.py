"""The command line: the only place that knows both halves, the generator and the bot. Each is imported where used."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import codegen.command_line
import engine.command_line
from codegen.command_line import OutDir, SpecDir, print_findings
from phasewright_output import FOUND, INTERRUPTED, Json, console, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from codegen.model import Machine
    from runtime.definition import MachineDefinition
    from runtime.memory_store import MemoryStore

HELP = """A trading bot's order lifecycle from one YAML spec.

The spec and what is generated from it: generate, check, lint. Edit spec/trading.yaml, run `phasewright generate`, and
review the diagrams in generated/.

What the spec means: verify plays it against a hostile exchange, simulate lets you do so by hand, and mutate makes small
mistakes in it to see who notices.

The bot: run, trade, status, trades, audit, archive, recover, reconcile, report. `phasewright run` trades a recorded
market and `phasewright trade` on an exchange; the others look at its database, also while it runs. `phasewright
exchanges` lists where, and `phasewright venue` is an exchange to rehearse against.

Many accounts on many machines share a PostgreSQL database: work, accounts, send, and db to look after it.

Exit status: 0 done; 1 something was found, refused or failed, and the message says what to do; 2 the command was
called wrongly; 130 interrupted, run it again to go on.
"""


class Explained(TyperGroup):
    """Ends with the message, and no traceback, for what a user can mend."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, BrokenPipeError):
            raise
        except typer.BadParameter as error:
            # Said by the library that converts, of itself.
            error.message = error.message.removeprefix("Value error, ")
            raise
        except KeyboardInterrupt:
            typer.echo("\nInterrupted. Everything committed is on disk; run the same command to go on.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            _explain(error)
            raise


def _explain(error: Exception) -> None:
    """Fail with what the error says to its reader; return if it says nothing to anybody but us."""
    from codegen.commands import CommandError, SpecError
    from runtime.errors import PhasewrightError

    if isinstance(error, SpecError):
        print_findings(error.findings)
    if isinstance(error, (SpecError, CommandError, PhasewrightError)):
        _fail(str(error))
    if isinstance(error, OSError):
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}. Nothing that was committed is lost.")


app = typer.Typer(
    name="phasewright",
    cls=Explained,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help wraps its paragraphs, pastes well, and is there in half the time.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(codegen.command_line.app)
app.add_typer(engine.command_line.app)


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
        _replay(trace, spec)
        return
    from codegen import commands
    from codegen.walking import Walking

    Walking(commands.walk(spec, machine, under_way), console(), sys.stdin).run()


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

    score = commands.mutate(spec, out, machine, _player, sample, seed, jobs, cache, progress)
    if report is not None:
        report.write_text(render_page(score), encoding="utf-8")
    if json:
        print_json(score.to_dict())
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


def main() -> None:
    """The console script."""
    try:
        app()
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(FOUND) from None


def _fail(message: str) -> NoReturn:
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(message, err=True)
    raise typer.Exit(FOUND)


if __name__ == "__main__":
    main()
