"""Columns in and out of PostgreSQL in its binary forms, without a Python object a row.

The COPY format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 (a header of 19 bytes, for each
row an int16 field count and for each field an int32 length and the value, all big-endian, closed by an int16 of -1).
Only columns of fixed width that are never NULL fit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
ARRAY_HEADER = 20
EPOCH_2000_S = 946_684_800
"""PostgreSQL counts microseconds from 2000-01-01; we count seconds from 1970-01-01."""

Columns = Sequence[tuple[str, str]]
"""Column name → big-endian numpy type (`>i8`, `>f8`, `>i2`); a timestamptz travels as `>i8` microseconds."""


def row_type(columns: Columns) -> np.dtype[Any]:
    """The packed layout of one row: the field count, then (length, value) for each column."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"size of {name}", ">i4"), (name, kind)]
    return np.dtype(fields)


def to_stamp(epoch_s: NDArray[Any]) -> NDArray[np.int64]:
    """Epoch seconds as PostgreSQL's microseconds."""
    return np.round((np.asarray(epoch_s) - EPOCH_2000_S) * 1e6).astype(np.int64)


def to_epoch(stamp: NDArray[Any]) -> NDArray[np.float64]:
    """PostgreSQL's microseconds as epoch seconds."""
    return np.asarray(stamp.astype(np.int64) / 1e6 + EPOCH_2000_S)


def pack(columns: Columns, values: Mapping[str, NDArray[Any]]) -> bytes:
    """The COPY stream of equally long columns."""
    layout = row_type(columns)
    rows = np.empty(len(next(iter(values.values()))), layout)
    rows["fields"] = len(columns)
    for name, kind in columns:
        rows[f"size of {name}"] = np.dtype(kind).itemsize
        rows[name] = values[name]
    return HEADER + rows.tobytes() + TRAILER


def copy_in(table: str, columns: Columns, values: Mapping[str, NDArray[Any]]) -> None:
    """Write columns into `table` (a name of ours, never input)."""
    names = ", ".join(name for name, _ in columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
    # Django translates the errors of execute() only, and callers catch Django's.
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(pack(columns, values))


def fetch(query: str, parameters: Sequence[object], columns: Columns) -> dict[str, NDArray[Any]]:
    """The rows of `query` (trusted text with placeholders) as one array (N,) a column, in the query's order.

    The server packs each column into one array: a row-wise protocol would cost a Python call for each of 75,000
    candles. Times come as PostgreSQL's microseconds, see `to_epoch`.
    """
    packed = ", ".join(f"array_send(array_agg({name}))" for name, _ in columns)
    connection.ensure_connection()
    # Django's own cursors cannot answer in binary.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(f"SELECT {packed} FROM ({query}) AS rows", parameters, binary=True)  # noqa: S608  # constants
        answer = cursor.fetchone()
    assert answer is not None  # noqa: S101  # an aggregate without groups always has a row
    return {name: _array(value, kind) for (name, kind), value in zip(columns, answer, strict=True)}


def _array(value: bytes | None, kind: str) -> NDArray[Any]:
    """A one-dimensional array in PostgreSQL's binary form: 20 bytes of header, then (int32 length, value) each."""
    if value is None:  # of no rows
        return np.empty(0, np.dtype(kind).newbyteorder("="))
    items = np.frombuffer(value, np.dtype([("size", ">i4"), ("value", kind)]), offset=ARRAY_HEADER)
    return items["value"].astype(np.dtype(kind).newbyteorder("="))
