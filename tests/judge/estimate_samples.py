"""Rows and predictions of every task, made by Hypothesis: with ties, certain probabilities and weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec, UndefinedError

Array = NDArray[Any]

PROBABILITIES = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, 0.25, 1e-300, 1e-17, 1e-9, 1 - 1e-16, 0.1, 0.2, 0.30000000000000004]),
    st.floats(0, 1),
)
# Multiples of 1/8 are exact: what is left is the arithmetic that is compared, not cancellation in the data.
NUMBERS = st.integers(-8000, 8000).map(lambda v: v / 8)
WEIGHTS = st.sampled_from([0.5, 1.0, 2.0, 3.0, 0.1, 7.25])


def several(count: int, elements: st.SearchStrategy[Any], dtype: type = np.float64) -> st.SearchStrategy[Array]:
    return arrays.arrays(dtype, count, elements=elements)


@st.composite
def weights(draw: st.DrawFn, count: int, *, zeros: bool = False) -> Array | None:
    if not zeros and draw(st.booleans()):
        return None
    found = draw(several(count, st.one_of(WEIGHTS, st.just(0.0)) if zeros else WEIGHTS))
    if not found.any():
        found[0] = 1.0
    return found


@st.composite
def binary(draw: st.DrawFn, *, zeros: bool = False, least: int = 1) -> Rows:
    count = draw(st.integers(least, 40))
    label = draw(several(count, st.sampled_from([0.0, 1.0])))
    score = draw(several(count, PROBABILITIES))
    decided = draw(several(count, st.integers(0, 1), np.int32))
    weight = draw(weights(count, zeros=zeros))
    return Rows("binary", label, Predicted(score, decided), classes=("no", "yes"), weight=weight)


@st.composite
def multiclass(draw: st.DrawFn, *, zeros: bool = False, everyone: bool = False) -> Rows:
    """`everyone`: each class has a row."""
    classes = draw(st.integers(3, 5))
    count = draw(st.integers(classes if everyone else 1, 40))
    label = draw(several(count, st.integers(0, classes - 1), np.int32)).astype(np.float64)
    if everyone:
        label[:classes] = range(classes)
    raw = draw(arrays.arrays(np.float64, (count, classes), elements=st.one_of(st.just(0.0), st.floats(0.01, 1))))
    raw[raw.sum(axis=1) == 0] = 1.0
    score = raw / raw.sum(axis=1, keepdims=True)
    decided = draw(several(count, st.integers(0, classes - 1), np.int32))
    names = tuple(f"class {i}" for i in range(classes))
    return Rows("multiclass", label, Predicted(score, decided), classes=names, weight=draw(weights(count, zeros=zeros)))


@st.composite
def regression(draw: st.DrawFn, *, zeros: bool = False) -> Rows:
    count = draw(st.integers(1, 40))
    label, predicted = draw(several(count, NUMBERS)), draw(several(count, NUMBERS))
    return Rows("regression", label, Predicted(predicted), weight=draw(weights(count, zeros=zeros)))


@st.composite
def ranking(draw: st.DrawFn) -> Rows:
    """Queries of 2 to 6 rows each, of one weight."""
    sizes = draw(st.lists(st.integers(2, 6), min_size=1, max_size=8))
    query = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    count = len(query)
    label = draw(several(count, st.integers(0, 4), np.int32)).astype(np.float64)
    score = draw(several(count, st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-5, 5))))
    per_query = draw(weights(len(sizes)))
    weight = None if per_query is None else per_query[query]
    order = np.asarray(draw(st.permutations(range(count))))
    return Rows(
        "ranking", label[order], Predicted(score[order]), query=query[order],
        weight=None if weight is None else weight[order],
    )  # fmt: skip


def without(rows: Rows, kept: Array) -> Rows:
    """The rows where `kept` is true, or those at these places."""
    side = rows.challenger
    pick: Callable[[Array | None], Array | None] = lambda array: None if array is None else array[kept]  # noqa: E731
    return replace(
        rows,
        label=rows.label[kept],
        challenger=Predicted(pick(side.score), pick(side.decided), {k: v[kept] for k, v in side.values.items()}),
        weight=pick(rows.weight),
        query=pick(rows.query),
    )


def measured(spec: Spec, rows: Rows) -> float | None:
    """The metric of the challenger; None where it is not defined, with a reason that reads as one."""
    try:
        found = estimate.value(spec, rows, rows.challenger)
    except UndefinedError:
        return None
    assert math.isfinite(found)
    return found


def said(oracle: Callable[[], Any]) -> tuple[float, bool]:
    """What an oracle says, and whether it calls that undefined: by a warning or NaN."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = float(oracle())
    undefined = any("ndefined" in type(w.message).__name__ or "not in y_true" in str(w.message) for w in caught)
    return found, undefined or math.isnan(found)


def close(expected: float) -> Any:
    return pytest.approx(expected, rel=1e-12, abs=1e-14)
