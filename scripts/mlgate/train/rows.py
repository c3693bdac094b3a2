"""Which rows of the data changed between champion and challenger, where ids tell one row from another."""
# ruff: noqa: S608 -- column names are quoted; nothing else of the queries comes from outside

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.repo.dvc import Out

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table


@dataclass(frozen=True)
class Rows:
    """`duplicates`: ids that stand for several rows in one version; then nothing else was counted."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    new_columns: tuple[str, ...] = ()
    lost_columns: tuple[str, ...] = ()
    duplicates: int = 0

    def __str__(self) -> str:
        if self.duplicates:
            return f"{self.duplicates:,} ids stand for several rows, so rows were not compared"
        counts = [(self.added, "+{:,} rows"), (self.removed, "-{:,} rows"), (self.changed, "{:,} changed")]
        said = [text.format(count) for count, text in counts if count] or ["the same rows in another order or form"]
        if self.new_columns:
            said.append(f"new columns {_some(self.new_columns)}")
        if self.lost_columns:
            said.append(f"without columns {_some(self.lost_columns)}")
        return ", ".join(said)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")


def compare(con: DuckDBPyConnection, then: Path, now: Path, *, by: Sequence[str], read: Read, shown: str) -> Rows:
    """Both versions of one file or folder. Raises MlgateError for one that cannot be read, or lacks an id column."""
    import duckdb  # noqa: PLC0415 -- `con` brought it

    from mlgate.data import reading  # noqa: PLC0415

    tables = [reading.open_table(con, reading.resolve(p.parent, p.name), shown, read) for p in (then, now)]
    before, after = ({column.name: column.type for column in table.columns} for table in tables)
    for name in by:
        if name not in before or name not in after:
            which = "the champion's version" if name not in before else "this version"
            raise MlgateError(f"has no column {name!r} in {which}, so its rows cannot be told apart.", file=shown)
    try:
        return _rows(con, tables, before, after, by)
    except duckdb.Error as error:
        raise MlgateError(f"cannot be read ({str(error).splitlines()[0][:200]}).", file=shown) from error


def _rows(
    con: DuckDBPyConnection, tables: Sequence[Table], before: dict[str, str], after: dict[str, str], by: Sequence[str]
) -> Rows:
    ids = [(_name(name), before[name] == after[name]) for name in by]
    values = [(_name(name), before[name] == after[name]) for name in before if name in after and name not in by]

    def plain(parts: Sequence[tuple[str, bool]]) -> str:
        return ", ".join(name if same else f"{name}::VARCHAR" for name, same in parts)

    def side(table: Table) -> str:
        row = f"hash({plain(values)})" if values else "0"
        return f"(SELECT row({plain(ids)}) AS id, {row} AS held FROM {table.relation})"

    duplicates = 0
    for table in tables:
        query = f"SELECT count(*) FROM (SELECT id FROM {side(table)} GROUP BY id HAVING count(*) > 1)"
        duplicates += _one(con, query)
    new = tuple(name for name in after if name not in before)
    lost = tuple(name for name in before if name not in after)
    if duplicates:
        return Rows(duplicates=duplicates, new_columns=new, lost_columns=lost)
    joined = f"{side(tables[0])} a FULL JOIN {side(tables[1])} b ON a.id = b.id"
    found = con.execute(
        "SELECT count(*) FILTER (WHERE a.id IS NULL), count(*) FILTER (WHERE b.id IS NULL), "
        f"count(*) FILTER (WHERE a.id IS NOT NULL AND b.id IS NOT NULL AND a.held <> b.held) FROM {joined}"
    ).fetchone()
    added, removed, changed = found or (0, 0, 0)
    return Rows(int(added), int(removed), int(changed), new, lost)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _one(con: DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


# -- where a version lies --------------------------------------------------------------------------------------------


def from_cache(cache: Path, out: Out, folder: Path) -> Path | None:
    """One version of a file or folder under its own name in `folder`, as links into DVC's cache; None if not there."""
    there = folder / os.path.basename(out.path)
    source = _blob(cache, out.md5)
    if source is None:
        return None
    if not out.md5.endswith(".dir"):
        folder.mkdir(parents=True, exist_ok=True)
        there.symlink_to(source)
        return there
    try:
        listing = json.loads(source.read_bytes())
        files = [(str(entry["relpath"]), _blob(cache, str(entry["md5"]))) for entry in listing]
    except (ValueError, KeyError, TypeError, OSError):
        return None
    for name, blob in files:
        target = there / name
        if blob is None or not target.resolve().is_relative_to(there.resolve()):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(blob)
    return there


def _blob(cache: Path, md5: str) -> Path | None:
    for place in (cache / "files" / "md5" / md5[:2] / md5[2:], cache / md5[:2] / md5[2:]):
        if md5 and place.is_file():
            return place
    return None
