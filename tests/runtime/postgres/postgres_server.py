"""PostgreSQL servers of the tests' own: on loopback, in a temporary directory, gone afterwards.

    def test_it(database_url: str) -> None: ...        an empty, migrated database for the test module
    def test_it(postgres: PostgresServer) -> None: ... the server: `new_database()`, `kill()`, `start()`

Tests in other folders put this one on their path, as tests/end_to_end/conftest.py does.

One server for each process of the test run. Without PostgreSQL's programs the tests are skipped, but not where
everything must be tested (CI=true).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from own_postgres import MISSING, PostgresServer, give_to_server, make_server, programs_folder

from runtime.postgres import schema

__all__ = ["PostgresServer", "database_url", "postgres"]


def _prepare(server: PostgresServer) -> None:
    """Make what tests copy from or log in as."""
    server.start("fsync=off")
    server.execute("CREATE ROLE locked LOGIN PASSWORD 'locked'")
    server.execute("CREATE DATABASE migrated")
    schema.upgrade(server.url("migrated"))
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    programs = programs_folder()
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(f"{MISSING}, so nothing that needs it is tested")
    # Not below pytest's own folder: the server's user may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="phasewright-postgres-"))
    try:
        folder.chmod(0o755)
        if "PYTEST_XDIST_WORKER" in os.environ:
            # Whichever process of the test run comes first prepares the files for all.
            template = tmp_path_factory.getbasetemp().parent / "postgres-template"
            with FileLock(f"{template}.lock"):
                if not template.exists():
                    _prepare(make_server(folder))
                    shutil.copytree(folder / "data", template)
                else:
                    shutil.copytree(template, folder / "data")
                    give_to_server(folder)
        else:
            _prepare(make_server(folder))
        server = PostgresServer(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        subprocess.Popen(["rm", "-rf", folder])  # thousands of files: nobody waits for that


@pytest.fixture(scope="module")
def database_url(postgres: PostgresServer) -> str:
    return postgres.new_database()
