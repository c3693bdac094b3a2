"""Rows that were logged twice: found exactly, by request and row, at the cost of one number a row."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def repeated(con: DuckDBPyConnection, relation: str, at: tuple[str, ...], name: str) -> tuple[int, int]:
    """Make the temporary table `name` of the rows (by the columns `at`) that are there again.

    Returns how many, and how many of them say something else than the row that is kept: the earliest, or the first.
    The table is made only where there are any.
    """
    key = "hash(request_id, row)"
    told = f"{relation} WHERE request_id IS NOT NULL"
    con.execute(f"CREATE TEMP TABLE {name}_keys AS SELECT {key} AS k FROM {told} GROUP BY ALL HAVING count(*) > 1")
    try:
        if not con.execute(f"SELECT count(*) FROM {name}_keys").fetchall()[0][0]:
            return 0, 0
        place = ", ".join(at)
        # Few have the same hash, so what is exact is asked of few.
        con.execute(
            f"CREATE TEMP TABLE {name} AS SELECT {place}, differs FROM ("
            f"SELECT {place}, row_number() OVER w AS n, (time, prediction, score) IS DISTINCT FROM "
            f"first_value((time, prediction, score)) OVER w AS differs FROM ("
            f"SELECT {place}, request_id, row, time, prediction, score FROM {told} AND {key} IN (FROM {name}_keys)) "
            f"WINDOW w AS (PARTITION BY request_id, row ORDER BY time, {place} "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) WHERE n > 1"
        )
        many, differ = con.execute(f"SELECT count(*), count(*) FILTER (differs) FROM {name}").fetchall()[0]
        return int(many), int(differ)
    finally:
        con.execute(f"DROP TABLE {name}_keys")
