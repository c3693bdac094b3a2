"""The area under the ROC curve of two classes: DeLong's variance, and a score interval where the sample is not large.

DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845: the area is a mean of placement values in each class
(placements.py), and so is a difference of two areas. In large samples (5,000 rows and 50 misplaced ones in each class)
the bounds are normal. Else rows are tilted along those values (tilt.py), with half a row added in each class to either
kind of disagreement; where fewer than five rows of the smaller class are misplaced (near 1, or few rows) the added rows
disagree by as much as twice the largest that was seen, for the tail has not been seen yet.

Simulated at a true difference on the margin, binormal scores with and without ties, 4 to 6 % of samples are called
non-inferior at alpha 5 % (up to 6.5 % with under 100 rows in a class), 1 to 6 % near 1. Normal bounds call 7 to 18 %
there, and paired MOVER (Zou & Donner 2008) over Wilson-type bounds 4 to 10 %, or 0 to 1 % where the models correlate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import decide
from mlgate.judge.estimate import read
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.paired import binary
from mlgate.judge.paired.placements import by_class

if TYPE_CHECKING:
    from mlgate.data.rows import Floats

METHOD = "DeLong"
TILTED = "DeLong, score"

LARGE = 5_000  # rows of each class
MISPLACED = 50.0  # rows of the smaller class
FEW = 5.0  # misplaced rows of the smaller class below which the tail has not been seen
PSEUDO = 0.5  # of a row, for each kind of disagreement in each class

_ATOMS = 2_048  # different values kept of each class; a larger class is cut into as many equal parts


def bounds(spec: Spec, rows: Rows, a: Predicted, b: Predicted, *, confidence: float, ratio: float = 1.0) -> Bounds:
    """Of the area of `a` minus `ratio` times that of `b`. Raises UndefinedError."""
    return _answer(spec, rows, [read.score(a), read.score(b)], confidence=confidence, ratio=ratio)


def level(spec: Spec, rows: Rows, a: Predicted, *, confidence: float) -> Bounds:
    """Of the area of `a` alone. Raises UndefinedError."""
    return _answer(spec, rows, [read.score(a)], confidence=confidence, ratio=0.0)


def _answer(spec: Spec, rows: Rows, scores: list[Floats], *, confidence: float, ratio: float) -> Bounds:
    positive = rows.label > 0
    positives = int(np.count_nonzero(positive))
    sizes = (positives, rows.count - positives)
    if not min(sizes):
        raise UndefinedError("there is only one class")
    too_little = binary.too_few(spec, rows, np.array(sizes, dtype=np.float64))
    classes = by_class(positive, scores)
    areas = classes[0].mean(1)
    values = float(areas[0]), (float(areas[1]) if len(scores) > 1 else 0.0)
    difference = values[0] - ratio * values[1]
    moved = [placed[0] - ratio * placed[1] if len(scores) > 1 else placed[0] for placed in classes]
    variance = sum(float(one.var(ddof=1)) / len(one) for one in moved if len(one) > 1)
    se = math.sqrt(variance)
    if len(scores) > 1 and se <= 1e-12 / math.sqrt(rows.count):
        why = too_little or (binary.SAME if values[0] == values[1] else binary.FLAT)
        return binary.alone(values, difference, rows.count, METHOD, why)
    misplaced = min(sizes) * (1 - float(areas.max()))
    if min(sizes) >= LARGE and misplaced >= MISPLACED:
        return _normal(values, difference, se, confidence=confidence, rows=rows.count)
    atoms = [_Class(one, _pseudo(placed, ratio, misplaced)) for one, placed in zip(moved, classes, strict=True)]
    family = _Family(atoms, difference)
    return binary.scored(
        family.at,
        values=values,
        difference=difference,
        se=se,
        unit=1 / float(family.at(np.zeros(1))[1][0]),
        span=(-ratio, 1.0),
        confidence=confidence,
        rows=rows.count,
        method=TILTED,
        too_little=too_little,
    )


def _normal(values: tuple[float, float], difference: float, se: float, *, confidence: float, rows: int) -> Bounds:
    z = decide.quantile(confidence)
    return Bounds(
        *values,
        difference,
        lower=difference - z * se,
        upper=difference + z * se,
        se=se,
        rows=rows,
        method=METHOD,
        below=lambda x: decide.upper_tail((x - difference) / se),
        above=lambda x: decide.upper_tail((difference - x) / se),
    )


def _pseudo(placed: Floats, ratio: float, misplaced: float) -> tuple[Floats, Floats]:
    """What the rows that are added to a class, whose placements are (sides, rows), move (p,), and their weights."""
    few = min(1.0, max(0.0, 1 - misplaced / FEW))
    if len(placed) == 1:
        return _pseudo_of_one(placed[0], few)
    apart = placed[0] - placed[1]
    if few > 0:
        most = min(1.0, (1 + few) * float(np.abs(apart).max()))
        return np.array([1 - ratio * (1 - most), 1 - most - ratio]), np.full(2, PSEUDO * (1 + few))
    there = np.abs(apart) > 1e-12
    if not there.any():
        return np.zeros(0), np.zeros(0)
    first, other = placed[0, there], placed[1, there]
    moved = np.concatenate((first - ratio * other, other - ratio * first))
    return moved, np.full(len(moved), PSEUDO / len(first))


def _pseudo_of_one(placed: Floats, few: float) -> tuple[Floats, Floats]:
    """One side alone: half a row in the right place, and half a row misplaced."""
    off = 1 - placed
    worst = float(off.max())
    if few > 0:
        most = min(1.0, (1 + 3 * few) * worst) if worst > 0 else 1.0
        return np.array([1.0, 1 - most]), np.full(2, PSEUDO * (1 + few))
    there = off > 0
    moved = np.append(placed[there], 1.0)
    return moved, np.append(np.full(len(moved) - 1, PSEUDO / (len(moved) - 1)), PSEUDO)


class _Class:
    """What the rows of one class move, as a few values with weights."""

    def __init__(self, moved: Floats, pseudo: tuple[Floats, Floats]) -> None:
        self.rows = len(moved)
        kept, weights = _merged(moved)
        more, share = _merged(pseudo[0])
        if len(more):
            share = share * (float(pseudo[1].sum()) / len(pseudo[0]))
        self.values = np.concatenate((kept, more))
        self._weights = np.concatenate((weights, share))
        self._centre = float(moved.mean())

    def at(self, lean: Floats) -> tuple[Floats, Floats]:
        """The mean (r,) and the variance of a mean of so many rows, with the tilts (r,)."""
        by = lean[:, None] * ((self.values - self._centre) / self.rows)
        weights = self._weights * np.exp(by - by.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
        mean = weights @ self.values
        spread = (weights * np.square(self.values - mean[:, None])).sum(-1)
        return mean, spread / self.rows


class _Family:
    def __init__(self, classes: list[_Class], difference: float) -> None:
        self._classes, self._difference = classes, difference

    def at(self, tilt: Floats) -> tuple[Floats, Floats]:
        means, variances = zip(*(one.at(tilt) for one in self._classes), strict=True)
        # Either class's mean is the whole difference; what both have moved adds up.
        return sum(means) - self._difference, np.sqrt(sum(variances))


def _merged(values: Floats) -> tuple[Floats, Floats]:
    """At most `_ATOMS` values that have the same mean as these, and how many each stands for."""
    if len(values) <= _ATOMS:
        return values, np.ones(len(values))
    ordered = np.sort(values)
    starts = np.linspace(0, len(ordered), _ATOMS, endpoint=False).astype(np.intp)
    many = np.diff(starts, append=len(ordered)).astype(np.float64)
    return np.add.reduceat(ordered, starts) / many, many
