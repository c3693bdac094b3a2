"""One row before the first request: it loads what a call loads, and shows whether the model takes missing numbers.

Only for estimators of libraries, whose calls cost nothing and change nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlgate.serving.columns import Columns
from mlgate.serving.models import Model, Predicted
from mlgate.serving.settings import Input

_MOST = 300  # columns that are asked about one by one
_PLAIN: Mapping[str, Any] = {
    "integer": 0, "number": 0.0, "string": "", "boolean": False, "any": 0.0, "binary": b"",
    "datetime": np.datetime64("2000-01-01", "ns"),
}  # fmt: skip


@dataclass(frozen=True)
class Probed:
    """`inputs`: a number that the model cannot be without is not nullable. `said`: of the row; None where it failed."""

    inputs: tuple[Input, ...]
    said: Predicted | None = None


def probe(model: Model, inputs: Sequence[Input], dtypes: Mapping[str, str]) -> Probed:
    """Raises nothing: a row that the model does not take only means that nothing is learned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a row that nobody sent
        return _probe(model, tuple(inputs), dtypes)


def _probe(model: Model, given: tuple[Input, ...], dtypes: Mapping[str, str]) -> Probed:
    if not given or not (model.rowwise or model.kind == "onnx"):
        return Probed(given)
    try:
        said = model.predict(_row(given, dtypes, {}))
    except Exception:
        return Probed(given)
    if model.kind == "onnx":
        return Probed(given, said)
    asked = [one.name for one in given if one.nullable and one.type in ("number", "any") and one.shape is None]
    if asked and not _takes(model, given, dtypes, asked):
        refused = {name for name in asked[:_MOST] if not _takes(model, given, dtypes, [name])}
        given = tuple(replace(one, nullable=False) if one.name in refused else one for one in given)
    return Probed(given, said)


def _takes(model: Model, inputs: Sequence[Input], dtypes: Mapping[str, str], missing: Sequence[str]) -> bool:
    try:
        model.predict(_row(inputs, dtypes, dict.fromkeys(missing)))
    except ValueError:  # what scikit-learn raises for NaN
        return False
    except Exception:
        return True
    return True


def _row(inputs: Sequence[Input], dtypes: Mapping[str, str], told: Mapping[str, Any]) -> Columns:
    values: list[Any] = []
    for one in inputs:
        if one.shape is not None:
            dtype = dtypes.get(one.name) or "float64"
            values.append(np.zeros([1 if n < 0 else n for n in one.shape], dtype))
        else:
            values.append([told[one.name] if one.name in told else _value(one)])
    return Columns([one.name for one in inputs], values, 1, dtypes)


def _value(one: Input) -> Any:
    if one.values:
        return one.values[0]
    value = _PLAIN[one.type]
    if one.type in ("integer", "number", "any"):
        low, high = one.minimum, one.maximum
        if low is not None and value < low:
            value = low
        if high is not None and value > high:
            value = high
        return int(value) if one.type == "integer" else value
    return value
