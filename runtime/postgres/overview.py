"""What is going on in a database that several processes share: workers, accounts, and what waits."""

from __future__ import annotations

import msgspec
from psycopg import Connection

from runtime.postgres.connection import Address, explained
from runtime.postgres.leases import TIMELINE
from runtime.postgres.values import original, storable


class WorkerView(msgspec.Struct, frozen=True):
    """A worker that was seen lately: for how many milliseconds it has not been seen, and how many accounts it holds."""

    worker: str
    unseen: int
    holds: int
    serves: int


class AccountView(msgspec.Struct, frozen=True):
    """An account. `holder` is empty where nobody holds it; `expires_in` is for how many milliseconds its lease lasts.

    `open_intents` counts effects that have no outcome yet, `overdue` timers that should have fired, `waiting` and
    `refused` messages. `strayed`: the server goes on with another history than the account was last held in. `served`:
    some worker that was seen within the last minute could hold it.
    """

    account: str
    holder: str
    epoch: int
    expires_in: int
    instances: int
    open_intents: int
    overdue: int
    waiting: int
    refused: int
    strayed: bool
    served: bool


class Refused(msgspec.Struct, frozen=True):
    """A message that nobody can handle, and why."""

    message: int
    account: str
    instance: str
    event: str
    id: str | None
    reason: str


class Overview(msgspec.Struct, frozen=True):
    """All of it; of the messages that were refused, the latest."""

    workers: tuple[WorkerView, ...]
    accounts: tuple[AccountView, ...]
    refused: tuple[Refused, ...]


_WORKERS = """
SELECT worker, extract(epoch FROM clock_timestamp() - seen_at) * 1000,
    (SELECT count(*) FROM accounts WHERE holder = worker AND expires_at > clock_timestamp()), cardinality(serves)
FROM workers WHERE seen_at > clock_timestamp() - interval '1 minute'
    OR EXISTS (SELECT FROM accounts WHERE holder = worker AND expires_at > clock_timestamp())
ORDER BY worker
"""
_ACCOUNTS = f"""
WITH counted AS (
    SELECT account, count(*) AS instances, count(*) FILTER (WHERE due_at < %(now)s) AS overdue
    FROM instances GROUP BY account
), served AS (
    SELECT DISTINCT unnest(serves) AS account FROM workers WHERE seen_at > clock_timestamp() - interval '1 minute'
)
SELECT account, holder IS NOT NULL AND expires_at > clock_timestamp(), holder, epoch,
    extract(epoch FROM expires_at - clock_timestamp()) * 1000,
    coalesce(instances, 0),
    (SELECT count(*) FROM outbox o WHERE o.account = a.account AND outcome IS NULL),
    coalesce(overdue, 0),
    (SELECT count(*) FROM inbox n WHERE n.account = a.account AND refused IS NULL),
    (SELECT count(*) FROM inbox n WHERE n.account = a.account AND refused IS NOT NULL),
    timeline IS NOT NULL AND timeline <> {TIMELINE},
    EXISTS (SELECT FROM served s WHERE s.account = a.account)
FROM accounts a LEFT JOIN counted USING (account) ORDER BY account
"""
"""Snapshots lie in the instances' rows: they are gone through once for all accounts, by several processes at a time."""
_REFUSED = """
SELECT message, account, instance, event, id, refused FROM inbox WHERE refused IS NOT NULL
ORDER BY message DESC LIMIT 20
"""


def read_overview(address: Address, connection: Connection, now: int) -> Overview:
    """How it is at present; `now` is by the bots' clock, in milliseconds since the epoch (UTC)."""
    with explained(address, "read"):
        workers = connection.execute(_WORKERS).fetchall()
        accounts = connection.execute(_ACCOUNTS.encode(), {"now": now}).fetchall()
        refused = connection.execute(_REFUSED).fetchall()
    return Overview(
        tuple(WorkerView(worker, int(unseen), holds, serves) for worker, unseen, holds, serves in workers),
        tuple(
            AccountView(original(account), holder if alive else "", epoch, int(left) if alive else 0, *counts)
            for account, alive, holder, epoch, left, *counts in accounts
        ),
        tuple(Refused(*map(original, row)) for row in refused),
    )


def known_instances(address: Address, connection: Connection, account: str) -> list[str]:
    """The instances that an account has; none before it was held for the first time."""
    with explained(address, "read"):
        rows = connection.execute(
            "SELECT instance FROM instances WHERE account = %s ORDER BY instance", (storable(account),)
        ).fetchall()
    return [original(instance) for (instance,) in rows]
