"""Changes that try to get past the gate by their content alone, one test per trick.

The event is a pull request, as the forge would describe it; only the change's own files are the attacker's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from builder import MLGATE, Repo, consumer

BAD = {"auc": 0.10, "log_loss": 9.0}
LOOSE = MLGATE.replace("0.70", "0.05").replace("0.01", "0.9").replace("2%", "90%").replace("1%", "80%")


@pytest.fixture
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return consumer(tmp_path_factory.mktemp("trick") / "repo")


def edit(repo: Repo, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    value = yaml.safe_load((repo.path / path).read_text())
    change(value)
    repo.write(path, yaml.safe_dump(value, sort_keys=False))


def on_github(
    repo: Repo, name: str, payload: dict[str, Any], *args: str, **env: str
) -> subprocess.CompletedProcess[str]:
    file = repo.path.parent / "event.json"
    file.write_text(json.dumps({"repository": {"default_branch": "main", "full_name": "o/r"}, **payload}))
    known = {"GITHUB_SHA": repo.head, "GITHUB_REPOSITORY": "o/r", **env}
    return repo.mlgate(
        "compare", *args, GITHUB_ACTIONS="true", GITHUB_EVENT_NAME=name, GITHUB_EVENT_PATH=str(file), **known
    )


def pull_request(
    repo: Repo, *args: str, head: str = "", name: str = "pull_request", **env: str
) -> subprocess.CompletedProcess[str]:
    """`mlgate compare` for a pull request of what is committed, into main."""
    base = {"sha": repo.git("rev-parse", "main"), "ref": "main"}
    pull = {"number": 1, "head": {"sha": head or repo.head, "ref": "change"}, "base": base}
    return on_github(repo, name, {"number": 1, "pull_request": pull}, *args, **env)


def reasons(repo: Repo, verdict: str, model: str = "visits") -> str:
    return "\n".join(c["reason"] for c in repo.evidence(model)["checks"] if c["verdict"] == verdict)


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
    assert "compare.rules.auc.threshold: 0.7 → 0.05" in reasons(repo, "warn")


def test_a_second_model_whose_name_differs_in_case_only(repo: Repo) -> None:
    repo.model(BAD)
    repo.model(folder="b", config=MLGATE.replace("model: visits", "model: Visits"))
    repo.commit()
    assert pull_request(repo, "--config", "**/mlgate.yaml").returncode == 2
