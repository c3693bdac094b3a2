"""Metrics of decided classes are scikit-learn's, and undefined where it only warns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from estimate_samples import binary, close, measured, multiclass, said, without
from hypothesis import given
from sklearn import metrics as sk

from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate
from mlgate.judge.measures import Spec, UndefinedError

AVERAGES = ("macro", "micro", "weighted")
PLAIN: dict[str, Callable[..., Any]] = {
    "accuracy": sk.accuracy_score,
    "zero_one_loss": sk.zero_one_loss,
    "hamming_loss": sk.hamming_loss,
    "matthews_corrcoef": sk.matthews_corrcoef,
    "cohen_kappa": sk.cohen_kappa_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
}


def _f_beta(*args: Any, **kwargs: Any) -> Any:
    return sk.fbeta_score(*args, beta=2.5, **kwargs)


AVERAGED: dict[str, Callable[..., Any]] = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "f_beta": _f_beta,
    "jaccard": sk.jaccard_score,
}


def hard(rows: Rows) -> tuple[Any, Any]:
    return rows.label.astype(int), rows.challenger.decided


def degenerate(name: str, rows: Rows) -> bool:
    """Where scikit-learn gives a number without a warning although there is none."""
    label, decided = hard(rows)
    if name == "matthews_corrcoef":
        return len(np.unique(label)) < 2 or len(np.unique(decided)) < 2
    return name == "balanced_accuracy" and len(np.unique(label)) < 2


@pytest.mark.parametrize("name", sorted(PLAIN))
@given(binary())
def test_two_classes(name: str, rows: Rows) -> None:
    agrees(name, rows)


@pytest.mark.parametrize("name", sorted(PLAIN))
@given(multiclass())
def test_several_classes(name: str, rows: Rows) -> None:
    agrees(name, rows)


def agrees(name: str, rows: Rows) -> None:
    ours = measured(Spec(name), rows)
    theirs, undefined = said(lambda: PLAIN[name](*hard(rows), sample_weight=rows.weight))
    if ours is None:
        assert undefined or degenerate(name, rows)
    else:
        assert not degenerate(name, rows)
        assert not undefined or name == "balanced_accuracy"  # it warns where a class is only decided, and leaves it out
        assert ours == close(theirs)


@pytest.mark.parametrize("name", sorted(AVERAGED))
@given(binary())
def test_of_the_positive_class(name: str, rows: Rows) -> None:
    ours = measured(Spec(name, beta=2.5), rows)
    theirs, undefined = said(lambda: AVERAGED[name](*hard(rows), sample_weight=rows.weight))
    assert (ours is None) == undefined
    assert ours is None or ours == close(theirs)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", sorted(AVERAGED))
@given(multiclass())
def test_averaged(name: str, average: str, rows: Rows) -> None:
    averaged(name, average, rows)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", sorted(AVERAGED))
@given(binary())
def test_averaged_over_both_classes(name: str, average: str, rows: Rows) -> None:
    """As scikit-learn does it where somebody asks for it, which is not the metric of the positive class."""
    averaged(name, average, rows)


def averaged(name: str, average: str, rows: Rows) -> None:
    ours = measured(Spec(name, average=average, beta=2.5), rows)
    theirs, undefined = said(lambda: AVERAGED[name](*hard(rows), average=average, sample_weight=rows.weight))
    if ours is None:
        assert undefined
    else:
        assert not undefined or average == "weighted"  # where the undefined class has no row, and so no weight
        assert ours == close(theirs)


@given(binary())
def test_specificity_is_the_recall_of_the_other_class(rows: Rows) -> None:
    ours = measured(Spec("specificity"), rows)
    theirs, undefined = said(lambda: sk.recall_score(*hard(rows), pos_label=0, sample_weight=rows.weight))
    assert (ours is None) == undefined
    assert ours is None or ours == close(theirs)


@pytest.mark.parametrize("average", AVERAGES)
@given(multiclass(everyone=True))
def test_specificity_of_several_classes(average: str, rows: Rows) -> None:
    label, decided = hard(rows)
    cells = sk.multilabel_confusion_matrix(label, decided, sample_weight=rows.weight)
    right, wrong, support = cells[:, 0, 0], cells[:, 0, 1], cells[:, 1, 0] + cells[:, 1, 1]
    expected = {
        "macro": lambda: np.mean(right / (right + wrong)),
        "micro": lambda: right.sum() / (right + wrong).sum(),
        "weighted": lambda: np.average(right / (right + wrong), weights=support),
    }[average]()
    assert measured(Spec("specificity", average=average), rows) == close(expected)


@given(multiclass())
def test_expected_cost_is_the_mean_entry_of_the_matrix(rows: Rows) -> None:
    costs = {"class 0": {"class 1": 5.0, "class 2": -1.0}, "class 2": {"class 0": 0.5}}
    label, decided = hard(rows)
    matrix = np.zeros((len(rows.classes), len(rows.classes)))
    matrix[0, 1], matrix[0, 2], matrix[2, 0] = 5.0, -1.0, 0.5
    cells = sk.confusion_matrix(label, decided, labels=range(len(rows.classes)), sample_weight=rows.weight)
    assert measured(Spec("expected_cost", costs=costs), rows) == close(float((cells * matrix).sum() / cells.sum()))


def test_a_cost_matrix_names_classes_that_there_are() -> None:
    rows = cats()
    with pytest.raises(UndefinedError, match=r"names the class 'cats', and the classes are 'dog', 'cat'"):
        estimate.value(Spec("expected_cost", costs={"cats": {"dog": 1.0}}), rows, rows.challenger)


@pytest.mark.parametrize("name", [*PLAIN, *AVERAGED, "specificity", "expected_cost"])
@given(rows=binary(zeros=True))
def test_rows_of_no_weight_are_as_if_they_were_not_there(name: str, rows: Rows) -> None:
    assert rows.weight is not None
    spec = Spec(name, beta=2.5, costs={"yes": {"no": 3.0}})
    some, all_ = measured(spec, without(rows, rows.weight > 0)), measured(spec, rows)
    assert some == all_ or (some is not None and all_ == close(some))


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", [*AVERAGED, "specificity"])
@given(rows=multiclass(zeros=True))
def test_nor_do_they_make_a_class_of_several(name: str, average: str, rows: Rows) -> None:
    assert rows.weight is not None
    spec = Spec(name, average=average)
    some, all_ = measured(spec, without(rows, rows.weight > 0)), measured(spec, rows)
    assert some == all_ or (some is not None and all_ == close(some))


def cats() -> Rows:
    """12 pictures, 8 of cats: 6 and 3 are recognised. The worked example of Wikipedia's "Phi coefficient"."""
    label = np.array([1.0] * 8 + [0.0] * 4)
    decided = np.array([0] * 2 + [1] * 6 + [0] * 3 + [1], dtype=np.int32)
    return Rows("binary", label, Predicted(decided=decided), classes=("dog", "cat"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("matthews_corrcoef", 0.478),
        ("accuracy", 0.75),
        ("precision", 6 / 7),
        ("recall", 0.75),
        ("specificity", 0.75),
        ("f1", 0.8),
    ],
)
def test_a_published_example(name: str, expected: float) -> None:
    assert measured(Spec(name), cats()) == pytest.approx(expected, abs=5e-4)


def test_kappa_of_a_published_example() -> None:
    """50 proposals, both say yes to 20 and no to 15: Wikipedia's "Cohen's kappa", simple example, 0.4."""
    label = np.array([1.0] * 25 + [0.0] * 25)
    decided = np.array([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15, dtype=np.int32)
    rows = Rows("binary", label, Predicted(decided=decided), classes=("no", "yes"))
    assert measured(Spec("cohen_kappa"), rows) == close(0.4)


@pytest.mark.parametrize(
    ("name", "label", "decided", "why"),
    [
        ("precision", [0, 1], [0, 0], "no row is decided to be 'yes'"),
        ("recall", [0, 0], [0, 1], "no row is 'yes'"),
        ("specificity", [1, 1], [0, 1], "every row is 'yes'"),
        ("f1", [0, 0], [0, 0], "no row is 'yes', and none is decided to be"),
        ("jaccard", [0, 0], [0, 0], "no row is 'yes', and none is decided to be"),
        ("balanced_accuracy", [1, 1], [0, 1], "there is only one class"),
        ("matthews_corrcoef", [1, 1], [0, 1], "there is only one class"),
        ("matthews_corrcoef", [0, 1], [1, 1], "every row is decided to be of the same class"),
        ("cohen_kappa", [1, 1], [1, 1], "there is only one class, in labels and in predictions"),
    ],
)
def test_the_reason_is_said(name: str, label: list[int], decided: list[int], why: str) -> None:
    side = Predicted(decided=np.array(decided, dtype=np.int32))
    rows = Rows("binary", np.array(label, dtype=float), side, classes=("no", "yes"))
    with pytest.raises(UndefinedError) as caught:
        estimate.value(Spec(name), rows, side)
    assert str(caught.value) == why


def test_several_classes_need_an_average_and_decisions() -> None:
    side = Predicted(decided=np.array([0, 1, 2], dtype=np.int32))
    rows = Rows("multiclass", np.array([0.0, 1.0, 2.0]), side, classes=("a", "b", "c"))
    with pytest.raises(UndefinedError, match="how several classes become one number"):
        estimate.value(Spec("f1"), rows, side)
    with pytest.raises(UndefinedError, match="no decided class"):
        estimate.value(Spec("accuracy"), rows, Predicted(score=np.ones((3, 3)) / 3))
    with pytest.raises(UndefinedError, match="r2 is not defined for multiclass labels"):
        estimate.value(Spec("r2"), rows, side)


def test_many_classes_take_no_square_of_memory() -> None:
    count = 100_000
    codes = np.arange(count, dtype=np.int32)
    names = tuple(map(str, range(count)))
    rows = Rows("multiclass", codes.astype(float), Predicted(decided=codes), classes=names)
    assert measured(Spec("f1", average="macro"), rows) == 1.0
