"""A PostgreSQL server of one's own: on loopback, in a folder, as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

MISSING = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
_START = 30.0
"""Seconds in which a server starts, or never."""


class PostgresServer:
    """A server with its data in `folder`.

    A role `locked` must give the password `locked`; everybody else on this machine is trusted.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def url(self, database: str = "postgres", user: str = "owner") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database with all tables."""
        self._databases += 1
        name = f"bot{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def start(self, *settings: str) -> None:
        """Start, and wait until it answers. Settings as in `log_statement=all`."""
        options = [f"-c{setting}" for setting in settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # so that Ctrl-C at the tests does not reach it first
                **_unprivileged(),
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")[-3000:]) from None
                time.sleep(0.02)

    def kill(self) -> None:
        """Stop at once, without a checkpoint, as after a crash."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop in order: clients are cut off, what is committed is on disk."""
        self._stop(signal.SIGINT)

    def _stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


def make_server(folder: Path) -> PostgresServer:
    """A new server in `folder`, not yet started.

    Raises:
        FileNotFoundError: PostgreSQL's programs are not installed.
    """
    programs = programs_folder()
    if programs is None:
        raise FileNotFoundError(MISSING)
    give_to_server(folder)
    options = ["--auth=trust", "--username=owner", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    options.append("--wal-segsize=4")
    subprocess.run(
        [programs / "initdb", *options, "-D", folder / "data"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **_unprivileged(),
    )
    data = folder / "data"
    trusted = (data / "pg_hba.conf").read_text()
    (data / "pg_hba.conf").write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{trusted}")
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 60\n"
            "shared_buffers = 32MB\nlog_min_messages = warning\n"
        )
        if sys.platform == "linux":
            # After a crash, file by file takes seconds.
            settings.write("recovery_init_sync_method = syncfs\n")
    return PostgresServer(programs, folder)


def programs_folder() -> Path | None:
    """Where PostgreSQL's programs are, the newest; None where they are not."""
    on_path = shutil.which("initdb")
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = Path(on_path) if on_path else candidates[-1] if candidates else None
    return found.parent if found else None


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_to_server(folder: Path) -> None:
    """Make it and all in it the server's own."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
