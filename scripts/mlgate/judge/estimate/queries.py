"""Metrics of rankings: one value for each query."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Codes, Floats


class Queries(NamedTuple):
    """One entry for each query, in the order of their codes."""

    codes: Codes
    values: Floats
    weight: Floats | None  # that of each of its rows


def ndcg(spec: Spec, rows: Rows, side: Predicted) -> Queries:
    """Discounted gain of the ranking by score, over that of the best ranking; of the first k places where k is set.

    The gain is the relevance itself (not 2**relevance - 1), the discount log2(place + 1). Rows of equal score share the
    mean gain of their places (McSherry and Najork 2008). A query without a relevant row is 0, as in scikit-learn: other
    libraries leave it out or call it 1.
    """
    if rows.query is None:
        raise UndefinedError("it is not known which rows are ranked against each other (columns.query)")
    if float(rows.label.min()) < 0:
        raise UndefinedError("a relevance is below zero")
    if not rows.label.any():
        raise UndefinedError("no row of any query is relevant")
    score = read.score(side)
    order = np.lexsort((-score, rows.query))
    query, score, gain = rows.query[order], score[order], rows.label[order]
    first = np.flatnonzero(np.concatenate(([True], query[1:] != query[:-1])))
    size = np.diff(np.append(first, len(query)))
    place = np.arange(len(query)) - np.repeat(first, size)
    discount = 1.0 / np.log2(place + 2.0)
    if spec.k is not None:
        discount[place >= spec.k] = 0.0
    best = _sums(discount * rows.label[np.lexsort((-rows.label, rows.query))], first)
    changes = np.concatenate(([True], (query[1:] != query[:-1]) | (score[1:] != score[:-1])))
    tied = np.flatnonzero(changes)
    if len(tied) < len(query):
        sizes = np.diff(np.append(tied, len(query)))
        gain = np.repeat(_sums(gain, tied) / sizes, sizes)
    found = np.zeros(len(first))
    np.divide(_sums(discount * gain, first), best, out=found, where=best > 0)
    weight = None if rows.weight is None else _weights(rows.weight[order], first)
    return Queries(query[first], found, weight)


def _sums(found: Floats, first: NDArray[np.intp]) -> Floats:
    sums: Floats = np.add.reduceat(found, first)
    return sums


def _weights(weight: Floats, first: NDArray[np.intp]) -> Floats:
    low, high = np.minimum.reduceat(weight, first), np.maximum.reduceat(weight, first)
    if not np.array_equal(low, high):
        raise UndefinedError("rows of one query have different weights")
    return low
