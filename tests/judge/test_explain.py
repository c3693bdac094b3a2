"""The figures of both models, held against scikit-learn, and the rows that changed sides, counted by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import explain
from mlgate.model import Figure, Series


def binary(n: int = 400, *, seed: int = 0, ties: bool = False, weighted: bool = False) -> Rows:
    """A champion and a better challenger on the same rows."""
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.4).astype(float)
    label[:2] = (0.0, 1.0)
    scores = [np.clip(0.4 + gain * (label - 0.4) + random.normal(0, 0.2, n), 0, 1) for gain in (0.2, 0.4)]
    if ties:
        scores = [np.round(score, 1) for score in scores]
    sides = [Predicted(score, (score >= 0.5).astype(np.int32)) for score in scores]
    weight = random.integers(0, 4, n).astype(np.float64) + 0.5 if weighted else None
    names = ("no", "yes")
    return Rows("binary", label, sides[1], sides[0], classes=names, weight=weight, id_of=lambda at: f"row-{at}")


def figure(rows: Rows, kind: str, which: int = 0) -> Figure:
    return [one for one in explain.figures(rows, "holdout") if one.kind == kind][which]


def line(drawn: Figure, name: str) -> Series:
    return next(series for series in drawn.series if series.name == name)


def beside(series: Series, x: np.ndarray, y: np.ndarray) -> float:
    """The largest distance of a drawn point from the nearest point of the true curve."""
    true = np.column_stack([x, y])
    return max(float(np.abs(true - point).sum(axis=1).min()) for point in zip(series.x, series.y, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [20, 400, 60_000])
def test_curves_are_points_of_the_true_curve(n: int, ties: bool, weighted: bool) -> None:
    rows = binary(n, ties=ties, weighted=weighted)
    roc, pr = figure(rows, "roc"), figure(rows, "precision-recall")
    for name, side in (("champion", rows.champion), ("challenger", rows.challenger)):
        assert side is not None
        false, true, _ = roc_curve(rows.label, side.score, sample_weight=rows.weight, drop_intermediate=False)
        drawn = line(roc, name)
        assert beside(drawn, false, true) < 2e-6
        assert (drawn.x[0], drawn.y[0], drawn.x[-1], drawn.y[-1]) == (0, 0, 1, 1)
        assert len(drawn.x) <= explain.POINTS
        assert abs(np.trapezoid(drawn.y, drawn.x) - np.trapezoid(true, false)) < 2e-3
        precision, recall, _ = precision_recall_curve(rows.label, side.score, sample_weight=rows.weight)
        drawn = line(pr, name)
        assert beside(drawn, recall, precision) < 2e-6
        assert drawn.x[-1] == 1
        assert len(drawn.x) <= explain.POINTS


def test_every_corner_is_kept_where_they_are_few() -> None:
    label = np.array([0.0] * 300 + [1.0] * 100)
    perfect = Predicted(np.arange(400) / 400, None)
    drawn = line(figure(Rows("binary", label, perfect), "roc"), "challenger")
    assert list(zip(drawn.x, drawn.y, strict=True)) == [(0, 0), (0, 1), (1, 1)]
    constant = Predicted(np.full(400, 0.25), None)
    drawn = line(figure(Rows("binary", label, constant), "roc"), "challenger")
    assert list(zip(drawn.x, drawn.y, strict=True)) == [(0, 0), (1, 1)]


def test_scores_that_lie_together_are_still_told_apart() -> None:
    """Of many rows cells are counted, unless most of the rows share one."""
    random = np.random.default_rng(1)
    n = 120_000
    label = (random.random(n) < 0.5).astype(float)
    score = np.exp(random.normal(label, 1.0) * 8)
    drawn = line(figure(Rows("binary", label, Predicted(score, None)), "roc"), "challenger")
    false, true, _ = roc_curve(label, score, drop_intermediate=False)
    assert beside(drawn, false, true) < 1e-4
    assert len(drawn.x) > 100


def test_calibration_is_that_of_scikit_learn() -> None:
    rows = binary(2_000)
    drawn = figure(rows, "calibration")
    was, said = calibration_curve(rows.label, rows.challenger.score, n_bins=explain.BINS)
    series = line(drawn, "challenger")
    assert np.allclose(series.x, said, atol=1e-5)
    assert np.allclose(series.y, was, atol=1e-5)
    assert sum(line(drawn, "challenger, rows").y) == 2_000
    assert line(drawn, "champion, rows").x == line(drawn, "champion").x


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    rows = binary()
    assert rows.challenger.score is not None
    wide = dataclasses.replace(rows, challenger=Predicted(rows.challenger.score * 9, rows.challenger.decided))
    assert [series.name for series in figure(wide, "calibration").series] == ["champion", "champion, rows"]
    kinds = [one.kind for one in explain.figures(dataclasses.replace(wide, champion=None), "")]
    assert kinds == ["roc", "precision-recall", "confusion"]


def test_decisions_are_the_confusion_matrix() -> None:
    rows = binary()
    for which, side in enumerate((rows.champion, rows.challenger)):
        assert side is not None
        drawn = figure(rows, "confusion", which)
        assert drawn.classes == ("no", "yes")
        assert [list(series.y) for series in drawn.series] == confusion_matrix(rows.label, side.decided).tolist()
    assert figure(rows, "confusion", 1).title == "holdout: decisions of the challenger"


def test_rare_classes_are_one() -> None:
    random = np.random.default_rng(2)
    label = np.minimum(random.geometric(0.2, 3_000) - 1, 29).astype(float)
    decided = random.permutation(label).astype(np.int32)
    rows = Rows("multiclass", label, Predicted(None, decided), classes=tuple(f"c{at}" for at in range(30)))
    drawn = figure(rows, "confusion")
    assert len(drawn.classes) == explain.CLASSES == len(drawn.series)
    assert drawn.classes[-1] == "19 others"
    assert sum(sum(series.y) for series in drawn.series) == 3_000
    kept = confusion_matrix(label, decided)[:11, :11]
    assert [list(series.y[:11]) for series in drawn.series[:11]] == kept.tolist()


def test_several_classes_are_calibrated_by_the_most_probable() -> None:
    score = np.array([[0.7, 0.2, 0.1], [0.1, 0.72, 0.18], [0.5, 0.3, 0.2], [0.34, 0.33, 0.33]])
    rows = Rows("multiclass", np.array([0.0, 0.0, 0.0, 2.0]), Predicted(score, None), classes=("a", "b", "c"))
    series = line(figure(rows, "calibration"), "challenger")
    assert series.x == (0.34, 0.5, 0.71)
    assert series.y == (0, 1, 0.5)


def test_errors_have_their_median_and_their_spread() -> None:
    random = np.random.default_rng(3)
    predicted = random.normal(100, 20, 4_000)
    label = predicted + random.normal(5, 3, 4_000)
    drawn = figure(Rows("regression", label, Predicted(predicted)), "residuals")
    names = [series.name for series in drawn.series]
    assert names == ["challenger", "challenger, 10 %", "challenger, 90 %"]
    middle, low, high = drawn.series
    assert len(middle.x) == explain.BINS
    assert list(middle.x) == sorted(middle.x)
    assert np.allclose(middle.y, 5, atol=1)
    assert np.allclose(low.y, 5 - 1.2816 * 3, atol=1.2)
    assert np.allclose(high.y, 5 + 1.2816 * 3, atol=1.2)


def test_rankings_have_no_figure() -> None:
    rows = Rows("ranking", np.array([1.0, 0.0]), Predicted(np.array([0.5, 0.1])), query=np.zeros(2, np.int32))
    assert explain.figures(rows, "search") == []
    assert explain.moved(dataclasses.replace(rows, champion=rows.challenger), "search") is None


def test_one_class_alone_has_no_curve() -> None:
    rows = Rows("binary", np.ones(5), Predicted(np.linspace(0, 1, 5), None), classes=("no", "yes"))
    assert [one.kind for one in explain.figures(rows, "")] == ["calibration"]


# --- rows that changed sides


def test_rows_that_changed_sides_are_counted_both_ways() -> None:
    label = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    before = Predicted(np.array([0.9, 0.4, 0.1, 0.7, 0.45, 0.2]), np.array([1, 0, 0, 1, 0, 0], np.int32))
    after = Predicted(np.array([0.1, 0.6, 0.2, 0.6, 0.9, 0.6]), np.array([0, 1, 0, 1, 1, 1], np.int32))
    rows = Rows("binary", label, after, before, classes=("no", "yes"), id_of=lambda at: f"row-{at}")
    moved = explain.moved(rows, "holdout")
    assert moved is not None
    assert (moved.name, moved.by, moved.rows, moved.better, moved.worse) == ("holdout", "class", 6, 2, 2)
    assert moved.best == ("row-4", "row-1")  # by how far the score moved
    assert moved.worst == ("row-0", "row-5")
    without = explain.moved(rows, "holdout", ids=False)
    assert without is not None
    assert (without.best, without.worst, without.better) == ((), (), 2)


def test_errors_that_grew_and_shrank_are_counted() -> None:
    label = np.array([10.0, 10.0, 10.0, 10.0])
    rows = Rows(
        "regression", label, Predicted(np.array([11.0, 15.0, 10.0, 9.0])), Predicted(np.array([12.0, 10.0, 4.0, 11.0]))
    )
    moved = explain.moved(rows, "")
    assert moved is not None
    assert (moved.by, moved.better, moved.worse) == ("loss", 2, 1)
    assert (moved.best, moved.worst) == (("2", "0"), ("1",))


def test_only_the_first_ids_are_kept() -> None:
    n = 500
    champion = Predicted(None, np.zeros(n, np.int32))
    challenger = Predicted(None, np.ones(n, np.int32))
    moved = explain.moved(Rows("multiclass", np.zeros(n), challenger, champion, classes=("a", "b")), "s")
    assert moved is not None
    assert (moved.worse, moved.better) == (n, 0)
    assert moved.worst == tuple(str(at) for at in range(explain.IDS))


@pytest.mark.parametrize("change", [{"champion": None}, {"champion": Predicted(None, None)}])
def test_what_cannot_be_told_apart_is_not_told(change: dict[str, Any]) -> None:
    assert explain.moved(dataclasses.replace(binary(), **change), "holdout") is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_any_rows_give_figures_of_finite_numbers_and_the_same_ones_again(seed: int, n: int) -> None:
    rows = binary(n, seed=seed, ties=seed % 2 == 0, weighted=seed % 3 == 0)
    found = explain.figures(rows, "holdout")
    assert [one.kind for one in found] == ["roc", "precision-recall", "confusion", "confusion", "calibration"]
    for one in found:
        for series in one.series:
            assert len(series.x) == len(series.y) > 0
            assert np.isfinite([*series.x, *series.y]).all()
    assert explain.figures(rows, "holdout") == found
