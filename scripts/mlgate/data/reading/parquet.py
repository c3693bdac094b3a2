"""Parquet files: read as DuckDB reads them, once they are known to be one table."""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.reading import columns, sql, troubles
from mlgate.data.reading.table import Column, Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A footer's least and greatest values leave out NaN: without the second option DuckDB would take them for all there is,
# and find no NaN in a column that is full of it.
_OPTIONS = "hive_partitioning = false, can_have_nan = true"


def opened(con: DuckDBPyConnection, names: Mapping[Path, str], shown: str) -> Table:
    """Raises MlgateError for files whose footer cannot be read, and for files that are not one table."""
    types: dict[Path, dict[str, str]] = {}
    for file, name in names.items():
        types[file] = _columns(con, file, name)
    first = next(iter(names))
    for file in names:
        columns.same(names[first], types[first], names[file], types[file])
    wanted = list(types[first])
    groups: dict[tuple[str, ...], list[Path]] = {}
    for file in names:
        groups.setdefault(tuple(types[file]), []).append(file)
    selected = ", ".join(map(sql.name, wanted))
    several = [f"SELECT {selected} FROM read_parquet({sql.paths(files)}, {_OPTIONS})" for files in groups.values()]

    def recover(_: DuckDBPyConnection, error: Exception) -> Table:
        name = troubles.named(error, names, shown)
        raise troubles.unreadable(error, name) from error

    return Table(
        shown=shown,
        files=tuple(file for files in groups.values() for file in files),
        format="parquet",
        relation=f"({' UNION ALL '.join(several)})",
        numbered=f"({' UNION ALL '.join(_numbered(selected, wanted, file, names[file]) for file in names)})",
        columns=tuple(Column(name, types[first][name]) for name in wanted),
        recover=recover,
    )


def _numbered(selected: str, wanted: list[str], file: Path, name: str) -> str:
    """By the file's own row numbers; where a column has their name, as the rows come."""
    taken = any(column.lower() == "file_row_number" for column in wanted)
    number = "row_number() OVER ()" if taken else "file_row_number + 1"
    option = "" if taken else ", file_row_number = true"
    return (
        f"SELECT {selected}, {sql.text(name)} AS mlgate_file, CAST({number} AS BIGINT) AS mlgate_row "
        f"FROM read_parquet({sql.paths([file])}, {_OPTIONS}{option})"
    )


def _columns(con: DuckDBPyConnection, file: Path, name: str) -> dict[str, str]:
    """Column -> type. DuckDB renames what occurs twice, so the names are read from the footer."""
    import duckdb  # noqa: PLC0415

    try:
        described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({sql.paths([file])}, {_OPTIONS})").fetchall()
        tree = con.execute(f"SELECT name, num_children FROM parquet_schema({sql.paths([file])})").fetchall()
    except duckdb.Error as error:
        if "encrypted" in str(error):
            raise MlgateError("is encrypted.", file=name, fix="Decrypt it: mlgate has no keys.") from error
        raise MlgateError(
            f"is no Parquet file that can be read ({troubles.first(error)}).",
            file=name,
            fix="It was truncated or damaged: fetch or write it anew.",
        ) from error
    found = _top(tree)
    if not found:
        raise MlgateError("has no columns.", file=name, fix="Write it anew.")
    columns.check(found, name)
    return {row[0]: str(row[1]) for row in described}


def _top(tree: list[tuple[str, int | None]]) -> list[str]:
    """The columns of a schema, which is listed depth first: a name, and how many below it."""
    found, place = [], 1

    def below(at: int) -> int:
        after = at + 1
        for _ in range(tree[at][1] or 0):
            after = below(after)
        return after

    while place < len(tree):
        found.append(tree[place][0])
        place = below(place)
    return found
