"""`mlgate compare` with the rows behind the metrics: what is proven, what is not, and what is wrong with the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from measured import GROUPS, MLGATE, PREDICTIONS, TEST, Measured, Persons, repository

PERSONS = Persons()
CHAMPION = PERSONS.scores(1.0)


@pytest.fixture
def repo(tmp_path: Path) -> Measured:
    return repository(tmp_path / "repo", PERSONS, CHAMPION)


def judge(repo: Measured, scores: np.ndarray, code: int, **more: Any) -> str:
    """The verdict about a challenger with these scores."""
    repo.put(PERSONS, scores, config=more.pop("config", None), **more)
    repo.commit("Another model")
    done = repo.mlgate("compare")
    assert done.returncode == code, done.stdout + done.stderr
    verdict: str = repo.evidence()["verdict"]
    return verdict


# -- what the rows prove ---------------------------------------------------------------------------------------------


def test_a_better_model_passes_and_shows_how_sure_that_is(repo: Measured) -> None:
    assert judge(repo, PERSONS.scores(0.5), 0) == "pass"
    evidence = repo.evidence()
    assert evidence["statistics"] == "paired"
    assert evidence["controls"]["passed"] == evidence["controls"]["total"] > 20
    auc = repo.check("rules.auc.absolute_regression")
    assert (auc["outcome"], auc["rows"]) == ("superior", 4000)
    assert auc["method"].startswith("DeLong")
    assert repo.check("rules.accuracy.absolute_regression")["method"] == "Tango"
    assert {figure["kind"] for figure in evidence["figures"]} >= {"roc", "calibration", "confusion"}


def test_a_noisy_model_that_is_as_good_is_not_called_worse(repo: Measured) -> None:
    """Its AUC is 0.012 lower by chance: a comparison of points would call that a regression."""
    noisy = PERSONS.scores(1.0, seed=4)
    assert judge(repo, noisy, 3) == "inconclusive"
    undecided = repo.checks("inconclusive")
    assert undecided.keys() <= {
        "rules.auc.absolute_regression", "rules.accuracy.absolute_regression", "rules.log_loss.relative_regression",
    }  # fmt: skip
    assert all("cannot tell" in reason for reason in undecided.values())


def test_a_worse_model_fails_because_that_is_proven(repo: Measured) -> None:
    assert judge(repo, PERSONS.scores(2.5), 1) == "fail"
    assert repo.check("rules.auc.absolute_regression")["outcome"] == "worse"


# -- groups ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def grouped(tmp_path: Path) -> Measured:
    return repository(tmp_path / "repo", PERSONS, CHAMPION, config=MLGATE + GROUPS)


def test_better_on_the_whole_and_worse_in_one_region(grouped: Measured) -> None:
    good, bad = PERSONS.scores(0.3), PERSONS.scores(3.0, seed=4)
    assert judge(grouped, np.where(PERSONS.region == "north", bad, good), 1) == "fail"
    assert grouped.check("rules.auc.absolute_regression")["verdict"] == "pass"
    failed = grouped.checks("fail")
    assert [name for name in failed if name.startswith("slices.")]
    assert any("north" in c["title"] for c in grouped.evidence()["checks"] if c["verdict"] == "fail")


def test_more_accurate_and_unfair(grouped: Measured) -> None:
    shift = np.where(PERSONS.sex == "f", -1.2, 1.2)
    assert judge(grouped, PERSONS.scores(0.2, shift=shift), 1) == "fail"
    assert [name for name in grouped.checks("fail") if name.startswith("fairness.")]
    report = (grouped.path / ".mlgate/bias/visits/bias_report.md").read_text()
    assert "29 CFR 1607.4(D)" in report


def test_groups_do_not_vanish_where_there_are_no_rows(grouped: Measured) -> None:
    grouped.put(PERSONS, PERSONS.scores(0.5))
    grouped.commit("Another model")
    (grouped.path / PREDICTIONS).unlink()
    grouped.git("clean", "--quiet", "-xfd", ".dvc")
    done = grouped.mlgate("compare")
    assert done.returncode == 0, done.stdout
    assert grouped.evidence()["verdict"] == "warn"
    assert "Slices and fairness were not judged" in grouped.checks("warn")["judge.groups.holdout"]
    assert grouped.evidence()["statistics"] == "none"


# -- what is wrong with the files ------------------------------------------------------------------------------------


def test_a_metric_that_its_predictions_do_not_give(repo: Measured) -> None:
    assert judge(repo, PERSONS.scores(1.0, seed=3), 2, metrics={"auc": 0.99}) == "error"
    assert "its predictions and the labels give" in repo.checks("error")["rules.auc.recomputed.challenger"]


def test_labels_come_from_the_data_and_not_from_the_predictions(repo: Measured) -> None:
    scores = PERSONS.scores(2.5)
    rows = [
        {"person": i, "p_visit": float(p), "visited": int(p >= 0.5)} for i, p in enumerate(scores)
    ]  # fmt: skip
    assert judge(repo, scores, 1, rows=rows) == "fail"


def _rows(scores: np.ndarray) -> list[dict[str, Any]]:
    return [{"person": i, "p_visit": float(p)} for i, p in enumerate(scores)]


def _with(rows: list[dict[str, Any]], place: int, **values: Any) -> list[dict[str, Any]]:
    return [*rows[:place], {**rows[place], **values}, *rows[place + 1 :]]


SCORES = PERSONS.scores(0.5)
WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a row is missing": (_rows(SCORES)[:-1], "1 "),
    "a row is extra": ([*_rows(SCORES), {"person": 99_999, "p_visit": 0.5}], "1 "),
    "an id is there twice": ([*_rows(SCORES), {"person": 7, "p_visit": 0.5}], "1 "),
    "a score is missing": (_with(_rows(SCORES), 3, p_visit=""), "1 "),
    "a score is not a number": (_with(_rows(SCORES), 3, p_visit="nan"), "1 "),
    "a probability is more than one": (_with(_rows(SCORES), 3, p_visit=1.5), "1 "),
    "another column": ([{"person": r["person"], "p": r["p_visit"]} for r in _rows(SCORES)], "p_visit"),
}


@pytest.mark.parametrize(("rows", "says"), WRONG.values(), ids=WRONG.keys())
def test_predictions_that_do_not_belong_to_the_labels(repo: Measured, rows: list[dict[str, Any]], says: str) -> None:
    assert judge(repo, SCORES, 2, rows=rows) == "error"
    wrong = [c for c in repo.evidence()["checks"] if c["verdict"] == "error" and c["id"].startswith("judge.rows.")]
    assert says in wrong[0]["reason"], wrong
    assert wrong[0]["location"]["file"] == PREDICTIONS


def test_rows_in_another_order_are_the_same_rows(repo: Measured) -> None:
    assert judge(repo, SCORES, 0, rows=_rows(SCORES)[::-1]) == "pass"


def test_another_file_under_the_committed_digest_is_not_read(repo: Measured) -> None:
    """What lies in the working tree and in the cache is not what the lock names."""
    repo.put(PERSONS, PERSONS.scores(2.5))
    repo.commit("A worse model")
    better = "person,p_visit\n" + "".join(f"{i},{0.9 if y else 0.1}\n" for i, y in enumerate(PERSONS.label))
    repo.write(PREDICTIONS, better)
    for file in (repo.path / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file() and b"p_visit" in file.read_bytes()[:40]:
            file.write_text(better)
    done = repo.mlgate("compare")
    assert done.returncode == 1, done.stdout
    assert repo.evidence()["statistics"] == "none"
    assert "could not be had" in repo.checks("warn")["judge.rows.holdout.challenger"]


def test_a_champion_without_predictions_is_compared_by_numbers_and_that_is_said(tmp_path: Path) -> None:
    plain = MLGATE.replace(", score: p_visit, cut_off: 0.5", "")
    repo = repository(tmp_path / "repo", PERSONS, CHAMPION, config=plain)
    (repo.path / "dvc.yaml").write_text((repo.path / "dvc.yaml").read_text().replace(f"- {PREDICTIONS}", ""))
    repo.git("checkout", "--quiet", "main")
    repo.model(config=plain.replace("    predictions: {path: eval/predictions.csv}\n", ""))
    repo.write(TEST, b"")
    repo.put(PERSONS, CHAMPION, config=MLGATE)
    lock = (repo.path / "dvc.lock").read_text()
    start = lock.index("  - path: eval/predictions.csv")
    repo.write("dvc.lock", lock[:start] + lock[lock.index("\n", lock.index("size:", start)) + 1 :])
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text().replace("- eval/predictions.csv", "- eval/other.csv"))
    repo.commit("A champion whose predictions nobody kept")
    repo.git("checkout", "--quiet", "-B", "change")
    assert judge(repo, PERSONS.scores(0.5), 0) == "warn"
    assert "The champion has no predictions" in repo.checks("warn")["judge.rows.holdout.champion"]


def test_the_first_model_has_nobody_to_be_compared_with(tmp_path: Path) -> None:
    repo = Measured(tmp_path / "repo")
    repo.write(".gitignore", "/.mlgate\n")
    repo.commit("Start")
    repo.git("checkout", "--quiet", "-b", "change")
    assert judge(repo, CHAMPION, 0, config=MLGATE) == "warn"
    evidence = repo.evidence()
    assert evidence["controls"]["passed"] == evidence["controls"]["total"]
    assert repo.check("rules.auc.threshold")["verdict"] == "pass"
