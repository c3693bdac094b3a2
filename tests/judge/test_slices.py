"""Slice rules: which groups are worse, which only look it, and which cannot be judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.config.limits import Slices
from mlgate.data.rows import Groups, Predicted, Rows
from mlgate.judge import slices
from mlgate.judge.discovery import Claim, settle
from mlgate.judge.grouped import Setting, split
from mlgate.judge.listing import fold
from mlgate.model import Check, Verdict

SETTING = Setting(confidence=0.95)


def make(sizes: list[int], worse: dict[int, float] | None = None, seed: int = 0, noise: float = 0.3) -> Rows:
    """Binary rows with scores of two models that differ by noise alone, but for the groups in `worse`: there the
    challenger's logits are pulled the wrong way by that much."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    rng.shuffle(codes)
    n = len(codes)
    label = (rng.random(n) < 0.4).astype(float)
    signal = rng.normal(size=n) + 1.5 * (label - 0.5)
    pull = np.zeros(len(sizes))
    for group, by in (worse or {}).items():
        pull[group] = by
    champion = signal + noise * rng.normal(size=n)
    challenger = signal + noise * rng.normal(size=n) - pull[codes] * (2 * label - 1)
    return Rows(
        "binary",
        label,
        _side(challenger),
        _side(champion),
        classes=("no", "yes"),
        groups={"health": Groups("health", codes, tuple(f"health = {k}" for k in range(len(sizes))))},
    )


def _side(logit: Any) -> Predicted:
    score = 1 / (1 + np.exp(-logit))
    return Predicted(score=score, decided=(score >= 0.5).astype(np.int32))


def asked(min_rows: int = 300, **rules: dict[str, Any]) -> Slices:
    return Slices.model_validate({"by": ["health"], "min_rows": min_rows, "rules": rules})


def judged(rows: Rows, rules: Slices, setting: Setting = SETTING) -> dict[str, Check]:
    return {check.id: check for check in settle(slices.check(rows, rules, setting), setting.alpha)}


ACCURACY = {"max_absolute_regression": 0.03}


def test_one_bad_slice_among_good_ones_fails() -> None:
    rows = make([1000] * 8, worse={5: 0.8})
    checks = list(judged(rows, asked(accuracy=ACCURACY)).values())
    assert len(checks) == 8
    first, *others = checks
    assert (first.title, first.verdict, first.outcome) == ("accuracy, health = 5", Verdict.FAIL, "worse")
    assert first.reason.startswith("accuracy of health = 5 is ")
    assert "proven to be more than the 0.03 allowed" in first.reason
    assert first.rows == 1000
    assert first.interval is not None
    assert first.interval[1] < -0.03
    assert all(check.verdict is Verdict.PASS for check in others)


def test_what_only_the_point_crosses_is_a_warning() -> None:
    """With 300 rows in a group and models that often disagree, some group looks worse than it is."""
    rows = make([300] * 20, noise=1.2, seed=3)
    checks = list(judged(rows, asked(accuracy=ACCURACY)).values())
    warned = [check for check in checks if check.verdict is Verdict.WARN]
    assert warned
    assert checks[: len(warned)] == warned  # worst first
    assert all("which 300 rows do not prove" in check.reason for check in warned)
    assert all(check.interval is not None and check.interval[1] > -0.03 for check in warned)
    assert not any(check.verdict is Verdict.FAIL for check in checks)


def test_lower_is_better_and_relative_limits() -> None:
    rows = make([2000, 2000], worse={1: 0.6})
    rule = {"max_relative_regression": "5%", "warn_relative_regression": "1%"}
    worse, fine = judged(rows, asked(log_loss=rule)).values()
    assert (worse.title, worse.verdict) == ("log_loss, health = 1", Verdict.FAIL)
    assert worse.expected == "up to +5 % (warn beyond +1 %)"
    assert isinstance(worse.observed, float)
    assert isinstance(worse.champion, float)
    assert worse.change == pytest.approx(worse.observed / worse.champion - 1)
    assert worse.limit == pytest.approx(worse.champion * 1.05)
    assert worse.interval is not None
    assert worse.interval[0] > 0.05
    assert fine.verdict in {Verdict.PASS, Verdict.WARN}
    assert "%" in worse.reason


def test_the_bounds_are_those_of_the_group_alone() -> None:
    rows = make([800, 900])
    check = judged(rows, asked(accuracy=ACCURACY))["slices.accuracy.health = 1.absolute_regression"]
    inside = rows.groups["health"].codes == 1
    for side, value in ((rows.challenger, check.observed), (rows.champion, check.champion)):
        assert side is not None
        assert side.decided is not None
        assert value == pytest.approx((side.decided[inside] == rows.label[inside]).mean(), abs=1e-12)


# -- thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "verdict", "said"),
    [(0.9, Verdict.FAIL, "at least 0.9 is required"), (0.5, Verdict.PASS, "")],
)
def test_the_point_decides_on_a_threshold(threshold: float, verdict: Verdict, said: str) -> None:
    (check,) = judged(make([1000]), asked(accuracy={"threshold": threshold})).values()
    assert check.verdict is verdict
    assert said in check.reason
    assert check.expected == f"at least {threshold}"


def test_a_threshold_that_is_met_but_not_proven_is_a_warning() -> None:
    rows = make([1000])
    (measured,) = judged(rows, asked(accuracy={"threshold": 0.5})).values()
    assert isinstance(measured.observed, float)
    (check,) = judged(rows, asked(accuracy={"threshold": round(measured.observed - 0.005, 4)})).values()
    assert check.verdict is Verdict.WARN
    assert "not proven" in check.reason
    (check,) = judged(rows, asked(accuracy={"threshold": measured.observed})).values()
    assert check.verdict is Verdict.WARN  # the boundary value is met


# -- what cannot be judged --------------------------------------------------------------------------------------------


def test_small_groups_are_listed_with_their_rows() -> None:
    found = judged(make([1000, 98, 40]), asked(accuracy=ACCURACY, log_loss={"max_absolute_regression": 0.2}))
    for key in ("accuracy", "log_loss"):
        check = found[f"slices.{key}.health.not_judged"]
        assert check.verdict is Verdict.WARN
        assert "health = 1: 98 rows, 300 needed; health = 2: 40 rows, 300 needed" in check.reason
        assert check.observed == "not judged"
    assert len(found) == 4


def test_a_single_small_group_is_named_in_the_title() -> None:
    found = judged(make([1000, 98]), asked(accuracy=ACCURACY))
    check = found["slices.accuracy.health.not_judged"]
    assert (check.title, check.expected, check.rows) == ("accuracy, health = 1", "98 rows, 300 needed", 98)


def test_no_group_large_enough_decides_nothing() -> None:
    (check,) = judged(make([100, 98]), asked(accuracy=ACCURACY)).values()
    assert check.verdict is Verdict.INCONCLUSIVE


def test_a_group_of_one_class_is_not_judged() -> None:
    rows = make([1000, 1000])
    label = np.where(rows.groups["health"].codes == 1, 0.0, rows.label)
    found = judged(replace(rows, label=label), asked(f1={"max_absolute_regression": 0.05}))
    assert found["slices.f1.health.not_judged"].verdict is Verdict.WARN
    assert "health = 1: " in found["slices.f1.health.not_judged"].reason
    assert "slices.f1.health = 1.absolute_regression" not in found


def test_few_clusters_are_not_judged() -> None:
    rows = make([1000, 1000])
    codes = rows.groups["health"].codes
    cluster = np.where(codes == 0, np.arange(rows.count) % 10, 10 + np.arange(rows.count) % 200).astype(np.int32)
    found = judged(replace(rows, cluster=cluster), asked(log_loss={"max_absolute_regression": 0.1}))
    assert "health = 0: 10 clusters, 30 needed" in found["slices.log_loss.health.not_judged"].reason
    assert "slices.log_loss.health = 1.absolute_regression" in found


def test_models_that_say_the_same_do_no_harm() -> None:
    rows = make([1000, 1000])
    same = replace(rows, champion=rows.challenger)
    checks = judged(same, asked(accuracy=ACCURACY, log_loss={"max_relative_regression": "1%"})).values()
    assert [check.verdict for check in checks] == [Verdict.PASS] * 4
    assert all(check.change == 0 for check in checks)


def test_four_rows_that_changed_are_no_harm_and_no_doubt() -> None:
    rows = make([1000])
    assert rows.challenger.decided is not None
    moved = rows.challenger.decided.copy()
    moved[:4] = 1 - rows.label[:4].astype(np.int32)
    changed = replace(rows, challenger=Predicted(decided=moved), champion=Predicted(decided=rows.challenger.decided))
    (check,) = judged(changed, asked(f1={"max_absolute_regression": 0.1})).values()
    assert check.verdict is Verdict.PASS


def test_a_missing_column_is_an_error() -> None:
    (check,) = judged(replace(make([1000]), groups={}), asked(accuracy=ACCURACY)).values()
    assert check.verdict is Verdict.ERROR
    assert "health" in check.reason


def test_no_champion() -> None:
    setting = replace(SETTING, absent=(Verdict.WARN, "there is no champion yet"))
    rows = replace(make([1000, 1000]), champion=None)
    found = judged(rows, asked(accuracy={**ACCURACY, "threshold": 0.5}), setting)
    assert found["slices.accuracy.health.comparison"].verdict is Verdict.WARN
    assert found["slices.accuracy.health = 0.threshold"].verdict is Verdict.PASS
    assert len(found) == 3


def test_a_metric_that_is_not_known_is_an_error() -> None:
    rule = {"max_absolute_regression": 0.1, "greater_is_better": True}
    (check,) = judged(make([1000]), asked(niceness=rule)).values()
    assert check.verdict is Verdict.ERROR


def test_several_sets_are_told_apart() -> None:
    found = judged(make([1000]), asked(accuracy=ACCURACY), replace(SETTING, set="holdout"))
    assert list(found) == ["slices.accuracy@holdout.health = 0.absolute_regression"]
    assert next(iter(found.values())).title == "accuracy, health = 0 (holdout)"


# -- many groups ------------------------------------------------------------------------------------------------------


def _alarms(times: int, seed: int) -> float:
    """How often at least one of 20 groups fails where the truth is exactly at the margin in every one of them."""
    rng = np.random.default_rng(seed)
    groups, size, margin = 20, 400, 0.03
    codes = np.repeat(np.arange(groups), size).astype(np.int32)
    names = tuple(f"health = {k}" for k in range(groups))
    alarms = 0
    for _ in range(times):
        label = (rng.random(groups * size) < 0.5).astype(float)
        champion = rng.random(groups * size) < 0.8
        # The challenger loses 8 % of the rows that the champion has right, and wins what leaves it 3 % worse.
        lost, won = rng.random(groups * size) < 0.1, rng.random(groups * size) < 0.25
        challenger = np.where(champion, ~lost, won)
        sides = [
            Predicted(decided=np.where(right, label, 1 - label).astype(np.int32)) for right in (challenger, champion)
        ]
        rows = Rows("binary", label, *sides, classes=("no", "yes"), groups={"health": Groups("health", codes, names)})
        checks = settle(slices.check(rows, asked(accuracy={"max_absolute_regression": margin}), SETTING), 0.05)
        alarms += any(check.verdict is Verdict.FAIL for check in checks)
    return alarms / times


def test_false_alarms_over_many_groups_quickly() -> None:
    times = 100
    assert _alarms(times, 1) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


@pytest.mark.long
def test_false_alarms_over_many_groups() -> None:
    times = 2000
    assert _alarms(times, 2) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


def test_passing_groups_are_folded() -> None:
    rows = make([300] * 60, worse={7: 1.5}, noise=0.05)
    claims = slices.check(rows, asked(accuracy={"max_absolute_regression": 0.1}), SETTING)
    checks = settle(claims, 0.05)
    shown = fold(claims, checks, most=5)
    assert len(checks) == 60
    assert [check.verdict for check in shown] == [Verdict.FAIL] + [Verdict.PASS] * 6
    assert shown[0].title == "accuracy, health = 7"
    assert (shown[-1].title, shown[-1].observed) == ("accuracy, 54 other groups", None)
    assert fold(claims, checks, most=100) == checks


def test_folding_hides_nothing_that_did_not_pass() -> None:
    check = Check(id="a", title="a", verdict=Verdict.WARN, group="slices")
    claims = [Claim(check.model_copy(update={"id": str(k)}), metric="a", group=str(k), limit="x") for k in range(50)]
    assert fold(claims, [claim.check for claim in claims]) == [claim.check for claim in claims]


# -- the rows of each group -------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 2**31))
def test_split_gives_the_rows_of_each_group(sizes: list[int], seed: int) -> None:
    if not sum(sizes):
        sizes = [1]
    rows = make(sizes, seed=seed)
    rng = np.random.default_rng(seed)
    rows = replace(rows, weight=rng.random(rows.count), cluster=rng.integers(0, 5, rows.count).astype(np.int32))
    groups = rows.groups["health"]
    found = dict(split(rows, groups))
    assert set(found) == {groups.names[k] for k, size in enumerate(sizes) if size}
    for at, name in enumerate(groups.names):
        if name not in found:
            continue
        inside, part = groups.codes == at, found[name]
        assert part.champion is not None
        assert rows.champion is not None
        assert np.array_equal(part.label, rows.label[inside])
        assert np.array_equal(part.challenger.score, rows.challenger.score[inside])  # type: ignore[index, arg-type]
        assert np.array_equal(part.champion.decided, rows.champion.decided[inside])  # type: ignore[index, arg-type]
        assert np.array_equal(part.weight, rows.weight[inside])  # type: ignore[index, arg-type]
        assert part.cluster is not None
        assert rows.cluster is not None
        assert set(part.cluster.tolist()) == set(range(len(np.unique(rows.cluster[inside]))))


@settings(max_examples=10)
@given(st.permutations(range(4)), st.integers(0, 2**31))
def test_names_and_order_change_nothing(order: list[int], seed: int) -> None:
    rows = make([400, 500, 600, 200], worse={2: 0.7})
    at = np.random.default_rng(seed).permutation(rows.count)
    assert rows.champion is not None

    def moved(side: Predicted) -> Predicted:
        assert side.score is not None
        assert side.decided is not None
        return Predicted(score=side.score[at], decided=side.decided[at])

    codes = np.array(order, dtype=np.int32)[rows.groups["health"].codes[at]]
    names = tuple("wxyz")
    other = replace(
        rows,
        label=rows.label[at],
        challenger=moved(rows.challenger),
        champion=moved(rows.champion),
        groups={"health": Groups("health", codes, names)},
    )
    rule = asked(accuracy=ACCURACY, log_loss={"max_relative_regression": "2%"})
    one, two = judged(rows, rule), judged(other, rule)
    for key in ("accuracy", "log_loss"):
        word = "absolute_regression" if key == "accuracy" else "relative_regression"
        for group in range(3):
            a, b = one[f"slices.{key}.health = {group}.{word}"], two[f"slices.{key}.{names[order[group]]}.{word}"]
            assert a.verdict == b.verdict
            assert a.change == pytest.approx(b.change)
            assert a.interval == pytest.approx(b.interval)
