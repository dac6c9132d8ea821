"""What the commands `lint`, `generate`, `check` and `verify` do. They return what they found; the caller prints it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from codegen.document import Trouble
from codegen.findings import Finding, has_errors, in_order
from codegen.flatten import flatten
from codegen.formatting import FormatterError
from codegen.lint.runner import findings, trouble_finding
from codegen.loading import Loaded, load
from codegen.model import Machine, Position, Spec
from codegen.output import Drift, Written, compare, replace, write
from codegen.render import render
from codegen.verify.result import Verified
from codegen.wording import did_you_mean

if TYPE_CHECKING:
    from codegen.mutation.judge import Play
    from codegen.mutation.score import Score
    from codegen.verify.paths import Coverage
    from codegen.verify.walk import Walk


class CommandError(Exception):
    """A command could not do its work. The text is the whole message for the user."""


class SpecError(CommandError):
    """The specs have errors, so nothing was done. `findings` holds them all, warnings as well."""

    def __init__(self, found: list[Finding]) -> None:
        super().__init__("the specs have errors, so nothing was done; correct them and run the command again")
        self.findings = found


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """What `generate` did. Paths are relative to the folder of generated files, those of `drawn` as given.

    `foreign` files lie among the generated ones without being generated; they were left alone, and `check` reports
    them. `warnings` are findings that do not stand in the way.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    foreign: tuple[str, ...]
    drawn: tuple[str, ...]
    warnings: tuple[Finding, ...]


def lint(paths: Sequence[FilePath]) -> list[Finding]:
    """All findings in the given files, and in the YAML files of the given folders, by file and position."""
    loaded, found = _load(paths)
    return in_order([*found, *(finding for one in loaded for finding in findings(one))])


def generate(
    spec_dir: FilePath, out_dir: FilePath, png_dir: FilePath | None = None, focus: Sequence[str] = ()
) -> GenerateResult:
    """Write what the specs give; with `png_dir` also every diagram as a picture, below a folder for each machine, or
    only those of the phases in `focus`.

    Raises:
        SpecError: a spec has errors; nothing was written.
        CommandError: there is no such phase, the folders do not fit, a tool is missing, or the disk refuses.
    """
    machines, warnings = _machines(spec_dir, out_dir)
    for phase in focus:
        if not any(phase in machine.spec.phases for machine in machines):
            hint = did_you_mean(phase, [name for machine in machines for name in machine.spec.phases])
            raise CommandError(f"no machine in {spec_dir} has a phase `{phase}`, so nothing was done. {hint}".strip())
    texts = _texts(machines)
    drawn: list[str] = []
    try:
        done: Written = write(out_dir, texts, _stamps(machines))
        if png_dir is not None:
            from codegen import diagrams

            for machine in machines:
                phases = [phase for phase in focus if phase in machine.spec.phases]
                if phases or not focus:
                    drawn += map(str, diagrams.write_png(machine, png_dir / machine.spec.machine, phases))
    except OSError as error:
        raise CommandError(
            f"{error.filename or out_dir} cannot be written: {error.strerror or error}. Make room or correct the "
            "permissions and run it again; every file is whole, either old or new."
        ) from None
    return GenerateResult(done.written, done.removed, done.unchanged, done.foreign, tuple(drawn), warnings)


def check(spec_dir: FilePath, out_dir: FilePath) -> list[Drift]:
    """Every file that is changed, missing or left over, compared with what the specs give.

    Raises:
        SpecError: a spec has errors, so there is nothing to compare with.
        CommandError: the folders do not fit, a tool is missing, or a file cannot be read.
    """
    from codegen.verify.paths_file import is_whole

    machines, _ = _machines(spec_dir, out_dir)
    texts = _texts(machines)
    try:
        return compare(out_dir, texts, _stamps(machines), is_whole)
    except OSError as error:
        raise CommandError(f"{error.filename or out_dir} cannot be read: {error.strerror or error}") from None


def verify(
    spec_dir: FilePath,
    machines: Sequence[str] = (),
    under_way: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    counterexamples: FilePath | None = None,
    out_dir: FilePath | None = None,
) -> Iterator[Verified]:
    """Each machine of the folder, or each of `machines`, against its venue: what holds, or how it is lost.

    `under_way` is how many requests are followed at once. `progress` is told a machine's name, how many of its states
    are known, and how many of them were looked at. Into the folder `counterexamples` each broken claim is drawn. Below
    `out_dir` the paths of a machine that holds are written; they are of the bound that holds by default.

    Raises:
        SpecError: a spec has errors; nothing was verified.
        CommandError: there is no machine of that name, or its paths cannot be written.
    """
    from codegen.verify.check import UNDER_WAY
    from codegen.verify.check import verify as verify_machine

    known = {machine.spec.machine: machine for machine in _sound([spec_dir])[0]}
    for name in machines or known:
        _known(known, name, spec_dir)
    for name in machines or known:
        spec, venue = known[name].spec, _venue(known, name)
        told = partial(progress, name) if progress is not None else None
        with_paths = out_dir is not None and under_way is None
        verified = verify_machine(spec, venue, under_way or UNDER_WAY, progress=told, with_paths=with_paths)
        if out_dir is not None and verified.coverage is not None and verified.coverage.complete:
            _write_paths(out_dir / _paths_name(name), known[name], known, verified.coverage)
        if counterexamples is not None:
            from codegen.counterexamples.files import write_counterexamples

            verified = write_counterexamples(counterexamples, known[name], venue, verified)
        yield verified


def walk(spec_dir: FilePath, machine: str, under_way: int | None = None) -> Walk:
    """A walk through what can happen to a machine of the folder, at its beginning.

    Raises:
        SpecError: a spec has errors.
        CommandError: there is no machine of that name.
    """
    from codegen.verify.check import UNDER_WAY
    from codegen.verify.walk import Walk

    known = {one.spec.machine: one for one in _sound([spec_dir])[0]}
    return Walk(_known(known, machine, spec_dir).spec, _venue(known, machine), under_way or UNDER_WAY)


def mutate(
    spec_dir: FilePath,
    out_dir: FilePath,
    machine: str,
    player: Callable[[list[dict[str, Any]]], Play],
    sample: int | None = None,
    seed: int = 1,
    jobs: int = 1,
    cache: FilePath | None = None,
    told: Callable[[int, int, int], None] | None = None,
) -> Score:
    """Small mistakes in a machine's spec, and who notices them: lint, the checker, or the machine's paths.

    Args:
        player: makes of the machine's paths what plays them on the code of a mutant.
        sample: judge only so many, chosen by `seed`.
        jobs: how many processes do it.
        cache: a file that keeps what was found, for the next time.
        told: told now and then how many are judged, how many there are, and how many nobody noticed.

    Raises:
        SpecError: a spec has errors.
        CommandError: there is no machine of that name, its paths are not up to date, or the reasons cannot be read.
    """
    from codegen.digest import presentation_digest, verification_digest
    from codegen.mutation import campaign
    from codegen.mutation.cache import Cache
    from codegen.mutation.judge import Judge
    from codegen.mutation.mutants import mutants
    from codegen.mutation.reasons import ReasonsError, read_reasons, reasons_file
    from codegen.mutation.score import Score
    from codegen.verify.paths_file import is_whole

    machines = {one.spec.machine: one for one in _sound([spec_dir])[0]}
    original = _known(machines, machine, spec_dir)
    paths = out_dir / _paths_name(machine)
    content = paths.read_bytes() if paths.is_file() else b""
    if _stamps(list(machines.values()))[_paths_name(machine)].encode() not in content or not is_whole(content):
        raise CommandError(
            f"{paths} is missing, changed or not of this spec, and mutants are compared with a machine that is known "
            "to hold. Run `phasewright verify` first."
        )
    loaded = next(one for one in _load([spec_dir])[0] if one.spec is not None and one.spec.machine == machine)
    try:
        reasons = read_reasons(reasons_file(loaded.path))
    except ReasonsError as error:
        raise CommandError(str(error)) from None
    written = json.loads(content)["paths"]
    every = tuple(mutants(loaded, provoked=_provoked(written)))
    venue = _venue_machine(machines, original)
    answers = Cache(
        cache,
        lint=presentation_digest(original),
        verify=verification_digest(venue, None) if venue is not None else "",
        paths=hashlib.sha256(content).hexdigest(),
    )
    judge = Judge(original.spec, venue.spec if venue is not None else None, player(written))
    judged = campaign.run(campaign.sampled(every, sample, seed), judge, answers, jobs, told)
    return Score(machine, judged, reasons, frozenset(one.key for one in every))


def _provoked(paths: list[dict[str, Any]]) -> frozenset[str]:
    """Every row that a consistent venue provokes: the paths show them all, and in a free environment only the rest."""
    steps = (step for path in paths if path["with_exchange"] for step in path["steps"])
    return frozenset(row for step in steps for take in step.get("takes", ()) for row in take.get("rows", ()))


def _write_paths(path: FilePath, machine: Machine, machines: Mapping[str, Machine], coverage: Coverage) -> None:
    from codegen.verify.paths_file import paths_file

    try:
        replace(path, paths_file(machine, _venue_machine(machines, machine), coverage).encode())
    except OSError as error:
        raise CommandError(
            f"{error.filename or path} cannot be written: {error.strerror or error}. Make room or correct the "
            "permissions and run it again; the file is whole, either old or new."
        ) from None


def _stamps(machines: Sequence[Machine]) -> dict[str, str]:
    """The files of paths, each with what it says as long as it is up to date."""
    from codegen.verify.paths_file import stamp

    known = {machine.spec.machine: machine for machine in machines}
    return {_paths_name(name): stamp(machine, _venue_machine(known, machine)) for name, machine in known.items()}


def _paths_name(machine: str) -> str:
    from codegen.verify.paths_file import NAME

    return f"{machine}/{NAME}"


def _venue_machine(machines: Mapping[str, Machine], machine: Machine) -> Machine | None:
    declared = machine.spec.venue
    return machines.get(declared.machine) if declared is not None else None


def _known(machines: Mapping[str, Machine], name: str, spec_dir: FilePath) -> Machine:
    if name not in machines:
        raise CommandError(f"there is no machine `{name}` in {spec_dir}; there is {', '.join(machines) or 'none'}")
    return machines[name]


def _venue(machines: Mapping[str, Machine], name: str) -> Spec | None:
    venue = _venue_machine(machines, machines[name])
    return venue.spec if venue is not None else None


def sound_machines(spec_dir: FilePath) -> list[Machine]:
    """Every machine of the folder. Raises SpecError when a spec has errors."""
    return _sound([spec_dir])[0]


def _load(paths: Sequence[FilePath]) -> tuple[list[Loaded], list[Finding]]:
    """The files, each once, and what is wrong with them as a set."""
    loaded: dict[FilePath, Loaded] = {}
    found: list[Finding] = []
    for path in paths:
        try:
            files = _yaml_files(path)
        except OSError as error:
            found.append(_unreadable(path, f"this cannot be read: {error.strerror or error}"))
            continue
        if not files:
            found.append(_unreadable(path, "this folder holds no YAML file"))
        for file in files:
            if file.absolute() not in loaded:
                loaded[file.absolute()] = load(file)
    first: dict[str, Loaded] = {}
    for one in loaded.values():
        if one.spec is None:
            continue
        other = first.setdefault(one.spec.machine, one)
        if other is not one:
            trouble = Trouble(
                "machine_twice",
                one.spec.source.value(("machine",)),
                f"the machine `{one.spec.machine}` is also in {other.path}",
                "give one of them another name, or remove one of the files",
            )
            found.append(trouble_finding(one, trouble))
    return list(loaded.values()), found


def _yaml_files(path: FilePath) -> list[FilePath]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))


def _unreadable(path: FilePath, what: str) -> Finding:
    trouble = Trouble("unreadable", Position(1, 1), what, "name a file, or a folder with specs, that can be read")
    return trouble_finding(Loaded(path, [], None, None, ()), trouble)


def _machines(spec_dir: FilePath, out_dir: FilePath) -> tuple[list[Machine], tuple[Finding, ...]]:
    spec, out = FilePath(os.path.realpath(spec_dir)), FilePath(os.path.realpath(out_dir))
    if spec == out or out in spec.parents or spec in out.parents:
        raise CommandError(
            f"the specs in {spec_dir} and what is generated into {out_dir} need folders of their own; "
            "left-over files are removed from the latter"
        )
    if out.exists() and not out.is_dir():
        raise CommandError(f"{out_dir} is not a folder, so nothing can be generated into it; name another place")
    return _sound([spec_dir])


def _sound(paths: Sequence[FilePath]) -> tuple[list[Machine], tuple[Finding, ...]]:
    loaded, found = _load(paths)
    found = in_order([*found, *(finding for one in loaded for finding in findings(one))])
    if has_errors(found):
        raise SpecError(found)
    return [flatten(one.spec) for one in loaded if one.spec is not None], tuple(found)


def _texts(machines: list[Machine]) -> dict[str, str]:
    from codegen.diagrams import RendererError

    try:
        return render(machines)
    except (FormatterError, RendererError) as error:
        raise CommandError(str(error)) from None
