"""Four workers share accounts in one database, while workers, database, venue and everything between them break.

`make torture-cluster` plays many more, and larger ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_postgres import MISSING, programs_folder

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(programs_folder() is None and os.environ.get("CI") != "true", reason=MISSING)
def test_accounts_are_taken_over_and_their_books_stay_right(tmp_path: Path) -> None:
    played = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tests/cluster/cluster_torture.py"), "--json", "--results", str(tmp_path)),
            *("--runs", "1", "--accounts", "8", "--symbols", "5", "--seconds", "18", "--lease", "4"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert played.stdout, played.stderr
    told = json.loads(played.stdout)
    assert told["violations"] == {}, f"{json.dumps(told['violations'], indent=1)}\n{played.stderr}"
    assert played.returncode == 0, played.stderr
    assert told["take_overs"] > 0
    assert told["lifecycles"] > 5, "hardly anything was traded: the run shows nothing"
