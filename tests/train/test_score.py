"""`verify: score`: the committed model scored again, in a worktree, without credentials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import builder
from setup.projects import DVC_ENV, dvc
from train import projects
from train.projects import Seen

pytestmark = pytest.mark.dvc
SCORE = "    score: python src/predict.py {model} {data} {predictions}\n"


def with_command(repo: builder.Repo, command: str = SCORE, config: str = projects.CONFIG) -> None:
    """Committed before anything else: the base's configuration is the one that counts."""
    repo.write("mlgate.yaml", config.replace("    predictions:", f"{command}    predictions:"))
    repo.commit("Score by a command")


def test_results_that_follow_are_proven(bare: builder.Repo, tmp_path: Path) -> None:
    before = projects.data_of(bare)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    seen = Seen(bare, "--verify", "score", TMPDIR=str(scratch))
    assert list(scratch.iterdir()) == []
    assert (seen.verdict, seen.code) == ("pass", 0), seen.reasons
    assert seen.state("the predictions follow") == "proven"
    assert seen.state("the metrics follow") == "proven"
    assert seen.state("the model follows") == "attested"
    assert seen.stages == {"predict": "ran", "evaluate": "ran"}
    assert seen.evidence["facts"]["verify"] == "score"
    assert "100 rows, largest difference 0" in json.dumps(seen.evidence["proofs"])
    assert projects.data_of(bare) == before
    assert bare.git("worktree", "list").count("\n") == 0
    assert bare.git("status", "--porcelain") == ""


def test_a_command_of_their_own(project: builder.Repo, tmp_path: Path) -> None:
    with_command(project)
    project.commit("Next")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert seen.verdict == "pass", seen.reasons
    assert seen.stages == {"evaluate.holdout.score": "ran", "evaluate": "ran"}


def _swap(repo: builder.Repo, path: str, content: str) -> None:
    """Put other results into the commit, with a lock that agrees with itself."""
    repo.write(path, content)
    stage = "predict" if path.startswith("eval/") else "evaluate"
    dvc(repo, "commit", "--force", "--quiet", stage)
    if stage == "predict":
        repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text())
        dvc(repo, "commit", "--force", "--quiet", "evaluate")
    dvc(repo, "push", "--quiet")
    repo.commit("By hand")


def test_predictions_made_elsewhere_are_refuted(project: builder.Repo, tmp_path: Path) -> None:
    (project.path / "eval/predictions.csv").chmod(0o644)
    lines = (project.path / "eval/predictions.csv").read_text().splitlines()
    lines[7] = "6,0.987"
    _swap(project, "eval/predictions.csv", "\n".join(lines) + "\n")
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert (seen.verdict, seen.code) == ("fail", 1), seen.reasons
    assert seen.state("the predictions follow") == "refuted"
    check = seen.checks["proofs.predictions.holdout"]
    assert "p_visit differs in 1 of 100 rows" in check["reason"]
    assert check["examples"][0]["values"]["id"] == "6"
    assert check["examples"][0]["values"]["p_visit, committed"] == "0.987"


def test_metrics_made_elsewhere_are_refuted(project: builder.Repo, tmp_path: Path) -> None:
    values = json.loads((project.path / "metrics/eval.json").read_text())
    _swap(project, "metrics/eval.json", json.dumps({**values, "accuracy": values["accuracy"] + 0.01}))
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert (seen.verdict, seen.code) == ("fail", 1), seen.reasons
    assert seen.state("the predictions follow") == "proven"
    assert seen.state("the metrics follow") == "refuted"
    assert "accuracy is" in seen.reasons


def test_a_difference_within_the_tolerance_is_none(project: builder.Repo, tmp_path: Path) -> None:
    values = json.loads((project.path / "metrics/eval.json").read_text())
    project.write("mlgate.yaml", projects.CONFIG.replace("train: {", "train: {tolerance: 0.02, "))
    project.commit("Tolerate")
    _swap(project, "metrics/eval.json", json.dumps({**values, "accuracy": values["accuracy"] + 0.01}))
    seen = Seen(projects.clone(project, tmp_path / "runner"), "--verify", "score")
    assert seen.verdict == "pass", seen.reasons
    assert seen.state("the metrics follow") == "proven"


def test_the_base_says_how_far_to_look(project: builder.Repo, tmp_path: Path) -> None:
    """A change that lowers the level, or widens the tolerance, is held to the base's."""
    project.write("mlgate.yaml", projects.CONFIG.replace("train: {", "train: {verify: score, "))
    project.commit("Score here")
    project.git("checkout", "--quiet", "-b", "change")
    project.write("mlgate.yaml", projects.CONFIG.replace("train: {", "train: {tolerance: 9, "))
    values = json.loads((project.path / "metrics/eval.json").read_text())
    _swap(project, "metrics/eval.json", json.dumps({**values, "accuracy": 1.0}))
    seen = Seen(project, "--verify", "lock")
    assert seen.evidence["facts"]["verify"] == "score"
    assert seen.verdict == "fail", seen.reasons


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("import sys; print('about to fail'); sys.exit(3)", "exit code 3"),
        ("print('done, honestly')", "did not write eval/predictions.csv"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import sys; open(sys.argv[3], 'w').write('id,p_visit\\n')", "there are no rows"),
        ("import sys; open(sys.argv[3], 'w').write('id,p_visit\\n1,nan\\n')", "are missing"),
    ],
)
def test_scoring_that_breaks_names_its_stage(project: builder.Repo, script: str, named: str, tmp_path: Path) -> None:
    project.write("src/bad.py", script)
    with_command(project, SCORE.replace("src/predict.py", "src/bad.py"))
    project.commit("Break it")
    runner = projects.clone(project, tmp_path / "runner")
    seen = Seen(runner, "--verify", "score")
    assert seen.verdict in ("error", "fail")
    assert named in seen.reasons
    assert seen.state("the predictions follow") in ("refuted", "not run")
    assert seen.state("the metrics follow") != "proven"
    assert runner.git("status", "--porcelain") == ""


def test_one_stage_for_all_cannot_be_scored_again(project: builder.Repo) -> None:
    project.write(
        "dvc.yaml",
        "stages:\n  all:\n    cmd: python src/train.py && python src/predict.py models/model.json data/test.csv "
        "eval/predictions.csv && python src/evaluate.py\n    deps: [data/train.csv, data/test.csv]\n"
        "    outs: [models/model.json, eval/predictions.csv]\n    metrics: [{metrics/eval.json: {cache: false}}]\n",
    )
    projects.repro(project)
    seen = Seen(project, "--verify", "score")
    assert (seen.verdict, seen.code) == ("error", 2)
    assert "evaluate.holdout.score" in seen.reasons
    assert seen.evidence["facts"]["verify"] == "lock"


def test_project_code_sees_no_credentials(project: builder.Repo, tmp_path: Path) -> None:
    seen_by_code = tmp_path / "seen.json"
    script = (
        f"import json, os; json.dump(dict(os.environ), open({str(seen_by_code)!r}, 'w'))\n"
        f"open({str(tmp_path / 'local')!r}, 'w').write(open('.dvc/config.local').read())\n" + projects.PREDICT
    )
    project.write("src/spy.py", script)
    allowing = projects.CONFIG.replace("train: {", "train: {environment: [LICENCE_KEY], ")
    with_command(project, SCORE.replace("src/predict.py", "src/spy.py"), allowing)
    project.commit("Next")
    project.write(".dvc/config.local", "['remote \"storage\"']\n    verify = false\n")
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "one",
        "MY_TOKEN": "two",
        "STORAGE_LOGIN": "three",  # named by the env secret
        "MLFLOW_TRACKING_PASSWORD": "four",
        "HARMLESS": "kept",
    }
    dvc(project, "gc", "--workspace", "--force", "--quiet")
    seen = Seen(
        project, "--verify", "score", MLGATE_ENV_NAMES="STORAGE_LOGIN", LICENCE_KEY="five", **secrets
    )  # fmt: skip
    assert seen.verdict in ("pass", "warn"), seen.reasons
    environ = json.loads(seen_by_code.read_text())
    assert not {*secrets} - {"HARMLESS"} & environ.keys()
    assert environ["HARMLESS"] == "kept"
    assert environ["LICENCE_KEY"] == "five"
    assert "verify" not in (tmp_path / "local").read_text()
    assert "verify" in (project.path / ".dvc/config.local").read_text()


def test_without_credentials_nothing_is_scored_and_that_is_the_policys(bare: builder.Repo) -> None:
    bare.write(".dvc/config", "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://bucket/x\n")
    bare.commit("S3")
    seen = Seen(
        bare, "--verify", "score", AWS_EC2_METADATA_DISABLED="true", AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
        AWS_CONFIG_FILE="/nonexistent", AWS_MAX_ATTEMPTS="1",
    )  # fmt: skip
    assert seen.verdict == "warn", seen.reasons
    assert seen.evidence["facts"]["verify"] == "lock"
    assert seen.state("the metrics follow") == "not run"
    assert seen.state("the predictions follow") == "not run"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(project: builder.Repo, number: signal.Signals, tmp_path: Path) -> None:
    flag = tmp_path / "started"
    project.write("src/hang.py", f"import os, time; open({str(flag)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    with_command(project, SCORE.replace("src/predict.py", "src/hang.py"))
    project.commit("Hang")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "mlgate", "train", "--verify", "score"],
        cwd=project.path,
        env=builder.environment(**DVC_ENV, PYTHONPATH=str(builder.ROOT / "scripts"), TMPDIR=str(scratch)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Who runs the tests in the background has them ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 -- no threads
    )
    until = time.monotonic() + 60
    while not flag.exists() or not flag.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"interrupted" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(flag.read_text()), 0)
    assert list(scratch.iterdir()) == []
    assert project.git("worktree", "list").count("\n") == 0
