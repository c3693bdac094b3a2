"""Tables of text files: columns read as text, each then as the type that all its values have.

The types are first those of the first rows, and the SQL stops at a value that is of another. `Typed.recover` then reads
the whole file once and settles every column, so that a file's types depend on nothing but its values.
"""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.reading import rungs, sql
from mlgate.data.reading.table import Column, Format, Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE = 100_000  # values looked at to begin with
_WIDE = 200  # with more columns, their types are found row by row: one aggregate for each would not end
EMPTY = "empty"  # a column without a value so far


@dataclass(frozen=True)
class Group:
    """Files whose columns stand in one order: SQL that reads them, before and after the list of their paths.

    It gives the columns c0, c1, ... in the order of the table, as text where they may become something else.
    """

    files: tuple[Path, ...]
    before: str
    after: str

    def scan(self, files: Sequence[Path]) -> str:
        return f"{self.before}{sql.paths(files)}{self.after}"


Type = rungs.Rung | str | None  # None: text. A str: EMPTY, or the type in which the reader itself gives the column


@dataclass(frozen=True)
class Typed:
    """How text files become a table."""

    shown: str
    names: Mapping[Path, str]
    format: Format
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    allowed: tuple[int, ...]  # the types that a column may have, as the bits of `rungs`
    given: Mapping[int, str]  # column -> the type the reader gives it
    explain: Callable[[Typed, Exception], MlgateError | Typed]  # what an error of DuckDB means; or how to read instead
    long: int = 0

    def opened(self, con: DuckDBPyConnection) -> Table:
        """As the first rows are. Raises MlgateError when not even those can be read."""
        import duckdb  # noqa: PLC0415

        rows = max(20, SAMPLE // max(len(self.columns), 1))
        group = self.groups[0]
        try:
            bits = self._unpivoted(con, f"({group.scan(group.files[:1])} LIMIT {rows})")
        except duckdb.Error as error:
            return self._otherwise(error).opened(con)
        return self._table(self._types(bits), settled=False)

    def recover(self, con: DuckDBPyConnection, error: Exception) -> Table:
        """As the whole file is, after a value was of another type. Raises MlgateError when the file is broken."""
        if rungs.MARK not in str(error):
            return self._otherwise(error).opened(con)
        return self.settled(con)

    def settled(self, con: DuckDBPyConnection) -> Table:
        """As the whole file is: reads all of it."""
        import duckdb  # noqa: PLC0415

        everything = f"({' UNION ALL '.join(f'({group.scan(group.files)})' for group in self.groups)})"
        read = self._unpivoted if len(self.columns) > _WIDE else self._aggregated
        try:
            bits = read(con, everything)
        except duckdb.Error as error:
            return self._otherwise(error).settled(con)
        return self._table(self._types(bits), settled=True)

    def _otherwise(self, error: Exception) -> Typed:
        found = self.explain(self, error)
        if isinstance(found, MlgateError):
            raise found from error
        return found

    def _types(self, bits: Mapping[int, int | None]) -> list[Type]:
        def of(place: int) -> Type:
            if place in self.given:
                return self.given[place]
            found = bits.get(place)
            return EMPTY if found is None else rungs.chosen(found)

        return [of(place) for place in range(len(self.columns))]

    def _open(self) -> list[int]:
        return [place for place in range(len(self.columns)) if place not in self.given]

    def _aggregated(self, con: DuckDBPyConnection, source: str) -> dict[int, int | None]:
        """The types that all values of each column fit; None without a value."""
        places = self._open()
        if not places:
            return {}
        sets = [f"bit_and({rungs.fitting(f'c{place}', self.allowed[place])})" for place in places]
        found = con.execute(f"SELECT {', '.join(sets)} FROM {source}").fetchone()
        return dict(zip(places, found or (), strict=True))

    def _unpivoted(self, con: DuckDBPyConnection, source: str) -> dict[int, int | None]:
        """The same for any number of columns, slower."""
        found: dict[int, int | None] = {}
        for allowed in sorted(set(self.allowed)):
            places = [place for place in self._open() if self.allowed[place] == allowed]
            if not places:
                continue
            rows = con.execute(
                f"SELECT place, bit_and({rungs.fitting('v', allowed)}) FROM (SELECT unnest({places}) AS place, "
                f"unnest([{', '.join(f'c{place}' for place in places)}]) AS v FROM {source}) GROUP BY place"
            ).fetchall()
            found |= dict(rows)
        return found

    def _table(self, types: Sequence[Type], *, settled: bool) -> Table:
        several = [self._select(group.scan(group.files), types) for group in self.groups]
        numbered = [
            self._select(group.scan([file]), types, self.names[file]) for group in self.groups for file in group.files
        ]
        return Table(
            shown=self.shown,
            files=tuple(file for group in self.groups for file in group.files),
            format=self.format,
            relation=f"({' UNION ALL '.join(several)})",
            numbered=f"({' UNION ALL '.join(numbered)})",
            columns=tuple(Column(name, _written(type_)) for name, type_ in zip(self.columns, types, strict=True)),
            settled=settled,
            recover=self.recover if not settled else self._changed,
        )

    def _select(self, scan: str, types: Sequence[Type], file: str | None = None) -> str:
        """SQL for the typed columns; with the file's name and the row's number where `file` is given.

        A window over nothing numbers the rows as they come, and DuckDB keeps a file's rows in order.
        """
        inner, outer = [], []
        for place, (name, type_) in enumerate(zip(self.columns, types, strict=True)):
            v, x = f"c{place}", f"x{place}"
            inner.append(v)
            if isinstance(type_, rungs.Rung):
                inner.append(f"{rungs.made(v, type_)} AS {x}")
                v = rungs.value(v, x, type_, place)
            elif type_ == EMPTY:
                v = rungs.nothing(v, place)
            outer.append(f"{v} AS {sql.name(name)}")
        if file is not None:
            inner.append("mlgate_row")
            outer += [f"{sql.text(file)} AS mlgate_file", "mlgate_row"]
            scan = f"SELECT *, row_number() OVER () AS mlgate_row FROM ({scan})"
        return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM ({scan}))"

    def _changed(self, con: DuckDBPyConnection, error: Exception) -> Table:
        """All values were of these types a moment ago."""
        if rungs.MARK in str(error):
            raise MlgateError("changed while it was read.", file=self.shown) from error
        return self._otherwise(error).settled(con)


def _written(type_: Type) -> str:
    if isinstance(type_, rungs.Rung):
        return type_.type
    return "VARCHAR" if type_ in {None, EMPTY} else str(type_)


def longer(typed: Typed, long: int, old: str, new: str) -> Typed:
    """The same with another option for the reader."""
    groups = tuple(replace(group, after=group.after.replace(old, new)) for group in typed.groups)
    return replace(typed, groups=groups, long=long)
