"""How another command asks a running bot for something: a socket beside its database, for the same user only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from runtime.errors import StoreError

_LONGEST_PATH = 100
_PATIENCE = 180
"""Seconds: longer than a recovery takes until it is given up."""


class Ask(msgspec.Struct, frozen=True):
    """Bring this symbol out of ERROR."""

    recover: str


class Answer(msgspec.Struct, frozen=True):
    """What came of it; `refused` says why nothing was done."""

    phase_from: str = ""
    phase_to: str = ""
    note: str = ""
    refused: str = ""


Handler = Callable[[Ask], Awaitable[Answer]]


def control_path(database: Path) -> Path:
    """Where a bot with this database listens."""
    return database.with_name(f"{database.name}.sock")


@asynccontextmanager
async def listening(database: Path, handler: Handler) -> AsyncIterator[bool]:
    """Answer other commands meanwhile. False when no socket can be made there; the bot trades all the same."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            ask = msgspec.json.decode(await reader.readline(), type=Ask)
            writer.write(msgspec.json.encode(await handler(ask)) + b"\n")
            await writer.drain()
        writer.close()

    path = _short(control_path(database))
    try:
        # Whoever held the database's lock before us is gone, and so is whoever listened there.
        path.unlink(missing_ok=True)
        mask = os.umask(0o077)
        try:
            server = await asyncio.start_unix_server(serve, path)
        finally:
            os.umask(mask)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        server.close()
        path.unlink(missing_ok=True)


def ask(database: Path, question: Ask) -> Answer:
    """Ask the bot that runs on this database.

    Raises:
        StoreError: none is running, or it does not answer.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(_short(control_path(database))))
            connection.sendall(msgspec.json.encode(question) + b"\n")
            with connection.makefile("rb") as reply:
                return msgspec.json.decode(reply.readline(), type=Answer)
        except (OSError, msgspec.MsgspecError):
            raise StoreError(
                f"{database}: no bot answers here. A symbol that trades on an exchange is recovered by the bot itself, "
                "which must ask the exchange: start it with the same `phasewright trade` command as before (a symbol "
                "in ERROR stays at rest), then run this again."
            ) from None


def _short(path: Path) -> Path:
    """The shorter of the absolute and the relative path: a socket's may have about a hundred characters."""
    absolute = path.absolute()
    relative = Path(os.path.relpath(absolute))
    return relative if len(str(relative)) < len(str(absolute)) and len(str(absolute)) > _LONGEST_PATH else absolute
