"""A batch: every row of a file is predicted once, and as many predictions come out as rows went in.

The output has the format of the input. Beside the predictions it has the column of ids, where the project names one
that the data have, else `row`, which counts from 0: rows keep their order. Nothing is left of a batch that fails.
"""

# ruff: noqa: S608 -- every name and constant is quoted by `sql`

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mlgate import extras
from mlgate.config.settings import Read
from mlgate.errors import MlgateError
from mlgate.image import protocol, sampled
from mlgate.image.protocol import AnswerError, Answers, Example, Protocol, Record
from mlgate.image.service import Service, UnreachableError
from mlgate.rollout.checks.patience import Stop
from mlgate.serving.settings import Input

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mlgate.data.reading import Table

_TRIES = 8  # a text file's columns may each turn out to be of another type
_SUFFIX = {"csv": ".csv", "parquet": ".parquet", "jsonl": ".jsonl"}
_TYPES: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}


@dataclass(frozen=True)
class Wanted:
    """One batch. `shown`: what people call the input. `truth`: columns that a model is never sent."""

    data: Path
    shown: str
    output: Path
    rows: int = 10_000  # of one request
    read: Read = field(default_factory=Read)
    id: str = ""  # a column, where there is one
    truth: Sequence[str] = ()
    inputs: Sequence[Input] = ()  # the model's columns; empty: all but `id` and `truth`
    timeout: float = 10.0  # seconds for one answer


@dataclass(frozen=True)
class Done:
    rows: int
    seconds: float


def predict(url: str, wanted: Wanted, stop: Stop) -> Done:
    """Raises MlgateError for data that cannot be read or sent, and for a server that does not answer each row."""
    extras.use("data")
    from mlgate.data import reading  # noqa: PLC0415 -- DuckDB

    began = time.monotonic()
    wanted.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mlgate-", dir=wanted.output.parent) as folder:
        con = reading.connect(folder=Path(folder))
        try:
            table, count = _settled(con, reading.open_table(con, [wanted.data], wanted.shown, wanted.read))
            if not count:
                raise MlgateError("has no row, so there is nothing to predict.", file=wanted.shown)
            lines, made = Path(folder) / "lines.jsonl", Path(folder) / f"made{_SUFFIX[table.format]}"
            batch = _Batch(con, table, wanted)
            with lines.open("w", encoding="utf-8") as file:
                batch.ask(Service(url), file, stop)
            written = batch.write(lines, made)
        finally:
            con.close()
        if written != count:
            raise MlgateError(f"{written:,} predictions were made for {count:,} rows of {wanted.shown}.")
        os.replace(made, wanted.output)
    return Done(count, time.monotonic() - began)


def _settled(con: DuckDBPyConnection, table: Table) -> tuple[Table, int]:
    """The table with types that hold for all its values, and its rows. Everything is read once."""
    import duckdb  # noqa: PLC0415

    from mlgate.data.reading import recover, sql  # noqa: PLC0415

    for _ in range(_TRIES):
        counts = ", ".join(f"count({sql.name(one.name)})" for one in table.columns)
        try:
            found = con.execute(f"SELECT count(*), {counts} FROM {table.relation}").fetchone()
        except duckdb.Error as error:
            table = recover(con, table, error)
            continue
        return table, int(found[0]) if found else 0
    raise MlgateError("cannot be read: its columns change their types again and again.", file=table.shown)


# -- asking ------------------------------------------------------------------------------------------------------------


class _Columns:
    """Which columns the answers have, and what kinds of values: known when all were seen."""

    def __init__(self) -> None:
        self.kinds: dict[str, set[type]] = {}

    def see(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            self.kinds.setdefault(name, set()).add(type(value))

    def type(self, name: str) -> str:
        found = self.kinds[name]
        if found <= {int, float} and len(found) == 2:
            return "DOUBLE"
        return _TYPES.get(next(iter(found)), "JSON") if len(found) == 1 else "JSON"


class _Batch:
    """One table on its way through a server."""

    def __init__(self, con: DuckDBPyConnection, table: Table, wanted: Wanted) -> None:
        self.con, self.table, self.wanted = con, table, wanted
        self.id = wanted.id if wanted.id in {one.name for one in table.columns} else ""
        self.columns = _Columns()

    def ask(self, service: Service, file: TextIO, stop: Stop) -> None:
        """Each row with its prediction, as one line."""
        rows, spoken, place = self._rows(), None, 0
        while chunk := list(islice(rows, max(1, self.wanted.rows))):
            stop.look()
            records = [record for record, _ in chunk]
            try:
                spoken = spoken or self._spoken(service, records[0])
                answers = spoken.ask(service, records, timeout=self.wanted.timeout)
            except (AnswerError, UnreachableError) as error:
                last = place + len(chunk)
                raise MlgateError(
                    f"rows {place + 1:,} to {last:,} of {self.wanted.shown} were not predicted: {_public(error)}.",
                    fix="A server that has too little time for so many rows at once needs a smaller `batch.rows`.",
                ) from None
            for number, (row, (_, key)) in enumerate(zip(_answered(answers, place, self.wanted), chunk, strict=True)):
                if self.id in row:
                    raise MlgateError(
                        f"has ids in {self.id!r}, which is the name of a prediction.", file=self.wanted.shown
                    )
                self.columns.see(row)
                first = {self.id: key} if self.id else {"row": place + number}
                file.write(json.dumps({**first, **row}, allow_nan=False) + "\n")
            place += len(chunk)

    @staticmethod
    def _spoken(service: Service, record: Record) -> Protocol:
        spoken, said = protocol.find(service, Example([record]))
        if spoken is None:
            raise AnswerError(f"it has neither /predict nor /invocations: {said}")
        return spoken

    def _names(self) -> list[str]:
        """The columns that are sent."""
        wanted, has = self.wanted, [one.name for one in self.table.columns]
        if wanted.inputs:
            if lost := [one.name for one in wanted.inputs if one.required and one.name not in has]:
                raise MlgateError(f"has no column {lost[0]!r}, which the model needs.", file=wanted.shown)
            return [one.name for one in wanted.inputs if one.name in has]
        found = [name for name in has if name != wanted.id and name not in wanted.truth]
        if not found:
            raise MlgateError("has no column that a model could take.", file=wanted.shown)
        return found

    def _rows(self) -> Iterator[tuple[Record, str]]:
        """Each row as the server takes it, and its id as it is written, in the file's order."""
        names, kinds = self._names(), {one.name: one for one in self.wanted.inputs}
        of = {one.name: one for one in self.table.columns}
        # 007 of a CSV file is a number to whoever reads the whole column, and a text to a model that says so.
        written = [n for n in names if n in kinds and kinds[n].type == "string" and of[n].kind != "text"]
        text = self.table.text() if self.table.text is not None and written else None
        plain = [name for name in names if text is None or name not in written]
        values = _select(self.con, self.table.relation, plain, self.id)
        texts = _select(self.con, text.relation, written, "") if text is not None else None
        for number, (*row, key) in enumerate(values, 1):
            record = dict(zip(plain, row, strict=True))
            if texts is not None:
                record |= dict(zip(written, next(texts), strict=False))
            try:
                yield {name: sampled.plain(record[name], kinds.get(name)) for name in names}, key
            except sampled.UnsendableError:
                raise MlgateError(
                    f"row {number:,} of {self.wanted.shown} has an infinity, which JSON cannot say."
                ) from None

    def write(self, lines: Path, made: Path) -> int:
        """The answers in the format of the input. How many rows were written."""
        from mlgate.data.reading import sql  # noqa: PLC0415

        types = {self.id or "row": "VARCHAR" if self.id else "BIGINT"}
        types |= {name: self.columns.type(name) for name in self.columns.kinds}
        said = ", ".join(f"{sql.name(name)}: {sql.text(kind)}" for name, kind in types.items())
        listed = [sql.name(name) for name in types]
        if self.id:
            kind = next(one.type for one in self.table.columns if one.name == self.id)
            listed[0] = f"CAST({listed[0]} AS {kind}) AS {listed[0]}"
        source = f"read_json({sql.text(sql.literal(str(lines)))}, format = 'newline_delimited', columns = {{{said}}})"
        options = {
            "csv": f"FORMAT csv, HEADER, DELIMITER {sql.text(_delimiter(self.table))}",
            "parquet": "FORMAT parquet, COMPRESSION zstd",
            "jsonl": "FORMAT json",
        }[self.table.format]
        found = self.con.execute(
            f"COPY (SELECT {', '.join(listed)} FROM {source}) TO {sql.text(str(made))} ({options})"
        ).fetchone()
        return int(found[0]) if found else 0


def _select(con: DuckDBPyConnection, relation: str, names: Sequence[str], id_: str) -> Iterator[tuple[Any, ...]]:
    from mlgate.data.reading import sql  # noqa: PLC0415

    listed = [f"{sql.name(name)} AS c{number}" for number, name in enumerate(names)]
    listed.append(f"CAST({sql.name(id_)} AS VARCHAR)" if id_ else "NULL")
    cursor = con.cursor().execute(f"SELECT {', '.join(listed)} FROM {relation}")
    while block := cursor.fetchmany(10_000):
        yield from block


def _public(error: Exception) -> str:
    """An answer may repeat what it was asked: of a refusal only the beginning is told, which names row and field."""
    return str(error)[:200].rstrip(".")


def _answered(answers: Answers, place: int, wanted: Wanted) -> Iterator[dict[str, Any]]:
    if bad := sorted({*protocol.numberless(answers.prediction), *protocol.numberless(answers.probability or ())}):
        raise MlgateError(
            f"row {place + bad[0] + 1:,} of {wanted.shown} was answered with null, NaN or an infinity: that is no "
            "prediction."
        )
    for number, prediction in enumerate(answers.prediction):
        row = {"prediction": prediction}
        if answers.probability is not None:
            row |= _probability(answers.probability[number], answers.classes)
        yield row


def _probability(value: Any, classes: Sequence[Any] | None) -> dict[str, Any]:
    """A column for each class, where there are several."""
    if isinstance(value, Mapping):
        return {f"probability_{name}": one for name, one in value.items()}
    if isinstance(value, list):
        names = classes if classes is not None and len(classes) == len(value) else range(len(value))
        return {f"probability_{name}": one for name, one in zip(names, value, strict=True)}
    return {"probability": value}


def _delimiter(table: Table) -> str:
    return "\t" if table.files[0].name.endswith((".tsv", ".tsv.gz")) else ","


def checked(run: Callable[[], None], data: Path, made: Path, output: Path, *, shown: str, read: Read) -> Done:
    """What somebody else predicts into `made`: only with as many rows as there are does it become the output."""
    extras.use("data")
    from mlgate.data import reading  # noqa: PLC0415 -- DuckDB

    began = time.monotonic()
    run()
    if not made.is_file():
        raise MlgateError(f"{shown} was predicted, and there is no output.")
    con = reading.connect()
    try:
        _, count = _settled(con, reading.open_table(con, [data], shown, read))
        _, found = _settled(con, reading.open_table(con, [made], output.name, Read()))
    finally:
        con.close()
    if found != count or not count:
        raise MlgateError(f"{found:,} predictions were made for {count:,} rows of {shown}.")
    os.replace(made, output)
    return Done(count, time.monotonic() - began)
