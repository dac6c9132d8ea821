"""Every example in the documentation does what it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from codegen.commands import lint
from engine.settings import KNOBS
from phasewright import app
from runtime.config import written

HOUSE = Path(__file__).parents[2]
PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md"))]
_FENCED = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"], found["text"], text.count("\n", 0, found.start("text")) + 1)
        for found in _FENCED.finditer(text)
    ]


def of_kind(kind: str) -> list[Any]:
    return [
        pytest.param(block.text, id=f"{page.name}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if block.kind == kind
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.kind == "python" for b in blocks(page))], ids=lambda page: page.name
)
def test_python_runs_and_prints_what_is_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    shown = blocks(page)
    with asyncio.Runner() as runner:
        for block, following in zip(shown, [*shown[1:], None], strict=True):
            if block.kind != "python":
                continue
            printed = StringIO()
            # The line numbers of a traceback are then those of the page.
            source = "\n" * (block.line - 1) + block.text
            code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            with redirect_stdout(printed):
                result = eval(code, namespace)
                if inspect.iscoroutine(result):
                    runner.run(result)
            if following is not None and following.kind == "text":
                assert printed.getvalue() == following.text, f"{page.name}:{block.line}"
            else:
                assert printed.getvalue() == "", f"{page.name}:{block.line} prints something that is not shown"


@pytest.mark.parametrize("text", of_kind("yaml"))
def test_yaml_is_a_spec_or_a_part_of_ours(text: str, tmp_path: Path) -> None:
    found = yaml.safe_load(text)
    if {"machine", "phases"} <= found.keys():
        (tmp_path / "example.yaml").write_text(text)
        assert [finding.headline() for finding in lint([tmp_path / "example.yaml"])] == []
    else:
        specs = [yaml.safe_load(path.read_text()) for path in sorted((HOUSE / "spec").glob("*.yaml"))]
        assert any(holds(spec, found) for spec in specs), "no spec has this"


def holds(whole: Any, part: Any) -> bool:
    """Whether `whole` says all that `part` says."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], part[key]) for key in part)
    return bool(whole == part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_the_readme_lists_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", (HOUSE / "README.md").read_text(), re.MULTILINE)
    assert rows == [(knob.env, written(knob, knob.default), knob.summary) for knob in KNOBS]


def test_the_commands_and_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (HOUSE / "Makefile").read_text(), re.MULTILINE))
    named = set().union(*(re.findall(r"`make ([a-z]+)|^    make ([a-z]+)", p.read_text(), re.MULTILINE) for p in PAGES))
    assert {name for pair in named for name in pair if name} <= targets
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    called = set().union(*(re.findall(r"phasewright ([a-z]+)", page.read_text()) for page in PAGES))
    assert called <= commands
    assert {"run", "status", "trades", "audit", "recover", "report"} <= called
