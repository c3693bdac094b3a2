"""`mlgate register` and GitLab's model registry, which is MLflow's in part: what it has not, is done otherwise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder import ROOT, environment, md5
from tracking.registered import Gated
from tracking.servers import GitLab
from tracking.test_register_ledger import statement

TO_GITLAB = "register: {to: [gitlab]}\n"


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    fake = GitLab()
    with fake.running():
        yield fake
    assert fake.problems == []  # nothing was asked that GitLab does not have


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path, TO_GITLAB)


def at(gitlab: GitLab) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": gitlab.uri, "MLFLOW_TRACKING_TOKEN": GitLab.TOKEN}


def tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version["tags"]}


def run_tags(gitlab: GitLab, version: dict[str, Any]) -> dict[str, str]:
    return tags(gitlab.runs[version["run_id"]]["data"])


def test_a_version_is_its_number_there(gated: Gated, gitlab: GitLab) -> None:
    commit = gated.challenger()
    gated.register(**at(gitlab))
    (version,) = gitlab.versions
    (first, done) = gated.entries("registration")
    assert (version["name"], version["aliases"]) == ("visits", ["1.0.0"])
    assert tags(version)["git_commit"] == commit
    assert tags(version)["mlgate.registration"] == first.id
    assert version["description"].startswith("visits v1.0.0: models/visits.joblib of ")
    assert done.registries == {"gitlab": "1.0.0"}
    assert gated.evidence()["links"]["gitlab"] == version["source"]
    assert (
        "GitLab's registry has neither aliases nor stages: that this version is the challenger stands in the"
        in (gated.reasons()["register.gitlab"])
    )


def test_the_model_lies_in_the_package_of_its_version_once(gated: Gated, gitlab: GitLab) -> None:
    gated.repo.write(".gitignore", "/models\n")
    gated.repo.model({"auc": 0.74, "log_loss": 0.56}, config=gated.config)
    gated.repo.write("models/visits.joblib", gated.bytes)
    gated.challenger()
    gated.register(**at(gitlab))
    assert gitlab.files["visits.joblib"] == gated.bytes
    assert gated.evidence()["verdict"] == "pass"
    seen = len(gitlab.door.seen)
    gated.register(**at(gitlab))
    methods = {(method, path.split("/")[-1]) for method, path, _, _ in gitlab.door.seen[seen:]}
    assert {method for method, path in methods if path != "get-latest-versions"} == {"GET"}
    assert len(gitlab.versions) == 1


def test_the_number_goes_on_from_those_that_are_there(gated: Gated, gitlab: GitLab) -> None:
    gitlab._registered_models_create({"name": "visits"})
    gitlab._model_versions_create({"name": "visits", "tags": [{"key": "gitlab.version", "value": "1.0.0"}]})
    gated.challenger()
    gated.register(**at(gitlab))
    assert gated.entries("registration")[0].version == "v1.1.0"
    assert [version["aliases"] for version in gitlab.versions] == [["1.0.0"], ["1.1.0"]]


def test_a_number_that_somebody_took_meanwhile_is_left_alone(gated: Gated, gitlab: GitLab) -> None:
    gated.challenger()
    gated.register(ok=2, **at(gitlab) | {"MLFLOW_TRACKING_TOKEN": "expired-token-1"})
    assert gated.entries("registration") == []  # it was asked which versions there are before anything was written
    gated.register("--model-name", "visits", **at(gitlab))
    gitlab.versions[0] |= {"tags": [], "description": "by hand"}
    gitlab.runs[gitlab.versions[0]["run_id"]]["data"]["tags"] = []
    gated.register(ok=2, **at(gitlab))
    assert "has a version 1.0.0 of `visits` that is not this model: it was left" in gated.reasons()["register.gitlab"]
    assert gitlab.versions[0]["description"] == "by hand"


def test_an_experiment_of_that_name_is_in_the_way(gated: Gated, gitlab: GitLab) -> None:
    gitlab._experiments_create({"name": "visits"})
    gated.challenger()
    said = gated.register(ok=2, **at(gitlab))
    assert "takes no model `visits`: a model experiment of that name is in the way" in " ".join(said.split())
    assert gated.entries("registration") == []
    gated.register("--model-name", "visits-model", **at(gitlab))
    assert [version["name"] for version in gitlab.versions] == ["visits-model"]


def test_an_older_gitlab_keeps_tags_with_the_run_of_the_version(gated: Gated, gitlab: GitLab) -> None:
    gitlab.keeps_tags = False
    gated.challenger()
    gated.register(**at(gitlab))
    assert run_tags(gitlab, gitlab.versions[0])["mlgate.model_digest"] == md5(gated.bytes)
    gated.register(**at(gitlab))
    assert len(gitlab.versions) == 1


def test_an_image_that_comes_later_is_said_with_the_run_of_the_version(gated: Gated, gitlab: GitLab) -> None:
    gated.challenger()
    gated.register(**at(gitlab))
    gated.repo.write(".mlgate/images/visits.json", statement(gated).to_bytes())
    gated.register(**at(gitlab))
    assert run_tags(gitlab, gitlab.versions[0])["image_digest"] == "sha256:" + "a" * 64


def test_a_job_of_gitlab_is_linked(gated: Gated, gitlab: GitLab) -> None:
    gated.challenger()
    job = {
        "GITLAB_CI": "true", "CI": "true", "CI_JOB_ID": "4711", "CI_PROJECT_ID": "42", "CI_API_V4_URL": gitlab.address,
        "CI_SERVER_URL": gitlab.address, "CI_PROJECT_URL": f"{gitlab.address}/team/churn", "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main", "CI_COMMIT_SHA": gated.repo.head,
        "CI_PIPELINE_SOURCE": "push", "CI_PROJECT_DIR": str(gated.repo.path), "GITLAB_USER_LOGIN": "ada",
    }  # fmt: skip
    gated.register(**at(gitlab), **job)
    assert run_tags(gitlab, gitlab.versions[0])["gitlab.CI_JOB_ID"] == "4711"


def test_both_registries_in_one_run(tmp_path: Path, gitlab: GitLab) -> None:
    gated = Gated(tmp_path, "register: {to: [mlflow, gitlab, git]}\n")
    gated.challenger()
    both = {"MLGATE_GITLAB_URI": gitlab.uri, "MLGATE_GITLAB_TOKEN": GitLab.TOKEN}
    gated.register(**both, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert gated.entries("registration")[-1].registries == {
        "mlflow": "1", "gitlab": "1.0.0", "git": "visits@v1.0.0",
    }  # fmt: skip
    assert "Write `to: [mlflow]`, or set MLGATE_GITLAB_URI" in gated.register(
        ok=2, MLFLOW_TRACKING_URI="sqlite:///mlflow.db"
    )


def test_jobs_at_once_make_one_version(gated: Gated, gitlab: GitLab) -> None:
    gated.challenger()
    clones = [gated.clone(f"job{n}", "--depth=1") for n in range(3)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "mlgate", "register"],
            cwd=path, env=environment(PYTHONPATH=str(ROOT / "scripts"), **at(gitlab)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for path in clones
    ]  # fmt: skip
    for process in started:
        out, _ = process.communicate(timeout=180)
        assert process.returncode == 0, out
    assert [version["aliases"] for version in gitlab.versions] == [["1.0.0"]]
    assert len(gated.entries("registration")) == 2
