"""Changes that try to get past the gate by their content alone, one test per trick.

The event is a pull request, as the forge would describe it; only the change's own files are the attacker's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import MLGATE, Repo, consumer, edit, md5, reasons
from jobs import on_github, pull_request

BAD = {"auc": 0.10, "log_loss": 9.0}
LOOSE = MLGATE.replace("0.70", "0.05").replace("0.01", "0.9").replace("2%", "90%").replace("1%", "80%")


@pytest.fixture
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return consumer(tmp_path_factory.mktemp("trick") / "repo")


# -- the gate itself -------------------------------------------------------------------------------------------------


def test_the_gate_is_deleted_and_its_metrics_are_renamed(repo: Repo) -> None:
    repo.model(BAD, config=None)
    repo.git("rm", "--quiet", "mlgate.yaml")
    (repo.path / "metrics/eval.json").rename(repo.path / "metrics/other.json")
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "is still here: that would switch the gate off" in reasons(repo, "error")


def test_the_only_gate_is_deleted_with_all_that_it_judged(repo: Repo) -> None:
    repo.git("rm", "-r", "--quiet", "mlgate.yaml", "metrics", "dvc.lock", "dvc.yaml")
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "no other configuration is left: nothing was judged" in reasons(repo, "error")


def test_a_folder_takes_the_place_of_the_configuration(repo: Repo) -> None:
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.model(BAD, config=None)
    inside = LOOSE.replace("metrics/", "../metrics/").replace("models/", "../models/").replace("data/", "../data/")
    repo.write("mlgate.yaml/any", inside)
    repo.commit()
    assert pull_request(repo).returncode != 0


def test_the_models_folder_is_renamed_and_its_rules_loosened(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.git("rm", "--quiet", "mlgate.yaml")
    repo.model(folder="models/old")
    repo.commit()
    repo.git("checkout", "--quiet", "-B", "change")
    repo.git("mv", "models/old", "models/new")
    repo.model(BAD, folder="models/new", config=LOOSE)
    repo.commit()
    assert pull_request(repo, "--config", "models/*/mlgate.yaml").returncode == 1
    assert "compare.rules.auc.threshold: 0.7 → 0.05" in reasons(repo, "inconclusive")


def test_a_second_model_whose_name_differs_in_case_only(repo: Repo) -> None:
    repo.model(BAD)
    repo.model(folder="b", config=MLGATE.replace("model: visits", "model: Visits"))
    repo.commit()
    assert pull_request(repo, "--config", "**/mlgate.yaml").returncode == 2


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".github/workflows/gate.yml", "jobs: {gate: {uses: mlgate/mlgate/.github/workflows/model-gate.yml@v1}}"),
        (".gitea/workflows/gate.yml", "jobs: {gate: {uses: mlgate/mlgate/.github/workflows/model-gate.yml@v1}}"),
        (".gitlab-ci.yml", "include: [{project: mlgate/mlgate, file: /gitlab-templates/ml-pipeline.gitlab-ci.yml}]"),
        ("ci/gate.yml", "variables: {MLGATE_FAIL_ON: error}"),
        ("ci/gate.yml", "include: [{project: mlgate/mlgate, inputs: {champion: the-worst}}]"),
        ("CODEOWNERS", "* @me"),
    ],
)
def test_who_calls_the_gate_is_changed(path: str, text: str, repo: Repo) -> None:
    """Nobody has approved it, so that a better model does not pass."""
    repo.git("checkout", "--quiet", "main")
    repo.write(".gitlab-ci.yml", "include: [ci/gate.yml]\n")
    repo.commit("Include")
    repo.git("checkout", "--quiet", "-B", "change")
    repo.model({"auc": 0.75, "log_loss": 0.55})
    repo.write(path, f"{text}\n")
    repo.commit("Call")
    assert pull_request(repo).returncode == 3
    assert path in reasons(repo, "inconclusive")


# -- other files before the judge ------------------------------------------------------------------------------------


def test_edited_metrics_leave_the_lock_that_would_tell(repo: Repo) -> None:
    repo.model(BAD)
    repo.write("metrics/eval.json", {"auc": 0.99, "log_loss": 0.1})
    edit(repo, "dvc.lock", lambda lock: lock["stages"].pop("evaluate"))
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "made by no stage of a dvc.lock, as the champion's was" in reasons(repo, "error")


def test_the_metrics_path_moves_to_better_numbers(repo: Repo) -> None:
    repo.model(BAD, config=MLGATE.replace("metrics/eval.json", "metrics/fake.json"))
    repo.write("metrics/fake.json", {"auc": 0.99, "log_loss": 0.1})
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "auc is 0.1; at least 0.70 is required" in reasons(repo, "fail")


def test_the_test_set_moves_to_a_copy_of_the_old_one(repo: Repo) -> None:
    repo.model({"auc": 0.99, "log_loss": 0.1}, data="easy", config=MLGATE.replace("data/test.csv", "data/old.csv"))
    old = {"path": "old.csv", "hash": "md5", "md5": md5(b"test rows"), "size": 1}
    repo.write("data/old.csv.dvc", yaml.safe_dump({"outs": [old]}))
    repo.commit()
    assert pull_request(repo).returncode == 3
    assert "Not the same test set: data/test.csv was" in reasons(repo, "inconclusive")


def swap(repo: Repo, old: str, new: str) -> None:
    """Let the evaluation depend on another file than it did, as if it had run so."""
    repo.write(new, "other")

    def lock(value: dict[str, Any]) -> None:
        for dep in value["stages"]["evaluate"]["deps"]:
            if dep["path"] == old:
                dep |= {"path": new, "md5": md5(b"other")}

    def stages(value: dict[str, Any]) -> None:
        deps = value["stages"]["evaluate"]["deps"]
        deps[deps.index(old)] = new

    edit(repo, "dvc.lock", lock)
    edit(repo, "dvc.yaml", stages)


def test_the_evaluation_reads_other_rows_than_the_test_set(repo: Repo) -> None:
    repo.model({"auc": 0.99, "log_loss": 0.1})
    swap(repo, "data/test.csv", "data/easy.csv")
    repo.commit()
    assert pull_request(repo).returncode == 3
    assert "the champion was measured on data/test.csv, but no stage" in reasons(repo, "inconclusive")


def test_the_evaluation_measures_another_model(repo: Repo) -> None:
    repo.model({"auc": 0.99, "log_loss": 0.1})
    swap(repo, "models/visits.joblib", "models/good.joblib")
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "does not come from models/visits.joblib" in reasons(repo, "error")


def test_the_leak_check_goes_with_the_key_it_needs(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "main")
    repo.model(data="train rows")
    repo.commit()
    repo.git("checkout", "--quiet", "-B", "change")
    repo.model({"auc": 0.73, "log_loss": 0.5}, data="train rows", config=MLGATE.replace("train: {data", "#"))
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "the metrics measure memory" in reasons(repo, "error")


def test_the_evaluation_set_is_renamed_and_its_rules_loosened(repo: Repo) -> None:
    repo.model({"auc": 0.65, "log_loss": 0.58}, config=LOOSE.replace("holdout", "other"))
    repo.commit()
    assert pull_request(repo).returncode == 1


def test_a_second_file_vouches_for_edited_metrics(repo: Repo) -> None:
    repo.model(BAD)
    edited = b'{"auc": 0.99, "log_loss": 0.1}'
    repo.write("metrics/eval.json", edited)
    claim = {"path": "metrics/eval.json", "hash": "md5", "md5": md5(edited), "size": len(edited)}
    repo.write("elsewhere/any.dvc", yaml.safe_dump({"wdir": "..", "outs": [claim]}))
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "another digest in stage evaluate of dvc.lock than in elsewhere/any.dvc" in reasons(repo, "error")


def test_a_command_hides_behind_a_template(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    edit(repo, "dvc.yaml", lambda file: file["stages"]["train"].update(cmd="python other.py # ${any}"))
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "its command changed in dvc.yaml" in reasons(repo, "error")


def test_a_dependency_is_added_and_nothing_run(repo: Repo) -> None:
    repo.model({"auc": 0.9, "log_loss": 0.1})
    edit(repo, "dvc.yaml", lambda file: file["stages"]["train"]["deps"].append("src/more.py"))
    repo.write("src/more.py", "more\n")
    repo.commit()
    assert pull_request(repo).returncode == 2
    assert "src/more.py was added to it in dvc.yaml after it ran" in reasons(repo, "error")


@pytest.mark.parametrize("value", [2**1024 - 1, -1e308])
def test_a_number_that_no_double_holds(repo: Repo, value: float) -> None:
    repo.model({"auc": value, "log_loss": 0.5})
    repo.commit()
    done = pull_request(repo)
    assert done.returncode in (1, 2)
    assert "fault" not in done.stderr


# -- another event, another commit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pull_request_target", "pull_request"])
def test_the_target_is_checked_out_in_place_of_the_change(repo: Repo, name: str) -> None:
    repo.model(BAD)
    head = repo.commit()
    repo.git("checkout", "--quiet", "main")
    assert pull_request(repo, head=head, name=name).returncode == 2
    assert "does not hold the change" in reasons(repo, "error")


def test_a_run_that_follows_another_judges_the_default_branch(repo: Repo) -> None:
    repo.model(BAD)
    run = {"head_sha": repo.commit(), "head_branch": "main", "event": "pull_request", "pull_requests": []}
    repo.git("checkout", "--quiet", "main")
    assert on_github(repo, "workflow_run", {"workflow_run": run}, GITHUB_REF="refs/heads/main").returncode == 2
    assert "does not hold the change" in reasons(repo, "error")


@pytest.mark.parametrize(
    ("name", "ref"), [("push", "refs/tags/v1"), ("workflow_dispatch", "refs/tags/main"), ("schedule", "refs/heads/x")]
)
def test_rules_loosened_on_a_commit_that_nobody_merged(repo: Repo, name: str, ref: str) -> None:
    repo.model({"auc": 0.65, "log_loss": 0.58}, config=LOOSE)
    repo.commit()
    assert on_github(repo, name, {"before": "0" * 40, "created": True}, GITHUB_REF=ref).returncode == 1
    assert "compare.rules.auc.threshold: 0.7 → 0.05" in reasons(repo, "warn")


def test_a_policy_that_the_change_makes_stricter_is_not_silenced_by_the_same_sentence(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    lenient = MLGATE + "  policy: {missing_metric: warn}\n"
    repo.model(config=lenient)
    repo.commit()
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"log_loss": 0.5}, config=lenient.replace("missing_metric: warn", "missing_metric: error"))
    repo.commit()
    assert pull_request(repo).returncode == 2
