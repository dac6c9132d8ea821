"""Torture the bot over the wire until so many faults were tried, and say what came of it.

python tests/torture/torture.py [--points 10000] [--first-seed 1] [--results var/torture]
python tests/torture/torture.py --seed 7

Each run adds a line to RESULTS/results.jsonl as it ends; the same command goes on after the last of them. A run that
broke something keeps its folder: both databases and all logs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path

import msgspec
from torture_bot import MUTANTS
from torture_processes import die_with_parent, import_everything
from torture_run import Result, TortureRun

VIEWS = ("order not shown yet", "order shown as it was", "trades not shown yet")
"""Counted, but not among the points: an answer that is behind is no fault by itself."""

A_SECOND = 2.5
"""About how many faults a run tries in a second, on a machine that has little else to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Torture the bot over the wire.")
    parser.add_argument("--points", type=int, default=10_000, help="how many faults are to be tried in all")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seed", type=int, help="play this one alone, and keep its folder")
    parser.add_argument("--seconds", type=float, default=75, help="for how long things go wrong in each run")
    parser.add_argument("--symbols", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=3, help="how many runs at a time")
    parser.add_argument("--results", type=Path, default=Path("var/torture"))
    parser.add_argument("--mutant", choices=MUTANTS, help="break the protocol in this way: something must come of it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    written = options.results / "results.jsonl"
    done: list[Result] = []
    if options.seed is None and written.exists():
        done = [msgspec.json.decode(line, type=Result) for line in written.read_bytes().splitlines()]
    if done and not options.json:
        print(f"going on after {len(done)} runs, {points(done)} faults; delete {options.results} to begin anew")
    import_everything()
    running: dict[int, int] = {}
    try:
        while running or wanting(done, len(running), options):
            while len(running) < options.jobs and wanting(done, len(running), options):
                taken = {*running.values(), *(one.seed for one in done)}
                seed = options.seed or next(seed for seed in itertools.count(options.first_seed) if seed not in taken)
                running[begin(seed, options)] = seed
            pid, status = os.wait()
            one = running.pop(pid)
            result = ended(one, status, options)
            done.append(result)
            if options.seed is None:
                with written.open("ab") as output:
                    output.write(msgspec.json.encode(result) + b"\n")
                if not result.violations:
                    shutil.rmtree(options.results / f"seed-{one}")
            if not options.json:
                tell(result, options)
    except KeyboardInterrupt:
        print("stopped: what follows is what was done; the same command goes on", file=sys.stderr)
    if options.json:
        print(msgspec.json.encode(summary(done)).decode())
    else:
        show(done)
    return 1 if any(one.violations for one in done) else 0


def wanting(done: list[Result], running: int, options: argparse.Namespace) -> bool:
    """Whether another run is to be begun, besides those that are under way."""
    if options.seed is not None:
        return not done and not running
    return points(done) + running * options.seconds * A_SECOND < options.points


def begin(seed: int, options: argparse.Namespace) -> int:
    """Play a run in a process of its own."""
    folder = options.results / f"seed-{seed}"
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            TortureRun(seed, options.seconds, options.symbols, folder, options.mutant).play()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return pid


def ended(seed: int, status: int, options: argparse.Namespace) -> Result:
    """What the run has written, or that it could not."""
    written = options.results / f"seed-{seed}" / "result.json"
    if status == 0:
        return msgspec.json.decode(written.read_bytes(), type=Result)
    return Result(
        seed=seed,
        seconds=0,
        points={},
        lifecycles=0,
        orders=0,
        lives=0,
        errors=0,
        violations=[f"the run failed with {status}; see what it printed"],
        folder=str(written.parent),
    )


def points(done: list[Result]) -> int:
    """How many faults were tried."""
    return sum(count for one in done for kind, count in one.points.items() if kind not in VIEWS)


def tell(result: Result, options: argparse.Namespace) -> None:
    """A line for a run, and more where something broke."""
    print(
        f"seed {result.seed}: {points([result])} faults, {result.lives} lives, {result.orders} orders, "
        f"{result.lifecycles} lifecycles, {result.errors} recoveries, {len(result.violations)} violations, "
        f"{result.seconds:.0f} s",
        flush=True,
    )
    for text in result.violations:
        print(f"    VIOLATION {text}")
    if result.violations:
        print(
            f"    kept: {result.folder}\n    replay: python tests/torture/torture.py --seed {result.seed} "
            f"--seconds {options.seconds:g} --symbols {options.symbols}",
            flush=True,
        )


def summary(done: list[Result]) -> dict[str, object]:
    """All runs together."""
    kinds: Counter[str] = Counter()
    for one in done:
        kinds.update(one.points)
    views = {kind: kinds.pop(kind) for kind in VIEWS if kind in kinds}
    return {
        "runs": len(done),
        "seeds": [min(one.seed for one in done), max(one.seed for one in done)] if done else [],
        "seconds": round(sum(one.seconds for one in done)),
        "points": points(done),
        "kills": sum(count for kind, count in kinds.items() if "killed" in kind),
        "points_by_kind": dict(sorted(kinds.items())),
        "views_behind": views,
        "lives": sum(one.lives for one in done),
        "orders": sum(one.orders for one in done),
        "lifecycles": sum(one.lifecycles for one in done),
        "recoveries": sum(one.errors for one in done),
        "violations": {str(one.seed): one.violations for one in done if one.violations},
    }


def show(done: list[Result]) -> None:
    """The same for people."""
    found = summary(done)
    kinds = found.pop("points_by_kind")
    assert isinstance(kinds, dict)
    for kind, count in kinds.items():
        print(f"{count:7}  {kind}")
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(main())
