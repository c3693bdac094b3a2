"""What honest teams do every day and must not be stopped for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from builder import GOOD, MLGATE, Repo, consumer, edit, reasons
from jobs import on_github, pull_request

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


def only_waits_for_approval(repo: Repo, *options: str) -> bool:
    """A change of what judges it: nothing else is wrong, and a maintainer has to have seen it."""
    code = pull_request(repo, *options).returncode
    open_ = [c["id"] for c in repo.evidence()["checks"] if c["verdict"] not in ("pass", "warn")]
    return code == 3 and open_ == ["judge.rules-changed"] and "maintainer" in reasons(repo, "inconclusive")


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
    assert only_waits_for_approval(repo)
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
    assert only_waits_for_approval(repo, "--config", "models/*/mlgate.yaml")
    evidence = repo.evidence()
    assert any(c["id"].startswith("rules.auc.absolute_regression") for c in evidence["checks"])


def test_the_metrics_file_is_renamed(repo: Repo) -> None:
    repo.model(BETTER, config=MLGATE.replace("metrics/eval.json", "metrics/test.json"))
    (repo.path / "metrics/eval.json").rename(repo.path / "metrics/test.json")
    for file in ("dvc.yaml", "dvc.lock"):
        repo.write(file, (repo.path / file).read_text().replace("metrics/eval.json", "metrics/test.json"))
    repo.commit()
    assert only_waits_for_approval(repo)


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


@pytest.mark.parametrize(("written", "locked"), [("1e-3", 0.001), ("1e-05", 0.00001), ("yes", "yes"), ("010", 10)])
def test_parameters_as_dvc_reads_them(repo: Repo, written: str, locked: object) -> None:
    repo.model(BETTER)
    repo.write("params.yaml", f"train:\n  seed: {written}\n")
    params = {"params.yaml": {"train.seed": locked}}
    edit(repo, "dvc.lock", lambda lock: lock["stages"]["train"].update(params=params))
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "pass"


def test_a_renamed_stage_leaves_its_old_entry_in_the_lock(repo: Repo) -> None:
    repo.model(BETTER)

    def rename(lock: dict[str, Any]) -> None:
        train = lock["stages"].pop("train")
        old = {**train, "outs": [{**train["outs"][0], "md5": "0" * 32}]}
        lock["stages"] = {"fit": train, **lock["stages"], "train": old}

    edit(repo, "dvc.lock", rename)
    edit(repo, "dvc.yaml", lambda file: file["stages"].update(fit=file["stages"].pop("train")))
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "pass"


def test_broken_files_of_another_project_in_the_same_repository(repo: Repo) -> None:
    repo.model(BETTER)
    repo.write("template/{{name}}/dvc.yaml", "stages: {{ cookiecutter.stages }}: [\n")
    repo.write("other/dvc.lock", ": : :\n\t")
    repo.write("other/notes.dvc", "[1, 2]\n")
    repo.write("third/dvc.yaml", "metrics: 5\n")
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert repo.evidence()["verdict"] == "pass"


def test_a_broken_file_beside_the_model_is_still_an_error(repo: Repo) -> None:
    repo.model(BETTER)
    repo.write("metrics/eval.json.dvc", "[1, 2]\n")
    repo.commit()
    assert pull_request(repo).returncode == 2


def test_a_source_folder_with_files_that_git_ignores(repo: Repo) -> None:
    repo.model(BETTER)
    folder = {"path": "src", "hash": "md5", "md5": f"{'2' * 32}.dir", "size": 3, "nfiles": 5}
    edit(repo, "dvc.lock", lambda lock: lock["stages"]["train"]["deps"].append(folder))
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert "src/ held 5 files when it ran and git has 1" in reasons(repo, "warn")


@pytest.mark.parametrize("more", ["loop: &a {b: *a}\n", "loop: &a [*a]\n", "list: [{2020-01-01: 1}]\n"])
def test_odd_but_valid_parameters(repo: Repo, more: str) -> None:
    repo.model(BETTER)
    repo.write("params.yaml", (repo.path / "params.yaml").read_text() + more)
    repo.commit()
    assert pull_request(repo).returncode == 0


def test_file_names_that_are_not_utf_8(repo: Repo) -> None:
    repo.model(BETTER)
    with open(os.fsencode(repo.path) + b"/src/caf\xe9.py", "w", encoding="utf-8") as file:
        file.write("x")
    folder = {"path": "src", "hash": "md5", "md5": f"{'2' * 32}.dir", "size": 3, "nfiles": 5}
    edit(repo, "dvc.lock", lambda lock: lock["stages"]["train"]["deps"].append(folder))
    repo.commit()
    assert pull_request(repo).returncode == 0
    assert "src/caf\\xe9.py" in [change["what"] for change in repo.evidence()["changes"]]


# -- events ----------------------------------------------------------------------------------------------------------


def test_a_tag_on_the_default_branch_is_judged_by_its_own_rules(repo: Repo) -> None:
    repo.model(BETTER, config=MLGATE.replace("0.70", "0.71"))
    repo.commit()
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--ff-only", "change")
    assert on_github(repo, "push", {"created": True}, GITHUB_REF="refs/tags/v1").returncode == 0
    assert repo.evidence()["verdict"] == "pass"
