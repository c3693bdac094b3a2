"""Live performance: the judge's numbers on rows with truth, and what counts as worse than what was committed."""

# ruff: noqa: S608 -- names are made here

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from duckdb import DuckDBPyConnection
from sklearn import metrics as oracle

from mlgate.config import EvaluationSet, Rule
from mlgate.config.watching import Performance
from mlgate.data.reading import connect
from mlgate.model import Check, Verdict
from mlgate.watch import answered, performance
from mlgate.watch.answered import Answered
from mlgate.watch.nouns import Section
from mlgate.watch.performance import Setting
from mlgate.watch.truth import Joined, join
from watch.outcomes_samples import BINARY, LATER, WINDOW, binary, evaluation, log_of, table, truth, truth_of

ROWS = 4000


@pytest.fixture(scope="module")
def con() -> DuckDBPyConnection:
    return connect()


def settings(rules: dict[str, dict[str, Any]], **keys: Any) -> Performance:
    return Performance.model_validate({"rules": rules, **keys})


def read(
    con: DuckDBPyConnection,
    columns: dict[str, Any],
    labels: list[Any],
    asked: Performance,
    of: EvaluationSet = BINARY,
    **keys: Any,
) -> tuple[Answered, Joined]:
    log = log_of(con, len(labels), columns)
    one = join(con, log, truth_of(con, labels), truth(**keys), window=WINDOW, now=LATER)
    way = answered.how(of, truth(**keys), asked.rules)
    return answered.read(con, one.relation, way), one


def judged(
    con: DuckDBPyConnection, score: Any, label: Any, rules: dict[str, dict[str, Any]], setting: Setting | None = None
) -> Section:
    asked = settings(rules)
    columns = {"prediction": [int(s >= 0.5) for s in score], "score": list(map(float, score))}
    rows, one = read(con, columns, [int(x) for x in label], asked)
    return performance.section(rows, one, asked, setting or Setting())


def measure(section: Section, name: str) -> Any:
    return next(one for one in section.measures if one.name == name)


def check(section: Section, end: str) -> Check:
    return next(one for one in section.checks if one.id.endswith(end))


def test_metrics_are_those_of_scikit_learn(con: DuckDBPyConnection) -> None:
    score, label = binary(1, ROWS)
    names = ["roc_auc", "log_loss", "brier_score", "accuracy", "f1", "precision", "recall"]
    found = judged(con, score, label, {name: {"warn_threshold": 0.5} for name in names})
    decided = score >= 0.5
    values = {
        "roc_auc": oracle.roc_auc_score(label, score),
        "log_loss": oracle.log_loss(label, score),
        "brier_score": oracle.brier_score_loss(label, score),
        "accuracy": oracle.accuracy_score(label, decided),
        "f1": oracle.f1_score(label, decided),
        "precision": oracle.precision_score(label, decided),
        "recall": oracle.recall_score(label, decided),
    }
    for name, value in values.items():
        assert measure(found, name).value == pytest.approx(value, abs=1e-12)
        assert measure(found, name).rows == ROWS
    assert measure(found, "truth_share").value == 1.0


def test_a_threshold_is_decided_by_the_value_and_a_boundary_passes(con: DuckDBPyConnection) -> None:
    label = [1] * 50 + [0] * 50
    score = [0.9] * 40 + [0.1] * 10 + [0.1] * 40 + [0.9] * 10  # 80 of 100 are right
    score, label = score * 5, label * 5
    for limit, state in ((0.80, "ok"), (0.801, "breached"), (0.5, "ok")):
        found = judged(con, score, label, {"accuracy": {"threshold": limit}})
        assert measure(found, "accuracy").state == found.state == state
        assert measure(found, "accuracy").value == 0.8
        assert measure(found, "accuracy").limit == limit
    near = check(judged(con, score, label, {"accuracy": {"threshold": 0.79}}), "accuracy.threshold")
    assert near.verdict is Verdict.PASS
    assert near.reason == "accuracy meets its limit; the interval of 500 rows contains it."
    assert near.interval is not None
    assert near.interval[0] < 0.79 < near.interval[1]
    assert not check(judged(con, score, label, {"accuracy": {"threshold": 0.5}}), "accuracy.threshold").reason
    worse = check(judged(con, score, label, {"accuracy": {"threshold": 0.9}}), "accuracy.threshold")
    assert worse.verdict is Verdict.FAIL
    assert worse.group == "watch"


def test_a_regression_is_one_where_the_rows_prove_it(con: DuckDBPyConnection) -> None:
    score, label = binary(2, 800)
    now = oracle.roc_auc_score(label, score)
    rules = {"auc": {"is": "roc_auc", "max_absolute_regression": 0.01}}

    def against(committed: float) -> Section:
        return judged(
            con, score, label, rules, Setting(baseline={"auc": committed}, said="metrics/eval.json of 1a2b3c4")
        )

    assert against(now).state == "ok"
    doubtful = against(now + 0.02)
    assert doubtful.state == "ok"
    told = check(doubtful, "absolute_regression")
    assert told.verdict is Verdict.WARN
    assert told.reason.endswith(
        "worse than in metrics/eval.json of 1a2b3c4; at most 0.01 is allowed. 800 rows do not prove it."
    )
    proven = against(now + 0.1)
    assert proven.state == "breached"
    assert check(proven, "absolute_regression").verdict is Verdict.FAIL
    assert measure(proven, "auc").limit == pytest.approx(now + 0.09)
    assert check(proven, "absolute_regression").champion == pytest.approx(now + 0.1)


def test_a_relative_regression_is_a_share_of_what_was_committed(con: DuckDBPyConnection) -> None:
    score, label = binary(3, ROWS)
    loss = oracle.log_loss(label, score)
    rules = {"log_loss": {"max_relative_regression": "10%", "warn_relative_regression": "1%"}}
    found = judged(con, score, label, rules, Setting(baseline={"log_loss": loss / 1.5}))
    assert found.state == "breached"
    told = check(found, "relative_regression")
    assert told.change == pytest.approx(0.5)
    assert told.interval is not None
    assert told.interval[0] < 0.5 < told.interval[1]
    some = judged(con, score, label, rules, Setting(baseline={"log_loss": loss / 1.05}))
    assert (some.state, check(some, "relative_regression").verdict) == ("ok", Verdict.WARN)


def test_false_alarms_of_all_rules_together_stay_below_what_was_asked(con: DuckDBPyConnection) -> None:
    """Five rules at the true values of the world; an alarm is any regression beyond none at all, at 5 % a window."""
    true = {"roc_auc": 0.87, "log_loss": 0.0, "accuracy": 0.0, "brier_score": 0.0, "f1": 0.0}
    score, label = binary(4, 1_000_000)
    decided = score >= 0.5
    true = {
        "roc_auc": oracle.roc_auc_score(label, score),
        "log_loss": oracle.log_loss(label, score),
        "accuracy": oracle.accuracy_score(label, decided),
        "brier_score": oracle.brier_score_loss(label, score),
        "f1": oracle.f1_score(label, decided),
    }
    asked = settings({name: {"max_absolute_regression": 0} for name in true})
    setting = Setting(baseline=true)
    alarms, runs = 0, 60
    for seed in range(runs):
        score, label = binary(1000 + seed, 500)
        columns = {"prediction": (score >= 0.5).astype(int), "score": score}
        rows, one = read(con, columns, label.tolist(), asked)
        alarms += performance.section(rows, one, asked, setting).state == "breached"
        con.execute(f"DROP TABLE {one.relation}")
    assert alarms <= 8  # 3 are expected at most: 9 or more have a chance of 0.3 %


def test_too_few_rows_are_unknown(con: DuckDBPyConnection) -> None:
    score, label = binary(5, 100)
    found = judged(con, score, label, {"accuracy": {"threshold": 0.99}})
    assert (found.state, measure(found, "accuracy").state) == ("unknown", "unknown")
    assert measure(found, "accuracy").value is None
    assert check(found, "accuracy.unknown").verdict is Verdict.INCONCLUSIVE
    assert check(found, "accuracy.unknown").reason == "100 rows with truth, 200 needed."


def test_a_score_that_is_the_same_for_everybody_misses_its_threshold(con: DuckDBPyConnection) -> None:
    """It does not vary, so that no interval says anything of it; a broken model must not hide behind that."""
    label = [0, 1] * 300
    found = judged(con, [0.7] * 600, label, {"roc_auc": {"threshold": 0.6}})
    assert (measure(found, "roc_auc").state, measure(found, "roc_auc").value) == ("breached", 0.5)
    numbers = [float(at % 7) for at in range(300)]
    for limit, state in ((1, "breached"), (5, "unknown")):  # all errors are 3
        asked = settings({"mae": {"threshold": limit}})
        rows, one = read(con, {"prediction": [x + 3 for x in numbers]}, numbers, asked, evaluation())
        assert performance.section(rows, one, asked, Setting()).state == state


def test_too_few_of_a_class_are_unknown(con: DuckDBPyConnection) -> None:
    score = np.linspace(0.01, 0.99, 400)
    label = [0] * 395 + [1] * 5
    found = judged(con, score, label, {"roc_auc": {"threshold": 0.2}})
    assert found.state == "unknown"
    assert "of too little to decide on" in measure(found, "roc_auc").reason
    alone = judged(con, score, [0] * 400, {"roc_auc": {"threshold": 0.2}})
    assert measure(alone, "roc_auc").state == "unknown"
    assert "cannot be measured" in measure(alone, "roc_auc").reason


def test_a_committed_number_that_is_missing_or_none_is_never_met(con: DuckDBPyConnection) -> None:
    score, label = binary(6, 400)
    rules = {"accuracy": {"max_absolute_regression": 0.5}}
    for baseline in ({}, {"accuracy": float("nan")}, {"accuracy": "0.9"}, {"accuracy": None}):
        found = judged(con, score, label, rules, Setting(baseline=baseline))
        assert (found.state, measure(found, "accuracy").state) == ("unknown", "unknown")
        assert all(one.verdict is Verdict.INCONCLUSIVE for one in found.checks)
    assert "have no such number" in judged(con, score, label, rules).checks[0].reason


def test_answers_that_are_none_are_counted_and_many_of_them_decide_nothing(con: DuckDBPyConnection) -> None:
    score, label = binary(7, 1000)
    asked = settings({"roc_auc": {"threshold": 0.5}})
    holes = score.copy()
    holes[:5] = np.nan
    rows, one = read(con, {"prediction": [1] * 1000, "score": holes}, label.tolist(), asked)
    assert rows.left_out == {"without an answer": 5}
    assert rows.count == 995
    holes[:20] = np.inf
    rows, one = read(con, {"prediction": [1] * 1000, "score": holes}, label.tolist(), asked)
    found = performance.section(rows, one, asked, Setting())
    assert found.state == "unknown"
    assert (
        "of 1,000 rows 20 without an answer: those that are left are no fair sample" in measure(found, "roc_auc").reason
    )


def test_the_class_is_decided_as_on_the_evaluation_set(con: DuckDBPyConnection) -> None:
    """By its cut-off where it has one; else the logged prediction is the class."""
    score, label = binary(8, 1000)
    asked = settings({"accuracy": {"threshold": 0.5}})
    said = 1 - label  # always wrong
    columns = {"prediction": said, "score": score}
    cut = BINARY.model_copy(update={"predictions": BINARY.predictions.model_copy(update={"cut_off": 0.3})})
    rows, one = read(con, columns, label.tolist(), asked, cut)
    value = measure(performance.section(rows, one, asked, Setting()), "accuracy").value
    assert value == oracle.accuracy_score(label, score >= 0.3)
    named = evaluation(predictions={"path": "p.parquet", "class": "c", "score": "p"}, columns={"id": "i", "label": "y"})
    rows, one = read(con, columns, label.tolist(), asked, named, positive=1)
    assert measure(performance.section(rows, one, asked, Setting()), "accuracy").value == 0.0


def test_a_model_that_answers_with_the_probability_itself_is_cut(con: DuckDBPyConnection) -> None:
    score, label = binary(9, 1000)
    asked = settings({"roc_auc": {"threshold": 0.5}, "accuracy": {"threshold": 0.5}})
    rows, one = read(con, {"prediction": score}, label.tolist(), asked)
    found = performance.section(rows, one, asked, Setting())
    assert measure(found, "roc_auc").value == pytest.approx(oracle.roc_auc_score(label, score), abs=1e-12)
    assert measure(found, "accuracy").value == oracle.accuracy_score(label, score >= 0.5)


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "text"])
def test_numbers_that_are_predicted(con: DuckDBPyConnection, text: bool) -> None:
    random = np.random.default_rng(10)
    label = random.normal(50, 10, 500).round(3)
    said = label + random.normal(0, 3, 500)
    asked = settings({"mae": {"threshold": 10}, "r2": {"threshold": 0.1}, "max_error": {"threshold": 100}})
    prediction = [repr(float(x)) for x in said] if text else said
    rows, one = read(con, {"prediction": prediction}, label.tolist(), asked, evaluation())
    found = performance.section(rows, one, asked, Setting())
    assert found.state == "ok"
    assert measure(found, "mae").value == pytest.approx(oracle.mean_absolute_error(label, said))
    assert measure(found, "r2").value == pytest.approx(oracle.r2_score(label, said))
    assert measure(found, "max_error").value == pytest.approx(oracle.max_error(label, said))


def test_classes_with_names(con: DuckDBPyConnection) -> None:
    random = np.random.default_rng(11)
    names = np.array(["cat", "dog", "owl"])
    label = names[random.integers(0, 3, 900)]
    said = np.where(random.random(900) < 0.7, label, names[random.integers(0, 3, 900)])
    asked = settings({"accuracy": {"threshold": 0.1}, "f1": {"average": "macro", "threshold": 0.1}})
    rows, one = read(con, {"prediction": said.tolist()}, label.tolist(), asked, evaluation())
    found = performance.section(rows, one, asked, Setting())
    assert measure(found, "accuracy").value == oracle.accuracy_score(label, said)
    assert measure(found, "f1").value == pytest.approx(oracle.f1_score(label, said, average="macro"))


def test_whole_numbers_are_classes_where_a_rule_is_about_classes(con: DuckDBPyConnection) -> None:
    label = [0, 1, 2] * 100
    asked = settings({"accuracy": {"threshold": 0.9}})
    rows, one = read(con, {"prediction": [float(x) for x in label]}, label, asked, evaluation())
    assert measure(performance.section(rows, one, asked, Setting()), "accuracy").value == 1.0
    asked = settings({"mae": {"threshold": 0.9}})
    rows, one = read(con, {"prediction": [x + x * 0.1 for x in label]}, label, asked, evaluation())
    assert measure(performance.section(rows, one, asked, Setting()), "mae").value == pytest.approx(0.1)


def test_a_rule_without_a_limit_is_never_met(con: DuckDBPyConnection) -> None:
    score, label = binary(18, 400)
    found = judged(con, score, label, {"accuracy": {}})
    assert (found.state, measure(found, "accuracy").value) == ("unknown", None)
    assert check(found, "accuracy.unknown").verdict is Verdict.INCONCLUSIVE


def test_positive_is_what_the_truth_says(con: DuckDBPyConnection) -> None:
    score, label = binary(12, 600)
    words = ["yes" if x else "no" for x in label]
    asked = settings({"roc_auc": {"threshold": 0.5}})
    of = evaluation(predictions={"path": "p", "score": "p"}, columns={"id": "i", "label": "y"})
    rows, one = read(con, {"prediction": words, "score": score}, words, asked, of, positive="yes")
    found = performance.section(rows, one, asked, Setting())
    assert measure(found, "roc_auc").value == pytest.approx(oracle.roc_auc_score(label, score))
    rows, one = read(con, {"prediction": words, "score": score}, words, asked, of)
    found = performance.section(rows, one, asked, Setting())
    assert found.state == "unknown"
    assert "none of them says that it is the positive one" in measure(found, "roc_auc").reason
    assert "truth: {positive: yes}" in measure(found, "roc_auc").reason


def test_without_truth_nothing_is_measured_and_the_ids_are_shown(con: DuckDBPyConnection) -> None:
    asked = settings({"accuracy": {"threshold": 0.5}})
    log = log_of(con, 300, {"prediction": [1] * 300, "score": [0.7] * 300})
    told = table(con, {"request_id": [f"R-{at}" for at in range(300)], "label": [1] * 300})
    one = join(con, log, told, truth(), window=WINDOW, now=LATER)
    found = performance.section(answered.read(con, one.relation, answered.How()), one, asked, Setting())
    assert found.state == "unknown"
    assert measure(found, "accuracy").reason == (
        "None of 300 predictions has truth: no request id of the log is one of the truth "
        "(the log has `r0`, the truth `R-0`)."
    )
    assert (measure(found, "truth_share").state, measure(found, "truth_share").value) == ("ok", 0.0)
    con.execute(f"DELETE FROM {log.relation}")
    one = join(con, log, told, truth(), window=WINDOW, now=LATER)
    found = performance.section(answered.read(con, one.relation, answered.How()), one, asked, Setting())
    assert measure(found, "truth_share").state == measure(found, "accuracy").state == "unknown"


def test_truth_that_comes_for_some_scores_more_often_is_said(con: DuckDBPyConnection) -> None:
    score, label = binary(13, 2000)
    asked = settings({"accuracy": {"threshold": 0.1}})
    columns = {"prediction": [1] * 2000, "score": score}
    random = np.random.default_rng(14)
    known = [int(x) if random.random() < 0.3 + 0.6 * p else None for x, p in zip(label, score, strict=True)]
    rows, one = read(con, columns, known, asked)
    told = check(performance.section(rows, one, asked, Setting()), "watch.performance.truth")
    assert told.verdict is Verdict.WARN
    assert "What is measured holds for the rows that have truth." in told.reason
    even = [int(x) if random.random() < 0.5 else None for x in label]
    rows, one = read(con, columns, even, asked)
    section = performance.section(rows, one, asked, Setting())
    assert not [one for one in section.checks if one.id == "watch.performance.truth"]


def test_what_is_known_so_far_is_shown_and_is_no_reading(con: DuckDBPyConnection) -> None:
    score, label = binary(15, 300)
    asked = settings({"roc_auc": {"threshold": 0.99}, "row_mean": {}})
    rows, _ = read(con, {"prediction": [1] * 300, "score": score}, label.tolist(), asked)
    shown = performance.provisional(rows, asked)
    assert list(shown) == ["roc_auc so far"]
    assert shown["roc_auc so far"].startswith(f"{oracle.roc_auc_score(label, score):.4g} (")
    assert shown["roc_auc so far"].endswith(", 300 rows")


def test_predictions_of_another_version_are_said(con: DuckDBPyConnection) -> None:
    score, label = binary(17, 400)
    asked = settings({"roc_auc": {"threshold": 0.1}})
    versions = ["v1.1.0"] * 100 + ["v1.2.0"] * 300
    rows, one = read(con, {"prediction": label, "score": score, "version": versions}, label.tolist(), asked)
    told = check(performance.section(rows, one, asked, Setting(version="v1.2.0")), "watch.performance.versions")
    assert told.verdict is Verdict.WARN
    assert told.reason == "Other versions answered, too (v1.1.0: 100 rows): the committed metrics are of v1.2.0."
    assert not [c for c in performance.section(rows, one, asked, Setting()).checks if c.id.endswith("versions")]


def test_a_metric_of_another_task_is_unknown(con: DuckDBPyConnection) -> None:
    score, label = binary(16, 400)
    asked = settings({"accuracy": {"threshold": 0.1}, "mae": {"threshold": 1}})
    way = answered.How(task="binary", positive=1)
    log = log_of(con, 400, {"prediction": label, "score": score})
    one = join(con, log, truth_of(con, label.tolist()), truth(), window=WINDOW, now=LATER)
    found = performance.section(answered.read(con, one.relation, way), one, asked, Setting())
    assert measure(found, "mae").reason == "mae cannot be measured: it is not defined for binary labels."
    assert measure(found, "accuracy").state == "ok"
    assert found.state == "unknown"


def test_the_rule_says_where_it_stands(con: DuckDBPyConnection) -> None:
    asked = settings({"ndcg": {"threshold": 0.5}})
    way = answered.how(evaluation(task="ranking"), truth(), {"ndcg": Rule()})
    assert answered.read(con, "nowhere", way).wrong == "rankings are not measured in production"
    assert way.ranked
    assert asked.min_rows == 200
