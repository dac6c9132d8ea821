"""Every account's instances, evidence, intents and books; who holds it; and the functions that write to it.

Names of instances and the like are compared byte by byte (collation C), as SQLite and Python do.
"""

from alembic import op

from runtime.postgres.migrations.sql import script

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in script("v0001_accounts.sql"):
        op.execute(statement)
