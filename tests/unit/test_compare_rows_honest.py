"""Honest changes that a comparison by rows must not stop, and files that it must name without falling over."""

from __future__ import annotations

from pathlib import Path

import pytest

from measured import MLGATE, Measured, Persons, repository

PERSONS = Persons(2000)
CHAMPION, BETTER = PERSONS.scores(1.0), PERSONS.scores(0.5)
PLAIN = MLGATE.replace("    accuracy: {is: accuracy, max_absolute_regression: 0.02}\n", "").replace(
    "    log_loss: {is: log_loss, max_relative_regression: 5%}\n", ""
)


def changed(tmp_path: Path, before: str, after: str | None = None, **more: object) -> Measured:
    """A better model, judged by `before`; the change's own mlgate.yaml is `after`."""
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=before, **more)
    repo.put(PERSONS, BETTER, config=after, **more)
    repo.commit("A better model")
    return repo


def judged(repo: Measured, code: int) -> str:
    done = repo.mlgate("compare")
    assert done.returncode == code, done.stdout + done.stderr
    verdict: str = repo.evidence()["verdict"]
    return verdict


def test_a_rule_moves_to_its_evaluation_set(tmp_path: Path) -> None:
    rule = "    auc: {is: roc_auc, threshold: 0.6, max_absolute_regression: 0.02}\n"
    assert rule in MLGATE
    after = MLGATE.replace(rule, "").replace("compare:\n", f"    rules:\n  {rule}compare:\n")
    repo = changed(tmp_path, MLGATE, after)
    assert judged(repo, 0) == "warn"
    assert repo.checks("warn").keys() == {"judge.rules-changed"}
    assert repo.check("proposed.auc.absolute_regression")["verdict"] == "pass"


# -- what no rows can decide is inconclusive, and no fault of the rule -----------------------------------------------


def test_few_clusters_decide_nothing(tmp_path: Path) -> None:
    labels = [{**row, "clinic": row["person"] % 20} for row in PERSONS.labels()]
    clustered = PLAIN.replace("positive: 1}", "positive: 1, cluster: clinic}")
    repo = changed(tmp_path, clustered, labels=labels)
    assert judged(repo, 3) == "inconclusive"
    assert "20 clusters, 30 needed" in repo.checks("inconclusive")["rules.auc.absolute_regression"]


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_decide_nothing(tmp_path: Path, label: int) -> None:
    labels = [{**row, "visited": label} for row in PERSONS.labels()]
    repo = changed(tmp_path, PLAIN, labels=labels)
    assert judged(repo, 3) == "inconclusive"
    assert "there is only one class" in repo.checks("inconclusive")["rules.auc.undefined"]
    assert "judge.controls" not in repo.checks()
