"""Rows with predictions of two models, drawn at random: for the tests of bounds that are made of means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from mlgate.data.rows import Predicted, Rows
from mlgate.judge.measures import Spec

COST = Spec("expected_cost", costs={"no": {"yes": 1.0}, "yes": {"no": 5.0}})
BINARY = [
    Spec("log_loss"),
    Spec("brier_score"),
    Spec("average_precision"),
    Spec("roc_auc"),
    Spec("expected_calibration_error", bins=5),
    Spec("accuracy"),
    Spec("zero_one_loss"),
    Spec("balanced_accuracy"),
    Spec("precision"),
    Spec("recall"),
    Spec("specificity"),
    Spec("f1"),
    Spec("f_beta", beta=2.0),
    Spec("jaccard"),
    Spec("f1", average="macro"),
    Spec("matthews_corrcoef"),
    Spec("cohen_kappa"),
    COST,
    Spec("row_mean", column="gain"),
]
AVERAGED = ["precision", "recall", "specificity", "f1", "jaccard", "roc_auc", "average_precision"]
MULTICLASS = [
    Spec("log_loss"),
    Spec("brier_score"),
    Spec("top_k_accuracy", k=2),
    Spec("accuracy"),
    Spec("balanced_accuracy"),
    Spec("matthews_corrcoef"),
    Spec("cohen_kappa"),
    Spec("expected_calibration_error", bins=5),
    *(Spec(name, average=average) for name in AVERAGED for average in ("macro", "micro", "weighted")),
    Spec("roc_auc_ovo", average="macro"),
    Spec("roc_auc_ovo", average="weighted"),
]
REGRESSION = [
    Spec("mean_squared_error"),
    Spec("root_mean_squared_error"),
    Spec("mean_absolute_error"),
    Spec("median_absolute_error"),
    Spec("mean_absolute_percentage_error"),
    Spec("mean_pinball_loss", quantile=0.8),
    Spec("r2"),
    Spec("explained_variance"),
]
RANKING = [Spec("ndcg"), Spec("ndcg", k=3)]
ALL = [
    *(("binary", spec) for spec in BINARY),
    *(("multiclass", spec) for spec in MULTICLASS),
    *(("regression", spec) for spec in REGRESSION),
    *(("ranking", spec) for spec in RANKING),
]


def name(task: str, spec: Spec) -> str:
    return "-".join(part for part in (task, spec.name, spec.average, str(spec.k or "")) if part)


def rows(task: str, rng: Generator, count: int, **given: Any) -> Rows:
    """`count` rows of a task. Scores have ties; the two models err alike, not equally."""
    draw = {"binary": _binary, "multiclass": _multiclass, "regression": _regression, "ranking": _ranking}[task]
    return draw(rng, count, **given)


def _binary(rng: Generator, count: int, **given: Any) -> Rows:
    truth = rng.normal(size=count)
    label = (truth + rng.normal(size=count) > 0.5).astype(np.float64)

    def side() -> Predicted:
        score = np.round(1 / (1 + np.exp(-1.5 * (truth + 0.5 * rng.normal(size=count)) + 0.5)), 3)
        score = np.clip(score, 0.001, 0.999)
        return Predicted(score, (score > 0.5).astype(np.int32), {"gain": rng.gamma(2.0, size=count) + score})

    return Rows("binary", label, side(), side(), classes=("no", "yes"), **given)


def _multiclass(rng: Generator, count: int, **given: Any) -> Rows:
    pull = rng.normal(size=(count, 4))
    label = (pull + rng.gumbel(size=(count, 4)) + [1.0, 0.5, 0.0, 0.0]).argmax(axis=1).astype(np.float64)

    def side() -> Predicted:
        odds = np.exp(pull + 0.5 * rng.normal(size=(count, 4)))
        score = odds / odds.sum(axis=1, keepdims=True)
        return Predicted(score, score.argmax(axis=1).astype(np.int32))

    return Rows("multiclass", label, side(), side(), classes=("a", "b", "c", "d"), **given)


def _regression(rng: Generator, count: int, **given: Any) -> Rows:
    label = 5 + rng.normal(size=count)

    def side() -> Predicted:
        return Predicted(label + 0.4 * rng.normal(size=count) + 0.1)

    return Rows("regression", label, side(), side(), **given)


def _ranking(rng: Generator, count: int, **given: Any) -> Rows:
    """Queries of one to nine rows."""
    query = np.sort(rng.integers(0, max(1, count // 5), count)).astype(np.int32)
    label = rng.integers(0, 4, count).astype(np.float64)
    if "cluster" in given:  # a query lies in one cluster
        given["cluster"] = given["cluster"][query]
    if "weight" in given:
        given["weight"] = given["weight"][query]

    def side() -> Predicted:
        return Predicted(np.round(label + 2 * rng.normal(size=count), 1))

    return Rows("ranking", label, side(), side(), query=query, **given)
