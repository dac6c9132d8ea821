"""What a fleet needs of its database, worked out from what was measured: `python -m bench.capacity`.

Every figure comes from `bench/results/` or from the fleet below; nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import msgspec

from bench.run import RESULTS

DAY = 86_400
RECORDED_DAYS = 730 * 5
"""Days of the recorded market, over its symbols."""
RENEWED_EVERY_S = 5
"""A third of the default lease."""
CONNECTIONS_OF_A_WORKER = 10
"""By default: six for its accounts, four of its own."""
IN_A_GROUP = "phasewright, 100 in flight"


class Fleet(msgspec.Struct, frozen=True):
    """Who trades. `busy` is how many times as often as in the recorded market an instance changes, `burst` which share
    of the instances has something to do at the close of the same bar, `within` how many seconds that may take."""

    instances: int = 1_000_000
    accounts: int = 10_000
    workers: int = 100
    busy: float = 1
    burst: float = 0.1
    within: int = 60


def needs(fleet: Fleet, results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is needed, how much of it, and from what that follows."""
    grouped = next(row for row in results["postgres"]["rows"] if row.get("case") == IN_A_GROUP)
    audit_bytes, lease_bytes = (row["bytes"] for row in results["postgres"]["rows"] if "bytes" in row)
    held = [row for row in results["scale"]["rows"] if row["what"] == "instances"][-1]
    ours = next(row for row in results["main_job"]["rows"] if row.get("transitions"))
    per_day = fleet.busy * ours["transitions"] / RECORDED_DAYS
    steady = fleet.instances * per_day / DAY
    peak = fleet.instances * fleet.burst * 2 / fleet.within
    rate, wal = grouped["value"], grouped["wal_bytes_per_transition"]
    renewals = fleet.accounts / RENEWED_EVERY_S
    memory, start = held["memory_bytes"] / held["size"], held["start_s"] / held["size"]
    per_worker = fleet.instances / fleet.workers
    return [
        ("transitions a second, all day", f"{steady:,.0f}", f"{per_day:.1f} a day and instance"),
        (
            "transitions a second, after a bar",
            f"{peak:,.0f}",
            f"two each for {fleet.burst:.0%} of the instances within {fleet.within} s; one server did {rate:,}",
        ),
        ("WAL a day", f"{steady * DAY * wal / 1e9:,.1f} GB", f"{wal:,} bytes a transition"),
        ("WAL a second, after a bar", f"{peak * wal / 1e6:,.1f} MB", "the same"),
        (
            "WAL of renewed leases a day",
            f"{renewals * DAY * lease_bytes / 1e9:,.1f} GB",
            f"{renewals:,.0f} rows a second, {lease_bytes} bytes each",
        ),
        ("audit a day", f"{steady * DAY * audit_bytes / 1e9:,.1f} GB", f"{audit_bytes:,} bytes a row, with indexes"),
        (
            "connections",
            f"{fleet.workers * CONNECTIONS_OF_A_WORKER:,}",
            f"{CONNECTIONS_OF_A_WORKER} for each worker",
        ),
        ("memory of a worker", f"{per_worker * memory / 1e6:,.0f} MB", f"{memory / 1e3:.1f} kB an instance"),
        (
            "taking over one dead worker",
            f"{per_worker * start / (fleet.workers - 1):,.2f} s",
            f"{start * 1e6:,.0f} µs an instance, shared by the others, after the lease has run out",
        ),
    ]


def table(rows: list[tuple[str, str, str]]) -> str:
    """The rows in Markdown."""
    lines = ["| what | how much | from |", "| --- | ---: | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def read_results() -> dict[str, Any]:
    """What was measured, by the benchmark's name. Raises SystemExit when something was not."""
    found = {}
    for name in ("postgres", "scale", "main_job"):
        path = RESULTS / f"{name}.json"
        if not path.exists():
            raise SystemExit(f"{path} is not there: measure it with `python -m bench.run {name}`.")
        found[name] = json.loads(path.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    standard = Fleet()
    for name in Fleet.__struct_fields__:
        value = getattr(standard, name)
        parser.add_argument(f"--{name}", type=type(value), default=value)
    print(table(needs(Fleet(**vars(parser.parse_args())), read_results())))


if __name__ == "__main__":
    main()
