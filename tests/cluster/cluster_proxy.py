"""The wire between each worker and the database: a process with one port for each worker, that cuts, hangs, and loses
the answer to a commit, when it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from collections import Counter
from contextlib import suppress
from typing import Any

from torture_processes import die_with_parent

_GREETING = 196_608
"""The version of the protocol, where a connection begins."""
_COMMIT = b"commit_group("


class Wires:
    """The process, as its parent sees it. `ports` has a port for each of `count` workers.

    Args:
        database: the port of the server.
    """

    def __init__(self, database: int, count: int) -> None:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.ports = [one.getsockname()[1] for one in listeners]
        self._control, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with_parent()
                self._control.close()
                asyncio.run(_serve(listeners, database, theirs))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        for one in listeners:
            one.close()
        self._answers = self._control.makefile("r")

    def tell(self, do: str, worker: int, milliseconds: int = 0) -> None:
        """`cut` or `hang` a worker's connections now, or break its next commit: `lose answer`, `lose request`, or
        `deliver late`. `mend`: break none any more."""
        self._ask({"do": do, "worker": worker, "ms": milliseconds})

    def counts(self) -> dict[str, int]:
        """What was done so far."""
        return dict(self._ask({"do": "count"}))

    def _ask(self, what: dict[str, Any]) -> Any:
        self._control.sendall(json.dumps(what).encode() + b"\n")
        return json.loads(self._answers.readline())

    def close(self) -> None:
        """End the process."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._control.close()


class _Wire:
    """What is between one worker and the database."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.passes = asyncio.Event()
        self.passes.set()
        self.breaks: list[tuple[str, int]] = []
        self.open: set[_Connection] = set()

    def cut(self) -> None:
        for one in list(self.open):
            one.abort()

    def hang(self, milliseconds: int) -> None:
        self.passes.clear()
        asyncio.get_running_loop().call_later(milliseconds / 1000, self.passes.set)


class _Connection:
    def __init__(self, wire: _Wire, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.wire = wire
        self._client = client
        self._server = server
        self._greeted = False
        self._commits: set[bytes] = set()
        self._lose_answer = False
        self._late: tuple[list[bytes], int] | None = None

    def abort(self) -> None:
        for writer in (self._client, self._server):
            with suppress(Exception):
                writer.transport.abort()

    async def up(self, reader: asyncio.StreamReader) -> None:
        """From the worker to the server, message by message."""
        waiting = bytearray()
        while data := await reader.read(1 << 16):
            waiting += data
            out = bytearray()
            while (size := self._size(waiting)) is not None and len(waiting) >= size:
                message = bytes(waiting[:size])
                del waiting[:size]
                if self._late is not None:
                    self._late[0].append(message)
                    if message[:1] == b"S":
                        await self._deliver_late()
                        return
                    continue
                if self._is_commit(message) and self.wire.breaks:
                    do, milliseconds = self.wire.breaks.pop(0)
                    self.wire.counts[do] += 1
                    if do == "lose request":
                        return
                    if do == "deliver late":
                        self._late = ([message], milliseconds)
                        continue
                    self._lose_answer = True
                out += message
            await self.wire.passes.wait()
            self._server.write(out)
            await self._server.drain()

    async def down(self, reader: asyncio.StreamReader) -> None:
        """From the server to the worker."""
        while data := await reader.read(1 << 16):
            if self._lose_answer:
                return
            await self.wire.passes.wait()
            self._client.write(data)
            await self._client.drain()

    async def _deliver_late(self) -> None:
        """The worker sees its connection close; the server gets the request all the same, later."""
        assert self._late is not None
        messages, milliseconds = self._late
        self._client.transport.abort()
        await asyncio.sleep(milliseconds / 1000)
        self._server.write(b"".join(messages))
        await self._server.drain()
        await asyncio.sleep(0.5)

    def _size(self, waiting: bytearray) -> int | None:
        if not self._greeted:
            return int.from_bytes(waiting[:4]) if len(waiting) >= 4 else None
        return 1 + int.from_bytes(waiting[1:5]) if len(waiting) >= 5 else None

    def _is_commit(self, message: bytes) -> bool:
        if not self._greeted:
            self._greeted = int.from_bytes(message[4:8]) == _GREETING
            return False
        kind, body = message[:1], message[5:]
        if kind == b"P":
            name, query, *_ = body.split(b"\0", 2)
            (self._commits.add if _COMMIT in query else self._commits.discard)(name)
        return kind == b"B" and body.split(b"\0", 2)[1] in self._commits


async def _serve(listeners: list[socket.socket], database: int, control: socket.socket) -> None:
    counts: Counter[str] = Counter()
    wires = [_Wire(counts) for _ in listeners]

    def accept(wire: _Wire) -> Any:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await wire.passes.wait()
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", database)
            except OSError:
                writer.transport.abort()
                return
            connection = _Connection(wire, writer, server_writer)
            wire.open.add(connection)
            ways = [asyncio.create_task(connection.up(reader)), asyncio.create_task(connection.down(server_reader))]
            # While a late request is under way, nobody listens at the worker's end any more.
            _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if connection._late is not None and ways[0] in left:
                await asyncio.wait(ways[:1])
            connection.abort()
            wire.open.discard(connection)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

        return connected

    for listener, wire in zip(listeners, wires, strict=True):
        await asyncio.start_server(accept(wire), sock=listener)
    asked, answers = await asyncio.open_connection(sock=control)
    while line := await asked.readline():
        told = json.loads(line)
        if told["do"] == "count":
            answer: Any = counts
        else:
            wire, answer = wires[told["worker"]], {}
            if told["do"] == "cut":
                wire.cut()
            elif told["do"] == "hang":
                wire.hang(told["ms"])
            elif told["do"] == "mend":
                wire.breaks.clear()
            else:
                wire.breaks.append((told["do"], told["ms"]))
        answers.write(json.dumps(answer).encode() + b"\n")
