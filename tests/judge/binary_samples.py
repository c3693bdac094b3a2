"""Worlds whose truth is known, and samples of them: two models that decide or rank the rows of two classes or more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.measures import Spec
from mlgate.judge.paired import cells, tilt

Floats = NDArray[np.float64]
Z = NormalDist()

# label, decided by a, decided by b: the eight joint cells of two classes
LABEL = np.array([0, 0, 0, 0, 1, 1, 1, 1])
BY_A = np.array([0, 0, 1, 1, 0, 0, 1, 1])
BY_B = np.array([0, 1, 0, 1, 0, 1, 0, 1])

METRICS = (
    Spec("accuracy"),
    Spec("precision"),
    Spec("recall"),
    Spec("specificity"),
    Spec("f1"),
    Spec("f_beta", beta=2.0),
    Spec("jaccard"),
    Spec("balanced_accuracy"),
    Spec("matthews_corrcoef"),
    Spec("cohen_kappa"),
    Spec("f1", average="macro"),
    Spec("expected_cost", costs={"no": {"yes": 1.0}, "yes": {"no": 5.0}}),
)


def deciding(positive: float, negative: float, *, apart: tuple[float, float], worse: tuple[float, float]) -> Floats:
    """The chances of four cells of the negatives and four of the positives, (2, 4).

    `positive` and `negative` are the champion's recall and specificity; the models disagree on the shares `apart` of
    positives and negatives, and the challenger's recall and specificity are `worse` lower.
    """

    def four(right: float, disagree: float, loss: float) -> tuple[float, float, float, float]:
        only_a, only_b = (disagree - loss) / 2, (disagree + loss) / 2
        both = right - only_b
        chances = (1 - both - only_a - only_b, only_b, only_a, both)
        assert min(chances) > -1e-12, chances
        return chances

    of_positive = four(positive, apart[0], worse[0])
    of_negative = four(negative, apart[1], worse[1])[::-1]  # deciding 0 is right
    return np.maximum(np.array([of_negative, of_positive]), 0.0)


def table(prevalence: float, chances: Floats) -> Floats:
    """(8,): the chances of the joint cells."""
    return np.concatenate((chances[0] * (1 - prevalence), chances[1] * prevalence))


def structure() -> cells.Cells:
    return cells.Cells(LABEL, BY_A, BY_B, np.ones(8), 2)


def truth(spec: Spec, chances: Floats, ratio: float = 1.0) -> float:
    """The metric of a minus `ratio` times that of b, in the whole world."""
    family = cells.Tilted(spec, structure(), chances[None], ratio, costs(spec))
    return float(family.at(np.zeros(1))[0][0])


def costs(spec: Spec) -> Floats | None:
    return np.array([[0.0, 1.0], [5.0, 0.0]]) if spec.name == "expected_cost" else None


def statistics(spec: Spec, counts: Floats, difference: float, ratio: float = 1.0) -> Floats:
    """(r,): how many standard errors the estimates of many tables (r, 8) lie above `difference`; 0: too little.

    What `cells.bounds` inverts, for all tables at once; `test_paired_binary` holds the two against each other.
    """
    plain = cells.Tilted(spec, structure(), counts, ratio, costs(spec))
    estimate, se = plain.at(np.zeros(len(counts)))
    enough = np.minimum(counts[:, :4].sum(1), counts[:, 4:].sum(1)) >= 30
    use = enough & np.isfinite(estimate) & (se > 1e-9)
    if not use.any():
        return np.zeros(len(counts))
    wider = cells.with_pseudo(structure())
    more = np.broadcast_to(wider.counts[8:], (int(use.sum()), len(wider.counts) - 8))
    # Half a row for each kind of disagreement, whatever the counts: with two classes there is one wrong decision.
    family = cells.Tilted(spec, wider, np.concatenate((counts[use], more), 1), ratio, costs(spec))
    unit = 1 / np.maximum(se[use], 1e-9) / counts[use].sum(1)
    found = np.zeros(len(counts))
    found[use] = tilt.statistic(family.at, estimate[use], np.full(int(use.sum()), difference), unit)
    return found


def rows_of(counts: Floats) -> Rows:
    """The rows of one table of joint cells (8,)."""
    many = counts.astype(int)
    a = Predicted(decided=np.repeat(BY_A, many).astype(np.int32))
    b = Predicted(decided=np.repeat(BY_B, many).astype(np.int32))
    return Rows("binary", np.repeat(LABEL, many).astype(float), a, b, classes=("no", "yes"))


@dataclass(frozen=True)
class Ranking:
    """Two models whose scores are normal in either class, (cut into steps,) with these areas under the curve."""

    positives: int
    negatives: int
    a: float
    b: float
    correlation: float
    spread: float = 1.0  # standard deviation of the positives' scores; the negatives' is 1
    steps: tuple[float, ...] = ()

    def difference(self, ratio: float = 1.0) -> float:
        return self._area(self.a) - ratio * self._area(self.b)

    def _shift(self, area: float) -> float:
        return Z.inv_cdf(area) * math.sqrt(1 + self.spread**2)

    def _area(self, area: float) -> float:
        if not self.steps:
            return area
        edges = [-math.inf, *self.steps, math.inf]
        shift = self._shift(area)
        below = np.diff([_cdf(x, 0.0, 1.0) for x in edges])
        above = np.diff([_cdf(x, shift, self.spread) for x in edges])
        return float(sum(above[i] * (below[:i].sum() + below[i] / 2) for i in range(len(above))))

    def sample(self, rng: np.random.Generator) -> Rows:
        count = self.positives + self.negatives
        positive = np.arange(count) < self.positives
        noise = rng.normal(size=(2, count))
        noise[1] = self.correlation * noise[0] + math.sqrt(1 - self.correlation**2) * noise[1]
        noise *= np.where(positive, self.spread, 1.0)
        scores = [noise[i] + positive * self._shift(area) for i, area in enumerate((self.a, self.b))]
        if self.steps:
            scores = [np.digitize(score, self.steps).astype(float) for score in scores]
        a, b = Predicted(score=scores[0]), Predicted(score=scores[1])
        return Rows("binary", positive.astype(float), a, b, classes=("no", "yes"))


def _cdf(x: float, mean: float, spread: float) -> float:
    return Z.cdf((x - mean) / spread) if math.isfinite(x) else float(x > 0)


def classes_world(k: int, right: float, apart: float, worse: float, rarest: float) -> tuple[Floats, NDArray[np.intp]]:
    """The chances of joint cells of k classes, and what the cells are (m, 3)."""
    share = np.linspace(rarest, 2 / k - rarest, k)
    kinds, chances = [], []
    for label in range(k):
        others = [(label + step) % k for step in range(1, k)]
        weights = np.arange(len(others), 0, -1) / sum(range(len(others) + 1))
        only_a, only_b = (apart - worse) / 2, (apart + worse) / 2
        both = right - only_b
        kinds.append((label, label, label))
        chances.append(share[label] * both)
        for other, weight in zip(others, weights, strict=True):
            kinds += [(label, label, other), (label, other, label), (label, other, other)]
            chances += [
                share[label] * only_a * weight,
                share[label] * only_b * weight,
                share[label] * (1 - both - only_a - only_b) * weight,
            ]
    found = np.array(chances)
    assert found.min() >= 0
    return found / found.sum(), np.array(kinds)


def allowed(alpha: float, samples: int, small: bool) -> float:
    """The rate of non-inferiority that is no finding: three Monte Carlo errors above alpha, 0.07 for small classes."""
    limit = alpha + 3 * math.sqrt(alpha * (1 - alpha) / samples)
    return max(limit, 0.07) if small else limit
