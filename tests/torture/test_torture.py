"""The bot by ccxt against the venue, in processes of their own, while both are killed and every answer may be lost.

`make torture` plays many more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
POINTS = 300


def test_nothing_is_bought_twice_lost_or_forgotten_over_the_wire(tmp_path: Path) -> None:
    played = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tests/torture/torture.py"), "--json", "--results", str(tmp_path)),
            *("--points", str(POINTS), "--seconds", "24", "--jobs", "5", "--symbols", "10"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert played.stdout, played.stderr
    told = json.loads(played.stdout)
    assert told["violations"] == {}, f"{json.dumps(told['violations'], indent=1)}\n{played.stderr}"
    assert played.returncode == 0, played.stderr
    assert told["points"] >= POINTS
    assert told["kills"] > 10
    assert told["lifecycles"] > 10, "hardly anything was traded: the runs show nothing"
