"""The statements on the page about capacity work on the schema as it is."""

import re
from pathlib import Path

import pytest

from runtime.postgres.connection import Database

PAGE = Path(__file__).parents[3] / "docs" / "capacity.md"
STATEMENTS = [
    statement.strip()
    for block in re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for statement in block.split(";\n")
    if statement.strip()
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: " ".join(text.split())[:60])
def test_a_statement_of_the_page_works(statement: str, database: Database) -> None:
    with database.connection() as connection:
        connection.execute(statement.encode())


def test_the_page_has_statements() -> None:
    assert len(STATEMENTS) > 10
