"""The SQLite store for virtual time: commits become durable together, when whoever drives the time says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.effects import Claim, Intent
from runtime.ledger import JournalEntry
from runtime.sqlite_commits import write_group
from runtime.sqlite_store import SqliteStore
from runtime.store import AuditRow, Commit, StoredState


class GroupedSqliteStore(SqliteStore):
    """A SqliteStore that keeps nothing until `flush`, which makes everything durable that was written since the last.

    Until then nobody else sees it, and a kill takes all of it. For a driver that holds back, as well, whatever the
    outside could see of what follows from the commits. A commit that contradicts the store is told at the flush.
    """

    waits = False

    def __init__(self, path: Path, *, namespace: str | None = None) -> None:
        self._held: list[Commit] = []
        self._forgotten_before = 0
        super().__init__(path, namespace=namespace)

    @property
    def is_ahead(self) -> bool:
        """Whether something was committed or claimed that is not durable yet."""
        return bool(self._held) or self._db.in_transaction

    def flush(self) -> None:
        """Write everything, and wait for the disk.

        Raises:
            StoreError: it could not be written, and nothing of it is in the file: the worker must be stopped.
        """
        self._write()
        with self._explained("commit"):
            if self._db.in_transaction:
                with self._transaction():
                    self._db.execute("COMMIT")

    def commit(self, commits: Sequence[Commit]) -> None:
        self._held += commits

    def forget_identities(self, before: int) -> int:
        """Drop them at the next flush; how many is not known before."""
        self._forgotten_before = before
        return 0

    def claim(self, claim: Claim) -> None:
        self._write()
        super().claim(claim)

    def load(self) -> StoredState:
        self._write()
        return super().load()

    def last_event_at(self) -> int | None:
        self._write()
        return super().last_event_at()

    def intent(self, intent_id: str) -> Intent | None:
        self._write()
        return super().intent(intent_id)

    def journal(self, instance: str | None = None) -> list[JournalEntry]:
        self._write()
        return super().journal(instance)

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        self._write()
        return super().audit(instance, limit)

    def branch_counts(self) -> dict[str, int]:
        self._write()
        return super().branch_counts()

    def _write(self) -> None:
        """Into the open transaction, where this connection reads it."""
        held, before = self._held, self._forgotten_before
        self._held, self._forgotten_before = [], 0
        for commit in held:
            if commit.at < before:
                commit.identities = ()
        if held:
            with self._explained("commit"), self._transaction():
                write_group(self._db, self.path, held)
        if before:
            super().forget_identities(before)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
