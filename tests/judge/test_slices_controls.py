"""Rules about groups must be able to fail, and to pass; those that cannot are found out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlgate import parity
from mlgate.config.limits import Fairness, Slices
from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import discovery, fairness, group_controls, grouped, slices
from mlgate.judge.discovery import Claim
from mlgate.judge.grouped import Setting
from mlgate.model import Check, Verdict

SETTING = Setting(confidence=0.95)


def make(n: int = 6000, *, champion: bool = True, values: bool = False) -> Rows:
    rng = np.random.default_rng(0)
    label = (rng.random(n) < 0.4).astype(float)

    def side() -> Predicted:
        score = np.clip(0.5 + 0.3 * (label - 0.5) + 0.2 * rng.normal(size=n), 0.01, 0.99)
        mine = {"utility": rng.normal(size=n)} if values else {}
        return Predicted(score=score, decided=(score > 0.5).astype(np.int32), values=mine)

    codes = np.minimum(rng.integers(0, 5, n), 2).astype(np.int32)
    return Rows(
        "binary",
        label,
        side(),
        side() if champion else None,
        classes=("no", "yes"),
        groups={"sex": Groups("sex", codes, ("sex = f", "sex = m", "sex = x"))},
    )


def for_slices(**rules: dict[str, Any]) -> Slices:
    return Slices.model_validate({"by": ["sex"], "min_rows": 300, "rules": rules})


def for_fairness(**rules: dict[str, Any]) -> Fairness:
    return Fairness.model_validate({"by": ["sex"], "min_rows": 300, "rules": rules})


@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("name", parity.KNOWN)
def test_every_fairness_rule_reacts(name: str, champion: bool) -> None:
    limit = 0.8 if name.endswith("ratio") else 0.2
    asked = for_fairness(**{name: {"threshold": limit, "max_absolute_regression": 0.1}})
    assert list(group_controls.of_fairness(make(champion=champion), asked, SETTING)) == [True, True]


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "brier_score", "recall", "f1"])
def test_every_slice_rule_reacts(name: str) -> None:
    rules = {name: {"max_absolute_regression": 0.05, "warn_absolute_regression": 0.01}}
    assert list(group_controls.of_slices(make(), for_slices(**rules), SETTING)) == [True, True]


def test_values_per_row_react() -> None:
    rule = {"is": "row_mean", "column": "utility", "greater_is_better": True, "max_absolute_regression": 0.5}
    assert list(group_controls.of_slices(make(values=True), for_slices(utility=rule), SETTING)) == [True, True]


def test_a_limit_that_nothing_can_cross_is_found_out() -> None:
    asked = for_fairness(demographic_parity_difference={"threshold": 1})
    assert list(group_controls.of_fairness(make(), asked, SETTING)) == [False, True]
    rules = for_slices(accuracy={"max_absolute_regression": 1})
    assert list(group_controls.of_slices(make(), rules, SETTING)) == [False, True]


def test_a_limit_that_everything_crosses_is_found_out() -> None:
    rules = for_slices(accuracy={"threshold": 1.5})
    assert list(group_controls.of_slices(make(), rules, SETTING)) == [True, False]


def test_a_rule_that_only_warns_has_to_warn() -> None:
    asked = for_fairness(disparate_impact_ratio={"warn_threshold": 0.8})
    assert list(group_controls.of_fairness(make(), asked, SETTING)) == [True, True]


def test_a_judge_that_lets_everything_through_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = Claim(Check(id="x", title="x", verdict=Verdict.PASS))
    monkeypatch.setattr(fairness, "check", lambda *_: ([passed], []))
    monkeypatch.setattr(slices, "check", lambda *_: [passed])
    asked = for_fairness(disparate_impact_ratio={"threshold": 0.8})
    assert list(group_controls.of_fairness(make(), asked, SETTING)) == [False, True]
    rules = for_slices(accuracy={"max_absolute_regression": 0.05})
    assert list(group_controls.of_slices(make(), rules, SETTING)) == [False, True]


def test_a_settlement_that_proves_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "settle", lambda claims, _: [claim.check for claim in claims])
    asked = for_fairness(disparate_impact_ratio={"threshold": 0.8})
    assert list(group_controls.of_fairness(make(), asked, SETTING)) == [False, True]


def test_small_groups_need_not_be_decided() -> None:
    rows = make(700)
    asked = for_fairness(disparate_impact_ratio={"threshold": 0.8})
    assert all(group_controls.of_fairness(rows, asked, SETTING))
    assert all(group_controls.of_slices(rows, for_slices(accuracy={"max_absolute_regression": 0.05}), SETTING))


def test_rows_of_many_groups_are_reduced_to_two() -> None:
    rows = make()
    [(by, part)] = list(group_controls._parts(rows, ["sex"]))
    assert by == "sex"
    sizes = np.bincount(rows.groups["sex"].codes)
    assert part.count == sum(np.sort(sizes)[1:])


def test_no_groups_no_controls() -> None:
    rows = replace(make(), groups={})
    assert (
        list(group_controls.of_fairness(rows, for_fairness(disparate_impact_ratio={"threshold": 0.8}), SETTING)) == []
    )
    assert grouped.name_of(["sex", "age"]) == "sex x age"
