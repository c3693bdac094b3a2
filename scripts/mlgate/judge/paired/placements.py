"""Where each row's score lies among the scores of the other class: what DeLong's method is made of.

One sort for each model and no float32 anywhere: ranks are exact below 2**52 rows (Sun & Xu, IEEE Signal Processing
Letters 21, 2014, doi 10.1109/LSP.2014.2337313, with counts in place of midranks).
"""

from __future__ import annotations

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


def by_class(positive: NDArray[np.bool_], scores: list[Floats]) -> tuple[Floats, Floats]:
    """The placements of the positive rows and of the negative ones: each (sides, rows of the class)."""
    values = [placements(positive, score) for score in scores]
    negative = ~positive
    return np.stack([value[positive] for value in values]), np.stack([value[negative] for value in values])
