"""What the methods for decided classes and for ranked ones have in common: counts of rows, and the answer's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import decide
from mlgate.judge.estimate import read
from mlgate.judge.measures import Bounds, Spec
from mlgate.judge.paired import tilt

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

LEAST = 30  # rows of a class from which bounds may decide
SAME = "the two do not differ anywhere, which says nothing of other rows"
FLAT = "nothing varies from row to row, which says nothing of other rows"


def too_few(spec: Spec, rows: Rows, of_class: Floats) -> str:
    """Why there are too few rows; empty where there are enough. `of_class` is (k,).

    Of many classes only those metrics hang on the rarest that give it a part of its own.
    """
    count = int(of_class.sum())
    if count < LEAST:
        return f"{count} rows, {LEAST} needed"
    if rows.task == "binary":
        least = int(of_class.min())
    elif spec.average in {"macro", "weighted"} or spec.name in {"balanced_accuracy", "roc_auc_ovo"}:
        least = int(of_class[of_class > 0].min())
    else:
        return ""
    return f"{least} rows in a class, {LEAST} needed" if least < LEAST else ""


def of_classes(rows: Rows) -> Floats:
    return np.bincount(read.labels(rows), minlength=max(2, len(rows.classes))).astype(np.float64)


def scored(
    at: tilt.At,
    *,
    values: tuple[float, float],
    difference: float,
    se: float,
    unit: float,
    span: tuple[float, float],
    confidence: float,
    rows: int,
    method: str,
    too_little: str,
) -> Bounds:
    """Bounds by tilting, and p values that invert the same statistic.

    `unit` is a tilt of about a standard error; `span` is what the metric can be: where no tilt goes so far, so do the
    bounds. With too little, nothing is proven: the p values are 1.
    """
    z = decide.quantile(confidence)
    found = tilt.quantity(at, np.full(2, difference), np.array([z, -z]), np.full(2, unit))
    lower, upper = (float(end if np.isnan(value) else value) for value, end in zip(found, span, strict=True))

    def statistic(x: float) -> float:
        if not span[0] < x < span[1]:
            return float(np.copysign(np.inf, difference - x)) if x != difference else 0.0
        return float(tilt.statistic(at, np.array([difference]), np.array([x]), np.array([unit]))[0])

    def below(x: float) -> float:
        return 1.0 if too_little else decide.upper_tail(-statistic(x))

    def above(x: float) -> float:
        return 1.0 if too_little else decide.upper_tail(statistic(x))

    return Bounds(
        *values,
        difference,
        lower=min(lower, difference),  # a class that has no row at all counts in the added rows only
        upper=max(upper, difference),
        se=se,
        rows=rows,
        method=method,
        below=below,
        above=above,
        too_little=too_little,
    )


def alone(values: tuple[float, float], difference: float, rows: int, method: str, too_little: str) -> Bounds:
    """Where nothing varies: the bounds are the difference, and decide nothing."""
    return Bounds(*values, difference, difference, difference, 0.0, rows, method, too_little=too_little)


def sides(a: Predicted, b: Predicted | None) -> tuple[Predicted, ...]:
    return (a,) if b is None else (a, b)
