"""What a data file is to the engines: SQL to read it by, and its columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Format = Literal["csv", "parquet", "jsonl"]
Kind = Literal["integer", "number", "text", "boolean", "date", "timestamp", "other"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "number"),
    **dict.fromkeys(("VARCHAR", "ENUM", "UUID"), "text"),
    "BOOLEAN": "boolean",
    "DATE": "date",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMP_NS WITH TIME ZONE": "timestamp",
}


def kind(type_: str) -> Kind:
    """`other`: nested values, times without a date, bytes."""
    if type_.endswith("]"):
        return "other"
    return _KINDS.get(re.sub(r"\(.*", "", type_, flags=re.DOTALL).strip().upper(), "other")


@dataclass(frozen=True)
class Column:
    """A column: `type` as DuckDB writes it, and what a contract calls it."""

    name: str
    type: str

    @property
    def kind(self) -> Kind:
        return kind(self.type)


def _unrecoverable(_: DuckDBPyConnection, error: Exception) -> Table:
    raise error


@dataclass(frozen=True)
class Table:
    """One or several files of one format, read as one table.

    The types of a CSV file's columns, and of a JSON file's text, are what its first rows say, until the column itself
    has been read: reading it raises a duckdb.Error when a later value is of another type, and `recover` then gives the
    table that holds for the whole file. A check of a column's type must therefore read that column, too.
    """

    shown: str  # what the user calls it
    files: tuple[Path, ...]
    format: Format
    relation: str  # SQL for FROM: the columns, in the file's order
    numbered: str  # the same, with mlgate_file VARCHAR and mlgate_row BIGINT, which counts from 1 in each file
    columns: tuple[Column, ...]
    settled: bool = True  # the columns' types hold for the whole file
    recover: Callable[[DuckDBPyConnection, Exception], Table] = field(repr=False, compare=False, default=_unrecoverable)
    text: Callable[[], Table] | None = field(repr=False, compare=False, default=None)  # a text file's values as written
