# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""One pass over a file for all that its contract asks.

The pass is a single `SELECT aggregate, aggregate, ... FROM file`: aggregates that several expectations need are there
once. Only what its answers ask for follows: the rows of groups that are there twice, ties, values beyond a z-score, and
the first rows that break something, with their numbers. Distinct values and quantiles are taken out of the pass where
columns can be read one by one (Parquet, which is faster, too) and where the data may not fit the memory: there they are
computed in ways that spill or keep only counts. They are exact either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mlgate.data.engine import natives, ranks
from mlgate.data.engine.plan import NUMBERED, ROWS, VIEW, Plan, Values
from mlgate.data.engine.values import name, text
from mlgate.model import Example

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

_LONG = 200  # characters of a value that are shown
_BYTES = 32  # what a value costs in memory while it is sorted, or counted among the distinct ones
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


class Scan:
    """The answers of DuckDB about one table. `large`: memory matters more than the number of passes."""

    def __init__(self, con: DuckDBPyConnection, table: Table, *, large: bool = False) -> None:
        import duckdb  # noqa: PLC0415

        self.con, self.table, self.large = con, table, large
        self.engine = f"duckdb {duckdb.__version__}"
        self.view = natives.view(table)
        self.numbered = natives.view(table, numbered=True)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Raises duckdb.Error."""
        return self.con.execute(sql.replace(VIEW, self.view).replace(NUMBERED, self.numbered)).fetchall()

    def first(self, sql: str) -> tuple[Any, ...]:
        return self.ask(sql)[0]

    def values(self, plans: Sequence[Plan], columns: Sequence[str]) -> Values:
        """All that the plans need, in one pass; what is left for later is asked here too."""
        large = self.large or self.table.format == "parquet" or self._too_much(plans)
        needs = dict.fromkeys([ROWS, *(sql for plan in plans for sql in plan.needs)])
        distinct = {one.sql: one for plan in plans for one in plan.distinct}
        wanted = {one.inline: one for plan in plans for one in plan.ranks}
        if not large:
            needs |= dict.fromkeys([*distinct, *wanted])
        else:
            for one in wanted.values():
                needs |= dict.fromkeys([one.count, *ranks.bounds(one.sql, one.type)])
        answers = self.first(f"SELECT {', '.join(needs)} FROM {VIEW}")
        values = Values(dict(zip(needs, answers, strict=True)))
        if large and (distinct or wanted):
            self._apart(values, distinct, wanted, columns)
        return values

    def _apart(self, values: Values, distinct: dict[str, Any], wanted: dict[str, Any], columns: Sequence[str]) -> None:
        with self._staged(columns) as source:
            for sql, one in distinct.items():
                grouped = f"SELECT 1 FROM {source} WHERE {one.where} GROUP BY {', '.join(one.keys)}"
                values.found[sql] = self.first(f"SELECT count(*) FROM ({grouped})")[0]
            for sql, one in wanted.items():
                n = values.count(one.count)
                places = [rank.index(n) for rank in one.ranks] if n else []
                bounds = [values[end] for end in ranks.bounds(one.sql, one.type)]
                values.found[sql] = ranks.select(
                    self.ask, source, one.sql, one.type, found_bounds=bounds, places=places
                )

    @contextmanager
    def _staged(self, columns: Sequence[str]) -> Iterator[str]:
        """SQL for FROM. A text file would be parsed again for each column, so that these are kept for a while."""
        if self.table.format == "parquet":
            yield VIEW
            return
        file = Path(str(self.first("SELECT current_setting('temp_directory')")[0])) / f"{uuid4().hex}.parquet"
        names = ", ".join(name(column) for column in dict.fromkeys(columns))
        try:
            self.ask(f"COPY (SELECT {names} FROM {VIEW}) TO {text(str(file))} (FORMAT parquet)")
            # The footer's least and greatest values leave NaN out, and DuckDB would trust them.
            yield f"read_parquet({text(str(file))}, can_have_nan = true)"
        finally:
            file.unlink(missing_ok=True)

    def _too_much(self, plans: Sequence[Plan]) -> bool:
        """Whether holding every value of some columns could take a good part of the memory there is."""
        holding = len({one for plan in plans for one in (*plan.ranks, *plan.distinct)})
        if not holding:
            return False
        setting = str(self.first("SELECT current_setting('memory_limit')")[0])
        found = re.fullmatch(r"([\d.]+) ?([kmgt]?)i?b?(?:ytes)?", setting.lower())
        limit = float(found[1]) * _UNITS[found[2]] if found else 0.0
        return self._most_rows() * _BYTES * holding > limit / 4

    def _most_rows(self) -> int:
        packed: int = 20 if any(file.suffix in {".gz", ".zst"} for file in self.table.files) else 1
        # Every value takes a byte at the least: what separates it from the next.
        size = sum(file.stat().st_size for file in self.table.files)
        return int(size * packed // max(len(self.table.columns), 1))

    def examples(self, broken: Sequence[tuple[str, Sequence[str]]], most: int) -> list[tuple[Example, ...]]:
        """The first rows, in the order of the file, for which each condition is true, and some columns of them."""
        flags, found = [], []
        for i, (condition, columns) in enumerate(broken):
            flags.append(f"({condition}) AS mlgate_broken_{i}")
            shown = ", ".join(f"left(coalesce(CAST({name(column)} AS VARCHAR), 'NULL'), {_LONG})" for column in columns)
            found.append(
                f"arg_min(struct_pack(f := mlgate_file, r := mlgate_row, v := [{shown}]), "
                f"struct_pack(f := mlgate_file, r := mlgate_row), {most}) FILTER (WHERE mlgate_broken_{i})"
            )
        answers = self.first(f"SELECT {', '.join(found)} FROM (SELECT *, {', '.join(flags)} FROM {NUMBERED})")
        several = len(self.table.files) > 1
        return [
            tuple(
                Example(
                    row=one["r"],
                    values=dict(zip(columns, one["v"], strict=True)),
                    file=str(one["f"]) if several else "",
                )
                for one in rows or ()
            )
            for rows, (_, columns) in zip(answers, broken, strict=True)
        ]
