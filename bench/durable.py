"""Durable commits a second: an order's six steps, in SQLite by hand, by us, and by other durable runtimes.

All wait for the disk at each commit (synchronous=FULL), ours and what is written by hand with a write-ahead log.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from statistics import median
from typing import Any

from bench.durable_ours import BATCH, CASES, IN_FLIGHT, ORDER
from bench.measuring import in_turns, middle_ratio, ratio
from bench.peers import ROOT, peers_environment, peers_python

ONE_BY_ONE, BATCHED = "One commit for each step", "Commits in groups"


def measure(scale: str) -> dict[str, Any]:
    try:
        if scale == "ci":
            return summarise(measure_here(rounds=5, orders=25, peers=False), {}, {}, in_ci=True)
        call = [str(peers_python()), "-m", "bench.durable"]
        done = subprocess.run(call, env=peers_environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        return summarise(found["taken"], found["versions"], found["durability"], in_ci=False)
    finally:
        shutil.rmtree(ROOT / "var" / "bench", ignore_errors=True)


def measure_here(rounds: int, orders: int, *, peers: bool) -> dict[str, list[float]]:
    """Seconds per step in each round, by case."""
    cases = {name: (of, orders) for name, of in CASES.items()}
    ends = []
    if peers:
        from bench.durable_peers import PEERS, launch_dbos

        ends.append(launch_dbos())
        cases |= {name: (of, orders // fewer) for name, (of, fewer) in PEERS.items()}
    prepared = {name: (lambda of=of, orders=orders: of(orders)) for name, (of, orders) in cases.items()}
    try:
        taken = in_turns(prepared, rounds)
    finally:
        for end in ends:
            end()
    return {name: [s / (cases[name][1] * len(ORDER)) for s in seconds] for name, seconds in taken.items()}


def summarise(
    taken: dict[str, list[float]], versions: dict[str, str], durability: dict[str, str], *, in_ci: bool
) -> dict[str, Any]:
    rows = []
    for name, times in taken.items():
        rows.append(
            {
                "case": name,
                "value": round(1 / median(times)),
                "unit": "steps per second",
                "group": BATCHED
                if " in a transaction" in name or name.endswith(f"{IN_FLIGHT} in flight")
                else ONE_BY_ONE,
                "best_round": round(1 / min(times)),
                "durability": durability.get(name.split(",")[0], "WAL, synchronous=FULL"),
                "ours": name.startswith("phasewright"),
            }
        )
    rows.sort(key=lambda row: (row["group"] != ONE_BY_ONE, -row["value"]))
    hand, many = taken["sqlite3 by hand"], taken[f"sqlite3 by hand, {BATCH} in a transaction"]
    ours, group = taken["phasewright"], taken[f"phasewright, {BATCH} in a transaction"]
    alone, together = taken["phasewright's worker, 1 in flight"], taken[f"phasewright's worker, {IN_FLIGHT} in flight"]
    ratios = {
        "one by one, by sqlite3 by hand": ratio(
            middle_ratio(hand, ours),
            "the disk is most of a commit; ours adds the dispatch",
            at_least=0.6 if in_ci else 0.85,
        ),
        "in hundreds, by sqlite3 by hand": ratio(
            middle_ratio(many, group),
            "the same rows; ours also dispatches and encodes them",
            at_least=0.3 if in_ci else 0.5,
        ),
        f"{IN_FLIGHT} in flight, by 1 in flight": ratio(
            middle_ratio(alone, together), "whoever waits shares a commit", at_least=2.5 if in_ci else 4
        ),
    }
    if not in_ci:
        single = {name: times for name, times in taken.items() if name in ("harel", "eventsourcing", "dbos")}
        best = min(single, key=lambda name: median(single[name]))
        ratios["one by one, by the best of the others"] = ratio(middle_ratio(taken[best], ours), best, at_least=1)
        ratios["in hundreds, by the best one by one"] = ratio(middle_ratio(taken[best], group), best, at_least=5)
        why = "it stores one row where ours are three, and recognises nothing that comes again"
        hundreds = middle_ratio(taken[f"eventsourcing, {BATCH} in a transaction"], group)
        ratios["in hundreds, by eventsourcing's hundreds"] = ratio(hundreds, why, at_least=1.5)
    return {"rows": rows, "ratios": ratios, "versions": versions}


if __name__ == "__main__":
    from bench.durable_peers import DURABILITY, VERSIONS

    found = {"taken": measure_here(rounds=9, orders=300, peers=True), "versions": VERSIONS, "durability": DURABILITY}
    json.dump(found, sys.stdout)
