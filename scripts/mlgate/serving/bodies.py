"""The shapes of JSON that a request can have, all brought to one: columns of values."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from mlgate.serving.refused import Problem, RefusedError, invalid

_WRAPPERS = ("records", "dataframe_records", "instances", "inputs", "features", "dataframe_split")
_SPLIT = {"columns", "data", "index"}


@dataclass(frozen=True)
class Table:
    """`columns[i]` holds the values of `names[i]`; None where a row has none. Unnamed: `names` is None."""

    names: Sequence[str] | None
    columns: Sequence[Sequence[Any]]
    rows: int
    single: bool = False
    lacking: Collection[str] = ()  # columns that some row did not have, though it may be null in others


def decode(body: bytes, *, nan: bool = False) -> Any:
    """Raises RefusedError (400) for what is not JSON, infinity among it.

    `nan`: NaN is taken for null, as MLflow's client writes a missing number.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if nan and b"NaN" in body:
            with suppress(ValueError, RecursionError):
                return json.loads(body, parse_constant=_missing)
        if not body.strip():
            raise RefusedError(400, "The body is empty; it has to be JSON.") from None
        said = error.msg.split(": line", 1)[0]
        raise RefusedError(400, f"The body is not JSON: {said} (character {error.pos}).") from None


def _missing(word: str) -> None:
    if word != "NaN":
        raise ValueError(word)


def table(data: Any, names: Sequence[str], required: Collection[str], most: int) -> Table:
    """What the rows are, whichever shape they came in. `names`: the columns that the model knows, if it knows them.

    `required`: of those; the others may be missing. Raises RefusedError: 400 for a shape that is none of these, 413
    for more than `most` rows, 422 for a field that is missing or not known.
    """
    single = False
    if isinstance(data, dict):
        key = next(iter(data)) if len(data) == 1 else ""
        if key == "features" and key not in names:
            data, single = _features(data[key])
        elif key in _WRAPPERS and key not in names:
            data = data[key]
            if key == "dataframe_split":
                return _split(data, names, required, most)
        elif "data" in data and "columns" in data and data.keys() <= _SPLIT and not {"data", "columns"} & set(names):
            return _split(data, names, required, most)
    if isinstance(data, dict):
        if data and all(isinstance(value, list) for value in data.values()):
            return _columnar(data, names, required, most)
        data, single = [data], True
    if not isinstance(data, list) or not data:
        raise RefusedError(400, "The body has to be an object or a list of rows, and hold at least one.")
    kinds = set(map(type, data))
    if kinds == {dict}:
        return _records(data, names, required, most, single=single)
    if kinds == {list}:
        return _positional(data, names, most, single=single)
    raise RefusedError(400, "The rows have to be objects, or all of them lists.")


def _features(inner: Any) -> tuple[Any, bool]:
    """One row as a list of its values, which is what `features` is for; or an object, or a list of rows."""
    if isinstance(inner, list) and inner and not isinstance(inner[0], list | dict):
        return [inner], True
    if isinstance(inner, list | dict) and inner:
        return inner, False
    raise RefusedError(400, "`features` has to be a list of values, a list of rows, or an object.")


def limit(rows: int, most: int) -> None:
    if rows > most:
        raise RefusedError(413, f"The request holds {rows} rows; at most {most} are answered at once.")


def _records(
    rows: list[dict[str, Any]], names: Sequence[str], required: Collection[str], most: int, *, single: bool
) -> Table:
    limit(len(rows), most)
    wanted = list(names) or list(rows[0])
    if not wanted:
        raise RefusedError(400, "The rows have no fields.")
    try:  # every field in every row: no loop in Python
        if len(wanted) == 1:
            columns: list[Sequence[Any]] = [list(map(itemgetter(wanted[0]), rows))]
        else:
            columns = list(zip(*map(itemgetter(*wanted), rows), strict=True))
    except KeyError:
        return _sparse(rows, wanted, set(required) if names else set(wanted), single=single)
    if (not names or len(required) < len(names)) and set(map(len, rows)) != {len(wanted)}:
        known = set(wanted)
        index, name = next((i, name) for i, row in enumerate(rows) for name in row if name not in known)
        raise invalid([Problem(name, "is no input of this model" if names else "is not in the first row", index)])
    return Table(wanted, columns, len(rows), single)


def _sparse(rows: list[dict[str, Any]], names: list[str], required: set[str], *, single: bool) -> Table:
    """Rows of which some lack a field: an optional one is null, unless another field looks like it misspelled."""
    known = set(names)
    problems: list[Problem] = []
    lacking: set[str] = set()
    for index, row in enumerate(rows):
        lacks = known - row.keys()
        if lacks:
            lacking |= lacks
            problems += [Problem(name, "is missing", index) for name in names if name in lacks and name in required]
        if required != known and not row.keys() <= known:
            problems += [Problem(name, "is no input of this model", index) for name in sorted(row.keys() - known)]
        if len(problems) > 100:
            break
    if problems:
        raise invalid(problems)
    return Table(names, [[row.get(name) for row in rows] for name in names], len(rows), single, lacking)


def _columnar(data: dict[str, Any], names: Sequence[str], required: Collection[str], most: int) -> Table:
    lengths = {len(column) for column in data.values()}
    if len(lengths) > 1:
        raise RefusedError(400, "The columns differ in length.")
    rows = lengths.pop()
    if not rows:
        raise RefusedError(400, "The body holds no rows.")
    limit(rows, most)
    return named(data, names, required, rows)


def named(data: Mapping[str, Sequence[Any]], names: Sequence[str], required: Collection[str], rows: int) -> Table:
    """Whole columns, by name; one that is optional and missing is null in every row."""
    wanted = list(names) or list(data)
    lacking = [name for name in wanted if name not in data]
    problems = [Problem(name, "is missing") for name in lacking if name in required]
    if len(required) < len(names):
        problems += [Problem(name, "is no input of this model") for name in sorted(data.keys() - set(wanted))]
    if problems:
        raise invalid(problems)
    nothing = [None] * rows
    return Table(wanted, [data.get(name, nothing) for name in wanted], rows, lacking=lacking)


def _split(data: Any, names: Sequence[str], required: Collection[str], most: int) -> Table:
    """`columns` and `data`, as pandas splits a frame."""
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise RefusedError(400, "A split frame has `columns`, a list of names, and `data`, a list of rows.")
    rows, columns = data["data"], data.get("columns")
    if columns is None:
        return _positional(rows, names, most)
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise RefusedError(400, "`columns` has to be a list of names.")
    if len(set(columns)) != len(columns):
        raise RefusedError(400, "`columns` names a column twice.")
    _listed(rows, most)
    return named(dict(zip(columns, _by_place(rows, columns), strict=True)), names, required, len(rows))


def _positional(rows: Any, names: Sequence[str], most: int, *, single: bool = False) -> Table:
    """Rows as lists of values, in the order of the model's inputs."""
    _listed(rows, most)
    if names and names != [""]:  # that is one input without a name, which takes rows of any length
        return Table(list(names), _by_place(rows, names), len(rows), single)
    return Table(None, rows, len(rows), single)


def _listed(rows: Any, most: int) -> None:
    if not isinstance(rows, list) or set(map(type, rows)) != {list}:
        raise RefusedError(400, "The rows have to be lists of values, and at least one.")
    limit(len(rows), most)


def _by_place(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> list[Any]:
    """The column of each name."""
    if set(map(len, rows)) != {len(names)}:
        index = next(i for i, row in enumerate(rows) if len(row) != len(names))
        raise RefusedError(
            400, f"Row {index} has {len(rows[index])} values; the inputs are {len(names)}: {_some(names)}."
        )
    return list(zip(*rows, strict=True))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
