"""Populations in which the true difference of two models is known: as many rows of them as one wants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from judge import means_samples as samples
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec

GAIN = Spec("row_mean", column="gain")
SCORES = tuple(Spec(name) for name in ("log_loss", "brier_score", "average_precision", "expected_calibration_error"))
DECISIONS = tuple(
    Spec(name)
    for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa")
)
SEVERAL = (
    Spec("log_loss"),
    Spec("top_k_accuracy", k=2),
    *(Spec("roc_auc", average=average) for average in ("macro", "micro", "weighted")),
    Spec("roc_auc_ovo", average="macro"),
    Spec("average_precision", average="macro"),
)
ERRORS = tuple(
    Spec(name)
    for name in ("mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "median_absolute_error", "r2")
)


@dataclass(frozen=True, eq=False)
class World:
    """`draw(rng, size)`: `size` rows, or clusters, or queries. `truth` is the difference where it is known exactly."""

    name: str
    draw: Callable[[Generator, int], Rows]
    specs: tuple[Spec, ...]
    sizes: tuple[int, ...]
    truth: float | None = None
    large: int = 400_000


@cache
def true_differences(world: World) -> list[float]:
    """One for each spec. Of millions of rows; their own error is a small part of that of the samples."""
    if world.truth is not None:
        return [world.truth] * len(world.specs)
    rng, found = np.random.default_rng(99), []
    for _ in range(8):
        rows = world.draw(rng, world.large)
        assert rows.champion is not None
        sides = rows.challenger, rows.champion
        found.append([[estimate.value(spec, rows, side) for side in sides] for spec in world.specs])
    each = np.mean(found, axis=0)
    return [float(value) for value in each[:, 0] - each[:, 1]]


def valued(a: np.ndarray, b: np.ndarray | float = 0.0, **given: np.ndarray) -> Rows:
    sides = Predicted(values={"gain": a}), Predicted(values={"gain": np.broadcast_to(b, a.shape)})
    return Rows("regression", np.zeros(len(a)), *sides, **given)  # type: ignore[arg-type]


def binary(
    rng: Generator, size: int, noise: float = 0.9, other: float = 0.5, *, base: float = 0.5, steep: float = 1.0
) -> Rows:
    """The challenger's log-odds are noisier than the champion's, whose are `steep` times what they should be."""
    truth = rng.normal(size=size)
    label = (truth + rng.normal(size=size) > base).astype(np.float64)
    own = truth - base + noise * rng.normal(size=size) / 1.5
    others = steep * (truth - base + other * rng.normal(size=size) / 1.5)
    return Rows("binary", label, _decided(own), _decided(others), classes=("no", "yes"))


def _decided(odds: np.ndarray) -> Predicted:
    score = 1 / (1 + np.exp(-1.5 * odds))
    return Predicted(score, (score > 0.5).astype(np.int32))


def several(rng: Generator, size: int, noise: float = 1.0, other: float = 0.5) -> Rows:
    pull = 1.5 * rng.normal(size=(size, 4)) + [0.8, 0.5, 0.0, -0.5]
    label = (pull + rng.gumbel(size=(size, 4))).argmax(axis=1).astype(np.float64)

    def side(scale: float) -> Predicted:
        odds = np.exp(pull + scale * rng.normal(size=(size, 4)))
        score = odds / odds.sum(axis=1, keepdims=True)
        return Predicted(score, score.argmax(axis=1).astype(np.int32))

    return Rows("multiclass", label, side(noise), side(other), classes=("a", "b", "c", "d"))


def numbers(rng: Generator, size: int, noise: float = 0.6, other: float = 0.5) -> Rows:
    label, common = 5 + rng.normal(size=size), 0.4 * rng.normal(size=size)
    sides = (Predicted(label + common + scale * rng.normal(size=size)) for scale in (noise, other))
    return Rows("regression", label, *sides)


def rankings(rng: Generator, size: int, noise: float = 3.0, other: float = 2.0) -> Rows:
    query = np.repeat(np.arange(size), rng.integers(2, 10, size)).astype(np.int32)
    label = rng.integers(0, 4, len(query)).astype(np.float64)
    sides = (Predicted(label + scale * rng.normal(size=len(query))) for scale in (noise, other))
    return Rows("ranking", label, *sides, query=query)


def weighted(draw: Callable[[Generator, int], Rows]) -> Callable[[Generator, int], Rows]:
    """Weights that go with the labels."""

    def drawn(rng: Generator, size: int) -> Rows:
        rows = draw(rng, size)
        return replace(rows, weight=0.05 + rng.gamma(1.0 + np.clip(rows.label, 0, 3)))

    return drawn


def clustered_classes(rng: Generator, size: int, noise: float = 0.9, other: float = 0.5) -> Rows:
    """Clusters of 1 to 15 rows, alike in truth and in how each model errs."""
    cluster = _clusters(rng, size)
    truth = 0.7 * _shared(rng, cluster) + 0.7 * rng.normal(size=len(cluster))
    label = (truth + rng.normal(size=len(cluster)) > 0.5).astype(np.float64)
    sides = (
        _decided(truth - 0.5 + scale * 0.7 / 1.5 * (_shared(rng, cluster) + rng.normal(size=len(cluster))))
        for scale in (noise, other)
    )
    return Rows("binary", label, *sides, classes=("no", "yes"), cluster=cluster)


def clustered_numbers(rng: Generator, size: int, own: float = 0.5, other: float = 0.4) -> Rows:
    cluster = _clusters(rng, size)
    label, common = 5 + rng.normal(size=len(cluster)), 0.4 * _shared(rng, cluster)
    sides = (
        Predicted(label + common + scale * _shared(rng, cluster) + 0.3 * rng.normal(size=len(cluster)))
        for scale in (own, other)
    )
    return Rows("regression", label, *sides, cluster=cluster)


def sure(rng: Generator, size: int, noise: float = 0.4, other: float = 0.33, *, clustered: bool = False) -> Rows:
    """Few rows are on the wrong side of others: areas under curves of 0.98, and shares above 0.9."""
    cluster = _clusters(rng, size) if clustered else np.arange(size)
    label = (rng.random(len(cluster)) < 0.3) * 1.0
    common = _shared(rng, cluster) + rng.normal(size=len(cluster))
    sides = []
    for scale in (noise, other):
        own = _shared(rng, cluster) + rng.normal(size=len(cluster))
        place = label + scale * (0.5 * common + math.sqrt(0.75) * own) / math.sqrt(2)
        sides.append(Predicted(np.clip(place / 3 + 0.3, 0.001, 0.999), (place > 0.5).astype(np.int32)))
    given = {"cluster": cluster.astype(np.int32)} if clustered else {}
    return Rows("binary", label, *sides, classes=("no", "yes"), **given)


def _clusters(rng: Generator, size: int) -> np.ndarray:
    return np.repeat(np.arange(size), rng.integers(1, 16, size)).astype(np.int32)


def _shared(rng: Generator, cluster: np.ndarray) -> np.ndarray:
    return rng.normal(size=int(cluster.max()) + 1)[cluster]


def clustered_gains(rng: Generator, size: int) -> Rows:
    """Large clusters gain more: their sizes matter to the mean. E[size * gain] / E[size] is known."""
    cluster = _clusters(rng, size)
    sizes = np.bincount(cluster)
    return valued((sizes[cluster] - 8) / 8 + _shared(rng, cluster) + rng.normal(size=len(cluster)), cluster=cluster)


_SIZES = np.arange(1, 16)
EXACT = (
    World("lognormal losses", lambda rng, n: valued(rng.lognormal(size=n)), (GAIN,), (40, 80, 300, 2000), np.exp(0.5)),
    World("lognormal gains", lambda rng, n: valued(-rng.lognormal(size=n)), (GAIN,), (40, 80, 300), -np.exp(0.5)),
    World(
        "lognormal pairs",
        lambda rng, n: valued(1.2 * rng.lognormal(size=n), rng.lognormal(size=n)),
        (GAIN,),
        (40, 80, 300),
        0.2 * np.exp(0.5),
    ),
    World("exponential", lambda rng, n: valued(rng.exponential(size=n)), (GAIN,), (40, 80, 300), 1.0),
    World("Student's t of 3", lambda rng, n: valued(rng.standard_t(3, size=n)), (GAIN,), (40, 300), 0.0),
    World("few rows differ", lambda rng, n: valued((rng.random(n) < 0.05) * 1.0), (GAIN,), (60, 300, 2000), 0.05),
    World(
        "few rows differ much",
        lambda rng, n: valued((rng.random(n) < 0.05) * rng.exponential(size=n)),
        (GAIN,),
        (60, 300, 2000),
        0.05,
    ),
    World("tied", lambda rng, n: valued(rng.integers(-1, 2, n) * 1.0), (GAIN,), (40, 300), 0.0),
    World(
        "clusters whose size matters",
        clustered_gains,
        (GAIN,),
        (30, 100),
        float((_SIZES * (_SIZES - 8) / 8).mean() / _SIZES.mean()),
    ),
)
ESTIMATED = (
    World("binary", binary, SCORES, (150, 600, 2500)),
    World("rare", lambda rng, n: binary(rng, n, base=2.5), SCORES[:3], (1500,), large=1_000_000),
    World("near one", sure, SCORES[2:3], (150, 600, 2500), large=2_000_000),
    World("near one, weighted", weighted(sure), (Spec("roc_auc"), SCORES[2], *DECISIONS), (200, 1000)),
    World(
        "near one, clustered",
        lambda rng, n: sure(rng, n, clustered=True),
        (Spec("roc_auc"), SCORES[2], *DECISIONS),
        (40, 150),
        large=100_000,
    ),
    World("champion too sure", lambda rng, n: binary(rng, n, 0.0, 0.0, steep=1.6), SCORES[3:], (500, 5000)),
    World("several classes", several, SEVERAL, (400, 1500), large=100_000),
    World("numbers", numbers, (*samples.REGRESSION[:-1],), (40, 80, 300, 1500)),
    World("rankings", rankings, tuple(samples.RANKING), (40, 80, 300), large=50_000),
    World("weighted classes", weighted(binary), (*SCORES, Spec("roc_auc"), *DECISIONS), (150, 600)),
    World("weighted numbers", weighted(numbers), ERRORS, (80, 300)),
    World("clustered classes", clustered_classes, (*SCORES, Spec("roc_auc"), *DECISIONS), (30, 100), large=50_000),
    World("clustered numbers", clustered_numbers, ERRORS, (30, 100), large=50_000),
)
EQUAL = (
    World("gains", lambda rng, n: valued(rng.exponential(size=n), rng.exponential(size=n)), (GAIN,), (500,), 0.0),
    World("binary", lambda rng, n: binary(rng, n, 0.7, 0.7), SCORES[:3], (800,), 0.0),
    World("several classes", lambda rng, n: several(rng, n, 0.7, 0.7), SEVERAL, (800,), 0.0),
    World("numbers", lambda rng, n: numbers(rng, n, 0.5, 0.5), (*samples.REGRESSION,), (500,), 0.0),
    World("rankings", lambda rng, n: rankings(rng, n, 2.0, 2.0), tuple(samples.RANKING), (300,), 0.0),
    World("weighted classes", weighted(lambda rng, n: binary(rng, n, 0.7, 0.7)), DECISIONS, (1000,), 0.0),
    World(
        "clustered classes", lambda rng, n: clustered_classes(rng, n, 0.7, 0.7), (*SCORES[:3], *DECISIONS), (300,), 0.0
    ),
    World("clustered numbers", lambda rng, n: clustered_numbers(rng, n, 0.4, 0.4), ERRORS, (300,), 0.0),
)
