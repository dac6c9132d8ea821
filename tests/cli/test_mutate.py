"""mutate as a user calls it, with the crossing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from phasewright_process import Done, phasewright

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def crossing(tmp_path: Path) -> Path:
    """A folder with the crossing, its paths and the reasons of its survivors."""
    for name in ("spec/crossing.yaml", "spec/survivors/crossing.toml", "generated/crossing/paths.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOUSE / name, tmp_path / name)
    return tmp_path


def mutate(cwd: Path, *arguments: str) -> Done:
    done: Done = phasewright("mutate", *arguments, cwd=cwd)
    return done


def test_nearly_every_mistake_in_the_crossing_is_caught(crossing: Path) -> None:
    first = mutate(crossing, "crossing", "--report", "mutation.md")
    assert first.status == 0, first.out + first.err
    assert max(map(len, first.out.splitlines())) <= 80
    assert first.out in (crossing / "mutation.md").read_text(encoding="utf-8")
    # Nothing is left to be judged, and the figures are the same.
    again = mutate(crossing, "crossing", "--json")
    assert again.err == ""
    score = again.json
    assert score["settled"]
    assert score["all"]["caught"] >= 0.95
    assert score["all"]["made"] == sum(one["made"] for one in score["operators"].values())
    assert {one["kind"] for one in score["unnoticed"]} == {"gap"}
    assert all(one["line"] > 1 and one["edit"] for one in score["unnoticed"])
    # Without its reasons the same survivors are a fault, and so is a reason for what is caught.
    reasons = crossing / "spec" / "survivors" / "crossing.toml"
    reasons.write_text('[[survivors]]\ngap = "Unseen."\nmutants = ["timeout-dropped WALK/timeout"]\n')
    bare = mutate(crossing, "crossing")
    assert bare.status == 1
    assert bare.out.count("there is no reason why") == len(score["unnoticed"])
    assert "timeout-dropped WALK/timeout: lint notices it now" in " ".join(bare.out.split())


def test_a_machine_without_its_paths_is_refused(crossing: Path) -> None:
    spec = crossing / "spec" / "crossing.yaml"
    spec.write_text(spec.read_text().replace("BUTTON_PRESSED: {to: CARS_AMBER", "BUTTON_PRESSED: {to: WALK"))
    stale = mutate(crossing, "crossing")
    assert (stale.status, stale.out) == (1, "")
    assert "generated/crossing/paths.json is missing, changed or not of this spec" in stale.err
    assert "Run `phasewright verify` first." in stale.err
    unknown = mutate(crossing, "door")
    assert "there is no machine `door` in spec; there is crossing" in unknown.err


def test_a_reason_that_cannot_be_read_is_refused(crossing: Path) -> None:
    (crossing / "spec" / "survivors" / "crossing.toml").write_text("[[survivors]]\nmutants = []\n")
    done = mutate(crossing, "crossing")
    assert (done.status, done.out) == (1, "")
    assert "spec/survivors/crossing.toml: number 1 of [[survivors]] is not of the form" in done.err
