"""`compare.champion: models:/...` from a process as users have it, against a real MLflow server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from builder import GOOD, MLGATE, Repo, md5

WORSE = {"auc": 0.71, "log_loss": 0.59}


class Registered(Repo):
    """`old` and `new` on main; version 1 of a model of its own is trained from `old`."""

    old: str
    name: str
    server: str

    def version(self, *, commit: str = "", digest: str = "") -> str:
        """One more version, as `mlgate train` and a registration would leave it."""
        client = MlflowClient(self.server)
        tags = {"mlgate.commit": commit, "mlflow.source.git.commit": commit} if commit else {}
        run = client.create_run("0", tags=tags | ({"mlgate.model_digest": digest} if digest else {})).info.run_id
        made = client.create_model_version(self.name, source=f"runs:/{run}/model", run_id=run)
        client.set_registered_model_alias(self.name, "champion", made.version)
        return str(made.version)

    def compare(self, spec: str, **env: str) -> str:
        """The exit code and the reason of the worst check."""
        done = self.mlgate("compare", "--champion", spec, **({"MLFLOW_TRACKING_URI": self.server} | env))
        return f"{done.returncode}: {self.evidence()['title']}"


@pytest.fixture
def repo(tmp_path: Path, mlflow_server: str) -> Registered:
    repo = Registered(tmp_path / "repo")
    repo.model(WORSE, seed="old", config=MLGATE)
    repo.old = repo.commit("Old")
    repo.model(GOOD, seed="new", config=MLGATE)
    repo.commit("New")
    repo.git("checkout", "--quiet", "-b", "change")
    repo.model({"auc": 0.74, "log_loss": 0.56}, seed="challenger", config=MLGATE)
    repo.commit("Better")
    repo.server, repo.name = mlflow_server, f"visits-{tmp_path.name}"
    MlflowClient(mlflow_server).create_registered_model(repo.name)
    return repo


def test_the_commit_that_the_version_was_trained_from(repo: Registered) -> None:
    number = repo.version(commit=repo.old, digest=md5(b"model old"))
    assert repo.compare(f"models:/{repo.name}@champion").startswith("0: 3 limits hold against the champion")
    champion = repo.evidence()["champion"]
    assert champion["commit"] == repo.old
    assert champion["how"] == f"version {number} of {repo.name} in the registry, which is champion"
    assert repo.compare(f"models:/{repo.name}/{number}").startswith("0: ")


def test_no_version_with_that_alias_is_no_champion_yet(repo: Registered) -> None:
    said = repo.compare(f"models:/{repo.name}@champion")
    assert said.startswith(f"0: No champion yet: no version of {repo.name} has the alias champion yet.")
    assert repo.evidence()["verdict"] == "warn"


def test_a_digest_that_the_lock_of_that_commit_does_not_have(repo: Registered) -> None:
    repo.version(commit=repo.old, digest=md5(b"model new"))
    said = repo.compare(f"models:/{repo.name}@champion")
    assert re.search(
        rf"2: .*has version 1 of {repo.name} as {md5(b'model new')[:9]}…, and its commit {repo.old[:7]} has "
        rf"models/visits.joblib as {md5(b'model old')[:9]}…: one of them is another model",
        said,
    )


def test_a_commit_of_another_repository(repo: Registered) -> None:
    repo.version(commit="d" * 40)
    said = repo.compare(f"models:/{repo.name}@champion")
    assert "2: " in said
    assert f"has version 1 of {repo.name} at the commit dddddddddddd, which this repository does not have" in said


def test_a_server_that_is_down_is_not_no_champion_yet(repo: Registered) -> None:
    secret = {"MLFLOW_TRACKING_URI": "http://me:Hunter2-of-mine@127.0.0.1:9", "MLFLOW_TRACKING_TOKEN": "t0ken-of-mine"}
    said = repo.compare("models:/visits@champion", **secret)
    assert said == "2: the champion is unreachable: MLflow at http://127.0.0.1:9 cannot be reached."
    everything = "".join(file.read_text() for file in (repo.path / ".mlgate").rglob("*") if file.is_file())
    assert "Hunter2" not in everything
    assert "t0ken-of-mine" not in everything


def test_the_address_comes_from_the_environment(repo: Registered) -> None:
    said = repo.compare("models:/visits@champion", MLFLOW_TRACKING_URI="")
    assert "nothing says where that registry is. Set MLFLOW_TRACKING_URI in the environment of this job." in said


def test_a_registry_in_the_commit_is_the_changes_own(repo: Registered) -> None:
    repo.write("mlflow.db", b"SQLite format 3\0")
    repo.commit("My own champion")
    said = repo.compare("models:/visits@champion", MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert "2: mlflow.db is a file of this commit: a change could write its own champion into it." in said
