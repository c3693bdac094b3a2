"""One file as the join reads it: its columns as arrays, its ids for people, and what is wrong with it in sentences."""

# ruff: noqa: S608 -- every name and constant is quoted by `sql`

from __future__ import annotations

import difflib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlgate.data import reading
from mlgate.data.aligned.nouns import File, Finding, Level, Side
from mlgate.data.reading import sql
from mlgate.data.reading.table import Column, Table
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN = 5  # ids told of each finding
_LONGEST = 80  # letters of an id
_TRIES = 8  # a text file's columns may each turn out to be of another type

Found = TypeVar("Found")


class RefusedError(Exception):
    """What a side, a group or a column cannot be used for."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(*map(str, findings))
        self.findings = findings


class Links:
    """A private folder in which files have the names that people gave them, whatever a cache calls them.

    It is removed with this object, or when the process ends.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mlgate-"))
        self._count = 0
        weakref.finalize(self, shutil.rmtree, str(self._folder), ignore_errors=True)

    def of(self, path: Path, shown: str) -> Path:
        self._count += 1
        parts = [part for part in Path(shown).parts if part not in {"..", "."} and not part.startswith("/")]
        link = self._folder.joinpath(str(self._count), *(parts or [path.name]))
        link.parent.mkdir(parents=True)
        link.symlink_to(path.absolute())
        return link


@dataclass
class Source:
    """`side` is None for the labels' file."""

    con: DuckDBPyConnection
    side: Side | None
    shown: str
    id: str
    table: Table
    links: Links = field(repr=False)  # kept as long as the file may be read

    @classmethod
    def opened(cls, con: DuckDBPyConnection, file: File, side: Side | None, id_: str, links: Links) -> Source:
        """Raises RefusedError for a file that cannot be read."""
        try:
            if file.path.is_dir():
                files = reading.resolve(file.path.parent, file.path.name)
            elif file.path.is_file():
                files = [links.of(file.path, file.shown)]
            else:
                raise MlgateError("is not there.", file=file.shown, fix="Fetch it, for example with `dvc pull`.")
            table = reading.open_table(con, files, file.shown, file.read)
        except MlgateError as error:
            raise RefusedError(_refusal(error, file.shown, side)) from error
        return cls(con, side, file.shown, id_, table, links)

    @property
    def where(self) -> str:
        return _where(self.shown, self.side)

    @property
    def columns(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.table.columns}

    def stable(self, work: Callable[[], Found]) -> Found:
        """What `work` makes of the columns as they are: it runs again when one turns out to be of another type.

        Raises RefusedError for a file that cannot be read to its end.
        """
        import duckdb  # noqa: PLC0415 -- `con` brought it

        try:
            for _ in range(_TRIES):
                try:
                    return work()
                except duckdb.Error as error:
                    self.table = reading.recover(self.con, self.table, error)
            raise MlgateError("changes while it is read.", file=self.shown)
        except MlgateError as error:
            raise RefusedError(_refusal(error, self.shown, self.side)) from error

    def require(self, name: str, key: str) -> Column:
        """A column; `key` is what of mlgate.yaml names it. Raises RefusedError when it is not there."""
        found = self.columns.get(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, self.columns, n=1)
        fix = f"It has {near[0]!r}: correct `{key}`." if near else f"Write it into the file, or correct `{key}`."
        if "__index_level_0__" in self.columns and self.id == name:
            fix = "It has an index of pandas without a name: name it before it is written, or reset it."
        raise RefusedError(self.finding(f"has no column {name!r} (`{key}`).", column=name, fix=fix))

    def scan(self, wanted: Mapping[str, str]) -> dict[str, Any]:
        """SQL expressions by a name of the caller's -> arrays in the file's order, masked where values are missing."""
        places = {name: f"v{place}" for place, name in enumerate(wanted)}
        listed = ", ".join(f"{wanted[name]} AS {place}" for name, place in places.items())
        found = self.con.execute(f"SELECT {listed} FROM {self.table.relation}").fetchnumpy()
        return {name: found.pop(place) for name, place in places.items()}

    def one(self, expression: str) -> Any:
        """An aggregate over all rows."""
        row = self.con.execute(f"SELECT {expression} FROM {self.table.relation}").fetchone()
        return row[0] if row else None

    def distinct(self, column: Column, most: int) -> list[str] | None:
        """The values of a column as text, sorted; None when there are more than `most`."""
        query = f"SELECT DISTINCT {sql.name(column.name)}::VARCHAR AS v FROM {self.table.relation} LIMIT {most + 2}"
        found = [str(row[0]) for row in self.con.execute(query).fetchall() if row[0] is not None]
        return sorted(found) if len(found) <= most else None

    def touch(self, column: Column) -> None:
        """Reads a column to its end, so that what is said of its type holds for the whole file."""
        if not self.table.settled:
            self.one(f"count({sql.name(column.name)})")

    def ids(self, rows: Sequence[int]) -> tuple[str, ...]:
        """The ids of the first few of these rows, which count from 0 in the file's order; long ones are cut."""
        found = [self.id_at(int(row)) for row in rows[:SHOWN]]
        return tuple(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..." for one in found)

    def id_at(self, row: int) -> str:
        """The id of a row."""
        from mlgate.data.aligned import ids  # noqa: PLC0415 -- it knows this module

        expression = ids.text(self.columns[self.id])
        query = f"SELECT {expression} FROM {self.table.relation} LIMIT 1 OFFSET {row}"
        found = self.con.execute(query).fetchone()
        return "(missing)" if found is None or found[0] is None else str(found[0])

    def finding(
        self,
        message: str,
        *,
        column: str = "",
        count: int = 0,
        rows: Sequence[int] = (),
        level: Level = "error",
        fix: str = "",
        examples: tuple[str, ...] = (),
    ) -> Finding:
        """`rows` are those whose ids are told."""
        known = self.id in self.columns and len(rows) > 0
        return Finding(
            side=self.side,
            sentence=str(MlgateError(message, file=self.where)),
            file=self.shown,
            column=column,
            count=count,
            examples=examples or (self.ids(rows) if known else ()),
            level=level,
            fix=fix,
        )


def _where(shown: str, side: Side | None) -> str:
    return f"{shown} ({side})" if side is not None else shown


def _refusal(error: MlgateError, shown: str, side: Side | None) -> Finding:
    """A file inside a folder keeps its own name."""
    said = MlgateError(error.message, file=_where(error.file or shown, side), line=None, key=error.key)
    line = f" (line {error.line})" if error.line else ""
    return Finding(side=side, sentence=f"{said}{line}", file=shown, fix=error.fix)
