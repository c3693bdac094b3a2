"""Predictions that were made again against the committed ones, row by row: by their id, else in their order.

NaN never agrees with anything. Tolerances are absolute. A missing value agrees with a missing value.
"""
# ruff: noqa: S608 -- column names are quoted; nothing else of the query comes from outside

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.model import Example
from mlgate.train.agreement import Agreement

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Column, Table

_SHOWN = 5


@dataclass(frozen=True)
class Tables:
    """Two files, or folders of files; `shown` is what sentences call them."""

    con: DuckDBPyConnection
    committed: Path
    again: Path
    shown: str


def compare(tables: Tables, *, by: str | None, tolerance: float) -> Agreement:
    """Raises MlgateError for a file that cannot be read, or has no column `by`."""
    then = _open(tables, tables.committed, f"{tables.shown} (committed)")
    now = _open(tables, tables.again, tables.shown)
    return _Comparison(tables.con, then, now, by, tolerance).result(tables.shown)


def _open(tables: Tables, path: Path, shown: str) -> Table:
    from mlgate.data import reading  # noqa: PLC0415 -- needs DuckDB

    return reading.open_table(tables.con, reading.resolve(path.parent, path.name), shown, Read())


@dataclass
class _Comparison:
    con: DuckDBPyConnection
    then: Table
    now: Table
    by: str | None
    tolerance: float

    def result(self, shown: str) -> Agreement:
        before, after = _columns(self.then), _columns(self.now)
        if self.by is not None and not (self.by in before and self.by in after):
            raise MlgateError(
                f"has no column {self.by!r} to tell its rows apart by.", file=shown,
                fix="Correct `columns.id` in mlgate.yaml.",
            )  # fmt: skip
        wrong = [f"column {name} is gone" for name in before if name not in after]
        wrong += [f"column {name} is new" for name in after if name not in before]
        rows = self._one(f"SELECT count(*) FROM {self.now.relation}")
        if not rows or not self._one(f"SELECT count(*) FROM {self.then.relation}"):
            return Agreement(0, (*wrong, "there are no rows" if not rows else "no rows are committed"))
        if twice := list(self._twice()):
            return Agreement(rows, (*wrong, *twice))
        wrong += self._lost(before, after)
        if not wrong and not before.keys() - {self.by}:
            wrong.append(f"there is nothing beside {self.by} to compare")
        return self._values(rows, wrong, before, after)

    @property
    def _key(self) -> str:
        return _name(self.by) if self.by is not None else "mlgate_place"

    def _side(self, table: Table) -> str:
        if self.by is not None:
            return f"(SELECT * FROM {table.relation})"
        # Rows are counted within each file of a folder; here through all of them.
        return f"(SELECT *, row_number() OVER (ORDER BY mlgate_file, mlgate_row) AS mlgate_place FROM {table.numbered})"

    def _on(self, before: dict[str, Column], after: dict[str, Column]) -> str:
        """An id that is a number on one side and text on the other is the same id."""
        text = "::VARCHAR" if self.by is not None and before[self.by].type != after[self.by].type else ""
        return f"a.{self._key}{text} = b.{self._key}{text}"

    def _twice(self) -> Iterator[str]:
        for table, word in ((self.then, "committed"), (self.now, "made again")) if self.by is not None else ():
            several = f"SELECT {self._key} FROM {table.relation} GROUP BY 1 HAVING count(*) > 1 OR {self._key} IS NULL"
            count, ids = self._ids(several)
            if count:
                yield f"{count:,} ids of the rows {word} are there several times or missing ({_some(ids)})"

    def _lost(self, before: dict[str, Column], after: dict[str, Column]) -> Iterator[str]:
        what = "ids" if self.by is not None else "rows"
        a, b = self._side(self.then), self._side(self.now)
        for one, other, word in (("a", "b", "are missing"), ("b", "a", "are new")):
            sides = {"a": a, "b": b}
            apart = f"{sides[one]} {one} ANTI JOIN {sides[other]} {other} ON {self._on(before, after)}"
            count, ids = self._ids(f"SELECT {one}.{self._key} FROM {apart}")
            if count:
                yield f"{count:,} {what} {word} ({_some(ids)})"

    def _values(self, rows: int, wrong: list[str], before: dict[str, Column], after: dict[str, Column]) -> Agreement:
        """All columns in one pass; the rows that differ are fetched only when there are some."""
        both = f"{self._side(self.then)} a JOIN {self._side(self.now)} b ON {self._on(before, after)}"
        shared: list[tuple[str, str, bool]] = []
        for name, column in before.items():
            if name == self.by or name not in after:
                continue
            number = _numeric(column.type)
            if number != _numeric(after[name].type):
                wrong.append(f"{name} is {after[name].type} and was {column.type}")
                continue
            a, b = f"a.{_name(name)}", f"b.{_name(name)}"
            shared.append((name, self._differs(a, b) if number else f"{a} IS DISTINCT FROM {b}", number))
        asked = []
        for name, differs, number in shared:
            apart = f"abs(a.{_name(name)}::DOUBLE - b.{_name(name)}::DOUBLE)"
            asked += [f"count(*) FILTER (WHERE {differs})"]
            asked += [f"max({apart}) FILTER (WHERE isfinite({apart}))" if number else "0"]
        seen = self._row(f"SELECT {', '.join(asked)} FROM {both}") if asked else ()
        largest, examples = 0.0, list[Example]()
        for place, (name, differs, _) in enumerate(shared):
            count, most = seen[2 * place], float(seen[2 * place + 1] or 0.0)
            largest = max(largest, most)
            if count:
                by_how_much = f", by up to {most:.6g}" if most else ""
                wrong.append(f"{name} differs in {count:,} of {rows:,} rows{by_how_much}")
                examples += self._examples(name, both, differs)
        return Agreement(rows, tuple(wrong), largest, tuple(examples[:_SHOWN]))

    def _differs(self, a: str, b: str) -> str:
        x, y = f"{a}::DOUBLE", f"{b}::DOUBLE"
        same = f"({a} = {b} OR abs({x} - {y}) <= {self.tolerance!r}::DOUBLE) AND NOT isnan({x}) AND NOT isnan({y})"
        return f"(({a} IS NULL) <> ({b} IS NULL) OR NOT coalesce({same}, true))"

    def _examples(self, name: str, both: str, differs: str) -> Iterator[Example]:
        column = _name(name)
        query = f"SELECT a.{self._key}, a.{column}, b.{column} FROM {both} WHERE {differs} ORDER BY 1 LIMIT {_SHOWN}"
        for key, was, is_ in self.con.execute(query).fetchall():
            values = {self.by: str(key)} if self.by is not None else {}
            values |= {f"{name}, committed": str(was), name: str(is_)}
            yield Example(row=int(key) if self.by is None else None, values=values)

    def _row(self, query: str) -> tuple[Any, ...]:
        return tuple(self.con.execute(query).fetchone() or ())

    def _one(self, query: str) -> int:
        return int(self._row(query)[0])

    def _ids(self, query: str) -> tuple[int, list[str]]:
        count = self._one(f"SELECT count(*) FROM ({query})")
        return count, [str(row[0]) for row in self.con.execute(f"{query} LIMIT {_SHOWN}").fetchall()] if count else []


_NUMBERS = frozenset(
    f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER", "FLOAT", "DOUBLE"}  # fmt: skip


def _numeric(kind: str) -> bool:
    return kind in _NUMBERS or kind.startswith("DECIMAL")


def _columns(table: Table) -> dict[str, Column]:
    return {column.name: column for column in table.columns}


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _some(ids: list[str]) -> str:
    return ", ".join(ids) + (", ..." if len(ids) == _SHOWN else "")
