"""CSV logs: read once, as text, strictly; a line of too few or too many values is counted and kept apart."""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgate.data.reading import sql
from mlgate.errors import MlgateError
from mlgate.watch.logs import sample
from mlgate.watch.logs.nouns import File

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.watch.logs.gathered import Gathered

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][-+]?\d+)?\Z|-?\.\d+\Z|(?i:-?inf|-?infinity|nan)\Z")
_LOOKED = 5_000  # rows


@dataclass(frozen=True)
class Delimited:
    """What a table of text holds: column -> the type that its values have, and lines that are not in it."""

    types: Mapping[str, str]
    rejected: tuple[tuple[str, int, str], ...]
    unfinished: int  # of these, last lines that were not yet written to their end


def read(con: DuckDBPyConnection, gathered: Gathered, table: str) -> Delimited:
    """Make the temporary table of all lines of all files. Raises MlgateError for other columns, and for open quotes."""
    columns: dict[str, None] = {}
    parts, rejected, unfinished = [], [], 0
    for number, file in enumerate(one for one in gathered.files if one.size):
        header, delimiter = _header(file)
        columns |= dict.fromkeys(header)
        texts = ", ".join(f"{sql.name(name)}: 'VARCHAR'" for name in header)
        part = f"{table}_{number}"
        con.execute(
            f"CREATE TEMP TABLE {part} AS SELECT * FROM read_csv({sql.paths([file.path])}, auto_detect = false, "
            f"columns = {{{texts}}}, header = true, delim = {sql.text(delimiter)}, quote = '\"', escape = '\"', "
            f"compression = {sql.text(file.packed)}, ignore_errors = true, store_rejects = true, strict_mode = true, "
            f"rejects_table = {sql.text(part + '_bad')}, rejects_scan = {sql.text(part + '_scan')}, rejects_limit = 0, "
            "hive_partitioning = false)"
        )
        parts.append(f"SELECT * FROM {part}")
        bad = con.execute(
            f"SELECT line, any_value(csv_line), bool_or(error_type = 'UNQUOTED VALUE') FROM {part}_bad GROUP BY line "
            "ORDER BY line"
        ).fetchall()
        con.execute(f"DROP TABLE {part}_bad; DROP TABLE {part}_scan")
        open_ = next((line for line, _, unquoted in bad if unquoted), None)
        half = _half(file)
        if open_ is not None and not half:
            raise MlgateError(
                "has a quote that is never closed.",
                file=file.shown,
                line=int(open_),
                fix="Write quotes inside of values twice.",
            )
        unfinished += bool(bad and half)
        rejected += [(file.shown, int(line), str(text or "")) for line, text, _ in bad]
    con.execute(f"CREATE TEMP TABLE {table} AS {' UNION ALL BY NAME '.join(parts)}")
    for number in range(len(parts)):
        con.execute(f"DROP TABLE {table}_{number}")
    return Delimited(_types(con, table, list(columns)), tuple(rejected), unfinished)


def cast(column: str, type_: str) -> str:
    """SQL of a column in its type."""
    name = sql.name(column)
    return name if type_ == "VARCHAR" else f"TRY_CAST({name} AS {type_}) AS {name}"


def _types(con: DuckDBPyConnection, table: str, columns: list[str]) -> dict[str, str]:
    """By the first values of each column. Those that do not fit after all are counted by who converts them."""
    rows = con.execute(f"SELECT {', '.join(map(sql.name, columns))} FROM {table} LIMIT {_LOOKED}").fetchall()
    found = {}
    for place, column in enumerate(columns):
        kinds = Counter(_kind(row[place]) for row in rows if row[place] is not None)
        found[column] = sample.type_of(sample.chosen(kinds))
    return found


def _kind(text: str) -> str:
    if _NUMBER.match(text):
        return "number"
    if text in {"true", "false", "True", "False", "TRUE", "FALSE"}:
        return "boolean"
    return sample.kind(text)


def _header(file: File) -> tuple[list[str], str]:
    if file.packed == "zstd":
        raise MlgateError("is packed with zstd.", file=file.shown, fix="Pack CSV logs with gzip, or log JSON lines.")
    with gzip.open(file.path) if file.packed == "gzip" else file.path.open("rb") as stream:
        line = stream.readline(2**20).decode("utf-8-sig", "replace")
    delimiter = max(",;\t|", key=line.count)
    names = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
    lower = [name.lower() for name in names]
    if not all(names) or len(set(lower)) < len(lower):
        raise MlgateError(
            "has a header in which a name is empty or there twice.",
            file=file.shown,
            line=1,
            fix="Name every column once.",
        )
    return names, delimiter


def _half(file: File) -> bool:
    """Whether the last line has no end."""
    if file.packed != "none":
        return False
    with file.path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
