"""CSV, as MLflow's and SageMaker's clients send it: a line of names, then a line for each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from mlgate.serving.bodies import Table, limit, named
from mlgate.serving.inputs import Reader
from mlgate.serving.refused import Problem, RefusedError, invalid

_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")


def csv_table(body: bytes, reader: Reader, most: int) -> Table:
    """Raises RefusedError: 400 for what is no CSV, 413 for too many rows, 422 for a value of another type."""
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except UnicodeDecodeError:
        raise RefusedError(400, "The body is not text (UTF-8).") from None
    except csv.Error as error:
        raise RefusedError(400, f"The body is not CSV: {error}.") from None
    if len(lines) < 2:
        raise RefusedError(400, "CSV has to have a line of column names and at least one row.")
    names, rows = lines[0], lines[1:]
    limit(len(rows), most)
    if len(set(names)) != len(names):
        raise RefusedError(400, "The first line names a column twice.")
    if any(len(row) != len(names) for row in rows):
        index = next(i for i, row in enumerate(rows) if len(row) != len(names))
        raise RefusedError(
            400, f"Row {index} has {len(rows[index])} values; the first line names {len(names)} columns."
        )
    types = {one.name: one.type for one in reader.inputs}
    problems: list[Problem] = []
    columns = {
        name: _column(name, list(values), types.get(name, "any"), problems)
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
        if not types or name in types or reader.tensor is not None
    }
    if problems:
        raise invalid(problems)
    if reader.tensor is not None:
        return Table(None, list(zip(*columns.values(), strict=True)), len(rows))
    return named(columns, reader.names, reader.required, len(rows))


def _column(name: str, texts: list[str], type_: str, problems: list[Problem]) -> list[Any]:
    parse: dict[str, Callable[[str], Any]] = {"integer": _integer, "number": float, "boolean": _boolean}
    if type_ in parse:
        made: list[Any] = []
        for row, text in enumerate(texts):
            try:
                made.append(None if text == "" else parse[type_](text))
            except ValueError:
                problems.append(Problem(name, f"must be {'true or false' if type_ == 'boolean' else 'a number'}", row))
        return made
    if type_ != "any":
        return [None if text == "" and type_ != "string" else text for text in texts]
    try:
        return [None if text == "" else float(text) for text in texts]
    except ValueError:
        return [text or None for text in texts]


def _integer(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(text)
