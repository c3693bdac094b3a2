"""Metrics of how scores order rows (AUC, average precision), and of how well probabilities are calibrated."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

NAMES = frozenset({"roc_auc", "roc_auc_ovo", "average_precision", "expected_calibration_error"})

Mask = NDArray[np.bool_]


def value(spec: Spec, rows: Rows, side: Predicted) -> float:
    if spec.name == "expected_calibration_error":
        return _calibration(spec, rows, side)
    if rows.task == "binary":
        return _one(spec, read.score(side), rows.label > 0, rows.weight)
    found, true = read.scores(rows, side), read.labels(rows)
    if spec.name == "roc_auc_ovo":
        return _against_each(spec, found, true, rows.weight)
    if spec.average == "micro":
        hot = np.zeros(found.shape, dtype=np.bool_)
        hot[np.arange(rows.count), true] = True
        weight = None if rows.weight is None else np.repeat(rows.weight, found.shape[1])
        return _one(spec, found.ravel(), hot.ravel(), weight)
    return _against_rest(spec, found, true, rows)


def _one(spec: Spec, score: Floats, positive: Mask, weight: Floats | None) -> float:
    return (auc if spec.name == "roc_auc" else average_precision)(score, positive, weight)


def _against_rest(spec: Spec, found: Floats, true: NDArray[np.intp], rows: Rows) -> float:
    if spec.average not in {"macro", "weighted"}:
        raise UndefinedError("it does not say how several classes become one number (average: macro, micro, weighted)")
    share = np.bincount(true, weights=rows.weight, minlength=found.shape[1])
    counted = np.flatnonzero(share > 0)
    if spec.average == "macro" and len(counted) < found.shape[1]:
        missing = int(np.flatnonzero(share <= 0)[0])
        raise UndefinedError(f"no row is {rows.classes[missing]!r}")
    each = [_one(spec, found[:, index], true == index, rows.weight) for index in counted]
    return float(np.average(each, weights=share[counted] if spec.average == "weighted" else None))


def _against_each(spec: Spec, found: Floats, true: NDArray[np.intp], weight: Floats | None) -> float:
    """Hand and Till (2001): the mean over pairs of classes, each seen from both of its sides."""
    if spec.average not in {"macro", "weighted"}:
        raise UndefinedError("it does not say how pairs of classes become one number (average: macro, weighted)")
    share = np.bincount(true, weights=weight, minlength=found.shape[1])
    counted = np.flatnonzero(share > 0)
    if len(counted) < 2:
        raise UndefinedError("there is only one class")
    each, prevalence = [], []
    for one, other in combinations(counted, 2):
        of = (true == one) | (true == other)
        is_one, own = true[of] == one, None if weight is None else weight[of]
        both = auc(found[of, one], is_one, own) + auc(found[of, other], ~is_one, own)
        each.append(both / 2)
        prevalence.append(share[one] + share[other])
    return float(np.average(each, weights=prevalence if spec.average == "weighted" else None))


def auc(score: Floats, positive: Mask, weight: Floats | None = None) -> float:
    """The share of pairs of a positive and a negative row where the positive one has the higher score; a tie is half.

    Each class is sorted by itself, and the positives are looked up among the negatives: n log n, and no ranks.
    """
    pos, neg = score[positive], score[~positive]
    if weight is None:
        if not len(pos) or not len(neg):
            raise UndefinedError("there is only one class")
        pos.sort()
        neg.sort()
        # Counts are whole numbers: their sum is exact, whatever the number of rows.
        below = int(neg.searchsorted(pos, "left").sum()) + int(neg.searchsorted(pos, "right").sum())
        return below / (2 * len(pos) * len(neg))
    of_pos, of_neg = weight[positive], weight[~positive]
    all_pos, all_neg = float(of_pos.sum()), float(of_neg.sum())
    if all_pos <= 0 or all_neg <= 0:
        raise UndefinedError("there is only one class")
    order = neg.argsort()
    neg, so_far = neg[order], np.concatenate(([0.0], np.cumsum(of_neg[order])))
    order = pos.argsort()
    pos, of_pos = pos[order], of_pos[order]
    below_or_half = (so_far[neg.searchsorted(pos, "left")] + so_far[neg.searchsorted(pos, "right")]) / 2
    return min(1.0, float(of_pos @ below_or_half) / (all_pos * all_neg))


def average_precision(score: Floats, positive: Mask, weight: Floats | None = None) -> float:
    """The mean of the precision at each positive row's own score: no interpolation between points of the curve."""
    pos, neg = score[positive], score[~positive]
    if weight is None:
        of_pos, of_neg = np.ones(len(pos)), np.ones(len(neg))
        pos.sort()
        neg.sort()
    else:
        of_pos, of_neg = weight[positive], weight[~positive]
        order = pos.argsort()
        pos, of_pos = pos[order], of_pos[order]
        order = neg.argsort()
        neg, of_neg = neg[order], of_neg[order]
    whole = float(of_pos.sum())
    if whole <= 0:
        raise UndefinedError("no row is positive")
    # From the top: what is above and at each row's score.
    first = np.flatnonzero(np.concatenate(([True], pos[1:] != pos[:-1])))  # of each distinct score, the lowest place
    own = np.add.reduceat(of_pos, first)
    hits = np.cumsum(own[::-1])[::-1]
    above = np.concatenate((np.cumsum(of_neg[::-1])[::-1], [0.0]))[neg.searchsorted(pos[first], "left")]
    counted = own > 0
    return min(1.0, float(own[counted] @ (hits[counted] / (hits[counted] + above[counted]))) / whole)


def _calibration(spec: Spec, rows: Rows, side: Predicted) -> float:
    """sum over bins of |sum of weight * (probability - was it right)| / sum of weights.

    Bins have one width, and are closed above: (0, 0.1], the first holds 0 as well. Binary: the probability of the
    positive class against the share of positives (Naeini, Cooper and Hauskrecht, AAAI 2015). Several classes: the
    highest probability against the share of rows where that class is the true one (Guo, Pleiss, Sun and Weinberger,
    ICML 2017); of equal ones the first class is taken.
    """
    bins, gap = gaps(spec, rows, side)
    total = float(rows.count) if rows.weight is None else float(rows.weight.sum())
    if total <= 0:
        raise UndefinedError("no row has a weight above zero")
    sums = np.bincount(bins, weights=gap if rows.weight is None else gap * rows.weight, minlength=spec.bins)
    return float(np.abs(sums).sum()) / total


def gaps(spec: Spec, rows: Rows, side: Predicted) -> tuple[NDArray[np.intp], Floats]:
    """(n,) and (n,): each row's bin, and its probability minus whether it was right."""
    if rows.task == "binary":
        sure, right = read.probability(side), rows.label
    else:
        found = read.probabilities(rows, side)
        top = found.argmax(axis=1)
        sure = found[np.arange(rows.count), top]
        right = (top == read.labels(rows)).astype(np.float64)
    edges = np.linspace(0.0, 1.0, spec.bins + 1)
    bins = edges[1:-1].searchsorted(sure, "left")
    return bins, sure - right
