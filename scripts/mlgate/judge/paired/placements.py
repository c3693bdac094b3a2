"""Where each row's score lies among the scores of the other class: what DeLong's method is made of.

One sort for each model and no float32 anywhere: ranks are exact below 2**52 rows (Sun & Xu, IEEE Signal Processing
Letters 21, 2014, doi 10.1109/LSP.2014.2337313, with counts in place of midranks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlgate.judge.estimate import ordering

Floats = NDArray[np.float64]


def by_class(positive: NDArray[np.bool_], scores: list[Floats]) -> tuple[Floats, Floats]:
    """Of the positive rows and of the negative ones: each (sides, rows of the class). Both classes occur.

    A placement is the share of the other class that a row is on the right side of, ties counting half. The mean of
    either class's is the area under the ROC curve.
    """
    positives = int(np.count_nonzero(positive))
    found = np.empty((len(scores), positives)), np.empty((len(scores), len(positive) - positives))
    tag = ordering.tags(positive)
    for side, score in enumerate(scores):
        ordered = ordering.ascending(positive, score, tag)
        for of_class, mine in zip(found, (ordered.positive, ~ordered.positive), strict=True):
            at = np.flatnonzero(mine)
            below = at - np.arange(len(at)) if ordered.first.all() else _with_ties(mine, ordered.first)
            share = below / ((1 if ordered.first.all() else 2) * (len(positive) - len(at)))
            of_class[side, ordered.place[at]] = share if of_class is found[0] else 1 - share
    return found


def _with_ties(mine: NDArray[np.bool_], first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row of a class, in order, twice the rows of the other class below it, and those that tie with it."""
    starts = np.flatnonzero(first)
    own = np.add.reduceat(mine, starts, dtype=np.int64)
    other = np.diff(starts, append=len(first)) - own
    upto = np.cumsum(other)
    return np.repeat(2 * upto - other, own)
