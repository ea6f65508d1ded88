"""Migration operations and calls for what Django's schema editor does not know: monthly partitions, append-only rights.

The application's role owns nothing, so it cannot create a partition itself; it calls two functions that run with the
owner's rights, touch only tables registered as monthly, and refuse anything else.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor as Editor
from django.db.migrations.operations import RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

APP_ROLE = "candor_app"
"""The role that web, workers and tests run as."""

PARTITION_FUNCTIONS = f"""
CREATE TABLE candor_monthly (parent text PRIMARY KEY);
CREATE FUNCTION candor_ensure_month(parent text, month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE first date := date_trunc('month', month); name text := parent || to_char(first, '_YYYY_MM');
BEGIN
  IF NOT EXISTS (SELECT 1 FROM candor_monthly m WHERE m.parent = $1) THEN
    RAISE EXCEPTION 'table % is not partitioned by month', parent;
  END IF;
  IF to_regclass(name) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext(name));
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent,
    to_char(first, 'YYYY-MM-DD') || ' 00:00+00', to_char(first + interval '1 month', 'YYYY-MM-DD') || ' 00:00+00');
  EXECUTE format('REVOKE ALL ON %I FROM {APP_ROLE}', name);  -- rows are reached through the parent and its rights only
END $$;
CREATE FUNCTION candor_drop_month(parent text, month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE name text := parent || to_char(date_trunc('month', month), '_YYYY_MM');
BEGIN
  IF parent <> 'markets_booksnapshot' AND parent <> 'markets_tradeflow' THEN
    RAISE EXCEPTION 'months of % are kept for ever', parent;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS %I', name);
END $$;
REVOKE ALL ON FUNCTION candor_ensure_month(text, date), candor_drop_month(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION candor_ensure_month(text, date), candor_drop_month(text, date) TO {APP_ROLE};
REVOKE INSERT, UPDATE, DELETE ON candor_monthly FROM {APP_ROLE};
"""  # noqa: S608  # a constant
PARTITION_FUNCTIONS_DOWN = (
    "DROP FUNCTION candor_ensure_month(text, date); DROP FUNCTION candor_drop_month(text, date);"
    " DROP TABLE candor_monthly;"
)


def monthly(table: str, columns: str, *, by: str, key: str, extra: str = "") -> RunSQL:
    """The migration step that creates `table`, range-partitioned by month on the timestamp column `by`.

    Args:
        table: its name.
        columns: column definitions.
        by: the timestamp column whose month chooses the partition.
        key: the primary key's columns; PostgreSQL wants `by` among them.
        extra: statements to run after, such as indexes and unique constraints.
    """
    create = f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) PARTITION BY RANGE ({by});"
    register = f"INSERT INTO candor_monthly VALUES ('{table}');"  # noqa: S608  # names written in migrations
    forget = f"DELETE FROM candor_monthly WHERE parent = '{table}';"  # noqa: S608  # as above
    return RunSQL(f"{create}{register}{extra}", f"DROP TABLE {table};{forget}")


class AppendOnly(Operation):
    """The application may add and read rows of this model's table, and nothing else."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model: str) -> None:
        self.model = model

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Rights are no part of Django's model state."""

    def database_forwards(
        self, app_label: str, schema_editor: Editor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Take UPDATE and DELETE away from the application's role."""
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {self._table(app_label, to_state)} FROM {APP_ROLE}")

    def database_backwards(
        self, app_label: str, schema_editor: Editor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Give them back."""
        schema_editor.execute(f"GRANT UPDATE, DELETE ON {self._table(app_label, from_state)} TO {APP_ROLE}")

    def describe(self) -> str:
        """The line `migrate` prints."""
        return f"Make {self.model} append-only for the application"

    def _table(self, app_label: str, state: ProjectState) -> str:
        return connection.ops.quote_name(state.apps.get_model(app_label, self.model)._meta.db_table)


def months(start: datetime, end: datetime) -> Iterator[date]:
    """The first day of each UTC month that [start, end] touches."""
    at = start.astimezone(UTC).date().replace(day=1)
    while at <= end.astimezone(UTC).date():
        yield at
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)


def ensure_partitions(table: str, start: datetime, end: datetime) -> None:
    """See that every month of [start, end] has its partition; idempotent and safe to race."""
    with connection.cursor() as cursor:
        for month in months(start, end):
            cursor.execute("SELECT candor_ensure_month(%s, %s)", [table, month])


def drop_month(table: str, month: date) -> None:
    """Drop one month of a table that has a retention (books and trade flow); others are refused."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT candor_drop_month(%s, %s)", [table, month])
