"""Evaluation rows that a model was trained on: what was measured on them is memory."""
# ruff: noqa: S608 -- names and paths are quoted; nothing else of the queries comes from outside

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import Config
from mlgate.config.settings import EvaluationSet
from mlgate.data.reading import sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

_SHOWN = 5


@dataclass(frozen=True)
class Overlap:
    """How many of the evaluation rows are training rows, and the first ids of them."""

    rows: int
    of: int
    examples: tuple[str, ...] = ()


def told_apart(config: Config, evaluation: EvaluationSet) -> tuple[str, ...]:
    """The columns that tell rows apart in training and evaluation data; none where nothing says so.

    `data[].apart_by` of the evaluation data is made for this; else `columns.id`.
    """
    path = config.path(evaluation.data) if evaluation.data else ""
    entry = next((one for one in config.data if config.path(one.path) == path), None)
    if entry is not None and entry.apart_by:
        return tuple(entry.apart_by)
    return (evaluation.columns.id,) if evaluation.columns.id else tuple((entry.id or ()) if entry else ())


def lacking(table: Table, by: Sequence[str]) -> list[str]:
    """The columns that a table does not have."""
    return [name for name in by if name not in {column.name for column in table.columns}]


def find(con: DuckDBPyConnection, evaluation: Table, training: Table, by: Sequence[str], id_: str | None) -> Overlap:
    """The evaluation rows whose `by` is that of a training row. A row with a missing value in it is like no other.

    Raises duckdb.Error; both tables have all the columns.
    """
    shared = f"{evaluation.relation} e SEMI JOIN {training.relation} t ON {_on(evaluation, training, by)}"
    count = con.execute(f"SELECT count(*) FROM {shared}").fetchone() or (0,)
    of = con.execute(f"SELECT count(*) FROM {evaluation.relation}").fetchone() or (0,)
    shown = sql.name(id_ or by[0])
    found = con.execute(f"SELECT e.{shown}::VARCHAR FROM {shared} LIMIT {_SHOWN}").fetchall() if count[0] else []
    return Overlap(int(count[0]), int(of[0]), tuple(str(row[0]) for row in found))


def listed(evaluation: Table, training: Table, by: Sequence[str], id_: str, side: str) -> str:
    """SQL for the ids of these rows, with the side whose training rows they are: columns `id` and `side`."""
    on = _on(evaluation, training, by)
    return (
        f"SELECT e.{sql.name(id_)}::VARCHAR AS id, '{side}' AS side "
        f"FROM {evaluation.relation} e SEMI JOIN {training.relation} t ON {on}"
    )


def write(con: DuckDBPyConnection, queries: Sequence[str], to: Path) -> None:
    """All of them as one Parquet file."""
    both = " UNION ALL ".join(queries)
    con.execute(f"COPY (SELECT DISTINCT * FROM ({both}) ORDER BY side, id) TO {sql.text(str(to))} (FORMAT parquet)")


def _on(evaluation: Table, training: Table, by: Sequence[str]) -> str:
    """A value that is a number on one side and text on the other is the same value."""
    types = [{column.name: column.kind for column in table.columns} for table in (evaluation, training)]
    parts = []
    for name in by:
        text = "::VARCHAR" if types[0][name] != types[1][name] else ""
        parts.append(f"e.{sql.name(name)}{text} = t.{sql.name(name)}{text}")
    return " AND ".join(parts)
