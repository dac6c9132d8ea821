"""Play seeds, and show what a seed does.

python tests/simulation/simulate.py --seeds 1000 [--from 1] [--mutant NAME]
python tests/simulation/simulate.py --seed 7 --trace [--mutant NAME]
"""

from __future__ import annotations

import argparse
import sys
import time

from protocol_mutants import MUTANTS
from simulated_run import START, TRUE_PROTOCOL, BotProcess, play
from simulated_whole_bot import WholeBotProcess


def main() -> int:
    parser = argparse.ArgumentParser(description="Play the bot against a simulated exchange.")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--whole", action="store_true", help="with the bot's bars, feed of orders and reconciliation")
    parser.add_argument("--mutant", choices=MUTANTS, help="break the protocol in this way")
    options = parser.parse_args()
    process = WholeBotProcess if options.whole else BotProcess
    if options.seed is not None:
        run = play(
            options.seed,
            MUTANTS[options.mutant] if options.mutant else TRUE_PROTOCOL,
            process=process,
            keep_timeline=True,
        )
        if options.trace:
            for instant, *facts in run.world.timeline or ():
                print(f"{(instant - START) / 1000:10.3f}", *facts)
        print(f"seed {run.seed}: {run.lifecycles} lifecycles, {run.lives} lives, timeline {run.digest()}")
        for line in run.broken:
            print("  BROKEN", line)
        return bool(run.broken)
    return campaign(options.first, options.seeds, options.mutant, process) > 0


def campaign(first: int, seeds: int, mutant: str | None, process: type[BotProcess]) -> int:
    """Play the seeds, a mutant's until it is caught. Returns how many broke something."""
    protocol = MUTANTS[mutant] if mutant else TRUE_PROTOCOL
    begun, lifecycles, lives, broken, seed = time.process_time(), 0, 0, 0, first
    for seed in range(first, first + seeds):
        run = play(seed, protocol, process=process)
        lifecycles += run.lifecycles
        lives += run.lives
        if run.broken:
            broken += 1
            print(f"seed {seed}:", *run.broken[:3], sep="\n    ")
            print(f"    replay: {replay(seed, mutant, whole=process is WholeBotProcess)}", flush=True)
            if mutant:
                break
    took = time.process_time() - begun
    print(
        f"{seed - first + 1} seeds, {lifecycles} lifecycles, {lives} lives, {broken} broken, "
        f"in {took:.1f} s of one processor: {lifecycles / took:.0f} lifecycles a second"
    )
    return broken


def replay(seed: int, mutant: str | None = None, *, whole: bool = False) -> str:
    """The command that tells the story of a seed."""
    how = (f" --mutant '{mutant}'" if mutant else "") + (" --whole" if whole else "")
    return f"python tests/simulation/simulate.py --seed {seed} --trace{how}"


if __name__ == "__main__":
    sys.exit(main())
