"""What predictions give against what was committed: within a tolerance, and with the cause where one fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate import estimators
from mlgate.config import Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate, recompute
from mlgate.judge.estimate import variants
from mlgate.judge.measures import Spec
from mlgate.judge.numbers import MISSING, NO_SIDE
from mlgate.judge.rules import Where
from mlgate.model import Check, Verdict

WHERE = Where(key="auc", id="rules.auc", title="auc", file="metrics/eval.json", line=7)
DRAW = np.random.default_rng(11)
COUNT = 400
LABEL = (DRAW.random(COUNT) < 0.3).astype(float)
SCORE = np.clip(0.3 * LABEL + 0.7 * DRAW.random(COUNT), 0, 1)
SCORE[:3] = (0.0, 1.0, 0.5)
LABEL[:3] = (1.0, 0.0, 1.0)
WEIGHT = DRAW.integers(1, 5, COUNT) / 2
BINARY = Rows("binary", LABEL, Predicted(SCORE, (SCORE >= 0.4).astype(np.int32)), classes=("no", "yes"))
WEIGHTED = replace(BINARY, weight=WEIGHT)
_CODES = DRAW.integers(0, 3, COUNT)
_SCORES = DRAW.dirichlet([1, 1, 1], COUNT) + 0.4 * np.eye(3)[_CODES]
_SCORES /= _SCORES.sum(axis=1, keepdims=True)
_DECIDED = DRAW.integers(0, 3, COUNT).astype(np.int32)
SEVERAL = Rows("multiclass", _CODES.astype(float), Predicted(_SCORES, _DECIDED), classes=("a", "b", "c"))
NUMBERS = Rows("regression", DRAW.normal(size=COUNT), Predicted(DRAW.normal(size=COUNT)))
_GAINS = DRAW.integers(0, 4, COUNT).astype(float)
_QUERY = (np.arange(COUNT) // 5).astype(np.int32)
_GAINS[_QUERY == 3] = 0
RANKED = Rows("ranking", _GAINS, Predicted(DRAW.random(COUNT)), query=_QUERY)


def found(rows: Rows, rule: dict[str, Any], committed: Any, side: recompute.Side = "challenger") -> list[Check]:
    typed = Rule.model_validate(rule)
    spec = estimate.spec_of("x", typed)
    assert spec is not None
    return list(recompute.check(typed, WHERE, spec, rows, side, committed))


def own(rows: Rows, rule: dict[str, Any]) -> float:
    spec = estimate.spec_of("x", Rule.model_validate(rule))
    assert spec is not None
    return estimate.value(spec, rows, rows.challenger)


@given(st.floats(-1e4, 1e4), st.decimals("0", "0.01", places=6), st.decimals("-0.02", "0.02", places=7))
def test_the_tolerance_is_absolute_and_its_boundary_agrees(value: float, tolerance: Decimal, off: Decimal) -> None:
    committed = recompute.exact(value) + off
    assert recompute.agree(value, committed, tolerance) == (abs(off) <= tolerance)


def test_without_one_it_is_a_millionth_or_the_rounding_of_sums() -> None:
    assert recompute.agree(0.5, Decimal("0.500001"))
    assert not recompute.agree(0.5, Decimal("0.5000011"))
    assert recompute.agree(4_123_456_789.0, Decimal("4123456789.0001"))
    assert not recompute.agree(4_123_456_789.0, Decimal("4123456790"))
    assert not recompute.agree(4_123_456_789.0, Decimal("4123456789.0001"), Decimal("0.000001"))


def test_what_agrees_says_nothing() -> None:
    value = own(BINARY, {"is": "roc_auc"})
    assert found(BINARY, {"is": "roc_auc"}, value) == []
    assert found(BINARY, {"is": "roc_auc"}, round(value, 7)) == []
    assert found(BINARY, {"is": "roc_auc", "tolerance": 0.01}, value - 0.005) == []


@pytest.mark.parametrize("committed", [NO_SIDE, MISSING, float("nan"), float("inf"), "0.7", None, True])
def test_what_is_no_number_is_left_to_the_rule(committed: Any) -> None:
    assert found(BINARY, {"is": "roc_auc"}, committed) == []


def test_a_disagreement_is_an_error_with_both_numbers_side_and_file() -> None:
    value = own(BINARY, {"is": "roc_auc"})
    (check,) = found(BINARY, {"is": "roc_auc"}, 0.987654321)
    assert check.verdict is Verdict.ERROR
    assert check.id == "rules.auc.recomputed.challenger"
    assert check.observed == value
    assert check.location is not None
    assert (check.location.file, check.location.line, check.location.key) == ("metrics/eval.json", 7, "auc")
    assert check.reason == (
        f"auc is 0.987654321 in the challenger's metrics/eval.json, but its predictions and the labels give "
        f"{value:.6g}. Look for a difference in the positive class (`columns.positive`) or weights, and whether the "
        "metrics were made from these predictions: `dvc repro` makes both."
    )


def test_each_side_has_its_own_predictions() -> None:
    rows = replace(BINARY, champion=Predicted(1 - SCORE), anchor=BINARY.challenger)
    value = own(BINARY, {"is": "roc_auc"})
    assert found(rows, {"is": "roc_auc"}, value, "anchor") == []
    (check,) = found(rows, {"is": "roc_auc"}, value, "champion")
    assert check.id.endswith(".champion")
    assert "in the champion's metrics/eval.json" in check.reason


def test_a_value_that_is_known_is_not_computed_again() -> None:
    rule = Rule.model_validate({"is": "roc_auc"})
    nothing = Rows("binary", LABEL, Predicted(), classes=("no", "yes"))
    checks = list(recompute.check(rule, WHERE, Spec("roc_auc"), nothing, "challenger", 0.75, recomputed=0.75))
    assert checks == []
    (check,) = recompute.check(rule, WHERE, Spec("roc_auc"), nothing, "challenger", 0.8123, recomputed=0.75)
    assert check.observed == 0.75


def test_as_many_digits_are_shown_as_it_takes() -> None:
    assert recompute.shown(0.75, Decimal("0.8")) == "0.75"
    assert recompute.shown(0.7123456789, Decimal("0.8")) == "0.712346"
    assert recompute.shown(0.7123456789, Decimal("0.712346")) == "0.7123457"
    assert recompute.shown(-1.5, Decimal(2)) == "−1.5"
    assert recompute.shown(123456789.0, Decimal("123457000")) == "123456800"
    assert recompute.shown(0.5, Decimal("0.5")) == "0.5"


def test_a_rounded_number_gets_the_tolerance_that_allows_for_it() -> None:
    value = own(BINARY, {"is": "roc_auc"})
    (check,) = found(BINARY, {"is": "roc_auc"}, round(value, 3))
    assert "rounded to 3 decimals" in check.reason
    assert check.fix == "tolerance: 0.0005"
    assert found(BINARY, {"is": "roc_auc", "tolerance": 0.0005}, round(value, 3)) == []


L, S = LABEL.astype(int), SCORE
D = (S >= 0.4).astype(int)
DOWN = SCORE - LABEL * 0.9


def _queries(score: Callable[[Any, Any], float]) -> list[float]:
    rows = RANKED.challenger.score
    assert rows is not None
    return [score([RANKED.label[q == _QUERY]], [rows[q == _QUERY]]) for q in np.unique(_QUERY)]


@pytest.mark.parametrize(
    ("rows", "rule", "committed", "cause"),
    [
        (BINARY, {"is": "roc_auc"}, 100 * sk.roc_auc_score(L, S), "in percent: write the share"),
        (
            BINARY,
            {"is": "roc_auc"},
            1 - sk.roc_auc_score(L, S),
            "1 minus that, as if scores or labels were those of the other",
        ),
        (BINARY, {"is": "roc_auc"}, sk.average_precision_score(L, S), "of `is: average_precision`"),
        (WEIGHTED, {"is": "roc_auc"}, sk.roc_auc_score(L, S), "without weights"),
        (WEIGHTED, {"is": "f1"}, 100 * sk.f1_score(L, D), "without weights, in percent"),
        (BINARY, {"is": "accuracy"}, sk.zero_one_loss(L, D), "1 minus that: the share of errors"),
        (BINARY, {"is": "zero_one_loss"}, sk.accuracy_score(L, D), "1 minus that: the share of what is right"),
        (BINARY, {"is": "accuracy"}, sk.balanced_accuracy_score(L, D), "of `is: balanced_accuracy`"),
        (BINARY, {"is": "f1"}, sk.f1_score(L, S >= 0.5), "scores of 0.5 or more are positive"),
        (BINARY, {"is": "f1"}, sk.f1_score(L, S > 0.5), "scores above 0.5 are positive"),
        (BINARY, {"is": "f1"}, sk.f1_score(L, S[S >= 0.4].min() < S), "not those at it"),
        (BINARY, {"is": "f1"}, sk.f1_score(L, D, average="macro"), "with `average: macro`"),
        (BINARY, {"is": "f1", "average": "macro"}, sk.f1_score(L, D), "of the positive class alone"),
        (BINARY, {"is": "f1"}, sk.f1_score(L, D, pos_label=0), "when 'no' is the positive class"),
        (BINARY, {"is": "f_beta", "beta": 2}, sk.fbeta_score(L, D, beta=0.5), "with `beta: 0.5`"),
        (BINARY, {"is": "log_loss"}, -sk.log_loss(L, S), "with the other sign"),
        (BINARY, {"is": "log_loss"}, sk.log_loss(L, 1 - S), "scores are taken for those of 'no'"),
        (BINARY, {"is": "log_loss"}, sk.log_loss(L, S.astype(np.float32)), "single precision"),
        (BINARY, {"is": "log_loss"}, sk.log_loss(L, np.clip(S, 1e-15, 1 - 1e-15)), "before 1.2"),
        (BINARY, {"is": "log_loss"}, sk.log_loss(L, S) / np.log(2), "to base 2"),
        (BINARY, {"is": "log_loss"}, sk.log_loss(L, S, normalize=False), "added up instead of averaged"),
        (BINARY, {"is": "brier_score"}, 2 * sk.brier_score_loss(L, S), "times two"),
        (
            BINARY,
            {"is": "average_precision"},
            sk.auc(*sk.precision_recall_curve(L, S)[1::-1]),
            "by the trapezoidal rule",
        ),
        (
            SEVERAL,
            {"is": "f1", "average": "macro"},
            sk.f1_score(_CODES, _DECIDED, average="weighted"),
            "with `average: weighted`",
        ),
        (
            SEVERAL,
            {"is": "f1", "average": "macro"},
            sk.f1_score(_CODES, _SCORES.argmax(axis=1), average="macro"),
            "the class of the highest score",
        ),
        (
            SEVERAL,
            {"is": "roc_auc", "average": "macro"},
            sk.roc_auc_score(_CODES, _SCORES, multi_class="ovo", average="macro"),
            "of `is: roc_auc_ovo` with `average: macro`",
        ),
        (
            SEVERAL,
            {"is": "roc_auc_ovo", "average": "macro"},
            sk.roc_auc_score(_CODES, _SCORES, multi_class="ovr", average="weighted"),
            "of `is: roc_auc` with `average: weighted`",
        ),
        (SEVERAL, {"is": "top_k_accuracy", "k": 2}, sk.accuracy_score(_CODES, _SCORES.argmax(axis=1)), "with `k: 1`"),
        (
            NUMBERS,
            {"is": "rmse"},
            sk.mean_squared_error(NUMBERS.label, NUMBERS.challenger.score),
            "of `is: mean_squared_error`",
        ),
        (
            NUMBERS,
            {"is": "mse"},
            sk.root_mean_squared_error(NUMBERS.label, NUMBERS.challenger.score),
            "of `is: root_mean_squared_error`",
        ),
        (
            NUMBERS,
            {"is": "r2"},
            np.corrcoef(NUMBERS.label, NUMBERS.challenger.score)[0, 1] ** 2,
            "as the squared correlation",
        ),
        (
            NUMBERS,
            {"is": "mean_pinball_loss", "quantile": 0.9},
            sk.mean_pinball_loss(NUMBERS.label, NUMBERS.challenger.score, alpha=0.1),
            "with `quantile: 0.1`",
        ),
        (RANKED, {"is": "ndcg"}, np.mean(_queries(lambda y, s: sk.ndcg_score(y, s, k=3))), "with `k: 3`"),
        (RANKED, {"is": "ndcg", "k": 3}, np.mean(_queries(sk.ndcg_score)), "without `k`"),
        (
            RANKED,
            {"is": "ndcg"},
            np.mean(_queries(lambda y, s: sk.ndcg_score(np.exp2(y) - 1, s))),
            "gains of 2^relevance - 1",
        ),
        (
            RANKED,
            {"is": "ndcg"},
            np.sum(_queries(sk.ndcg_score)) / sum(RANKED.label[q == _QUERY].any() for q in np.unique(_QUERY)),
            "without the queries that have no relevant row",
        ),
        (
            RANKED,
            {"is": "ndcg"},
            np.mean(_queries(lambda y, s: sk.ndcg_score(y, s) if np.any(y) else 1.0)),
            "queries without a relevant row count as 1",
        ),
    ],
)
def test_the_cause_that_gives_the_committed_number_is_named(
    rows: Rows, rule: dict[str, Any], committed: float, cause: str
) -> None:
    (check,) = found(rows, rule, float(committed))
    assert cause in check.reason
    # And only that one: the other causes give other numbers, which a reader would be sent after in vain.
    assert check.reason.count("The committed one is") == 1


def test_a_sum_of_single_precision_is_within_the_tolerance_where_nothing_is_clipped() -> None:
    inside = replace(BINARY, challenger=Predicted(np.clip(SCORE, 0.01, 0.99).astype(np.float32).astype(np.float64)))
    single = np.clip(SCORE, 0.01, 0.99).astype(np.float32)
    assert found(inside, {"is": "log_loss"}, float(sk.log_loss(L, single))) == []


def test_where_nothing_fits_the_places_to_look_are_those_of_the_metric() -> None:
    (check,) = found(WEIGHTED, {"is": "f1", "average": "macro"}, 0.98765432)
    assert (
        "the cut-off (`predictions.cut_off`), the positive class (`columns.positive`), the averaging "
        "(`average: macro`) or the weights (`columns.weight`)"
    ) in check.reason
    (check,) = found(NUMBERS, {"is": "mae"}, 0.98765432)
    assert "Look for a difference in weights, and" in check.reason
    rows = replace(NUMBERS, challenger=Predicted(values={"cost": np.ones(COUNT)}))
    (check,) = found(rows, {"is": "row_mean", "column": "cost", "greater_is_better": False}, 3.14159265)
    assert check.verdict is Verdict.ERROR


def test_every_other_way_to_compute_is_tried_only_where_it_is_defined() -> None:
    """Degenerate rows raise nothing on the way to a message."""
    one = Rows("binary", np.ones(4), Predicted(np.full(4, 0.25), np.ones(4, dtype=np.int32)), classes=("no", "yes"))
    for name in ("accuracy", "f1", "recall", "log_loss", "brier_score", "average_precision", "precision", "jaccard"):
        values = list(variants.variants(Spec(name), one, one.challenger, estimate.value))
        assert all(np.isfinite(value) for _, value in values)
    flat = Rows("regression", np.arange(4.0), Predicted(np.ones(4)))
    assert dict(variants.variants(Spec("r2"), flat, flat.challenger, estimate.value)).keys() == {
        "of `is: explained_variance`"
    }


def test_the_page_says_how_each_metric_is_computed_and_shows_what_is_said() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in estimators.KNOWN:
        assert f"`{name}`" in page.split("## Each metric")[1].split("\n## ")[0]
    rule, rows = Rule.model_validate({"is": "roc_auc"}), BINARY
    checks = recompute.check(rule, WHERE, Spec("roc_auc"), rows, "challenger", 0.7312, recomputed=0.731249)
    (shown,) = [block.split("```")[0] for block in page.split("```text\n")[1:]]
    assert " ".join(shown.split()) == next(checks).reason
