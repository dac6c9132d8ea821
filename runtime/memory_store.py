"""A store that forgets everything when the process ends: for trying things out, and as the plain statement of what the
others must do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

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

    waits = False

    def __init__(self, namespace: str = "memory") -> None:
        self.namespace = namespace
        self._tables: _Tables | None = _Tables()

    def load(self) -> StoredState:
        tables = self._open()
        open_intents = [intent for intent in tables.intents.values() if intent.intent_id not in tables.finished]
        return StoredState(
            instances=tuple(tables.instances[name] for name in sorted(tables.instances)),
            open_intents=tuple(sorted(open_intents, key=lambda intent: (intent.created_at, intent.intent_id))),
            identities=tuple(sorted(((*key, *row) for key, row in tables.identities.items()), key=lambda row: row[2])),
            entries=tuple(tables.entries.values()),
            balances=dict(tables.balances),
            reservations=tuple(tables.reservations.values()),
        )

    def last_event_at(self) -> int | None:
        rows = self._open().rows
        return rows[-1].at if rows else None

    def commit(self, commits: Sequence[Commit]) -> None:
        tables = self._open()
        rows, undo = len(tables.rows), _Undo()
        try:
            for commit in commits:
                _write(tables, commit, undo)
        except BaseException:
            del tables.rows[rows:]
            undo.roll_back()
            raise

    def claim(self, claim: Claim) -> None:
        tables = self._open()
        intent = tables.intents.get(claim.intent_id)
        if intent is None or claim.intent_id in tables.finished or intent.attempt != claim.attempt - 1:
            raise StoreConflictError(f"intent {claim.intent_id} is finished, or not at attempt {claim.attempt - 1}")
        tables.intents[claim.intent_id] = msgspec.structs.replace(
            intent, attempt=claim.attempt, claimed_at=claim.claimed_at, deadline=claim.deadline
        )

    def intent(self, intent_id: str) -> Intent | None:
        return self._open().intents.get(intent_id)

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        rows = [row for row in self._open().rows if instance in (None, row.instance)]
        return rows if limit is None else rows[len(rows) - min(limit, len(rows)) :]

    def journal(self, instance: str | None = None) -> list[JournalEntry]:
        return [entry for entry in self._open().entries.values() if instance in (None, entry.instance)]

    def branch_counts(self) -> dict[str, int]:
        return dict(Counter(row.branch for row in self._open().rows if row.branch))

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


class _Undo:
    """What the tables held before each change, newest last."""

    def __init__(self) -> None:
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set a row, or delete it where `value` is None."""
        self._before.append((table, key, table.get(key)))
        _set(table, key, value)

    def roll_back(self) -> None:
        for table, key, value in reversed(self._before):
            _set(table, key, value)


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def _write(tables: _Tables, commit: Commit, undo: _Undo) -> None:
    stored = tables.instances.get(commit.instance)
    found = stored.version if stored else 0
    if found != commit.expected_version:
        raise StoreConflictError(f"{commit.instance} is at version {found}, not {commit.expected_version}")
    if commit.snapshot is not None:
        row = StoredInstance(
            commit.instance,
            commit.machine,
            commit.digest,
            commit.version,
            commit.phase,
            commit.at,
            commit.snapshot,
        )
        undo.put(tables.instances, commit.instance, row)
    tables.rows.extend(commit.audit)
    for identity, receipt in commit.identities:
        undo.put(tables.identities, (commit.instance, identity), (commit.at, receipt))
    for intent in commit.requested:
        if intent.intent_id in tables.intents:
            raise StoreIntegrityError(f"intent {intent.intent_id} is there already")
        undo.put(tables.intents, intent.intent_id, intent)
    for intent_id, attempt, outcome in commit.finished:
        asked = tables.intents.get(intent_id)
        if asked is None or intent_id in tables.finished or asked.attempt != attempt:
            raise StoreConflictError(f"intent {intent_id} is finished, or no longer at attempt {attempt}")
        undo.put(tables.finished, intent_id, outcome)
    if commit.portfolio:
        for entry in commit.portfolio.entries:
            if entry.entry_id in tables.entries:
                raise StoreIntegrityError(f"journal entry {entry.entry_id} is there already")
            undo.put(tables.entries, entry.entry_id, entry)
            for posting in entry.postings:
                key = (posting.account, posting.currency)
                undo.put(tables.balances, key, EXACT.add(tables.balances.get(key, ZERO), posting.amount))
        for reservation in commit.portfolio.reservations:
            undo.put(tables.reservations, reservation.instance, reservation if reservation else None)
