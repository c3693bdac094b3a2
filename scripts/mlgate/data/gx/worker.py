"""The only module that touches Great Expectations: a process of its own, with a request in a file and the answer in
another. It imports nothing of the project's.

Types of pandas and Great Expectations are `Any` here: they come from the installed version.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from mlgate.data.gx.process import unpacked

_EXACT = 2**53  # integers up to here are doubles too


def main(folder: str) -> None:
    """Reads request.json in the folder, and leaves response.json there."""
    warnings.simplefilter("ignore")
    home = Path(folder)
    request = json.loads((home / "request.json").read_bytes(), object_hook=unpacked)
    response = answer(request)
    # NaN and infinities are allowed: both sides are Python.
    (home / "response.tmp").write_text(json.dumps(response), encoding="utf-8")
    os.replace(home / "response.tmp", home / "response.json")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    session = Session(
        frame(Path(request["data"]), request["columns"], request["huge"]),
        frame(Path(request["text"]), request["written"], ()) if request["written"] else None,
    )
    if request["task"] == "docs":
        from mlgate.data.gx import site  # noqa: PLC0415 -- it needs this module

        return site.build(session, request)
    asked = request["expectations"]
    return {
        "version": session.version,
        "answers": [session.ask(one, request["examples"]) for one in asked],
    }


class Session:
    """One DataFrame, and Great Expectations' batch of it."""

    def __init__(self, data: Any, written: Any = None) -> None:
        gx: Any = import_module("great_expectations")
        self.version: str = gx.__version__
        self.context: Any = gx.get_context(mode="ephemeral")
        bars: Any = import_module("great_expectations.data_context.types.base").ProgressBarsConfig
        self.context.variables.progress_bars = bars(globally=False)
        self.source: Any = self.context.data_sources.add_pandas("mlgate")
        self.load(data, written)

    def load(self, data: Any, written: Any = None) -> None:
        """`written`: some of the columns again, as text."""
        self.frame = data
        self.batch = self._as_batch("data", data)
        self._text: Any = None
        if written is not None:
            self._text = self._as_batch("text", data.assign(**{name: written[name] for name in written.columns}))
        self._doubles: Any = None

    def _as_batch(self, name: str, data: Any) -> Any:
        if name in {asset.name for asset in self.source.assets}:
            self.source.delete_asset(name)
        definition = self.source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
        return definition.get_batch({"dataframe": data})

    def batches(self, asked: Mapping[str, Any]) -> Iterator[Any]:
        """What to ask it of, one after the other, until one does not raise."""
        if asked["of_text"]:
            yield self.batch if self._text is None else self._text
            return
        yield self.batch
        # Some expectations know no missing integers: as doubles, pandas has always had them.
        if (doubles := self._as_doubles()) is not None:
            yield doubles

    def ask(self, asked: Mapping[str, Any], most: int) -> dict[str, Any]:
        """What came of one expectation; what it raised, in words, is `raised`."""
        there = [name for name in asked["columns"] if name in self.frame]
        found = {"rows": len(self.frame), "present": {name: int(self.frame[name].notna().sum()) for name in there}}
        raised: dict[str, Any] = {}
        for batch in self.batches(asked):
            result = self._validated(batch, asked["type"], asked["kwargs"], most)
            if not result.get("raised"):
                return found | result
            raised = raised or result
        return found | raised

    def _validated(self, batch: Any, type_: str, kwargs: Mapping[str, Any], most: int) -> dict[str, Any]:
        wanted = {"result_format": "SUMMARY", "partial_unexpected_count": max(most, 1)}
        try:
            # Without `result_format` in the kwargs, which would win.
            seen = batch.validate(expectation(type_, kwargs), result_format=wanted)
        except Exception as error:  # whatever it raises is what is wrong with this expectation
            return {"raised": worded(error)}
        if raised := exception(seen.exception_info):
            return {"raised": raised}
        success = seen.success
        # numpy's bool is none of Python's, and JSON refuses it.
        known = bool(success) if isinstance(success, bool) or type(success).__name__ in {"bool", "bool_"} else None
        result = dict(seen.result or {})
        kept = ("element_count", "missing_count", "unexpected_count", "observed_value")
        plain = {key: simple(result[key]) for key in kept if key in result}
        plain["rows"] = [simple(row) for row in (result.get("partial_unexpected_index_list") or [])[:most]]
        return {"success": known, "result": plain}

    def _as_doubles(self) -> Any:
        """The batch with integers that lack some values as doubles; None where there are none, or digits were lost."""
        if self._doubles is None:
            extended = [
                name
                for name in self.frame.columns
                if type(self.frame[name].dtype).__name__.startswith(("Int", "UInt"))
                and not (self.frame[name].dropna().astype(object).map(abs) > _EXACT).any()
            ]
            plain = {name: self.frame[name].astype("float64") for name in extended}
            self._doubles = (self._as_batch("doubles", self.frame.assign(**plain)),) if extended else ()
        return self._doubles[0] if self._doubles else None


def expectation(type_: str, kwargs: Mapping[str, Any]) -> Any:
    """Raises whatever Great Expectations makes of wrong kwargs."""
    module: Any = import_module("great_expectations.expectations.expectation_configuration")
    return module.ExpectationConfiguration(type=type_, kwargs=dict(kwargs)).to_domain_obj()


def exception(info: Any) -> str:
    """What was raised: one flat record, or one for each metric that failed. Empty when nothing was."""
    records = [info] if isinstance(info, Mapping) and "raised_exception" in info else list((info or {}).values())
    for record in records:
        fields = record if isinstance(record, Mapping) else getattr(record, "__dict__", {})
        if fields.get("raised_exception"):
            return str(fields.get("exception_message") or "it raised, and does not say why")
    return ""


def worded(error: Exception) -> str:
    """Without the types of pydantic's complaints."""
    text = re.sub(r"\s*\(type=[^)]*\)", "", str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def simple(value: Any) -> Any:
    """The value in JSON's types."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return float(value)
    if isinstance(value, datetime | date | time | timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): simple(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [simple(one) for one in list(value)[:100]]
    if callable(getattr(value, "item", None)):  # numpy's scalars
        return simple(value.item())
    return str(value)[:300]


def frame(path: Path, columns: Sequence[str], huge: Sequence[str]) -> Any:
    """The columns as pandas has them, with no digit lost: integers that lack some values are pandas' own `Int64`."""
    pandas: Any = import_module("pandas")
    parquet: Any = import_module("pyarrow.parquet")
    table = parquet.ParquetFile(path)
    found = {}
    for name in columns:
        # One at a time, so that nothing is held twice.
        found[name] = _column(table.read(columns=[name]).column(0), pandas, huge=name in huge)
    return pandas.DataFrame(found, index=pandas.RangeIndex(table.metadata.num_rows))


def _column(values: Any, pandas: Any, *, huge: bool) -> Any:
    kind = str(values.type)
    if huge:
        return pandas.Series([None if value is None else int(value) for value in values.to_pylist()], dtype=object)
    if values.null_count and kind.startswith(("int", "uint")):
        dtype = getattr(pandas, f"{kind.title().replace('Uint', 'UInt')}Dtype")()
        return values.to_pandas(types_mapper=lambda _: dtype)
    return values.to_pandas(date_as_object=False)
