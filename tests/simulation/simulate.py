"""Play seeds, and show what a seed does.

python tests/simulation/simulate.py --seeds 1000 [--from 1] [--mutant NAME]
python tests/simulation/simulate.py --seed 7 --trace [--mutant NAME]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import msgspec
from hazards import FAULTS
from protocol_mutants import MUTANTS
from simulated_run import START, TRUE_PROTOCOL, BotProcess, play, uncollected
from simulated_whole_bot import WholeBotProcess

SHARE = 50
HARM = ("accepted twice", "two live", "never booked", "contradicts")
"""What costs money, as against a bot that merely stops."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Play the bot against a simulated exchange.")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--whole", action="store_true", help="with the bot's bars, feed of orders and reconciliation")
    parser.add_argument("--mutants", action="store_true", help="say at which seed each broken protocol is caught")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--trace", action="store_true", help="tell its story")
    parser.add_argument("--mutant", choices=MUTANTS, help="with the protocol broken in this way")
    options = parser.parse_args()
    process = WholeBotProcess if options.whole else BotProcess
    if options.seed is not None:
        return _tell(options.seed, options.mutant, process, whole_story=options.trace)
    if options.mutants:
        with uncollected():
            found = {name: caught(name, options.seeds) for name in MUTANTS}
        for name, at in found.items():
            print(f"{name}: " + (f"seed {at[0]}: {at[1]}\n    replay: {replay(at[0], name)}" if at else "NOT CAUGHT"))
        return None in found.values()
    return campaign(options.first, options.seeds, process, options.jobs) > 0


def _tell(seed: int, mutant: str | None, process: type[BotProcess], *, whole_story: bool) -> int:
    run = play(seed, MUTANTS[mutant] if mutant else TRUE_PROTOCOL, process=process, keep_timeline=True)
    if whole_story:
        for instant, *facts in run.world.timeline or ():
            print(f"{(instant - START) / 1000:10.3f}", *facts)
    print(f"seed {seed}: {run.lifecycles} lifecycles, {run.lives} lives, timeline {run.digest()}")
    for line in run.broken:
        print("  BROKEN", line)
    return bool(run.broken)


def campaign(first: int, seeds: int, process: type[BotProcess], jobs: int) -> int:
    """Play the seeds in several processes. Returns how many broke something."""
    begun = time.perf_counter()
    total = Tally()
    shares = [(at, min(SHARE, first + seeds - at), process) for at in range(first, first + seeds, SHARE)]
    with ProcessPoolExecutor(jobs) as pool:
        for tally in pool.map(play_share, shares):
            for broken in tally.broken:
                print(broken, flush=True)
            total.add(tally)
    took = time.perf_counter() - begun
    print(
        f"{seeds} seeds: {total.lifecycles} lifecycles, {total.events} events, {sum(total.faults.values())} faults and "
        f"{total.crashes} crashes; {len(total.broken)} seeds broken\n"
        f"{took:.0f} s with {jobs} processes, {total.lifecycles / took:.0f} lifecycles a second "
        f"({total.lifecycles / total.cpu:.0f} a second of processor time)"
    )
    for kind in FAULTS:
        print(f"  {total.faults[kind]:8} {kind}")
    return len(total.broken)


class Tally(msgspec.Struct):
    """What came of some seeds. `cpu` in seconds; `phases` are those that an event was handled in."""

    lifecycles: int = 0
    events: int = 0
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    phases: set[str] = set()
    cpu: float = 0.0
    broken: list[str] = []
    """What is to be said of each seed that broke something."""

    @property
    def crashes(self) -> int:
        return sum(times for kind, times in self.faults.items() if kind.startswith("killed"))

    def add(self, other: Tally) -> None:
        self.lifecycles += other.lifecycles
        self.events += other.events
        self.faults += other.faults
        self.phases |= other.phases
        self.cpu += other.cpu
        self.broken += other.broken


def play_share(share: tuple[int, int, type[BotProcess]]) -> Tally:
    """Play the seeds from `share[0]` on, `share[1]` of them."""
    first, seeds, process = share
    tally, begun = Tally(), time.process_time()
    with uncollected():
        for seed in range(first, first + seeds):
            run = play(seed, process=process)
            tally.lifecycles += run.lifecycles
            tally.events += len(run.audit())
            tally.faults.update(run.world.faults)
            tally.phases.update(branch.partition("/")[0] for branch in run.store.branch_counts())
            if run.broken:
                command = replay(seed, whole=process is WholeBotProcess)
                tally.broken.append("\n    ".join([f"seed {seed}:", *run.broken[:3], f"replay: {command}"]))
    tally.cpu = time.process_time() - begun
    return tally


def caught(mutant: str, seeds: int) -> tuple[int, str] | None:
    """The first seed at which a mutant does harm, and what it did; None when none of `seeds` finds it."""
    for seed in range(1, seeds + 1):
        for line in play(seed, MUTANTS[mutant]).broken:
            if any(harm in line for harm in HARM):
                return seed, line
    return None


def replay(seed: int, mutant: str | None = None, *, whole: bool = False) -> str:
    """The command that tells the story of a seed."""
    how = (f" --mutant '{mutant}'" if mutant else "") + (" --whole" if whole else "")
    return f".venv/bin/python tests/simulation/simulate.py --seed {seed} --trace{how}"


if __name__ == "__main__":
    sys.exit(main())
