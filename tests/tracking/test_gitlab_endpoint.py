"""GitLab's MLflow endpoint, which has part of MLflow: the rest is named, and the numbers are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mlgate.tracking import Store, Training, log
from tracking.servers import GitLab


def at(gitlab: GitLab, uri: str = "", token: str = GitLab.TOKEN) -> Store:
    store = Store.of({"MLFLOW_TRACKING_TOKEN": token}, uri or gitlab.uri)
    assert store is not None
    return store


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    fake = GitLab()
    with fake.running():
        yield fake
    assert fake.problems == []  # nothing was asked that GitLab does not have


def test_a_training_becomes_a_candidate(gitlab: GitLab, training: Training) -> None:
    logged = log(replace(training, ci_job="4711"), at(gitlab))

    assert logged.problem == ""
    assert logged.url == f"{gitlab.address}/team/churn/-/ml/candidates/1"
    assert logged.metrics == {"auc": 0.1 + 0.2, "slices.eu.f1": 1 / 3, "tiny": 5e-324, "huge": 1.7e308, "n": 6097.0}
    (run,) = gitlab.runs.values()
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["run_name"] == "churn-c0ffee0"
    assert {p["key"]: p["value"] for p in run["data"]["params"]}["train.rate"] == "0.1"
    tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
    assert tags["gitlab.CI_JOB_ID"] == "4711"
    assert tags["mlgate.commit"] == training.commit
    assert tags["mlgate.dataset.train"] == "sha256:" + "cd" * 32
    assert set(gitlab.files) == {
        "metrics.json",
        "plots/roc.csv",
        "model.joblib",
        "signature.json",
        "input_example.json",
    }
    assert logged.left_out == (
        "The input example is without the private column `ssn`.",
        "GitLab has no dataset inputs: the digests are in the run's metadata only.",
    )


def test_logging_again_finds_the_candidate_without_a_search_by_tag(gitlab: GitLab, training: Training) -> None:
    first = log(training, at(gitlab))
    log(replace(training, commit="d" * 40), at(gitlab))
    again = log(training, at(gitlab))
    assert (again.run_id, again.again, again.problem) == (first.run_id, True, "")
    assert len(gitlab.runs) == 2


def test_an_mlflow_model_lies_where_gitlab_loads_it_from(gitlab: GitLab, training: Training) -> None:
    folder = training.folder / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {}}), "utf-8")
    (folder / "data" / "weights.bin").write_bytes(b"0")
    logged = log(replace(training, artifact=Path("model"), artifacts=()), at(gitlab))
    assert logged.problem == ""
    assert logged.model_uri == ""
    assert set(gitlab.files) == {"MLmodel", "data/weights.bin", "input_example.json", "serving_input_example.json"}
    assert b"signature" in gitlab.files["MLmodel"]
    assert "GitLab has no logged models: the model's files are among the run's artifacts." in logged.left_out


def test_an_older_gitlab_takes_no_folders(training: Training) -> None:
    fake = GitLab(folders=False)
    with fake.running():
        logged = log(training, at(fake))
    assert logged.problem == ""
    assert "plots/roc.csv" not in fake.files
    assert "model.joblib" in fake.files
    assert f"GitLab's MLflow endpoint at {fake.uri} does not take the file `plots/roc.csv` (404)." in logged.left_out


def test_long_values_are_cut_to_what_gitlab_stores(gitlab: GitLab, training: Training) -> None:
    logged = log(replace(training, params={"prompt": "x" * 251, "short": "y" * 250}), at(gitlab))
    assert logged.problem == ""
    assert logged.left_out[0] == "parameter `prompt` was cut to 250 characters; parameters.json has all of it."
    assert "parameters.json" in gitlab.files


@pytest.mark.parametrize(
    ("scope", "token", "problem"),
    [
        ("api", "wrong-token-entirely", "refused the credentials (401)"),
        ("read_api", GitLab.TOKEN, "does not allow this with these credentials (403)"),
        ("none", GitLab.TOKEN, "knows no such address (404): is MLFLOW_TRACKING_URI right, and may the token see it?"),
    ],
)
def test_a_token_that_is_not_enough(training: Training, scope: str, token: str, problem: str) -> None:
    fake = GitLab(scope=scope)
    with fake.running():
        logged = log(training, at(fake, token=token))
    assert logged.problem.startswith(f"GitLab's MLflow endpoint at {fake.uri} ")
    assert problem in logged.problem
    assert token not in repr(logged)
    assert not fake.runs


def test_a_project_by_its_path_needs_no_question_for_its_page(training: Training) -> None:
    fake = GitLab()
    with fake.running():
        uri = fake.uri.replace("/42/", "/team%2Fchurn/")
        logged = log(training, at(fake, uri))
    assert "(404)" in logged.problem  # this fake knows its project by number only
    assert logged.problem.startswith(f"GitLab's MLflow endpoint at {uri} knows no such address")
