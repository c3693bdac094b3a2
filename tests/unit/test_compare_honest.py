"""What honest teams do every day and must not be stopped for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder import GOOD, MLGATE, Repo, consumer
from pulls import edit, on_github, pull_request, reasons

BETTER = {"auc": 0.73, "log_loss": 0.57}
BRIER = "    brier: {is: brier_score, max_absolute_regression: 0.01}\n"


@pytest.fixture
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return consumer(tmp_path_factory.mktemp("honest") / "repo")


def both_sides(repo: Repo, change: Callable[[Repo], object]) -> None:
    """The same set-up for champion and challenger."""
    repo.git("checkout", "--quiet", "main")
    repo.model()
    change(repo)
    repo.commit()
    repo.git("checkout", "--quiet", "-B", "change")
    repo.model(BETTER)
    change(repo)
    repo.commit()


# -- adopting it -----------------------------------------------------------------------------------------------------


def test_the_first_pull_request_brings_a_metric_that_was_not_measured_before(tmp_path_factory: Any) -> None:
    repo = Repo(tmp_path_factory.mktemp("first") / "repo")
    repo.model(config=None)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({**GOOD, "brier": 0.2}, config=MLGATE + BRIER)
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "warn"
    assert "the champion did not measure it yet" in reasons(repo, "warn")


def test_a_new_metric_with_its_rule_stays_green_when_it_is_merged(repo: Repo) -> None:
    repo.model({**BETTER, "brier": 0.2}, config=MLGATE + BRIER)
    repo.commit()
    assert pull_request(repo).returncode == 0
    before = repo.git("rev-parse", "main")
    done = on_github(repo, "push", {"before": before}, GITHUB_REF="refs/heads/main")
    assert done.returncode == 0
    assert "brier was not compared: the champion did not measure it yet" in reasons(repo, "warn")


def test_a_model_moves_to_another_folder(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.model(folder="models/old")
    repo.commit()
    repo.git("checkout", "--quiet", "-B", "change")
    repo.git("mv", "models/old", "models/new")
    repo.model(BETTER, folder="models/new")
    repo.commit()
    assert pull_request(repo, "--config", "models/*/mlgate.yaml").returncode == 0
    evidence = repo.evidence()
    assert any(c["id"].startswith("rules.auc.absolute_regression") for c in evidence["checks"])


def test_the_metrics_file_is_renamed(repo: Repo) -> None:
    repo.model(BETTER, config=MLGATE.replace("metrics/eval.json", "metrics/test.json"))
    (repo.path / "metrics/eval.json").rename(repo.path / "metrics/test.json")
    for file in ("dvc.yaml", "dvc.lock"):
        repo.write(file, (repo.path / file).read_text().replace("metrics/eval.json", "metrics/test.json"))
    repo.commit()
    assert pull_request(repo).returncode == 0


def test_another_kind_of_model_takes_over(repo: Repo) -> None:
    repo.model(BETTER, config=MLGATE.replace("models/visits.joblib", "models/boosted.joblib"))
    for file in ("dvc.yaml", "dvc.lock"):
        repo.write(file, (repo.path / file).read_text().replace("visits.joblib", "boosted.joblib"))
    repo.commit()
    assert pull_request(repo).returncode == 0


# -- how DVC is used -------------------------------------------------------------------------------------------------


def test_data_in_a_folder_that_dvc_tracks_as_one(repo: Repo) -> None:
    folder = {"path": "data", "hash": "md5", "md5": f"{'1' * 32}.dir", "size": 3, "nfiles": 2}

    def change(repo: Repo) -> None:
        edit(repo, "dvc.lock", lambda lock: lock["stages"]["split"].update(outs=[folder]))
        edit(repo, "dvc.yaml", lambda file: file["stages"]["split"].update(outs=["data"]))

    both_sides(repo, change)
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "pass"


# -- events ----------------------------------------------------------------------------------------------------------


def test_a_tag_on_the_default_branch_is_judged_by_its_own_rules(repo: Repo) -> None:
    repo.model(BETTER, config=MLGATE.replace("0.70", "0.71"))
    repo.commit()
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--ff-only", "change")
    assert on_github(repo, "push", {"created": True}, GITHUB_REF="refs/tags/v1").returncode == 0
    assert repo.evidence()["verdict"] == "pass"
