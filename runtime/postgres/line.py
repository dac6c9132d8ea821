"""A connection of one's own, for what must not wait until others have given one back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from time import monotonic
from typing import Any

import psycopg

from runtime.errors import StoreAwayError, StoreError
from runtime.postgres.connection import Address, explained
from runtime.postgres.watched import WatchedAsyncConnection


class Line:
    """A connection that is opened when it is needed, and again after it broke.

    Args:
        patience: milliseconds after which a statement has failed, whatever the network does.
    """

    def __init__(self, address: Address, name: str, patience: int) -> None:
        self.address = address
        self._name = name
        self._patience = patience / 1000
        self._connection: WatchedAsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def execute(
        self, wish: str, query: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows that one statement gives; it is a transaction of its own. `wish` says in a message what it was for.

        Raises:
            StoreError: it failed. Whether it was carried out is not known.
        """
        async with self._turn:
            try:
                with explained(self.address, wish):
                    end = monotonic() + self._patience
                    async with asyncio.timeout(self._patience):
                        connection = await self._opened()
                    # To cancel it would first ask the server to, and wait once more for that.
                    connection.limit = max(end - monotonic(), 0.0)
                    cursor = await connection.execute(query.encode(), values)
                    return [] if cursor.description is None else await cursor.fetchall()
            except TimeoutError:
                await self.close()
                raise StoreAwayError(
                    f"{self.address}: cannot {wish}: no answer in {self._patience:g} s. Check that the server runs, "
                    "and the network to it."
                ) from None
            except BaseException:
                if self._connection is not None and self._connection.broken:
                    await self.close()
                raise

    async def notices(self, channels: Sequence[str]) -> AsyncIterator[tuple[str, str]]:
        """Channel and text of every NOTIFY from now on. Raises StoreError when the connection breaks."""
        try:
            with explained(self.address, "listen"):
                async with asyncio.timeout(self._patience):
                    connection = await self._opened()
                    for channel in channels:
                        await connection.execute(f"LISTEN {channel}".encode())
                connection.limit = math.inf
                async for notice in connection.notifies():
                    yield notice.channel, notice.payload
        except TimeoutError:
            raise StoreError(f"{self.address}: cannot listen: no answer in {self._patience:g} s") from None
        finally:
            await self.close()

    async def _opened(self) -> WatchedAsyncConnection:
        if self._connection is None:
            self._connection = await WatchedAsyncConnection.connect(**self.address.parameters(self._name))
        return self._connection

    async def close(self) -> None:
        """Let the connection go; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except psycopg.Error:
                return
