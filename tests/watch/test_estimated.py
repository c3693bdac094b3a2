"""What is expected without truth: near the measured values where scores are probabilities, and never a verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from mlgate.data.reading import connect
from mlgate.model import Verdict
from mlgate.watch import answered, estimated
from mlgate.watch.answered import Answered, How
from watch.outcomes_samples import binary, table

BINARY_HOW = How(task="binary", positive=1, cut_off=0.5)


def read(columns: dict[str, object], way: How = BINARY_HOW) -> Answered:
    con = connect()
    return answered.read(con, table(con, columns), way, score="score" if "score" in columns else None, label=None)


def test_it_is_near_what_is_measured_where_scores_are_probabilities() -> None:
    score, label = binary(1, 200_000)
    found = estimated.estimate(score, (score >= 0.5).astype(np.int32))
    decided = score >= 0.5
    measured = {
        "accuracy": oracle.accuracy_score(label, decided),
        "precision": oracle.precision_score(label, decided),
        "recall": oracle.recall_score(label, decided),
        "f1": oracle.f1_score(label, decided),
        "roc_auc": oracle.roc_auc_score(label, score),
        "log_loss": oracle.log_loss(label, score),
        "brier_score": oracle.brier_score_loss(label, score),
    }
    assert list(found) == list(measured)
    for name, value in measured.items():
        assert found[name] == pytest.approx(value, abs=0.005), name


def test_by_hand() -> None:
    found = estimated.estimate(np.array([0.8, 0.6, 0.3, 0.1]), np.array([1, 1, 0, 0], dtype=np.int32))
    assert found["accuracy"] == pytest.approx((0.8 + 0.6 + 0.7 + 0.9) / 4)
    assert found["precision"] == pytest.approx(0.7)
    assert found["recall"] == pytest.approx(1.4 / 1.8)
    assert found["f1"] == pytest.approx(2 * 1.4 / (2 + 1.8))
    assert found["brier_score"] == pytest.approx((0.16 + 0.24 + 0.21 + 0.09) / 4)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.9, 1.0]), min_size=1, max_size=8))
def test_the_area_is_that_of_all_pairs(scores: list[float]) -> None:
    won = total = 0.0
    for one, p in enumerate(scores):
        for other, q in enumerate(scores):
            if one == other:
                continue
            weight = p * (1 - q)  # that the first is positive and the second is not
            total += weight
            won += weight * (1.0 if p > q else 0.5 if p == q else 0.0)
    found = estimated.estimate(np.array(scores), None)
    if total < 1e-9:
        assert "roc_auc" not in found
    else:
        assert found["roc_auc"] == pytest.approx(won / total, abs=1e-9)
    assert "accuracy" not in found
    assert all(np.isfinite(value) for value in found.values())


def test_what_cannot_be_defined_is_left_out() -> None:
    none = np.zeros(10)
    found = estimated.estimate(none, none.astype(np.int32))
    assert found == {"accuracy": 1.0, "log_loss": 0.0, "brier_score": 0.0}
    assert estimated.estimate(np.array([]), None) == {}


def test_it_is_shown_with_what_it_assumes_and_never_blocks() -> None:
    score, _ = binary(2, 500)
    section = estimated.section(read({"prediction": (score >= 0.5).astype(int), "score": score}))
    assert (section.kind, section.state) == ("estimated", "ok")
    assert {one.name for one in section.measures} == {f"estimated_{name}" for name in estimated.METRICS}
    assert all(one.state == "ok" and one.limit is None and one.rows == 500 for one in section.measures)
    assert all(one.verdict is Verdict.PASS and "not measured" in one.reason for one in section.checks)


def test_only_what_is_asked_for_is_shown() -> None:
    score, _ = binary(2, 500)
    found = read({"prediction": (score >= 0.5).astype(int), "score": score})
    assert [one.name for one in estimated.section(found, ["auc", "mcc", "f1_score"]).measures] == [
        "estimated_f1",
        "estimated_roc_auc",
    ]


@pytest.mark.parametrize(
    ("columns", "way", "why"),
    [
        ({"prediction": [0, 1] * 50}, How(task="binary", positive=1), "the log has no score"),
        (
            {"prediction": [0, 1] * 50, "score": [-3.0, 4.0] * 50},
            BINARY_HOW,
            "the scores are no probabilities (-3 to 4)",
        ),
        (
            {"prediction": ["a", "b", "c", "a"]},
            How(task="multiclass"),
            "it is made of the scores of two classes, and this is multiclass",
        ),
        (
            {"prediction": [1.5, 2.5, 3.5]},
            How(task="regression"),
            "it is made of the scores of two classes, and this is regression",
        ),
        ({"prediction": []}, BINARY_HOW, "there are no rows"),
    ],
)
def test_where_it_cannot_be_it_says_why_and_makes_nothing_inconclusive(
    columns: dict[str, object], way: How, why: str
) -> None:
    section = estimated.section(read(columns, way))
    assert section.not_run == (f"Performance was not estimated without truth: {why}.",)
    assert (section.state, section.measures, section.checks) == ("ok", (), ())
