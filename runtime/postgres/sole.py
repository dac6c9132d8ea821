"""An account for one process alone, which holds it from its first look to its last commit, and refuses to share."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress

from runtime.errors import StoreError
from runtime.postgres.connection import Address, Database
from runtime.postgres.lease import Lease
from runtime.postgres.leases import PostgresLeases
from runtime.postgres.store import PostgresStore

_TTL = 15_000
"""Milliseconds without a renewal after which somebody else may take the account."""


class SoleStore(PostgresStore):
    """The account's store, under a lease that is renewed in a thread of its own until the store is closed.

    Whether virtual time stands still or races, a lease is a matter of the database's clock.

    Args:
        worker: no other process, and no earlier one, has this name.
        namespace: for an account that is not there yet.

    Raises:
        StoreError: another process has the account, or the database cannot be used.
    """

    def __init__(self, url: str, account: str, worker: str, namespace: str) -> None:
        database = Database(url, worker, connections=2)
        try:
            make_account(database, account, namespace)
            self._keeper = _Keeper(database.address, account, worker)
        except BaseException:
            database.close()
            raise
        try:
            super().__init__(database, account, self._keeper.lease, patience=_TTL / 1000)
        except BaseException:
            self._let_go(database)
            raise

    def close(self) -> None:
        if not self._closed:
            super().close()
            self._let_go(self._database)

    def _let_go(self, database: Database) -> None:
        self._keeper.release()
        database.close()


def make_account(database: Database, account: str, namespace: str) -> None:
    """Make the account unless it is there. Raises StoreError when the database refuses."""
    database.execute(
        "make the account",
        "INSERT INTO accounts (account, namespace) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        account,
        namespace,
    )


class _Keeper:
    """A thread that takes a lease and renews it until it is told to let it go."""

    def __init__(self, address: Address, account: str, worker: str) -> None:
        self._address, self._account, self._worker = address, account, worker
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        taken: Future[Lease] = Future()
        self._thread = threading.Thread(target=self._run, args=(taken,), name="lease", daemon=True)
        self._thread.start()
        self.lease = taken.result()

    def release(self) -> None:
        with suppress(RuntimeError):  # its loop has ended: there was nothing left to keep
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self, taken: Future[Lease]) -> None:
        try:
            self._loop.run_until_complete(self._keep(taken))
        except BaseException as error:
            if not taken.done():
                taken.set_exception(error)
        finally:
            self._loop.close()

    async def _keep(self, taken: Future[Lease]) -> None:
        leases = PostgresLeases(self._address, self._worker, _TTL)
        try:
            await leases.renew([], {self._account})
            found = await leases.take([self._account])
            if not found:
                raise StoreError(await self._why_not(leases))
            taken.set_result(found[0])
            while not self._over.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), _TTL / 3000)
                # What hinders a renewal hinders a commit as well, and that one can tell somebody.
                with suppress(StoreError):
                    if not await leases.renew(found, {self._account}):
                        break
            with suppress(StoreError):
                await leases.release(found[0])
        finally:
            with suppress(StoreError):
                await leases.leave()
            await leases.close()

    async def _why_not(self, leases: PostgresLeases) -> str:
        census = await leases.census()
        place = f"{self._address}, account {self._account}"
        if self._account in census.strayed:
            return (
                f"{place}: the server goes on with another history than the one in which the account was last held: "
                "it was restored, or a standby took over. docs/postgresql.md says what to do."
            )
        holder = census.holders.get(self._account, "another process")
        return (
            f"{place}: {holder} is using this account. Two bots on one account would trade against each other's "
            f"decisions. Stop the other one, or name another --account. If it has died, try again in {_TTL // 1000} s."
        )
