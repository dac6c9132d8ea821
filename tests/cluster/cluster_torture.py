"""Torture workers that share accounts in one database, and say what came of it.

python tests/cluster/cluster_torture.py [--runs 10] [--accounts 8 --symbols 5]
python tests/cluster/cluster_torture.py --seed 7

A run that broke something keeps its folder, and its database until the end: all logs and the venue's books.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "torture"), str(HERE.parent / "runtime" / "postgres")]

from cluster_processes import SERVER, Plan  # noqa: E402
from cluster_run import ClusterRun, Result  # noqa: E402
from cluster_throughput import ThroughputRun  # noqa: E402
from cluster_worker import MUTANTS  # noqa: E402
from own_postgres import PostgresServer, make_server  # noqa: E402
from torture_processes import import_everything  # noqa: E402

from runtime.postgres import schema  # noqa: E402

SIZES: dict[int | None, dict[str, float]] = {
    1_000: {"accounts": 20, "symbols": 50, "bar": 60, "lease": 10, "seconds": 150, "settling": 240, "pace": 8},
    10_000: {
        **{"accounts": 200, "symbols": 50, "slots": 3},
        **{"bar": 60, "lease": 15, "seconds": 130, "settling": 300, "pace": 9},
    },
}
"""Bars of a minute, because all symbols ask and buy when a bar closes; leases as they are by default."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Torture workers that share accounts in one database.")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seed", type=int, help="play this one alone, and keep its folder")
    parser.add_argument(
        "--size", type=int, choices=SIZES, help="so many symbols in all, and durations that two cores can keep"
    )
    parser.add_argument("--accounts", type=int, default=8)
    parser.add_argument("--symbols", type=int, default=5, help="in each account")
    parser.add_argument("--slots", type=int, help="trades of an account at once; by default one on each symbol")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60, help="for how long things go wrong in each run")
    parser.add_argument("--settling", type=float, default=90, help="seconds until all must have come to rest")
    parser.add_argument("--bar", type=int, default=1, help="seconds that a bar lasts")
    parser.add_argument("--lease", type=float, default=3, help="seconds that a lease lasts")
    parser.add_argument("--pace", type=float, default=1, help="seconds between two blows, on average")
    parser.add_argument("--results", type=Path, default=Path("var/cluster-torture"))
    parser.add_argument("--mutant", choices=MUTANTS, help="break the protocol in this way: something must come of it")
    parser.add_argument("--throughput", action="store_true", help="break nothing; compare one worker with all of them")
    parser.add_argument("--json", action="store_true")
    size = parser.parse_known_args()[0].size
    parser.set_defaults(**SIZES.get(size, {}))
    options = parser.parse_args()
    plan = Plan(
        accounts=options.accounts,
        symbols=options.symbols,
        slots=options.slots or options.symbols,
        workers=options.workers,
        seconds=options.seconds,
        settling=options.settling,
        bar=options.bar,
        lease=options.lease,
        pace=options.pace,
    )
    options.results.mkdir(parents=True, exist_ok=True)
    import_everything()
    done: list[Result] = []
    # Below /tmp: the server's user may not enter every folder.
    place = Path(tempfile.mkdtemp(prefix="phasewright-cluster-"))
    try:
        server = started_server(place)
        try:
            if options.throughput:
                folder = options.results / "throughput"
                for measured in ThroughputRun(options.first_seed, plan, server, folder).measure():
                    print(f"{measured.workers} workers: {measured.events_per_second} events per second", flush=True)
                return 0
            seeds = (
                [options.seed]
                if options.seed is not None
                else range(options.first_seed, options.first_seed + options.runs)
            )
            for seed in seeds:
                folder = options.results / f"seed-{seed}"
                result = ClusterRun(seed, plan, server, folder, options.mutant).play()
                done.append(result)
                if not options.json:
                    tell(result)
                if not result.violations and options.seed is None:
                    shutil.rmtree(folder)
                if result.violations and options.mutant:
                    break
        finally:
            server.kill()
    except KeyboardInterrupt:
        print("stopped: what follows is what was done", file=sys.stderr)
    finally:
        subprocess.run(["rm", "-rf", place], check=False)
    found = summary(done)
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return 1 if any(one.violations for one in done) else 0


def started_server(folder: Path) -> PostgresServer:
    """A server with the empty database `migrated`, from which others are copied."""
    folder.chmod(0o755)
    server = make_server(folder)
    server.start(*SERVER)
    try:
        server.execute("CREATE DATABASE migrated")
        schema.upgrade(server.url("migrated"))
    except BaseException:
        server.kill()
        raise
    return server


def tell(result: Result) -> None:
    """A line for a run, and more where something broke."""
    print(
        f"seed {result.seed}: {sum(result.points.values())} faults, {result.lives} workers, {result.take_overs} "
        f"accounts taken over (median {result.take_over.get('median')} s, most {result.take_over.get('most')} s), "
        f"{result.orders} orders, {result.lifecycles} lifecycles, {len(result.violations)} violations, "
        f"{result.seconds:.0f} s",
        flush=True,
    )
    for text in result.violations:
        print(f"    VIOLATION {text}")
    if result.violations:
        plan = result.plan
        print(
            f"    kept: {result.folder}\n    replay: python tests/cluster/cluster_torture.py --seed {result.seed} "
            f"--accounts {plan.accounts} --symbols {plan.symbols} --slots {plan.slots} --workers {plan.workers} "
            f"--seconds {plan.seconds:g} --settling {plan.settling:g} --bar {plan.bar} --lease {plan.lease:g} "
            f"--pace {plan.pace:g}",
            flush=True,
        )


def summary(done: list[Result]) -> dict[str, Any]:
    """All runs together."""
    kinds: Counter[str] = Counter()
    for one in done:
        kinds.update(one.points)
    return {
        "runs": len(done),
        "seeds": [one.seed for one in done],
        "seconds": round(sum(one.seconds for one in done)),
        "points": sum(kinds.values()),
        "points_by_kind": dict(sorted(kinds.items())),
        "workers_started": sum(one.lives for one in done),
        "take_overs": sum(one.take_overs for one in done),
        "take_over_most": max((one.take_over.get("most", 0.0) for one in done), default=0.0),
        "take_over_medians": [one.take_over.get("median") for one in done],
        "hand_over_most": max((one.hand_over.get("most", 0.0) for one in done), default=0.0),
        "hand_over_medians": [one.hand_over.get("median") for one in done],
        "back_at_work_most": max((one.back_at_work.get("most", 0.0) for one in done), default=0.0),
        "back_at_work_medians": [one.back_at_work.get("median") for one in done],
        "epochs": sum(one.epochs for one in done),
        "events": sum(one.events for one in done),
        "orders": sum(one.orders for one in done),
        "lifecycles": sum(one.lifecycles for one in done),
        "recoveries": sum(one.recoveries for one in done),
        "violations": {str(one.seed): one.violations for one in done if one.violations},
    }


if __name__ == "__main__":
    sys.exit(main())
