"""Who should hold what: fair, without needless moves, and the same whoever works it out."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runtime.assignment import assign

ACCOUNTS = [f"a{number}" for number in range(12)]
WORKERS = [f"w{number}" for number in range(5)]
accounts = st.sets(st.sampled_from(ACCOUNTS))
holders = st.dictionaries(st.sampled_from(ACCOUNTS), st.sampled_from([*WORKERS, "dead"]))


@given(st.sets(st.sampled_from(WORKERS), min_size=1), holders)
def test_loads_differ_by_at_most_one_and_nothing_moves_without_need(workers: set[str], held: dict[str, str]) -> None:
    target = assign(dict.fromkeys(workers, frozenset(ACCOUNTS)), held)
    theirs = {account for account, holder in held.items() if holder not in workers}
    assert target.keys() == set(ACCOUNTS) - theirs, "what another holds is left to it, and nothing else is left out"
    loads = Counter(target.values())
    most, least = max(loads[one] for one in workers), min(loads[one] for one in workers)
    assert most - least <= 1
    before = Counter(holder for holder in held.values() if holder in workers)
    moved = sum(account in held and held[account] != worker for account, worker in target.items())
    # Whoever had more than the largest share gives up at least that; nobody needs to give up more than down to the
    # smallest.
    assert moved <= sum(max(0, before[one] - least) for one in workers)
    assert moved >= sum(max(0, before[one] - most) for one in workers)


@given(st.dictionaries(st.sampled_from(WORKERS), accounts), holders)
def test_nobody_gets_what_it_cannot_serve_and_nothing_that_can_be_served_is_left(
    workers: dict[str, set[str]], held: dict[str, str]
) -> None:
    target = assign(workers, held)
    assert all(account in workers[worker] for account, worker in target.items())
    free = {account for served in workers.values() for account in served} - {
        account for account, holder in held.items() if holder not in workers
    }
    assert target.keys() == free


@given(st.dictionaries(st.sampled_from(WORKERS), accounts), holders)
def test_it_does_not_depend_on_the_order_and_what_is_carried_out_stays(
    workers: dict[str, set[str]], held: dict[str, str]
) -> None:
    target = assign(workers, held)
    assert assign(dict(reversed(workers.items())), dict(reversed(held.items()))) == target
    others = {account: holder for account, holder in held.items() if holder not in workers}
    assert assign(workers, others | target) == target
