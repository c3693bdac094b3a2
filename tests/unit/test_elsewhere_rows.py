"""Champions in a folder and anchors, by rows: predictions joined by id, intervals, and ids that do not belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from measured import MLGATE, Measured, Persons, table

PINNED = MLGATE.replace("champion: main", "champion: path:baseline")
ANCHORED = MLGATE.replace("champion: main", "champion: main\n  anchor: v1").replace(
    "threshold: 0.6, max_absolute_regression: 0.02", "max_absolute_regression: 0.05, max_anchor_regression: 0.05"
)


@pytest.fixture(scope="module")
def persons() -> Persons:
    return Persons(3000)


def rule(repo: Measured, check_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in repo.evidence()["checks"] if c["id"] == check_id)
    return found


def pinned(path: Path, persons: Persons, *, drop: int = 0) -> Measured:
    """The baseline's metrics and predictions are committed in a folder; the base's own model is another one."""
    repo = Measured(path)
    scores = persons.scores(0.9, seed=5)
    repo.put(persons, scores, config=PINNED)
    rows = [{"person": i, "p_visit": float(p)} for i, p in enumerate(scores)]
    repo.write("baseline/eval.json", (repo.path / "metrics/eval.json").read_bytes())
    repo.write("baseline/predictions.csv", table(rows[drop:]))
    repo.put(persons, persons.scores(0.3, seed=6))
    repo.commit("Base")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.put(persons, persons.scores(0.5, seed=7))
    repo.commit("Better than the baseline")
    return repo


def test_predictions_in_the_folder_are_joined_by_id(tmp_path: Path, persons: Persons) -> None:
    repo = pinned(tmp_path / "repo", persons)
    done = repo.mlgate("compare")
    assert done.returncode == 0, done.stdout
    check = rule(repo, "rules.auc.absolute_regression")
    assert (check["rows"], check["outcome"]) == (3000, "superior")
    assert repo.evidence()["champion"]["how"] == "compare.champion is the folder baseline"
    assert not [said for said in repo.evidence()["not_run"] if "baseline" in said]


def test_predictions_of_other_rows_in_the_folder_are_an_error(tmp_path: Path, persons: Persons) -> None:
    repo = pinned(tmp_path / "repo", persons, drop=7)
    assert repo.mlgate("compare").returncode == 2
    assert any("7" in reason and "baseline/predictions.csv" in reason for reason in repo.checks("error").values())


def test_an_anchor_is_held_against_the_challenger_by_rows(tmp_path: Path, persons: Persons) -> None:
    repo = Measured(tmp_path / "repo")
    for seed, noise in ((1, 0.2), (2, 0.5)):
        repo.put(persons, persons.scores(noise, seed=seed), config=ANCHORED)
        repo.commit()
        if seed == 1:
            repo.git("tag", "v1")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.put(persons, persons.scores(0.9, seed=3))
    repo.commit("Again a little worse")
    assert repo.mlgate("compare").returncode in (1, 3)
    check = rule(repo, "rules.auc.anchor")
    assert (check["outcome"], check["verdict"], check["rows"]) == ("worse", "fail", 3000)
    assert check["method"]
    assert check["interval"][1] < -0.05
