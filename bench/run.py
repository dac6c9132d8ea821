"""Runs the benchmarks and says which ratio is behind: `python -m bench.run [--scale ci|full] [names...]`.

Exit status 1 when a ratio is behind or a benchmark failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measuring import CannotMeasure, is_behind
from bench.page import write_page

HERE = Path(__file__).parent
RESULTS = HERE / "results"
OURS = ("ccxt", "msgspec", "plotly")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    parser.add_argument("--scale", choices=("ci", "full"), default="full", help="seconds, or minutes for publication")
    parser.add_argument("--date", default="", help="written into the results")
    parser.add_argument("--out", type=Path, help=f"where results go (default: {RESULTS.name}/, at scale ci nowhere)")
    parser.add_argument("--page", action="store_true", help="measure nothing, draw the page of the results anew")
    wishes = parser.parse_args()
    out = wishes.out or (RESULTS if wishes.scale == "full" or wishes.page else None)
    known = benchmarks()
    if unknown := [name for name in wishes.names if name not in known]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    failed = False
    if not wishes.page:
        facts = {"date": wishes.date, "scale": wishes.scale, **machine_facts()}
        for name in wishes.names or known:
            failed |= not run(name, wishes.scale, facts, out)
    if out is not None:
        print(f"\nPage: {write_page(out)}")
    return 1 if failed else 0


def benchmarks() -> list[str]:
    """Every module here that measures something."""
    return sorted(path.stem for path in HERE.glob("*.py") if "\ndef measure(scale: str)" in path.read_text())


def run(name: str, scale: str, facts: dict[str, Any], out: Path | None) -> bool:
    """Measure, write down and say how it stands. False when something is behind or failed."""
    print(f"\n{name}", flush=True)
    load = os.getloadavg()[0]
    try:
        found = importlib.import_module(f"bench.{name}").measure(scale)
    except CannotMeasure as reason:
        print(f"  not measured: {reason}")
        return True
    except Exception:
        traceback.print_exc()
        print(f"  {name} failed; the others go on")
        return False
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        result = {"name": name, "machine": {**facts, "load_before": round(load, 2)}, **found}
        (out / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for line in summary(found["ratios"]):
        print(line)
    return not any(is_behind(ratio) for ratio in found["ratios"].values())


def summary(ratios: dict[str, dict[str, Any]]) -> list[str]:
    """A line of at most 80 columns for each ratio."""
    lines = []
    for name, ratio in ratios.items():
        limit = f"at least {ratio['at_least']:g}" if "at_least" in ratio else f"at most {ratio['at_most']:g}"
        label = name if len(name) <= 44 else f"{name[:43]}…"
        lines.append(f"  {label:44} {ratio['value']:10,.2f}  {limit:14} {'BEHIND' if is_behind(ratio) else 'ok'}")
    return lines


def machine_facts() -> dict[str, Any]:
    """What the figures depend on."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in OURS},
        "commit": commit or "unknown",
    }


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
