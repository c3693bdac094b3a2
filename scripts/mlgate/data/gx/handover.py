# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Columns of a table as a Parquet file that another process can read, with no value changed on the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.engine.values import name, text
from mlgate.data.nouns import Expectation
from mlgate.model import Example

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

FILE, ROW = "mlgate_file", "mlgate_row"
# What these look at is how a value is written. In a text file that is what stands there, whatever it was taken for: a
# column of dates is text to them, as it is to whoever reads the file with pandas.
_OF_TEXT = re.compile(
    r"expect_column_value_lengths_.*|expect_column_values_to_(not_)?match_(regex(_list)?|strftime_format|json_schema)"
    r"|expect_column_values_to_be_(dateutil|json)_parseable"
)
_LONG = 200  # characters of a value that are shown
# Parquet would make doubles of these, which do not hold their digits: the worker makes Python's integers of the text.
_HUGE = frozenset({"HUGEINT", "UHUGEINT", "BIGNUM", "VARINT"})
# Types that Parquet and pandas both know. Others are handed over as DuckDB writes them.
_PLAIN = re.compile(
    r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|VARCHAR|BLOB|DATE|TIME"
    r"|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|.*\[\d*\]|STRUCT\(.*\)|MAP\(.*\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class HandOver:
    """The file, the columns in it, and which of them hold integers written as text."""

    path: Path
    columns: tuple[str, ...]
    huge: tuple[str, ...] = ()
    several: bool = False  # the table is made of several files
    written: tuple[str, ...] = ()  # columns that are there a second time, as text, in `text_path`

    @property
    def text_path(self) -> Path:
        return self.path.with_name("text.parquet")


def of_text(expectation: Expectation) -> bool:
    """Whether it is about how values are written."""
    return _OF_TEXT.fullmatch(expectation.type) is not None


def needed(expectations: Sequence[Expectation], table: Table) -> list[str]:
    """The columns that the expectations look at, in the order of the table; all where one cannot tell."""
    whole = any(not e.columns or e.kwargs.get("row_condition") is not None for e in expectations)
    wanted = {column for e in expectations for column in e.columns}
    return [column.name for column in table.columns if whole or column.name in wanted]


def write(con: DuckDBPyConnection, table: Table, expectations: Sequence[Expectation], folder: Path) -> HandOver:
    """Rows in the order of the files. Raises duckdb.Error where the table cannot be read."""
    columns = needed(expectations, table)
    types = {column.name: column.type.upper() for column in table.columns}
    written = [
        name(column) if _PLAIN.fullmatch(types[column]) else f"CAST({name(column)} AS VARCHAR) AS {name(column)}"
        for column in columns
    ]
    path = folder / "data.parquet"
    con.execute(
        f"COPY (SELECT {', '.join([*written, FILE, ROW])} FROM {table.numbered} ORDER BY {FILE}, {ROW}) "
        f"TO {text(str(path))} (FORMAT parquet)"
    )
    huge = tuple(column for column in columns if types[column] in _HUGE)
    about = {column for e in expectations if of_text(e) for column in e.columns}
    texts = [column for column in columns if column in about and types[column] != "VARCHAR"] if table.text else []
    given = HandOver(path, tuple(columns), huge, len(table.files) > 1, tuple(texts))
    if table.text is not None and texts:
        con.execute(
            f"COPY (SELECT {', '.join(map(name, texts))} FROM {table.text().numbered} ORDER BY {FILE}, {ROW}) "
            f"TO {text(str(given.text_path))} (FORMAT parquet)"
        )
    return given


def examples(
    con: DuckDBPyConnection, given: HandOver, rows: Sequence[int], columns: Sequence[str], *, written: bool = False
) -> tuple[Example, ...]:
    """The rows at these places (counted from 0) of the hand-over, with their numbers in the user's file.

    `written`: with the values as they are written, of columns of which both are there.
    """
    if not rows:
        return ()
    source = given.text_path if written and columns and set(columns) <= set(given.written) else given.path
    shown = ", ".join(f"left(coalesce(CAST(v.{name(column)} AS VARCHAR), 'NULL'), {_LONG})" for column in columns)
    found = con.execute(
        f"SELECT n.{ROW}, n.{FILE}, [{shown}] FROM read_parquet({text(str(given.path))}, file_row_number = true) AS n "
        f"JOIN read_parquet({text(str(source))}, file_row_number = true) AS v USING (file_row_number) "
        f"WHERE file_row_number IN ({', '.join(str(int(row)) for row in rows)}) ORDER BY file_row_number"
    ).fetchall()
    return tuple(
        Example(row=row, values=dict(zip(columns, values, strict=True)), file=str(file) if given.several else "")
        for row, file, values in found
    )
