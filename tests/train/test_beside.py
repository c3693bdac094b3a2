"""What comes beside the proofs: MLflow, cost, outputs, the commit. None of it decides."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import builder
from setup.projects import DVC_ENV
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc
AGAIN = ("--verify", "reproduce", "--rerun", "true", "--remote", "false")


def test_a_training_is_logged_as_one_run_with_the_committed_numbers(project: builder.Repo) -> None:
    project.write("mlgate.yaml", projects.CONFIG.replace("train: {", "train: {cost_per_hour: 3.6, "))
    project.write(".gitignore", "mlflow.db\nmlruns\nmlartifacts\n")
    project.commit("Count the cost")
    output = project.path.parent / "output"
    output.touch()
    seen = Seen(project, *AGAIN, "--tracking-uri", "sqlite:///mlflow.db")
    assert seen.verdict == "pass", seen.reasons
    run = seen.evidence["facts"]["MLflow run"]
    with closing(sqlite3.connect(project.path / "mlflow.db")) as con:
        metrics = dict(con.execute("SELECT key, value FROM latest_metrics WHERE run_uuid = ?", (run,)).fetchall())
        params = dict(con.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall())
        runs = con.execute("SELECT count(*) FROM runs").fetchone()[0]
    committed = json.loads((project.path / "metrics/eval.json").read_text())
    assert {key: metrics[key] for key in committed} == committed
    assert params["train.seed"] == "7"
    assert runs == 1
    facts = seen.evidence["facts"]
    assert facts["cost"] == pytest.approx(facts["seconds"] * 3.6 / 3600, abs=1e-5)
    assert 0 < facts["seconds in stages"] < facts["seconds"]


def test_mlflow_that_is_down_is_shown_and_decides_nothing(project: builder.Repo) -> None:
    seen = Seen(project, *AGAIN, "--tracking-uri", "http://user:hunter2@127.0.0.1:9", MLFLOW_TRACKING_TOKEN="s3cret")
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert seen.state("the model follows") == "proven"
    assert any(line.startswith("MLflow: ") for line in seen.evidence["not_run"])
    assert "hunter2" not in json.dumps(seen.evidence) + seen.printed
    assert "s3cret" not in json.dumps(seen.evidence) + seen.printed


def test_nothing_is_logged_where_nothing_was_trained(project: builder.Repo) -> None:
    seen = Seen(project, "--remote", "false", "--tracking-uri", "sqlite:///mlflow.db")
    assert seen.verdict == "pass", seen.reasons
    assert not (project.path / "mlflow.db").exists()


def test_what_later_steps_are_told(project: builder.Repo, tmp_path: Path) -> None:
    project.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.5}}) + "\n")
    project.commit("Another shift")
    event, output = tmp_path / "event.json", tmp_path / "output"
    event.write_text("{}")
    output.touch()
    project.mlgate(
        "train", "--verify", "reproduce", "--proposal", "handed", "--remote", "false", **DVC_ENV,
        GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="workflow_dispatch", GITHUB_EVENT_PATH=str(event),
        GITHUB_OUTPUT=str(output), GITHUB_SHA=project.head, GITHUB_REF="refs/heads/main", GITHUB_REF_NAME="main",
    )  # fmt: skip
    text = output.read_text()
    told = dict(re.findall(r"^([\w-]+)<<(?:\S+)\n(.*)$", text, re.MULTILINE))
    assert json.loads(told["stages-run"]) == ["train", "predict", "evaluate"]
    assert "dvc.lock" in json.loads(told["changed"])
    assert told["promotable"] == "true"
    assert json.loads(told["models"]) == ["visits"]
    assert "the model follows from its data, code and parameters" in json.loads(told["proven"])


def test_committing_needs_a_proposal(project: builder.Repo) -> None:
    done = project.mlgate("train", "--commit", "branch")
    assert done.returncode == 2
    assert "--proposal" in done.stderr
    done = project.mlgate("train", "--commit", "everything")
    assert done.returncode == 2
    assert "none of off, branch, pull-request" in done.stderr


def test_a_proposal_becomes_a_commit_in_a_job_that_trains_nothing(project: builder.Repo, tmp_path: Path) -> None:
    project.write("params.yaml", json.dumps({"train": {"seed": 7, "shift": 0.5}}) + "\n")
    project.commit("Another shift")
    project.git("clone", "--quiet", "--bare", ".", str(tmp_path / "origin.git"))
    project.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    project.git("fetch", "--quiet", "origin")
    Seen(project, "--verify", "reproduce", "--push", "true", "--proposal", "handed", "--remote", "false")
    builder.Repo(tmp_path).git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "judge"))
    judge = builder.Repo(tmp_path / "judge")
    (project.path / "handed").rename(judge.path / "handed")
    done = judge.mlgate("train", "--proposal", "handed", "--commit", "branch", "--commit-branch", "retrained")
    assert done.returncode == 0, done.stderr
    changed = judge.git("--git-dir", str(tmp_path / "origin.git"), "diff", "--name-only", "main", "retrained")
    assert changed.splitlines() == ["dvc.lock", "metrics/eval.json"]


def test_data_that_break_their_contract_keep_project_code_from_being_run(project: builder.Repo) -> None:
    """What validate-data found in the same job, for the same commit: nothing is trained on it, and nothing proposed."""
    found = {
        "schema": 1, "kind": "validate-data", "model": "visits", "verdict": "fail", "source": {"commit": project.head},
    }  # fmt: skip
    project.write(".mlgate/evidence/visits/validate-data.json", found)
    again = ("--verify", "reproduce", "--rerun", "true", "--remote", "false", "--proposal", "handed")
    seen = Seen(project, *again)
    assert (seen.verdict, seen.evidence["stages"]) == ("warn", [])
    assert seen.evidence["facts"]["verify"] == "lock"
    assert "the data break their contract" in seen.reasons
    assert not (project.path / "handed").exists()
    project.write(".mlgate/evidence/visits/validate-data.json", {**found, "source": {"commit": "0" * 40}})
    assert Seen(project, *again).stages["train"] == "ran"
