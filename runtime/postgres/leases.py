"""Which worker has which account: rows of `accounts`, by the database's clock, and the workers that are alive."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress

from runtime.errors import StoreError
from runtime.node import Census
from runtime.postgres.connection import Address
from runtime.postgres.lease import Lease
from runtime.postgres.line import Line

CHANNEL = "phasewright_leases"
"""Where it is told that an account was given up, or that a worker came or went. A hint; it may be lost."""

TIMELINE = (
    "(SELECT system_identifier FROM pg_control_system())::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)
"""SQL: which history of writes the server goes on with. A promoted replica and a restored backup begin another one."""

_SOON = "clock_timestamp() + interval '15 minutes'"
"""SQL: what lies beyond was written before the server's clock was set back. Whoever died before that would else count
as alive, and keep its accounts, until the clock is there again. No lease lasts as long."""

_SHOW = f"""
WITH forgotten AS (DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 day')
INSERT INTO workers (worker, started_at, seen_at, serves)
VALUES (%(worker)s, clock_timestamp(), clock_timestamp(), %(serves)s)
ON CONFLICT (worker) DO UPDATE SET seen_at = clock_timestamp(), serves = excluded.serves
RETURNING CASE WHEN xmax = 0 THEN pg_notify('{CHANNEL}', '')::text END
"""
_HELD = f"""
accounts.account = held.account AND accounts.epoch = held.epoch AND holder = %(worker)s AND timeline = {TIMELINE}
"""
_RENEW = f"""
WITH held AS (SELECT * FROM unnest(%(accounts)s::text[], %(epochs)s::bigint[]) AS held (account, epoch)),
free AS (SELECT accounts.account FROM accounts, held WHERE {_HELD} FOR NO KEY UPDATE OF accounts SKIP LOCKED),
renewed AS (
    UPDATE accounts SET expires_at = clock_timestamp() + %(ttl)s * interval '1 millisecond'
    FROM free WHERE accounts.account = free.account RETURNING accounts.account
)
SELECT accounts.account, EXISTS (SELECT FROM renewed WHERE renewed.account = accounts.account)
FROM accounts, held WHERE {_HELD}
"""
"""All at once, but for those on which a commit is under way. To wait for one of them would keep the rest from being
renewed, and from committing, because this statement keeps the rows that it has renewed until its end."""
_RENEW_BUSY = f"""
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', %(patience)s, true)),
held AS (SELECT %(account)s AS account, %(epoch)s AS epoch)
UPDATE accounts SET expires_at = clock_timestamp() + %(ttl)s * interval '1 millisecond'
FROM held, patience WHERE {_HELD}
RETURNING accounts.account
"""
_WORKERS = f"""
SELECT worker, serves FROM workers
WHERE seen_at > clock_timestamp() - %(ttl)s * interval '1 millisecond' AND seen_at < {_SOON}
"""
_ACCOUNTS = f"""
SELECT account, holder IS NOT NULL AND expires_at BETWEEN clock_timestamp() AND {_SOON}, holder,
    timeline IS NOT NULL AND timeline <> {TIMELINE}
FROM accounts
"""
_TAKE = f"""
WITH free AS (
    SELECT account FROM accounts
    WHERE account = ANY (%(accounts)s)
        AND (holder IS NULL OR holder = %(worker)s OR expires_at NOT BETWEEN clock_timestamp() AND {_SOON})
        AND (timeline IS NULL OR timeline = {TIMELINE})
    ORDER BY account FOR UPDATE SKIP LOCKED
)
UPDATE accounts SET epoch = epoch + 1, holder = %(worker)s, timeline = {TIMELINE},
    expires_at = clock_timestamp() + %(ttl)s * interval '1 millisecond'
FROM free WHERE accounts.account = free.account
RETURNING accounts.account, accounts.epoch
"""
_RELEASE = f"""
WITH released AS (
    UPDATE accounts SET holder = NULL, expires_at = NULL
    WHERE account = %(account)s AND epoch = %(epoch)s AND holder = %(worker)s RETURNING account
)
SELECT pg_notify('{CHANNEL}', '') FROM released
"""
_LEAVE = f"""
WITH gone AS (DELETE FROM workers WHERE worker = %(worker)s RETURNING worker)
SELECT pg_notify('{CHANNEL}', '') FROM gone
"""


class PostgresLeases:
    """`runtime.node.Leases` of one worker.

    Args:
        worker: no other process, and no earlier one, has this name.
        ttl: milliseconds after which a lease that was not renewed runs out.
    """

    def __init__(self, address: Address, worker: str, ttl: int) -> None:
        self.worker = worker
        self._ttl = ttl
        self._line = Line(address, f"{worker} leases", patience=max(ttl // 2, 1_000))

    async def renew(self, held: Sequence[Lease], serves: Set[str]) -> dict[str, bool]:
        await self._line.execute("say that this worker lives", _SHOW, {"worker": self.worker, "serves": sorted(serves)})
        if not held:
            return {}
        epochs = {lease.account: lease.epoch for lease in held}
        values = {"worker": self.worker, "ttl": self._ttl}
        rows = await self._line.execute(
            "renew leases", _RENEW, values | {"accounts": list(epochs), "epochs": list(epochs.values())}
        )
        renewed = dict(rows)
        busy = [account for account, done in renewed.items() if not done]
        for account in busy:
            patience = f"{max(self._ttl // 5 // len(busy), 1)}ms"
            with suppress(StoreError):  # somebody keeps it locked, and nobody can take it meanwhile
                if await self._line.execute(
                    "renew a lease",
                    _RENEW_BUSY,
                    values | {"account": account, "epoch": epochs[account], "patience": patience},
                ):
                    renewed[account] = True
                else:
                    del renewed[account]
        return renewed

    async def census(self) -> Census:
        workers = await self._line.execute("see which workers live", _WORKERS, {"ttl": self._ttl})
        rows = await self._line.execute("see who holds what", _ACCOUNTS)
        return Census(
            {worker: frozenset(serves) for worker, serves in workers},
            {account: holder for account, alive, holder, _ in rows if alive},
            {account for account, _, _, strayed in rows if strayed},
        )

    async def take(self, accounts: Sequence[str]) -> list[Lease]:
        rows = await self._line.execute(
            "take accounts", _TAKE, {"worker": self.worker, "accounts": list(accounts), "ttl": self._ttl}
        )
        return [Lease(account, self.worker, epoch) for account, epoch in rows]

    async def release(self, lease: Lease) -> None:
        values = {"worker": self.worker, "account": lease.account, "epoch": lease.epoch}
        await self._line.execute("hand an account over", _RELEASE, values)

    async def leave(self) -> None:
        await self._line.execute("say that this worker goes", _LEAVE, {"worker": self.worker})

    async def close(self) -> None:
        """Let the connection go."""
        await self._line.close()


async def register(line: Line, accounts: Iterable[str]) -> None:
    """Give each of these accounts a row, with a namespace of its own, unless it has one."""
    await line.execute(
        "register accounts",
        "INSERT INTO accounts (account, namespace) SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING",
        [names := sorted(set(accounts)), [uuid.uuid4().hex for _ in names]],
    )


async def accept_failover(line: Line) -> list[str]:
    """Let accounts be taken although the server goes on with another history than they were last held in. Whoever
    holds one of them loses it. Returns which they are."""
    rows = await line.execute(
        "accept the fail-over",
        f"UPDATE accounts SET timeline = {TIMELINE}, epoch = epoch + 1, holder = NULL, expires_at = NULL "
        f"WHERE timeline <> {TIMELINE} RETURNING account",
    )
    return sorted(account for (account,) in rows)
