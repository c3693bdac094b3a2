# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""Columns of both tables, from DuckDB: sorted numbers as numpy arrays, and counts of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlgate.data.drift import bins
from mlgate.data.engine.natives import view
from mlgate.data.engine.values import MOMENTS, NUMBERS, Field, field, name
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from mlgate.data.reading import Table


class Side:
    """A table, or the columns of it that were read once because its file would be parsed for each of them."""

    def __init__(self, con: DuckDBPyConnection, table: Table, source: str, rows: int) -> None:
        self.con, self.table, self.source, self.rows = con, table, source, rows

    def field(self, column: str) -> Field:
        return next(field(one) for one in self.table.columns if one.name == column)

    def sorted(self, column: str) -> NDArray[np.float64]:
        """The values that are there, as doubles; moments as microseconds."""
        import numpy as np  # noqa: PLC0415

        value = number(self.field(column))
        found: Any = self.con.execute(
            f"SELECT {value} AS v FROM {self.source} WHERE {name(column)} IS NOT NULL"
        ).fetchnumpy()["v"]
        # No value is masked: those that are missing were left out.
        plain = np.array(getattr(found, "data", found), dtype=np.float64)
        plain.sort()
        return plain


def number(one: Field) -> str:
    """SQL for a value as a double."""
    if one.sort in MOMENTS:
        return f"CAST(epoch_us(CAST({one.sql} AS {'TIMESTAMPTZ' if one.sort == 'zoned' else 'TIMESTAMP'})) AS DOUBLE)"
    return f"CAST({one.sql} AS DOUBLE)"


def sort(one: Field) -> str:
    """What a column holds, as drift tells them apart; empty for what it cannot measure."""
    if one.sort in MOMENTS:
        return "timestamps with a time zone" if one.sort == "zoned" else "dates"
    if one.sort in {"boolean", "text"}:
        return {"boolean": "true and false", "text": "text"}[one.sort]
    return "numbers" if one.sort in NUMBERS else ""


def opened(con: DuckDBPyConnection, table: Table, columns: Sequence[str], word: str) -> Side:
    """A table to be read column by column. Raises duckdb.Error where it cannot be read."""
    source = view(table)
    if table.format != "parquet":
        staged = f"mlgate_drift_{word}"
        names = ", ".join(name(column) for column in dict.fromkeys(columns)) or "1"
        con.execute(f"CREATE OR REPLACE TEMP TABLE {staged} AS SELECT {names} FROM {source}")
        source = staged
    return Side(con, table, source, int(con.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]))


def close(con: DuckDBPyConnection) -> None:
    for word in ("now", "reference"):
        con.execute(f"DROP TABLE IF EXISTS mlgate_drift_{word}")


def missing(reference: Side, now: Side, column: str) -> tuple[int, int]:
    """How many rows have no value, in the reference and now."""
    query = f"SELECT count(*) - count({name(column)}) FROM "
    then, here = (int(one.con.execute(query + one.source).fetchall()[0][0]) for one in (reference, now))
    return then, here


def categories(reference: Side, now: Side, column: str, lacking: tuple[int, int]) -> bins.Bins:
    """Counted where they are: of a column of a million names, two numbers come here."""
    key = name(column)
    counts = [
        f"SELECT {key} AS k, count(*) AS n FROM {one.source} WHERE {key} IS NOT NULL GROUP BY {key}"
        for one in (reference, now)
    ]
    # The rare ones come by how often they are there in the reference: a few hundred rows at the most.
    query = f"""
        WITH old AS ({counts[0]}), new AS ({counts[1]})
        SELECT old.n, CASE WHEN old.n >= {bins.RARE!r} * {reference.rows} THEN old.k END AS kept,
            sum(coalesce(new.n, 0)), count(*)
        FROM old FULL JOIN new ON old.k = new.k
        GROUP BY ALL
    """
    pairs, once, unseen, before, after = [], 0, 0, 0, 0
    for each, kept, here, many in reference.con.execute(query).fetchall():
        if each is None:
            unseen = int(here)
        elif kept is not None:
            pairs.append((int(each), int(here)))
        else:
            once += int(many) if each == 1 else 0
            before, after = before + int(each) * int(many), after + int(here)
    return bins.pooled(pairs, (before, after), once, unseen, lacking)


def staged_reference(con: DuckDBPyConnection, table: Table, columns: Sequence[str]) -> Side:
    """The reference; read in another way where a late value shows what a column really holds. Raises MlgateError."""
    import duckdb  # noqa: PLC0415

    from mlgate.data import reading  # noqa: PLC0415

    # Every recovery changes at least one column, so they come to an end.
    for _ in range(len(table.columns) + 3):
        try:
            return opened(con, table, columns, "reference")
        except duckdb.Error as error:
            table = reading.recover(con, table, error)
    raise MlgateError("reads differently each time it is read.", file=table.shown)


def readable(one: Side, columns: Sequence[str]) -> None:
    """Raises MlgateError when an error was this side's own."""
    import duckdb  # noqa: PLC0415

    from mlgate.data import reading  # noqa: PLC0415

    counts = ", ".join(f"max({name(column)})" for column in dict.fromkeys(columns)) or "count(*)"
    try:
        one.con.execute(f"SELECT {counts} FROM {one.source}").fetchall()
    except duckdb.Error as error:
        reading.recover(one.con, one.table, error)
        raise MlgateError("reads differently each time it is read.", file=one.table.shown) from error
