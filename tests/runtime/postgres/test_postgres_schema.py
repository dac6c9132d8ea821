"""The tables of a database: made, found, and refused when they are not the ones that this program knows."""

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
