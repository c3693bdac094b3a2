"""A repository of data files, and what is read from them."""

# ruff: noqa: S608 -- relations made by mlgate itself

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlgate.config.settings import Read
from mlgate.data import reading
from mlgate.data.reading import sql
from mlgate.data.reading.table import Table


@dataclass
class Data:
    root: Path

    @cached_property
    def con(self) -> Any:
        return reading.connect("1GB", self.root)

    def write(self, file: str, content: bytes | str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def open(self, path: str, read: Read | None = None) -> Table:
        return reading.open_table(self.con, reading.resolve(self.root, path), path, read or Read())

    def read(self, path: str, read: Read | None = None, columns: Sequence[str] | None = None) -> Table:
        """Opened, and read until its types hold, as the engine does."""
        table = self.open(path, read)
        for _ in range(4):
            try:
                wanted = columns or [column.name for column in table.columns]
                self.con.execute(
                    f"SELECT {', '.join(f'max({sql.name(name)}::VARCHAR)' for name in wanted)} FROM {table.relation}"
                ).fetchall()
            except Exception as error:
                table = reading.recover(self.con, table, error)
            else:
                return table
        raise AssertionError("the table never holds")

    def rows(self, path: str, read: Read | None = None) -> list[tuple[Any, ...]]:
        table = self.read(path, read)
        # Moments as times in UTC: DuckDB makes them Python's only with pytz.
        wanted = ", ".join(
            f"timezone('UTC', {sql.name(column.name)})" if "ZONE" in column.type else sql.name(column.name)
            for column in table.columns
        )
        found: list[tuple[Any, ...]] = self.con.execute(f"SELECT {wanted} FROM {table.relation}").fetchall()
        return found

    def numbered(self, path: str, read: Read | None = None) -> list[tuple[Any, ...]]:
        table = self.read(path, read)
        found: list[tuple[Any, ...]] = self.con.execute(f"SELECT * FROM {table.numbered}").fetchall()
        return found

    def types(self, path: str, read: Read | None = None) -> dict[str, str]:
        return {column.name: column.type for column in self.read(path, read).columns}


def one(data: Data, table: Table, query: str) -> tuple[Any, ...]:
    """The only row of a query over the table, read again where it must be."""
    try:
        found: list[tuple[Any, ...]] = data.con.execute(query.format(table.relation)).fetchall()
    except Exception as error:
        found = data.con.execute(query.format(reading.recover(data.con, table, error).relation)).fetchall()
    return found[0]
