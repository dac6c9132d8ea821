"""What one event costs in memory, against plain Python and against other state machine libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from bench import dispatch_ours
from bench.cycle import STEPS
from bench.measuring import best_ratio, in_turns, middle_ratio, ratio
from bench.peers import ROOT, peers_environment, peers_python

BARE, GUARDED, FULL, PARTS = (
    "Table only",
    "Guard and action",
    "Everything: deduplicated, recorded, with timers and a snapshot",
    "What everything is made of",
)
Case = Callable[[], dispatch_ours.Work]


def measure(scale: str) -> dict[str, Any]:
    if scale == "ci":
        return summarise(measure_here(rounds=150, cycles=8, peers=False), {}, in_ci=True)
    call = [str(peers_python()), "-m", "bench.dispatch"]
    done = subprocess.run(call, env=peers_environment(), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    return summarise(found["taken"], found["versions"], in_ci=False)


def measure_here(rounds: int, cycles: int, *, peers: bool) -> dict[str, list[float]]:
    """Microseconds per event in each round, by "group|case"."""
    cases: dict[str, tuple[int, Case]] = {}

    def add(group: str, name: str, of: Callable[[int], dispatch_ours.Work], fewer: int = 1) -> None:
        cases[f"{group}|{name}"] = cycles // fewer, partial(of, cycles // fewer)

    add(BARE, "floor", partial(dispatch_ours.floor, bare=True))
    add(GUARDED, "floor", partial(dispatch_ours.floor, bare=False))
    add(BARE, "phasewright (no less is possible)", partial(dispatch_ours.ours, bare=True))
    add(FULL, "phasewright", dispatch_ours.ours)
    add(PARTS, "a duplicate", dispatch_ours.duplicates)
    for part, of in dispatch_ours.PARTS.items():
        add(PARTS, part, of)
    if peers:
        from bench.dispatch_peers import PEERS

        for peer in PEERS:
            add(BARE if peer.bare else FULL if peer.full else GUARDED, peer.name, peer.work, fewer=peer.fewer)
    taken = in_turns({name: case for name, (_, case) in cases.items()}, rounds)
    return {name: [s * 1e6 / (cases[name][0] * len(STEPS)) for s in seconds] for name, seconds in taken.items()}


def summarise(taken: dict[str, list[float]], versions: dict[str, str], *, in_ci: bool) -> dict[str, Any]:
    rows = []
    for name, times in taken.items():
        group, case = name.split("|")
        row = {"case": case, "value": round(median(times), 3), "unit": "µs per event", "group": group}
        rows.append({**row, "fastest": round(min(times), 3), "ours": case.startswith("phasewright") or group == PARTS})
    floor, full = taken[f"{GUARDED}|floor"], taken[f"{FULL}|phasewright"]
    order = [BARE, GUARDED, FULL, PARTS]
    rows.sort(key=lambda row: (order.index(str(row["group"])), row["value"]))
    compared = best_ratio if in_ci else middle_ratio
    snapshot = taken[f"{PARTS}|the snapshot, encoded and checked"]
    ratios = {
        "everything, by the floor": ratio(
            compared(full, floor),
            "all that an event needs, by a dictionary with one guard and one action",
            at_most=24 if in_ci else 10,
        ),
        "the snapshot, by the floor": ratio(
            compared(snapshot, floor), "what can be read back again is written, at each event", at_most=4
        ),
    }
    if automat := taken.get(f"{GUARDED}|automat"):
        why = "the fastest of the others, which does no more than guard and action"
        ratios["automat, by everything of ours"] = ratio(compared(automat, full), why, at_least=4)
    return {"rows": rows, "ratios": ratios, "versions": versions}


if __name__ == "__main__":
    from bench.dispatch_peers import VERSIONS

    json.dump({"taken": measure_here(rounds=60, cycles=100, peers=True), "versions": VERSIONS}, sys.stdout)
