"""Where each row's score lies among the scores of the other class: what DeLong's method is made of.

One sort for each model and no float32 anywhere: ranks are exact below 2**52 rows (Sun & Xu, IEEE Signal Processing
Letters 21, 2014, doi 10.1109/LSP.2014.2337313, with counts in place of midranks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def placements(positive: NDArray[np.bool_], score: Floats) -> Floats:
    """For each row the share of the other class that it is on the right side of, ties counting half: (n,).

    Their mean over the positive rows, or over the negative ones, is the area under the ROC curve.
    """
    order = np.argsort(score)
    ordered = score[order]
    marks = positive[order]
    first = np.empty(len(score), bool)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    del ordered
    above = np.cumsum(marks)  # positives up to here
    positives = int(above[-1])
    negatives = len(score) - positives
    below = np.arange(1, len(score) + 1) - above  # negatives up to here
    if not first.all():
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], len(score)) - 1
        sizes = ends - starts + 1
        # twice the mean of what stands before the tie and what stands at its end
        above = np.repeat(above[ends] + above[starts] - marks[starts], sizes)
        below = np.repeat(below[ends] + below[starts] - ~marks[starts], sizes)
        placed = np.where(marks, below / (2 * negatives), 1 - above / (2 * positives))
    else:
        placed = np.where(marks, below / negatives, 1 - above / positives)
    found = np.empty(len(score))
    found[order] = placed
    return found


@dataclass(frozen=True)
class Areas:
    """Two areas under the ROC curve on the same rows, with DeLong's variances and covariance."""

    a: float
    b: float
    var_a: float
    var_b: float
    covariance: float
    positives: int
    negatives: int

    def variance(self, ratio: float) -> float:
        """Of a - ratio * b."""
        return max(0.0, self.var_a + ratio * ratio * self.var_b - 2 * ratio * self.covariance)


def areas(positive: NDArray[np.bool_], a: Floats, b: Floats | None = None) -> Areas:
    """Of one model, or of two. Both classes occur; a class of one row has no variance of its own and counts as 0."""
    values = [placements(positive, score) for score in ((a,) if b is None else (a, b))]
    positives = int(positive.sum())
    total = np.zeros((2, 2))
    for of_class in (positive, ~positive):
        split = np.stack([value[of_class] for value in values])
        if split.shape[1] > 1:
            spread = np.atleast_2d(np.cov(split)) / split.shape[1]
            total[: len(values), : len(values)] += spread
        if of_class is positive:
            means = split.mean(1)
    return Areas(
        a=float(means[0]),
        b=float(means[1]) if b is not None else 0.0,
        var_a=float(total[0, 0]),
        var_b=float(total[1, 1]),
        covariance=float(total[0, 1]),
        positives=positives,
        negatives=len(positive) - positives,
    )
