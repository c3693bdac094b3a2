"""Metrics that are a weighted mean of one value per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

NAMES = frozenset({
    "accuracy", "zero_one_loss", "hamming_loss", "expected_cost", "top_k_accuracy", "log_loss", "brier_score",
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_pinball_loss", "row_mean",
})  # fmt: skip

# Probabilities of exactly 0 and 1 are moved inside by this much before the logarithm is taken, so that one row that was
# certain and wrong costs 36 and not infinity. It is what scikit-learn does since 1.2, for the doubles that all scores
# are read as. Up to 1.1 it was 1e-15 (which costs 34.5), and single precision has 1.2e-7 (16): see variants.py.
EPS = float(np.finfo(np.float64).eps)


def values(spec: Spec, rows: Rows, side: Predicted) -> Floats:
    """(n,): what each row adds. Raises UndefinedError."""
    match spec.name:
        case "accuracy":
            return np.equal(read.decided(side), rows.label).astype(np.float64)
        case "zero_one_loss" | "hamming_loss":  # the same where each row has one class
            return np.not_equal(read.decided(side), rows.label).astype(np.float64)
        case "expected_cost":
            return _costs(spec, rows, side)
        case "top_k_accuracy":
            return _top_k(spec, rows, side)
        case "log_loss":
            return log_losses(rows, side)
        case "brier_score":
            return _brier(rows, side)
        case "row_mean":
            if spec.column not in side.values:
                raise UndefinedError(f"there are no values of {spec.column or 'a column'} for each row")
            return side.values[spec.column]
        case _:
            return _errors(spec, rows, side)


def mean(found: Floats, weight: Floats | None) -> float:
    """The weighted mean; infinite or NaN where the sum is too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        if weight is None:
            return float(np.mean(found))
        total = float(weight.sum())
        if total <= 0:
            raise UndefinedError("no row has a weight above zero")
        return float(np.average(found, weights=weight))


def log_losses(rows: Rows, side: Predicted) -> Floats:
    """(n,): minus the natural logarithm of the probability that was given to the true class."""
    if rows.task == "binary":
        p = read.probability(side)
        p = np.where(rows.label > 0, p, 1.0 - p)
    else:
        p = read.probabilities(rows, side)[np.arange(rows.count), read.labels(rows)]
    np.clip(p, EPS, 1.0 - EPS, out=p)
    np.log(p, out=p)
    np.negative(p, out=p)
    return p


def _brier(rows: Rows, side: Predicted) -> Floats:
    """(n,): the squared distance to the truth; of two classes half of it, so that 1 is the worst (Brier 1950 has 2)."""
    if rows.task == "binary":
        return np.square(read.probability(side) - rows.label)
    away = read.probabilities(rows, side).copy()
    away[np.arange(rows.count), read.labels(rows)] -= 1.0
    found: Floats = np.einsum("ij,ij->i", away, away)
    return found * 0.5 if away.shape[1] == 2 else found


def _top_k(spec: Spec, rows: Rows, side: Predicted) -> Floats:
    """(n,): 1.0 where the true class is among the k highest scores. Of equal scores the later class is the higher."""
    found, k = read.scores(rows, side), spec.k or 1
    if k >= found.shape[1]:
        raise UndefinedError(f"k is {k} and there are {found.shape[1]} classes: every row would be right")
    true = read.labels(rows)
    own = found[np.arange(rows.count), true]
    above = np.zeros(rows.count, dtype=np.int32)
    for column in range(found.shape[1]):
        other = found[:, column]
        above += (other > own) | ((other == own) & (column > true))
    return (above < k).astype(np.float64)


def _costs(spec: Spec, rows: Rows, side: Predicted) -> Floats:
    """(n,): what deciding as the model did costs, given the true class; 0 where the matrix does not say."""
    named = list(dict.fromkeys([*spec.costs, *(name for row in spec.costs.values() for name in row)]))
    if not named:
        raise UndefinedError("it has no cost matrix")
    for name in named:
        if name not in rows.classes:
            raise UndefinedError(
                f"the cost matrix names the class {name!r}, and the classes are {_listed(rows.classes)}"
            )
    place = np.zeros(len(rows.classes), dtype=np.intp)  # 0: every class that the matrix does not name
    for index, name in enumerate(named, start=1):
        place[rows.classes.index(name)] = index
    matrix = np.zeros((len(named) + 1, len(named) + 1))
    for true, row in spec.costs.items():
        for chosen, cost in row.items():
            matrix[named.index(true) + 1, named.index(chosen) + 1] = cost
    found: Floats = matrix[place[read.labels(rows)], place[read.decided(side)]]
    return found


def _listed(classes: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in classes[:most])
    return shown if len(classes) <= most else f"{shown} and {len(classes) - most} more"


def _errors(spec: Spec, rows: Rows, side: Predicted) -> Floats:
    """(n,): the loss of each predicted number."""
    with np.errstate(over="ignore", invalid="ignore"):
        away = rows.label - read.score(side)
        match spec.name:
            case "mean_squared_error":
                return np.square(away)
            case "mean_absolute_error":
                return np.abs(away)
            case "mean_absolute_percentage_error":
                # A share, not percent: 0.1 is ten percent. scikit-learn divides by 2e-16 where the truth is 0, which
                # drowns every other row.
                counted = read.weighed(rows)
                zeros = int(np.count_nonzero(rows.label[counted] == 0 if counted is not None else rows.label == 0))
                if zeros:
                    raise UndefinedError(f"the label of {zeros:,} rows is 0, and no error is a share of nothing")
                size = np.abs(rows.label)
                if counted is not None:
                    size[~counted] = 1.0
                return np.abs(away) / size
            case "mean_pinball_loss":
                return np.where(away >= 0, spec.quantile * away, (spec.quantile - 1.0) * away)
    raise UndefinedError(f"{spec.name} is not a mean over rows")
