"""`mlgate train` writes the profile of what it made anew, hands it over with the rest, and else leaves it alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import builder
from mlgate.data import profiles
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc
WATCHED = """\
serve: {log: {features: [x]}}
monitor: {logs: logs, drift: {psi: 0.2}}
"""
CONFIG = (
    projects.CONFIG.replace("columns: {id: id}", "columns: {id: id, label: label, positive: 1}").replace(
        "predictions: {path: eval/predictions.csv}",
        "predictions: {path: eval/predictions.csv, score: p_visit, cut_off: 0.5}",
    )
    + WATCHED
)
FILE = "metrics/profile.json"
REPRODUCE = ("--verify", "reproduce", "--push", "true", "--proposal", "handed", "--remote", "false")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> builder.Repo:
    """The project with a model that is watched, and its profile. Only to be copied."""
    repo = projects.make(tmp_path_factory.mktemp("watched"))
    repo.write("mlgate.yaml", CONFIG)
    done = repo.mlgate("profile")
    assert done.returncode == 0, done.stderr
    repo.commit("Watch it")
    return repo


@pytest.fixture
def project(watched: builder.Repo, tmp_path: Path) -> builder.Repo:
    return projects.copy(watched, tmp_path / "home")


def new_work(repo: builder.Repo) -> None:
    repo.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.5}}) + "\n")
    repo.commit("Another shift")


def handed(repo: builder.Repo) -> list[str]:
    return [one["path"] for one in json.loads((repo.path / "handed/proposal.json").read_text())["files"]]


def test_a_model_made_anew_comes_with_its_profile(watched: builder.Repo, tmp_path: Path) -> None:
    """On a runner that had neither data nor model: the profile goes through the proposal into the commit."""
    runner = projects.clone(watched, tmp_path / "runner")
    new_work(runner)
    before = (runner.path / FILE).read_bytes()
    seen = Seen(runner, *REPRODUCE)
    assert seen.verdict in ("pass", "warn"), seen.reasons
    assert seen.evidence["facts"]["profile"] == FILE
    assert handed(runner) == ["dvc.lock", "metrics/eval.json", FILE]
    text = (runner.path / FILE).read_bytes()
    assert text != before
    old, new = (profiles.read(one, FILE, model="visits") for one in (before, text))
    assert (new.columns, new.rows) == (old.columns, 400)
    assert new.score != old.score
    assert new.data["data/train.csv"] == old.data["data/train.csv"]
    assert new.data["models/model.json"] != old.data["models/model.json"]
    assert len(new.digest) == 64
    assert new.digest != old.digest
    runner.git("clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git"))
    runner.git("remote", "set-url", "origin", str(tmp_path / "origin.git"))
    builder.Repo(tmp_path).git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "judge"))
    judge = builder.Repo(tmp_path / "judge")
    (runner.path / "handed").rename(judge.path / "handed")
    done = judge.mlgate("train", "--proposal", "handed", "--commit", "branch", "--commit-branch", "retrained")
    assert done.returncode == 0, done.stderr
    judge.git("fetch", "--quiet", "origin")
    judge.git("checkout", "--quiet", "--force", "retrained")
    assert (judge.path / FILE).read_bytes() == text
    assert judge.mlgate("profile", "--check").returncode == 0


def test_where_nothing_was_made_anew_nothing_is_written(project: builder.Repo) -> None:
    (project.path / FILE).unlink()
    project.commit("Without a profile")
    seen = Seen(project, *REPRODUCE, "--rerun", "true")
    assert seen.stages["train"] == "ran"
    assert handed(project) == []
    assert not (project.path / FILE).exists()
    assert "profile" not in seen.evidence["facts"]


def test_a_model_that_nobody_watches_has_none(project: builder.Repo) -> None:
    project.git("rm", "--quiet", FILE)
    project.write("mlgate.yaml", CONFIG.replace(WATCHED, ""))
    new_work(project)
    Seen(project, *REPRODUCE)
    assert handed(project) == ["dvc.lock", "metrics/eval.json"]
    assert not (project.path / FILE).exists()


def test_a_profile_that_cannot_be_made_keeps_everything_from_being_proposed(project: builder.Repo) -> None:
    project.write("mlgate.yaml", CONFIG.replace("features: [x]", "features: [x, gone]"))
    new_work(project)
    before = (project.path / FILE).read_bytes()
    seen = Seen(project, *REPRODUCE)
    assert (seen.verdict, seen.code) == ("error", 2)
    assert "The reference profile cannot be made: data/train.csv has no column 'gone'" in seen.reasons
    assert not (project.path / "handed").exists()
    assert (project.path / FILE).read_bytes() == before
