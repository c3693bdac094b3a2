"""Bounds of means and of what is made of them: against scipy, statsmodels, MLstatkit, and leaving out row by row."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from MLstatkit import Delong_test
from scipy import stats

from judge import means_samples as samples
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Bounds, Spec, UndefinedError
from mlgate.judge.paired import means

GAIN = Spec("row_mean", column="gain")
SMOOTH = [each for each in samples.ALL if each[1].name not in {"median_absolute_error", "expected_calibration_error"}]
NAMES = [samples.name(*each) for each in samples.ALL]


def valued(a: Any, b: Any, **given: Any) -> Rows:
    """Rows with a measured value of each model."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    sides = Predicted(values={"gain": a}), Predicted(values={"gain": b})
    return Rows("regression", np.zeros(len(a)), *sides, **given)


def compared(spec: Spec, rows: Rows, confidence: float = 0.95, ratio: float = 1.0) -> Bounds:
    assert rows.champion is not None
    return means.bounds(spec, rows, rows.challenger, rows.champion, confidence=confidence, ratio=ratio)


def as_numbers(found: Bounds) -> list[float]:
    return [found.a, found.b, found.difference, found.lower, found.upper, found.se]


# Against others


def test_without_skewness_it_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(1)
    half = rng.standard_t(4, size=40)
    difference = np.concatenate((half, -half)) + 0.3
    b = rng.normal(size=80)
    for confidence in (0.9, 0.95, 0.995):
        found = compared(GAIN, valued(b + difference, b), confidence)
        oracle = stats.ttest_rel(b + difference, b).confidence_interval(2 * confidence - 1)
        assert (found.lower, found.upper) == pytest.approx((oracle.low, oracle.high), rel=1e-9)


def test_with_skewness_no_bound_is_inside_the_t_interval() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(size=200), np.ones(200)
    found = compared(GAIN, valued(a, b))
    oracle = stats.ttest_rel(a, b).confidence_interval(0.9)
    assert found.lower == pytest.approx(oracle.low)
    assert found.upper > oracle.high + 0.05 * (oracle.high - oracle.low)


def test_the_skewed_bound_is_near_that_of_the_studentized_bootstrap() -> None:
    """With many rows both correct the t interval by the same term, and ours is the more careful."""
    rng = np.random.default_rng(3)
    a = np.sort(rng.exponential(size=1500))
    found = compared(GAIN, valued(a, np.zeros(1500)))
    weights = rng.multinomial(1500, np.full(1500, 1 / 1500), size=4000)
    mean = weights @ a / 1500
    spread = np.sqrt(weights @ (a - a.mean()) ** 2 / 1500 - (mean - a.mean()) ** 2)
    low = np.quantile((mean - a.mean()) / spread, 0.05)
    oracle = a.mean() - low * a.std()
    assert found.upper == pytest.approx(oracle, rel=2e-3)
    assert found.upper >= oracle - 1e-3


def test_a_weighted_mean_is_that_of_weighted_least_squares() -> None:
    rng = np.random.default_rng(4)
    weight, a, b = rng.gamma(2.0, size=900), rng.normal(size=900), rng.normal(size=900)
    found = compared(GAIN, valued(a, b, weight=weight))
    fit = sm.WLS(a - b, np.ones(900), weights=weight).fit(cov_type="HC3")
    assert found.difference == pytest.approx(fit.params[0])
    assert found.se == pytest.approx(fit.bse[0], rel=2e-3)


def test_clustered_errors_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    cluster = rng.integers(0, 400, 4000).astype(np.int32)
    a = rng.normal(size=400)[cluster] + rng.normal(size=4000)
    found = compared(GAIN, valued(a, np.zeros(4000), cluster=cluster))
    fit = sm.OLS(a, np.ones(4000)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    assert found.se == pytest.approx(fit.bse[0], rel=5e-3)
    assert found.clusters == 400
    assert found.method == "clusters"


def test_auc_with_equal_weights_is_delongs() -> None:
    rng = np.random.default_rng(6)
    rows = samples.rows("binary", rng, 1500)
    found = compared(Spec("roc_auc"), replace(rows, weight=np.full(1500, 2.5)))
    assert rows.champion is not None
    z, _ = Delong_test(rows.label, rows.challenger.score, rows.champion.score)[:2]
    assert abs(found.difference / found.se) == pytest.approx(abs(z), rel=2e-3)


@pytest.mark.parametrize(("task", "spec"), SMOOTH, ids=[samples.name(*each) for each in SMOOTH])
def test_the_spread_is_that_of_leaving_rows_out(task: str, spec: Spec) -> None:
    """The jackknife, with the metric computed anew each time; exact for means, near for what is made of them."""
    rows = samples.rows(task, np.random.default_rng(7), 400, weight=np.random.default_rng(8).gamma(4.0, size=400))
    units = rows.query if rows.query is not None else np.arange(400)
    left: list[float] = []
    for unit in np.unique(units):
        without = replace(rows, weight=np.where(units == unit, 0.0, rows.weight))
        left.append(_difference(spec, without))
    spread = math.sqrt((len(left) - 1) * np.var(left))
    near = 1e-6 if spec.name in means.MEANS else 0.08
    assert compared(spec, rows).se == pytest.approx(spread, rel=near)


def _difference(spec: Spec, rows: Rows) -> float:
    assert rows.champion is not None
    return estimate.value(spec, rows, rows.challenger) - estimate.value(spec, rows, rows.champion)


# What holds for every metric


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@pytest.mark.parametrize("given", ["rows", "weights", "clusters"])
def test_points_are_the_estimates_and_bounds_are_around_them(task: str, spec: Spec, given: str) -> None:
    rows = drawn(task, given, 600)
    found = compared(spec, rows)
    assert rows.champion is not None
    assert found.a == pytest.approx(estimate.value(spec, rows, rows.challenger), rel=1e-12)
    assert found.b == pytest.approx(estimate.value(spec, rows, rows.champion), rel=1e-12)
    assert found.difference == pytest.approx(found.a - found.b)
    assert found.lower < found.difference < found.upper
    assert not found.too_little
    # The p-values are those of the bounds.
    assert found.above(found.lower) == pytest.approx(0.05, rel=1e-6)
    assert found.below(found.upper) == pytest.approx(0.05, rel=1e-6)
    wider = compared(spec, rows, confidence=0.99)
    assert wider.lower < found.lower < found.upper < wider.upper
    assert found.above(wider.lower) == pytest.approx(0.01, rel=0.2 if _is_biased(spec) else 1e-6)
    for low, high in ((-2.0, -1.0), (-1.0, 0.0), (0.0, 0.5)):
        at, above = (found.difference + step * found.se for step in (low, high))
        assert found.above(at) <= found.above(above)
        assert found.below(at) >= found.below(above)


def _is_biased(spec: Spec) -> bool:
    return spec.name == "expected_calibration_error"


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@pytest.mark.parametrize("given", ["rows", "weights", "clusters"])
def test_swapping_the_models_turns_the_bounds_round(task: str, spec: Spec, given: str) -> None:
    rows = drawn(task, given, 300)
    found, turned = (
        compared(spec, rows),
        compared(spec, replace(rows, challenger=rows.champion, champion=rows.challenger)),
    )
    assert (turned.lower, turned.upper) == pytest.approx((-found.upper, -found.lower), rel=1e-9)


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@pytest.mark.parametrize("given", ["rows", "weights", "clusters"])
def test_identical_models_are_not_proven_equal(task: str, spec: Spec, given: str) -> None:
    rows = drawn(task, given, 300)
    found = compared(spec, replace(rows, champion=rows.challenger))
    assert found.se == 0
    assert found.too_little == "the two do not differ anywhere, which says nothing of other rows"
    assert found.below(1.0) == found.above(-1.0) == 1.0


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
@pytest.mark.parametrize("given", ["rows", "weights", "clusters"])
def test_too_few_of_anything_decides_nothing(task: str, spec: Spec, given: str) -> None:
    rows = drawn(task, given, 40 if task != "ranking" else 100, clusters=20)
    try:
        found = compared(spec, rows)
    except UndefinedError:
        return  # no value at all decides nothing either
    if given == "clusters":
        assert "clusters, 30 needed" in found.too_little
    elif task == "ranking":
        assert "queries, 30 needed" in found.too_little
    elif task == "binary" and spec.name != "row_mean":
        assert "rows in a class, 30 needed" in found.too_little


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
def test_rows_of_weight_zero_are_as_if_they_were_not_there(task: str, spec: Spec) -> None:
    rows = drawn(task, "rows", 300)
    more = drawn(task, "rows", 300, seed=12)
    found = compared(spec, replace(rows, weight=np.ones(300)))
    both = compared(spec, _joined(rows, more, np.repeat([1.0, 0.0], 300)))
    assert as_numbers(both) == pytest.approx(as_numbers(found), rel=1e-9)
    assert both.rows == 300


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
def test_equal_weights_change_nothing_but_rounding(task: str, spec: Spec) -> None:
    rows = drawn(task, "rows", 300)
    weighted = compared(spec, replace(rows, weight=np.full(300, 0.7)))
    # A weighted median is one of the values, an unweighted one may lie between two.
    near = 0.05 if spec.name == "median_absolute_error" else 1e-9
    assert as_numbers(weighted) == pytest.approx(as_numbers(compared(spec, rows)), rel=near, abs=near)


@pytest.mark.parametrize(("task", "spec"), samples.ALL, ids=NAMES)
def test_one_model_alone(task: str, spec: Spec) -> None:
    rows = drawn(task, "rows", 600)
    found = means.level(spec, rows, rows.challenger, confidence=0.95)
    assert found.a == found.difference == pytest.approx(estimate.value(spec, rows, rows.challenger))
    assert found.b == 0
    assert found.lower < found.a < found.upper


@pytest.mark.parametrize("ratio", [0.98, 1.02, 0.5])
@pytest.mark.parametrize("given", ["rows", "weights", "clusters"])
def test_a_relative_margin_has_the_covariance_of_the_pair(ratio: float, given: str) -> None:
    rows = drawn("binary", given, 500)
    found = compared(GAIN, rows, ratio=ratio)
    assert rows.champion is not None
    scaled = replace(rows, champion=Predicted(values={"gain": ratio * rows.champion.values["gain"]}))
    oracle = compared(GAIN, scaled)
    assert (found.lower, found.upper, found.se) == pytest.approx((oracle.lower, oracle.upper, oracle.se))
    assert found.b == pytest.approx(oracle.b / ratio)


# Edges


def test_a_constant_lead_proves_nothing() -> None:
    a = np.random.default_rng(1).normal(size=100)
    found = compared(GAIN, valued(np.ones(100), np.zeros(100)))
    assert found.too_little == "nothing varies from row to row, which says nothing of other rows"
    nearly = compared(GAIN, valued(a + 1, a))
    assert nearly.too_little  # but for rounding


@pytest.mark.parametrize(("unlike", "decides"), [(1, False), (4, False), (12, True), (50, True)])
def test_a_handful_of_rows_that_differ_decides_nothing(unlike: int, decides: bool) -> None:
    a = np.zeros(2000)
    a[:unlike] = np.linspace(1, 2, unlike)
    found = compared(GAIN, valued(a, np.zeros(2000)))
    assert bool(found.too_little) is not decides
    if not decides:
        assert found.too_little == f"only {unlike} differ from all the others, 5 needed"


def test_one_row_that_makes_the_difference_decides_nothing() -> None:
    a = np.random.default_rng(2).normal(size=500)
    a[7] = 400.0
    found = compared(GAIN, valued(a, np.zeros(500)))
    assert found.too_little == "a few of them make nearly all of the difference"
    assert math.isfinite(found.lower)
    assert math.isfinite(found.upper)


def test_perfect_predictions_are_better_than_others() -> None:
    rng = np.random.default_rng(3)
    label = rng.normal(size=300)
    regression = Rows("regression", label, Predicted(label.copy()), Predicted(label + rng.normal(size=300)))
    for name in ("mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "median_absolute_error"):
        found = compared(Spec(name), regression)
        assert found.a == 0
        assert found.upper < 0, name
    for name in ("r2", "explained_variance"):
        assert compared(Spec(name), regression).lower > 0, name
    binary = samples.rows("binary", rng, 500)
    perfect = replace(binary, challenger=Predicted(binary.label.copy(), binary.label.astype(np.int32)))
    for name in ("log_loss", "brier_score"):
        assert compared(Spec(name), perfect).upper < 0, name
    assert compared(Spec("average_precision"), perfect).lower > 0


def test_a_maximum_has_no_bounds() -> None:
    rows = samples.rows("regression", np.random.default_rng(4), 5000)
    found = compared(Spec("max_error"), rows)
    assert found.a == pytest.approx(float(np.abs(rows.label - rows.challenger.score).max()))
    assert "one row decides a maximum" in found.too_little
    assert "one row" in means.level(Spec("max_error"), rows, rows.challenger, confidence=0.95).too_little


def test_numbers_too_large_to_square_have_no_bounds() -> None:
    huge = np.full(100, 1e200) * np.linspace(-1, 1, 100)
    rows = Rows("regression", np.zeros(100), Predicted(huge), Predicted(huge / 2))
    with pytest.raises(UndefinedError, match="too large"):
        compared(Spec("mean_squared_error"), rows)
    with pytest.raises(UndefinedError, match="too large"):
        compared(GAIN, valued(huge, -huge))


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
def test_many_rows_are_those_of_one_block(name: str) -> None:
    rows = samples.rows("binary", np.random.default_rng(9), 300_000)
    found, whole = compared(Spec(name), rows), compared(Spec(name), replace(rows, weight=np.ones(300_000)))
    assert as_numbers(found) == pytest.approx(as_numbers(whole), rel=1e-9)
    assert rows.challenger.score is not None
    broken = rows.challenger.score.copy()
    broken[[5, -5]] = 1.5, -3.0
    with pytest.raises(UndefinedError, match=r"they go from -3 to 1\.5"):
        compared(Spec(name), replace(rows, challenger=Predicted(broken)))


def test_all_weights_zero_is_said() -> None:
    rows = samples.rows("regression", np.random.default_rng(5), 50, weight=np.zeros(50))
    with pytest.raises(UndefinedError, match="no row has a weight above zero"):
        compared(Spec("mean_absolute_error"), rows)


def test_classes_of_few_rows_matter_to_averages_over_classes_only() -> None:
    rng = np.random.default_rng(6)
    rows = samples.rows("multiclass", rng, 400)
    label = rows.label.copy()
    label[np.flatnonzero(label == 3)[12:]] = 2
    rare = replace(rows, label=label)
    assert compared(Spec("roc_auc", average="macro"), rare).too_little == "12 rows in a class, 30 needed"
    assert compared(Spec("log_loss"), rare).too_little == ""


def drawn(task: str, given: str, count: int, *, clusters: int = 60, seed: int = 11) -> Rows:
    rng = np.random.default_rng(seed)
    if given == "weights":
        return samples.rows(task, rng, count, weight=rng.gamma(3.0, size=count))
    if given == "clusters":
        return samples.rows(task, rng, count, cluster=rng.integers(0, clusters, count).astype(np.int32))
    return samples.rows(task, rng, count)


def _joined(one: Rows, other: Rows, weight: np.ndarray) -> Rows:
    assert one.champion is not None
    assert other.champion is not None
    query = None
    if one.query is not None and other.query is not None:
        query = np.concatenate((one.query, other.query + one.query.max() + 1))
    return replace(
        one,
        label=np.concatenate((one.label, other.label)),
        challenger=_both(one.challenger, other.challenger),
        champion=_both(one.champion, other.champion),
        query=query,
        weight=weight,
    )


def _both(one: Predicted, other: Predicted) -> Predicted:
    assert one.score is not None
    assert other.score is not None
    decided = None
    if one.decided is not None and other.decided is not None:
        decided = np.concatenate((one.decided, other.decided))
    values = {name: np.concatenate((column, other.values[name])) for name, column in one.values.items()}
    return Predicted(np.concatenate((one.score, other.score)), decided, values)
