"""A store that forgets everything when the process ends: for trying things out, and as the plain statement of what the
others must do."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from runtime.effects import Claim, Intent
from runtime.errors import StoreConflictError, StoreError, StoreIntegrityError
from runtime.events import Receipt
from runtime.ledger import EXACT, ZERO, JournalEntry
from runtime.portfolio import Reservation
from runtime.store import AuditRow, Commit, StoredInstance, StoredState


class _Tables(msgspec.Struct):
    instances: dict[str, StoredInstance] = {}
    rows: list[AuditRow] = []
    identities: dict[tuple[str, str], tuple[int, Receipt]] = {}
    intents: dict[str, Intent] = {}
    finished: dict[str, str] = {}
    entries: dict[str, JournalEntry] = {}
    balances: dict[tuple[str, str], Decimal] = {}
    reservations: dict[str, Reservation] = {}


class MemoryStore:
    """Keeps everything in dictionaries; a refused commit leaves them as they were."""

    def __init__(self, namespace: str = "memory") -> None:
        self.namespace = namespace
        self._tables: _Tables | None = _Tables()

    def load(self) -> StoredState:
        tables = self._open()
        open_intents = [intent for intent in tables.intents.values() if intent.intent_id not in tables.finished]
        return StoredState(
            instances=tuple(tables.instances[name] for name in sorted(tables.instances)),
            open_intents=tuple(sorted(open_intents, key=lambda intent: (intent.created_at, intent.intent_id))),
            identities=tuple((*key, at, receipt) for key, (at, receipt) in tables.identities.items()),
            entries=tuple(tables.entries.values()),
            balances=dict(tables.balances),
            reservations=tuple(tables.reservations.values()),
            last_commit_at=tables.rows[-1].at if tables.rows else None,
        )

    def commit(self, commits: Sequence[Commit]) -> None:
        tables = self._open()
        staged = _Tables(**{name: getattr(tables, name).copy() for name in _Tables.__struct_fields__})
        for commit in commits:
            _write(staged, commit)
        self._tables = staged

    def claim(self, intent_id: str, claim: Claim) -> None:
        tables = self._open()
        intent = tables.intents.get(intent_id)
        if intent is None or intent_id in tables.finished or intent.claim.attempt != claim.attempt - 1:
            raise StoreConflictError(f"intent {intent_id} is finished, or not at attempt {claim.attempt - 1}")
        tables.intents[intent_id] = msgspec.structs.replace(intent, claim=claim)

    def intent(self, intent_id: str) -> Intent | None:
        return self._open().intents.get(intent_id)

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        rows = [row for row in self._open().rows if instance in (None, row.instance)]
        return rows if limit is None else rows[len(rows) - min(limit, len(rows)) :]

    def forget_identities(self, before: int) -> int:
        tables = self._open()
        old = [key for key, (at, _) in tables.identities.items() if at < before]
        for key in old:
            del tables.identities[key]
        return len(old)

    def close(self) -> None:
        self._tables = None

    def _open(self) -> _Tables:
        if self._tables is None:
            raise StoreError("the store is closed")
        return self._tables


def _write(tables: _Tables, commit: Commit) -> None:
    stored = tables.instances.get(commit.instance)
    found = stored.version if stored else 0
    if found != commit.expected_version:
        raise StoreConflictError(f"{commit.instance} is at version {found}, not {commit.expected_version}")
    if commit.snapshot is not None:
        tables.instances[commit.instance] = StoredInstance(
            commit.instance,
            commit.machine,
            commit.digest,
            commit.version,
            commit.phase,
            commit.at,
            commit.snapshot,
        )
    tables.rows.extend(commit.audit)
    for identity, receipt in commit.identities:
        tables.identities[commit.instance, identity] = (commit.at, receipt)
    for intent in commit.requested:
        if intent.intent_id in tables.intents:
            raise StoreIntegrityError(f"intent {intent.intent_id} is there already")
        tables.intents[intent.intent_id] = intent
    for intent_id, attempt, outcome in commit.finished:
        if intent_id in tables.finished or tables.intents[intent_id].claim.attempt != attempt:
            raise StoreConflictError(f"intent {intent_id} is finished, or no longer at attempt {attempt}")
        tables.finished[intent_id] = outcome
    if commit.portfolio:
        for entry in commit.portfolio.entries:
            if entry.entry_id in tables.entries:
                raise StoreIntegrityError(f"journal entry {entry.entry_id} is there already")
            tables.entries[entry.entry_id] = entry
            for posting in entry.postings:
                key = (posting.account, posting.currency)
                tables.balances[key] = EXACT.add(tables.balances.get(key, ZERO), posting.amount)
        for reservation in commit.portfolio.reservations:
            tables.reservations.pop(reservation.instance, None)
            if reservation:
                tables.reservations[reservation.instance] = reservation
