"""Metrics of predicted numbers, of rankings and of values per row; and the metric that a rule means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from estimate_samples import close, measured, ranking, regression, without
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate import estimators
from mlgate.config import Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec, UndefinedError


def _pinball(*args: Any, **kwargs: Any) -> Any:
    return sk.mean_pinball_loss(*args, alpha=0.9, **kwargs)


def _largest(label: Any, predicted: Any, *, sample_weight: Any) -> Any:
    return sk.max_error(label, predicted)


THEIRS: dict[str, Callable[..., Any]] = {
    "mean_squared_error": sk.mean_squared_error,
    "root_mean_squared_error": sk.root_mean_squared_error,
    "mean_absolute_error": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "mean_absolute_percentage_error": sk.mean_absolute_percentage_error,
    "mean_pinball_loss": _pinball,
    "max_error": _largest,
    "r2": sk.r2_score,
    "explained_variance": sk.explained_variance_score,
}


@pytest.mark.parametrize("name", sorted(THEIRS))
@given(rows=regression())
def test_predicted_numbers(name: str, rows: Rows) -> None:
    ours = measured(Spec(name, quantile=0.9), rows)
    if name in {"r2", "explained_variance"}:
        assert (ours is None) == (rows.label.min() == rows.label.max())
    elif name == "mean_absolute_percentage_error":
        assert (ours is None) == bool((rows.label == 0).any())
    else:
        assert ours is not None
    if ours is not None:
        assert ours == close(float(THEIRS[name](rows.label, rows.challenger.score, sample_weight=rows.weight)))


@pytest.mark.parametrize("name", sorted(THEIRS))
@given(rows=regression(zeros=True))
def test_rows_of_no_weight_are_as_if_they_were_not_there(name: str, rows: Rows) -> None:
    assert rows.weight is not None
    some, all_ = measured(Spec(name), without(rows, rows.weight > 0)), measured(Spec(name), rows)
    assert some == all_ or (some is not None and all_ == close(some))


@pytest.mark.parametrize("name", sorted(THEIRS))
@given(rows=regression(), data=st.data())
def test_the_order_of_rows_changes_nothing(name: str, rows: Rows, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(rows.count))))
    mixed, plain = measured(Spec(name), without(rows, order)), measured(Spec(name), rows)
    assert mixed == plain or (plain is not None and mixed == close(plain))


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_what_is_too_large_is_not_infinite(name: str) -> None:
    side = Predicted(np.array([1e308, -1e308, 2e307]))
    rows = Rows("regression", np.array([-1e308, 1e308, -2e307]), side)
    with pytest.raises(UndefinedError, match="the values are too large to be added up"):
        estimate.value(Spec(name), rows, side)


def test_the_published_examples() -> None:
    """Those of scikit-learn's own reference."""
    rows = Rows("regression", np.array([3, -0.5, 2, 7]), Predicted(np.array([2.5, 0.0, 2, 8])))
    assert measured(Spec("r2"), rows) == pytest.approx(0.948, abs=1e-3)
    assert measured(Spec("explained_variance"), rows) == pytest.approx(0.957, abs=1e-3)
    assert measured(Spec("mean_squared_error"), rows) == close(0.375)
    assert measured(Spec("median_absolute_error"), rows) == close(0.5)
    assert measured(Spec("mean_absolute_percentage_error"), rows) == pytest.approx(0.3273, abs=1e-4)
    rows = Rows("regression", np.array([1.0, 2, 3]), Predicted(np.array([0.0, 2, 3])))
    assert measured(Spec("mean_pinball_loss", quantile=0.1), rows) == pytest.approx(0.03, abs=5e-3)


@given(ranking(), st.none() | st.integers(1, 7))
def test_rankings(rows: Rows, k: int | None) -> None:
    ours = measured(Spec("ndcg", k=k), rows)
    score, query = rows.challenger.score, rows.query
    assert score is not None
    assert query is not None
    each, weight = [], []
    for one in np.unique(query):
        of = query == one
        each.append(sk.ndcg_score([rows.label[of]], [score[of]], k=k))
        weight.append(1.0 if rows.weight is None else rows.weight[of][0])
    assert (ours is None) == (not rows.label.any())
    if ours is not None:
        assert ours == close(float(np.average(each, weights=weight)))


def test_a_published_ranking() -> None:
    """Wikipedia's "Discounted cumulative gain": 6 documents shown, of 8 that there are: 6.861 / 8.740 = 0.785."""
    label = np.array([3.0, 2, 3, 0, 1, 2, 3, 2])
    rows = Rows("ranking", label, Predicted(-np.arange(8.0)), query=np.zeros(8, dtype=np.int32))
    assert measured(Spec("ndcg", k=6), rows) == pytest.approx(0.785, abs=5e-4)


def test_rankings_that_are_none() -> None:
    label, side = np.array([1.0, 0.0]), Predicted(np.array([0.5, 0.1]))
    query = np.zeros(2, dtype=np.int32)
    for rows, why in (
        (Rows("ranking", label, side), r"ranked against each other \(columns.query\)"),
        (Rows("ranking", -label, side, query=query), "relevance is below zero"),
        (Rows("ranking", label * 0, side, query=query), "no row of any query is relevant"),
        (Rows("ranking", label, side, query=query, weight=np.array([1.0, 2.0])), "have different weights"),
    ):
        with pytest.raises(UndefinedError, match=why):
            estimate.value(Spec("ndcg"), rows, side)


def test_values_per_row_are_averaged() -> None:
    side = Predicted(values={"regret": np.array([1.0, 2.0, 6.0])})
    rows = Rows("regression", np.zeros(3), side)
    assert measured(Spec("row_mean", column="regret"), rows) == 3.0
    assert measured(Spec("row_mean", column="regret"), replace(rows, weight=np.array([0.0, 1.0, 1.0]))) == 4.0
    with pytest.raises(UndefinedError, match="there are no values of other for each row"):
        estimate.value(Spec("row_mean", column="other"), rows, side)


def test_every_known_estimator_is_measured() -> None:
    """And what it says that it needs is enough."""
    count = 60
    draw = np.random.default_rng(7)
    label = {
        "binary": np.arange(count) % 2, "multiclass": np.arange(count) % 3, "regression": draw.normal(size=count),
        "ranking": draw.integers(0, 3, count),
    }  # fmt: skip
    classes = {"binary": ("0", "1"), "multiclass": ("0", "1", "2")}
    for name, known in estimators.KNOWN.items():
        for task in known.tasks:
            several = draw.dirichlet([1.0, 1.0, 1.0], count)
            score = several if task == "multiclass" else several[:, 0]
            side = {
                "score": Predicted(score),
                "probability": Predicted(score),
                "value": Predicted(score),
                "class": Predicted(decided=draw.integers(0, len(classes.get(task, ())) or 1, count).astype(np.int32)),
                "row": Predicted(values={"own": several[:, 0]}),
            }[known.needs]
            query = (np.arange(count) // 6).astype(np.int32)
            rows = Rows(task, label[task].astype(float), side, classes=classes.get(task, ()), query=query)
            average = known.averages[0] if known.averages and task == "multiclass" else ""
            spec = Spec(name, average=average, k=2, column="own", costs={"0": {"1": 1.0}})
            found = estimate.value(spec, rows, side)
            assert known.lowest is None or found >= known.lowest
            assert known.highest is None or found <= known.highest
            assert estimate.needs(spec) == {known.needs}
            assert estimate.tasks(spec) == known.tasks


def test_the_metric_that_a_rule_means() -> None:
    make = Rule.model_validate
    assert estimate.spec_of("test.AUC", make({})) == Spec("roc_auc")
    assert estimate.spec_of("test.log loss", make({})) == Spec("log_loss")
    assert estimate.spec_of("lift", make({"greater_is_better": True})) is None
    assert estimate.spec_of("x", make({"is": "F1", "average": "macro"})) == Spec("f1", average="macro")
    assert estimate.spec_of("x", make({"is": "f_beta", "beta": 0.5})) == Spec("f_beta", beta=0.5)
    assert estimate.spec_of("x", make({"is": "ndcg", "k": 10})) == Spec("ndcg", k=10)
    assert estimate.spec_of("x", make({"is": "quantile_loss", "quantile": "90%"})) == Spec(
        "mean_pinball_loss", quantile=0.9
    )
    assert estimate.spec_of("x", make({"is": "ece", "bins": 15})) == Spec("expected_calibration_error", bins=15)
    costs = {"is": "expected_cost", "cost_matrix": {"1": {"0": Decimal("2.5")}}}
    assert estimate.spec_of("x", make(costs)) == Spec("expected_cost", costs={"1": {"0": 2.5}})
    for key in ("column", "entry_point"):
        assert estimate.spec_of("x", make({"is": "row_mean", key: "m:f"})) == Spec("row_mean", column="m:f")


def test_names_are_found_by_alias_and_case_and_their_facts_by_name() -> None:
    assert estimators.canonical("AUROC") == "roc_auc"
    assert estimators.canonical("roc_auc_ovr") == "roc_auc"
    assert estimators.canonical("lift") is None
    assert estimators.needs("MAE") == "value"
    assert estimators.tasks("ndcg") == {"ranking"}
    assert estimators.parameters("f_beta") == {"average": "several classes", "beta": "always"}
    with pytest.raises(KeyError):
        estimators.tasks("lift")
