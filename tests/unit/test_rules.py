"""Rules over values: a boundary passes, what cannot be judged never does, worse is never better."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlgate import config
from mlgate.judge.numbers import MISSING, NO_SIDE
from mlgate.judge.rules import Values, Where, check, controls
from mlgate.model import Check, Verdict, worst
from mlgate.repo import metrics

WHERE = Where(key="auc", id="rules.auc", title="auc", file="metrics/eval.json")


def key_of(limits: str) -> str:
    return "auc" if "is:" in limits else "waiting"


def load(limits: str, policy: str = "") -> config.Config:
    text = f"""
schema: 1
model: m
evaluate: {{holdout: {{metrics: [m.json]}}}}
compare:
  {"anchor: v1" if "anchor" in limits else "champion: main"}
  rules:
    {key_of(limits)}: {{{limits}}}
  policy: {{{policy}}}
"""
    return config.load(text, file="mlgate.yaml", base=lambda _: None)


def judge(
    limits: str, challenger: Any, champion: Any = NO_SIDE, anchor: Any = NO_SIDE, *, policy: str = ""
) -> list[Check]:
    loaded = load(limits, policy)
    values = Values(challenger, champion, anchor, absent=(Verdict.WARN, "there is no champion yet"))
    key = key_of(limits)
    return check(loaded.compare.rules[key], values, loaded.compare.policy, replace(WHERE, key=key))


def verdict(limits: str, challenger: Any, champion: Any = NO_SIDE, anchor: Any = NO_SIDE, *, policy: str = "") -> str:
    return worst(c.verdict for c in judge(limits, challenger, champion, anchor, policy=policy)).value


@pytest.mark.parametrize(
    ("limits", "challenger", "champion", "expected"),
    [
        # absolute thresholds
        ("is: roc_auc, threshold: 0.70", 0.71, NO_SIDE, "pass"),
        ("is: roc_auc, threshold: 0.70", 0.70, NO_SIDE, "pass"),
        ("is: roc_auc, threshold: 0.70", 0.6999999, NO_SIDE, "fail"),
        ("is: log_loss, threshold: 0.60", 0.60, NO_SIDE, "pass"),
        ("is: log_loss, threshold: 0.60", 0.61, NO_SIDE, "fail"),
        ("is: roc_auc, threshold: 0.7, warn_threshold: 0.75", 0.72, NO_SIDE, "warn"),
        # absolute regression: the field's 0.72 - 0.71 is 0.010000000000000009 in floats
        ("is: roc_auc, max_absolute_regression: 0.01", 0.71, 0.72, "pass"),
        ("is: roc_auc, max_absolute_regression: 0.01", 0.7099999, 0.72, "fail"),
        ("is: roc_auc, max_absolute_regression: 0", 0.72, 0.72, "pass"),
        ("is: log_loss, max_absolute_regression: 0.01", 0.59, 0.58, "pass"),
        ("is: log_loss, max_absolute_regression: 0.01", 0.5900001, 0.58, "fail"),
        ("is: log_loss, max_absolute_regression: 0.01", 0.1, 0.58, "pass"),
        # relative regression
        ("is: log_loss, max_relative_regression: 2%", 0.5916, 0.58, "pass"),
        ("is: log_loss, max_relative_regression: 2%", 0.59161, 0.58, "fail"),
        ("is: log_loss, max_relative_regression: 0.02", 0.5916, 0.58, "pass"),
        ("is: log_loss, max_relative_regression: 2%, warn_relative_regression: 1%", 0.59, 0.58, "warn"),
        ("is: log_loss, max_relative_regression: 2%, warn_relative_regression: 1%", 0.5858, 0.58, "pass"),
        ("is: roc_auc, warn_absolute_regression: 0.01", 0.5, 0.9, "warn"),
        # must improve
        ("is: roc_auc, min_absolute_change: 0.01", 0.73, 0.72, "pass"),
        ("is: roc_auc, min_absolute_change: 0.01", 0.7299, 0.72, "fail"),
        ("is: log_loss, min_absolute_change: 0.01", 0.57, 0.58, "pass"),
        ("is: log_loss, min_absolute_change: 0.01", 0.59, 0.58, "fail"),
        ("is: roc_auc, min_relative_change: 5%", 0.84, 0.80, "pass"),
        ("is: roc_auc, min_relative_change: 5%", 0.83, 0.80, "fail"),
        # unknown metrics say which way is better
        ("greater_is_better: false, max_absolute_regression: 1", 12, 11, "pass"),
        ("greater_is_better: false, max_absolute_regression: 1", 13, 11, "fail"),
        ("greater_is_better: true, threshold: -5", -4, NO_SIDE, "pass"),
    ],
)
def test_limits(limits: str, challenger: Any, champion: Any, expected: str) -> None:
    assert verdict(limits, challenger, champion) == expected


@pytest.mark.parametrize(("anchor", "expected"), [(0.74, "pass"), (0.7401, "fail"), (float("nan"), "error")])
def test_anchor(anchor: float, expected: str) -> None:
    assert verdict("is: roc_auc, max_anchor_regression: 0.02", 0.72, 0.72, anchor) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "infinite"),
        (float("-inf"), "infinite"),
        ("0.9", "the text '0.9'"),
        ([0.9], "a list"),
        (True, "true"),
        (None, "null"),
        (10**400, "too large"),
    ],
)
@pytest.mark.parametrize("side", ["challenger", "champion"])
def test_what_is_not_a_number_is_an_error_that_names_side_and_file(value: Any, said: str, side: str) -> None:
    sides = (value, 0.72) if side == "challenger" else (0.72, value)
    checks = judge("is: roc_auc, max_absolute_regression: 0.01", *sides)
    assert [c.verdict for c in checks] == [Verdict.ERROR]
    assert f"auc is {said}" in checks[0].reason
    assert f"in the {side}'s metrics/eval.json" in checks[0].reason


@pytest.mark.parametrize("policy", ["error", "fail", "inconclusive", "warn"])
@pytest.mark.parametrize("side", ["challenger", "champion"])
def test_a_missing_metric_is_what_the_policy_says_and_never_a_pass(policy: str, side: str) -> None:
    sides = (MISSING, 0.72) if side == "challenger" else (0.72, MISSING)
    assert verdict("is: roc_auc, max_absolute_regression: 0.01", *sides, policy=f"missing_metric: {policy}") == policy


def test_no_champion_yet_is_said_for_each_rule_that_compares() -> None:
    (found,) = judge("is: roc_auc, max_absolute_regression: 0.01", 0.72)
    assert found.verdict is Verdict.WARN
    assert found.reason == "auc was not compared: there is no champion yet."


@pytest.mark.parametrize("champion", [0.0, -0.5, 0])
def test_a_relative_limit_on_a_champion_that_is_not_positive_is_an_error(champion: float) -> None:
    (found,) = judge("greater_is_better: true, max_relative_regression: 2%", 0.1, champion)
    assert found.verdict is Verdict.ERROR
    assert "max_absolute_regression" in found.reason


def test_the_reason_says_by_how_much_and_the_limit_is_the_value_to_come_back_to() -> None:
    (found,) = judge("is: log_loss, max_relative_regression: 2%", 0.599, 0.581)
    assert found.reason == "auc is 3.098 % worse than the champion; at most 2 % is allowed."
    assert found.limit == pytest.approx(0.59262)
    assert found.expected == "up to +2 %"
    assert (found.change, found.relative) == (pytest.approx(0.0309811, abs=1e-6), True)


LIMITS = st.sampled_from(
    [
        "is: roc_auc, threshold: 0.7",
        "is: roc_auc, threshold: 0.7, warn_threshold: 0.75, max_absolute_regression: 0.01",
        "is: log_loss, max_relative_regression: 2%, warn_relative_regression: 1%",
        "is: log_loss, threshold: 0.6, min_absolute_change: 0.01",
        "is: roc_auc, min_relative_change: 1%, max_anchor_regression: 0.05",
    ]
)
VALUES = st.floats(0.001, 1000, allow_nan=False)


@given(LIMITS, VALUES, VALUES, VALUES)
def test_a_worse_metric_never_gets_a_better_verdict(limits: str, one: float, other: float, champion: float) -> None:
    better, worse = (max(one, other), min(one, other)) if "roc_auc" in limits else (min(one, other), max(one, other))
    at_best, at_worst = (Verdict(verdict(limits, v, champion, champion)) for v in (better, worse))
    assert at_worst.rank >= at_best.rank


@given(LIMITS, VALUES, VALUES)
def test_how_a_number_is_written_changes_nothing(limits: str, challenger: float, champion: float) -> None:
    forms = [json.loads(form) for form in (repr(challenger), f"{Decimal(repr(challenger)):e}", f"{challenger:.25f}")]
    assume(all(f == challenger for f in forms))
    assert len({verdict(limits, f, champion, champion) for f in forms}) == 1


@given(LIMITS, st.sampled_from([float("nan"), MISSING, "x", None, [], {}, True]), VALUES)
def test_what_cannot_be_judged_never_passes(limits: str, challenger: Any, champion: float) -> None:
    assert verdict(limits, challenger, champion, champion) == "error"


@given(st.lists(st.sampled_from(list(Verdict))))
def test_the_worst_check_decides_and_nothing_is_an_error(verdicts: list[Verdict]) -> None:
    decided = worst(verdicts)
    assert decided is Verdict.ERROR if not verdicts else decided in verdicts
    assert all(decided.rank >= v.rank for v in verdicts)


@pytest.mark.parametrize(
    "limits",
    [
        "is: roc_auc, threshold: 0.99",
        "is: log_loss, threshold: 0.0001, max_relative_regression: 0%",
        "greater_is_better: true, threshold: 1000000, min_absolute_change: 5000",
        "is: log_loss, warn_relative_regression: 900%",
        "is: roc_auc, max_anchor_regression: 3",
    ],
)
def test_every_control_is_judged_rightly(limits: str) -> None:
    loaded = load(limits)
    key = key_of(limits)
    passed, total = controls(loaded.compare.rules[key], loaded.compare.policy, replace(WHERE, key=key))
    assert (passed, total) == (6, 6)


def test_controls_notice_a_rule_that_cannot_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load("is: roc_auc, threshold: 0.9")
    monkeypatch.setattr("mlgate.judge.rules._Judged._graded", staticmethod(lambda *_: Verdict.PASS))
    passed, total = controls(loaded.compare.rules["auc"], loaded.compare.policy, WHERE)
    assert passed < total


@given(st.permutations(["auc", "log_loss", "f1", "nested.rmse"]), st.permutations([0, 1, 2]))
def test_the_order_of_rules_and_of_metrics_changes_nothing(names: list[str], places: list[int]) -> None:
    values = {"auc": 0.7, "log_loss": 0.61, "f1": 0.3, "nested.rmse": 2.0}
    limits = ["auc: {is: roc_auc, threshold: 0.7}", "log_loss: {threshold: 0.6}", "f1: {max_absolute_regression: 0}"]
    text = "schema: 1\nmodel: m\nevaluate: {s: {metrics: [m.json]}}\ncompare:\n  rules:\n"
    loaded = config.load(
        text + "".join(f"    {limits[at]}\n" for at in places), file="mlgate.yaml", base=lambda _: None
    )
    read = metrics.parse(json.dumps({name: values[name] for name in names}).encode(), "m.json")
    found = {
        key: [
            c.verdict.value
            for c in check(rule, Values(read[key], 0.31), loaded.compare.policy, replace(WHERE, key=key, id=key))
        ]
        for key, rule in loaded.compare.rules.items()
    }
    assert found == {"auc": ["pass"], "log_loss": ["fail"], "f1": ["fail"]}
