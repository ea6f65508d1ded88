"""A database that is behind the code, told in one line where a command would end in the driver's traceback.

It is asked only after a command failed for want of a table, a column or a function, so no command pays for it.
"""

import psycopg
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction)
"""What PostgreSQL says where a migration has not been; any other error has another cause."""
REMEDY = "run `make run` or `manage.py migrate`"


def why_behind(error: BaseException) -> str | None:
    """The line to tell instead of `error`; None where it is not for want of a migration, or nobody can say so."""
    if not isinstance(error.__cause__, MISSING):
        return None
    try:
        waiting = _waiting()
    except DatabaseError:
        return None
    if not waiting:
        return None
    count = "1 migration is" if len(waiting) == 1 else f"{len(waiting)} migrations are"
    return f"the database is not at this code's version, {count} not applied ({waiting[0]} first): {REMEDY}"


def _waiting() -> list[str]:
    """Migrations of this code that the database lacks, in the order in which they would be applied."""
    connection.close()  # the command may have left a broken transaction behind
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
