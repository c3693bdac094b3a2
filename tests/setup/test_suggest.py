"""Numbers suggested for rules: from the history, on the side that is worse, and readable."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate import estimators
from mlgate.setup import suggest


def words(key: str, history: list[float]) -> dict[str, str]:
    return dict(suggest.rule(key, history, commits=len(history)).words)


def test_the_documented_example() -> None:
    history = [0.712, 0.716, 0.714, 0.718, 0.714, 0.72, 0.719, 0.722, 0.721, 0.7225, 0.724, 0.723]
    found = suggest.rule("auc", history, commits=12)
    assert dict(found.words) == {"is": "roc_auc", "threshold": "0.70", "max_absolute_regression": "0.01"}
    assert found.because == "last 12 commits: 0.712 to 0.724, largest drop 0.004"


def test_lower_is_better_gets_a_ceiling_and_a_rise() -> None:
    found = suggest.rule("val_loss.rmse", [152.3, 150.0, 151.1], commits=3)
    assert dict(found.words) == {"is": "root_mean_squared_error", "threshold": "160", "max_absolute_regression": "5"}
    assert found.because == "last 3 commits: 150 to 152.3, largest rise 1.1"


@pytest.mark.parametrize(
    ("history", "commits", "because"),
    [
        ([0.7], 0, "now 0.7; no history yet"),
        ([0.71234567], 1, "one commit: 0.7123; no history yet"),
        ([0.7, 0.71], 2, "last 2 commits: 0.7 to 0.71, no drop"),
    ],
)
def test_little_history_is_said(history: list[float], commits: int, because: str) -> None:
    assert suggest.rule("auc", history, commits=commits).because == because


def test_an_unknown_direction_is_asked_for() -> None:
    found = words("lift", [2.0, 2.5])
    assert found["greater_is_better"] == "true or false"
    assert "threshold" not in found


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("auc", "roc_auc"),
        ("test.AUC", "roc_auc"),
        ("val_f1", "f1"),
        ("log loss", "log_loss"),
        ("rmse_test", "root_mean_squared_error"),
        ("lift", None),
        ("", None),
    ],
)
def test_names(key: str, name: str | None) -> None:
    assert suggest.estimator(key) == name


@pytest.mark.parametrize("key", ["rows", "n_samples", "train.seconds", "epoch", "tp", "positives", "fit_time"])
def test_counts_and_times_are_no_quality(key: str) -> None:
    assert not suggest.is_quality(key)


@pytest.mark.parametrize("key", ["auc", "lift", "mean_absolute_error", "precision", "top_k_accuracy"])
def test_qualities(key: str) -> None:
    assert suggest.is_quality(key)


@given(
    st.sampled_from(sorted(estimators.KNOWN)),
    st.lists(st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 6)), min_size=1, max_size=12),
)
def test_what_was_reached_before_is_always_within_the_suggestion(key: str, history: list[float]) -> None:
    """Accepting a suggestion never fails a model that the history already has."""
    found = words(key, history)
    greater = estimators.KNOWN[key].greater_is_better
    for value in (Decimal(repr(v)) for v in history):
        if "threshold" in found:
            limit = Decimal(found["threshold"])
            assert value >= limit if greater else value <= limit
    margin = Decimal(found["max_absolute_regression"])
    assert margin > 0
    for before, after in pairwise(history):
        worse = Decimal(repr(before)) - Decimal(repr(after))
        assert (worse if greater else -worse) <= margin
    assert "E" not in found["max_absolute_regression"] + found.get("threshold", "")
