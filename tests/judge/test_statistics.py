"""What intervals make of a rule: four outcomes, thresholds that are met but not proven, and no equality by chance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from mlgate import estimators
from mlgate.config import Policy, Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import controls, estimate, rules, statistics
from mlgate.judge.rules import Values, Where
from mlgate.judge.statistics import Compared
from mlgate.model import Check, Verdict

WHERE = Where("accuracy", "rules.accuracy", "accuracy", "metrics/eval.json")


def rows(right: float, champion: float, *, count: int = 4000, flipped: float = 0.1, seed: int = 7) -> Rows:
    """Binary decisions of two models with exactly these accuracies, which disagree on a share of the rows."""
    label = (np.arange(count) % 2).astype(np.float64)
    draw = np.random.default_rng(seed)
    order = draw.permutation(count)
    ours, theirs = np.zeros(count, bool), np.zeros(count, bool)
    ours[order[: round(right * count)]] = True
    shift = round(flipped * count / 2)
    theirs[order[shift : shift + round(champion * count)]] = True
    decided = [np.where(hit, label, 1 - label).astype(np.int32) for hit in (ours, theirs)]
    made = [Predicted(score=d.astype(np.float64), decided=d) for d in decided]
    return Rows("binary", label, made[0], made[1], classes=("no", "yes"))


def settled(rule: dict[str, Any], of: Rows, *, same: frozenset[str] = frozenset()) -> Check:
    """The one check of a rule about the accuracy."""
    asked = Rule.model_validate({"is": "accuracy", **rule})
    spec = estimate.spec_of("accuracy", asked)
    assert spec is not None
    values = [estimate.value(spec, of, side) for side in (of.challenger, of.champion) if side is not None]
    points = rules.check(asked, Values(*values), Policy(), WHERE)
    (check,) = statistics.settle(points, WHERE, asked, spec, Compared(of, 0.95, same))
    return check


@pytest.mark.parametrize(
    ("right", "champion", "margin", "outcome", "verdict"),
    [
        (0.85, 0.80, 0.01, "superior", "pass"),
        (0.80, 0.80, 0.02, "non-inferior", "pass"),
        (0.80, 0.80, 0.001, "inconclusive", "inconclusive"),
        (0.75, 0.80, 0.01, "worse", "fail"),
    ],
)
def test_a_regression_has_one_of_four_outcomes(
    right: float, champion: float, margin: float, outcome: str, verdict: str
) -> None:
    check = settled({"max_absolute_regression": Decimal(str(margin))}, rows(right, champion))
    assert (check.outcome, check.verdict) == (outcome, verdict)
    assert check.interval is not None
    assert check.interval[0] <= right - champion <= check.interval[1]
    assert check.method == "Tango"


@pytest.mark.parametrize(
    ("right", "share", "verdict"), [(0.80, "5%", "pass"), (0.80, "0.1%", "inconclusive"), (0.70, "2%", "fail")]
)
def test_a_relative_margin_is_judged_by_the_interval_that_is_shown(right: float, share: str, verdict: str) -> None:
    check = settled({"max_relative_regression": share}, rows(right, 0.80))
    assert check.verdict == verdict
    assert check.interval is not None
    allowed = -float(share.rstrip("%")) / 100
    assert (check.interval[0] >= allowed) == (verdict == "pass")
    assert (check.interval[1] < allowed) == (verdict == "fail")
    assert check.interval[0] < right / 0.80 - 1 < check.interval[1]


def test_what_cannot_be_decided_says_how_many_rows_would() -> None:
    check = settled({"max_absolute_regression": Decimal("0.001")}, rows(0.80, 0.80))
    assert check.needed is not None
    assert check.needed > 4000
    assert "rows like these would settle it" in check.reason


def test_a_margin_that_warns_alone_never_fails() -> None:
    check = settled({"warn_absolute_regression": Decimal("0.01")}, rows(0.60, 0.80))
    assert check.verdict == "warn"


def test_within_the_margin_and_beyond_the_milder_one_is_a_warning() -> None:
    rule = {"max_absolute_regression": Decimal("0.1"), "warn_absolute_regression": Decimal("0.01")}
    assert settled(rule, rows(0.77, 0.80)).verdict == "warn"


@pytest.mark.parametrize(
    ("limit", "by", "verdict"),
    [
        ("0.7", "point", "pass"),
        ("0.795", "point", "warn"),  # met, and not proven
        ("0.85", "point", "fail"),
        ("0.7", "bound", "pass"),
        ("0.795", "bound", "inconclusive"),
        ("0.805", "bound", "inconclusive"),
        ("0.85", "bound", "fail"),
    ],
)
def test_a_threshold_is_met_by_the_point_or_by_the_bound(limit: str, by: str, verdict: str) -> None:
    check = settled({"threshold": Decimal(limit), "threshold_by": by}, rows(0.80, 0.80))
    assert check.verdict == verdict, check.reason


@pytest.mark.parametrize(("gain", "verdict"), [("0.02", "pass"), ("0.05", "inconclusive"), ("0.09", "fail")])
def test_a_gain_has_to_be_proven(gain: str, verdict: str) -> None:
    assert settled({"min_absolute_change": Decimal(gain)}, rows(0.85, 0.80)).verdict == verdict


def test_equal_predictions_prove_nothing_unless_their_digests_are_equal() -> None:
    of = rows(0.80, 0.80)
    twin = Rows(of.task, of.label, of.challenger, of.challenger, classes=of.classes)
    rule = {"max_absolute_regression": Decimal("0.01")}
    assert settled(rule, twin).verdict == "inconclusive"
    known = settled(rule, twin, same=frozenset({"champion"}))
    assert (known.verdict, known.method) == ("pass", statistics.SAME)


def test_too_few_rows_decide_nothing() -> None:
    check = settled({"max_absolute_regression": Decimal("0.01")}, rows(0.95, 0.50, count=40))
    assert check.verdict == "inconclusive"
    assert "30" in check.reason


def test_controls_react_to_wrong_and_right_labels() -> None:
    asked = Rule.model_validate({"is": "accuracy", "max_absolute_regression": Decimal("0.01")})
    spec = estimate.spec_of("accuracy", asked)
    assert spec is not None
    assert list(controls.run(asked, Policy(), WHERE, spec, Compared(rows(0.8, 0.8), 0.95))) == [True, True, True]


def test_a_threshold_that_nothing_misses_is_found_by_its_control() -> None:
    asked = Rule.model_validate({"is": "accuracy", "threshold": Decimal(0)})
    spec = estimate.spec_of("accuracy", asked)
    assert spec is not None
    assert list(controls.run(asked, Policy(), WHERE, spec, Compared(rows(0.8, 0.8), 0.95))) == [True, False, True]


def _known(task: str, count: int = 3000) -> Rows:
    """Two models that are about as good, on rows of a task, with a value per row called `c`."""
    draw = np.random.default_rng(3)

    def side(score: np.ndarray, decided: np.ndarray | None = None) -> Predicted:
        made = None if decided is None else decided.astype(np.int32)
        return Predicted(score=score, decided=made, values={"c": draw.normal(size=count)})

    if task == "binary":
        label = (draw.random(count) < 0.4).astype(float)
        scores = [np.clip(0.5 * label + 0.25 + draw.normal(size=count) * 0.2, 0.001, 0.999) for _ in range(2)]
        return Rows("binary", label, *(side(s, s >= 0.5) for s in scores), classes=("no", "yes"))
    if task == "multiclass":
        label = draw.integers(0, 3, count).astype(float)
        logits = [draw.normal(size=(count, 3)) + 1.5 * np.eye(3)[label.astype(int)] for _ in range(2)]
        sums = [np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in logits]
        return Rows("multiclass", label, *(side(s, s.argmax(axis=1)) for s in sums), classes=("a", "b", "c"))
    if task == "regression":
        label = draw.normal(size=count) * 3 + 10
        return Rows("regression", label, *(side(label + draw.normal(size=count)) for _ in range(2)))
    label, query = draw.integers(0, 4, count).astype(float), np.repeat(np.arange(count // 10), 10).astype(np.int32)
    return Rows("ranking", label, *(side(label + draw.normal(size=count) * 2) for _ in range(2)), query=query)


CASES = [(task, name) for name, one in estimators.KNOWN.items() for task in sorted(one.tasks)]


@pytest.mark.parametrize(("task", "name"), CASES, ids=[f"{name}-{task}" for task, name in CASES])
def test_controls_react_for_every_metric(task: str, name: str) -> None:
    of = _known(task)
    given: dict[str, Any] = {
        "beta": Decimal(2), "k": 2, "quantile": Decimal("0.5"), "column": "c",
        "average": "macro" if task == "multiclass" else None,
        "cost_matrix": {c: {d: Decimal(1) for d in of.classes if d != c} for c in of.classes},
    }  # fmt: skip
    asked = {word: given[word] for word in estimators.parameters(name) if given.get(word) is not None}
    greater = {} if estimators.KNOWN[name].greater_is_better is not None else {"greater_is_better": True}
    rule = Rule.model_validate({"is": name, "max_absolute_regression": Decimal("0.01"), **asked, **greater})
    spec = estimate.spec_of("metric", rule)
    assert spec is not None
    where = Where("metric", "rules.metric", "metric", "metrics/eval.json")
    assert list(controls.run(rule, Policy(), where, spec, Compared(of, 0.95))) == [True, True, True]


@pytest.mark.parametrize("verdict", [Verdict.ERROR])
def test_what_could_not_be_judged_stays_so(verdict: Verdict) -> None:
    of = rows(0.8, 0.8)
    asked = Rule.model_validate({"is": "accuracy", "max_absolute_regression": Decimal("0.01")})
    spec = estimate.spec_of("accuracy", asked)
    assert spec is not None
    points = rules.check(asked, Values(float("nan"), 0.8), Policy(), WHERE)
    (check,) = statistics.settle(points, WHERE, asked, spec, Compared(of, 0.95))
    assert check.verdict is verdict
