"""Who should hold what: every worker works it out for itself, from the same rows, and comes to the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Set


def assign(workers: Mapping[str, Set[str]], holders: Mapping[str, str]) -> dict[str, str]:
    """The worker that each account should be with.

    An account stays where it is, unless that worker has at least two more than another one which can serve it: the
    loads of workers that serve the same accounts then differ by at most one, and no account moves without need.

    Args:
        workers: those that are alive, each with the accounts that it can serve now.
        holders: who holds an account at present. What is held by none of `workers` is left to its holder.

    Returns:
        A worker for each account that one of them can serve and no other holds.
    """
    target: dict[str, str] = {}
    held: dict[str, set[str]] = {worker: set() for worker in workers}
    for account, worker in holders.items():
        if account in workers.get(worker, ()):
            target[account] = worker
            held[worker].add(account)
    served = sorted({account for accounts in workers.values() for account in accounts})
    for account in served:
        if account in target or (account in holders and holders[account] not in workers):
            continue
        able = (worker for worker in workers if account in workers[worker])
        chosen = min(able, key=lambda worker: (len(held[worker]), worker))
        target[account] = chosen
        held[chosen].add(account)
    while (move := _next_move(workers, held, holders)) is not None:
        account, heavy, light = move
        target[account] = light
        held[heavy].remove(account)
        held[light].add(account)
    return target


def _next_move(
    workers: Mapping[str, Set[str]], held: Mapping[str, Set[str]], holders: Mapping[str, str]
) -> tuple[str, str, str] | None:
    """An account that the most loaded worker should leave to the least loaded one, of those that can."""
    by_load = sorted(held, key=lambda worker: (len(held[worker]), worker))
    for heavy in reversed(by_load):
        for light in by_load:
            if len(held[heavy]) - len(held[light]) < 2:
                break
            able = held[heavy] & workers[light]
            if able:
                # One that nobody runs yet costs nothing to move.
                return max(able, key=lambda account: (account not in holders, account)), heavy, light
    return None
