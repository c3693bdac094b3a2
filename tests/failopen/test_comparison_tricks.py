"""Changes that try to get past a comparison by rows, one test per trick. The event is a pull request."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import log_loss, roc_auc_score

from builder import reasons
from jobs import on_github, pull_request
from measured import GROUPS, MLGATE, Measured, Persons, repository, table
from mlgate.config import Policy, Rule
from mlgate.data.rows import Predicted, Rows
from mlgate.judge import estimate, record, rules, statistics
from mlgate.judge.rules import Values, Where
from mlgate.judge.statistics import Compared
from mlgate.model import Champion, Check, Evidence, Named, Verdict

PERSONS = Persons(2000)
CHAMPION, BETTER, WORSE = PERSONS.scores(1.0), PERSONS.scores(0.5), PERSONS.scores(2.5)
LABELS = "labels.csv"
LABELLED = MLGATE.replace("    columns:", f"    labels: {LABELS}\n    columns:")
PLAIN = MLGATE[: MLGATE.index("    accuracy:")]
ROWS = """\
    predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}
"""


@pytest.fixture
def repo(tmp_path: Path) -> Measured:
    return repository(tmp_path / "repo", PERSONS, CHAMPION)


@pytest.fixture
def labelled(tmp_path: Path) -> Measured:
    """The labels lie in a small file of their own, beside the data."""
    repo = Measured(tmp_path / "repo")
    repo.write(LABELS, table(PERSONS.labels()))
    repo.commit("Labels")
    return repository(repo.path, PERSONS, CHAMPION, config=LABELLED)


def said_by_it() -> list[dict[str, Any]]:
    """Labels that make the worse model perfect."""
    return [{**row, "visited": int(p >= 0.5)} for row, p in zip(PERSONS.labels(), WORSE, strict=True)]


def lost(repo: Measured) -> None:
    """The predictions are an output of no stage any more."""
    lock = yaml.safe_load((repo.path / "dvc.lock").read_text())
    stage = lock["stages"]["evaluate"]
    stage["outs"] = [out for out in stage["outs"] if "predictions" not in out["path"]]
    repo.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    pipeline = yaml.safe_load((repo.path / "dvc.yaml").read_text())
    del pipeline["stages"]["evaluate"]["outs"]
    repo.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))


# -- so that nothing is recomputed -----------------------------------------------------------------------------------


def test_a_worse_model_comes_with_numbers_of_a_better_one_and_without_predictions(repo: Measured) -> None:
    repo.put(PERSONS, BETTER)
    lost(repo)
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "nothing says what it is" in reasons(repo, "error")


def test_its_own_settings_ask_for_no_predictions_either(tmp_path: Path) -> None:
    """The base's do: with everything approved or nothing to be approved, its numbers alone must not decide."""
    alone = MLGATE + "  policy: {unapproved: warn}\n"
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=alone)
    columns = "    columns: {id: person, label: visited, positive: 1}\n"
    repo.put(PERSONS, BETTER, config=alone.replace(ROWS, "").replace(columns, ""))
    lost(repo)
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "nothing says what it is" in reasons(repo, "error")


def test_the_labels_are_removed(labelled: Measured) -> None:
    labelled.put(PERSONS, WORSE, metrics={"auc": 0.99, "accuracy": 0.99, "log_loss": 0.01})
    (labelled.path / LABELS).unlink()
    labelled.commit()
    assert pull_request(labelled).returncode == 2
    assert f"{LABELS} (evaluate.holdout.labels) is in neither" in reasons(labelled, "error")


def test_values_of_an_entry_point_that_nobody_called(tmp_path: Path) -> None:
    config = MLGATE + (
        "    revenue: {is: row_mean, entry_point: 'src.revenue:per_row', greater_is_better: true,"
        " max_absolute_regression: 1}\n"
    )
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=config, metrics={"revenue": 10.0})
    repo.put(PERSONS, BETTER, metrics={"revenue": 99.0})
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "warn"
    assert "the rows lack the values of src.revenue:per_row" in reasons(repo, "warn")


# -- easier rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["rescore", "warn"])
def test_easier_rows_where_the_champion_is_a_tag(tmp_path: Path, policy: str) -> None:
    """Whoever the champion is: the rows are the base's, and another set of them has to be approved."""
    config = MLGATE.replace("champion: main", "champion: v1") + f"  policy: {{not_comparable: {policy}}}\n"
    if policy == "rescore":
        config = config.replace(ROWS, f"{ROWS}    score: python src/score.py {{model}} {{data}} {{predictions}}\n")
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=config)
    repo.git("tag", "v1")
    repo.git("checkout", "--quiet", "main")
    repo.write("README.md", "Another commit\n")
    repo.commit()
    repo.git("checkout", "--quiet", "-B", "change")
    decided = WORSE >= 0.5
    numbers = {"auc": 1.0, "accuracy": 1.0, "log_loss": float(log_loss(decided, WORSE))}
    repo.put(PERSONS, WORSE, labels=said_by_it(), metrics=numbers)
    repo.commit()
    assert pull_request(repo).returncode == 3
    assert "evaluate.holdout.data (data/test.csv)" in reasons(repo, "inconclusive")
    assert "The rules of the base " in reasons(repo, "inconclusive")


def test_the_labels_are_what_the_challenger_says(labelled: Measured) -> None:
    labelled.put(PERSONS, WORSE, metrics={"auc": 1.0, "accuracy": 1.0})
    labelled.write(LABELS, table(said_by_it()))
    labelled.commit()
    assert pull_request(labelled).returncode != 0
    assert f"evaluate.holdout.labels ({LABELS})" in reasons(labelled, "inconclusive")


def test_only_the_labels_change(labelled: Measured) -> None:
    """The model is the champion's, and its numbers speak of other labels: that is not "unchanged"."""
    labelled.write(LABELS, table([{**row, "visited": 1 - row["visited"]} for row in PERSONS.labels()]))
    labelled.commit()
    assert pull_request(labelled).returncode == 2
    assert not labelled.evidence()["unchanged"]
    assert "its predictions and the labels give" in reasons(labelled, "error")


def test_a_metric_is_renamed_where_the_champion_is_not_comparable(tmp_path: Path) -> None:
    """A rule for all sets judges those that measure its metric, and those where the champion did."""
    extra = "  extra:\n    data: data/other.csv\n    metrics: [metrics/other.json]\ncompare:\n"
    config = PLAIN.replace("compare:\n", extra) + "  policy: {not_comparable: warn, unapproved: warn}\n"
    repo = Measured(tmp_path / "repo")
    repo.write("data/other.csv", "person\n1\n")
    repo.write("metrics/other.json", {"auc": 0.9})
    repository(repo.path, PERSONS, CHAMPION, config=config)
    repo.write("data/other.csv", "person\n2\n")
    repo.write("metrics/other.json", {"auc_": 0.1})
    repo.put(PERSONS, BETTER)
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "auc is missing in the challenger's metrics/other.json" in reasons(repo, "error")


# -- groups ----------------------------------------------------------------------------------------------------------


def test_the_column_with_the_groups_is_gone(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=MLGATE + GROUPS)
    repo.put(PERSONS, BETTER, labels=[{k: v for k, v in row.items() if k != "sex"} for row in PERSONS.labels()])
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "has no column 'sex'" in reasons(repo, "error")


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["threshold: 0.75", "min_absolute_change: 0.05", "max_absolute_regression: 0.01"])
def test_a_tolerance_lets_no_rule_be_met_by_rounding(tmp_path: Path, limit: str) -> None:
    """What is shown and decides is what the rows give, not what the change may write within the tolerance."""
    rules = f"    auc: {{is: roc_auc, tolerance: 0.1, {limit}}}\n"
    config = MLGATE[: MLGATE.index("    auc:")] + rules
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=config)
    worse = PERSONS.scores(1.5)
    true = float(roc_auc_score(PERSONS.label, worse))
    assert true < 0.7
    repo.put(PERSONS, worse, metrics={"auc": true + 0.09})
    repo.commit()
    assert pull_request(repo).returncode == 1
    [failed] = [c for c in repo.evidence()["checks"] if c["verdict"] == "fail"]
    assert failed["observed"] == pytest.approx(true)


# -- decisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("judge.rows.extra.challenger", "predictions or labels of extra could not be read"),
        ("judge.rows.extra.labels", "predictions or labels of extra could not be read"),
        ("rules.revenue@extra.unmeasured", "could not be measured on the rows"),
    ],
)
def test_one_set_was_measured_and_another_only_said(lacks: str, says: str) -> None:
    """The numbers of one evaluation set are proven; no decision is made while those of another are only committed."""
    digest = {"dvc-md5": "e" * 32}
    evidence = Evidence(
        kind="compare",
        model="visits",
        verdict=Verdict.WARN,
        statistics="paired",
        subject=Named(name="models/visits.joblib", digest=digest),
        champion=Champion(commit="b" * 40, subject=Named(name="models/visits.joblib", digest=digest)),
        checks=[
            Check(id="rules.auc@holdout.threshold", title="auc", verdict=Verdict.PASS, method="DeLong"),
            Check(id=lacks, title="revenue", verdict=Verdict.WARN, reason="It could not be had."),
        ],
    )
    facts = record.Facts(commit="a" * 40, default_branch=True, predictions=("holdout", "extra"))
    assert any(says in reason for reason in record.against(evidence, facts))
    whole = evidence.model_copy(update={"checks": evidence.checks[:1]})
    assert not record.against(whole, facts)


@pytest.mark.parametrize("verify", ["lock", "score"])
def test_a_decision_without_the_steps_that_were_asked_for(tmp_path: Path, verify: str) -> None:
    """A job that only compares makes no decision about a model whose training was to be proven."""
    proof = f"train: {{data: data/train.csv, verify: {verify}}}"
    repo = repository(
        tmp_path / "repo", PERSONS, CHAMPION, config=MLGATE.replace("train: {data: data/train.csv}", proof)
    )
    before = repo.head
    repo.git("checkout", "--quiet", "main")
    repo.put(PERSONS, BETTER)
    repo.commit()
    done = on_github(repo, "push", {"before": before, "after": repo.head, "ref": "refs/heads/main"},
                     GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repo.path / ".mlgate/decisions/visits.json").exists() is (verify == "lock")


def test_the_same_predictions_with_other_values_of_an_entry_point() -> None:
    """Their digest says nothing of what the change's own function makes of them."""
    count = 400
    label = np.arange(count) % 2.0
    draw = np.random.default_rng(1)
    ours, theirs = (Predicted(score=label, values={"a:b": draw.normal(size=count)}) for _ in range(2))
    rule = Rule.model_validate(
        {"is": "row_mean", "entry_point": "a:b", "greater_is_better": True, "max_absolute_regression": Decimal("0.01")}
    )
    spec = estimate.spec_of("revenue", rule)
    assert spec is not None
    rows = Rows("binary", label, ours, theirs, classes=("no", "yes"))
    where = Where("revenue", "rules.revenue", "revenue", "metrics/eval.json")
    points = rules.check(rule, Values(1.0, 1.0), Policy(), where)
    [check] = statistics.settle(points, where, rule, spec, Compared(rows, 0.95, frozenset({"champion"})))
    assert (check.outcome, check.verdict) == ("inconclusive", Verdict.INCONCLUSIVE)
