"""Predictions of up to three models joined by id to the labels of one evaluation set: `Rows` for the judge.

- The labels' file decides which rows there are and in which order. Labels, weights, clusters, queries and groups come
  from it alone; what a predictions file says of them is not read.
- **Ids** of a predictions file may stand in any order, but have to be those of the labels, each once. A side where
  they are not is an error with its counts, and never joined as far as it goes. Whole numbers and their plain text are
  the same id, whatever the size: 7, 7.0 and "7". Text is compared letter by letter: "007" is neither "7" nor 7.
- Nothing that is missing or not a number comes through: each such value is counted and told with its first ids.

What is wrong with one side leaves that side out, what is wrong with a group leaves that group out, and what is wrong
with the labels leaves nothing. `read` raises nothing for what a file holds: everything is a `Finding`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgate.data.aligned.nouns import SIDES, Aligned, Asked, File, Finding, Level, Made, Side

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["SIDES", "Aligned", "Asked", "File", "Finding", "Level", "Made", "Side", "read"]


def read(con: DuckDBPyConnection, asked: Asked) -> Aligned:
    """Reads the columns that `asked` names and no others, once each.

    `con` is one of `reading.connect` and has to stay open as long as `Rows.id_of` is called.
    """
    from mlgate.data.aligned.joining import read as joined  # noqa: PLC0415 -- needs numpy

    return joined(con, asked)
