"""Fairness in production: rates of what was really answered to the groups of the log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from duckdb import DuckDBPyConnection
from fairlearn import metrics as oracle

from mlgate.config.limits import Fairness
from mlgate.data.reading import connect
from mlgate.model import Check, Verdict
from mlgate.watch import answered, fair
from mlgate.watch.answered import ABSENT, How
from mlgate.watch.fair import Setting
from mlgate.watch.nouns import Section
from mlgate.watch.truth import join
from watch.outcomes_samples import LATER, WINDOW, log_of, truth, truth_of

WAY = How(task="binary", positive=1)


@pytest.fixture(scope="module")
def con() -> DuckDBPyConnection:
    return connect()


def settings(rules: dict[str, Any], by: Any = ("sex",), **keys: Any) -> Fairness:
    return Fairness.model_validate({"by": list(by), "min_rows": 50, "rules": rules, **keys})


def decisions(con: DuckDBPyConnection, columns: dict[str, Any], asked: Fairness, way: How = WAY) -> Section:
    rows = len(columns["prediction"])
    names = [name for name in columns if name not in {"prediction", "score"}]
    log = log_of(con, rows, columns, names)
    edges = {name: [float(edge) for edge in cuts] for name, cuts in asked.edges.items()}
    found = answered.read(
        con, log.relation, way, score=log.score, label=None, by=fair.columns(asked), edges=edges, features=log.features
    )
    return fair.section(found, asked, Setting())


def rates(first: float, second: float, rows: int = 500) -> dict[str, Any]:
    """Two groups, and the share that is decided to be positive in each."""
    half = rows // 2
    said = [int(at < first * half) for at in range(half)] + [int(at < second * half) for at in range(half)]
    return {"prediction": said, "sex": ["f"] * half + ["m"] * half}


def by_id(section: Section, end: str) -> Check:
    return next(one for one in section.checks if one.id.endswith(end))


def test_rates_are_those_of_fairlearn(con: DuckDBPyConnection) -> None:
    columns = rates(0.4, 0.8)
    asked = settings(
        {"disparate_impact_ratio": {"warn_threshold": 0.1}, "demographic_parity_difference": {"warn_threshold": 0.9}}
    )
    found = decisions(con, columns, asked)
    said, sex = np.array(columns["prediction"]), np.array(columns["sex"])
    ratio = oracle.demographic_parity_ratio(said, said, sensitive_features=sex)
    gap = oracle.demographic_parity_difference(said, said, sensitive_features=sex)
    assert {one.name: pytest.approx(one.value) for one in found.measures} == {
        "disparate_impact_ratio.sex": ratio,
        "demographic_parity_difference.sex": gap,
    }
    assert found.state == "ok"


@pytest.mark.parametrize(
    ("first", "second", "state", "verdict"),
    [
        (0.6, 0.6, "ok", Verdict.PASS),
        (0.60, 0.78, "ok", Verdict.WARN),  # 0.77 of the other, and 500 rows do not prove it
        (0.3, 0.8, "breached", Verdict.FAIL),
    ],
)
def test_a_limit_is_broken_where_the_rows_prove_it(
    con: DuckDBPyConnection, first: float, second: float, state: str, verdict: Verdict
) -> None:
    found = decisions(con, rates(first, second), settings({"disparate_impact_ratio": {"threshold": 0.8}}))
    assert found.state == state
    [one] = found.measures
    assert (one.state, one.limit, one.kind) == (state, 0.8, "fairness")
    told = by_id(found, "disparate_impact_ratio.sex.threshold")
    assert (told.verdict, told.group) == (verdict, "watch")


def test_rules_that_need_truth_are_told_from_those_that_do_not() -> None:
    asked = settings(
        {
            "disparate_impact_ratio": {"threshold": 0.8},
            "dpd": {"threshold": 0.1},
            "equal_opportunity_difference": {"threshold": 0.1},
            "predictive_parity_ratio": {"threshold": 0.8},
        }
    )
    now, later = fair.parts(asked)
    assert now is not None
    assert later is not None
    assert list(now.rules) == ["disparate_impact_ratio", "dpd"]
    assert list(later.rules) == ["equal_opportunity_difference", "predictive_parity_ratio"]
    assert fair.parts(settings({"dpd": {"threshold": 0.1}}))[1] is None
    assert fair.parts(settings({"equalized_odds_ratio": {"threshold": 0.1}}))[0] is None


def test_hits_and_mistakes_are_measured_on_rows_with_truth(con: DuckDBPyConnection) -> None:
    random = np.random.default_rng(1)
    rows = 2000
    sex = np.where(random.random(rows) < 0.5, "f", "m")
    label = (random.random(rows) < 0.5).astype(int)
    right = random.random(rows) < np.where(sex == "f", 0.6, 0.9)
    said = np.where(right, label, 1 - label)
    asked = settings({"equal_opportunity_difference": {"threshold": 0.1}})
    log = log_of(con, rows, {"prediction": said, "sex": sex.tolist()}, ["sex"])
    one = join(con, log, truth_of(con, label.tolist()), truth(), window=WINDOW, now=LATER, features=["sex"])
    found = answered.read(con, one.relation, WAY, score=None, by=fair.columns(asked), features=one.features)
    section = fair.section(found, asked, Setting())
    [measured] = section.measures
    expected = oracle.equal_opportunity_difference(label, said, sensitive_features=sex)
    assert measured.value == pytest.approx(expected)
    assert measured.state == "breached"


def test_small_groups_are_listed_and_no_group_decides_nothing(con: DuckDBPyConnection) -> None:
    columns = rates(0.5, 0.5)
    columns["sex"][:10] = ["x"] * 10
    found = decisions(con, columns, settings({"disparate_impact_ratio": {"threshold": 0.8}}))
    assert found.state == "ok"
    assert "sex = x: 10 rows, 50 needed" in by_id(found, "not_judged").reason
    few = decisions(con, rates(0.5, 0.5, 80), settings({"disparate_impact_ratio": {"threshold": 0.8}}))
    assert few.state == "unknown"
    assert few.measures[0].value is None
    assert all(one.verdict is Verdict.INCONCLUSIVE for one in few.checks)


def test_a_column_that_is_not_logged_is_unknown(con: DuckDBPyConnection) -> None:
    asked = settings({"disparate_impact_ratio": {"threshold": 0.8}}, by=["age", "sex"], edges={"age": [40]})
    found = decisions(con, rates(0.5, 0.5), asked)
    assert {one.name: one.state for one in found.measures} == {
        "disparate_impact_ratio.age": "unknown",
        "disparate_impact_ratio.sex": "ok",
    }
    assert found.state == "unknown"
    assert "log the column as it is (`serve.log.features`)" in found.measures[0].reason


def test_rows_without_a_value_are_a_group_and_without_a_number_are_left_out(con: DuckDBPyConnection) -> None:
    columns = rates(0.5, 0.5, 600)
    columns["sex"][:100] = [None] * 100
    columns["age"] = [30.0, 50.0] * 270 + [float("nan")] * 60
    asked = settings({"disparate_impact_ratio": {"warn_threshold": 0.01}})
    log = log_of(con, 600, columns, ["sex", "age"])
    found = answered.read(con, log.relation, WAY, score=None, label=None, by=[("sex",)], features=log.features)
    assert found.rows is not None
    assert found.rows.groups["sex"].names == (f"sex = {ABSENT}", "sex = f", "sex = m")
    assert fair.section(found, asked, Setting()).state == "ok"
    cut = answered.read(
        con, log.relation, WAY, score=None, label=None, by=[("age",)], edges={"age": [40]}, features=log.features
    )
    assert cut.left_out == {"without a number for age": 60}
    assert cut.rows is not None
    assert cut.rows.groups["age"].names == ("age < 40", "age >= 40")


def test_combinations_and_numbers_make_groups(con: DuckDBPyConnection) -> None:
    columns = rates(0.5, 0.5, 800)
    columns["site"] = [1.0, 2.0] * 400
    found = decisions(con, columns, settings({"disparate_impact_ratio": {"threshold": 0.5}}, by=[["sex", "site"]]))
    [one] = found.measures
    assert (one.name, one.state, one.value) == ("disparate_impact_ratio.sex x site", "ok", pytest.approx(1.0))


def test_the_class_is_decided_by_the_cut_off(con: DuckDBPyConnection) -> None:
    columns = rates(0.5, 0.5, 400)
    columns["score"] = [0.9 if at % 4 == 0 else 0.4 for at in range(400)]
    asked = settings({"disparate_impact_ratio": {"threshold": 0.5}})
    found = decisions(con, columns, asked, How(task="binary", positive="yes", cut_off=0.5))
    assert found.measures[0].state == "ok"
    low = decisions(con, columns, asked, How(task="binary", cut_off=0.99))
    assert low.measures[0].state == "unknown"  # nobody was decided to be positive: there is no ratio


@pytest.mark.parametrize(
    ("columns", "way", "why"),
    [
        ({"prediction": ["a", "b", "c"] * 50, "sex": ["f"] * 150}, How(task="multiclass"), "this is multiclass"),
        ({"prediction": [], "sex": []}, WAY, "there are no rows"),
        ({"prediction": [1, None] * 50, "sex": ["f"] * 100}, WAY, "of 100 rows 50 without a prediction"),
    ],
)
def test_what_cannot_be_judged_is_unknown(con: DuckDBPyConnection, columns: dict[str, Any], way: How, why: str) -> None:
    found = decisions(con, columns, settings({"disparate_impact_ratio": {"threshold": 0.8}}), way)
    assert found.state == "unknown"
    assert why in found.measures[0].reason
