"""Rows in and out of PostgreSQL as its binary COPY format, packed and unpacked by numpy without a Python object a row.

The format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 (a header of 19 bytes, then for each
row an int16 field count and for each field an int32 length and the value, all big-endian, closed by an int16 of -1).
Only columns of fixed width that are never NULL fit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
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
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(pack(columns, values))


def copy_out(query: str, parameters: Sequence[object], columns: Columns) -> NDArray[Any]:
    """The rows of `query` (trusted text with placeholders) as a structured array (N,) in its column order."""
    with (
        connection.cursor() as cursor,
        # psycopg's own cursor: Django's wrapper, when it records queries, takes no parameters here
        cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", parameters) as copy,
    ):
        stream = b"".join(copy)
    return np.frombuffer(stream, row_type(columns), offset=len(HEADER), count=_rows(stream, columns))


def _rows(stream: bytes, columns: Columns) -> int:
    return (len(stream) - len(HEADER) - len(TRAILER)) // row_type(columns).itemsize
