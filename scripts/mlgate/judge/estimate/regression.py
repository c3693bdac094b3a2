"""Metrics of predicted numbers that are not a mean over rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read, rowwise
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

NAMES = frozenset({
    "root_mean_squared_error", "median_absolute_error", "max_error", "r2", "explained_variance",
})  # fmt: skip


def value(spec: Spec, rows: Rows, side: Predicted) -> float:
    """Infinite or NaN only where the numbers are too large to be squared."""
    label, predicted, weight = rows.label, read.score(side), rows.weight
    counted = read.weighed(rows)
    if counted is not None and weight is not None:
        label, predicted, weight = label[counted], predicted[counted], weight[counted]
        if not len(label):
            raise UndefinedError("no row has a weight above zero")
    with np.errstate(over="ignore", invalid="ignore"):
        away = label - predicted
        match spec.name:
            case "root_mean_squared_error":
                return math.sqrt(rowwise.mean(np.square(away), weight))
            case "median_absolute_error":
                return _median(np.abs(away), weight)
            case "max_error":
                return float(np.abs(away).max())
        if label.min() == label.max():
            raise UndefinedError("all labels are the same, so that there is nothing to explain")
        spread = _squares(label - rowwise.mean(label, weight), weight)
        if spec.name == "explained_variance":
            away = away - rowwise.mean(away, weight)
        if spread <= 0:
            raise UndefinedError("the labels are too close to each other to be told apart")
        return 1.0 - _squares(away, weight) / spread


def _squares(found: Floats, weight: Floats | None) -> float:
    """The weighted sum of squares."""
    squared = np.square(found)
    return float(np.sum(squared if weight is None else weight * squared))


def _median(found: Floats, weight: Floats | None) -> float:
    """The middle one, or the mean of the two in the middle; with weights: the value at half of the weight."""
    if weight is None:
        return float(np.median(found))
    order = found.argsort()
    so_far = np.cumsum(weight[order])
    half = 0.5 * so_far[-1]
    place = min(int(so_far.searchsorted(half)), len(found) - 1)
    here = float(found[order[place]])
    if so_far[place] - half > np.finfo(np.float64).eps or place + 1 == len(found):
        return here
    return (here + float(found[order[place + 1]])) / 2
