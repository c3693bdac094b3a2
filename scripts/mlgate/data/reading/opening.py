"""Opening files as one table, and reading it otherwise when a late value shows what it really is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config.settings import Read
from mlgate.data.reading import delimited, head, jsonlines, parquet, paths
from mlgate.data.reading.table import Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    import duckdb


def open_table(con: duckdb.DuckDBPyConnection, files: list[Path], shown: str, read: Read) -> Table:
    """The files as one table, in their order. Raises MlgateError for anything that cannot be read.

    Costs: of a Parquet file the footer is read, of a CSV file the first rows, of JSON lines everything, once.
    """
    if not files:
        raise MlgateError("holds no data file.", file=shown)
    names = paths.names(files, shown)
    formats = {file: head.format_of(file, names[file], read) for file in files}
    first = files[0]
    other = next((file for file in files if formats[file] != formats[first]), None)
    if other is not None:
        raise MlgateError(
            f"is {head.CALLED[formats[other]]}, and {names[first]} is {head.CALLED[formats[first]]}.",
            file=names[other],
            fix="Files that are read as one table have one format: name one kind of them, such as `data/*.csv`.",
        )
    packed = [head.compression(file, names[file], formats[file]) for file in files]
    if formats[first] == "parquet":
        return parquet.opened(con, names, shown)
    if formats[first] == "jsonl":
        return jsonlines.opened(con, names, shown, packed)
    return delimited.opened(con, names, shown, read, packed)


def recover(con: duckdb.DuckDBPyConnection, table: Table, error: duckdb.Error) -> Table:
    """After a scan failed: the table as the whole file shows it to be. Raises MlgateError for a broken file."""
    return table.recover(con, error)
