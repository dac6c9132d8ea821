"""A machine too large for one picture, through the commands as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# The benchmarks are no installed package.
sys.path.append(str(Path(__file__).parents[2]))
from bench.codegen_size import make_spec

VERIFY_IS_MISSING = [("missing", "generated/large/paths.json")]


def phasewright(folder: Path, *arguments: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "phasewright", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def drifts(folder: Path, seed: str = "0") -> list[tuple[str, str]]:
    return [(one["kind"], one["path"]) for one in json.loads(phasewright(folder, "check", "--json", seed=seed).stdout)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "spec").mkdir()
    (folder / "spec" / "large.yaml").write_text(make_spec("large", 60).text, encoding="utf-8")
    assert phasewright(folder, "lint").stdout == "no findings\n"
    done = phasewright(folder, "generate", seed="1")
    assert done.returncode == 0, done.stderr
    return folder


def test_another_process_gives_the_same_bytes(house: Path) -> None:
    assert drifts(house, seed="77") == VERIFY_IS_MISSING


def test_a_sheet_that_is_changed_missing_or_left_over_is_found(house: Path) -> None:
    groups = house / "generated" / "large" / "groups"
    first, second, *_ = sorted(path for path in groups.iterdir() if path.suffix == ".svg")
    kept = {path: path.read_bytes() for path in (first, second)}
    first.unlink()
    second.write_bytes(kept[second].replace(b"<svg", b"<svg ", 1))
    left = groups / "gone.svg"
    left.write_bytes(kept[first])
    found = set(drifts(house)) - set(VERIFY_IS_MISSING)
    assert found == {
        ("missing", f"generated/large/groups/{first.name}"),
        ("changed", f"generated/large/groups/{second.name}"),
        ("left over", "generated/large/groups/gone.svg"),
    }
    assert phasewright(house, "generate").returncode == 0
    assert not left.exists()
    assert {path: path.read_bytes() for path in kept} == kept


def test_one_phase_is_drawn_when_it_is_asked_for(house: Path, tmp_path: Path) -> None:
    phases = ["INTAKE_01_CHECK", "BROKEN"]
    done = phasewright(house, "generate", "--png", str(tmp_path), *(f"--focus={phase}" for phase in phases))
    assert done.returncode == 0, done.stderr
    drawn = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert drawn == {f"large/{phase}.png" for phase in phases}
    assert done.stdout.endswith(f"2 pictures in {tmp_path}\n")


def test_a_phase_that_is_not_there_is_not_drawn(house: Path, tmp_path: Path) -> None:
    done = phasewright(house, "generate", "--png", str(tmp_path), "--focus", "INTAKE_01_CHEK")
    assert done.returncode == 1
    assert "no machine in spec has a phase `INTAKE_01_CHEK`" in done.stderr
    assert "did you mean `INTAKE_01_CHECK`?" in done.stderr
    assert not list(tmp_path.iterdir())
    nowhere = phasewright(house, "generate", "--focus", "INTAKE_01_CHECK")
    assert nowhere.returncode == 2
    assert "--png DIR" in nowhere.stderr
