"""Honest changes that a comparison by rows must not stop, and files that it must name without falling over."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from measured import GROUPS, MLGATE, Measured, Persons, repository, table

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


# -- what a number means changes with the commit that wrote it -------------------------------------------------------


def approved(text: str) -> str:
    return text + "  policy: {unapproved: warn}\n"


def test_another_cut_off_with_the_numbers_that_it_gives(tmp_path: Path) -> None:
    """Either version judges both models by its own cut-off; a committed number is held to the one of its commit."""
    decided = BETTER >= 0.45
    after = approved(MLGATE).replace("cut_off: 0.5", "cut_off: 0.45")
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=approved(MLGATE))
    repo.put(PERSONS, BETTER, config=after, metrics={"accuracy": float(accuracy_score(PERSONS.label, decided))})
    repo.commit("Another cut-off")
    assert judged(repo, 0) == "warn"
    assert repo.checks("warn").keys() == {"judge.rules-changed"}
    before, proposed = (repo.check(f"{at}.accuracy.absolute_regression") for at in ("rules", "proposed"))
    assert before["observed"] == pytest.approx(accuracy_score(PERSONS.label, BETTER >= 0.5))
    assert proposed["observed"] == pytest.approx(accuracy_score(PERSONS.label, decided))
    assert proposed["champion"] == pytest.approx(accuracy_score(PERSONS.label, CHAMPION >= 0.45))


def test_another_cut_off_with_numbers_that_it_does_not_give(tmp_path: Path) -> None:
    after = approved(MLGATE).replace("cut_off: 0.5", "cut_off: 0.45")
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=approved(MLGATE))
    repo.put(PERSONS, BETTER, config=after, metrics={"accuracy": 0.99})
    repo.commit("Another cut-off")
    assert judged(repo, 2) == "error"
    assert repo.checks("error").keys() == {"proposed.accuracy.recomputed.challenger"}


def test_the_score_has_another_name(tmp_path: Path) -> None:
    after = approved(MLGATE).replace("score: p_visit", "score: p")
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=approved(MLGATE))
    rows = [{"person": i, "p": float(p)} for i, p in enumerate(BETTER)]
    repo.put(PERSONS, BETTER, config=after, rows=rows)
    repo.commit("Another name")
    assert judged(repo, 0) == "warn"
    assert repo.checks("warn").keys() == {"judge.rules-changed"}
    assert repo.check("rules.auc.absolute_regression")["outcome"] == "superior"


def test_other_labels_for_the_same_rows(tmp_path: Path) -> None:
    """Corrected labels: the champion's predictions are held against them, its numbers speak of the old ones."""
    config = approved(MLGATE).replace("    columns:", "    labels: labels.csv\n    columns:")
    repo = Measured(tmp_path / "repo")
    wrong = PERSONS.labels()
    wrong[0]["visited"] = 1 - wrong[0]["visited"]
    repo.write("labels.csv", table(wrong))
    truth = [row["visited"] for row in wrong]
    old = {
        "auc": float(roc_auc_score(truth, CHAMPION)),
        "accuracy": float(accuracy_score(truth, CHAMPION >= 0.5)),
        "log_loss": float(log_loss(truth, CHAMPION)),
    }
    repository(repo.path, PERSONS, CHAMPION, config=config, metrics=old)
    repo.write("labels.csv", table(PERSONS.labels()))
    repo.put(PERSONS, BETTER)
    repo.commit("Correct a label")
    assert judged(repo, 0) == "warn"
    assert repo.checks("warn").keys() == {"judge.rules-changed"}
    assert "were held against these labels, too" in repo.checks("pass")["judge.comparable.holdout"]


@pytest.mark.parametrize(("model", "warns"), [("the same", True), ("another", False)])
def test_a_champion_is_as_old_as_its_model(tmp_path: Path, model: str, *, warns: bool) -> None:
    """Commits that leave the model alone do not make it younger."""
    repo = Measured(tmp_path / "repo")
    config = PLAIN.replace("champion: main", "champion: main\n  max_age: 90 days")
    repo.write(".gitignore", "/data/test.csv\n/eval/predictions.csv\n/.dvc/cache\n/.mlgate\n")
    repo.put(PERSONS, CHAMPION, config=config)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "A model", GIT_COMMITTER_DATE="2020-01-01T00:00:00Z")
    if model == "another":
        repo.put(PERSONS, PERSONS.scores(0.8))
    repo.write("README.md", "Read me\n")
    repo.commit("Today")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.put(PERSONS, BETTER)
    repo.commit("A better model")
    assert judged(repo, 0) == ("warn" if warns else "pass")
    assert ("judge.champion.age" in repo.checks("warn")) is warns


def test_groups_alone_are_rules(tmp_path: Path) -> None:
    repo = changed(tmp_path, MLGATE[: MLGATE.index("  rules:")] + GROUPS)
    assert judged(repo, 0) == "pass"
    assert "judge.no-rules" not in repo.checks()


def test_a_bias_report_of_an_earlier_run_does_not_stay(tmp_path: Path) -> None:
    repo = changed(tmp_path, MLGATE + GROUPS)
    judged(repo, 0)
    report = repo.path / ".mlgate/bias/visits/bias_report.json"
    assert report.exists()
    repo.put(PERSONS, PERSONS.scores(0.4))
    repo.commit("Another one, whose predictions are not here")
    (repo.path / "eval/predictions.csv").unlink()
    repo.git("clean", "--quiet", "-xfd", ".dvc")
    judged(repo, 0)
    assert not report.exists()
