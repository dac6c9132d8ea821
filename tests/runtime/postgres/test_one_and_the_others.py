"""What befalls one account, or one message, leaves the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest
from postgres_server import PostgresServer

from runtime.postgres.connection import Address, Database
from runtime.postgres.lease import Lease
from runtime.postgres.leases import PostgresLeases, register
from runtime.postgres.line import Line
from runtime.postgres.store import PostgresStore
from runtime.store_contract import commit_of

TTL = 2_000


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def with_leases(url: str, *accounts: str, then: Callable[[PostgresLeases, list[Lease]], Awaitable[None]]) -> None:
    """Do something with these accounts, which one worker holds."""

    async def do() -> None:
        address = Address(url)
        line, leases = Line(address, "test", 5_000), PostgresLeases(address, f"holder of {accounts}", TTL)
        await register(line, accounts)
        await line.close()
        try:
            await then(leases, await leases.take(accounts))
        finally:
            await leases.close()

    asyncio.run(do())


def test_a_slow_commit_on_one_account_costs_no_other_its_lease_nor_its_commits(url: str) -> None:
    async def then(leases: PostgresLeases, held: list[Lease]) -> None:
        with psycopg.connect(url) as slow:
            slow.execute("SELECT FROM accounts WHERE account = 'slow' FOR NO KEY UPDATE")
            renewing = asyncio.create_task(leases.renew(held, set()))
            for lease in held:
                if lease.account != "slow":
                    store = await asyncio.to_thread(PostgresStore, database, lease.account, lease)
                    await asyncio.to_thread(store.commit, [commit_of("A")])
            assert await renewing == {"before": True, "slow": False, "too": True, "zuletzt": True}
        assert await leases.renew(held, set()) == {"before": True, "slow": True, "too": True, "zuletzt": True}

    database = Database(url, "stores")
    try:
        with_leases(url, "before", "slow", "too", "zuletzt", then=then)
    finally:
        database.close()


def test_an_account_that_never_stops_committing_is_renewed(url: str) -> None:
    async def then(leases: PostgresLeases, held: list[Lease]) -> None:
        stopping = Event()

        def commit_on() -> int:
            store = PostgresStore(database, "busy", held[0])
            version = 0
            while not stopping.is_set():
                store.commit([commit_of("A", expected=version)])
                version += 1
            return version

        with ThreadPoolExecutor(1) as threads:
            committing = threads.submit(commit_on)
            try:
                for _ in range(50):
                    assert await leases.renew(held, set()) == {"busy": True}
            finally:
                stopping.set()
            assert committing.result(30) > 10

    database = Database(url, "stores")
    try:
        with_leases(url, "busy", then=then)
    finally:
        database.close()
