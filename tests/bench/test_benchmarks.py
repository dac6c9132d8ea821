"""The benchmarks run, and no ratio is behind, with limits that hold on a loaded machine too.

Times are never judged here. `make bench` measures for publication, and against other people's libraries.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["dispatch", "durable"])
def test_no_ratio_is_behind(name: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "bench.run", "--scale", "ci", "--out", str(tmp_path), name]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["ratios"]
    assert found["rows"]
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if not line.startswith("Page: "))
    page = (tmp_path / "index.html").read_text()
    assert all(name in page for name in found["ratios"])
