"""Tables of text files: columns read as text, each then as the type that all its values have.

The types are first those of the first rows, and the SQL stops at a value that is of another. `Typed.recover` then reads
the whole file once and settles every column, so that a file's types depend on nothing but its values.
"""

# ruff: noqa: S608 -- every name, path and constant is quoted by `sql`

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.reading import rungs, sql
from mlgate.data.reading.table import Column, Format, Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE = 25_000  # values looked at to begin with
_WIDE = 200  # with more columns, their types are found row by row: one aggregate for each would not end
_SLICE = 1_000  # columns read at a time then: DuckDB sets aside room for 2,048 rows of each
_VERY_WIDE = 1_000  # from here on DuckDB takes longer to plan the checks of first rows than to read all rows once
EMPTY = "empty"  # a column without a value so far


@dataclass(frozen=True)
class Group:
    """Files whose columns stand in one order, and how DuckDB reads them: a function and its options.

    `selected` is the SQL of each column in the order of the table, as text where it may become something else.
    """

    files: tuple[Path, ...]
    selected: tuple[str, ...]
    function: str
    options: str

    def scan(self, files: Sequence[Path], places: Iterable[int] | None = None) -> str:
        """SQL that gives the columns as c0, c1, ..., or only those at `places`."""
        wanted = range(len(self.selected)) if places is None else places
        columns = ", ".join(f"{self.selected[place]} AS c{place}" for place in wanted)
        return f"SELECT {columns} FROM {self.function}({sql.paths(files)}, {self.options})"


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

        places, group = self._open(), self.groups[0]
        if not places:
            return self._table(self._types({}), settled=True)
        if len(places) > _VERY_WIDE:
            return self.settled(con)
        limit = min(2_000, max(20, SAMPLE // len(places)))
        try:
            seen = {
                (place, value)
                for some in _slices(places)
                for row in con.execute(f"{group.scan(group.files[:1], some)} LIMIT {limit}").fetchall()
                for place, value in zip(some, row, strict=True)
                if value is not None
            }
        except duckdb.Error as error:
            return self._otherwise(error).opened(con)
        found: dict[int, int | None] = {}
        for allowed in set(self.allowed):
            values = [(place, value) for place, value in seen if self.allowed[place] == allowed]
            found |= dict(
                con.execute(
                    f"SELECT place, bit_and({rungs.fitting('v', allowed)}) "
                    "FROM (SELECT unnest($1::INTEGER[]) AS place, unnest($2::VARCHAR[]) AS v) GROUP BY place",
                    [[place for place, _ in values], [value for _, value in values]],
                ).fetchall()
            )
        return self._table(self._types(found), settled=False)

    def recover(self, con: DuckDBPyConnection, error: Exception) -> Table:
        """As the whole file is, after a value was of another type. Raises MlgateError when the file is broken."""
        if rungs.MARK not in str(error):
            return self._otherwise(error).opened(con)
        return self.settled(con)

    def settled(self, con: DuckDBPyConnection) -> Table:
        """As the whole file is: reads all of it."""
        import duckdb  # noqa: PLC0415

        try:
            bits = self._unpivoted(con) if len(self._open()) > _WIDE else self._aggregated(con)
        except duckdb.Error as error:
            return self._otherwise(error).settled(con)
        return self._table(self._types(bits), settled=True)

    def _everything(self, places: Sequence[int]) -> str:
        """SQL for these columns of all files."""
        return f"({' UNION ALL '.join(f'({group.scan(group.files, places)})' for group in self.groups)})"

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

    def _aggregated(self, con: DuckDBPyConnection) -> dict[int, int | None]:
        """The types that all values of each column fit; None without a value."""
        places = self._open()
        if not places:
            return {}
        sets = ", ".join(f"bit_and({rungs.fitting(f'c{place}', self.allowed[place])})" for place in places)
        found = con.execute(f"SELECT {sets} FROM {self._everything(places)}").fetchone()
        return dict(zip(places, found or (), strict=True))

    def _unpivoted(self, con: DuckDBPyConnection) -> dict[int, int | None]:
        """The same for any number of columns, a slice of them at a time."""
        found: dict[int, int | None] = {}
        for allowed in sorted(set(self.allowed)):
            places = [place for place in self._open() if self.allowed[place] == allowed]
            for some in _slices(places):
                rows = con.execute(
                    f"SELECT place, bit_and({rungs.fitting('v', allowed)}) FROM (SELECT unnest({some}) AS place, "
                    f"unnest([{', '.join(f'c{place}' for place in some)}]) AS v FROM {self._everything(some)}) "
                    "GROUP BY place"
                ).fetchall()
                found |= dict(rows)
        return found

    def _table(self, types: Sequence[Type], *, settled: bool) -> Table:
        several = [self._select(group.scan(group.files), types, settled=settled) for group in self.groups]
        numbered = [
            self._select(group.scan([file]), types, settled=settled, file=self.names[file])
            for group in self.groups
            for file in group.files
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
            text=lambda: self._table([self.given.get(place) for place in range(len(self.columns))], settled=True),
        )

    def _select(self, scan: str, types: Sequence[Type], *, settled: bool, file: str | None = None) -> str:
        """SQL for the typed columns; with the file's name and the row's number where `file` is given.

        A window over nothing numbers the rows as they come, and DuckDB keeps a file's rows in order.
        """
        inner, outer = [], []
        for place, (name, type_) in enumerate(zip(self.columns, types, strict=True)):
            v, x = f"c{place}", f"x{place}"
            inner.append(v)
            if isinstance(type_, rungs.Rung) and settled:
                v = rungs.known(v, type_)
            elif isinstance(type_, rungs.Rung):
                inner.append(f"{rungs.made(v, type_)} AS {x}")
                v = rungs.value(v, x, type_, place)
            elif type_ == EMPTY and not settled:
                v = rungs.nothing(v, place)
            outer.append(f"{v} AS {sql.name(name)}")
        if file is not None:
            inner.append("mlgate_row")
            outer += [f"{sql.text(file)} AS mlgate_file", "mlgate_row"]
            scan = f"SELECT *, row_number() OVER () AS mlgate_row FROM ({scan})"
        return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM ({scan}))"

    def _changed(self, con: DuckDBPyConnection, error: Exception) -> Table:
        """All values were of these types a moment ago."""
        import duckdb  # noqa: PLC0415

        if isinstance(error, duckdb.ConversionException):
            raise MlgateError("changed while it was read.", file=self.shown) from error
        return self._otherwise(error).settled(con)


def _slices(places: list[int]) -> Iterator[list[int]]:
    return (places[i : i + _SLICE] for i in range(0, len(places), _SLICE))


def _written(type_: Type) -> str:
    if isinstance(type_, rungs.Rung):
        return type_.type
    return "VARCHAR" if type_ in {None, EMPTY} else str(type_)


def longer(typed: Typed, long: int, old: str, new: str) -> Typed:
    """The same with another option for the reader."""
    groups = tuple(replace(group, options=group.options.replace(old, new)) for group in typed.groups)
    return replace(typed, groups=groups, long=long)
