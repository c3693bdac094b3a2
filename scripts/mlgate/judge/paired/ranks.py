"""What each row adds to metrics of how scores order rows: AUC and average precision, of two classes and of several.

For AUC these are the placement values of DeLong, DeLong and Clarke-Pearson (1988), and over clusters those of
Obuchowski (1997); for average precision the derivative of sum over positives of hits(score) / all(score).
One sort for each curve; rows of equal score are one step of it.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read
from mlgate.judge.measures import Spec

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

Mask = NDArray[np.bool_]


class Curve(NamedTuple):
    value: float
    rows: Floats  # (n,)


def influence(spec: Spec, rows: Rows, side: Predicted, value: float) -> Floats:
    """(n,): of a metric that is defined on these rows, where its value is `value`."""
    share = np.full(rows.count, 1 / rows.count) if rows.weight is None else rows.weight / rows.weight.sum()
    of = average_precision if spec.name == "average_precision" else auc
    if rows.task == "binary":
        return of(read.score(side), rows.label > 0, share).rows
    found, true = read.scores(rows, side), read.labels(rows)
    if spec.name == "roc_auc_ovo":
        return _against_each(spec, found, true, share, value)
    if spec.average == "micro":
        size = found.shape[1]
        hot = np.zeros(found.shape, dtype=np.bool_)
        hot[np.arange(rows.count), true] = True
        flat = of(found.ravel(), hot.ravel(), np.repeat(share / size, size)).rows
        rowwise: Floats = flat.reshape(found.shape).mean(axis=1)
        return rowwise
    prevalence = np.bincount(true, weights=share, minlength=found.shape[1])
    counted = np.flatnonzero(prevalence > 0)
    weighted = spec.average == "weighted"
    total, own = np.zeros(rows.count), np.zeros(found.shape[1])
    for index in counted:
        curve = of(found[:, index], true == index, share)
        total += curve.rows * (prevalence[index] if weighted else 1 / len(counted))
        own[index] = curve.value
    return total + (own[true] - value) if weighted else total


def _against_each(spec: Spec, found: Floats, true: NDArray[np.intp], share: Floats, value: float) -> Floats:
    """Over the pairs of classes, each seen from both of its sides; weighted by how many rows are of either."""
    prevalence = np.bincount(true, weights=share, minlength=found.shape[1])
    counted = np.flatnonzero(prevalence > 0)
    pairs = len(counted) * (len(counted) - 1) / 2
    weighted = spec.average == "weighted"
    total, own = np.zeros(len(true)), np.zeros(found.shape[1])
    for one, other in combinations(counted, 2):
        of = np.flatnonzero((true == one) | (true == other))
        is_one = true[of] == one
        left, right = auc(found[of, one], is_one, share[of]), auc(found[of, other], ~is_one, share[of])
        weight = (prevalence[one] + prevalence[other]) / (len(counted) - 1) if weighted else 1 / pairs
        total[of] += (left.rows + right.rows) / 2 * weight
        own[[one, other]] += (left.value + right.value) / 2 / (len(counted) - 1)
    return total + (own[true] - value) if weighted else total


def auc(score: Floats, positive: Mask, share: Floats) -> Curve:
    """`share` of each row (n,), above 0, of all rows there are, be they in here or not. Both classes are there."""
    order, first, last, own = _steps(score, positive, share)
    hits, misses = _before(own), _before(share[order] - own)
    all_hits, all_misses = hits[-1], misses[-1]
    above = (misses[first] + misses[last]) / (2 * all_misses)  # what a positive row has below it, half of its equals
    below = 1 - (hits[first] + hits[last]) / (2 * all_hits)
    value = float(own @ above) / all_hits
    found = np.empty(len(score))
    found[order] = np.where(own > 0, (above - value) / all_hits, (below - value) / all_misses)
    return Curve(value, found)


def average_precision(score: Floats, positive: Mask, share: Floats) -> Curve:
    order, first, last, own = _steps(score, positive, share)
    of = share[order]
    hits, everything = own.sum() - _before(own)[first], of.sum() - _before(of)[first]  # at and above each row's score
    value = float(own @ (hits / everything)) / float(own.sum())
    gained = _before(own / everything)[last]  # over the steps at and below: what one more row there adds to hits,
    lost = _before(own * hits / everything**2)[last]  # and takes away as one more of all
    found = np.empty(len(score))
    found[order] = (np.where(own > 0, hits / everything - value + gained, 0.0) - lost) / float(own.sum())
    return Curve(value, found)


def _steps(
    score: Floats, positive: Mask, share: Floats
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Floats]:
    """The ascending order, where in it each row's step begins and ends, and the shares of the positive rows."""
    order = score.argsort()
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    ends = np.append(starts[1:], len(order))
    own = np.where(positive[order], share[order], 0.0)
    if len(starts) == len(order):
        return order, starts, ends, own
    return order, np.repeat(starts, ends - starts), np.repeat(ends, ends - starts), own


def _before(found: Floats) -> Floats:
    """(n + 1,): the sum of the first 0, 1, ... n."""
    return np.concatenate(([0.0], np.cumsum(found)))
