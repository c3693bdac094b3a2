"""Parity metrics against fairlearn, published examples, and the verdicts of fairness rules."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import fairlearn.metrics as theirs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score

from mlgate import parity
from mlgate.config.limits import Fairness
from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import disparity, fairness, gaps
from mlgate.judge.discovery import settle
from mlgate.judge.grouped import Setting
from mlgate.model import Check, Verdict

SETTING = Setting(confidence=0.95)


def make(
    seed: int = 0, n: int = 3000, groups: int = 3, *, champion: bool = True, weight: bool = False, tilt: float = 0.06
) -> Rows:
    """Binary rows in which later groups are selected more often, by `tilt` for each."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, groups, n).astype(np.int32)
    label = (rng.random(n) < 0.4).astype(float)
    decided = (rng.random(n) < np.where(label == 1, 0.6, 0.2) + tilt * codes).astype(np.int32)
    other = np.where(rng.random(n) < 0.9, decided, 1 - decided).astype(np.int32)
    return Rows(
        "binary",
        label,
        Predicted(decided=decided),
        Predicted(decided=other) if champion else None,
        classes=("no", "yes"),
        weight=rng.random(n) + 0.1 if weight else None,
        groups={"sex": Groups("sex", codes, tuple(f"sex = {'abcdefghij'[k]}" for k in range(groups)))},
    )


def decided(rows: Rows, *, champion: bool = False) -> Any:
    side = rows.champion if champion else rows.challenger
    assert side is not None
    assert side.decided is not None
    return side.decided


def measure(rows: Rows, min_rows: int = 30) -> disparity.Measures:
    return disparity.measure(rows, rows.groups["sex"], min_rows=min_rows, confidence=0.95)


def rules(min_rows: int = 100, **of: dict[str, Any]) -> Fairness:
    return Fairness.model_validate({"by": ["sex"], "min_rows": min_rows, "rules": of})


def judged(rows: Rows, asked: Fairness, setting: Setting = SETTING) -> dict[str, Check]:
    claims, _ = fairness.check(rows, asked, setting)
    return {check.id: check for check in settle(claims, setting.alpha)}


# -- the same numbers as fairlearn's ----------------------------------------------------------------------------------


def _expected(name: str, rows: Rows, predicted: Any) -> float:
    known = {"disparate_impact_ratio": "demographic_parity_ratio"}.get(name, name)
    features = {"sensitive_features": rows.groups["sex"].codes, "sample_weight": rows.weight}
    if hasattr(theirs, known):
        return float(getattr(theirs, known)(rows.label, predicted, **features))
    frame = theirs.MetricFrame(
        metrics=precision_score,
        y_true=rows.label,
        y_pred=predicted,
        sensitive_features=rows.groups["sex"].codes,
        sample_params=None if rows.weight is None else {"sample_weight": rows.weight},
    )
    return float(frame.difference() if known.endswith("difference") else frame.ratio())


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("name", parity.KNOWN)
def test_agrees_with_fairlearn(name: str, weight: bool) -> None:
    rows = make(weight=weight)
    found = measure(rows).metrics[name]
    assert found.challenger
    assert found.champion
    assert found.change
    ours = found.challenger.value.value
    champion = found.champion.value.value
    assert ours == pytest.approx(_expected(name, rows, decided(rows)), abs=1e-12)
    assert champion == pytest.approx(_expected(name, rows, decided(rows, champion=True)), abs=1e-12)
    assert found.change.value.value == pytest.approx(ours - champion, abs=1e-12)


def test_the_rates_of_each_group_are_those_of_a_metric_frame() -> None:
    rows = make(weight=True)
    frame = theirs.MetricFrame(
        metrics={
            "selection_rate": theirs.selection_rate,
            "true_positive_rate": theirs.true_positive_rate,
            "false_positive_rate": theirs.false_positive_rate,
            "precision": precision_score,
            "rows": theirs.count,
        },
        y_true=rows.label,
        y_pred=decided(rows),
        sensitive_features=rows.groups["sex"].codes,
        sample_params={
            key: {"sample_weight": rows.weight}
            for key in ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")
        },
    )
    for at, group in enumerate(measure(rows).table.groups):
        assert group.rows == frame.by_group["rows"][at]
        for name in ("selection_rate", "true_positive_rate", "false_positive_rate", "precision"):
            assert getattr(group.challenger, name) == pytest.approx(frame.by_group[name][at], abs=1e-12)


def test_the_bounds_hold_the_value() -> None:
    for seed in range(20):
        for one in measure(make(seed)).metrics.values():
            for found in (one.challenger, one.champion, one.change):
                assert found is not None
                assert found.value.lower <= found.value.value + 1e-9 <= found.value.upper + 2e-9


# -- published examples -----------------------------------------------------------------------------------------------


def table(selected: list[tuple[int, int]], champion: list[tuple[int, int]] | None = None) -> Rows:
    """Rows with (selected, total) of each group; the labels are what was decided."""

    def decisions(of: list[tuple[int, int]]) -> Any:
        return np.concatenate([np.r_[np.ones(k), np.zeros(n - k)] for k, n in of]).astype(np.int32)

    codes = np.concatenate([np.full(n, at) for at, (_, n) in enumerate(selected)]).astype(np.int32)
    made = decisions(selected)
    return Rows(
        "binary",
        made.astype(float),
        Predicted(decided=made),
        Predicted(decided=decisions(champion)) if champion else None,
        classes=("no", "yes"),
        groups={"sex": Groups("sex", codes, tuple(f"sex = {k}" for k in range(len(selected))))},
    )


def test_the_four_fifths_example_of_the_uniform_guidelines() -> None:
    """Questions and answers on 29 CFR 1607, no. 12 (44 FR 11998, 1979): 80 applicants white, 48 hired (60 %); 40 black,
    12 hired (30 %): 30/60, or 50 %, below four fifths."""
    found = measure(table([(48, 80), (12, 40)])).metrics["disparate_impact_ratio"].challenger
    assert found is not None
    assert found.value.value == pytest.approx(0.5)
    assert (found.value.lowest, found.value.highest) == ("sex = 1", "sex = 0")


def test_newcombes_example_of_a_difference() -> None:
    """Newcombe 1998, table II, example (a): 56/70 less 48/80 is 0.2; method 10 gives 0.0524 to 0.3339 at 95 %."""
    rows = table([(56, 70), (48, 80)])
    found = disparity.measure(rows, rows.groups["sex"], min_rows=30, confidence=0.975)
    value = found.metrics["demographic_parity_difference"].challenger
    assert value is not None
    assert value.value.value == pytest.approx(0.2)
    assert value.value.lower == pytest.approx(0.0524, abs=1e-3)  # both orders are allowed for: it costs next to nothing
    assert value.value.upper == pytest.approx(0.3339, abs=5e-5)


# -- verdicts ---------------------------------------------------------------------------------------------------------


def test_proven_harm_fails() -> None:
    found = judged(table([(300, 1000), (500, 1000)]), rules(disparate_impact_ratio={"threshold": 0.8}))
    check = found["fairness.disparate_impact_ratio.sex.threshold"]
    assert check.verdict is Verdict.FAIL
    assert (check.observed, check.expected, check.rows) == (pytest.approx(0.6), "at least 0.8", 2000)
    assert "sex = 0" in check.reason
    assert "sex = 1" in check.reason
    assert check.interval is not None
    assert check.interval[1] < 0.8
    assert check.outcome == "worse"


def test_what_only_the_point_crosses_is_a_warning() -> None:
    found = judged(table([(75, 200), (100, 200)]), rules(disparate_impact_ratio={"threshold": 0.8}))
    check = found["fairness.disparate_impact_ratio.sex.threshold"]
    assert check.verdict is Verdict.WARN
    assert "do not prove" in check.reason
    assert check.interval is not None
    assert check.interval[0] < 0.8 < check.interval[1]


def test_within_the_limit_passes() -> None:
    found = judged(table([(480, 1000), (500, 1000)]), rules(disparate_impact_ratio={"threshold": 0.8}))
    check = found["fairness.disparate_impact_ratio.sex.threshold"]
    assert check.verdict is Verdict.PASS
    assert check.outcome == "non-inferior"


@pytest.mark.parametrize(
    ("name", "limit", "selected"),
    [
        ("demographic_parity_difference", 0.1, [(700, 1000), (800, 1000)]),
        ("disparate_impact_ratio", 0.8, [(400, 1000), (500, 1000)]),
    ],
)
def test_a_boundary_value_passes(name: str, limit: float, selected: list[tuple[int, int]]) -> None:
    (check,) = judged(table(selected), rules(**{name: {"threshold": limit}})).values()
    assert check.verdict is Verdict.PASS


def test_a_difference_has_a_ceiling() -> None:
    rule = rules(demographic_parity_difference={"threshold": 0.1, "warn_threshold": 0.05})
    assert [c.verdict for c in judged(table([(300, 1000), (500, 1000)]), rule).values()] == [Verdict.FAIL]
    (check,) = judged(table([(430, 1000), (500, 1000)]), rule).values()
    assert check.verdict is Verdict.WARN
    assert "at most 0.05 is allowed" in check.reason
    assert check.expected == "at most 0.1 (warn above 0.05)"


def test_worse_than_the_champion() -> None:
    fair, unfair = [(500, 1000), (500, 1000)], [(400, 1000), (500, 1000)]
    rule = rules(
        disparate_impact_ratio={"max_absolute_regression": 0.05},
        demographic_parity_difference={"max_absolute_regression": 0.05},
    )
    worse = [(300, 1000), (500, 1000)]
    assert {c.verdict for c in judged(table(worse, fair), rule).values()} == {Verdict.FAIL}
    warned = judged(table(unfair, fair), rule)
    assert warned["fairness.demographic_parity_difference.sex.absolute_regression"].verdict is Verdict.WARN
    assert {c.verdict for c in judged(table(fair, unfair), rule).values()} == {Verdict.PASS}
    assert {c.verdict for c in judged(table(fair, fair), rule).values()} == {Verdict.PASS}
    check = judged(table(unfair, fair), rule)["fairness.disparate_impact_ratio.sex.absolute_regression"]
    assert (check.observed, check.champion, check.change) == pytest.approx((0.8, 1.0, -0.2))
    assert check.limit == pytest.approx(0.95)
    assert check.expected == "down to −0.05"


def test_unfair_the_other_way_round_is_no_excuse() -> None:
    """The champion favours one group by 0.1, the challenger the other by 0.1: parity is as it was."""
    rule = rules(demographic_parity_difference={"max_absolute_regression": 0.02})
    (check,) = judged(table([(500, 1000), (400, 1000)], [(400, 1000), (500, 1000)]), rule).values()
    assert check.verdict is Verdict.PASS
    assert check.change == pytest.approx(0.0)


def test_no_champion() -> None:
    rule = rules(disparate_impact_ratio={"threshold": 0.8, "max_absolute_regression": 0.05})
    setting = replace(SETTING, absent=(Verdict.WARN, "there is no champion yet"))
    found = judged(table([(480, 1000), (500, 1000)]), rule, setting)
    assert [c.verdict for c in found.values()] == [Verdict.PASS, Verdict.WARN]
    assert "there is no champion yet" in found["fairness.disparate_impact_ratio.sex.comparison"].reason


def test_an_alias_and_is_name_the_metric() -> None:
    found = judged(table([(300, 1000), (500, 1000)]), rules(four_fifths={"is": "Disparate Impact", "threshold": 0.8}))
    assert [c.verdict for c in found.values()] == [Verdict.FAIL]


# -- what cannot be judged --------------------------------------------------------------------------------------------


def test_small_groups_are_listed_with_their_rows() -> None:
    rows = table([(480, 1000), (500, 1000), (0, 98), (3, 12)])
    found = judged(rows, rules(300, disparate_impact_ratio={"threshold": 0.8}))
    assert found["fairness.disparate_impact_ratio.sex.threshold"].observed == pytest.approx(0.96)
    check = found["fairness.disparate_impact_ratio.sex.not_judged"]
    assert check.verdict is Verdict.WARN
    assert "sex = 2: 98 rows, 300 needed; sex = 3: 12 rows, 300 needed" in check.reason
    assert (check.observed, check.rows) == ("not judged", 110)


def test_all_groups_too_small_decides_nothing() -> None:
    (check,) = judged(table([(1, 50), (50, 60)]), rules(300, disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "50 rows, 300 needed" in check.reason


def test_one_group_alone_decides_nothing() -> None:
    (check,) = judged(table([(100, 1000)]), rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "it takes two" in check.reason


def test_a_group_without_positive_rows_is_named() -> None:
    rows = make(n=3000)
    label = np.where(rows.groups["sex"].codes == 2, 0.0, rows.label)
    found = judged(replace(rows, label=label), rules(equal_opportunity_difference={"threshold": 0.2}))
    assert "sex = c: 0 positive rows, 30 needed" in found["fairness.equal_opportunity_difference.sex.not_judged"].reason
    assert isinstance(found["fairness.equal_opportunity_difference.sex.threshold"].observed, float)


def test_nobody_selected_is_no_parity() -> None:
    (check,) = judged(table([(0, 1000), (0, 1000)]), rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "ratio of zeros" in check.reason


def test_a_perfect_model_has_equal_odds() -> None:
    """No false positives anywhere: the ratio of zeros is left out, and the other rate says how alike groups are."""
    rows = make()
    rows = replace(rows, challenger=Predicted(decided=rows.label.astype(np.int32)))
    found = judged(rows, rules(equalized_odds_ratio={"threshold": 0.9}, equalized_odds_difference={"threshold": 0.1}))
    assert {c.verdict for c in found.values()} == {Verdict.PASS}


def test_a_missing_column_is_an_error() -> None:
    rows = replace(make(), groups={})
    (check,) = judged(rows, rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.ERROR
    assert "sex" in check.reason


def test_scores_without_decisions_are_an_error() -> None:
    rows = make()
    bare = replace(rows, challenger=Predicted(score=rows.label))
    (check,) = judged(bare, rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.ERROR
    assert "cut_off" in check.reason


def test_more_classes_are_an_error() -> None:
    (check,) = judged(replace(make(), task="multiclass"), rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.ERROR
    assert "two classes" in check.reason


def test_an_unknown_metric_is_an_error() -> None:
    (check,) = judged(make(), rules(niceness={"threshold": 0.8})).values()
    assert check.verdict is Verdict.ERROR


# -- weights and clusters ---------------------------------------------------------------------------------------------


def test_equal_weights_change_nothing() -> None:
    plain = make()
    weighted = replace(plain, weight=np.full(plain.count, 2.5))
    for name in parity.KNOWN:
        one, other = measure(plain).metrics[name], measure(weighted).metrics[name]
        assert one.challenger
        assert other.challenger
        assert one.change
        assert other.change
        for a, b in ((one.challenger.value, other.challenger.value), (one.change.value, other.change.value)):
            assert (a.value, a.lower, a.upper) == pytest.approx((b.value, b.lower, b.upper), abs=1e-9)


def test_unequal_weights_widen_the_interval() -> None:
    plain, weighted = make(), make(weight=True)
    skewed = replace(weighted, weight=weighted.weight**4)  # type: ignore[operator]
    widths = []
    for rows in (plain, weighted, skewed):
        found = measure(rows).metrics["demographic_parity_difference"].challenger
        assert found is not None
        widths.append(found.value.upper - found.value.lower)
    assert widths == sorted(widths)


@settings(max_examples=8)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_repeating_rows_inside_their_cluster_proves_nothing_more(times: int, seed: int) -> None:
    rows = replace(make(seed, 600), cluster=np.arange(600, dtype=np.int32))
    again = _repeated(rows, times)
    for name in ("demographic_parity_difference", "predictive_parity_ratio"):
        one, other = measure(rows).metrics[name], measure(again).metrics[name]
        assert one.challenger
        assert other.challenger
        a, b = one.challenger.value, other.challenger.value
        assert (a.value, a.lower, a.upper) == pytest.approx((b.value, b.lower, b.upper), abs=1e-9)


def _repeated(rows: Rows, times: int) -> Rows:
    at = np.repeat(np.arange(rows.count), times)
    return Rows(
        "binary",
        rows.label[at],
        Predicted(decided=decided(rows)[at]),
        Predicted(decided=decided(rows, champion=True)[at]),
        classes=rows.classes,
        cluster=None if rows.cluster is None else rows.cluster[at],
        groups={"sex": replace(rows.groups["sex"], codes=rows.groups["sex"].codes[at])},
    )


def test_few_clusters_decide_nothing() -> None:
    rows = make()
    rows = replace(rows, cluster=(np.arange(rows.count) % 20).astype(np.int32))
    (check,) = judged(rows, rules(disparate_impact_ratio={"threshold": 0.8})).values()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "20 clusters, 30 needed" in check.reason


# -- what must not matter ---------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(st.permutations(range(4)), st.integers(0, 2**31))
def test_names_and_order_change_nothing(order: list[int], seed: int) -> None:
    rows = make(5, 2000, 4)
    rng = np.random.default_rng(seed)
    at = rng.permutation(rows.count)
    groups = rows.groups["sex"]
    renamed = Groups("sex", np.array(order, dtype=np.int32)[groups.codes[at]], tuple("wxyz"))
    moved = replace(
        rows,
        label=rows.label[at],
        challenger=Predicted(decided=decided(rows)[at]),
        champion=Predicted(decided=decided(rows, champion=True)[at]),
        groups={"sex": renamed},
    )
    for name in parity.KNOWN:
        one, other = measure(rows).metrics[name], measure(moved).metrics[name]
        for a, b in ((one.challenger, other.challenger), (one.change, other.change)):
            assert a is not None
            assert b is not None
            assert (a.value.value, a.value.lower, a.value.upper) == pytest.approx(
                (b.value.value, b.value.lower, b.value.upper), abs=1e-12
            )
            assert a.p(0.5) == pytest.approx(b.p(0.5), abs=1e-12)


def test_swapping_the_models_turns_the_change_round() -> None:
    rows = make()
    assert rows.champion is not None
    swapped = replace(rows, challenger=rows.champion, champion=rows.challenger)
    for name in parity.KNOWN:
        one, other = measure(rows).metrics[name].change, measure(swapped).metrics[name].change
        assert one is not None
        assert other is not None
        assert (one.value.value, one.value.lower, one.value.upper) == pytest.approx(
            (-other.value.value, -other.value.upper, -other.value.lower), abs=1e-12
        )


@settings(max_examples=20)
@given(st.floats(0.3, 0.95), st.integers(0, 50))
def test_a_larger_gap_is_never_judged_better(limit: float, more: int) -> None:
    def rank(selected: int) -> float:
        claims, _ = fairness.check(
            table([(selected, 400), (240, 400)]), rules(disparate_impact_ratio={"threshold": limit}), SETTING
        )
        assert claims[0].p is not None
        return claims[0].p

    assert rank(150 - more) <= rank(150) + 1e-9


def test_empty_groups_are_no_groups() -> None:
    rows = make()
    groups = rows.groups["sex"]
    wider = replace(rows, groups={"sex": replace(groups, names=(*groups.names, "sex = gone"))})
    one, other = measure(rows), measure(wider)
    assert one.table == other.table


def test_of_very_many_groups_the_outermost_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pairs make a claim harder and the interval wider, and leave the value as it is."""
    rows = make(7, 8000, 10, tilt=0.02)
    full = measure(rows)
    monkeypatch.setattr(gaps, "MOST_GROUPS", 4)
    monkeypatch.setattr(gaps, "MOST_PAIRED", 10)
    for name in parity.KNOWN:
        one, other = full.metrics[name], measure(rows).metrics[name]
        for a, b in ((one.challenger, other.challenger), (one.change, other.change)):
            assert a is not None
            assert b is not None
            assert b.value.value == pytest.approx(a.value.value, abs=1e-12)
            assert b.value.lower <= a.value.lower + 1e-9
            assert b.value.upper >= a.value.upper - 1e-9
        assert one.challenger is not None
        assert other.challenger is not None
        limit = 0.9 if name.endswith("ratio") else 0.05
        assert other.challenger.p(limit) >= one.challenger.p(limit) - 1e-9


def test_many_groups_stay_quick_and_finite() -> None:
    rng = np.random.default_rng(0)
    n = 60_000
    codes = (np.arange(n) % 100).astype(np.int32)
    rows = Rows(
        "binary",
        (rng.random(n) < 0.5).astype(float),
        Predicted(decided=(rng.random(n) < 0.3).astype(np.int32)),
        Predicted(decided=(rng.random(n) < 0.3).astype(np.int32)),
        classes=("no", "yes"),
        groups={"sex": Groups("sex", codes, tuple(f"sex = {k}" for k in range(100)))},
    )
    found = measure(rows).metrics["disparate_impact_ratio"]
    assert found.challenger
    assert found.change
    assert 0 <= found.challenger.value.lower <= found.challenger.value.value <= found.challenger.value.upper <= 1
    assert all(map(math.isfinite, (found.change.value.lower, found.change.value.upper, found.change.p(0.05))))
    assert found.change.p(0.3) > 0.05  # a hundred groups are never all alike, and that is no harm
