"""Events that other processes have for an account: they wait in the database until whoever holds it has handled them.

A message leaves the inbox in the commit that answers its event, so it is handled once, whoever dies when. What cannot
be handled at all is set aside with the reason, and may be sent again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import msgspec
from psycopg import Connection

from runtime.clock import Clock
from runtime.errors import StoreError, readable
from runtime.events import EventContext
from runtime.naming import given
from runtime.postgres.connection import Address, explained
from runtime.postgres.lease import Lease
from runtime.postgres.line import Line
from runtime.postgres.values import original, storable
from runtime.worker import Worker

CHANNEL = "phasewright_inbox"
"""Where it is told for which account there is something new. A hint; it may be lost."""
_MOST = 100
"""An account with as many messages in hand that are not yet handled is given no more; it is read by as many."""

_ENQUEUE = f"""
WITH written AS (
    INSERT INTO inbox (account, instance, event, payload, id, at)
    SELECT account, %(instance)s, %(event)s, %(payload)s, %(id)s, %(at)s FROM accounts
    WHERE account = %(account)s AND NOT EXISTS (
        SELECT FROM identities
        WHERE account = %(account)s AND instance = %(instance)s AND identity = %(identity)s
    )
    ON CONFLICT (account, instance, id) DO UPDATE
    SET event = excluded.event, payload = excluded.payload, at = excluded.at,
        sent_at = excluded.sent_at, refused = NULL
    WHERE inbox.refused IS NOT NULL
    RETURNING message
)
SELECT (SELECT message FROM written), (SELECT pg_notify('{CHANNEL}', %(account)s) FROM written),
    EXISTS (SELECT FROM accounts WHERE account = %(account)s)
"""
_READ = """
SELECT message, account, instance, event, payload, id, at
FROM unnest(%(accounts)s::text[]) AS readers (reader) CROSS JOIN LATERAL (
    SELECT * FROM inbox WHERE account = reader AND refused IS NULL AND message <> ALL (%(known)s)
    ORDER BY message LIMIT %(most)s
) AS waiting
ORDER BY message
"""
_REFUSE = """
UPDATE inbox SET refused = %(reason)s
FROM accounts
WHERE message = %(message)s AND accounts.account = inbox.account
    AND accounts.account = %(account)s AND epoch = %(epoch)s AND holder = %(worker)s AND expires_at > clock_timestamp()
"""


class Enqueued(StrEnum):
    """What became of an event that was sent."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


def enqueue(
    address: Address,
    connection: Connection,
    *,
    account: str,
    instance: str,
    event: str,
    payload: bytes,
    at: int,
    id: str | None = None,
) -> Enqueued:
    """Put an event into an account's inbox; when this returns, it is durable.

    Args:
        payload: JSON, as the event's type has it.
        at: when it happened, in milliseconds since the epoch (UTC).
        id: names the event among those of the instance: one that waits already, or was handled lately, is a duplicate.
            One that was refused is offered again. Without an id only the identity that the event itself declares is
            known.

    Raises:
        StoreError: there is no such account, or the database gives no answer. Then it may be written or not: send it
            again, with the same id.
    """
    values = {
        "account": storable(account),
        "instance": storable(instance),
        "event": storable(event),
        "payload": payload,
        "id": None if id is None else storable(id),
        "identity": None if id is None else storable(given(id)),
        "at": at,
    }
    with explained(address, "send an event"):
        row = connection.execute(_ENQUEUE.encode(), values).fetchone()
    assert row is not None
    message, _, known = row
    if not known:
        raise StoreError(
            f"{address}: there is no account {account!r}. `phasewright accounts --db URL` lists them; an account is "
            "made when a worker is started with it."
        )
    return Enqueued.DUPLICATE if message is None else Enqueued.ACCEPTED


class _Reader(msgspec.Struct):
    """An account whose messages are handed to its worker, with those that it has and has not yet answered."""

    lease: Lease
    worker: Worker
    known: set[int] = msgspec.field(default_factory=set)


class _Message(msgspec.Struct, frozen=True):
    message: int
    account: str
    instance: str
    event: str
    payload: bytes
    id: str | None
    at: int


class InboxFeed:
    """Hands every message for the accounts of this process to their workers, in order of arrival.

    Args:
        poll: milliseconds after which the inbox is looked into when no hint came.
        tell: is told of what was refused (account, instance, reason) and of what hinders the reading (the account is
            empty then). It must not wait.
    """

    def __init__(
        self, address: Address, name: str, clock: Clock, tell: Callable[[str, str, str], None], *, poll: int = 1_000
    ) -> None:
        self._line = Line(address, f"{name} inbox", patience=10_000)
        self._clock = clock
        self._tell = tell
        self._poll = poll
        self._readers: dict[str, _Reader] = {}
        self._due = asyncio.Event()
        self._trouble = ""

    @contextmanager
    def attached(self, lease: Lease, worker: Worker) -> Iterator[None]:
        """Hand the account's messages to `worker`, which has started and not stopped."""
        reader = self._readers[lease.account] = _Reader(lease, worker)
        self._due.set()
        try:
            yield
        finally:
            if self._readers.get(lease.account) is reader:
                del self._readers[lease.account]

    def hint(self, account: str) -> None:
        """There may be something new for an account."""
        if account in self._readers:
            self._due.set()

    async def run(self) -> None:
        """Read and hand over, until cancelled."""
        try:
            while True:
                self._due.clear()
                try:
                    await self._read()
                    self._trouble = ""
                except StoreError as error:
                    if str(error) != self._trouble:
                        self._trouble = str(error)
                        self._tell("", "", f"no messages from others: {error}")
                await self._wait()
        finally:
            await self._line.close()

    async def _wait(self) -> None:
        waits = [
            asyncio.ensure_future(self._due.wait()),
            asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + self._poll)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _read(self) -> None:
        # What is read belongs to who was attached before it was read: another holder may have answered it since.
        readers = {account: reader for account, reader in self._readers.items() if len(reader.known) < _MOST}
        if not readers:
            return
        known = [message for reader in readers.values() for message in reader.known]
        rows = await self._line.execute(
            "read the inbox", _READ, {"accounts": sorted(readers), "known": known, "most": _MOST}
        )
        messages = [_Message(*map(original, row)) for row in rows]
        for found in messages:
            reader = readers[found.account]
            if self._readers.get(found.account) is reader:
                await self._hand_over(reader, found)
        for account, count in Counter(found.account for found in messages).items():
            if count == _MOST and len(readers[account].known) < _MOST:
                self._due.set()

    async def _hand_over(self, reader: _Reader, found: _Message) -> None:
        payload, refusal = _decoded(reader.worker, found)
        if refusal:
            lease = reader.lease
            values = {"message": found.message, "reason": storable(readable(refusal)), "account": lease.account}
            await self._line.execute(
                "refuse a message", _REFUSE, values | {"epoch": lease.epoch, "worker": lease.worker}
            )
            self._tell(lease.account, found.instance, f"message {found.message} is refused: {refusal}")
            return
        ctx = EventContext(found.event, found.instance, found.at, payload, found.id, message=found.message)
        try:
            handled = reader.worker.post(ctx)
        except Exception:
            # The worker has ended; its run says why. The message waits for the next one.
            self._readers.pop(found.account, None)
            return
        reader.known.add(found.message)
        handled.add_done_callback(lambda _: self._done(reader, found.message))

    def _done(self, reader: _Reader, message: int) -> None:
        was_full = len(reader.known) >= _MOST
        reader.known.discard(message)
        if was_full:
            self._due.set()


def _decoded(worker: Worker, found: _Message) -> tuple[Any, str]:
    """The payload of a message, or why nobody can take it."""
    if found.instance in worker.quarantined:
        quarantined = worker.quarantined[found.instance]
        return None, f"{found.instance} is in quarantine: {quarantined.reason}"
    if found.instance not in worker.instances:
        return None, f"there is no instance {found.instance!r}; it has {', '.join(sorted(worker.instances)) or 'none'}"
    event = worker.machine.definition.events.get(found.event)
    if event is None:
        return None, f"the machine '{worker.machine.definition.name}' has no event {found.event!r}"
    try:
        return msgspec.json.decode(found.payload, type=event.payload), ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return None, f"it is no {event.payload.__name__}: {error}"
