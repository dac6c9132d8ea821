"""Kill a bot on the whole recorded market, again and again, and compare what is left with an uninterrupted run.

    python tests/end_to_end/kill_campaign.py [--kills 200] [--seed 1] [--faults realistic] [--fee-in-base] [--keep DIR]

Half of the bots die around their writes, the others at any time. Takes minutes; the suite does the same on a small
market. Exit status 0 when everything is equal.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from agreement import assert_books_agree
from bots import Bots
from small_market import WHOLE, Variant, on_record, open_run


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a bot on the whole recorded market.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default="realistic")
    parser.add_argument("--fee-in-base", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="kills-"))
    variant, chance = (
        Variant(options.faults, options.seed, options.fee_in_base, eager=False),
        random.Random(options.seed),
    )
    with Bots(WHOLE) as bots:
        begun = time.monotonic()
        if bots.live(variant, folder / "uninterrupted") != "done":
            return 1
        whole = time.monotonic() - begun
        print(f"{variant}: uninterrupted in {whole:.0f} s, in {folder}", flush=True)
        died = 0
        while died < options.kills:
            around = chance.random() < 0.5
            outcome = bots.live(
                variant,
                folder / "killed",
                kill_at=chance.randint(1, 20_000 // options.kills) if around else None,
                delay=None if around else chance.uniform(0.05, 2 * whole / options.kills + 1.0),
            )
            if outcome != "killed":
                print(f"after {died} kills a bot ended by itself: {outcome}", flush=True)
                break
            died += 1
            if died % 20 == 0:
                print(f"{died} kills", flush=True)
        if bots.live(variant, folder / "killed") != "done":
            return 1
    run, reference = open_run(WHOLE, variant, folder / "killed"), open_run(WHOLE, variant, folder / "uninterrupted")
    found, wanted = on_record(run), on_record(reference)
    for name in wanted:
        print(f"{name}: {'equal' if found[name] == wanted[name] else 'DIFFERENT'} ({len(wanted[name])})")
    assert_books_agree(run)
    print(f"the ledger equals the exchange's books, trade by trade and fee by fee: {len(run.exchange.trades())} trades")
    print(f"killed {died} of {options.kills} times", "and nothing is different" if found == wanted else "AND IT SHOWS")
    return 0 if found == wanted and died == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
