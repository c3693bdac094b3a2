"""Bounds of means over rows, and of everything that is made of such means: the rows' influences, as paired differences.

Weights, whole clusters and queries are units of unequal size; leaving each out in turn (the jackknife) gives the
spread, so that one large unit counts for what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.estimate import read, rowwise
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.paired import units
from mlgate.judge.paired.influence import measure

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

CLUSTERS = "clusters"
MEANS = frozenset({*rowwise.NAMES, "ndcg"})
_BLOCK = 1 << 17
ROUGH = frozenset({"median_absolute_error", "expected_calibration_error"})  # have no second derivative


def bounds(spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0) -> Bounds:
    """Of the metric of `a` minus `ratio` times that of `b`, each one-sided at `confidence`. Raises UndefinedError."""
    rows, a, b = _counted(rows, a, b)
    if spec.name == "max_error":
        return _unbounded(estimate.value(spec, rows, a), estimate.value(spec, rows, b), ratio, rows.count)
    if _is_plain(spec, rows) and rows.count > _BLOCK:
        paired, value, others = _plain(spec, rows, a, b, ratio)
        found = units.Sum(value, others, value - ratio * others, rows.count)
        return _bounds(spec, rows, paired, None, found=found, confidence=confidence)
    one, other = measure(spec, rows, a), measure(spec, rows, b)
    paired = one.rows - (other.rows if ratio == 1 else ratio * other.rows)
    found = units.Sum(
        one.value,
        other.value,
        one.value - ratio * other.value,
        rows.count,
        too_low=ratio * other.bias,
        too_high=one.bias,
    )

    def difference(of: Rows) -> float:
        return estimate.value(spec, of, a) - ratio * estimate.value(spec, of, b)

    return _bounds(spec, rows, paired, one.share, found=found, confidence=confidence, difference=difference)


def level(spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds:
    """Of the metric of one model. Raises UndefinedError."""
    rows, a, _ = _counted(rows, a, None)
    if spec.name == "max_error":
        return _unbounded(estimate.value(spec, rows, a), 0.0, 0.0, rows.count)
    one = measure(spec, rows, a)
    found = units.Sum(one.value, 0.0, one.value, rows.count, too_high=one.bias)

    def value(of: Rows) -> float:
        return estimate.value(spec, of, a)

    return _bounds(spec, rows, one.rows, one.share, found=found, confidence=confidence, difference=value)


def _is_plain(spec: Spec, rows: Rows) -> bool:
    """Whether it is a mean over rows that count alike."""
    return spec.name in rowwise.NAMES and rows.weight is None and rows.cluster is None


def _plain(spec: Spec, rows: Rows, a: Predicted, b: Predicted, ratio: float) -> tuple[Floats, float, float]:
    """The differences row by row (n,), and the mean of each side: block by block, since fresh memory costs the most."""
    paired, sums = np.empty(rows.count), [0.0, 0.0]
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, rows.count, _BLOCK):
            of = slice(start, start + _BLOCK)
            block = replace(rows, label=rows.label[of], query=None, groups={})
            try:
                one, other = (rowwise.values(spec, block, _part(side, of)) for side in (a, b))
            except UndefinedError:  # which is said of all rows
                rowwise.values(spec, rows, a)
                rowwise.values(spec, rows, b)
                raise
            np.subtract(one, other if ratio == 1 else ratio * other, out=paired[of])
            sums = [sums[0] + float(one.sum()), sums[1] + float(other.sum())]
    return paired, sums[0] / rows.count, sums[1] / rows.count


def _part(side: Predicted, of: slice) -> Predicted:
    return Predicted(
        None if side.score is None else side.score[of],
        None if side.decided is None else side.decided[of],
        {name: values[of] for name, values in side.values.items()},
    )


def _bounds(
    spec: Spec,
    rows: Rows,
    added: Floats,
    share: Floats | None,
    *,
    found: units.Sum,
    confidence: float,
    difference: Callable[[Rows], float] | None = None,
) -> Bounds:
    codes = rows.cluster if rows.cluster is not None else rows.query if spec.name == "ndcg" else None
    effective: float | None = None
    if codes is not None or share is not None:
        added, effective = _units(added, share, codes)
    method = "paired means" if spec.name in MEANS else "linearised means"
    answer = units.bounds(
        added,
        found,
        confidence=confidence,
        method=method if rows.cluster is None else CLUSTERS,
        too_little=_too_little(spec, rows, len(added)),
        effective=effective,
        moved=None if difference is None or spec.name in MEANS | ROUGH else partial(_moved, difference, rows, codes),
    )
    return answer if rows.cluster is None else replace(answer, clusters=len(added))


def _moved(difference: Callable[[Rows], float], rows: Rows, codes: NDArray[np.int32] | None, fold: Floats) -> float:
    """The difference when each unit weighs `fold` times what it does."""
    of_rows = fold if codes is None else fold[np.unique(codes, return_inverse=True)[1]]
    return difference(replace(rows, weight=of_rows if rows.weight is None else rows.weight * of_rows))


def _units(added: Floats, share: Floats | None, codes: NDArray[np.int32] | None) -> tuple[Floats, float]:
    """What leaving out each unit changes, as if it were one of m equal ones; and how many equal ones say as much."""
    if share is None:
        share = np.full(len(added), 1 / len(added))
    added = added * share
    if codes is not None:
        whole = np.bincount(codes, weights=share).astype(np.float64)
        there = whole > 0
        added, share = np.bincount(codes, weights=added)[there].astype(np.float64), whole[there]
    size = len(added)
    if size < 2:
        return np.zeros(size), float(size)
    return added * (size - 1) / (1 - share), 1 / float(share @ share)


def _too_little(spec: Spec, rows: Rows, count: int) -> str:
    """Why the bounds may not decide, whatever they are."""
    if rows.cluster is not None and count < units.LEAST:
        return f"{count} clusters, {units.LEAST} needed"
    if spec.name == "ndcg" and rows.query is not None:
        queries = count if rows.cluster is None else len(np.unique(rows.query))
        return f"{queries} queries, {units.LEAST} needed" if queries < units.LEAST else ""
    if rows.count < units.LEAST:
        return f"{rows.count} rows, {units.LEAST} needed"
    if not _by_class(spec, rows):
        return ""
    of_class = np.bincount(read.labels(rows), minlength=len(rows.classes))
    least = int(of_class[of_class > 0].min()) if rows.task == "multiclass" else int(of_class.min())
    return f"{least} rows in a class, {units.LEAST} needed" if least < units.LEAST else ""


def _by_class(spec: Spec, rows: Rows) -> bool:
    """Whether each class must have rows enough: a mean over the rows of many classes does not hang on the rarest."""
    if rows.task == "binary":
        return spec.name != "row_mean"
    return rows.task == "multiclass" and (
        spec.average in {"macro", "weighted"} or spec.name in {"balanced_accuracy", "roc_auc_ovo"}
    )


def _counted(rows: Rows, a: Predicted, b: Predicted | None) -> tuple[Rows, Predicted, Predicted]:
    """Without the rows whose weight is 0."""
    if rows.weight is None or (rows.weight > 0).all():
        return rows, a, b or a
    keep = rows.weight > 0
    if not keep.any():
        raise UndefinedError("no row has a weight above zero")
    kept = replace(rows, challenger=a, champion=b, anchor=None, groups={}).take(keep)
    return kept, kept.challenger, kept.champion or kept.challenger


def _unbounded(a: float, b: float, ratio: float, rows: int) -> Bounds:
    apart = a - ratio * b
    why = "one row decides a maximum, and no number of rows bounds what another may bring"
    return Bounds(a, b, apart, apart, apart, 0.0, rows, "none", too_little=why)
