"""What each row adds to a metric: the metric's derivative by the row's share of all rows (its influence).

The mean of a metric's influences, weighted by the rows' shares, is 0; their variance is that of the metric. Of a mean
it is value - mean. So one way of making bounds serves every metric, sample weights and whole clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.estimate import confusion as confusions
from mlgate.judge.estimate import curves, queries, read, regression, rowwise
from mlgate.judge.measures import Spec, UndefinedError
from mlgate.judge.paired import bins, confusion, middle, ranks, units

if TYPE_CHECKING:
    from mlgate.data.rows import Floats


@dataclass(frozen=True)
class Influence:
    """`rows`: (n,). `share`: (n,), of all rows, adding up to 1; None where all are equal."""

    value: float
    rows: Floats = field(repr=False)
    share: Floats | None = field(default=None, repr=False)
    bias: float = 0.0  # how far the metric's expectation may lie above the truth


def measure(spec: Spec, rows: Rows, side: Predicted) -> Influence:
    """The metric of one model, and what each row adds to it. No row has weight 0. Raises UndefinedError."""
    share = None if rows.weight is None else rows.weight / rows.weight.sum()
    if spec.name in rowwise.NAMES:
        return of_mean(rowwise.values(spec, rows, side), share)
    value = estimate.value(spec, rows, side)
    if spec.name == "ndcg":
        return _ndcg(spec, rows, side, value)
    if spec.name in confusions.NAMES:
        return Influence(value, _confused(spec, rows, side), share)
    if spec.name == "expected_calibration_error":
        found, bias = bins.influence(spec, rows, side, value)
        return Influence(value, found, share, bias)
    if spec.name in curves.NAMES:
        return Influence(value, ranks.influence(spec, rows, side, value), share)
    if spec.name == "median_absolute_error":
        return Influence(value, middle.influence(np.abs(rows.label - read.score(side)), share), share)
    if spec.name in regression.NAMES:
        return Influence(value, _explained(spec, rows, side, share, value), share)
    raise UndefinedError(f"there are no bounds of {spec.name}")


def of_mean(values: Floats, share: Floats | None) -> Influence:
    value = rowwise.mean(values, share)
    if not math.isfinite(value):
        raise UndefinedError(units.TOO_LARGE)
    return Influence(value, values - value, share)


def _ndcg(spec: Spec, rows: Rows, side: Predicted, value: float) -> Influence:
    """A query's rows share what it adds: it is a unit, and lies in the cluster of its rows."""
    found = queries.ndcg(spec, rows, side)
    query = np.searchsorted(found.codes, np.asarray(rows.query))
    weight = np.ones(len(found.values)) if found.weight is None else found.weight
    share = (weight / weight.sum() / np.bincount(query))[query]
    return Influence(value, (found.values - value)[query], share)


def _confused(spec: Spec, rows: Rows, side: Predicted) -> Floats:
    size = len(rows.classes)
    cell = read.labels(rows) * size + read.decided(side)
    matrix = np.bincount(cell, weights=rows.weight, minlength=size * size).reshape(size, size).astype(np.float64)
    slope = confusion.measure(spec, matrix / matrix.sum())[1].ravel()
    found: Floats = slope[cell]
    if not np.isfinite(found).all():
        raise UndefinedError("it has no derivative here: some class is always, or never, decided right")
    return found


def _explained(spec: Spec, rows: Rows, side: Predicted, share: Floats | None, value: float) -> Floats:
    """Of metrics that are made of mean squares."""
    with np.errstate(over="ignore", invalid="ignore"):
        away = rows.label - read.score(side)
        if spec.name == "root_mean_squared_error":
            return (np.square(away) - value**2) / (2 * value) if value > 0 else np.zeros(rows.count)
        if spec.name == "explained_variance":
            away -= rowwise.mean(away, share)
        spread = np.square(rows.label - rowwise.mean(rows.label, share))
        whole = rowwise.mean(spread, share)
        return ((1 - value) * spread - np.square(away)) / whole
