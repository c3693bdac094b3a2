"""Other things that people mean by the name of a metric: what a committed number may be, when it is not the metric.

Only asked where a recomputed value disagrees, so that the message can name the cause instead of guessing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlgate import estimators
from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import queries, read, rowwise
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

Value = Callable[[Spec, Rows, Predicted], float]
Variant = tuple[str, Callable[[], float]]  # how it differs, as the end of "which is what you get ..."

_BETAS = (0.5, 1.0, 2.0)


def variants(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[tuple[str, float]]:
    """What comes out if it is computed in another way, the likeliest first; what is not defined is left out."""
    for words, make in _all(spec, rows, side, value):
        try:
            found = make()
        except (UndefinedError, OverflowError):
            continue
        if math.isfinite(found):
            yield words, found


def _all(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    known = estimators.KNOWN[spec.name]
    if rows.weight is not None:
        yield "without weights", partial(value, spec, replace(rows, weight=None), side)
    if known.needs == "class":
        yield from _decided(spec, rows, side, value)
    if known.averages:
        yield from _averages(spec, rows, side, value)
    if rows.task == "binary":
        yield from _other_class(spec, rows, side, value)
    for words, other in _others(spec):
        yield words, partial(value, other, rows, side)
    yield from _own(spec, rows, side, value)


def _averages(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    known = estimators.KNOWN[spec.name]
    if rows.task == "binary":
        if known.needs == "score":
            return
        if spec.average:
            yield "of the positive class alone", partial(value, replace(spec, average=""), rows, side)
    for average in known.averages:
        if average != spec.average:
            yield f"with `average: {average}`", partial(value, replace(spec, average=average), rows, side)
    other = {"roc_auc": "roc_auc_ovo", "roc_auc_ovo": "roc_auc"}.get(spec.name, "")
    for average in estimators.KNOWN[other].averages if other else ():
        yield f"of `is: {other}` with `average: {average}`", partial(value, Spec(other, average=average), rows, side)


def _decided(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    """Other decisions from the same scores."""
    score = side.score
    if score is None:
        return
    if score.ndim == 1 and rows.task == "binary":
        positive = score[side.decided > 0] if side.decided is not None else score[:0]
        if len(positive):
            above = Predicted(decided=(score > positive.min()).astype(np.int32))
            yield "when only scores above the cut-off are positive, not those at it", partial(value, spec, rows, above)
        for words, cut in (("of 0.5 or more", np.greater_equal), ("above 0.5", np.greater)):
            other = Predicted(decided=cut(score, 0.5).astype(np.int32))
            yield f"when scores {words} are positive", partial(value, spec, rows, other)
    elif score.ndim > 1 and score.shape[1] == len(rows.classes):
        highest = Predicted(decided=score.argmax(axis=1).astype(np.int32))
        yield "when the class of the highest score is decided", partial(value, spec, rows, highest)


def _other_class(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    """The other class called positive: by the same scores, or by scores that are turned round as well."""
    if spec.average:
        return
    name = repr(rows.classes[0])
    turned = replace(rows, label=1.0 - rows.label, classes=rows.classes[::-1])
    decided = None if side.decided is None else 1 - side.decided
    score = None if side.score is None else 1.0 - side.score
    yield f"when {name} is the positive class", partial(value, spec, turned, Predicted(score, decided))
    if score is not None and estimators.KNOWN[spec.name].needs != "class":
        yield f"when the scores are taken for those of {name}", partial(value, spec, rows, Predicted(score))


_EXCHANGED = {
    "root_mean_squared_error": ("mean_squared_error",),
    "mean_squared_error": ("root_mean_squared_error",),
    "mean_absolute_error": ("median_absolute_error", "root_mean_squared_error"),
    "r2": ("explained_variance",),
    "explained_variance": ("r2",),
    "accuracy": ("balanced_accuracy",),
    "balanced_accuracy": ("accuracy",),
    "average_precision": ("roc_auc",),
    "roc_auc": ("average_precision",),
}
_KS = (1, 2, 3, 5, 10, 20, 100)


def _others(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Other parameters, and metrics that are taken for each other."""
    for name in _EXCHANGED.get(spec.name, ()):
        yield f"of `is: {name}`", replace(spec, name=name)
    match spec.name:
        case "f1" | "f_beta":
            for beta in (0.5, 1.0, 2.0):
                yield f"with `beta: {beta:g}`", replace(spec, name="f_beta", beta=beta)
        case "expected_calibration_error":
            for bins in (5, 10, 15, 20):
                yield f"with `bins: {bins}`", replace(spec, bins=bins)
        case "top_k_accuracy" | "ndcg":
            if spec.name == "ndcg" and spec.k is not None:
                yield "without `k`", replace(spec, k=None)
            for k in _KS:
                yield f"with `k: {k}`", replace(spec, k=k)
        case "mean_pinball_loss":
            yield f"with `quantile: {1 - spec.quantile:g}`", replace(spec, quantile=1 - spec.quantile)


def _own(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    """What is peculiar to one metric."""
    match spec.name:
        case "r2" | "explained_variance":
            yield "as the squared correlation", lambda: _correlation(rows, side) ** 2
        case "log_loss":
            yield from _log_losses(spec, rows, side, value)
        case "brier_score" | "mean_pinball_loss":
            yield "times two", lambda: 2 * value(spec, rows, side)
            yield "halved", lambda: value(spec, rows, side) / 2
        case "average_precision" if rows.task == "binary":
            words = "by the trapezoidal rule, which draws straight lines between the points of the curve"
            yield words, lambda: _trapezoid(read.score(side), rows.label > 0, rows.weight)
        case "ndcg":
            yield from _gains(spec, rows, side, value)


def _log_losses(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    def kept(inside: float) -> float:
        if side.score is None:
            raise UndefinedError("the predictions have no score")
        return value(spec, rows, Predicted(np.clip(side.score, inside, 1.0 - inside)))

    yield "with probabilities kept 1e-15 away from 0 and 1, as scikit-learn before 1.2 does", partial(kept, 1e-15)
    single = float(np.finfo(np.float32).eps)
    yield "with probabilities of single precision, kept 1.2e-7 away from 0 and 1", partial(kept, single)
    yield "with logarithms to base 2", lambda: value(spec, rows, side) / math.log(2)
    yield "added up instead of averaged", lambda: value(spec, rows, side) * rows.count


def _trapezoid(score: Floats, positive: NDArray[np.bool_], weight: Floats | None) -> float:
    """scikit-learn's auc(recall, precision) of precision_recall_curve."""
    order = (-score).argsort(kind="stable")
    own = np.ones(len(score)) if weight is None else weight[order]
    hit = positive[order]
    last = np.flatnonzero(np.concatenate((np.diff(score[order]) != 0, [True])))
    hits, all_ = np.cumsum(own * hit)[last], np.cumsum(own)[last]
    kept = all_ > 0
    hits, all_ = hits[kept], all_[kept]
    if not len(hits) or hits[-1] <= 0:
        raise UndefinedError("no row is positive")
    recall, precision = np.concatenate(([0.0], hits / hits[-1])), np.concatenate(([1.0], hits / all_))
    return float(np.trapezoid(precision, recall))


def _gains(spec: Spec, rows: Rows, side: Predicted, value: Value) -> Iterator[Variant]:
    with np.errstate(over="ignore"):
        exponential = replace(rows, label=np.exp2(rows.label) - 1)
    yield "with gains of 2^relevance - 1", lambda: value(spec, exponential, side)

    def left_out(empty: float | None) -> float:
        if rows.query is None:
            raise UndefinedError("there are no queries")
        found = queries.ndcg(spec, rows, side)
        best = np.zeros(int(rows.query.max()) + 1)
        np.maximum.at(best, rows.query, rows.label)
        there = best[found.codes] > 0
        values = found.values if empty is None else np.where(there, found.values, empty)
        kept = there if empty is None else np.ones(len(there), dtype=np.bool_)
        return rowwise.mean(values[kept], None if found.weight is None else found.weight[kept])

    yield "without the queries that have no relevant row", lambda: left_out(None)
    yield "when queries without a relevant row count as 1", lambda: left_out(1.0)


def _correlation(rows: Rows, side: Predicted) -> float:
    score = read.score(side)
    if score.min() == score.max() or rows.label.min() == rows.label.max():
        raise UndefinedError("nothing varies")
    return float(np.corrcoef(rows.label, score)[0, 1])
