"""A group of commits as the arrays that the schema's function `commit_group` takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from runtime.errors import StoreConflictError
from runtime.ledger import EXACT, ZERO
from runtime.portfolio import Reservation
from runtime.postgres.values import Blobs, Numbers, Texts
from runtime.store import Commit

_encode = msgspec.json.encode
_REQUIRED = 28
"""How many of the arguments have no default: those of instances, audit rows and identities."""


class _Timer(msgspec.Struct):
    due_at: int


class _Timed(msgspec.Struct):
    """Of a snapshot, what monitoring looks at."""

    timer: _Timer | None = None


_decode_timed = msgspec.json.Decoder(_Timed).decode


def group_values(commits: Sequence[Commit]) -> list[Any]:
    """The arguments after those of the lease, without the empty ones at the end.

    Raises:
        StoreConflictError: commits of one instance do not follow each other.
    """
    changed, unchanged = _instances(commits)
    values = [
        *changed,
        *_audit(commits),
        *_identities(commits),
        Numbers(message for commit in commits for message in commit.answered),
        *_requested(commits),
        *_finished(commits),
        *unchanged,
        *_portfolio(commits),
    ]
    last = len(values)
    while last > _REQUIRED and not values[last - 1]:
        last -= 1
    return values[:last]


def _instances(commits: Sequence[Commit]) -> tuple[list[Any], list[Any]]:
    """One write per instance: each commit must follow the one before, the last one's snapshot stays."""
    found: dict[str, int] = {}
    versions: dict[str, int] = {}
    latest: dict[str, Commit] = {}
    for commit in commits:
        name = commit.instance
        found.setdefault(name, commit.expected_version)
        if versions.setdefault(name, commit.expected_version) != commit.expected_version:
            raise StoreConflictError(
                f"{name} is at version {versions[name]} after the commit before, not {commit.expected_version}. "
                "Nothing was committed."
            )
        if commit.snapshot is not None:
            versions[name] = commit.version
            latest[name] = commit
    unchanged = [name for name in found if name not in latest]
    changed = list(latest.values())
    return [
        Texts(latest),
        Numbers(found[name] for name in latest),
        Texts(commit.machine for commit in changed),
        Texts(commit.digest for commit in changed),
        Numbers(commit.version for commit in changed),
        Texts(commit.phase for commit in changed),
        Numbers(commit.at for commit in changed),
        Numbers(due_at(commit.snapshot) for commit in changed if commit.snapshot is not None),
        Blobs(commit.snapshot for commit in changed if commit.snapshot is not None),
    ], [Texts(unchanged), Numbers(found[name] for name in unchanged)]


def due_at(snapshot: bytes) -> int | None:
    """When the instance's timer is due. A snapshot that cannot be read is stored all the same, as by every store."""
    try:
        timer = _decode_timed(snapshot).timer
    except ValueError:
        return None
    return timer.due_at if timer else None


def _audit(commits: Sequence[Commit]) -> list[Any]:
    rows = [row for commit in commits for row in commit.audit]
    return [
        Texts(row.instance for row in rows),
        Numbers(row.version for row in rows),
        Numbers(row.at for row in rows),
        Texts(row.event for row in rows),
        Texts(row.identity for row in rows),
        Texts(row.outcome for row in rows),
        Texts(row.phase_from for row in rows),
        Texts(row.phase_to for row in rows),
        Texts(row.branch for row in rows),
        Texts(" ".join(row.actions) for row in rows),
        Texts(" ".join(row.requested) for row in rows),
        Blobs(row.payload for row in rows),
        Texts(row.reason for row in rows),
        Texts(row.error for row in rows),
        Texts(row.digest for row in rows),
    ]


def _identities(commits: Sequence[Commit]) -> list[Any]:
    latest = {
        (commit.instance, identity): (commit.at, receipt)
        for commit in commits
        for identity, receipt in commit.identities
    }
    return [
        Texts(instance for instance, _ in latest),
        Texts(identity for _, identity in latest),
        Numbers(at for at, _ in latest.values()),
        Blobs(_encode(receipt) for _, receipt in latest.values()),
    ]


def _requested(commits: Sequence[Commit]) -> list[Any]:
    intents = [intent for commit in commits for intent in commit.requested]
    return [
        Texts(intent.intent_id for intent in intents),
        Texts(intent.instance for intent in intents),
        Texts(intent.effect for intent in intents),
        Numbers(intent.number for intent in intents),
        Blobs(intent.request for intent in intents),
        Numbers(intent.generation for intent in intents),
        Numbers(intent.created_at for intent in intents),
        Numbers(intent.attempt for intent in intents),
        Numbers(intent.claimed_at for intent in intents),
        Numbers(intent.deadline for intent in intents),
    ]


def _finished(commits: Sequence[Commit]) -> list[Any]:
    finished = [one for commit in commits for one in commit.finished]
    return [
        Texts(intent_id for intent_id, _, _ in finished),
        Numbers(attempt for _, attempt, _ in finished),
        Texts(outcome for _, _, outcome in finished),
    ]


def _portfolio(commits: Sequence[Commit]) -> list[Any]:
    entries = [entry for commit in commits if commit.portfolio for entry in commit.portfolio.entries]
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for posting in (posting for entry in entries for posting in entry.postings):
        key = (posting.account, posting.currency)
        sums[key] = EXACT.add(sums[key], posting.amount)
    reservations: dict[str, Reservation] = {
        one.instance: one for commit in commits if commit.portfolio for one in commit.portfolio.reservations
    }
    held = [one for one in reservations.values() if one]
    return [
        Texts(entry.entry_id for entry in entries),
        Texts(entry.instance for entry in entries),
        Numbers(entry.at for entry in entries),
        Texts(entry.kind for entry in entries),
        Texts(_encode(entry.details).decode() for entry in entries),
        Texts(_encode(entry.postings).decode() for entry in entries),
        Texts(account for account, _ in sums),
        Texts(currency for _, currency in sums),
        list(sums.values()),
        Texts(one.instance for one in held),
        Texts(one.currency for one in held),
        [one.cash for one in held],
        Numbers(one.slots for one in held),
        Texts(name for name, one in reservations.items() if not one),
    ]
