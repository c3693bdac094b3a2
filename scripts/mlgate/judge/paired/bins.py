"""What each row adds to the calibration error, and how far that error lies above the truth by nature.

It is a sum of absolute means. Even a model that is perfectly calibrated has means that are not exactly 0, so that the
error of n rows is expected to be above that of all rows, for one model more than for another.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import curves
from mlgate.judge.measures import Spec

if TYPE_CHECKING:
    from mlgate.data.rows import Floats


def influence(spec: Spec, rows: Rows, side: Predicted, value: float) -> tuple[Floats, float]:
    """(n,) and how far the value's expectation may lie above the truth."""
    bins, gap = curves.gaps(spec, rows, side)
    shared = gap / rows.count if rows.weight is None else gap * (rows.weight / rows.weight.sum())
    means = np.bincount(bins, weights=shared, minlength=spec.bins)
    return np.sign(means)[bins] * gap - value, sum(map(_excess, means, _errors(spec, rows, bins, shared)))


def _errors(spec: Spec, rows: Rows, bins: np.ndarray, shared: Floats) -> Floats:
    """The standard error of each bin's mean: over whole clusters where there are any."""
    if rows.cluster is None:
        squares = np.bincount(bins, weights=shared**2, minlength=spec.bins)
    else:
        clusters = int(rows.cluster.max()) + 1
        sums = np.bincount(bins * clusters + rows.cluster, weights=shared, minlength=spec.bins * clusters)
        squares = np.square(sums).reshape(spec.bins, clusters).sum(axis=1)
    errors: Floats = np.sqrt(squares)
    return errors


def _excess(mean: float, error: float) -> float:
    """How far the expected size of a noisy mean lies above the size of the mean, were that one standard error less."""
    if error <= 0:
        return 0.0
    size = max(abs(mean) / error - 1, 0.0)
    return error * (math.sqrt(2 / math.pi) * math.exp(-size * size / 2) - size * math.erfc(size / math.sqrt(2)))
