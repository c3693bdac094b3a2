# ruff: noqa: S608 -- the SQL of these tests is their own
"""Small tables for the tests of the engine: SQL written to a Parquet file, and opened as a user's file would be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from mlgate.config.settings import Read
from mlgate.data import engine, reading
from mlgate.data.nouns import Expectation, Outcome
from mlgate.data.reading import Table

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
C = "expect_column_"


def write(folder: Path, select: str, file: str = "data.parquet") -> Path:
    """The rows of a SELECT as a file. Its name says the format."""
    path = folder / file
    options = {".csv": "FORMAT csv, HEADER true", ".jsonl": "FORMAT json"}.get(path.suffix, "FORMAT parquet")
    con = duckdb.connect()
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"COPY ({select}) TO '{path}' ({options})")
    finally:
        con.close()
    return path


def column(folder: Path, type_: str, values: Sequence[str], name: str = "x", file: str = "data.parquet") -> Path:
    """One column of SQL constants."""
    rows = ", ".join(f"({i}, {constant(value, type_)})" for i, value in enumerate(values))
    rows = f"(VALUES {rows}) AS t(i, v)" if values else f"(SELECT 1 AS i, CAST(NULL AS {type_}) AS v LIMIT 0) AS t"
    return write(folder, f'SELECT v AS "{name}" FROM {rows} ORDER BY i', file)


def constant(value: str, type_: str) -> str:
    """Cast from text one by one: a list of mixed constants would be made decimals first, which know no NaN."""
    text = value if value == "NULL" or value.startswith("'") else f"'{value}'"
    return f"CAST({text} AS {type_})"


def opened(con: duckdb.DuckDBPyConnection, *paths: Path, shown: str = "") -> Table:
    return reading.open_table(con, list(paths), shown or paths[0].name, Read())


def check(
    path: Path, type_: str, /, *, memory_limit: str = "", others: dict[str, Path] | None = None, **kwargs: Any
) -> Outcome:
    """The outcome of one expectation. Its type may be written without `expect_column_`."""
    return checks(path, [(type_, kwargs)], memory_limit=memory_limit, others=others)[0]


def checks(
    path: Path,
    wanted: Sequence[tuple[str, dict[str, Any]]],
    *,
    memory_limit: str = "",
    others: dict[str, Path] | None = None,
) -> list[Outcome]:
    con = reading.connect(memory_limit)
    try:
        expectations = [Expectation(t if t.startswith("expect_") else C + t, kwargs) for t, kwargs in wanted]
        return engine.run(
            con,
            opened(con, path),
            expectations,
            now=NOW,
            other=lambda name: opened(con, (others or {})[name], shown=name),
        )
    finally:
        con.close()
