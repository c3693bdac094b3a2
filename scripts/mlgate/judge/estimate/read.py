"""What a metric reads of one model's predictions, or why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.measures import UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Codes, Floats


def labels(rows: Rows) -> NDArray[np.intp]:
    """(n,): the index of each row's true class."""
    return rows.label.astype(np.intp)


def decided(side: Predicted) -> Codes:
    """(n,): the index of each row's decided class."""
    if side.decided is None:
        raise UndefinedError("the predictions have no decided class (predictions.class, or a score and cut_off)")
    return side.decided


def score(side: Predicted) -> Floats:
    """(n,): one score for each row."""
    if side.score is None:
        raise UndefinedError("the predictions have no score")
    if side.score.ndim != 1:
        raise UndefinedError("the predictions have several scores for each row, and one is needed")
    return side.score


def scores(rows: Rows, side: Predicted) -> Floats:
    """(n, k): a score for each class."""
    if side.score is None:
        raise UndefinedError("the predictions have no scores")
    if side.score.ndim != 2 or side.score.shape[1] != len(rows.classes):
        raise UndefinedError(f"the predictions have not one score for each of the {len(rows.classes)} classes")
    return side.score


def probability(side: Predicted) -> Floats:
    """(n,): the probability of the positive class."""
    found = score(side)
    _within(found)
    return found


def probabilities(rows: Rows, side: Predicted) -> Floats:
    """(n, k): the probability of each class; each row's sum is 1 but for rounding."""
    found = scores(rows, side)
    _within(found)
    off = np.abs(found.sum(axis=1) - 1.0)
    wrong = int(np.count_nonzero(off > _ROUNDING * found.shape[1]))
    if wrong:
        raise UndefinedError(f"the probabilities of {wrong:,} rows do not sum to one (one is {off.max():g} off)")
    return found


_ROUNDING = 1e-6  # per class: six decimals, or single precision


def _within(found: Floats) -> None:
    low, high = float(found.min()), float(found.max())
    if low < 0 or high > 1:
        raise UndefinedError(f"the scores are no probabilities: they go from {low:g} to {high:g}")


def weighed(rows: Rows) -> NDArray[np.bool_] | None:
    """(n,): which rows count at all; None where every row does."""
    if rows.weight is None or bool(rows.weight.all()):
        return None
    return rows.weight > 0
