"""Metrics of scores and probabilities are scikit-learn's, and undefined where it only warns."""

from __future__ import annotations

import numpy as np
import pytest
from estimate_samples import binary, close, measured, multiclass, said, without
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec, UndefinedError

BINARY = ("roc_auc", "average_precision", "log_loss", "brier_score", "expected_calibration_error")


@given(binary())
def test_area_under_the_curve(rows: Rows) -> None:
    ours = measured(Spec("roc_auc"), rows)
    theirs, undefined = said(lambda: sk.roc_auc_score(rows.label, rows.challenger.score, sample_weight=rows.weight))
    assert (ours is None) == undefined
    assert ours is None or ours == close(theirs)


@given(binary())
def test_which_is_mann_and_whitney(rows: Rows) -> None:
    """A second oracle: U over the number of pairs."""
    score, positive = rows.challenger.score, rows.label > 0
    assert score is not None
    if rows.weight is not None or not 0 < positive.sum() < len(positive):
        return
    pairs = positive.sum() * (~positive).sum()
    u = stats.mannwhitneyu(score[positive], score[~positive], method="asymptotic").statistic
    assert measured(Spec("roc_auc"), rows) == close(u / pairs)


@given(binary())
def test_average_precision(rows: Rows) -> None:
    ours = measured(Spec("average_precision"), rows)
    theirs, _ = said(lambda: sk.average_precision_score(rows.label, rows.challenger.score, sample_weight=rows.weight))
    assert (ours is None) == (not rows.label.any())
    assert ours is None or ours == close(theirs)


@given(binary())
def test_log_loss_and_brier_score(rows: Rows) -> None:
    label, score = rows.label.astype(int), rows.challenger.score
    expected = sk.log_loss(label, score, labels=[0, 1], sample_weight=rows.weight)
    assert measured(Spec("log_loss"), rows) == close(expected)
    expected = sk.brier_score_loss(label, score, pos_label=1, sample_weight=rows.weight)
    assert measured(Spec("brier_score"), rows) == close(expected)


@given(multiclass())
def test_of_several_classes(rows: Rows) -> None:
    label, score, labels = rows.label.astype(int), rows.challenger.score, range(len(rows.classes))
    expected = sk.log_loss(label, score, labels=labels, sample_weight=rows.weight)
    assert measured(Spec("log_loss"), rows) == close(expected)
    expected = sk.brier_score_loss(label, score, labels=labels, sample_weight=rows.weight)
    assert measured(Spec("brier_score"), rows) == close(expected)


@given(multiclass(), st.integers(1, 2))
def test_top_k(rows: Rows, k: int) -> None:
    label, score, labels = rows.label.astype(int), rows.challenger.score, range(len(rows.classes))
    expected = sk.top_k_accuracy_score(label, score, k=k, labels=labels, sample_weight=rows.weight)
    assert measured(Spec("top_k_accuracy", k=k), rows) == close(expected)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@given(rows=multiclass())
def test_each_class_against_the_rest(average: str, rows: Rows) -> None:
    label, score, labels = rows.label.astype(int), rows.challenger.score, range(len(rows.classes))
    ours = measured(Spec("roc_auc", average=average), rows)
    everyone = len(np.unique(label)) == len(labels)
    if average == "macro" or len(np.unique(label)) == 1:
        assert (ours is None) == (not everyone and average != "micro")
    if ours is not None:
        theirs, _ = said(
            lambda: sk.roc_auc_score(
                label, score, multi_class="ovr", average=average, labels=labels, sample_weight=rows.weight
            )
        )
        assert ours == close(theirs)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@given(rows=multiclass(everyone=True))
def test_average_precision_of_each_class(average: str, rows: Rows) -> None:
    label, score = rows.label.astype(int), rows.challenger.score
    expected = sk.average_precision_score(label, score, average=average, sample_weight=rows.weight)
    assert measured(Spec("average_precision", average=average), rows) == close(expected)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@given(rows=multiclass())
def test_each_class_against_each_other(average: str, rows: Rows) -> None:
    label, score = rows.label.astype(int), rows.challenger.score
    ours = measured(Spec("roc_auc_ovo", average=average), rows)
    assert (ours is None) == (len(np.unique(label)) < 2)
    if ours is not None and rows.weight is None:
        theirs, _ = said(
            lambda: sk.roc_auc_score(label, score, multi_class="ovo", average=average, labels=range(len(rows.classes)))
        )
        assert ours == close(theirs)


@given(multiclass(everyone=True), st.data())
def test_weights_against_each_other_count_like_copies(rows: Rows, data: st.DataObject) -> None:
    """scikit-learn has no weights here: a row of weight 3 is three rows."""
    times = np.array(data.draw(st.lists(st.integers(1, 3), min_size=rows.count, max_size=rows.count)))
    plain = Rows("multiclass", rows.label, rows.challenger, classes=rows.classes, weight=times.astype(float))
    copied = without(
        Rows("multiclass", rows.label, rows.challenger, classes=rows.classes), np.repeat(np.arange(rows.count), times)
    )
    for average in ("macro", "weighted"):
        spec = Spec("roc_auc_ovo", average=average)
        expected = measured(spec, copied)
        assert expected is not None
        assert measured(spec, plain) == close(expected)


@given(binary(least=2), st.integers(1, 20))
def test_calibration_error_is_the_gap_of_the_bins(rows: Rows, bins: int) -> None:
    """The bins are those of scikit-learn's calibration_curve; it gives the two means, the shares are counted here."""
    label, score = rows.label.astype(int), rows.challenger.score
    assert score is not None
    if rows.weight is not None or len(np.unique(label)) < 2:
        return
    share, mean = calibration_curve(label, score, n_bins=bins)
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], score)
    counts = np.bincount(place, minlength=bins)
    expected = float((counts[counts > 0] * np.abs(share - mean)).sum() / len(label))
    assert measured(Spec("expected_calibration_error", bins=bins), rows) == close(expected)


def test_calibration_error_by_hand() -> None:
    """0.1 and 0.2 lie in (0, 0.2] with no positive of two, 0.9 in (0.8, 1] with one of one: (2 * 0.15 + 0.1) / 3."""
    rows = Rows("binary", np.array([0.0, 0, 1]), Predicted(np.array([0.1, 0.2, 0.9])), classes=("no", "yes"))
    assert measured(Spec("expected_calibration_error", bins=5), rows) == close(0.4 / 3)
    several = np.array([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1], [1.0, 0.0, 0.0]])
    rows = Rows("multiclass", np.array([1.0, 2, 0]), Predicted(several), classes=("a", "b", "c"))
    # Highest: 0.6 right, 0.7 wrong, 1.0 right. One bin: |2.3 - 2| / 3; two rows weighted double in bins of a half.
    assert measured(Spec("expected_calibration_error", bins=1), rows) == close(0.1)
    weighted = Rows(
        "multiclass", rows.label, rows.challenger, classes=rows.classes, weight=np.array([1.0, 2, 2])
    )  # fmt: skip
    assert measured(Spec("expected_calibration_error", bins=2), weighted) == close(abs(0.6 - 1 + 2 * 0.7) / 5)


@pytest.mark.parametrize("name", BINARY)
@given(rows=binary(zeros=True))
def test_rows_of_no_weight_are_as_if_they_were_not_there(name: str, rows: Rows) -> None:
    assert rows.weight is not None
    some, all_ = measured(Spec(name), without(rows, rows.weight > 0)), measured(Spec(name), rows)
    assert some == all_ or (some is not None and all_ == close(some))


@pytest.mark.parametrize("name", BINARY)
@given(rows=binary(), data=st.data())
def test_the_order_of_rows_changes_nothing(name: str, rows: Rows, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(rows.count))))
    mixed, plain = measured(Spec(name), without(rows, order)), measured(Spec(name), rows)
    assert mixed == plain or (plain is not None and mixed == close(plain))


def test_area_of_a_published_example() -> None:
    """CT images rated 1 to 5: Hanley and McNeil, Radiology 143 (1982), table I: the area is 0.893."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    score = np.array([*np.repeat(range(1, 6), normal), *np.repeat(range(1, 6), abnormal)], dtype=float)
    label = np.array([0.0] * sum(normal) + [1.0] * sum(abnormal))
    rows = Rows("binary", label, Predicted(score), classes=("normal", "abnormal"))
    assert measured(Spec("roc_auc"), rows) == pytest.approx(0.893, abs=5e-4)


def test_certain_and_wrong_costs_36_and_not_infinity() -> None:
    rows = Rows("binary", np.array([1.0]), Predicted(np.array([0.0])), classes=("no", "yes"))
    assert measured(Spec("log_loss"), rows) == close(-np.log(2.0**-52))


@pytest.mark.parametrize("name", ["log_loss", "brier_score", "expected_calibration_error"])
def test_scores_are_not_taken_for_probabilities(name: str) -> None:
    side = Predicted(np.array([-1.5, 3.0]))
    rows = Rows("binary", np.array([0.0, 1.0]), side, classes=("no", "yes"))
    with pytest.raises(UndefinedError, match=r"no probabilities: they go from -1.5 to 3"):
        estimate.value(Spec(name), rows, side)
    assert measured(Spec("roc_auc"), rows) == 1.0
    wide = Predicted(np.array([[0.5, 0.2, 0.2], [0.5, 0.25, 0.25]]))
    rows = Rows("multiclass", np.array([0.0, 1.0]), wide, classes=("a", "b", "c"))
    with pytest.raises(UndefinedError, match="of 1 rows do not sum to one"):
        estimate.value(Spec(name), rows, wide)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (Spec("top_k_accuracy", k=3), "k is 3 and there are 3 classes"),
        (Spec("roc_auc"), "how several classes become one number"),
        (Spec("roc_auc_ovo"), "how pairs of classes become one number"),
        (Spec("roc_auc", average="macro"), "no row is 'c'"),
    ],
)
def test_the_reason_is_said(spec: Spec, why: str) -> None:
    side = Predicted(np.array([[0.5, 0.3, 0.2], [0.5, 0.25, 0.25]]))
    rows = Rows("multiclass", np.array([0.0, 1.0]), side, classes=("a", "b", "c"))
    with pytest.raises(UndefinedError, match=why):
        estimate.value(spec, rows, side)


def test_what_is_missing_is_said() -> None:
    rows = Rows("binary", np.array([0.0, 1.0]), Predicted(), classes=("no", "yes"))
    with pytest.raises(UndefinedError, match="have no score"):
        estimate.value(Spec("roc_auc"), rows, Predicted())
    with pytest.raises(UndefinedError, match="several scores for each row"):
        estimate.value(Spec("roc_auc"), rows, Predicted(np.ones((2, 2))))
    rows = Rows("multiclass", np.array([0.0, 1.0]), Predicted(np.ones(2)), classes=("a", "b"))
    with pytest.raises(UndefinedError, match="not one score for each of the 2 classes"):
        estimate.value(Spec("log_loss"), rows, rows.challenger)
    empty = Rows("binary", np.empty(0), Predicted(np.empty(0)), classes=("no", "yes"))
    with pytest.raises(UndefinedError, match="there are no rows"):
        estimate.value(Spec("roc_auc"), empty, empty.challenger)
