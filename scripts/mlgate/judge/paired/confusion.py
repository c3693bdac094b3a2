"""Metrics of confusion matrices and their derivatives, for one matrix or for many at once. numpy only.

A matrix is (..., k, k): true class by decided class, counts or shares. Conventions are scikit-learn's (averages go over
the classes that occur among labels or decisions), except that a division by zero is NaN and not 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlgate.judge.measures import Spec

Floats = NDArray[np.float64]


class Share(NamedTuple):
    """Two sums of right decisions, rows of the class, decisions for it and all rows: part and whole."""

    part: tuple[float, float, float, float]
    whole: tuple[float, float, float, float]


def share(spec: Spec) -> Share | None:
    """The metric of one class as a share of two sums; None where it is no such share."""
    square = spec.beta**2 if spec.name == "f_beta" else 1.0
    shares = {
        "precision": Share((1, 0, 0, 0), (0, 0, 1, 0)),
        "recall": Share((1, 0, 0, 0), (0, 1, 0, 0)),
        "balanced_accuracy": Share((1, 0, 0, 0), (0, 1, 0, 0)),
        "specificity": Share((1, -1, -1, 1), (0, -1, 0, 1)),
        "f1": Share((2, 0, 0, 0), (0, 1, 1, 0)),
        "f_beta": Share((1 + square, 0, 0, 0), (0, square, 1, 0)),
        "jaccard": Share((1, 0, 0, 0), (-1, 1, 1, 0)),
    }
    return shares.get(spec.name)


def measure(spec: Spec, matrix: Floats, *, costs: Floats | None = None) -> tuple[Floats, Floats]:
    """The metric (...,) and its derivative by each entry (..., k, k). NaN where it is not defined.

    `costs` is (k, k), for expected_cost. Two classes and no average: the metric of the second class.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        of_class = share(spec)
        if of_class is not None:
            return _share(spec, of_class, matrix)
        if spec.name == "cohen_kappa":
            return _kappa(matrix)
        if spec.name == "matthews_corrcoef":
            return _matthews(matrix)
        size = matrix.shape[-1]
        tables = {"accuracy": np.eye(size), "zero_one_loss": 1 - np.eye(size), "hamming_loss": 1 - np.eye(size)}
        table = costs if spec.name == "expected_cost" else tables.get(spec.name)
        if table is None:
            raise ValueError(f"{spec.name} is no metric of a confusion matrix")
        return _mean(matrix, table)


def _share(spec: Spec, of_class: Share, matrix: Floats) -> tuple[Floats, Floats]:
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    labelled, decided = matrix.sum(-1), matrix.sum(-2)
    total = np.broadcast_to(matrix.sum((-2, -1))[..., None], right.shape)
    sums = np.stack((right, labelled, decided, total), -1)  # (..., k, 4)
    part, whole = sums @ np.array(of_class.part, float), sums @ np.array(of_class.whole, float)
    counted = labelled > 0 if spec.name == "balanced_accuracy" else labelled + decided > 0
    average = "macro" if spec.name == "balanced_accuracy" else spec.average
    if average == "micro":
        part, whole = (np.where(counted, of, 0).sum(-1, keepdims=True) for of in (part, whole))
        value = part / whole
        weight = counted / whole
        return value[..., 0], _spread(of_class, value, weight, matrix.shape[-1])
    each = np.where(counted, part / whole, 0)
    if average == "weighted":
        weight = labelled / total
    elif average == "macro":
        weight = counted / counted.sum(-1, keepdims=True)
    else:
        weight = np.zeros_like(each)
        weight[..., -1] = 1
    value = np.where(weight > 0, weight * each, 0).sum(-1)
    slope = _spread(of_class, each, np.where(weight > 0, weight / whole, 0), matrix.shape[-1])
    if average == "weighted":  # the weights are of the rows, too
        slope = slope + ((each - value[..., None]) / total)[..., :, None]
    return value, slope


def _spread(of_class: Share, value: Floats, weight: Floats, size: int) -> Floats:
    """Sum over the classes of weight * d(part - value * whole), by each entry of the matrix."""
    part, whole = np.array(of_class.part, float), np.array(of_class.whole, float)
    by = weight[..., None] * (part - value[..., None] * whole)  # (..., k, 4)
    slope = np.asarray(by[..., :, None, 1] + by[..., None, :, 2] + by[..., 3].sum(-1)[..., None, None])
    index = np.arange(size)
    slope[..., index, index] += by[..., 0]
    return slope


def _kappa(matrix: Floats) -> tuple[Floats, Floats]:
    total = matrix.sum((-2, -1))[..., None, None]
    labelled, decided = matrix.sum(-1, keepdims=True), matrix.sum(-2, keepdims=True)
    seen = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None] / total
    chance = np.sum(labelled[..., 0] * decided[..., 0, :], -1)[..., None, None] / total**2
    by_seen = (np.eye(matrix.shape[-1]) - seen) / total
    by_chance = (_turned(decided) + _turned(labelled)) / total**2 - 2 * chance / total
    value = (seen - chance) / (1 - chance)
    slope = (by_seen * (1 - chance) - (1 - seen) * by_chance) / (1 - chance) ** 2
    return value[..., 0, 0], slope


def _matthews(matrix: Floats) -> tuple[Floats, Floats]:
    total = matrix.sum((-2, -1))[..., None, None]
    labelled, decided = matrix.sum(-1, keepdims=True), matrix.sum(-2, keepdims=True)
    right = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None]
    product = np.sum(labelled[..., 0] * decided[..., 0, :], -1)[..., None, None]
    of_labels = total**2 - np.sum(labelled**2, -2, keepdims=True)
    of_decisions = total**2 - np.sum(decided**2, -1, keepdims=True)
    root = np.sqrt(of_labels * of_decisions)
    value = np.where(root > 0, (right * total - product) / root, np.nan)
    by_part = np.eye(matrix.shape[-1]) * total + right - _turned(decided) - _turned(labelled)
    slope = by_part / root - value * ((total - decided) / of_decisions + (total - labelled) / of_labels)
    return value[..., 0, 0], slope


def _turned(margin: Floats) -> Floats:
    return np.swapaxes(margin, -2, -1)


def _mean(matrix: Floats, table: Floats) -> tuple[Floats, Floats]:
    total = matrix.sum((-2, -1))
    value = (matrix * table).sum((-2, -1)) / total
    return value, (table - value[..., None, None]) / total[..., None, None]
