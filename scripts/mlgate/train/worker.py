"""Runs in the project's Python, with nothing of mlgate: asks a function of the project about rows of a data frame.

    python worker.py REQUEST

REQUEST is a JSON file. With `values` in it, an entry point is asked once for all rows and its values are written;
with `calls`, a model is loaded and the times of its calls are told one by one, as the other side asks for them.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_SHOWN = 5


class Wrong(Exception):  # noqa: N818 -- what is said to the user, and no error of a program
    """What the function gave is not what was asked for; the ids of the first rows that it is about."""

    def __init__(self, message: str, ids: Any = ()) -> None:
        super().__init__(message)
        self.ids = [str(one) for one in list(ids[:_SHOWN])]


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.path[0] = request["folder"]  # this file's own folder is none of the project's
    if "calls" in request:
        return _calls(request)
    try:
        answer = _values(request)
    except Wrong as error:
        answer = {"wrong": str(error), "ids": error.ids}
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file)
    return 0


# -- an entry point --------------------------------------------------------------------------------------------------


def _values(request: dict[str, Any]) -> dict[str, Any]:
    pandas: Any = importlib.import_module("pandas")
    data, ids = read(request["data"], request["id"])
    said, theirs = read(request["predictions"], request["id"])
    for what, found in (("the evaluation data", ids), ("the predictions", theirs)):
        if twice := sum(found.duplicated()):
            raise Wrong(f"{what} have {twice:,} ids more than once", found[found.duplicated()])
    places = pandas.Index(theirs).get_indexer(ids)
    if (lost := places < 0).any():
        raise Wrong(f"the predictions lack {int(lost.sum()):,} of the {len(ids):,} rows", ids[lost])
    said = said.drop(columns=[request["id"]]).iloc[places].reset_index(drop=True)
    said.columns = [f"{name}_predicted" if name in data.columns else name for name in said.columns]
    rows = pandas.concat([data.reset_index(drop=True), said], axis=1)
    found = function(request["values"])(rows.copy())
    values = _checked(found, rows.index, ids)
    with open(request["to"], "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "value"])
        out.writerows(zip(ids, map(repr, values)))  # noqa: B905 -- of one length, and Python 3.9 has no `strict`
    return {"rows": len(values)}


def _checked(found: Any, index: Any, ids: Any) -> list[float]:
    numpy: Any = importlib.import_module("numpy")
    pandas: Any = importlib.import_module("pandas")
    if found is None:
        raise Wrong("it gave nothing back")
    if isinstance(found, pandas.DataFrame):
        raise Wrong(f"it gave a data frame with {found.shape[1]} columns, and not one value per row")
    if isinstance(found, pandas.Series):
        if found.index.duplicated().any():
            raise Wrong("it gave several values for the same row")
        missing = index.difference(found.index)
        if len(found) == len(index) and len(missing) == len(index):
            pass  # an index of its own, and a value for each row: taken in order
        elif len(missing):
            raise Wrong(f"it gave no value for {len(missing):,} of {len(index):,} rows", ids[missing])
        elif len(found) > len(index):
            raise Wrong(f"it gave {len(found):,} values for {len(index):,} rows")
        else:
            found = found.reindex(index)
    try:
        values = numpy.asarray(found, dtype=float)
    except (TypeError, ValueError):
        raise Wrong("what it gave are no numbers") from None
    if values.ndim != 1:
        raise Wrong(f"it gave {'a single value' if values.ndim == 0 else 'a table'}, and not one value per row")
    if len(values) != len(index):
        raise Wrong(f"it gave {len(values):,} values for {len(index):,} rows")
    bad = ~numpy.isfinite(values)
    if bad.any():
        raise Wrong(f"it gave NaN or infinity for {int(bad.sum()):,} of {len(index):,} rows", ids[bad])
    listed: list[float] = values.tolist()
    return listed


# -- calls that are timed --------------------------------------------------------------------------------------------


def _calls(request: dict[str, Any]) -> int:
    """Answers go where standard output went; what the project prints goes to where errors go."""
    line = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**said: Any) -> None:
        line.write(json.dumps(said) + "\n")
        line.flush()

    try:
        _call(request, say)
    except BaseException:  # also sys.exit() in what is imported
        tail = [row for row in traceback.format_exc().splitlines() if row.strip()][-8:]
        say(error="\n".join(tail))
        return 1
    return 0


def _call(request: dict[str, Any], say: Callable[..., None]) -> None:
    data, _ = read(request["data"], None)
    rows = request["rows"]
    if not len(data):
        raise Wrong("there are no rows to score")
    predict = function(request["calls"])(request["model"])
    parts = [data.iloc[start : start + rows] for start in range(0, max(1, len(data) - rows + 1), rows)]
    say(ready=True)
    for asked in sys.stdin:
        if asked.strip() == "end":
            break
        part = parts[int(asked) % len(parts)].copy()
        start = time.perf_counter_ns()
        predict(part)
        took = time.perf_counter_ns() - start
        say(ms=took / 1e6)
    say(peak=peak())


def peak() -> int | None:
    """The most memory this process had, in bytes; None where nobody counts it."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) if sys.platform == "darwin" else int(most) * 1024


# -- both ------------------------------------------------------------------------------------------------------------


def function(name: str) -> Callable[..., Any]:
    """`module:name`, as the project's own code would import it."""
    module, _, attribute = name.partition(":")
    found: Any = getattr(importlib.import_module(module), attribute, None)
    if not callable(found):
        raise Wrong(f"module {module} has no function {attribute}")
    asked: Callable[..., Any] = found
    return asked


def read(table: dict[str, Any], id_: str | None) -> tuple[Any, Any]:
    """The rows as a data frame as pandas reads it, and the ids as text."""
    pandas: Any = importlib.import_module("pandas")
    frames, ids = [], []
    for file in table["files"]:
        if table["format"] == "parquet":
            frame = pandas.read_parquet(file)
        elif table["format"] == "jsonl":
            frame = pandas.read_json(file, lines=True, dtype=False)
        else:
            options = {"sep": table["delimiter"], "encoding": table["encoding"], "keep_default_na": False}
            options.update(na_values=table["nulls"], quotechar=table["quote"])
            frame = pandas.read_csv(file, **options)
        frames.append(frame)
        if id_ is None:
            continue
        if id_ not in frame.columns:
            raise Wrong(f"{table['shown']} has no column {id_}")
        if table["format"] == "csv":  # as it is written: 007 is no 7
            ids.append(pandas.read_csv(file, usecols=[id_], dtype=str, **options)[id_])
        else:
            ids.append(frame[id_])
    data = frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)
    if not ids:
        return data, None
    column = pandas.concat(ids, ignore_index=True)
    if column.isna().any():
        raise Wrong(f"{table['shown']} has {int(column.isna().sum()):,} rows without {id_}")
    return data, column.map(_text).astype(object)


def _text(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
