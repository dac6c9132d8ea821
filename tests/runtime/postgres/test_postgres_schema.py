"""The tables of a database: made, found, and refused when they are not the ones that this program knows."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from postgres_server import PostgresServer

from runtime.errors import StoreError
from runtime.postgres import schema
from runtime.postgres.connection import SCHEMA, Database


def test_an_upgrade_makes_the_tables_once(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE upgraded")
    url = postgres.url("upgraded")
    with pytest.raises(StoreError, match="phasewright db upgrade"):
        Database(url, "test")
    assert schema.revision(url) is None
    assert schema.upgrade(url) == (None, SCHEMA)
    assert schema.upgrade(url) == (SCHEMA, SCHEMA)
    assert schema.revision(url) == SCHEMA
    Database(url, "test").close()


def test_tables_of_another_revision_are_refused(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    for revision, advice in (("0000", "phasewright db upgrade"), ("9999", "Use the version")):
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))
        with pytest.raises(StoreError, match=advice):
            Database(url, "test")


def test_two_upgrades_at_once(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE upgraded_twice")
    url = postgres.url("upgraded_twice")
    with ThreadPoolExecutor(2) as threads:
        assert {after for _, after in threads.map(schema.upgrade, [url, url])} == {SCHEMA}


def test_an_upgrade_that_finds_another_one_running_says_so(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE being_upgraded")
    url = postgres.url("being_upgraded")
    with psycopg.connect(url) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({schema.LOCK})")
        with pytest.raises(StoreError, match="another `phasewright db upgrade` is running"):
            schema.upgrade(f"{url}?options=-c%20lock_timeout%3D50ms")
    assert schema.revision(url) is None
    assert schema.upgrade(url) == (None, SCHEMA)
