"""Dispatch reads no clock, draws no number, writes no log, starts no task: all follows from what it is given."""

import ast
from pathlib import Path

import pytest

import runtime

ROOM = Path(runtime.__file__).parent
PURE = [
    "dispatch.py",
    "machine.py",
    "idempotency.py",
    "context.py",
    "portfolio.py",
    "ledger.py",
    "restore.py",
    "definition.py",
]
FORBIDDEN = {
    "asyncio",
    "datetime",
    "filelock",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "uuid",
    "runtime.clock",
    "runtime.worker",
    "runtime.outbox",
    "runtime.sqlite_store",
}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names | {name.split(".")[0] for name in names if not name.startswith("runtime")}


@pytest.mark.parametrize("file", PURE)
def test_nothing_that_makes_two_runs_differ_is_imported_or_called(file: str) -> None:
    tree = ast.parse((ROOM / file).read_text())
    assert not imported(tree) & FORBIDDEN
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"print", "open", "input", "__import__", "exec", "eval", "id"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


def test_the_check_would_notice() -> None:
    assert imported(ast.parse("from time import time\nimport os.path")) & FORBIDDEN == {"time", "os"}
    assert imported(ast.parse("from runtime.clock import Clock")) & FORBIDDEN == {"runtime.clock"}
    worker = imported(ast.parse((ROOM / "worker.py").read_text()))
    assert "asyncio" in worker & FORBIDDEN


def test_only_the_clock_reads_the_time() -> None:
    readers = [file.name for file in ROOM.glob("*.py") if {"time", "datetime"} & imported(ast.parse(file.read_text()))]
    assert readers == ["clock.py"]
