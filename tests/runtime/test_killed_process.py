"""A process that commits is killed at random moments: whatever it leaves is a whole number of commits, at least those
that it had been told of."""

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from runtime.effects import Claim
from runtime.sqlite_store import SqliteStore
from runtime.store import StoredState

KILLS = 32

LOOP = """
import sys
from decimal import Decimal
from pathlib import Path
from msgspec.structs import replace
from runtime.effects import Claim
from runtime.ledger import deposit_entry
from runtime.portfolio import PortfolioChange, Reservation
from runtime.sqlite_store import SqliteStore
from runtime.store_contract import commit_of, intent, receipt

store = SqliteStore(Path(sys.argv[1]))
found = store.load()
done = found.instances[0].version if found.instances else 0
print("ready", flush=True)
while True:
    group = []
    for number in range(done + 1, done + 4):
        name = f"step {number}"
        commit = commit_of(
            "A",
            expected=number - 1,
            snapshot=str(number).encode() + b" " * (number % 7 * 500),
            at=number,
            portfolio=PortfolioChange(
                (deposit_entry("A", number, name, "USD", Decimal("0.1")),),
                (Reservation("A", "USD", Decimal(number), 1),),
            ),
        )
        commit.identities = [(name, receipt("A", number))]
        commit.requested = [intent(name, at=number)]
        if number > 1:
            commit.finished = [(f"step {number - 1}", 1 if number % 3 != 1 else 2, "DONE")]
        group.append(commit)
    store.commit(group)
    done += 3
    print(done, flush=True)
    store.claim(Claim(f"step {done}", "A", 2, done, done))
"""


def check(state: StoredState, store: SqliteStore) -> int:
    """All parts must tell of the same number of commits. Returns it."""
    done = state.instances[0].version if state.instances else 0
    assert done % 3 == 0, "groups of three are written whole"
    rows = store.audit("A")
    assert [row.version for row in rows] == list(range(done))
    assert [row.at for row in rows] == list(range(1, done + 1))
    assert [entry.entry_id for entry in state.entries] == [f"deposit:step {number}" for number in range(1, done + 1)]
    assert sorted(int(identity.split()[1]) for _, identity, _, _ in state.identities) == list(range(1, done + 1))
    if done:
        assert state.instances[0].snapshot.strip() == str(done).encode()
        assert state.balances["cash", "USD"] == done * Decimal("0.1")
        assert state.reservations[0].cash == done
        assert [(one.intent_id, one.attempt in (1, 2)) for one in state.open_intents] == [(f"step {done}", True)]
        if state.open_intents[0].attempt == 1:  # as the next process would
            store.claim(Claim(f"step {done}", "A", 2, done, done))
    return done


def test_a_kill_at_any_moment_leaves_whole_commits(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)  # shown when the test fails
    chance = random.Random(seed)
    path = tmp_path / "bot.db"
    writers = 0
    done = 0
    for kill in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", LOOP, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        out = process.stdout.read()
        process.wait()
        process.stdout.close()
        lines = out.split(b"\n")
        told = [int(line) for line in lines[:-1]]  # the last line may be cut
        store = SqliteStore(path)
        found = check(store.load(), store)
        store.close()
        acknowledged = told[-1] if told else done
        assert found in (acknowledged, acknowledged + 3), f"kill {kill}: {acknowledged} were acknowledged"
        writers += bool(told)
        done = found
    assert writers > KILLS // 4, "most were killed while they were writing"
    assert done > 3 * KILLS
