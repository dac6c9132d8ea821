"""Four workers share accounts in one database, while workers, database, venue and everything between them break.

`make torture-cluster` plays many more, and larger ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from own_postgres import MISSING, programs_folder

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.skipif(programs_folder() is None and os.environ.get("CI") != "true", reason=MISSING)


def play(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """A run, and what it told."""
    played = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tests/cluster/cluster_torture.py"), "--json", "--results", str(folder)),
            *("--runs", "1", *options),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert played.stdout, played.stderr
    return played, json.loads(played.stdout)


def test_accounts_are_taken_over_and_their_books_stay_right(tmp_path: Path) -> None:
    played, told = play(tmp_path, "--accounts", "8", "--symbols", "5", "--seconds", "18", "--lease", "4")
    assert told["violations"] == {}, f"{json.dumps(told['violations'], indent=1)}\n{played.stderr}"
    assert played.returncode == 0, played.stderr
    assert told["take_overs"] > 0
    assert told["lifecycles"] > 5, "hardly anything was traded: the run shows nothing"


def test_a_take_over_that_keeps_the_epoch_is_found_out(tmp_path: Path) -> None:
    sizes = ("--accounts", "4", "--symbols", "1", "--workers", "2", "--seconds", "6", "--lease", "2")
    played, told = play(tmp_path, "--mutant", "same epoch", *sizes)
    assert played.returncode == 1, told
    assert any("was held by" in text for found in told["violations"].values() for text in found), told["violations"]
