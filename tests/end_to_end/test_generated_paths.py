"""The real runtime goes every generated path as the checker says it does, also when it dies around each commit."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from codegen.commands import generate, verify
from runtime.definition import Branch, MachineDefinition
from runtime.rehearsal.play import Crashes, DifferenceError, Stage
from runtime.sqlite_store import SqliteStore

HOUSE = Path(__file__).parents[2]
Paths = list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For databases that only have to outlive a worker: in memory, where the system has such a place."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as made:
        yield Path(made)


def definition_of(package: str) -> MachineDefinition:
    found: MachineDefinition = import_module(package).DEFINITION
    return found


def paths_of(machine: str) -> Paths:
    file = HOUSE / "generated" / machine / "paths.json"
    paths: Paths = json.loads(file.read_text(encoding="utf-8"))["paths"]
    return paths


def covered(path: dict[str, Any], kind: str) -> frozenset[str]:
    return frozenset(name.removeprefix(kind) for name in path["covers"] if name.startswith(kind))


def play_all(definition: MachineDefinition, paths: Paths, folder: Path) -> set[str]:
    """Play every path, crashing where it is the one to show it; what was shown."""
    stage, shown, wrong = Stage(definition), set[str](), []
    for path in paths:
        plays = [(Crashes.AROUND, covered(path, "crash-before:"))]
        if sent := covered(path, "crash-sent:"):
            plays.append((Crashes.UNDER_WAY, sent))
        for crashes, rows in plays:
            file = folder / f"{path['path']}-{crashes.name}.db"
            store = partial(SqliteStore, file, namespace="rehearsal", durable=False)
            try:
                shown |= asyncio.run(stage.play(path, store, crashes, rows)).shown
            except DifferenceError as error:
                wrong.append(str(error))
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:5]])
    return shown


def everything(paths: Paths) -> set[str]:
    return {name for path in paths for name in path["covers"]}


@pytest.mark.parametrize("machine", ["crossing", "venue", "trading"])
def test_the_runtime_shows_everything_that_the_paths_promise(machine: str, folder: Path) -> None:
    paths = paths_of(machine)
    assert play_all(definition_of(f"generated.{machine}"), paths, folder) == everything(paths)


def test_what_is_seldom_goes_the_same_way(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Raised events that are deferred, an error event that is deferred or comes in an error, timers that a restart
    # drops or begins anew, a group that is re-entered where it was left, a row of a group with history.
    spec, out = Path(__file__).parent / "odd_machine", tmp_path / "oddly_generated"
    generate(spec, out)
    (result,) = verify(spec, out_dir=out)
    assert result.good
    monkeypatch.syspath_prepend(tmp_path)
    paths = json.loads((out / "odd" / "paths.json").read_text(encoding="utf-8"))["paths"]
    definition = definition_of("oddly_generated.odd")
    assert play_all(definition, paths, folder) == everything(paths)
    stage = Stage(definition)
    for path in paths:
        store = partial(SqliteStore, folder / f"everywhere-{path['path']}.db", durable=False)
        asyncio.run(stage.play(path, store, Crashes.AROUND))


# -- teeth -------------------------------------------------------------------------------------------------------------

Change = Callable[[MachineDefinition], MachineDefinition]


def rows(phase: str, event: str, change: Callable[[tuple[Branch, ...]], tuple[Branch, ...]]) -> Change:
    """A definition with another cell."""

    def changed(definition: MachineDefinition) -> MachineDefinition:
        cell = definition.table[phase][event]
        assert isinstance(cell, tuple)
        table = {**definition.table, phase: {**definition.table[phase], event: change(cell)}}
        return dataclasses.replace(definition, table=table)

    return changed


def first(**fields: Any) -> Callable[[tuple[Branch, ...]], tuple[Branch, ...]]:
    return lambda cell: (dataclasses.replace(cell[0], **fields), *cell[1:])


def phase(name: str, **fields: Any) -> Change:
    """A definition in which one phase is otherwise."""

    def changed(definition: MachineDefinition) -> MachineDefinition:
        other = dataclasses.replace(definition.phases[name], **fields)
        return dataclasses.replace(definition, phases={**definition.phases, name: other})

    return changed


WRONG: dict[str, tuple[str, Change, str]] = {
    "a retargeted row": ("trading", rows("WAIT_FILL", "BUY_ORDER_TIMEOUT", first(to="IDLE")), "phase after"),
    "a dropped timeout": ("trading", phase("CANCEL_SELL", timeout=None), "timer"),
    "a dropped request": ("trading", phase("CANCEL_BUY", entry_request=()), "effects"),
    "a swapped branch": ("trading", rows("RECOVERING", "RECONCILED", lambda cell: cell[::-1]), "guards not asked"),
    "a guard the other way round": (
        "crossing",
        rows("CARS_GREEN", "GREEN_SERVED", first(guards=(("walk_requested", False),))),
        "rows",
    ),
    "a forgotten action": ("crossing", phase("WALK", entry_do=()), "actions"),
    "a group that forgets where it was left": (
        "crossing",
        lambda definition: dataclasses.replace(definition, history_groups=()),
        "commits",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_machine_that_is_not_as_specified_is_noticed(mistake: str, folder: Path) -> None:
    machine, change, where = WRONG[mistake]
    stage = Stage(change(definition_of(f"generated.{machine}")))
    told = []
    for path in paths_of(machine):
        try:
            asyncio.run(stage.play(path, partial(SqliteStore, folder / f"{path['path']}.db", durable=False)))
        except DifferenceError as error:
            told.append(str(error))
            break
    assert told, "no path noticed it"
    assert f"NEVER: {where}\n" in told[0]
    assert told[0].startswith(f"{machine}, path ")
