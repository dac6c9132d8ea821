"""generate, check and lint as a user and a CI job call them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from phasewright_process import phasewright

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with one spec and what is generated from it."""
    (tmp_path / "spec").mkdir()
    shutil.copy(HOUSE / "spec" / "crossing.yaml", tmp_path / "spec")
    assert phasewright("generate", cwd=tmp_path).status == 0
    assert "items covered by" in phasewright("verify", cwd=tmp_path).out
    return tmp_path


def test_an_edit_is_found_by_check_and_carried_over_by_generate(house: Path) -> None:
    assert phasewright("check", cwd=house).out == "generated/ is what spec/ gives.\n"
    spec = house / "spec" / "crossing.yaml"
    spec.write_text(spec.read_text().replace("default: 12s", "default: 15s"))
    stale = phasewright("check", cwd=house)
    assert stale.status == 1
    assert "-        default=12_000," in stale.out or "12" in stale.out
    assert "Run: make generate" in stale.err
    drifts = phasewright("check", "--json", cwd=house)
    assert drifts.status == 1
    assert drifts.json
    wrote = phasewright("generate", cwd=house)
    assert wrote.status == 0
    assert "wrote    generated/crossing/" in wrote.out
    late = phasewright("check", cwd=house)
    assert (late.status, late.out) == (1, "out of date: generated/crossing/paths.json\n")
    assert late.err.endswith("Run: make verify\n")
    assert phasewright("verify", cwd=house).status == 0
    assert phasewright("check", cwd=house).status == 0
    assert phasewright("generate", cwd=house).out.startswith("0 written, 0 removed, ")


def test_a_spec_with_errors_is_told_where_and_generates_nothing(house: Path) -> None:
    spec = house / "spec" / "crossing.yaml"
    spec.write_text(spec.read_text().replace("WALK_OVER: {to: CLEARING}", "WALK_OVER: {to: CLEARNIG}"))
    before = sorted((path, path.read_bytes()) for path in (house / "generated").rglob("*.*"))
    line = next(n for n, text in enumerate(spec.read_text().splitlines(), 1) if "CLEARNIG" in text)
    for command in ("lint", "generate", "check"):
        done = phasewright(command, cwd=house)
        assert done.status == 1
        assert f"spec/crossing.yaml:{line}:" in done.err
        assert "CLEARNIG" in done.err
    found = phasewright("lint", "--json", cwd=house)
    assert found.status == 1
    assert any(finding["line"] == line for finding in found.json)
    assert sorted((path, path.read_bytes()) for path in (house / "generated").rglob("*.*")) == before


def test_lint_takes_files_and_folders_and_finds_nothing_in_ours(tmp_path: Path) -> None:
    done = phasewright("lint", HOUSE / "spec", HOUSE / "spec" / "crossing.yaml", cwd=tmp_path)
    assert (done.status, done.out, done.err) == (0, "no findings\n", "")
    assert phasewright("lint", "--json", HOUSE / "spec", cwd=tmp_path).json == []


@pytest.mark.parametrize("text", ["machine: [unclosed", "", "- just\n- a list\n", "\x00\x01"])
def test_a_file_that_is_no_spec(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    done = phasewright("lint", "broken.yaml", cwd=tmp_path)
    assert done.status == 1
    assert done.err.startswith("broken.yaml:")


def test_a_spec_that_is_not_there(tmp_path: Path) -> None:
    for command in (["lint", "none.yaml"], ["generate"], ["check"]):
        done = phasewright(*command, cwd=tmp_path)
        assert done.status == 1
        assert done.err
    assert not list(tmp_path.iterdir())
