"""Metrics of decided classes, from how often each class is true, decided, and both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.estimate import read
from mlgate.judge.measures import Spec, UndefinedError

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

NAMES = frozenset({
    "balanced_accuracy", "precision", "recall", "specificity", "f1", "f_beta", "jaccard", "matthews_corrcoef",
    "cohen_kappa",
})  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Of each class, (k,): the weight of the rows that are of it, that are decided to be, and both."""

    true: Floats
    decided: Floats
    both: Floats

    @property
    def total(self) -> float:
        return float(self.true.sum())


def counts(rows: Rows, side: Predicted) -> Counts:
    """One pass over the rows, and memory for them and the classes only."""
    true, chosen, k = read.labels(rows), read.decided(side), len(rows.classes)
    hit = true == chosen
    weight = rows.weight
    return Counts(
        _count(true, weight, k),
        _count(chosen, weight, k),
        _count(true[hit], None if weight is None else weight[hit], k),
    )


def _count(codes: Floats | np.ndarray, weight: Floats | None, k: int) -> Floats:
    return np.bincount(codes, weights=weight, minlength=k).astype(np.float64)


def value(spec: Spec, found: Counts, classes: Sequence[str], *, binary: bool) -> float:
    """The metric of these counts. `binary`: of the second class, unless an average is asked. Raises UndefinedError."""
    if found.total <= 0:
        raise UndefinedError("no row has a weight above zero")
    match spec.name:
        case "balanced_accuracy":
            return _balanced(found)
        case "matthews_corrcoef":
            return _correlation(found)
        case "cohen_kappa":
            return _kappa(found)
    top, bottom = _share(spec, found)
    if binary and not spec.average:
        if bottom[1] <= 0:
            raise UndefinedError(_why(spec.name, f"{classes[1]!r}"))
        return float(top[1] / bottom[1])
    return _averaged(spec, found, top, bottom, classes)


def _share(spec: Spec, found: Counts) -> tuple[Floats, Floats]:
    """Numerator and denominator for each class."""
    true, decided, both = found.true, found.decided, found.both
    match spec.name:
        case "precision":
            return both, decided
        case "recall":
            return both, true
        case "specificity":
            return found.total - true - decided + both, found.total - true
        case "jaccard":
            return both, true + decided - both
    squared = 1.0 if spec.name == "f1" else spec.beta**2
    return (1 + squared) * both, squared * true + decided


def _averaged(spec: Spec, found: Counts, top: Floats, bottom: Floats, classes: Sequence[str]) -> float:
    """Over the classes that some row is of, or is decided to be of."""
    there = (found.true > 0) | (found.decided > 0)
    if spec.average == "micro":
        whole = float(bottom[there].sum())
        if whole <= 0:
            raise UndefinedError(_why(spec.name, "any class"))
        return float(top[there].sum()) / whole
    if spec.average == "weighted":
        there = found.true > 0
        share: Floats | None = found.true[there]
    elif spec.average == "macro":
        share = None
    else:
        raise UndefinedError("it does not say how several classes become one number (average: macro, micro, weighted)")
    empty = np.flatnonzero(there & (bottom <= 0))
    if len(empty):
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise UndefinedError(_why(spec.name, f"{classes[empty[0]]!r}{more}"))
    return float(np.average(top[there] / bottom[there], weights=share))


def _why(name: str, which: str) -> str:
    match name:
        case "precision":
            return f"no row is decided to be {which}"
        case "recall":
            return f"no row is {which}"
        case "specificity":
            return f"every row is {which}"
    return f"no row is {which}, and none is decided to be"


def _balanced(found: Counts) -> float:
    """The mean recall of the classes that some row is of."""
    there = found.true > 0
    if np.count_nonzero(there) < 2:
        raise UndefinedError("there is only one class")
    return float(np.mean(found.both[there] / found.true[there]))


def _correlation(found: Counts) -> float:
    """Gorodkin (2004), as of several classes; of two it is Matthews' phi."""
    if np.count_nonzero(found.true) < 2:
        raise UndefinedError("there is only one class")
    if np.count_nonzero(found.decided) < 2:
        raise UndefinedError("every row is decided to be of the same class")
    total = found.total
    together = float(found.both.sum()) * total - float(found.true @ found.decided)
    true = total**2 - float(found.true @ found.true)
    decided = total**2 - float(found.decided @ found.decided)
    return together / float(np.sqrt(true * decided))


def _kappa(found: Counts) -> float:
    """Cohen (1960): agreement beyond what the shares of the classes would give by chance."""
    if np.count_nonzero((found.true > 0) | (found.decided > 0)) < 2:
        raise UndefinedError("there is only one class, in labels and in predictions")
    total = found.total
    return 1.0 - (total - float(found.both.sum())) / (total - float(found.true @ found.decided) / total)
