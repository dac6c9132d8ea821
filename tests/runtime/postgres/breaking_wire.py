"""A wire to the server that breaks where a test wants it: a TCP proxy on loopback.

What is sent in one piece is one request; a client that waits for each answer sends nothing else.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from enum import Enum
from select import select

_REQUESTS = (b"P", b"B", b"Q")
"""How a statement begins: Parse, Bind or Query. The greeting of a new connection does not."""


class Break(Enum):
    """What happens to the next request."""

    BEFORE = "the server never gets it"
    AFTER = "the server has carried it out, its answer gets lost"
    STUCK = "the server has carried it out, its answer never comes, and nothing is closed"
    LATE = "the client is cut off; the server gets it when `deliver_late` is called"


class BreakingWire:
    """Passes everything on, but for what a test has asked for."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._breaks: list[Break] = []
        self._late: list[tuple[socket.socket, bytes]] = []
        self._is_down = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def break_next(self, *breaks: Break) -> None:
        """Break at the next request, and at as many after it as there are more."""
        self._breaks += breaks

    def mend(self) -> None:
        """Break nothing more."""
        self._breaks.clear()

    def go_down(self) -> None:
        """Cut every connection, and refuse new ones."""
        self._is_down = True
        for pair in self._pairs:
            _close(*pair)

    def come_up(self) -> None:
        self._is_down = False

    def deliver_late(self) -> bytes:
        """Hand the late request over; returns what the server says to it."""
        server, request = self._late.pop(0)
        server.sendall(request)
        answer = server.recv(65536)
        server.close()
        return answer

    def close(self) -> None:
        self.go_down()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_down:
                _close(client)
                continue
            server = socket.create_connection(self._server)
            self._pairs.append((client, server))
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while True:
                readable, _, _ = select([client, server], [], [])
                if server in readable:
                    client.sendall(_piece(server))
                    continue
                request = _piece(client)
                if not self._breaks or request[:1] not in _REQUESTS:
                    server.sendall(request)
                    continue
                wish = self._breaks.pop(0)
                if wish is Break.LATE:
                    self._late.append((server, request))
                    _close(client)
                    return
                if wish is not Break.BEFORE:
                    server.sendall(request)
                    while server not in select([client, server], [], [])[0]:
                        server.sendall(_piece(client))  # the rest of it
                if wish is Break.STUCK:
                    return
                break
        _close(client, server)


def _piece(source: socket.socket) -> bytes:
    """What has come, or OSError at the end."""
    piece = source.recv(1 << 20)
    if not piece:
        raise ConnectionError
    return piece


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
