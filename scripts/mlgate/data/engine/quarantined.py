# ruff: noqa: S608 -- every name and constant is escaped by `values`
"""The rows that break a contract in one file, and the rest in another, in the format they came in.

A row is bad when it breaks an expectation by rows, of severity `error`, that does not hold: what `mostly` lets through
stays. All rows of a group that must be unique and is not are bad. Only what DuckDB answers can say it of a row.
Values are written as they are, also those of private columns: the folder is the user's own.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.data.engine.dispatch import APART, DRIFT, Reader, answers, prepared
from mlgate.data.engine.plan import NUMBERED, VIEW
from mlgate.data.engine.scan import Scan
from mlgate.data.engine.values import Leave, Unfit, name, text
from mlgate.data.nouns import Expectation
from mlgate.errors import MlgateError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

ROW, FILE, BROKEN = "mlgate_row", "mlgate_file", "mlgate_broken"
_FORMATS = {
    "parquet": ("parquet", "FORMAT parquet"),
    "csv": ("csv", "FORMAT csv, HEADER true"),
    "jsonl": ("jsonl", "FORMAT json"),
}


@dataclass(frozen=True)
class Quarantined:
    """Where the rows were written, and how many."""

    bad: Path
    good: Path
    bad_rows: int
    good_rows: int


def quarantine(con: DuckDBPyConnection, table: Table, expectations: Sequence[Expectation], folder: Path) -> Quarantined:
    """Write `<data>.bad` and `<data>.good` to the folder. Raises MlgateError; earlier files stay until both are whole.

    Bad rows have three columns more: `mlgate_row` (from 1), `mlgate_file`, and `mlgate_broken`, the ids of the
    expectations they break, with commas between them.
    """
    taken = {column.name.casefold() for column in table.columns} & {ROW, FILE, BROKEN}
    if taken:
        raise MlgateError(f"has a column {sorted(taken)[0]}, which quarantine writes.", file=table.shown)
    wanted = [e for e in expectations if e.severity == "error" and e.type not in {APART, DRIFT}]
    return Reader(con, table).read(lambda scan: _written(scan, wanted, folder))


def _written(scan: Scan, expectations: Sequence[Expectation], folder: Path) -> Quarantined:
    import duckdb  # noqa: PLC0415

    flags = _flags(scan, expectations)
    ending, options = _FORMATS.get(scan.table.format, _FORMATS["csv"])
    stem = _stem(scan.table)
    ids = ", ".join(f"CASE WHEN {condition} THEN {text(id_)} END" for id_, condition in flags)
    broken = f"concat_ws(', ', {ids})" if flags else "''"
    columns = ", ".join(name(column.name) for column in scan.table.columns)
    # Told apart on what NaN stands for; written as it was.
    told = f"(SELECT {FILE}, {ROW}, {broken} AS {BROKEN} FROM {NUMBERED})"
    bad = f"SELECT * FROM {told} WHERE {BROKEN} <> ''"
    scan.con.execute("DROP TABLE IF EXISTS mlgate_bad")
    scan.con.execute(f"CREATE TEMP TABLE mlgate_bad AS {_resolved(scan, bad)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".mlgate-", dir=folder))
    except OSError as error:
        raise MlgateError(f"cannot be written ({error.strerror}).", file=str(folder)) from error
    try:
        # Text stays as it stands in the file: 1.50 does not become 1.5. JSON has types, and keeps those.
        written = scan.table.text() if scan.table.format == "csv" and scan.table.text else scan.table
        data = f"FROM {written.numbered} AS data"
        bad = f"JOIN mlgate_bad AS bad USING ({FILE}, {ROW}) ORDER BY {FILE}, {ROW}"
        made = {
            "bad": f"SELECT {columns}, {ROW}, {FILE}, {BROKEN} {data} {bad}",
            "good": f"SELECT {columns} {data} ANTI {bad}",
        }
        counts = {}
        for word, query in made.items():
            target = work / f"{stem}.{word}.{ending}"
            try:
                counts[word] = scan.first(f"COPY ({query}) TO {text(str(target))} ({options})")[0]
            except duckdb.IOException as error:
                if work.name in str(error):  # it is not the data that failed
                    raise MlgateError("cannot be written. Is the disk full?", file=str(folder)) from error
                raise
        places = {word: folder / f"{stem}.{word}.{ending}" for word in made}
        for place in places.values():
            os.replace(work / place.name, place)
    except OSError as error:
        raise MlgateError(f"cannot be written ({error.strerror}).", file=str(folder)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        scan.con.execute("DROP TABLE IF EXISTS mlgate_bad")
    return Quarantined(places["bad"], places["good"], int(counts["bad"]), int(counts["good"]))


def _resolved(scan: Scan, sql: str) -> str:
    return sql.replace(VIEW, scan.view).replace(NUMBERED, scan.numbered)


def _flags(scan: Scan, expectations: Sequence[Expectation]) -> list[tuple[str, str]]:
    """The id of each expectation that does not hold, and SQL that is true for a row that breaks it."""
    asked = prepared(scan, expectations, datetime.now(UTC))
    values = answers(scan, asked)
    found = []
    for one in asked:
        if values is None or not values.rows or one.plan is None or one.plan.broken is None:
            continue
        try:
            if not one.plan.judge(values).holds:
                found.append((one.expectation.id or one.expectation.type, one.plan.broken(values)))
        except (Unfit, Leave):
            continue
    return found


def _stem(table: Table) -> str:
    plain = re.sub(r"\.(csv|tsv|parquet|jsonl|ndjson|json)?(\.gz|\.zst)?$", "", Path(table.shown).name)
    return re.sub(r"[^\w.-]", "_", plain).strip("._") or "data"
