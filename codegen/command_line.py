"""The commands that work on specs: from what was typed to what is printed."""

from __future__ import annotations

import gc
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasewright_output import FOUND, Json, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codegen.findings import Finding

app = typer.Typer()

SpecDir = Annotated[Path, typer.Option("--spec", help="The folder of specs.", metavar="DIR")]
OutDir = Annotated[Path, typer.Option("--out", help="The folder of generated files.", metavar="DIR")]


@app.command()
def generate(
    spec: SpecDir = Path("spec"),
    out: OutDir = Path("generated"),
    png: Annotated[
        Path | None, typer.Option("--png", help="Also draw every diagram as a PNG into this folder.", metavar="DIR")
    ] = None,
    focus: Annotated[
        list[str] | None,
        typer.Option(
            "--focus",
            help="Into that folder draw only this phase, with every row in and out; may be repeated. A machine of more "
            "than 50 phases has no such diagrams among its files.",
            metavar="PHASE",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write typed Python, tables and diagrams from the specs.

    Nothing is written while a spec has errors. Files that no spec gives any more are removed.
    """
    from codegen import commands

    if focus and png is None:
        raise typer.BadParameter("name the folder for the picture too: --png DIR", param_hint="--focus")
    _keep_everything()
    result = commands.generate(spec, out, png, focus or ())
    print_findings(result.warnings)
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

    _keep_everything()
    drifts = commands.check(spec, out)
    if json:
        print_json([drift.to_dict() for drift in drifts])
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
    for result in commands.verify(spec, machine or (), under_way, progress, counterexamples, out):
        results.append(result)
        if not json:
            width = shutil.get_terminal_size((WIDTH, 24)).columns
            typer.echo(("\r" if sys.stderr.isatty() else "") + render_verified(result, width))
    if json:
        print_json([result.to_dict() for result in results])
    for result in results:
        if result.not_written:
            raise commands.CommandError(result.not_written)
    if not all(result.good for result in results):
        raise typer.Exit(FOUND)


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

    _keep_everything()
    found = commands.lint(paths or [Path("spec")])
    if json:
        print_json([finding.to_dict() for finding in found])
    else:
        print_findings(found)
        typer.echo(f"{len(found) or 'no'} finding{'' if len(found) == 1 else 's'}", err=bool(found))
    if has_errors(found):
        raise typer.Exit(FOUND)


def _keep_everything() -> None:
    """What is made of a spec lives until the process ends, which is soon. Looking for garbage in it takes a third of
    the time of a large one and finds none."""
    gc.disable()


def print_findings(found: Sequence[Finding]) -> None:
    for finding in found:
        colour = "red" if finding.severity == "error" else "yellow"
        typer.secho(finding.headline(), fg=colour, err=True)
        typer.echo(f"{finding.details()}\n", err=True)
