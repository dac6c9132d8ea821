"""What the runtime asks of a database. `commit` is the only way in which anything about an instance becomes durable.

A store is called from one thread at a time, not necessarily the one that opened it. Whoever writes another one runs
`runtime.store_contract` against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from runtime.effects import Claim, Intent
from runtime.events import Outcome, Receipt
from runtime.ledger import JournalEntry, Posting
from runtime.portfolio import PortfolioChange, Reservation

# Made here, once: stores are loaded in threads, and msgspec crashes the process when two of them decode a type that
# was never decoded before.
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_postings = msgspec.json.Decoder(tuple[Posting, ...]).decode


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """What happened to one event: the evidence of a transition, or of why there was none.

    `version` is the one that the event found. `branch` is the id of the row of the table, `actions` ran in this order.
    `requested` lists effects as name/intent id, `payload` is JSON, `error` is a traceback.
    """

    instance: str
    version: int
    at: int
    event: str
    identity: str
    outcome: Outcome
    phase_from: str
    phase_to: str
    branch: str
    actions: tuple[str, ...]
    requested: tuple[str, ...]
    payload: bytes
    reason: str
    error: str
    digest: str


class Commit(msgspec.Struct, gc=False):
    """All that one event changed. Either all of it is in the store or none.

    `expected_version` is the version on which the decision was based (0: the instance is new). A commit without
    `snapshot` leaves version and snapshot as they are. `answered` lists the messages of a shared store's inbox that are
    done with it.
    """

    instance: str
    machine: str
    digest: str
    at: int
    expected_version: int
    version: int
    phase: str
    snapshot: bytes | None
    audit: Sequence[AuditRow]
    identities: Sequence[tuple[str, Receipt]]
    requested: Sequence[Intent]
    finished: Sequence[tuple[str, int, str]]
    portfolio: PortfolioChange | None
    answered: Sequence[int] = ()


class StoredInstance(msgspec.Struct, frozen=True):
    """An instance as the last commit left it."""

    instance: str
    machine: str
    digest: str
    version: int
    phase: str
    updated_at: int
    snapshot: bytes


class StoredState(msgspec.Struct, frozen=True):
    """All that a restart needs."""

    instances: tuple[StoredInstance, ...]
    open_intents: tuple[Intent, ...]
    identities: tuple[tuple[str, str, int, Receipt], ...]
    entries: tuple[JournalEntry, ...]
    balances: dict[tuple[str, str], Decimal]
    reservations: tuple[Reservation, ...]


class Store(Protocol):
    """Where commits go. Every method may raise StoreError; after one, nothing of the call is in the store."""

    @property
    def waits(self) -> bool:
        """Whether a call may wait for a disk or a network, so that it belongs in a thread of its own."""
        ...

    @property
    def namespace(self) -> str:
        """Distinguishes this store's intents from every other store's on the same exchange account."""
        ...

    def load(self) -> StoredState:
        """Everything that is live, as of the last commit."""
        ...

    def last_event_at(self) -> int | None:
        """The instant of the latest commit that answered an event (milliseconds), None before the first."""
        ...

    def commit(self, commits: Sequence[Commit]) -> None:
        """Write all of them in one transaction, durably, in order.

        Raises:
            StoreConflictError: an instance is not at the expected version.
            StoreIntegrityError: a journal entry or an intent is there already, or a value fits into no row.
            StoreFencedError: in a shared store, the account is another worker's by now.
        """
        ...

    def claim(self, claim: Claim) -> None:
        """Record a further attempt of an open intent.

        Raises:
            StoreConflictError: the intent is finished, or its attempt is not the one before.
        """
        ...

    def intent(self, intent_id: str) -> Intent | None:
        """An intent with its latest claim, open or finished."""
        ...

    def audit(self, instance: str | None = None, limit: int | None = None) -> list[AuditRow]:
        """The latest rows, oldest first, of one instance or of all."""
        ...

    def journal(self, instance: str | None = None) -> list[JournalEntry]:
        """The ledger's entries in the order in which they were booked, of one instance or of all."""
        ...

    def branch_counts(self) -> dict[str, int]:
        """How often each row of the table was taken, by the row's id."""
        ...

    def forget_identities(self, before: int) -> int:
        """Drop what is known of events committed before this instant (milliseconds). Returns how many."""
        ...

    def close(self) -> None:
        """Give the store up. Further calls raise StoreError."""
        ...
